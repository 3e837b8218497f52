package vlog

import (
	"strings"

	"github.com/sirupsen/logrus"
)

// Level is how grave a message is, in OVS's order: a destination shows its level and those above it.
type Level int

// The levels of OVS, from none at all to everything.
const (
	Off Level = iota
	Emer
	Err
	Warn
	Info
	Dbg
)

// The names that messages and vlog/list show.
var levelNames = [...]string{"OFF", "EMER", "ERR", "WARN", "INFO", "DBG"}

func (l Level) String() string {
	if l < Off || l > Dbg {
		return "UNKNOWN"
	}
	return levelNames[l]
}

func parseLevel(word string) (Level, bool) {
	for i, n := range levelNames {
		if strings.EqualFold(word, n) {
			return Level(i), true
		}
	}
	return 0, false
}

// severity is the syslog severity of a level; OVS sends INFO as a notice.
func (l Level) severity() int {
	switch l {
	case Emer:
		return 1
	case Err:
		return 3
	case Warn:
		return 4
	case Info:
		return 5
	}
	return 7
}

func fromLogrus(l logrus.Level) Level {
	switch l {
	case logrus.PanicLevel, logrus.FatalLevel:
		return Emer
	case logrus.ErrorLevel:
		return Err
	case logrus.WarnLevel:
		return Warn
	case logrus.InfoLevel:
		return Info
	}
	return Dbg
}

// logrus is the least logrus level that lets messages of l through. logrus has no "off" of its own: at Off
// only panics come through, and Log drops those.
func (l Level) logrus() logrus.Level {
	switch l {
	case Emer:
		return logrus.FatalLevel
	case Err:
		return logrus.ErrorLevel
	case Warn:
		return logrus.WarnLevel
	case Info:
		return logrus.InfoLevel
	case Dbg:
		return logrus.TraceLevel
	}
	return logrus.PanicLevel
}

// Destination is where messages go.
type Destination int

// The destinations, in the order in which vlog/list-pattern shows them.
const (
	Syslog Destination = iota
	Console
	File
	numDestinations
)

var destinationNames = [numDestinations]string{"SYSLOG", "CONSOLE", "FILE"}

func (d Destination) String() string { return destinationNames[d] }

func parseDestination(word string) (Destination, bool) {
	for i, n := range destinationNames {
		if strings.EqualFold(word, n) {
			return Destination(i), true
		}
	}
	return 0, false
}
