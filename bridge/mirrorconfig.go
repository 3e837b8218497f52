package bridge

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/ovs-bpf/ovs-bpf/bridge/vlan"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// maxMirrors is how many mirrors a bridge can have, as in OVS.
const maxMirrors = 32

// mirror is a Mirror row that works. Its place among the bridge's is its bit in a pipeline.MirrorSet. Ports are named by
// their rows' names.
type mirror struct {
	uuid     string
	all      bool // ports are selected
	src, dst map[string]bool
	vlans    *vlan.Set // that are selected; nil: all
	out      string    // "": to a VLAN
	vlan     uint16
	snaplen  uint32 // 0: the whole packet
	sent     *traffic
}

func (m *mirror) equal(o *mirror) bool {
	return m.uuid == o.uuid && m.all == o.all && maps.Equal(m.src, o.src) && maps.Equal(m.dst, o.dst) &&
		(m.vlans == nil) == (o.vlans == nil) && (m.vlans == nil || *m.vlans == *o.vlans) && m.out == o.out && m.vlan == o.vlan && m.snaplen == o.snaplen
}

// sameOutput reports whether a copy for one is a copy for the other.
func (m *mirror) sameOutput(o *mirror) bool {
	return m.out == o.out && (m.out != "" || m.vlan == o.vlan)
}

// complaint is what is wrong with a Mirror row.
type complaint struct {
	level logrus.Level
	text  string
}

// configureMirrors makes the mirrors that the bridge's rows ask for. Those that stay keep their places and counters. As in OVS a
// change has the bridge learn its addresses anew: ports become or cease to be outputs.
func (b *Bridge) configureMirrors(s *ovsdb.Snapshot) {
	names := rowNames(s)
	var wrong []complaint
	want := map[string]*mirror{}
	for _, row := range b.row.Mirrors {
		m, w := b.mirror(row, names)
		wrong = append(wrong, w...)
		if m != nil {
			want[m.uuid] = m
		}
	}
	changed := false
	for i, m := range b.mirrors {
		if m == nil {
			continue
		}
		now := want[m.uuid]
		if now != nil {
			now.sent = m.sent
			delete(want, m.uuid)
		}
		if now == nil || !now.equal(m) {
			b.mirrors[i], changed = now, true
		}
	}
	for _, row := range b.row.Mirrors {
		m := want[row.UUID]
		if m == nil {
			continue
		}
		i := slices.Index(b.mirrors[:], nil)
		if i < 0 {
			wrong = append(wrong, complaint{logrus.WarnLevel, fmt.Sprintf("maximum of %d port mirrors reached, cannot create %s", maxMirrors, row.Name)})
			continue
		}
		m.sent = new(traffic)
		b.mirrors[i], changed = m, true
	}
	if changed {
		b.macs.Flush()
		b.snooping.flush()
	}
	b.grumble(wrong)
}

// grumble logs what is newly wrong with mirrors.
func (b *Bridge) grumble(wrong []complaint) {
	now := map[complaint]bool{}
	for _, c := range wrong {
		if !now[c] && !b.grumbles[c] {
			b.log.Logf(c.level, "bridge %s: %s", b.name, c.text)
		}
		now[c] = true
	}
	b.grumbles = now
}

// rowNames are the names of all Port rows by UUID.
func rowNames(s *ovsdb.Snapshot) map[string]string {
	names := map[string]string{}
	for _, b := range s.Bridges {
		for _, p := range b.Ports {
			names[p.UUID] = p.Name
		}
	}
	return names
}

