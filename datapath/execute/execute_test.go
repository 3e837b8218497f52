package execute

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet/packettest"
)

// recorder writes down what it is told.
type recorder struct {
	t   *testing.T
	log []string
	out [][]byte
	key flow.Key
}

func (r *recorder) Output(n odp.Port, p *packet.Packet) {
	r.log = append(r.log, fmt.Sprintf("output %d, %d bytes", n, len(p.Data)))
	r.out = append(r.out, bytes.Clone(p.Data))
	if err := packettest.CheckSums(p.Data); err != nil {
		r.t.Error(err)
	}
}

func (r *recorder) Upcall(p *packet.Packet, _ *flow.Key, a *odp.Userspace) {
	r.log = append(r.log, fmt.Sprintf("upcall %d, %d bytes", a.Cookie, len(p.Data)))
}

func (r *recorder) Recirculate(p *packet.Packet, k *flow.Key) {
	r.log = append(r.log, fmt.Sprintf("recirculate %d", k.Get(flow.RecircID)))
	r.key = *k
	var again flow.Key
	packet.Extract(p.Data, &again)
	if again.Get(flow.EthType) != k.Get(flow.EthType) || again.Get(flow.IPv4Dst) != k.Get(flow.IPv4Dst) {
		r.t.Error("key is not the packet's")
	}
}

func (r *recorder) Meter(id uint32, _ *packet.Packet) bool { return id != 9 }

func (r *recorder) Drop(d odp.DropReason) { r.log = append(r.log, d.String()) }

func udp() (*packet.Packet, *flow.Key) {
	var k flow.Key
	k.Set(flow.EthDst, 0x020000000002)
	k.Set(flow.EthType, packet.EthTypeIPv4)
	k.Set(flow.NwProto, packet.ProtoUDP)
	k.Set(flow.IPv4Src, 0x0a000001)
	k.Set(flow.IPv4Dst, 0x0a000002)
	k.Set(flow.NwTTL, 64)
	k.Set(flow.UDPDst, 53)
	p := &packet.Packet{Data: packet.Compose(&k, make([]byte, 58))} // 100 bytes
	return p, &k
}

// TestRun runs action texts; wants is what the sink hears.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		actions string
		want    []string
		key     string // of the last recirculation, without what udp() has
	}{
		{"", []string{"drop_action_of_pipeline"}, ""},
		{"1,set(ipv4(src=1.1.1.1,ttl=1)),set(udp(dst=99)),2", []string{"output 1, 100 bytes", "output 2, 100 bytes"}, ""},
		{"push_vlan(vid=5,pcp=1),1,push_vlan(tpid=0x88a8,vid=6,pcp=0),1,pop_vlan,pop_vlan,1",
			[]string{"output 1, 104 bytes", "output 1, 108 bytes", "output 1, 100 bytes"}, ""},
		{"push_mpls(label=7,tc=0,ttl=64,bos=1,eth_type=0x8847),1,set(mpls(label=8,tc=1,ttl=3,bos=1)),recirc(0x1)",
			[]string{"output 1, 104 bytes", "recirculate 1"}, "mpls(label=8,tc=1,ttl=3,bos=1)"},
		{"push_mpls(label=7,tc=0,ttl=64,bos=1,eth_type=0x8847),pop_mpls(eth_type=0x800),set(ipv4(dst=9.9.9.9)),1", []string{"output 1, 100 bytes"}, ""},
		{"trunc(50),userspace(pid=0,sFlow(cookie=0x5)),1", []string{"upcall 5, 50 bytes", "output 1, 100 bytes"}, ""},
		{"meter(1),1,meter(9),2", []string{"output 1, 100 bytes"}, ""},
		{"check_pkt_len(size=99,gt(1),le(2)),check_pkt_len(size=100,gt(1),le(2))", []string{"output 1, 100 bytes", "output 2, 100 bytes"}, ""},
		{"clone(meter(9)),1", []string{"output 1, 100 bytes"}, ""},
		{"clone(drop),1", []string{"output 1, 100 bytes"}, ""},
		{"set(tunnel(tun_id=0x5,dst=2.2.2.2,ttl=64,geneve({class=0x102,type=0x80,len=4,0x7}),flags(key))),set(skb_mark(0x3/0x7)),recirc(0x2)",
			[]string{"recirculate 2"}, "tunnel(tun_id=0x5,dst=2.2.2.2,ttl=64,geneve({class=0x102,type=0x80,len=4,0x7}),flags(key)),skb_mark(0x3)"},
		{"set(tunnel(tun_id=0x5,src=1.1.1.1,dst=2.2.2.2,ttl=64,flags(key))),set(tunnel(dst=3.3.3.3,ttl=1,flags(0))),recirc(0x2)",
			[]string{"recirculate 2"}, "tunnel(dst=3.3.3.3,ttl=1,flags(0))"},
	} {
		t.Run(tt.actions, func(t *testing.T) {
			actions, err := odp.ParseActions(tt.actions, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := &recorder{t: t}
			p, k := udp()
			if err := (&Executor{Sink: r}).Run(p, k, actions); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, r.log); diff != "" {
				t.Error(diff)
			}
			if tt.key != "" {
				m, err := odp.ParseKey(tt.key, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !m.Matches(&r.key) {
					t.Errorf("key is %s", odp.FormatKey(&r.key, nil, odp.TextOptions{}))
				}
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	r := &recorder{t: t}
	p, k := udp()
	err := (&Executor{Sink: r}).Run(p, k, []odp.Action{odp.Output{Port: 1}, odp.CT{}, odp.Output{Port: 2}})
	if !errors.Is(err, datapath.ErrUnsupported) || len(r.log) != 1 {
		t.Errorf("%v, %v", err, r.log)
	}
}

func TestHash(t *testing.T) {
	_, k := udp()
	k.Set(flow.UDPSrc, 1000)
	back := *k
	back.Set(flow.IPv4Src, k.Get(flow.IPv4Dst))
	back.Set(flow.IPv4Dst, k.Get(flow.IPv4Src))
	back.Set(flow.UDPSrc, k.Get(flow.UDPDst))
	back.Set(flow.UDPDst, k.Get(flow.UDPSrc))
	if Hash(k, odp.Hash{SymL4: true}) != Hash(&back, odp.Hash{SymL4: true}) {
		t.Error("symmetric hash differs by direction")
	}
	if Hash(k, odp.Hash{}) == Hash(&back, odp.Hash{}) || Hash(k, odp.Hash{}) == Hash(k, odp.Hash{Basis: 1}) {
		t.Error("hash does not tell directions or bases apart")
	}
	// Spread over 4 buckets, as a group with four members uses it.
	var n [4]int
	for i := range 4000 {
		k.Set(flow.UDPSrc, uint64(i))
		n[Hash(k, odp.Hash{})&3]++
	}
	for _, c := range n {
		if c < 800 || c > 1200 {
			t.Errorf("uneven: %v", n)
		}
	}
}
