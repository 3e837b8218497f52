package ofctrl

import (
	"sync"
	"time"
)

// limiter bounds the log lines that a peer can cause: logBurst at once, then logPerMinute.
type limiter struct {
	mu     sync.Mutex
	tokens float64
	filled time.Time
}

const (
	logBurst     = 20
	logPerMinute = 12
)

func (l *limiter) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.filled.IsZero() {
		l.tokens = logBurst
	} else {
		l.tokens = min(logBurst, l.tokens+now.Sub(l.filled).Minutes()*logPerMinute)
	}
	l.filled = now
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}
