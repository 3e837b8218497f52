package conntrack

import "slices"

// Control is what is asked of the connections of a datapath from outside: a Table, or what an
// eBPF datapath keeps in maps.
type Control interface {
	// Dump calls f for each connection until it returns false.
	Dump(f func(*Entry) bool) error
	// Flush removes the connections that fit and returns how many they were.
	Flush(*Filter) (int, error)
	Count() (int, error)
	Max() (uint32, error)
	// SetMax changes how many connections there may be; those that there are stay.
	SetMax(uint32) error
	SequenceCheck() (bool, error)
	SetSequenceCheck(bool) error
	Limits(zones ...uint16) (standard uint32, list []ZoneLimit, err error)
	SetDefaultLimit(uint32) error
	SetLimit(zone uint16, limit uint32) error
	DelLimit(zone uint16) error
	// SetTimeouts names timeouts for ct(timeout=name); nil removes them. Connections that use them get the new ones, or the
	// default ones, with their next packet.
	SetTimeouts(name string, t *Timeouts) error
	Counters() (Counters, error)
}

var _ Control = (*Table)(nil)

// Counters count what became of packets that could not be tracked as they should.
type Counters struct {
	Full      uint64 // dropped: no room in the table
	ZoneFull  uint64 // dropped: no room in the zone
	Displaced uint64 // connections without reply that gave way
	Clash     uint64 // dropped: no free tuple
	Invalid   uint64 // passed with ct_state inv

	// Why packets were invalid, and what else OVS counts.
	L3Checksum, L4Checksum uint64 // wrong
	InvalidFlags           uint64 // TCP flags that do not go together
	SequenceFailed         uint64 // TCP sequence numbers outside the windows
	SequenceBypass         uint64 // TCP segments outside the windows while those are not checked
	NattedMiss             uint64 // translated in the same zone before, but of no connection
}

// Entry is a connection as dumps show it.
type Entry struct {
	Orig, Reply Tuple
	Mark        uint32
	Label       [16]byte
	NAT         State // SrcNAT, DstNAT or 0
	Timeout     uint32
	TCP         [2]TCPEnd // of TCP
	Helper      string    // ftp, tftp or none
	Parent      *Tuple    // of the connection that announced it, or nil
}

// TCPEnd is one end of a TCP connection.
type TCPEnd struct {
	State  TCPState
	Scale  uint8 // of its windows
	Scaled bool  // it has sent the window scale option
	Found  bool  // its SYN was not seen: windows are checked liberally
}

func (c *conn) entry(now int64) Entry {
	e := Entry{Orig: c.orig, Reply: c.reply, Mark: c.mark, Label: c.label, NAT: c.nat, Timeout: uint32((c.expires - now) / 1e9)}
	for i, p := range c.tcp {
		e.TCP[i] = NewTCPEnd(p.state, p.scale)
	}
	e.Helper = c.helper.String()
	if c.related {
		e.Parent = &c.parent
	}
	return e
}

// Dump implements Control. The connections are those of one moment; f may change the table.
func (t *Table) Dump(f func(*Entry) bool) error {
	t.mu.Lock()
	now := t.o.Now()
	t.sweep(len(t.all), now)
	list := make([]Entry, len(t.all))
	for i, c := range t.all {
		list[i] = c.entry(now)
	}
	t.mu.Unlock()
	for i := range list {
		if !f(&list[i]) {
			break
		}
	}
	return nil
}

// Count implements Control.
func (t *Table) Count() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(len(t.all), t.o.Now())
	return len(t.all), nil
}

// Max implements Control.
func (t *Table) Max() (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.max, nil
}

// SetMax implements Control.
func (t *Table) SetMax(n uint32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max = n
	return nil
}

// SequenceCheck implements Control.
func (t *Table) SequenceCheck() (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.check, nil
}

// SetSequenceCheck implements Control.
func (t *Table) SetSequenceCheck(on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.check = on
	return nil
}

// SetTimeouts implements Control.
func (t *Table) SetTimeouts(name string, to *Timeouts) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.policies[name]
	switch {
	case to == nil && p == nil:
	case to == nil:
		*p = DefaultTimeouts // connections that use it stay
		delete(t.policies, name)
	case p == nil:
		c := *to
		t.policies[name] = &c
	default:
		*p = *to
	}
	return nil
}

// Counters implements Control.
func (t *Table) Counters() (Counters, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counters, nil
}

// Flush implements Control.
func (t *Table) Flush(f *Filter) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Now()
	t.sweep(len(t.all), now)
	gone := 0
	for _, c := range slices.Clone(t.all) {
		if e := c.entry(now); f.Matches(&e) {
			t.remove(c)
			gone++
		}
	}
	return gone, nil
}

// NewTCPEnd is an end by its state and what is known of its window scale, as a conn has it.
func NewTCPEnd(s TCPState, scale uint8) TCPEnd {
	return TCPEnd{State: s, Scaled: scale&scaleOffered != 0, Found: scale&scaleUnknown != 0, Scale: scale & scaleMask}
}
