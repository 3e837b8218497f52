package openflow

// maxActionDepth bounds how deep clone, ct and write_actions may nest.
const maxActionDepth = 32

// actionKind is one row of an action table: the versions that have the number, how long the action is, and
// who reads it. A variable action is at least size bytes long. The function gets the whole action.
type actionKind struct {
	lo, hi   Version
	size     int
	variable bool
	decode   func(d *actionDecoder, b []byte) (Action, error)
}

// actionDecoder reads lists of actions of one message.
type actionDecoder struct {
	v     Version
	st    *State
	depth int
}

func (d *decoder) actions(b []byte) ([]Action, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d.acts = actionDecoder{v: d.v, st: d.st}
	return d.acts.list(b)
}

// loneActions reads the actions of a packet-out or a bucket. Of a flow's CheckActions looks at all that it does.
func (d *decoder) loneActions(b []byte) ([]Action, error) {
	list, err := d.actions(b)
	if err == nil {
		err = checkConjunctions(list)
	}
	return list, err
}

// list reads a list of actions that fills b.
func (d *actionDecoder) list(b []byte) ([]Action, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if d.depth >= maxActionDepth {
		return nil, bad(ActionTooMany, "actions nested more than %d deep", maxActionDepth)
	}
	d.depth++
	defer func() { d.depth-- }()
	if len(b)%8 != 0 {
		return nil, bad(ActionBadLen, "%d bytes of actions", len(b))
	}
	out := make([]Action, 0, min(len(b)/16+1, 32))
	for len(b) > 0 {
		n := int(be16(b[2:]))
		if n < 8 || n%8 != 0 || n > len(b) {
			return nil, bad(ActionBadLen, "action %d of %d bytes in %d", be16(b), n, len(b))
		}
		a, err := d.one(b[:n])
		if err != nil {
			return nil, err
		}
		out, b = append(out, a), b[n:]
	}
	return out, nil
}

func (d *actionDecoder) one(b []byte) (Action, error) {
	typ := be16(b)
	num := typ
	var k actionKind
	switch {
	case typ == 0xffff:
		if len(b) < 16 {
			return nil, bad(ActionBadLen, "experimenter action of %d bytes", len(b))
		}
		num = be16(b[8:])
		switch vendor := be32(b[4:]); {
		case vendor == nx:
			if int(num) < len(nxActions) {
				k = nxActions[num]
			}
		case vendor == onf && num == 3200:
			k = onfCopyField
		case vendor != onf:
			return nil, bad(ActionBadExperimenter, "action of experimenter 0x%08x", vendor)
		}
		if k.decode == nil || d.v < k.lo || d.v > k.hi {
			return nil, bad(ActionBadExperimenterType, "experimenter action %d", num)
		}
	case d.v == V10:
		if int(typ) < len(actions10) {
			k = actions10[typ]
		}
	case int(typ) < len(actions11):
		k = actions11[typ]
	}
	if k.decode == nil || d.v < k.lo || d.v > k.hi {
		return nil, bad(ActionBadType, "action %d", typ)
	}
	if len(b) < k.size || !k.variable && len(b) != k.size {
		return nil, bad(ActionBadLen, "action %d of %d bytes", num, len(b))
	}
	return k.decode(d, b)
}

// The tables are filled at start, because their functions reach them again through nested actions.
var (
	actions10, actions11, nxActions []actionKind
	onfCopyField                    actionKind
)

func init() {
	actions10, actions11, nxActions = actionTable10(), actionTable11(), actionTableNX()
	onfCopyField = actionKind{V13, V14, 24, true, decodeONFCopyField}
}

// simple is a row for an action without arguments.
func simple(a Action) func(*actionDecoder, []byte) (Action, error) {
	return func(*actionDecoder, []byte) (Action, error) { return a, nil }
}

// actions writes a list of actions.
func (e *encoder) actions(list []Action) error {
	for _, a := range list {
		if err := e.action(a); err != nil {
			return err
		}
	}
	return nil
}

// nxAction writes an extension action: the header, what f appends, and padding.
func (e *encoder) nxAction(sub uint16, f func()) error {
	at := len(e.b)
	e.u16(0xffff, 0)
	e.u32(nx)
	e.u16(sub)
	if f == nil {
		e.zero(6)
	} else {
		f()
		e.alignFrom(at)
	}
	return e.setLen(at, 2)
}

func cannot(a Action, v Version) error {
	return bad(NXUnencodable, "action %T in OpenFlow 1.%d", a, v-V10)
}
