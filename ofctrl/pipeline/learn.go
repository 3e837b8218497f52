package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Bits of Learn.Flags and values of LearnSpec.Dst.
const (
	learnSendFlowRem = 1
	learnWriteResult = 4

	learnMatch  = 0
	learnLoad   = 1
	learnOutput = 2
)

// learning is the flow that a learn action makes of a packet. Traffic that is credited to it keeps the flow alive,
// or learns it again.
type learning struct {
	bridge Bridge
	mod    openflow.FlowMod
	limit  uint32
}

// Credit implements datapath.Credit.
func (l *learning) Credit(_, _ uint64, _ time.Time, _ uint16) { l.bridge.Learn(&l.mod, l.limit) }

// happen has the effects of a translation happen, without a lock.
func happen(effects []datapath.Credit, tcpFlags uint16) {
	for _, e := range effects {
		e.Credit(0, 0, time.Time{}, tcpFlags)
	}
}

// tcpFlags are those of the packet, or of the megaflow's packets when there is none.
func tcpFlags(req *datapath.Request) uint16 {
	if req.Packet != nil {
		return uint16(req.Key.Get(flow.TCPFlags))
	}
	return req.TCPFlags
}

// doLearn is the learn action. The flow is made when the translation is over, before the packet goes on: the tables
// cannot change while translations read them.
func (x *xlate) doLearn(a openflow.Learn) {
	l := &learning{bridge: x.bridge, limit: a.Limit}
	x.learnedFlow(&a, &l.mod)
	if x.listener != nil && !x.learn {
		x.warn("suppressing side effects, so learn action ignored")
		return
	}
	if x.listener != nil {
		x.detail("%s", learnText(&l.mod, x.tables.TLV().Layout()))
	}
	if err := table.CheckLearn(&l.mod); err != nil {
		var e openflow.Err
		errors.As(err, &e)
		x.Fault("LEARN action execution failed (%v).", e)
		return
	}
	ok := true
	if a.Limit != 0 {
		x.Depend(x.tables.Version(a.Table))
		ok = x.tables.MayLearn(&l.mod, a.Limit, x.pending(l))
	}
	if a.Flags&learnWriteResult != 0 && a.ResultDst != nil {
		var result [1]byte
		if ok {
			result[0] = 1
		}
		x.key.Write(*a.ResultDst, result[:])
		x.isNow(*a.ResultDst)
	}
	if !ok {
		x.detail("Limit exceeded, learn failed")
		return
	}
	x.Credit(l)
	x.effect(l)
}

// effect has c happen after the translation if it may have effects.
func (x *xlate) effect(c datapath.Credit) {
	if x.learn {
		x.effects = append(x.effects, c)
	}
}

// pending counts the flows that the translation is about to learn, of the same table and cookie as l but others.
func (x *xlate) pending(l *learning) int {
	n := 0
	for i, c := range x.effects {
		o, ok := c.(*learning)
		if !ok || o.bridge != l.bridge || o.mod.Table != l.mod.Table || o.mod.NewCookie != l.mod.NewCookie {
			continue
		}
		if o.mod.Match == l.mod.Match && o.mod.Priority == l.mod.Priority {
			return 0 // it will be there
		}
		if o.isNew(x.tables) && !o.among(x.effects[:i]) {
			n++
		}
	}
	return n
}

// isNew reports whether the flow is not in the tables yet.
func (l *learning) isNew(t *table.Tables) bool {
	sel := table.Filter{
		Table: l.mod.Table, Match: l.mod.Match, Strict: true, Priority: int(l.mod.Priority),
		OutPort: openflow.PortAny, OutGroup: openflow.GroupAny, Hidden: true,
	}
	found := false
	t.Each(&sel, func(*table.Rule) { found = true })
	return !found
}

// among reports whether effects make the same flow.
func (l *learning) among(effects []datapath.Credit) bool {
	for _, c := range effects {
		if o, ok := c.(*learning); ok && o.bridge == l.bridge && o.mod.Table == l.mod.Table &&
			o.mod.Match == l.mod.Match && o.mod.Priority == l.mod.Priority {
			return true
		}
	}
	return false
}

