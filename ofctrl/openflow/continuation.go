package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Continuation says how a packet goes on that controller(pause) stopped: the property of that name of
// NXT_PACKET_IN2, which NXT_RESUME brings back. Metadata that a controller may change are not in it.
type Continuation struct {
	Bridge      [16]byte // a name that nobody can guess
	Stack       [][]byte // of fields, bottom first
	Mirrors     uint32   // that have a copy
	Conntracked bool     // the conntrack fields of the packet-in are the packet's
	Actions     []Action // an Unroll says whose those behind it are
	ActionSet   []Action
	ODPPort     uint32 // by which the packet came into the datapath
}

// Unroll says which rule the actions behind it are of, in a list that goes through several. It stands only
// in continuations and frozen states.
type Unroll struct {
	Table  uint8
	Cookie uint64
}

func (Unroll) ofAction() {}

// Properties of a continuation. Those from contWriteActions on are ours: they are instructions, which a list of
// actions cannot hold. Tools skip them.
const (
	contBridge = 0x8000 + iota
	contStack
	contMirrors
	contConntracked
	contTable
	contCookie
	contActions
	contActionSet
	contODPPort

	contWriteActions = 0x80f0
	contClearActions = 0x80f1
	contMeter        = 0x80f2
)

// DecodeContinuation reads the bytes of PacketIn.Continuation, which came in version v.
func DecodeContinuation(b []byte, v Version, st *State) (*Continuation, error) {
	if st == nil {
		st = &State{}
	}
	d := decoder{v: v, st: st}
	c := &Continuation{}
	var at Unroll
	nested := func(prop []byte) ([]Action, error) {
		if len(prop) < 8 {
			return nil, bad(PropertyBadLen, "actions of %d bytes", len(prop))
		}
		return d.actions(prop[8:])
	}
	err := eachProperty(b, func(typ uint16, prop []byte) (err error) {
		switch typ {
		case contBridge:
			if len(prop) != 4+len(c.Bridge) {
				return bad(PropertyBadLen, "bridge of %d bytes", len(prop))
			}
			copy(c.Bridge[:], prop[4:])
		case contStack:
			if len(prop)-4 > maxFieldBytes {
				return bad(PropertyBadLen, "stack value of %d bytes", len(prop)-4)
			}
			c.Stack = append(c.Stack, append([]byte{}, prop[4:]...))
		case contMirrors:
			c.Mirrors, err = propU32(prop)
		case contConntracked:
			c.Conntracked = true
		case contTable:
			at.Table, err = propU8(prop)
		case contCookie:
			at.Cookie, err = propU64(prop)
		case contActions:
			var list []Action
			list, err = nested(prop)
			c.Actions = append(append(c.Actions, at), list...)
		case contActionSet:
			c.ActionSet, err = nested(prop)
		case contODPPort:
			c.ODPPort, err = propU32(prop)
		case contWriteActions:
			var list []Action
			list, err = nested(prop)
			c.Actions = append(c.Actions, at, WriteActions{list})
		case contClearActions:
			c.Actions = append(c.Actions, at, ClearActions{})
		case contMeter:
			var id uint32
			if id, err = propU32(prop); err == nil {
				var m Action
				m, err = meterID(id)
				c.Actions = append(c.Actions, at, m)
			}
		default:
			if !st.Loose {
				err = bad(PropertyBadType, "continuation property %d", typ)
			}
		}
		return err
	})
	for i, j := 0, len(c.Stack)-1; i < j; i, j = i+1, j-1 { // on the wire the top is first
		c.Stack[i], c.Stack[j] = c.Stack[j], c.Stack[i]
	}
	return c, err
}

// maxFieldBytes is the length of the longest field, tun_metadata.
const maxFieldBytes = 124

// continuation writes the inside of the property.
func (e *encoder) continuation(c *Continuation) error {
	w := propWriter{e: e}
	if c.Bridge != [16]byte{} {
		w.bytes(contBridge, c.Bridge[:])
	}
	for i := len(c.Stack) - 1; i >= 0; i-- {
		w.bytes(contStack, c.Stack[i])
	}
	if c.Mirrors != 0 {
		w.u32(contMirrors, &c.Mirrors)
	}
	if c.Conntracked {
		w.put(contConntracked, func() {})
	}
	w.unrolled(c.Actions)
	if len(c.ActionSet) > 0 {
		w.actions(contActionSet, c.ActionSet)
	}
	if c.ODPPort != 0 {
		w.u32(contODPPort, &c.ODPPort)
	}
	return w.err
}

// unrolled writes actions: those of each rule in a property, before it what is different about the rule.
func (w *propWriter) unrolled(list []Action) {
	var was, is Unroll
	rule := func() {
		if is.Table != was.Table {
			w.u8(contTable, &is.Table)
		}
		if is.Cookie != was.Cookie {
			w.put(contCookie, func() { w.e.u32(0); w.e.u64(is.Cookie) })
		}
		was = is
	}
	from := 0
	flush := func(to int) {
		if from < to {
			rule()
			w.actions(contActions, list[from:to])
		}
		from = to + 1
	}
	for i, a := range list {
		switch a := a.(type) {
		case Unroll:
			flush(i)
			is = a
		case WriteActions:
			flush(i)
			rule()
			w.actions(contWriteActions, a.Actions)
		case ClearActions:
			flush(i)
			rule()
			w.put(contClearActions, func() {})
		case Meter:
			flush(i)
			rule()
			w.u32(contMeter, &a.ID)
		}
	}
	flush(len(list))
}

// actions writes a property of actions. What is an instruction in the version is written as the action that does
// the same.
func (w *propWriter) actions(typ uint16, list []Action) {
	if w.err != nil {
		return
	}
	var err error
	w.put(typ, func() {
		w.e.u32(0)
		plain := make([]Action, 0, len(list))
		for _, a := range list {
			switch a := a.(type) {
			case GotoTable:
				plain = append(plain, Resubmit{InPort: PortInPort, Table: a.Table})
			case WriteMetadata:
				f := SetField{Field: flow.Metadata, Value: u64b(a.Value & a.Mask), Mask: u64b(a.Mask)}
				if a.Mask == ^uint64(0) {
					f.Mask = nil
				}
				plain = append(plain, f)
			default:
				plain = append(plain, a)
			}
		}
		err = w.e.actions(plain)
	})
	if w.err == nil {
		w.err = err
	}
}
