package vlog

import (
	"errors"
	"fmt"
	"os"
)

// ErrNoFile is the answer of vlog/reopen to a daemon that was started without --log-file.
//
//lint:ignore ST1005 OVS's words, shown by ovs-appctl
var ErrNoFile = errors.New("Logging to file not configured")

// fileMode is the mode of a new log file, less the umask.
const fileMode = 0o640

// OpenFile starts logging to the file at path, made with mode 0640 if it is missing. A failure is logged as
// a warning, as in OVS, and returned; the name is kept, so that Reopen tries again.
func (l *Log) OpenFile(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.path = path
	return l.openFileLocked()
}

// Reopen switches to the file that has the log's name now: after a rotation, a new one.
func (l *Log) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		return ErrNoFile
	}
	return l.openFileLocked()
}

func (l *Log) openFileLocked() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, fileMode)
	if err != nil {
		// The old file, if any, stays in use: better a line in a rotated file than none.
		l.logLocked(Warn, "failed to open %s for logging: %s", l.path, reason(err))
		return fmt.Errorf("failed to open %s for logging: %s", l.path, reason(err))
	}
	if l.file != nil {
		if sameFile(l.file, f) {
			return f.Close()
		}
		l.logLocked(Info, "closing log file")
		_ = l.file.Close()
	}
	l.file = f
	if l.opts.OnOpen != nil {
		l.opts.OnOpen(f)
	}
	l.logLocked(Info, "opened log file %s", l.path)
	return nil
}

func sameFile(a, b *os.File) bool {
	sa, errA := a.Stat()
	sb, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(sa, sb)
}

// CloseFile stops logging to the file until Reopen.
func (l *Log) CloseFile() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeFileLocked()
}

func (l *Log) closeFileLocked() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// Path is the log file's name, "" without one.
func (l *Log) Path() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.path
}

// reason is the system's part of a file error.
func reason(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