// learnedFlow makes the flow mod of a learn action, reading the packet.
func (x *xlate) learnedFlow(a *openflow.Learn, fm *openflow.FlowMod) {
	*fm = openflow.FlowMod{
		Command: openflow.FlowModifyStrict, Table: a.Table, Priority: a.Priority, NewCookie: a.Cookie, Idle: a.Idle, Hard: a.Hard,
		BufferID: openflow.NoBuffer, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
	}
	if a.Flags&learnSendFlowRem != 0 {
		fm.Flags = openflow.FlagSendFlowRem
	}
	if a.FinIdle != 0 || a.FinHard != 0 {
		fm.Actions = append(fm.Actions, openflow.FinTimeout{Idle: a.FinIdle, Hard: a.FinHard})
	}
	for i := range a.Specs {
		s := &a.Specs[i]
		v := s.Value
		if s.Src != nil {
			v = x.key.Read(*s.Src, nil)
		}
		switch s.Dst {
		case learnMatch:
			if s.To.Field >= flow.TunMetadata0 && s.To.Field <= flow.TunMetadata63 {
				matchOptions(&fm.Match, x.tables.TLV().Layout(), s.To, v)
				continue
			}
			matchBits(&fm.Match, s.To, v)
		case learnLoad:
			fm.Actions = append(fm.Actions, openflow.Load{Dst: s.To, Value: v})
		case learnOutput:
			if p, ok := learnedPort(v); ok {
				fm.Actions = append(fm.Actions, openflow.Output{Port: p})
			}
		}
	}
	fm.Match.Normalize()
}

// matchBits has a match want the bits of a field, right-aligned in v.
func matchBits(m *flow.Match, to flow.Subfield, v []byte) {
	if !to.Field.Info().Maskable && to != flow.WholeField(to.Field) {
		return // as in OVS: no flow can match a part of it
	}
	if to.Field == flow.InPort {
		m.Set(flow.InPortOXM, uint64(port16(v)))
		return
	}
	to.Write(&m.Key, v)
	to.Exact(&m.Mask)
}

// port16 is a port of OpenFlow 1.0, which has 16 bits, in today's numbers.
func port16(v []byte) openflow.PortNo {
	var n uint16
	for _, b := range v {
		n = n<<8 | uint16(b)
	}
	if n >= 0xff00 {
		return openflow.PortNo(n) | 0xffff0000
	}
	return openflow.PortNo(n)
}

// learnedPort is the port that a learned flow outputs to; it must be one that OpenFlow 1.0 can name.
func learnedPort(v []byte) (openflow.PortNo, bool) {
	for i := range max(0, len(v)-2) {
		if v[i] != 0 {
			return 0, false
		}
	}
	switch p := port16(v); {
	case p < 0xff00, p == openflow.PortInPort, p == openflow.PortFlood, p == openflow.PortLocal, p == openflow.PortAll:
		return p, true
	}
	return 0, false
}

// learnText is a learned flow in a trace.
func learnText(fm *openflow.FlowMod, tlv *openflow.TLVMap) string {
	var s strings.Builder
	fmt.Fprintf(&s, "table=%d", fm.Table)
	if m := openflow.FormatMatchTLV(&fm.Match, nil, tlv); m != "" {
		s.WriteString(" " + m)
	}
	fmt.Fprintf(&s, " priority=%d", fm.Priority)
	if fm.NewCookie != 0 {
		fmt.Fprintf(&s, " cookie=%#x", fm.NewCookie)
	}
	if fm.Idle != 0 {
		fmt.Fprintf(&s, " idle=%d", fm.Idle)
	}
	if fm.Hard != 0 {
		fmt.Fprintf(&s, " hard=%d", fm.Hard)
	}
	if fm.Flags&openflow.FlagSendFlowRem != 0 {
		s.WriteString(" send_flow_rem")
	}
	return s.String() + " actions=" + openflow.FormatActions(fm.Actions, nil)
}
