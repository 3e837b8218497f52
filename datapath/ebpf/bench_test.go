package ebpf

import (
	"context"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// The port of the benchmarks is lo: nothing is sent.
func benchDatapath(b *testing.B, maxFlows int) (*Datapath, odp.Port) {
	b.Helper()
	d, err := Open(context.Background(), Options{Name: "bench", MaxFlows: maxFlows, MaxPorts: 64, RingBytes: 1 << 20, Handlers: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close(true) })
	n, err := d.PortAdd(datapath.PortSpec{Name: "lo", Number: odp.PortNone})
	if err != nil {
		b.Fatal(err)
	}
	return d, n
}

// BenchmarkProgram measures the ingress program per packet, the test run's own work included:
// "unknown port" is that work alone.
func BenchmarkProgram(b *testing.B) {
	d, n := benchDatapath(b, 4096)
	run := func(name string, acts ...odp.Action) {
		b.Run(name, func(b *testing.B) {
			f := udpFlow(n, 0, 0, acts...)
			f.Match.Set(flow.EthDst, 0x020000000002)
			f.Match.Set(flow.EthSrc, 0x020000000001)
			if _, err := d.FlowPut(f); err != nil {
				b.Fatal(err)
			}
			r, err := d.TestRun(n, udp(1, 2), 0, 0, max(b.N, 1000000))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(r.Time), "ns/packet")
		})
	}
	out := odp.Output{Port: n}
	set := func(id flow.FieldID, v ...byte) odp.Action {
		return odp.Set{Fields: []odp.FieldSet{{Field: id, Value: v}}}
	}
	run("output", out)
	run("drop", odp.Drop{})
	run("set_eth", set(flow.EthDst, 2, 0, 0, 0, 0, 2), out)
	run("set_ttl", set(flow.NwTTL, 64), out)
	run("set_ports", set(flow.UDPSrc, 0, 1), out)
}

func BenchmarkFlowPutDel(b *testing.B) {
	d, n := benchDatapath(b, 100000)
	acts := []odp.Action{odp.Output{Port: n}}
	for i := 0; b.Loop(); i++ {
		ref, err := d.FlowPut(udpFlow(n, uint64(i)&0xffff+1, 9, acts...))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.FlowDel(ref); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDump(b *testing.B) {
	d, n := benchDatapath(b, 50000)
	for i := range 50000 {
		if _, err := d.FlowPut(udpFlow(n, uint64(i)+1, 9, odp.Output{Port: n})); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		d.FlowDump(func(datapath.FlowRef, *datapath.Flow, datapath.FlowStats) bool { return true })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/50000, "ns/flow")
}
