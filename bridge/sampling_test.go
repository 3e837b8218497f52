package bridge

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/bridge/ipfix"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// TestSampledTunnel: a record tells of the tunnel that the packet goes into, or else of the one that it came by.
func TestSampledTunnel(t *testing.T) {
	v := &view{ports: map[openflow.PortNo]*pipeline.Port{
		1: {No: 1}, 2: {No: 2, Tunnel: &pipeline.Tunnel{Type: "vxlan"}}, 3: {No: 3, Tunnel: &pipeline.Tunnel{Type: "gre"}},
	}}
	near, far := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	out := pipeline.SampledTunnel{Type: "geneve", Src: near, Dst: far, ID: 0x123456, DstPort: 6081}
	arrived := func(in, to openflow.PortNo) *pipeline.Sample {
		s := &pipeline.Sample{SampleSource: pipeline.SampleSource{InPort: in, OutPort: to}}
		s.Key.SetBytes(flow.TunSrc, far.AsSlice())
		s.Key.SetBytes(flow.TunDst, near.AsSlice())
		s.Key.Set(flow.TunID, 7)
		s.Key.Set(flow.TunTPSrc, 1000)
		s.Key.Set(flow.TunTPDst, 4789)
		return s
	}
	into := arrived(2, 1)
	into.Tunnel = out
	for _, tt := range []struct {
		name   string
		sample *pipeline.Sample
		want   *ipfix.Tunnel
	}{
		{"none", &pipeline.Sample{SampleSource: pipeline.SampleSource{InPort: 1, OutPort: openflow.PortAny}}, nil},
		{"came by VXLAN", arrived(2, openflow.PortAny), &ipfix.Tunnel{Type: ipfix.TunnelVXLAN, Src: far, Dst: near, Protocol: 17, SrcPort: 1000, DstPort: 4789, Key: []byte{0, 0, 7}}},
		{"came by GRE", arrived(3, openflow.PortAny), &ipfix.Tunnel{Type: ipfix.TunnelGRE, Src: far, Dst: near, Protocol: 47, SrcPort: 1000, DstPort: 4789, Key: []byte{0, 0, 0, 7}}},
		{"came by VXLAN, goes out without", arrived(2, 1), nil},
		{"goes into Geneve", into, &ipfix.Tunnel{Type: ipfix.TunnelGeneve, Src: near, Dst: far, Protocol: 17, DstPort: 6081, Key: []byte{0x12, 0x34, 0x56}}},
	} {
		if diff := cmp.Diff(tt.want, v.sampledTunnel(tt.sample), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
