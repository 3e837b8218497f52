package vlog

import (
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Limiter is a token bucket for the messages of one call site. When messages flow again after some were
// dropped, it says how many, in OVS's words.
type Limiter struct {
	log    *Log
	m      *module
	rate   float64 // tokens per second
	burst  float64
	mu     sync.Mutex
	tokens float64
	filled time.Time

	dropped     int
	first, last time.Time // dropped message
}

// Limiter makes a rate limit of perMinute messages for a module, with at most burst at once.
func (l *Log) Limiter(name string, perMinute, burst int) *Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Limiter{
		log: l, m: l.moduleLocked(name), rate: float64(perMinute) / 60, burst: float64(burst),
		tokens: float64(burst), filled: l.opts.Clock.Now(),
	}
}

// Allow says whether a message of this level may be logged now and takes its token. Messages that no
// destination shows take none.
func (x *Limiter) Allow(level logrus.Level) bool {
	if !x.m.entry.Logger.IsLevelEnabled(level) {
		return false
	}
	x.log.mu.Lock()
	limited := x.m.limited
	x.log.mu.Unlock()
	if !limited {
		return true
	}
	now := x.log.opts.Clock.Now()
	x.mu.Lock()
	x.tokens = min(x.burst, x.tokens+now.Sub(x.filled).Seconds()*x.rate)
	x.filled = now
	if x.tokens < 1 {
		if x.dropped == 0 {
			x.first = now
		}
		x.dropped++
		x.last = now
		x.mu.Unlock()
		return false
	}
	x.tokens--
	n, first, last := x.dropped, x.first, x.last
	x.dropped = 0
	x.mu.Unlock()
	if n > 0 {
		x.m.entry.Logf(level, "Dropped %d log messages in last %d seconds (most recently, %d seconds ago) due to excessive rate",
			n, int(now.Sub(first).Seconds()), int(now.Sub(last).Seconds()))
	}
	return true
}

// Logf logs a message if the limit allows it. It never panics or exits, whatever the level.
func (x *Limiter) Logf(level logrus.Level, format string, args ...any) {
	if x.Allow(level) {
		x.m.entry.Log(max(level, logrus.FatalLevel), fmt.Sprintf(format, args...))
	}
}

// Errorf logs an error if the limit allows it.
func (x *Limiter) Errorf(format string, args ...any) { x.Logf(logrus.ErrorLevel, format, args...) }

// Warnf logs a warning if the limit allows it.
func (x *Limiter) Warnf(format string, args ...any) { x.Logf(logrus.WarnLevel, format, args...) }

// Infof logs news if the limit allows it.
func (x *Limiter) Infof(format string, args ...any) { x.Logf(logrus.InfoLevel, format, args...) }

// Debugf logs a detail if the limit allows it.
func (x *Limiter) Debugf(format string, args ...any) { x.Logf(logrus.DebugLevel, format, args...) }
