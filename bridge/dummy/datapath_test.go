package dummy

import (
	"bytes"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// newTest makes a datapath over simulated devices.
func newTest(t *testing.T) (*Datapath, *netdev.Sim) {
	t.Helper()
	c := clock.NewManual(time.Unix(1000, 0))
	devices := netdev.NewSim(c)
	d, err := New(c, devices)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close(true)
		devices.Close()
	})
	return d, devices
}

func TestPortNumbers(t *testing.T) {
	d, _ := newTest(t)
	for _, c := range []struct {
		name string
		ask  odp.Port
		want odp.Port
	}{
		{"p3", odp.PortNone, 3},
		{"br0", odp.PortNone, 100},
		{"br17", odp.PortNone, 117},
		{"int-br5", odp.PortNone, 5},
		{"q3", odp.PortNone, 1}, // 3 is taken: the first that is free
		{"nothing", odp.PortNone, 2},
		{"x0", odp.PortNone, 4}, // 0 is the datapath's own
		{"big99999999999999999999", odp.PortNone, 6},
		{"p70000", odp.PortNone, 7},
		{"p65535", odp.PortNone, 65535},
		{"p9", 40, 40}, // who asks gets what it asks for
	} {
		if got, err := d.PortAdd(datapath.PortSpec{Name: c.name, Number: c.ask}); err != nil || got != c.want {
			t.Errorf("%s: port %d, %v; want %d", c.name, got, err, c.want)
		}
	}
	if _, err := d.PortAdd(datapath.PortSpec{Name: Name, Number: odp.PortNone}); err == nil {
		t.Error("the datapath's own name was taken")
	}
}

// TestWire sends a frame from one device to the other, and none after the port is gone.
func TestWire(t *testing.T) {
	d, devices := newTest(t)
	var dev []*netdev.SimDevice
	for _, name := range []string{"p1", "p2"} {
		o, err := devices.Open(netdev.OpenSpec{Name: name, Type: netdev.Dummy})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.PortAdd(datapath.PortSpec{Name: name, Number: odp.PortNone}); err != nil {
			t.Fatal(err)
		}
		dev = append(dev, o.(*netdev.SimDevice))
	}
	var m flow.Match
	m.Set(flow.InPortOXM, 1)
	if _, err := d.FlowPut(&datapath.Flow{Match: m, Actions: []odp.Action{odp.Output{Port: 2}}}); err != nil {
		t.Fatal(err)
	}
	frame := append(bytes.Repeat([]byte{2}, 12), 0x12, 0x34)
	for range 2 {
		if err := dev[0].Receive(bytes.Clone(frame)); err != nil {
			t.Fatal(err)
		}
	}
	if sent := dev[1].Sent(); len(sent) != 2 || !bytes.Equal(sent[0].Data, frame) {
		t.Errorf("sent %v", sent)
	}
	if err := d.PortDel(1); err != nil {
		t.Fatal(err)
	}
	if err := dev[0].Receive(bytes.Clone(frame)); err != nil {
		t.Fatal(err)
	}
	if sent := dev[1].Sent(); len(sent) != 0 {
		t.Errorf("sent without a port: %v", sent)
	}
	if s, err := dev[0].Stats(); err != nil || s.RxPackets != 2 || s.RxDropped != 1 {
		t.Errorf("statistics %+v, %v", s, err)
	}
}

func TestParseWarp(t *testing.T) {
	for _, c := range []struct {
		args        []string
		total, step time.Duration
	}{
		{[]string{"5"}, 5 * time.Millisecond, 5 * time.Millisecond},
		{[]string{"1000", "300"}, time.Second, 300 * time.Millisecond},
		{[]string{"50", "300"}, 50 * time.Millisecond, 300 * time.Millisecond},
		{[]string{"0", "300"}, 300 * time.Millisecond, 300 * time.Millisecond},
	} {
		if total, step, err := parseWarp(c.args); err != nil || total != c.total || step != c.step {
			t.Errorf("%v: %v in steps of %v, %v", c.args, total, step, err)
		}
	}
	for _, bad := range [][]string{{"0"}, {"-1"}, {"x"}, {""}, {"5", "0"}, {"-5", "5"}, {"9223372036854775807"}} {
		if total, step, err := parseWarp(bad); err == nil {
			t.Errorf("%v: %v in steps of %v", bad, total, step)
		}
	}
}
