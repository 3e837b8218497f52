package tunnel

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// options reads "key=value ...".
func options(text string) map[string]string {
	o := map[string]string{}
	for _, w := range strings.Fields(text) {
		k, v, _ := strings.Cut(w, "=")
		o[k] = v
	}
	return o
}

func TestParse(t *testing.T) {
	addr := netip.MustParseAddr
	for _, c := range []struct {
		name, typ, options string
		want               Config
		warnings           string
	}{
		{"defaults", "vxlan", "remote_ip=1.1.1.1",
			Config{Tunnel: pipeline.Tunnel{Type: "vxlan", Remote: addr("1.1.1.1"), TTL: 64, DF: true, CsumIPv6: true, DstPort: 4789}}, ""},
		{"GRE has no port", "gre", "remote_ip=1.1.1.1 dst_port=5",
			Config{Tunnel: pipeline.Tunnel{Type: "gre", Remote: addr("1.1.1.1"), TTL: 64, DF: true}}, "t: unknown gre argument 'dst_port'"},
		{"all", "geneve", "remote_ip=fc00::1 local_ip=fc00::2 key=7 out_key=0x8 tos=0x10 ttl=5 df_default=false csum=true dst_port=99 egress_pkt_mark=0x12 packet_type=legacy_l2",
			Config{Tunnel: pipeline.Tunnel{Type: "geneve", Remote: addr("fc00::1"), Local: addr("fc00::2"), Key: 8, HasKey: true, TOS: 0x10, TTL: 5,
				Csum: true, CsumIPv6: true, DstPort: 99, Mark: 0x12, SetMark: true}, InKey: 7, HasInKey: true}, ""},
		{"of the flow", "geneve", "remote_ip=flow local_ip=flow key=flow tos=inherit ttl=inherit csum=false",
			Config{Tunnel: pipeline.Tunnel{Type: "geneve", RemoteFlow: true, LocalFlow: true, KeyFlow: true, HasKey: true, InheritTOS: true, InheritTTL: true,
				TTL: 64, DF: true, DstPort: 6081}, InKeyFlow: true, HasInKey: true}, ""},
		{"group policy", "vxlan", "remote_ip=1.1.1.1 exts=gbp,foo in_key=flow",
			Config{Tunnel: pipeline.Tunnel{Type: "vxlan", Remote: addr("1.1.1.1"), TTL: 64, DF: true, CsumIPv6: true, DstPort: 4789, GBP: true},
				InKeyFlow: true, HasInKey: true}, "t: unknown extension 'foo'"},
		{"IPv4 in IPv6", "ip6gre", "remote_ip=::ffff:1.2.3.4 psk=x remote_cert=y remote_name=z",
			Config{Tunnel: pipeline.Tunnel{Type: "ip6gre", Remote: addr("1.2.3.4"), TTL: 64, DF: true}}, ""},
		{"wrong values without effect", "vxlan", "remote_ip=1.1.1.1 tos=3 ttl=0 local_ip=bad egress_pkt_mark=x foo=bar",
			Config{Tunnel: pipeline.Tunnel{Type: "vxlan", Remote: addr("1.1.1.1"), TTL: 64, DF: true, CsumIPv6: true, DstPort: 4789}},
			"t: invalid egress_pkt_mark x|t: unknown vxlan argument 'foo'|t: invalid TOS 3|t: bad vxlan 'local_ip'"},
		{"wrong TTL", "vxlan", "remote_ip=1.1.1.1 ttl=300",
			Config{Tunnel: pipeline.Tunnel{Type: "vxlan", Remote: addr("1.1.1.1"), TTL: 64, DF: true, CsumIPv6: true, DstPort: 4789}}, "t: invalid TTL 300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, warnings, err := Parse("t", c.typ, options(c.options))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			if got := strings.Join(warnings, "|"); got != c.warnings {
				t.Errorf("warnings %q, want %q", got, c.warnings)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ typ, options, want string }{
		{"vxlan", "", "t: vxlan type requires valid 'remote_ip' argument"},
		{"vxlan", "remote_ip=1.1.1", "t: bad vxlan 'remote_ip'\nt: vxlan type requires valid 'remote_ip' argument"},
		{"vxlan", "remote_ip=::", "t: vxlan type requires valid 'remote_ip' argument"},
		{"vxlan", "remote_ip=224.0.0.1", "t: multicast remote_ip=224.0.0.1 not allowed"},
		{"geneve", "remote_ip=ff02::1", "t: multicast remote_ip=ff02::1 not allowed"},
		{"geneve", "remote_ip=fe80::1%eth0", "t: bad geneve 'remote_ip'\nt: geneve type requires valid 'remote_ip' argument"},
		{"geneve", "remote_ip=fc00::1 local_ip=1.2.3.4", "t: 'remote_ip' and 'local_ip' has to be of the same address family"},
		{"geneve", "remote_ip=5.5.5.5 local_ip=flow", "t: geneve type requires 'remote_ip=flow' with 'local_ip=flow'"},
		{"vxlan", "remote_ip=5.5.5.5 packet_type=legacy_l3", "t: legacy_l3 configured on VXLAN (without GPE) tunnel that cannot carry L3 traffic"},
		{"gre", "remote_ip=5.5.5.5 packet_type=foo", "t: unknown packet_type 'foo'"},
		{"gre", "remote_ip=5.5.5.5 packet_type=ptap", "t: packet_type=ptap is not supported by this switch, only legacy_l2 is"},
		{"gre", "remote_ip=5.5.5.5 seq=true", "t: GRE sequence numbers are not supported by this switch"},
		{"vxlan", "remote_ip=5.5.5.5 exts=gpe", "t: VXLAN-GPE is not supported by this switch"},
		{"vxlan", "remote_ip=5.5.5.5 dst_port=70000", "t: invalid dst_port 70000"},
		{"vxlan", "remote_ip=5.5.5.5 key=abc", "t: invalid key abc: a key of vxlan has 24 bits"},
		{"vxlan", "remote_ip=5.5.5.5 in_key=0x1000000", "t: invalid in_key 0x1000000: a key of vxlan has 24 bits"},
		{"erspan", "remote_ip=5.5.5.5", "t: erspan tunnels are not supported by this switch, only geneve, gre, ip6gre, vxlan are"},
	} {
		_, _, err := Parse("t", c.typ, options(c.options))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %s: %v, want %s", c.typ, c.options, err, c.want)
		}
	}
}

