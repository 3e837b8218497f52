package ofctrl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// bundleCtl is a BUNDLE_CONTROL of OpenFlow 1.4 in hexadecimal.
func bundleCtl(xid, id, typ, flags int) string {
	return fmt.Sprintf("05210010%08x%08x%04x%04x", xid, id, typ, flags)
}

// bundleAddMsg is a BUNDLE_ADD_MESSAGE around a message.
func bundleAddMsg(xid, id, flags int, inner string) string {
	inner = strings.ReplaceAll(inner, " ", "")
	return fmt.Sprintf("0522%04x%08x%08x0000%04x%s", 16+len(inner)/2, xid, id, flags, inner)
}

// bundleErr is an error of type 17, or of another, for a request.
func bundleErr(kind int, request string) string {
	return fmt.Sprintf("0501%04x%s%08x%s", 12+len(request)/2, request[8:16], kind, request)
}

// TestBundleErrors compares what is answered to sequences of messages with what the stock switch
// (3.1) answered to them.
func TestBundleErrors(t *testing.T) {
	const (
		badID, closed, badType, badFlags, msgUnsup = 0x110002, 0x110004, 0x110006, 0x110007, 0x11000a
		badXID, failed                             = 0x110009, 0x11000d
	)
	flowIn1 := "050e0040 00000009 0000000000000000 0000000000000000 00000000 00008000 ffffffff ffffffff ffffffff 00000000 0001000c 80000004 00000001 00000000"
	overlap := "050e0038 00000009 0000000000000000 0000000000000000 00000000 00008000 ffffffff ffffffff ffffffff 00020000 00010004 00000000"
	table254 := strings.Replace(flowIn1, "00000000 00008000", "fe000000 00008000", 1)
	portMod := "05100028 00000009 00000001 00000000 020000000001 0000 00000000 00000020 00000008 00000000"
	noPort := "05100028 00000009 00000063 00000000 020000000001 0000 00000000 00000020 00000008 00000000"
	barrier := "05140008 00000009"
	ctl, add, bad := bundleCtl, bundleAddMsg, bundleErr
	for _, tt := range []struct {
		name  string
		send  []string
		want  []string
		flows int
	}{
		{"commit", []string{ctl(2, 7, 0, 3), add(9, 7, 3, flowIn1), ctl(3, 7, 2, 3), ctl(4, 7, 4, 3)},
			[]string{ctl(2, 7, 1, 0), ctl(3, 7, 3, 0), ctl(4, 7, 5, 0)}, 1},
		{"opened by the first message", []string{add(9, 7, 1, flowIn1), ctl(4, 7, 4, 1)}, []string{ctl(4, 7, 5, 0)}, 1},
		{"discard", []string{ctl(2, 7, 0, 3), add(9, 7, 3, flowIn1), ctl(3, 7, 6, 1)}, []string{ctl(2, 7, 1, 0), ctl(3, 7, 7, 0)}, 0},
		{"two at once", []string{ctl(2, 7, 0, 3), ctl(3, 8, 0, 1), add(9, 7, 3, flowIn1), ctl(4, 8, 4, 1), ctl(5, 7, 6, 3)},
			[]string{ctl(2, 7, 1, 0), ctl(3, 8, 1, 0), ctl(4, 8, 5, 0), ctl(5, 7, 7, 0)}, 0},
		{"open twice", []string{ctl(2, 7, 0, 3), ctl(3, 7, 0, 3), ctl(4, 7, 4, 3)},
			[]string{ctl(2, 7, 1, 0), bad(badID, ctl(3, 7, 0, 3)), bad(badID, ctl(4, 7, 4, 3))}, 0},
		{"close unknown", []string{ctl(2, 7, 2, 3)}, []string{bad(badID, ctl(2, 7, 2, 3))}, 0},
		{"discard unknown", []string{ctl(2, 7, 6, 3)}, []string{bad(badID, ctl(2, 7, 6, 3))}, 0},
		{"close twice", []string{ctl(2, 7, 0, 3), ctl(3, 7, 2, 3), ctl(4, 7, 2, 3), ctl(5, 7, 4, 3)},
			[]string{ctl(2, 7, 1, 0), ctl(3, 7, 3, 0), bad(closed, ctl(4, 7, 2, 3)), bad(badID, ctl(5, 7, 4, 3))}, 0},
		{"commit with other flags", []string{ctl(2, 7, 0, 3), ctl(3, 7, 4, 1), ctl(4, 7, 4, 3)},
			[]string{ctl(2, 7, 1, 0), bad(badFlags, ctl(3, 7, 4, 1)), bad(badID, ctl(4, 7, 4, 3))}, 0},
		{"close with other flags", []string{ctl(2, 7, 0, 3), ctl(3, 7, 2, 1), ctl(4, 7, 4, 3)},
			[]string{ctl(2, 7, 1, 0), bad(badFlags, ctl(3, 7, 2, 1)), bad(badID, ctl(4, 7, 4, 3))}, 0},
		{"a reply", []string{ctl(2, 7, 1, 3)}, []string{bad(badType, ctl(2, 7, 1, 3))}, 0},
		{"add after close", []string{ctl(2, 7, 0, 3), ctl(3, 7, 2, 3), add(9, 7, 3, flowIn1), ctl(5, 7, 4, 3)},
			[]string{ctl(2, 7, 1, 0), ctl(3, 7, 3, 0), bad(closed, add(9, 7, 3, flowIn1)), bad(badID, ctl(5, 7, 4, 3))}, 0},
		{"add with other flags", []string{ctl(2, 7, 0, 3), add(9, 7, 1, flowIn1), ctl(5, 7, 4, 3)},
			[]string{ctl(2, 7, 1, 0), bad(badFlags, add(9, 7, 1, flowIn1)), bad(badID, ctl(5, 7, 4, 3))}, 0},
		{"add to a read-only table", []string{ctl(2, 7, 0, 3), add(9, 7, 3, table254), ctl(5, 7, 4, 3)},
			[]string{ctl(2, 7, 1, 0), bad(0x10005, add(9, 7, 3, table254)), ctl(5, 7, 5, 0)}, 0},
		{"add of another message", []string{add(9, 7, 3, barrier)}, []string{bad(msgUnsup, add(9, 7, 3, barrier))}, 0},
		{"another xid", []string{add(8, 7, 3, flowIn1)}, []string{bad(badXID, add(8, 7, 3, flowIn1))}, 0},
		{"failing message", []string{ctl(2, 7, 0, 3), add(9, 7, 3, flowIn1), add(9, 7, 3, overlap), ctl(5, 7, 4, 3)},
			[]string{ctl(2, 7, 1, 0), bad(0x50003, add(9, 7, 3, overlap)), bad(failed, ctl(5, 7, 4, 3))}, 0},
		{"not atomic, failing", []string{add(9, 7, 0, flowIn1), add(9, 7, 0, overlap), ctl(5, 7, 4, 0)},
			[]string{bad(0x50003, add(9, 7, 0, overlap)), bad(failed, ctl(5, 7, 4, 0))}, 0},
		{"port mod in an atomic bundle", []string{add(9, 7, 1, flowIn1), add(9, 7, 1, portMod), ctl(5, 7, 4, 1)},
			[]string{bad(failed, add(9, 7, 1, portMod)), bad(failed, ctl(5, 7, 4, 1))}, 0},
		{"port mod", []string{add(9, 7, 2, flowIn1), add(9, 7, 2, portMod), ctl(5, 7, 4, 2)}, []string{ctl(5, 7, 5, 0)}, 1},
		{"port mod without a port", []string{add(9, 7, 2, flowIn1), add(9, 7, 2, noPort), ctl(5, 7, 4, 2)},
			[]string{bad(0x70000, add(9, 7, 2, noPort)), bad(failed, ctl(5, 7, 4, 2))}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, false, nil)
			b.SetFailMode(true)
			p := b.dial()
			p.hello("05")
			p.write(strings.Join(tt.send, "") + "05140008000000ee")
			for _, w := range append(tt.want, "05150008000000ee") {
				p.expect(w)
			}
			b.mu.RLock()
			defer b.mu.RUnlock()
			if got := b.tables.Len(0); got != tt.flows {
				t.Errorf("%d flows, want %d", got, tt.flows)
			}
		})
	}
}

