package pipeline

import (
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Flags of TCP that end a connection.
const tcpFinRst = 0x001 | 0x004

// finTimeout shortens a rule's timeouts when the end of a TCP connection is among what is credited to it.
type finTimeout struct {
	t      *Translator
	tables *table.Tables
	rule   *table.Rule
	a      openflow.FinTimeout
}

// Credit implements datapath.Credit.
func (f *finTimeout) Credit(_, _ uint64, _ time.Time, flags uint16) {
	if flags&tcpFinRst == 0 || !f.due() {
		return
	}
	f.t.o.Mu.Lock()
	defer f.t.o.Mu.Unlock()
	f.tables.ReduceTimeouts(f.rule, f.a.Idle, f.a.Hard)
}

// due reports whether there is something to do, which most times there is not: the flags of a megaflow are those of
// all its packets.
func (f *finTimeout) due() bool {
	f.t.o.Mu.RLock()
	defer f.t.o.Mu.RUnlock()
	return f.rule.Reducible(f.a.Idle, f.a.Hard)
}

// finTimeout is the fin_timeout action. The flags are not read here: they decide nothing about this packet.
func (x *xlate) finTimeout(a openflow.FinTimeout) {
	if x.key.Has(flow.PrereqIP) {
		x.key.Get(flow.NwProto)
	}
	if x.rule == nil {
		return
	}
	f := &finTimeout{x.t, x.tables, x.rule, a}
	x.Credit(f)
	x.effect(f)
}
