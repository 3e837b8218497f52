package datapath

import (
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Translator turns a packet's key into datapath actions: the OpenFlow pipeline seen from below.
// Methods are safe for concurrent use.
type Translator interface {
	// Translate fills res (reset by the caller) for the key of req.
	Translate(req *Request, res *Result)
	// Userspace takes a packet that a Userspace action sent up (up.Kind is not 0).
	Userspace(up *Upcall)
}

// Request is one translation.
type Request struct {
	Key      *flow.Key // datapath words; in_port is a datapath port number
	Packet   *Packet   // nil when there is none (revalidation, trace)
	TCPFlags uint16    // flags seen on the megaflow, for revalidation
	// Learn allows effects outside the packet: MAC learning, learned flows, timeouts. True for
	// upcalls; true in revalidation when the megaflow was used since the last one.
	Learn bool
	// Packets and Bytes are credited to what the translation uses as it goes when Learn is true
	// and no megaflow will be installed; normally 0: the engine credits Result.Credits.
}

// Result is what a translation found.
type Result struct {
	Actions []odp.Action
	// Mask has every bit of the key that the translation read: datapath words.
	Mask flow.Mask
	// Credits get the megaflow's traffic.
	Credits []Credit
	// Deps are what the translation depended on. While no version changed, the megaflow is right.
	Deps []Dep
	// Held is released when the megaflow goes away (or at once when none is installed).
	Held []Holder
	// Slow, when not empty, names why every packet must be translated in user space
	// (comma-separated slow path reasons): the megaflow then is userspace(slow_path(...)).
	Slow string
	// SlowMeter limits the packets that come up for that; nil: nothing does. Held has it, too.
	SlowMeter *Meter
	// Drop is the reason when the translation ended in an error; Actions is empty then.
	Drop odp.DropReason
}

// Reset empties r, keeping its memory.
func (r *Result) Reset() {
	r.Actions = r.Actions[:0]
	r.Mask = flow.Mask{}
	clear(r.Credits)
	r.Credits = r.Credits[:0]
	clear(r.Deps)
	r.Deps = r.Deps[:0]
	clear(r.Held)
	r.Held = r.Held[:0]
	r.Slow, r.SlowMeter, r.Drop = "", nil, odp.DropNone
}

// Credit is something that counts traffic: a rule, a group bucket, a learned MAC, a mirror.
type Credit interface {
	// Credit adds packets and bytes, the last of them at used.
	Credit(packets, bytes uint64, used time.Time, tcpFlags uint16)
}

// Versioned is something that changes: a flow table, a MAC table, a bridge's configuration.
type Versioned interface{ Version() uint64 }

// Dep is a dependency and the version that was seen, read before what it guards.
type Dep struct {
	On      Versioned
	Version uint64
}

// Changed reports whether the dependency moved on.
func (d Dep) Changed() bool { return d.On.Version() != d.Version }

// Holder is state that lives as long as a megaflow: a frozen translation.
type Holder interface{ Release() }
