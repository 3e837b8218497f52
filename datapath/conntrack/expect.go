package conntrack

import (
	"bytes"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// maxExpectations is how many connections may be announced at a time, one by each connection with a helper. The
// oldest gives way.
const maxExpectations = 1024

// expectKey identifies an announced connection: its first packet may come from any port.
type expectKey struct {
	Src, Dst      [16]byte
	DstPort, Zone uint16
	Proto, Family uint8
}

// expectation is an announced connection.
type expectation struct {
	key    expectKey
	master *conn
	active bool // it goes to the end that began the master
}

// expectations are all that are announced. What a connection announces replaces what it has announced before; with
// the connection it is gone.
type expectations struct {
	at    map[expectKey]int // in slots
	slots [maxExpectations]expectation
	next  int
}

// announce notes a connection. One that a master which lives has announced already is that one's.
func (x *expectations) announce(e expectation, now int64) {
	if x.at == nil {
		x.at = map[expectKey]int{}
	}
	if at, ok := x.at[e.key]; ok {
		if x.slots[at].master.expires > now {
			return
		}
		x.forget(x.slots[at].master)
	}
	x.forget(e.master)
	slot := x.next
	x.next = (x.next + 1) % maxExpectations
	if old := x.slots[slot].master; old != nil {
		x.forget(old)
	}
	x.slots[slot], x.at[e.key], e.master.announced = e, slot, slot+1
}

// forget removes what a connection has announced.
func (x *expectations) forget(c *conn) {
	if c.announced == 0 {
		return
	}
	e := &x.slots[c.announced-1]
	delete(x.at, e.key)
	*e, c.announced = expectation{}, 0
}

// announcement looks up who has announced a connection whose first packet has tuple k; nil: nobody.
func (t *Table) announcement(k *Tuple, now int64) *expectation {
	x := &t.expected
	slot, ok := x.at[expectKey{k.Src, k.Dst, k.DstPort, k.Zone, k.Proto, k.Family}]
	if !ok {
		return nil
	}
	e := x.slots[slot] // the master may be removed while this one is made
	if e.master.expires <= now {
		t.remove(e.master)
		return nil
	}
	return &e
}

// newExpectation is of a connection to a port of the end which began c (active), or of the other end.
func newExpectation(c *conn, port uint16, active bool) expectation {
	from := &c.orig
	if active {
		from = &c.reply
	}
	return expectation{expectKey{from.Src, from.Dst, port, from.Zone, from.Proto, from.Family}, c, active}
}

// nat translates an announced connection like its master.
func (e *expectation) nat() *odp.NAT {
	c := e.master
	var addr *[16]byte
	n := &odp.NAT{Src: (c.nat == DstNAT) == e.active}
	n.Dst = !n.Src
	switch {
	case e.active && n.Src:
		addr = &c.orig.Dst
	case e.active:
		addr = &c.orig.Src
	case n.Src:
		addr = &c.reply.Dst
	default:
		addr = &c.reply.Src
	}
	n.MinAddr = bytes.Clone(wire(c.orig.Family, addr))
	return n
}
