package tunnel_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet/packettest"
	"github.com/ovs-bpf/ovs-bpf/datapath/tunnel"
)

var hop = datapath.NextHop{
	Src: netip.MustParseAddr("192.0.2.1"), SrcMAC: [6]byte{2, 0, 0, 0, 0, 1}, DstMAC: [6]byte{2, 0, 0, 0, 0, 2},
}

// arp is a frame that nothing is hashed of but addresses and type.
const arp = "ffffffffffff020000000003" + "0806" + "0001080006040001" + "020000000003" + "0a000001" + "000000000000" + "0a000002"

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(set map[flow.FieldID]uint64, opts []byte, inner []byte) *flow.Key {
	var k flow.Key
	packet.Extract(inner, &k)
	for id, v := range set {
		k.Set(id, v)
	}
	k.Set(flow.TunOptsLen, uint64(len(opts)))
	copy(tunnel.Options(&k), opts)
	return &k
}

// TestBytes is the headers as RFC 7348, RFC 8926, RFC 2890 and draft-smith-vxlan-group-policy draw them.
func TestBytes(t *testing.T) {
	inner := unhex(t, arp)
	eth := "020000000002 020000000001 0800"
	dst := uint64(0xc0000202)
	for _, tc := range []struct {
		name string
		spec datapath.TunnelSpec
		set  map[flow.FieldID]uint64
		opts string
		want string // behind Ethernet
	}{
		{"vxlan", datapath.TunnelSpec{Type: "vxlan", DstPort: 4789},
			map[flow.FieldID]uint64{flow.TunID: 0x123456, flow.TunDst: dst, flow.TunTTL: 64, flow.TunTOS: 0x48, flow.TunAllFlags: flow.TunFlagDF | flow.TunFlagKey}, "",
			"4548004e 00004000 4011b653 c0000201 c0000202" + "SSSS12b5 003a0000" + "08000000 12345600"},
		{"vxlan with a group policy", datapath.TunnelSpec{Type: "vxlan", DstPort: 4789, GBP: true},
			map[flow.FieldID]uint64{flow.TunID: 1, flow.TunDst: dst, flow.TunGBPID: 0xabcd, flow.TunGBPFlags: 0x48, flow.TunAllFlags: flow.TunFlagDF}, "",
			"4500004e 00004000 4011b69b c0000201 c0000202" + "SSSS12b5 003a0000" + "8848abcd 00000100"},
		{"geneve with a critical option, for management", datapath.TunnelSpec{Type: "geneve", DstPort: 6081},
			map[flow.FieldID]uint64{flow.TunID: 0xffffff, flow.TunDst: dst, flow.TunTTL: 1, flow.TunAllFlags: flow.TunFlagDF | flow.TunFlagOAM}, "01028001deadbeef",
			"45000056 00004000 0111f593 c0000201 c0000202" + "SSSS17c1 00420000" + "02c06558 ffffff00" + "01028001 deadbeef"},
		{"gre", datapath.TunnelSpec{Type: "gre"},
			map[flow.FieldID]uint64{flow.TunDst: dst, flow.TunAllFlags: flow.TunFlagDF}, "",
			"45000042 00004000 402fb689 c0000201 c0000202" + "00006558"},
		{"gre with key and checksum", datapath.TunnelSpec{Type: "gre"},
			map[flow.FieldID]uint64{flow.TunID: 0xcafe0001, flow.TunDst: dst, flow.TunAllFlags: flow.TunFlagDF | flow.TunFlagKey | flow.TunFlagCsum}, "",
			"4500004a 00004000 402fb681 c0000201 c0000202" + "a0006558 CCCC0000 cafe0001"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := key(tc.set, unhex(t, tc.opts), inner)
			got, err := tunnel.Encapsulate(&tc.spec, k, &hop, tunnel.DefaultPorts, 0, inner)
			if err != nil {
				t.Fatal(err)
			}
			want := eth + tc.want
			if i := strings.Index(want, "SSSS"); i >= 0 {
				port := binary.BigEndian.Uint16(got[34:])
				if port < 32768 || port > 61000 {
					t.Errorf("source port %d", port)
				}
				want = strings.Replace(want, "SSSS", hex.EncodeToString(got[34:36]), 1)
			}
			if strings.Contains(want, "CCCC") {
				if c := packet.Checksum(got[34:], 0); c != 0 {
					t.Errorf("checksum is off by %#x", c)
				}
				want = strings.Replace(want, "CCCC", hex.EncodeToString(got[38:40]), 1)
			}
			if d := cmp.Diff(append(unhex(t, want), inner...), got); d != "" {
				t.Errorf("(-want +got) %s", d)
			}
		})
	}
}