// A bundle that nobody uses ends with an error for what opened it.
func TestBundleTimeout(t *testing.T) {
	b := newBench(t, true, nil)
	p := b.dial()
	p.hello("05")
	p.write(bundleCtl(2, 7, 0, 3))
	p.expect(bundleCtl(2, 7, 1, 0))
	var got string
	read := make(chan string)
	go func() { read <- p.read() }()
	start := b.clock.Now()
	b.advance(time.Second, "the timeout", func() bool {
		select {
		case got = <-read:
			return true
		default:
			return false
		}
	})
	if got != bundleErr(0x11000e, bundleCtl(2, 7, 0, 3)) {
		t.Errorf("got %s", got)
	}
	if d := b.clock.Now().Sub(start); d < bundleIdle {
		t.Errorf("after %v", d)
	}
	p.write(bundleCtl(3, 7, 4, 3))
	p.expect(bundleErr(0x110002, bundleCtl(3, 7, 4, 3)))
}

func TestBundleLimit(t *testing.T) {
	b := newBench(t, false, nil)
	p := b.dial()
	p.hello("05")
	for id := range maxBundles {
		p.write(bundleCtl(2, id, 0, 3))
		p.expect(bundleCtl(2, id, 1, 0))
	}
	p.write(bundleCtl(3, maxBundles, 0, 3))
	p.expect(bundleErr(0x110005, bundleCtl(3, maxBundles, 0, 3)))
}

