package netdev

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// ErrNoDevice is wrapped by errors about a device that does not exist.
var ErrNoDevice error = syscall.ENODEV

// OpenError says why a device could not be opened, in the words of Interface.error.
type OpenError struct {
	Name string
	Err  error // wraps a syscall.Errno where there is one
	// Hint is for people: what OVS's text leaves open, or "".
	Hint string
}

// Error implements error: could not open network device eth7 (No such device).
func (e *OpenError) Error() string {
	if e.Hint != "" {
		return fmt.Sprintf("could not open network device %s (%s: %s)",
			e.Name, Strerror(e.Err), e.Hint)
	}
	return fmt.Sprintf("could not open network device %s (%s)", e.Name, Strerror(e.Err))
}

// Unwrap gives the cause with its context.
func (e *OpenError) Unwrap() error { return e.Err }

// Strerror is the text of the system error inside err as the C library has it, which is what
// OVS shows; err's own text when there is none.
func Strerror(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
