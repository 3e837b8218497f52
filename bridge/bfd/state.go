// Package bfd is bidirectional forwarding detection (RFC 5880 and RFC 5881) as Open vSwitch does it: asynchronous mode,
// one session per interface, no authentication and no echo. A Session is fed with packets and time, and tells what to
// send and whether its path forwards; it does no I/O.
package bfd

import "fmt"

// State is the state of a session (RFC 5880, section 4.1).
type State uint8

// The states, by their number on the wire.
const (
	AdminDown State = iota
	Down
	Init
	Up
)

// String is the state as bfd_status has it.
func (s State) String() string { return [...]string{"admin_down", "down", "init", "up"}[s&3] }

// Diag says why a session has last changed its state (RFC 5880, section 4.1).
type Diag uint8

const diagMask = 0x1f

// The diagnostics that have a meaning here.
const (
	DiagNone          Diag = 0
	DiagExpired       Diag = 1
	DiagNeighborDown  Diag = 3
	DiagPathDown      Diag = 5
	DiagConcatenated  Diag = 6
	DiagReverseConcat Diag = 8
)

var diagWords = [...]string{
	"No Diagnostic", "Control Detection Time Expired", "Echo Function Failed", "Neighbor Signaled Session Down", "Forwarding Plane Reset",
	"Path Down", "Concatenated Path Down", "Administratively Down", "Reverse Concatenated Path Down",
}

// String is the diagnostic in the words of RFC 5880.
func (d Diag) String() string {
	if int(d) < len(diagWords) {
		return diagWords[d]
	}
	return fmt.Sprintf("Unknown Diagnostic %d", uint8(d))
}