// TestOfctlBundles drives bundles with the stock ovs-ofctl.
func TestOfctlBundles(t *testing.T) {
	for _, v := range []string{"OpenFlow13", "OpenFlow14", "OpenFlow15"} {
		t.Run(v, func(t *testing.T) {
			b := newBench(t, false, nil)
			b.SetFailMode(true)
			file := func(lines ...string) string {
				name := filepath.Join(b.dir, "flows")
				if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return name
			}
			ofctl := func(args ...string) string { return b.ofctl(append([]string{"-O", v}, args...)...) }
			check := func(out string, want ...string) {
				t.Helper()
				if out != "" {
					t.Error(out)
				}
				got := ofctl("--no-stats", "dump-flows", "BR")
				if d := cmp.Diff(strings.Join(want, "\n"), got); d != "" {
					t.Errorf("flows (-want +got):\n%s", d)
				}
			}
			changes := b.host.tableChanges()
			check(ofctl("--bundle", "add-flows", "BR", file("priority=2,in_port=1 actions=output:2", "priority=1 actions=drop", "delete table=3",
				"modify in_port=1 actions=output:3")), " priority=2,in_port=1 actions=output:3", " priority=1 actions=drop")
			if n := b.host.tableChanges() - changes; n != 1 {
				t.Errorf("%d changes of tables, want 1", n)
			}
			out := ofctl("--bundle", "add-flows", "BR", file("delete", "priority=9,in_port=7 actions=drop", "check_overlap,priority=9,tcp actions=drop"))
			for _, want := range []string{"OFPFMFC_OVERLAP", "OFPBFC_MSG_FAILED"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %s in:\n%s", want, out)
				}
			}
			check("", " priority=2,in_port=1 actions=output:3", " priority=1 actions=drop")

			flows := file("priority=1 actions=drop", "priority=3,in_port=2 actions=output:1", "table=1,priority=4,tcp actions=NORMAL")
			if got := ofctl("diff-flows", "BR", flows); got != "-priority=2,in_port=1 actions=output:3\n+priority=3,in_port=2 actions=output:1\n+table=1 priority=4,tcp actions=NORMAL" {
				t.Errorf("diff-flows:\n%s", got)
			}
			check(ofctl("--bundle", "replace-flows", "BR", flows),
				" priority=3,in_port=2 actions=output:1", " priority=1 actions=drop", " table=1, priority=4,tcp actions=NORMAL")
			if got := ofctl("diff-flows", "BR", flows); got != "" {
				t.Errorf("diff-flows after replace-flows:\n%s", got)
			}
			check(ofctl("replace-flows", "BR", file("priority=7 actions=drop")), " priority=7 actions=drop")
			check(ofctl("--bundle", "del-flows", "BR"))
			check(ofctl("bundle", "BR", file("flow add priority=5,actions=drop", "packet-out in_port=controller packet=ffffffffffff0200000000010800 actions=output:1",
				"flow modify priority=5,actions=output:2")), " priority=5 actions=output:2")
			b.host.mu.Lock()
			if len(b.host.packetOuts) != 1 {
				t.Errorf("%d packet-outs", len(b.host.packetOuts))
			}
			b.host.mu.Unlock()
		})
	}
}

// TestBigBundle commits 100,000 messages.
func TestBigBundle(t *testing.T) {
	b := newBench(t, false, nil)
	b.SetFailMode(true)
	var lines strings.Builder
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&lines, "table=%d,priority=%d,metadata=%d,ip,nw_dst=10.%d.%d.0/24,actions=load:%d->NXM_NX_REG0[],resubmit(,8)\n", i%64, i%8, i%1000, i>>8&0xff, i&0xff, i)
	}
	name := filepath.Join(b.dir, "flows")
	if err := os.WriteFile(name, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if out := b.ofctl("-O", "OpenFlow15", "--bundle", "add-flows", "BR", name); strings.Contains(out, "OFPT_") || strings.Contains(out, "ovs-ofctl: ") {
		t.Fatal(out)
	}
	t.Logf("ovs-ofctl took %v", time.Since(start))
	b.mu.RLock()
	defer b.mu.RUnlock()
	if got := b.tables.Total() - 4; got != n {
		t.Errorf("%d flows", got)
	}
	if n := b.host.tableChanges(); n > 3 {
		t.Errorf("%d changes of tables", n)
	}
}