// TestRoundTrip takes off what was put on.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		inner := packettest.Valid(r)
		spec := rapid.SampledFrom([]datapath.TunnelSpec{
			{Type: "vxlan", DstPort: 4789}, {Type: "vxlan", DstPort: 4790, GBP: true}, {Type: "geneve", DstPort: 6081}, {Type: "gre"},
		}).Draw(t, "spec")
		flags := rapid.Uint64Range(0, 15).Draw(t, "flags")
		set := map[flow.FieldID]uint64{flow.TunAllFlags: flags &^ flow.TunFlagDF, flow.TunTTL: 9, flow.TunTOS: rapid.Uint64Range(0, 63).Draw(t, "dscp") << 2}
		var opts []byte
		switch spec.Type {
		case "vxlan":
			set[flow.TunID] = rapid.Uint64Range(0, 1<<24-1).Draw(t, "id")
			set[flow.TunAllFlags] = flags&flow.TunFlagCsum | flow.TunFlagKey
			if spec.GBP {
				set[flow.TunGBPID] = rapid.Uint64Range(0, 0xffff).Draw(t, "gbp")
			}
		case "geneve":
			set[flow.TunID] = rapid.Uint64Range(0, 1<<24-1).Draw(t, "id")
			set[flow.TunAllFlags] = flags&^flow.TunFlagDF | flow.TunFlagKey
			for range rapid.IntRange(0, 2).Draw(t, "options") {
				n := rapid.IntRange(0, 30).Draw(t, "words")
				opts = append(append(opts, 1, 2, byte(n), byte(n)), make([]byte, 4*n)...)
			}
		default:
			set[flow.TunAllFlags] &^= flow.TunFlagOAM
			if flags&flow.TunFlagKey != 0 {
				set[flow.TunID] = rapid.Uint64Range(0, 1<<32-1).Draw(t, "id")
			}
		}
		k := key(set, opts, inner)
		src, dst := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		sf, df := flow.TunSrc, flow.TunDst
		if rapid.Bool().Draw(t, "ipv6") {
			src, dst = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
			sf, df = flow.TunIPv6Src, flow.TunIPv6Dst
		}
		k.SetBytes(sf, src.AsSlice())
		k.SetBytes(df, dst.AsSlice())
		frame, err := tunnel.Encapsulate(&spec, k, &hop, tunnel.DefaultPorts, 7, inner)
		if err != nil {
			t.Fatal(err)
		}
		var got flow.Key
		back, err := tunnel.Decapsulate(&spec, append(frame, 0, 0, 0), &got)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(inner, back); d != "" {
			t.Fatalf("(-want +got) %s", d)
		}
		if spec.Type != "gre" {
			k.Set(flow.TunTPSrc, got.Get(flow.TunTPSrc))
			k.Set(flow.TunTPDst, uint64(spec.DstPort))
		}
		at := flow.TunID.Info().Off / 8
		if d := cmp.Diff(k[at:flow.DPWords], got[at:flow.DPWords]); d != "" {
			t.Fatalf("tunnel (-want +got) %s", d)
		}
	})
}