// TestText: as the stock daemon shows the same rows.
func TestText(t *testing.T) {
	for _, c := range []struct{ typ, options, tunnel, show string }{
		{"vxlan", "remote_ip=1.1.1.1", "vxlan: ::->1.1.1.1, key=0, legacy_l2, dp port=7, ttl=64", "remote_ip=1.1.1.1"},
		{"geneve", "remote_ip=flow key=flow", "geneve: ::->flow, key=flow, legacy_l2, dp port=7, ttl=64", "key=flow remote_ip=flow"},
		{"geneve", "remote_ip=flow local_ip=flow key=flow", "geneve: flow->flow, key=flow, legacy_l2, dp port=7, ttl=64", "key=flow local_ip=flow remote_ip=flow"},
		{"gre", "remote_ip=2.2.2.2 local_ip=3.3.3.3 tos=inherit ttl=inherit df_default=false csum=true key=0",
			"gre: 3.3.3.3->2.2.2.2, key=0, legacy_l2, dp port=7, ttl=inherit, tos=inherit, df=false, csum=true",
			"csum=true df_default=false key=0 local_ip=3.3.3.3 remote_ip=2.2.2.2 tos=inherit ttl=inherit"},
		{"geneve", "remote_ip=5.5.5.5 in_key=5 out_key=flow dst_port=77 tos=0x8", "geneve: ::->5.5.5.5, key=0x5, legacy_l2, dp port=7, out_key=flow, ttl=64, tos=0x8",
			"dst_port=77 in_key=5 out_key=flow remote_ip=5.5.5.5 tos=0x8"},
		{"geneve", "remote_ip=5.5.5.5 in_key=5", "geneve: ::->5.5.5.5, key=0x5, legacy_l2, dp port=7, out_key=none, ttl=64", "in_key=5 remote_ip=5.5.5.5"},
		{"geneve", "remote_ip=5.5.5.5 out_key=6 egress_pkt_mark=0", "geneve: ::->5.5.5.5, key=0, legacy_l2, dp port=7, out_key=0x6, ttl=64",
			"egress_pkt_mark=0 out_key=6 remote_ip=5.5.5.5"},
		{"geneve", "remote_ip=5.5.5.5 in_key=7 key=8 ttl=5", "geneve: ::->5.5.5.5, key=0x7, legacy_l2, dp port=7, out_key=0x8, ttl=5",
			"in_key=7 out_key=8 remote_ip=5.5.5.5 ttl=5"},
	} {
		got, _, err := Parse("t", c.typ, options(c.options))
		if err != nil {
			t.Fatal(err)
		}
		if text := got.Text(7); text != c.tunnel {
			t.Errorf("%s:\n got %s\nwant %s", c.options, text, c.tunnel)
		}
		if diff := cmp.Diff(options(c.show), got.Options()); diff != "" {
			t.Errorf("%s: options %s", c.options, diff)
		}
	}
}