// TestBundlesAreAtomic sends random bundles: one with a message that fails leaves the tables as they
// were, and one without is as if its messages had come alone.
func TestBundlesAreAtomic(t *testing.T) {
	b := newBench(t, true, nil)
	b.SetFailMode(true)
	alone := newBench(t, true, nil)
	alone.SetFailMode(true)
	p, q := b.dial(), alone.dial()
	p.hello("06")
	q.hello("06")
	encode := func(t *rapid.T, xid uint32, m openflow.Message) []byte {
		out, err := openflow.Encode(openflow.V15, xid, m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// talk sends, and returns the types of the answers before that of a barrier.
	talk := func(t *rapid.T, p *peer, b []byte) (types []byte) {
		if _, err := p.nc.Write(append(b, encode(t, 99, &openflow.BarrierRequest{})...)); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := openflow.ReadMessage(p.r, 0)
			if err != nil {
				t.Fatal(err)
			}
			if m[1] == 21 {
				return types
			}
			types = append(types, m[1])
		}
	}
	picture := func(b *bench) (lines []string) {
		b.mu.RLock()
		defer b.mu.RUnlock()
		b.tables.Each(table.All(), func(r *table.Rule) {
			lines = append(lines, fmt.Sprint(r.Table, r.Priority, r.Match(), r.Cookie, r.Idle, r.Actions, r.Flags, r.Created, r.Modified, r.Stats()))
		})
		return lines
	}
	drawn := func(t *rapid.T) *openflow.FlowMod {
		m := &openflow.FlowMod{
			Command: rapid.SampledFrom([]openflow.FlowModCommand{0, 0, 0, 0, 1, 2, 3, 4}).Draw(t, "command"),
			Table:   rapid.Uint8Range(0, 2).Draw(t, "table"), Priority: rapid.Uint16Range(0, 2).Draw(t, "priority"),
			NewCookie: rapid.Uint64Range(0, 3).Draw(t, "cookie"), BufferID: openflow.NoBuffer,
			OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
		}
		if m.Command <= openflow.FlowModifyStrict {
			m.Idle = rapid.Uint16Range(0, 2).Draw(t, "idle") * 1000
			m.Actions = []openflow.Action{openflow.Output{Port: openflow.PortNo(rapid.Uint32Range(1, 3).Draw(t, "out"))}}
		}
		if rapid.Bool().Draw(t, "in_port") {
			m.Match.Set(flow.InPortOXM, rapid.Uint64Range(1, 3).Draw(t, "port"))
		}
		return m
	}
	rapid.Check(t, func(t *rapid.T) {
		b.clock.Advance(time.Millisecond)
		alone.clock.Advance(time.Millisecond)
		before := picture(b)
		mods := rapid.SliceOfN(rapid.Custom(drawn), 1, 20).Draw(t, "mods")
		fail := rapid.IntRange(-1, len(mods)).Draw(t, "fails at")
		var bundle, single []byte
		for i := range len(mods) + 1 {
			if i == fail { // every match overlaps with one of the two
				for _, n := range []int{0, 1} {
					m := &openflow.FlowMod{Table: 9, Priority: 1, BufferID: openflow.NoBuffer, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny, Flags: openflow.FlagCheckOverlap}
					if n == 0 {
						m.Match.Set(flow.Metadata, 1)
					}
					bundle = append(bundle, encode(t, 5, &openflow.BundleAdd{ID: 1, Flags: 3, Message: m})...)
				}
			}
			if i < len(mods) {
				bundle = append(bundle, encode(t, 5, &openflow.BundleAdd{ID: 1, Flags: 3, Message: mods[i]})...)
				single = append(single, encode(t, 5, mods[i])...)
			}
		}
		bundle = append(bundle, encode(t, 6, &openflow.BundleControl{ID: 1, Type: 4, Flags: 3})...)
		got := talk(t, p, bundle)
		if fail >= 0 {
			if string(got) != "\x01\x01" {
				t.Fatalf("answers %v", got)
			}
			if d := cmp.Diff(before, picture(b)); d != "" {
				t.Fatalf("after a failed bundle (-want +got):\n%s", d)
			}
			return
		}
		if string(got) != "\x21" {
			t.Fatalf("answers %v", got)
		}
		if got := talk(t, q, single); len(got) != 0 {
			t.Fatalf("answers %v", got)
		}
		if d := cmp.Diff(picture(alone), picture(b)); d != "" {
			t.Fatalf("after a bundle (-want +got):\n%s", d)
		}
	})
}