func TestRefused(t *testing.T) {
	inner := unhex(t, arp)
	vxlan := datapath.TunnelSpec{Type: "vxlan", DstPort: 4789}
	set := map[flow.FieldID]uint64{flow.TunDst: 0xc0000202, flow.TunAllFlags: flow.TunFlagCsum}
	frame, err := tunnel.Encapsulate(&vxlan, key(set, nil, inner), &hop, tunnel.DefaultPorts, 0, inner)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte){
		"IPv4 checksum":       func(b []byte) { b[24]++ },
		"UDP checksum":        func(b []byte) { b[len(b)-1]++ },
		"another port":        func(b []byte) { b[37]++; b[40], b[41] = 0, 0 },
		"no identifier":       func(b []byte) { b[42] = 0; b[40], b[41] = 0, 0 },
		"flags of a policy":   func(b []byte) { b[42] = 0x88; b[40], b[41] = 0, 0 },
		"UDP length":          func(b []byte) { b[39]++ },
		"cut-off inner frame": func(b []byte) { b[38], b[39], b[40], b[41] = 0, 8+8+13, 0, 0 },
	} {
		f := append([]byte(nil), frame...)
		change(f)
		var k flow.Key
		if _, err := tunnel.Decapsulate(&vxlan, f, &k); !errors.Is(err, tunnel.ErrNotOurs) || k != (flow.Key{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := hop
	short.MTU = 77
	if _, err := tunnel.Encapsulate(&vxlan, key(set, nil, inner), &short, tunnel.DefaultPorts, 0, inner); !errors.Is(err, tunnel.ErrMTU) {
		t.Errorf("MTU: %v", err)
	}
	if _, err := tunnel.Encapsulate(&vxlan, key(nil, nil, inner), &hop, tunnel.DefaultPorts, 0, inner); !errors.Is(err, tunnel.ErrKey) {
		t.Errorf("no destination: %v", err)
	}
	geneve := datapath.TunnelSpec{Type: "geneve", DstPort: 6081}
	if _, err := tunnel.Encapsulate(&geneve, key(set, []byte{1, 2, 3, 1}, inner), &hop, tunnel.DefaultPorts, 0, inner); !errors.Is(err, tunnel.ErrKey) {
		t.Errorf("damaged options: %v", err)
	}
}

// TestECN is figure 4 of RFC 6040.
func TestECN(t *testing.T) {
	const not, ect1, ect0, ce, drop = 0, 1, 2, 3, -1
	gre := datapath.TunnelSpec{Type: "gre"}
	for _, six := range []bool{false, true} {
		for inner, row := range [4][4]int{
			not: {not: not, ect1: not, ect0: not, ce: drop}, ect1: {not: ect1, ect1: ect1, ect0: ect1, ce: ce},
			ect0: {not: ect0, ect1: ect1, ect0: ect0, ce: ce}, ce: {ce, ce, ce, ce},
		} {
			for outer, want := range row {
				p := unhex(t, "020000000002020000000001080045"+"00"+"001400000000"+"4001"+"0000"+"0a0000010a000002")
				p[15] = 0xb8 | byte(inner)
				binary.BigEndian.PutUint16(p[24:], packet.Checksum(p[14:], 0))
				if six {
					p = unhex(t, "020000000002020000000001 86dd 60000000 0000 3b 40"+strings.Repeat("00", 31)+"01")
					p[15] = byte(inner) << 4
				}
				k := key(map[flow.FieldID]uint64{flow.TunDst: 0xc0000202, flow.TunTOS: uint64(outer)}, nil, p)
				frame, err := tunnel.Encapsulate(&gre, k, &hop, tunnel.DefaultPorts, 0, p)
				if err != nil {
					t.Fatal(err)
				}
				back, err := tunnel.Decapsulate(&gre, frame, &flow.Key{})
				if want == drop {
					if !errors.Is(err, tunnel.ErrECN) {
						t.Errorf("inner %d, outer %d: %v", inner, outer, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				var got flow.Key
				packet.Extract(back, &got)
				if got.Get(flow.NwECN) != uint64(want) || !six && packet.Checksum(back[14:34], 0) != 0 {
					t.Errorf("inner %d, outer %d: %d, want %d", inner, outer, got.Get(flow.NwECN), want)
				}
			}
		}
	}
}

// FuzzDecapsulate looks for panics, and that what is taken off and put on again is taken off as the same.
func FuzzDecapsulate(f *testing.F) {
	f.Add([]byte{}, byte(0))
	specs := []datapath.TunnelSpec{{Type: "vxlan", DstPort: 4789}, {Type: "vxlan", DstPort: 4789, GBP: true}, {Type: "geneve", DstPort: 6081}, {Type: "gre"}}
	inner, _ := hex.DecodeString(arp)
	for i := range specs {
		k := key(map[flow.FieldID]uint64{flow.TunDst: 0xc0000202, flow.TunAllFlags: 15}, nil, inner)
		b, err := tunnel.Encapsulate(&specs[i], k, &hop, tunnel.DefaultPorts, 0, inner)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, byte(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, n byte) {
		s := &specs[int(n)%len(specs)]
		var k, again flow.Key
		p, err := tunnel.Decapsulate(s, b, &k)
		if err != nil {
			return
		}
		k.Set(flow.TunTOS, k.Get(flow.TunTOS)&^3) // or the inner packet changes
		if k.Get(flow.TunTTL) == 0 {
			k.Set(flow.TunTTL, 1)
		}
		frame, err := tunnel.Encapsulate(s, &k, &hop, tunnel.DefaultPorts, 0, p)
		if errors.Is(err, tunnel.ErrKey) || len(p) > 65000 {
			return // addresses that are zero
		}
		if err != nil {
			t.Fatal(err)
		}
		q, err := tunnel.Decapsulate(s, frame, &again)
		if err != nil {
			t.Fatalf("%x: %v", frame, err)
		}
		k.Set(flow.TunTPSrc, again.Get(flow.TunTPSrc))
		if string(p) != string(q) || k != again {
			t.Fatalf("%x\nthen %x", p, q)
		}
	})
}
