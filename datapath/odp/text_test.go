package odp

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// keyTexts are in the form of dpctl/dump-flows without -m; most were written by a stock daemon.
var keyTexts = []string{
	"recirc_id(0),in_port(8),packet_type(ns=0,id=0),eth(src=c2:ef:c3:e4:65:a8,dst=33:33:ff:e4:65:a8),eth_type(0x86dd),ipv6(tclass=0/0x3,frag=no)",
	"recirc_id(0),in_port(5),packet_type(ns=0,id=0),eth(src=22:5f:01:cf:07:d5,dst=ff:ff:ff:ff:ff:ff),eth_type(0x0806),arp(sip=10.99.0.1,tip=10.99.0.9,op=1)",
	"recirc_id(0),in_port(8),packet_type(ns=0,id=0),eth(src=01:00:00:00:00:00/01:00:00:00:00:00,dst=22:5f:01:cf:07:d5),eth_type(0x0800),ipv4(dst=10.96.0.0/255.240.0.0,proto=1,tos=0/0x3,ttl=64,frag=no),icmp(type=8,code=0/0xf)",
	"recirc_id(0x43),in_port(1),packet_type(ns=0,id=0),eth_type(0x8847),mpls(label=5,tc=2,ttl=9,bos=0,label=6,tc=2,ttl=9,bos=1)",
	"recirc_id(0x44),in_port(1),ct_state(+new-est+trk),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(proto=6,frag=no),tcp_flags(+syn-ack)",
	"recirc_id(0x46),in_port(1),packet_type(ns=0,id=0),eth(src=02:00:00:00:00:01),eth_type(0x0800),ipv4(src=10.0.0.0/255.0.0.0,proto=6,tos=0x4/0xfc,frag=first),tcp(src=5,dst=5/0xf),tcp_flags(0)",
	"recirc_id(0x45),in_port(1),ct_state(new|trk),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(proto=6,frag=no),tcp_flags(syn|ack)",
	"recirc_id(0x47),in_port(1),packet_type(ns=0,id=0),eth_type(0x8100),vlan(vid=5,pcp=0),encap(eth_type(0x0800),ipv4(frag=first))",
	"recirc_id(0x48),in_port(1),packet_type(ns=0,id=0),eth_type(0x8100),vlan(vid=5),encap(eth_type(0x0800),ipv4(frag=no))",
	"recirc_id(0x4b),in_port(1),packet_type(ns=0,id=0),eth_type(0x8100),encap(eth_type(0x1234))",
	"recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x88a8),vlan(vid=6/0xff,pcp=3),encap(eth_type(0x8100),vlan(vid=7,pcp=1/0x1),encap(eth_type(0x86dd),ipv6(frag=later)))",
	"recirc_id(0x4c),in_port(1),packet_type(ns=0,id=0),eth_type(0x86dd),ipv6(src=fe80::1,dst=fd00::/ffff::,label=0x5,proto=58,frag=no),icmpv6(type=135,code=0),nd(target=fe80::1,sll=00:00:00:00:00:01),nd_ext(nd_reserved=0x5,nd_options_type=1)",
	"recirc_id(0x12),tunnel(tun_id=0x4,src=172.31.0.1,dst=172.31.0.0/255.255.0.0,tos=0x1,ttl=64,tp_dst=6081,geneve({class=0x102,type=0x80,len=4,0x2/0xffff}{class=0x102,type=0x81,len=8,0x500020001}),flags(-df+csum+key)),in_port(7),packet_type(ns=0,id=0),eth_type(0x1234)",
	"recirc_id(0),tunnel(tun_id=0x0,src=172.31.0.1,dst=172.31.0.2,geneve(),flags(+key)),in_port(7),packet_type(ns=0,id=0),eth_type(0x1234)",
	"recirc_id(0x50),tunnel(tun_id=0x7b/0xff,ipv6_src=fe80::1,ipv6_dst=fe80::2,ttl=64,vxlan(gbp(id=5,flags=0x1)),flags(key)),in_port(1),packet_type(ns=0,id=0),eth_type(0x1234)",
	"recirc_id(0x53),dp_hash(0x5/0xff),skb_priority(0x3/0xf),in_port(1),skb_mark(0x4),ct_zone(0x7),ct_mark(0x1/0xffff004f),ct_label(0x10cd000000000000/0xffffffffffffffffffffffff),packet_type(ns=0,id=0),eth_type(0x8035),arp(sip=1.2.0.0/255.255.0.0,tha=00:00:00:00:00:01)",
	"recirc_id(0x52),in_port(1),ct_tuple4(src=1.1.1.1,dst=2.0.0.0/255.0.0.0,proto=6,tp_src=5,tp_dst=6/0xf),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)",
	"recirc_id(0x52),in_port(1),ct_tuple6(src=fd01::11,proto=58,src_port=128,dst_port=0/0xf),packet_type(ns=0,id=0),eth_type(0x86dd),ipv6(frag=no)",
	"recirc_id(0x8),in_port(1),packet_type(ns=1,id=0x800),eth_type(0x0800),ipv4(proto=132,frag=no),sctp(src=7)",
	"recirc_id(0),in_port(1),eth(),eth_type(0/0xffff)",
	"recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,frag=no),udp(src=0/0xffc0,dst=53)",
}

