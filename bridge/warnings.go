package bridge

import (
	"slices"

	"github.com/sirupsen/logrus"
)

// warnings are complaints about one row that were logged: each is said when it is new.
type warnings []string

func (w *warnings) log(l *logrus.Entry, now []string) {
	for _, text := range now {
		if !slices.Contains(*w, text) {
			l.Warnf("%s", text)
		}
	}
	*w = now
}
