package ovsdb

import (
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
)

// reconnectLog says what becomes of a connection in the words of OVS's reconnect module. When the backoff has
// reached its end it falls silent until there is a connection.
type reconnectLog struct {
	entry *logrus.Entry // nil: silent
	quiet bool
}

func (l *reconnectLog) infof(format string, args ...any) {
	if l.entry != nil && !l.quiet {
		l.entry.Infof(format, args...)
	}
}

func (l *reconnectLog) connecting(name string) { l.infof("%s: connecting...", name) }

func (l *reconnectLog) connected(name string) {
	l.quiet = false
	l.infof("%s: connected", name)
}

func (l *reconnectLog) failed(name string, err error) {
	if l.entry != nil && !l.quiet {
		l.entry.Warnf("%s: connection attempt failed (%s)", name, strerror(err))
	}
}

func (l *reconnectLog) dropped(name string, err error) {
	if l.entry != nil {
		l.entry.Infof("%s: connection dropped (%s)", name, strerror(err))
	}
}

func (l *reconnectLog) waiting(name string, d time.Duration) {
	if d >= maxBackoff {
		l.infof("%s: continuing to reconnect in the background but suppressing further logging", name)
		l.quiet = true
		return
	}
	l.infof("%s: waiting %.3g seconds before reconnect", name, d.Seconds())
}

// strerror writes a system error as C does, and others as they are.
func strerror(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		text := errno.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}
