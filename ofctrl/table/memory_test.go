package table

import (
	"runtime"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// ruleBytes bounds what a rule takes with its match and actions, at the shapes of OVN's tables.
const ruleBytes = 1024

// TestMemory fills tables with the shapes that ovn-controller makes most: some masks of metadata, registers, addresses
// and ports, each with many values, and actions that load registers and resubmit.
func TestMemory(t *testing.T) {
	const rules = 60_000
	shapes := [][]flow.FieldID{
		{flow.Metadata},
		{flow.Metadata, flow.Reg14},
		{flow.Metadata, flow.EthDst},
		{flow.Metadata, flow.Reg14, flow.EthSrc},
		{flow.Metadata, flow.EthType, flow.IPv4Dst},
		{flow.Metadata, flow.EthType, flow.Reg0, flow.IPv4Src, flow.IPv4Dst},
		{flow.Metadata, flow.EthType, flow.NwProto, flow.IPv4Dst, flow.TCPDst},
		{flow.Metadata, flow.Reg15, flow.EthType, flow.IPv6Dst},
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	tables := New(Options{})
	for i := range rules {
		fm := &openflow.FlowMod{
			Table: uint8(i % 60), Priority: uint16(100 + i%7), NewCookie: uint64(i), OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
			Actions: []openflow.Action{
				openflow.SetField{Field: flow.Reg15, Value: []byte{0, 0, 0, byte(i)}}, openflow.SetField{Field: flow.Reg10, Value: []byte{0, 0, 0, 1}}, openflow.Resubmit{Table: uint8(i%60 + 1)},
			},
		}
		for n, f := range shapes[i/60%len(shapes)] {
			v := uint64(i/60/len(shapes)*31 + n)
			switch f {
			case flow.EthType:
				v = 0x0800
			case flow.NwProto:
				v = 6
			case flow.IPv6Dst:
				fm.Match.Key.SetBytes(f, []byte{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(v >> 8), byte(v)})
				fm.Match.Mask.SetExact(f)
				continue
			}
			fm.Match.Set(f, v)
		}
		if _, err := tables.Apply(fm); err != nil {
			t.Fatal(err)
		}
	}
	each := float64(heap()-before) / rules
	if got := tables.Total(); got < rules {
		t.Fatalf("%d rules", got)
	}
	t.Logf("%.0f bytes per rule", each)
	if each > ruleBytes {
		t.Errorf("%.0f bytes per rule, at most %d", each, ruleBytes)
	}
	runtime.KeepAlive(tables)
}