func TestDevice(t *testing.T) {
	for s, want := range map[datapath.TunnelSpec]string{
		{Type: "vxlan", DstPort: 4789}: "vxlan_sys_4789", {Type: "geneve", DstPort: 65535}: "genev_sys_65535",
		{Type: "gre"}: "gre_sys", {Type: "ip6gre"}: "ip6gre_sys",
	} {
		if got := Device(s); got != want || len(got) > 15 {
			t.Errorf("%v: %s, want %s", s, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	addr := netip.MustParseAddr
	a, b, here, there := addr("1.1.1.1"), addr("1.1.1.2"), addr("9.9.9.9"), addr("9.9.9.8")
	all := map[string]Match{
		"exact":        {Port: 1, Remote: a, Local: here, Key: 5},
		"any local":    {Port: 1, Remote: a, Key: 5},
		"any remote":   {Port: 1, RemoteFlow: true, LocalFlow: true, Key: 5},
		"to here":      {Port: 1, RemoteFlow: true, Local: here, Key: 5},
		"any key":      {Port: 1, Remote: a, Local: here, KeyFlow: true},
		"of the flow":  {Port: 1, RemoteFlow: true, LocalFlow: true, KeyFlow: true},
		"another port": {Port: 2, Remote: a, Local: here, Key: 5},
	}
	for _, c := range []struct {
		a    pipeline.Arrival
		want []string // each when those before it are not there
	}{
		{pipeline.Arrival{Src: a, Dst: here, ID: 5}, []string{"exact", "any local", "to here", "any remote", "any key", "of the flow", ""}},
		{pipeline.Arrival{Src: a, Dst: there, ID: 5}, []string{"any local", "any remote", "of the flow", ""}},
		{pipeline.Arrival{Src: b, Dst: here, ID: 5}, []string{"to here", "any remote", "of the flow", ""}},
		{pipeline.Arrival{Src: a, Dst: here, ID: 6}, []string{"any key", "of the flow", ""}},
	} {
		ports := map[Match]string{}
		for name, m := range all {
			ports[m] = name
		}
		for _, want := range c.want {
			got, ok := Find(ports, 1, c.a)
			if got != want || ok != (want != "") {
				t.Fatalf("%v: %q, want %q", c.a, got, want)
			}
			delete(ports, all[got])
		}
	}
}
