package conntrack

import "errors"

// Limits of fragment handling (OVS's): how many fragmented packets there can be at a time, by default and at most, and
// how low the least size of a fragment can be set.
const (
	DefaultMaxFragments = 1000
	MaxFragments        = 5000
	LeastMinFragment    = 400
)

// FragmentSettings say what is done with IP fragments. Arrays are by IP version: IPv4, IPv6.
type FragmentSettings struct {
	Disabled [2]bool   // fragments are invalid
	Min      [2]uint32 // bytes of IP packet that a fragment has at least, except the last one
	Max      uint32    // fragmented packets whose first fragment is remembered
}

// FragmentStats count fragments of an IP version.
type FragmentStats struct {
	Accepted  uint64 // have been tracked
	Completed uint64 // were the last of their packet
	TooSmall  uint64 // invalid
	Expired   uint64 // packets that were forgotten after their time
	Purged    uint64 // packets that were forgotten for others
}

// FragmentStatus is what dpctl/ipf-get-status shows.
type FragmentStatus struct {
	FragmentSettings
	Stats [2]FragmentStats
	Count int // packets whose first fragment is remembered
}

// FragmentControl is a Control with settings for IP fragments.
type FragmentControl interface {
	Fragments() (FragmentStatus, error)
	// SetFragments changes the settings; what is not allowed is refused as a whole. With another Max, fragments are forgotten.
	SetFragments(FragmentSettings) error
}

var _ FragmentControl = (*Table)(nil)

// ErrFragments refuses settings beyond the limits.
var ErrFragments = errors.New("setting for fragments is beyond the limits")

// Check reports whether the settings are within the limits. A least size of 0 is no limit.
func (s *FragmentSettings) Check() error {
	for _, n := range s.Min {
		if n != 0 && n < LeastMinFragment {
			return ErrFragments
		}
	}
	if s.Max > MaxFragments {
		return ErrFragments
	}
	return nil
}

// Fragments implements FragmentControl.
func (t *Table) Fragments() (FragmentStatus, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, now := &t.fragments, t.o.Now()
	for k, p := range f.ports {
		if p.expires <= now {
			f.drop(k, now)
		}
	}
	return FragmentStatus{f.set, f.stats, len(f.ports)}, nil
}

// SetFragments implements FragmentControl.
func (t *Table) SetFragments(s FragmentSettings) error {
	if err := s.Check(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &t.fragments
	if s.Max != f.set.Max {
		for k := range f.ports {
			f.drop(k, t.o.Now())
		}
		f.ring, f.next = [MaxFragments]fragmentKey{}, 0
	}
	f.set = s
	return nil
}