func TestKeyText(t *testing.T) {
	for _, text := range keyTexts {
		m, err := ParseKey(text, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := FormatKey(&m.Key, &m.Mask, TextOptions{}); got != text {
			t.Errorf("read  %s\nwrote %s", text, got)
		}
	}
}

func TestKeyVerbose(t *testing.T) {
	m, err := ParseKey("recirc_id(0),in_port(hv0),ct_state(0x21/0x3f),packet_type(ns=0,id=0),eth(dst=02:00:00:00:00:01),eth_type(0x8100),vlan(vid=5,pcp=0/0x0),encap(eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=80))",
		func(s string) (Port, bool) { return 5, s == "hv0" })
	if err != nil {
		t.Fatal(err)
	}
	want := "recirc_id(0),dp_hash(0/0),skb_priority(0/0),in_port(hv0),skb_mark(0/0),ct_state(0x21/0x3f),ct_zone(0/0),ct_mark(0/0),ct_label(0/0),packet_type(ns=0,id=0)," +
		"eth(src=00:00:00:00:00:00/00:00:00:00:00:00,dst=02:00:00:00:00:01),eth_type(0x8100),vlan(vid=5,pcp=0/0x0)," +
		"encap(eth_type(0x0800),ipv4(src=0.0.0.0/0.0.0.0,dst=0.0.0.0/0.0.0.0,proto=6,tos=0/0,ttl=0/0,frag=no),tcp(src=0/0,dst=80),tcp_flags(0/0))"
	got := FormatKey(&m.Key, &m.Mask, TextOptions{Verbose: true, PortName: func(Port) string { return "hv0" }})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

var actionTexts = []string{
	"1,5,8,4",
	"drop",
	"push_mpls(label=3,tc=1,ttl=64,bos=0,eth_type=0x8847),pop_mpls(eth_type=0x800),set(mpls(label=3,tc=1,ttl=64,bos=0))",
	"ct,ct(commit,zone=13,mark=0/0x41,label=0/0xffff00000000000001fe0080,nat(src)),ct(force_commit),ct(zone=22,nat),recirc(0xb1)",
	"ct(commit,mark=0x1/0xffffffff,label=0x5,helper=ftp,timeout=tp)",
	"ct(commit,nat(src=1.1.1.1-1.1.1.5:10-20,persistent,random)),ct(commit,nat(dst=[fd00::1]-[fd00::9]:5-9,hash)),ct(commit,nat(src=fd00::1-fd00::5)),ct(nat(dst=10.1.0.11:8080))",
	"hash(l4(5)),hash(sym_l4(7)),trunc(100),meter(3),2",
	"sample(sample=33.3%,actions(1)),sample(sample=100.0%,actions(meter(2),userspace(pid=0,controller(reason=1,dont_send=0,continuation=0,recirc_id=479,rule_cookie=0x44592edb,controller_id=0,max_len=65535))))",
	"push_eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),pop_eth",
	"push_vlan(vid=5,pcp=0,cfi=0),push_vlan(tpid=0x88a8,vid=7,pcp=2),pop_vlan",
	"set(nd(target=fe80::1,sll=00:00:00:00:00:02)),set(nd_ext(nd_reserved=0x7,nd_options_type=1))",
	"userspace(pid=0,ipfix(output_port=4294967295)),userspace(pid=0,ipfix(output_port=7))",
	"sample(sample=50.0%,actions(meter(0),userspace(pid=0,flow_sample(probability=32768,collector_set_id=1,obs_domain_id=7,obs_point_id=8,output_port=4294967295))))",
	"userspace(pid=0,flow_sample(probability=65535,collector_set_id=1,obs_domain_id=0,obs_point_id=0,output_port=3,egress))",
	"userspace(pid=0,slow_path(cfm,bfd)),userspace(pid=0,sFlow(cookie=0x7))",
	"set(tunnel(tun_id=0x7b,src=1.1.1.1,dst=2.2.2.2,tos=0x1,ttl=64,tp_dst=6081,geneve({class=0x102,type=0x80,len=4,0x50002}{class=0x102,type=0x81,len=8,0x500020001}),flags(df|csum|key)))",
	"set(tunnel(dst=2.2.2.2,ttl=64,vxlan(gbp(id=5,flags=0x1)),flags(0)))",
	"set(tunnel(tun_id=0x0,ipv6_dst=fe80::1,ttl=64,flags(key)))",
	"ct_clear,set(eth(src=02:00:00:00:00:01,dst=02:00:00:01:00:01)),set(ipv4(ttl=63))",
	"set(icmp(type=1)),set(icmpv6(code=3)),set(ipv6(label=0x5,tclass=0x20/0xfc)),set(ipv6(hlimit=254)),set(sctp(src=4/0xf)),set(udp(dst=4)),set(tcp(dst=80))",
	"set(eth(src=02:00:00:00:00:00/ff:ff:00:00:00:00)),set(ipv4(src=1.0.0.0/255.0.0.0,tos=0x4/0xfc,ttl=3)),set(ipv4(tos=0x5))",
	"set(skb_mark(0x1/0xff)),set(skb_mark(0x1)),set(skb_priority(0x1)),set(arp(sip=1.1.1.1,tip=2.2.2.2,op=1,sha=00:00:00:00:00:01,tha=00:00:00:00:00:02))",
	"check_pkt_len(size=200,gt(4),le(drop)),clone(drop),clone(1,2)",
}

func TestActionText(t *testing.T) {
	for _, text := range actionTexts {
		a, err := ParseActions(text, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := FormatActions(a, nil); got != text {
			t.Errorf("read  %s\nwrote %s", text, got)
		}
	}
	names := func(s string) (Port, bool) { return 3, s == "br0" }
	a, err := ParseActions("br0,clone(br0)", names)
	if diff := cmp.Diff([]Action{Output{3}, Clone{[]Action{Output{3}}}}, a); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got := FormatActions(a, func(Port) string { return "br0" }); got != "br0,clone(br0)" {
		t.Error(got)
	}
}

func TestRefused(t *testing.T) {
	for _, text := range []string{"eth_type", "in_port(p1)", "foo(1)", "in_port(1),in_port(2)", "eth_type(0x10000)", "ipv4(src=::1)",
		"ipv4(frag=maybe)", "ipv6(label=0x100000)", "tcp_flags(+nope)", "tcp_flags(0x1000)", "encap(eth_type(0x800))",
		"eth_type(0x0800),vlan(vid=1)", "eth_type(0x8100),vlan(vid=4096),encap()", "mpls(tc=1)", "eth(src=1:2:3)", "ct_state(+new",
		"tunnel(geneve({class=0}))", "tunnel(geneve({class=1,type=1,len=128,0x0}))", "recirc_id(0))"} {
		if m, err := ParseKey(text, nil); err == nil {
			t.Errorf("%s: read as %s", text, FormatKey(&m.Key, &m.Mask, TextOptions{}))
		}
	}
	for _, text := range []string{"p1", "1,,2", "set(eth())", "set(vlan(vid=1))", "set(tcp(dst=65536))", "set(ipv4(proto=1))", "hash(l5(0))", "sample(sample=101%)",
		"sample(sample=NaN%)", "push_vlan(pcp=1)", "push_mpls(label=1)", "ct(nat(src=1.1.1.1-::1))", "ct(zone=65536)", "ct(nat(src,dst))", "tnl_pop(1)",
		"clone(1", strings.Repeat("clone(", 40) + strings.Repeat(")", 40)} {
		if a, err := ParseActions(text, nil); err == nil {
			t.Errorf("%s: read as %s", text, FormatActions(a, nil))
		}
	}
}

func TestFlowText(t *testing.T) {
	m, err := ParseKey(keyTexts[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	f := FlowText{Match: &m, Packets: 23, Bytes: 1558, Used: 2925 * time.Millisecond, TCPFlags: 0x1b, Actions: []Action{Output{5}}}
	want := keyTexts[0] + ", packets:23, bytes:1558, used:2.925s, flags:SFP., actions:5"
	if got := FormatFlow(&f, TextOptions{}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	id := UFID(&m)
	ttl := Set{Fields: []FieldSet{{Field: flow.NwTTL, Value: []byte{3}}}}
	if got := FormatFlow(&FlowText{Match: &m, Actions: []Action{Clone{[]Action{ttl}}}}, TextOptions{}); !strings.HasSuffix(got, "actions:clone(set(ipv6(hlimit=3)))") {
		t.Error(got)
	}
	f = FlowText{Match: &m, Used: -1, UFID: &id, UFIDEnd: ", ", Layer: "bpf"}
	got := FormatFlow(&f, TextOptions{})
	want = FormatUFID(id) + ", " + keyTexts[0] + ", packets:0, bytes:0, used:never, dp:bpf, actions:drop"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	key, actions, err := SplitFlow(got)
	if key != keyTexts[0] || actions != "drop" || err != nil {
		t.Errorf("split: %q, %q, %v", key, actions, err)
	}
	if again, err := ParseUFID(FormatUFID(id)); again != id || err != nil {
		t.Errorf("%x, %v", again, err)
	}
	other := m
	other.Mask.Set(flow.CTMark, 1)
	if UFID(&other) == id {
		t.Error("same UFID with another mask")
	}
}

// drawMatch makes a match as translation makes them: what depends on a field is only matched
// when that field is.
func drawMatch(t *rapid.T) flow.Match {
	var m flow.Match
	r := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }
	fill := func(a *attr, skip string) {
		for i := range a.items {
			f := &a.items[i]
			if skip != "" && strings.Contains(skip, f.name) || r(3) == 0 {
				continue
			}
			v := rapid.SliceOfN(rapid.Byte(), f.size, f.size).Draw(t, f.name)
			mask := rapid.SliceOfN(rapid.Byte(), f.size, f.size).Draw(t, "mask")
			if r(2) == 0 {
				for n := range mask {
					mask[n] = 0xff
				}
			}
			copy(m.Key.Bytes()[f.off:], v)
			copy(m.Mask.Bytes()[f.off:], mask)
			if f.full != 0 {
				f.setUint(&m.Key, f.uint(&m.Key))
				f.setUint(&m.Mask, f.uint(&m.Mask))
			}
		}
	}
	for _, a := range []*attr{&attrRecirc, &attrDPHash, &attrPriority, &attrMark, &attrCTZone, &attrCTMark, &attrCTLabel} {
		fill(a, "")
	}
	m.Mask.Set(flow.CTState, rapid.SampledFrom([]uint64{0, 0xff, 0x21, 0xffffffff, 1 << 31}).Draw(t, "ct mask"))
	m.Key.Set(flow.CTState, uint64(rapid.Uint32().Draw(t, "ct")))
	m.Set(flow.InPortOXM, uint64(r(1000)))
	m.Set(flow.PacketType, 0)
	fill(&attrEth, "")
	for i := range r(3) {
		tci, tpid := vlanFields(i)
		m.Set(tpid, rapid.SampledFrom([]uint64{ethVLAN, ethQinQ}).Draw(t, "tpid"))
		m.Key.Set(tci, uint64(rapid.Uint16().Draw(t, "tci"))|flow.VLANPresent)
		m.Mask.Set(tci, uint64(rapid.Uint16().Draw(t, "tci mask"))|flow.VLANPresent)
		if i == 1 {
			break
		}
	}
	ethType := rapid.SampledFrom([]uint64{ethIPv4, ethIPv4, ethIPv6, ethIPv6, ethARP, ethMPLS, ethNone, 0x1234}).Draw(t, "eth_type")
	m.Set(flow.EthType, ethType)
	switch {
	case m.Key.Get(flow.VLANTCI)&flow.VLANPresent == 0:
		m.Set(flow.VLANTCI, 0)
	case m.Key.Get(flow.VLANTCI2)&flow.VLANPresent == 0:
		m.Set(flow.VLANTCI2, 0)
	}
	switch ethType {
	case ethARP:
		fill(&attrARP, "")
	case ethMPLS:
		lse := uint64(rapid.Uint32().Draw(t, "lse"))
		m.Key.Set(flow.MPLSLSE0, lse)
		m.Mask.Set(flow.MPLSLSE0, 0xffffffff)
		if lse&0x100 == 0 && r(2) == 0 {
			m.Key.Set(flow.MPLSLSE1, uint64(rapid.Uint32().Draw(t, "lse")))
			m.Mask.Set(flow.MPLSLSE1, uint64(rapid.Uint32().Draw(t, "lse mask")))
		}
	case ethIPv4, ethIPv6:
		ip, icmp, proto := &attrIPv4, &attrICMP, uint64(1)
		if ethType == ethIPv6 {
			ip, icmp, proto = &attrIPv6, &attrICMPv6, 58
			fill(&attrCTTuple6, "")
		} else {
			fill(&attrCTTuple4, "")
		}
		fill(ip, "proto frag")
		m.Set(flow.IPFrag, rapid.SampledFrom([]uint64{0, 0, 1, 3}).Draw(t, "frag"))
		if m.Key.Get(flow.IPFrag) == 3 {
			break
		}
		switch r(5) {
		case 0:
			m.Set(flow.NwProto, 6)
			fill(&attrTCP, "")
			m.Key.Set(flow.TCPFlags, uint64(rapid.Uint16().Draw(t, "flags"))&0xfff)
			m.Mask.Set(flow.TCPFlags, uint64(rapid.Uint16().Draw(t, "flags mask"))&0xfff)
		case 1:
			m.Set(flow.NwProto, 17)
			fill(&attrUDP, "")
		case 2:
			m.Set(flow.NwProto, 132)
			fill(&attrSCTP, "")
		case 3:
			m.Set(flow.NwProto, proto)
			fill(icmp, "")
			if proto == 58 && r(2) == 0 {
				m.Set(flow.ICMPv6Type, 136)
				fill(&attrND, "")
				fill(&attrNDExt, "")
			}
		}
	}
	if r(3) == 0 {
		m.Set(flow.TunID, uint64(1+r(1000)))
		m.Key.Set(flow.TunAllFlags, uint64(r(16)))
		m.Mask.Set(flow.TunAllFlags, rapid.SampledFrom([]uint64{0xffff, 3, 8}).Draw(t, "tun mask"))
		m.Set(flow.TunDst, uint64(1+r(1<<30)))
		m.Set(flow.TunTTL, uint64(r(256)))
		if r(2) == 0 {
			opts := []byte{1, 2, 0x80, 1, byte(r(256)), 0, byte(r(256)), 4, 0xff, 0xff, 0, 2, 1, 2, 3, 4, 5, 6, 7, byte(r(256))}
			copy(m.Key.Bytes()[tunOpts.Off:], opts)
			copy(m.Mask.Bytes()[tunOpts.Off:], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0, byte(r(256)), 0xff, 0, 0, 0xff, 0xff, 255, 255, 255, 255, 255, 255, 255, 255})
			m.Key.Bytes()[tunOptsLen.Off], m.Mask.Bytes()[tunOptsLen.Off] = byte(len(opts)), 0xff
		}
	}
	m.Normalize()
	return m
}

func TestKeyRoundTrip(t *testing.T) {
	if err := flag.Set("rapid.checks", "3000"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		m := drawMatch(t)
		for _, verbose := range []bool{false, true} {
			text := FormatKey(&m.Key, &m.Mask, TextOptions{Verbose: verbose})
			got, err := ParseKey(text, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got != m {
				t.Fatalf("%s\nread as %s\nkey %s\nmask %s", text, FormatKey(&got.Key, &got.Mask, TextOptions{Verbose: verbose}),
					cmp.Diff(m.Key.Bytes(), got.Key.Bytes()), cmp.Diff(m.Mask.Bytes(), got.Mask.Bytes()))
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, s := range keyTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseKey(s, nil)
		if err != nil {
			return
		}
		FormatKey(&m.Key, &m.Mask, TextOptions{})
		FormatKey(&m.Key, nil, TextOptions{Verbose: true})
	})
}

func FuzzParseActions(f *testing.F) {
	for _, s := range actionTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseActions(s, nil)
		if err != nil {
			return
		}
		// What is written can be read, and is written the same then.
		text := FormatActions(a, nil)
		b, err := ParseActions(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if again := FormatActions(b, nil); again != text {
			t.Fatalf("%s\nbecame %s", text, again)
		}
	})
}