// mirror reads a Mirror row, and says what is wrong with it; nil: nothing can be mirrored.
func (b *Bridge) mirror(row *ovsdb.Mirror, names map[string]string) (*mirror, []complaint) {
	var wrong []complaint
	say := func(level logrus.Level, format string, args ...any) {
		wrong = append(wrong, complaint{level, "mirror " + row.Name + " " + fmt.Sprintf(format, args...)})
	}
	here := map[string]string{} // names of the bridge's ports
	for _, p := range b.row.Ports {
		here[p.UUID] = p.Name
	}
	m := &mirror{uuid: row.UUID, all: row.SelectAll, src: map[string]bool{}, dst: map[string]bool{}}
	switch {
	case row.Filter != "":
		say(logrus.ErrorLevel, "has a filter, which is not supported; nothing is mirrored")
		return nil, wrong
	case row.OutputPort != "":
		if m.out = here[row.OutputPort]; m.out == "" {
			say(logrus.ErrorLevel, "outputs to port not on bridge")
			return nil, wrong
		}
		if row.OutputVLAN != nil {
			say(logrus.ErrorLevel, "specifies both output port and output vlan; ignoring output vlan")
		}
		if err := b.portError(m.out); err != nil {
			say(logrus.ErrorLevel, "outputs to port %s, which does not work: %v", m.out, err)
		}
	case row.OutputVLAN != nil:
		m.vlan = uint16(*row.OutputVLAN)
	default:
		say(logrus.ErrorLevel, "does not specify output; ignoring")
		return nil, wrong
	}
	if n := value(row.Snaplen, math.MaxUint16); n > 0 && n < math.MaxUint16 {
		m.snaplen = uint32(n)
	}
	if !m.all {
		for set, rows := range map[*map[string]bool][]string{&m.src: row.SelectSrcPort, &m.dst: row.SelectDstPort} {
			for _, id := range rows {
				if name := here[id]; name != "" {
					(*set)[name] = true
				} else {
					say(logrus.WarnLevel, "cannot match on nonexistent port %s", cmp.Or(names[id], id))
				}
			}
		}
	}
	m.vlans = vlan.NewSet(row.SelectVLAN)
	return m, wrong
}

// portError is why no interface of a port works; nil: one does.
func (b *Bridge) portError(name string) (err error) {
	for _, i := range b.ifaces {
		switch {
		case i.port == nil || i.port.name != name:
		case i.err == nil:
			return nil
		default:
			err = i.err
		}
	}
	return err
}

// mirrorOutput reports whether a port is for mirrors' copies only.
func (b *Bridge) mirrorOutput(name string) bool {
	for _, m := range b.mirrors {
		if m != nil && m.out == name {
			return true
		}
	}
	return false
}

// viewMirrors adds the mirrors to a view that has all else.
func (b *Bridge) viewMirrors(v *view) {
	for i, m := range b.mirrors {
		if m == nil {
			continue
		}
		if v.mirrors == nil {
			v.mirrors = make([]mirrorView, maxMirrors)
		}
		w := &v.mirrors[i]
		*w = mirrorView{vlans: m.vlans, toVLAN: m.out == "", vlan: m.vlan, snaplen: m.snaplen, sent: m.sent}
		for j, o := range b.mirrors {
			if o != nil && m.sameOutput(o) {
				w.same |= 1 << j
			}
		}
		bit := pipeline.MirrorSet(1) << i
		for _, port := range v.bundles {
			if port.name == m.out {
				w.out = port
			}
			for _, p := range port.members {
				p.MirrorOutput = p.MirrorOutput || port.name == m.out
				if m.all || m.src[port.name] {
					p.MirrorsIn |= bit
				}
				if m.all || m.dst[port.name] {
					p.MirrorsOut |= bit
				}
			}
		}
	}
}

// mirrorStatus adds what the mirrors have copied: packets, and their bytes before they were shortened.
func (b *Bridge) mirrorStatus(st *ovsdb.Status) {
	for _, m := range b.mirrors {
		if m != nil {
			st.Mirrors[m.uuid] = ovsdb.MirrorStatus{Statistics: map[string]int64{
				"tx_packets": int64(m.sent.packets.Load()), "tx_bytes": int64(m.sent.bytes.Load()),
			}}
		}
	}
}
