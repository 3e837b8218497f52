package bridge

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/ovs-bpf/ovs-bpf/bridge/mac"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// mirrorBridge is a bridge of the ports p1 and p2, whose rows have their names with a "u" in front, beside one of p3.
func mirrorBridge(t *testing.T) (*Bridge, *ovsdb.Snapshot, *test.Hook) {
	t.Helper()
	log := logrus.New()
	log.Out = io.Discard
	hook := test.NewLocal(log)
	row := &ovsdb.Bridge{Name: "br0", Ports: []*ovsdb.Port{{UUID: "up1", Name: "p1"}, {UUID: "up2", Name: "p2"}}}
	other := &ovsdb.Bridge{Name: "br1", Ports: []*ovsdb.Port{{UUID: "up3", Name: "p3"}}}
	b := &Bridge{name: "br0", row: row, log: logrus.NewEntry(log), macs: mac.New[bundleID](clock.Real{}), ifaces: map[string]*iface{}}
	return b, &ovsdb.Snapshot{Bridges: []*ovsdb.Bridge{row, other}}, hook
}

// logged are the messages since the last call, with their levels.
func logged(h *test.Hook) string {
	var lines []string
	for _, e := range h.AllEntries() {
		lines = append(lines, e.Level.String()+" "+e.Message)
	}
	h.Reset()
	return strings.Join(lines, "\n")
}

func TestMirrorRows(t *testing.T) {
	twenty, short, whole := 20, 64, 65535
	broken := errors.New("erspan is not supported")
	for _, tt := range []struct {
		name  string
		row   ovsdb.Mirror
		want  *mirror
		wrong string
	}{
		{"to a port", ovsdb.Mirror{OutputPort: "up1", SelectSrcPort: []string{"up2"}, Snaplen: &short},
			&mirror{out: "p1", src: map[string]bool{"p2": true}, snaplen: 64}, ""},
		{"to a vlan", ovsdb.Mirror{OutputVLAN: &twenty, SelectAll: true, Snaplen: &whole}, &mirror{vlan: 20, all: true}, ""},
		{"to both", ovsdb.Mirror{OutputPort: "up1", OutputVLAN: &twenty}, &mirror{out: "p1"},
			"error bridge br0: mirror m specifies both output port and output vlan; ignoring output vlan"},
		{"to nothing", ovsdb.Mirror{SelectAll: true}, nil, "error bridge br0: mirror m does not specify output; ignoring"},
		{"to another bridge", ovsdb.Mirror{OutputPort: "up3"}, nil, "error bridge br0: mirror m outputs to port not on bridge"},
		{"to a port that is not", ovsdb.Mirror{OutputPort: "up2"}, &mirror{out: "p2"},
			"error bridge br0: mirror m outputs to port p2, which does not work: erspan is not supported"},
		{"from another bridge", ovsdb.Mirror{OutputPort: "up1", SelectDstPort: []string{"up2", "up3"}}, &mirror{out: "p1", dst: map[string]bool{"p2": true}},
			"warning bridge br0: mirror m cannot match on nonexistent port p3"},
		{"a filter", ovsdb.Mirror{OutputPort: "up1", Filter: "icmp"}, nil,
			"error bridge br0: mirror m has a filter, which is not supported; nothing is mirrored"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, s, hook := mirrorBridge(t)
			b.ifaces["p2"] = &iface{port: &port{name: "p2"}, err: broken}
			tt.row.UUID, tt.row.Name = "um", "m"
			b.row.Mirrors = []*ovsdb.Mirror{&tt.row}
			for range 2 {
				b.configureMirrors(s)
			}
			if diff := cmp.Diff(tt.wrong, logged(hook)); diff != "" {
				t.Errorf("logged (-want +got):\n%s", diff)
			}
			got := b.mirrors[0]
			if tt.want != nil {
				tt.want.uuid = "um"
			}
			if (got == nil) != (tt.want == nil) || got != nil && !got.equal(tt.want) {
				t.Errorf("mirror %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestMirrorPlaces: a mirror keeps its place and counters while others come and go; there are places for 32.
func TestMirrorPlaces(t *testing.T) {
	b, s, hook := mirrorBridge(t)
	rows := make([]*ovsdb.Mirror, maxMirrors+1)
	for i := range rows {
		vid := i + 1
		rows[i] = &ovsdb.Mirror{UUID: string(rune('A' + i)), Name: string(rune('A' + i)), OutputVLAN: &vid}
	}
	b.row.Mirrors = rows
	b.configureMirrors(s)
	if got := logged(hook); got != "warning bridge br0: maximum of 32 port mirrors reached, cannot create a" {
		t.Errorf("logged %q", got)
	}
	last := b.mirrors[maxMirrors-1].sent
	b.row.Mirrors = rows[2:]
	b.configureMirrors(s)
	if b.mirrors[0].uuid != "a" || b.mirrors[1] != nil || b.mirrors[maxMirrors-1].sent != last {
		t.Errorf("mirrors %+v", b.mirrors)
	}
	st := &ovsdb.Status{Mirrors: map[string]ovsdb.MirrorStatus{}}
	last.packets.Store(2)
	last.bytes.Store(120)
	b.mirrorStatus(st)
	want := map[string]int64{"tx_packets": 2, "tx_bytes": 120}
	if diff := cmp.Diff(want, st.Mirrors[b.mirrors[maxMirrors-1].uuid].Statistics); diff != "" || len(st.Mirrors) != maxMirrors-1 {
		t.Errorf("%d mirrors have statistics; of the last (-want +got):\n%s", len(st.Mirrors), diff)
	}
}
