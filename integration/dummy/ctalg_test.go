package dummy

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// algTable has hosts behind p1 begin FTP and TFTP with hosts behind p2, and lets in what those connections announce. What
// NAT does depends on the server: 10.0.0.20 sees the client as 10.0.0.240, 10.0.0.30 is 10.0.0.20 in truth.
var algTable = []string{
	// Where packets have no room to grow, as here at first, the stock daemon translates no FTP messages: a tag makes room.
	"table=0,ip,actions=push_vlan:0x8100,ct(table=3,zone=9)",
	"table=0,ipv6,actions=push_vlan:0x8100,ct(table=3,zone=9)",
	"table=3,vlan_tci=0x1000/0x1000,actions=pop_vlan,resubmit(,4)",
	"table=4,ip,actions=ct(table=1,zone=5,nat)",
	"table=4,ipv6,actions=ct(table=1,zone=5,nat)",
	"table=1,priority=20,ip,ct_state=+trk+rel-inv,actions=ct(commit,zone=5,nat,exec(load:0x4->NXM_NX_CT_MARK[4..7])),goto_table:2",
	"table=1,priority=20,ipv6,ct_state=+trk+rel-inv,actions=ct(commit,zone=5,nat,exec(load:0x4->NXM_NX_CT_MARK[4..7])),goto_table:2",
	"table=1,priority=15,ct_state=+trk+est-inv,actions=goto_table:2",
	"table=1,priority=12,in_port=1,ct_state=+trk+new,tcp,nw_dst=10.0.0.20,tp_dst=21,actions=ct(commit,zone=5,alg=ftp,nat(src=10.0.0.240),exec(load:0x3->NXM_NX_CT_MARK[],load:0x77->NXM_NX_CT_LABEL[0..63])),goto_table:2",
	"table=1,priority=12,in_port=1,ct_state=+trk+new,tcp,nw_dst=10.0.0.30,tp_dst=21,actions=ct(commit,zone=5,alg=ftp,nat(dst=10.0.0.20)),goto_table:2",
	"table=1,priority=12,in_port=1,ct_state=+trk+new,tcp6,ipv6_dst=fd00::20,tp_dst=21,actions=ct(commit,zone=5,alg=ftp,nat(src=fd00::2:240)),goto_table:2",
	"table=1,priority=11,in_port=1,ct_state=+trk+new,tcp,tp_dst=21,actions=ct(commit,zone=5,alg=ftp),goto_table:2",
	"table=1,priority=11,in_port=1,ct_state=+trk+new,tcp6,tp_dst=21,actions=ct(commit,zone=5,alg=ftp),goto_table:2",
	"table=1,priority=12,in_port=1,ct_state=+trk+new,udp,nw_dst=10.0.0.20,tp_dst=69,actions=ct(commit,zone=5,alg=tftp,nat(src=10.0.0.240)),goto_table:2",
	"table=1,priority=11,in_port=1,ct_state=+trk+new,udp,tp_dst=69,actions=ct(commit,zone=5,alg=tftp),goto_table:2",
	"table=1,priority=1,actions=goto_table:2",
	// The original direction of a data connection is that of its master.
	"table=2,actions=move:NXM_NX_CT_STATE[]->NXM_OF_ETH_SRC[0..31],move:NXM_NX_CT_MARK[]->NXM_OF_ETH_DST[0..31],move:NXM_NX_CT_LABEL[0..15]->NXM_OF_ETH_DST[32..47],output:3",
	"table=2,priority=5,tcp,ct_state=+trk-inv,ct_nw_src=10.0.0.1,ct_nw_proto=6,ct_tp_dst=21,actions=move:NXM_NX_CT_STATE[]->NXM_OF_ETH_SRC[0..31],move:NXM_NX_CT_MARK[]->NXM_OF_ETH_DST[0..31],move:NXM_NX_CT_LABEL[0..15]->NXM_OF_ETH_DST[32..47],load:0x21->NXM_OF_ETH_SRC[32..47],output:3",
	"table=2,priority=5,tcp6,ct_state=+trk-inv,ct_ipv6_src=fd00::1,ct_nw_proto=6,ct_tp_dst=21,actions=move:NXM_NX_CT_STATE[]->NXM_OF_ETH_SRC[0..31],move:NXM_NX_CT_MARK[]->NXM_OF_ETH_DST[0..31],move:NXM_NX_CT_LABEL[0..15]->NXM_OF_ETH_DST[32..47],load:0x26->NXM_OF_ETH_SRC[32..47],output:3",
	"table=2,priority=5,udp,ct_state=+trk-inv,ct_nw_src=10.0.0.1,ct_nw_proto=17,ct_tp_dst=69,actions=move:NXM_NX_CT_STATE[]->NXM_OF_ETH_SRC[0..31],move:NXM_NX_CT_MARK[]->NXM_OF_ETH_DST[0..31],move:NXM_NX_CT_LABEL[0..15]->NXM_OF_ETH_DST[32..47],load:0x69->NXM_OF_ETH_SRC[32..47],output:3",
}

// TestALGLikeStock has sessions of FTP and TFTP, translated and not, and compares every octet and the connections with
// the stock daemon.
func TestALGLikeStock(t *testing.T) {
	t.Parallel()
	both := []*sim{{testenv.Simulated(t), t, nil}, {testenv.Stock(t), t, nil}}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := 1; p <= 5; p++ {
			s.addPort("br0", p)
		}
	}
	for _, tc := range []struct {
		name           string
		client, server string // what the client knows
		seen, real     string // what the server knows
		run            func(s *algSession)
	}{
		{"passive", "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", func(s *algSession) {
			s.say("PASV\r\n")
			s.answer("227 Entering Passive Mode (10,0,0,2,4,1).\r\n")
			s.ack()
			s.data(true, 5000, 1025)
			s.say("RETR a\r\n")
		}},
		{"passive, source translated", "10.0.0.1", "10.0.0.20", "10.0.0.240", "10.0.0.20", func(s *algSession) {
			s.say("PASV\r\n")
			s.answer("227 Entering Passive Mode (10,0,0,20,4,1).\r\n")
			s.data(true, 5000, 1025)
			s.say("RETR a\r\n")
			s.answer("226 done\r\n")
		}},
		{"passive, destination translated", "10.0.0.1", "10.0.0.30", "10.0.0.1", "10.0.0.20", func(s *algSession) {
			s.say("PASV\r\n")
			s.answer("227 Entering Passive Mode (10,0,0,20,14,178)\r\n")
			s.data(true, 5000, 3762)
			s.answer("226 done\r\n")
		}},
		{"active", "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", func(s *algSession) {
			s.say("PORT 10,0,0,1,20,10\r\n")
			s.answer("200 OK\r\n")
			s.data(false, 20, 5130)
		}},
		{"active, source translated", "10.0.0.1", "10.0.0.20", "10.0.0.240", "10.0.0.20", func(s *algSession) {
			s.say("PORT 10,0,0,1,20,10\r\n")
			s.shift(2) // 240 for 1
			s.answer("200 OK\r\n")
			s.data(false, 20, 5130)
			s.say("NLST\r\n")
			s.answer("226 done\r\n")
			s.say("port 10,0,0,1,20,11\r\n")
			s.shift(2)
			s.answer("200 OK\r\n")
			s.say("QUIT\r\n")
			s.data(false, 20, 5131)
		}},
		{"active, destination translated", "10.0.0.1", "10.0.0.30", "10.0.0.1", "10.0.0.20", func(s *algSession) {
			s.say("PORT 10,0,0,1,20,10\r\n")
			s.answer("200 OK\r\n")
			s.data(false, 20, 5130)
		}},
		{"an address of somebody else", "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", func(s *algSession) {
			s.say("PORT 10,0,0,9,20,10\r\n")
			s.data(false, 20, 5130)
		}},
		{"wrong messages", "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", func(s *algSession) {
			s.say("PORT 10,0,0,1,256,10\r\n")
			s.say("PORT 10,0,0\r\n")
			s.say("PORT\r\n")
			s.answer("227 nothing\r\n")
		}},
		{"extended passive", "fd00::1", "fd00::2", "fd00::1", "fd00::2", func(s *algSession) {
			s.say("EPSV\r\n")
			s.answer("229 Entering Extended Passive Mode (|||1025|)\r\n")
			s.data(true, 5000, 1025)
		}},
		{"extended passive, source translated", "fd00::1", "fd00::20", "fd00::2:240", "fd00::20", func(s *algSession) {
			s.say("EPSV\r\n")
			s.answer("229 Entering Extended Passive Mode (|||1025|)\r\n")
			s.data(true, 5000, 1025)
		}},
		{"extended active", "fd00::1", "fd00::2", "fd00::1", "fd00::2", func(s *algSession) {
			s.say("EPRT |2|fd00::1|5130|\r\n")
			s.answer("200 OK\r\n")
			s.data(false, 20, 5130)
		}},
		{"extended active, source translated", "fd00::1", "fd00::20", "fd00::2:240", "fd00::20", func(s *algSession) {
			s.say("EPRT |2|fd00::1|5130|\r\n")
			s.shift(4)
			s.answer("200 OK\r\n")
			s.data(false, 20, 5130)
			s.say("NLST\r\n")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newALG(t, both, tc.client, tc.server, tc.seen, tc.real)
			a.tcp(true, 4000, 21, 2, nil)
			a.tcp(false, 21, 4000, 0x12, nil)
			a.tcp(true, 4000, 21, 0x10, nil)
			tc.run(a)
			a.compare()
		})
	}
	for server, seen := range map[string]string{"10.0.0.2": "10.0.0.1", "10.0.0.20": "10.0.0.240"} {
		t.Run("tftp to "+server, func(t *testing.T) {
			a := newALG(t, both, "10.0.0.1", server, seen, server)
			a.udp(true, 4000, 69, "\x00\x01file\x00octet\x00")
			a.udp(false, 7000, 4000, "\x00\x03\x00\x01data")
			a.udp(true, 4000, 7000, "\x00\x04\x00\x01")
			a.udp(false, 7000, 4000, "\x00\x03\x00\x02data")
			a.udp(false, 7000, 4001, "\x00\x03\x00\x02data")
			a.compare()
		})
	}
}

// algSession sends the packets of a client and a server to both daemons.
type algSession struct {
	t            *testing.T
	both         []*sim
	client, seen netip.Addr
	server, real netip.Addr
	next         [2]uint32 // sequence numbers of client and server
	shifted      uint32    // by which the server knows the client's
	sent         []string
}

func newALG(t *testing.T, both []*sim, client, server, seen, real string) *algSession {
	a := &algSession{t: t, both: both, next: [2]uint32{1000, 50000},
		client: netip.MustParseAddr(client), server: netip.MustParseAddr(server), seen: netip.MustParseAddr(seen), real: netip.MustParseAddr(real)}
	for _, s := range a.both {
		s.reset(algTable)
		s.Appctl("dpctl/flush-conntrack")
	}
	return a
}

// shift notes that the server gets n bytes more than the client has sent, or less.
func (a *algSession) shift(n int) { a.shifted += uint32(n) }

func (a *algSession) say(text string)    { a.tcp(true, 4000, 21, 0x18, []byte(text)) }
func (a *algSession) answer(text string) { a.tcp(false, 21, 4000, 0x18, []byte(text)) }
func (a *algSession) ack()               { a.tcp(true, 4000, 21, 0x10, nil) }

// data makes a data connection, begun by the client or the server.
func (a *algSession) data(byClient bool, from, to uint16) {
	next, shifted := a.next, a.shifted
	a.next, a.shifted = [2]uint32{7000, 9000}, 0
	a.tcp(byClient, from, to, 2, nil)
	a.tcp(!byClient, to, from, 0x12, nil)
	a.tcp(byClient, from, to, 0x10, []byte("content"))
	a.next, a.shifted = next, shifted
}

// tcp sends a segment of the client or the server, and counts what it takes.
func (a *algSession) tcp(byClient bool, from, to uint16, flags byte, payload []byte) {
	seq, ack := a.next[0], a.next[1]
	if !byClient {
		seq, ack = a.next[1], a.next[0]+a.shifted
	}
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint32(b, seq)
	if flags&0x10 == 0 {
		ack = 0
	}
	b = binary.BigEndian.AppendUint32(b, ack)
	b = append(append(b, 0x50, flags, 0x20, 0, 0, 0, 0, 0), payload...)
	a.send(byClient, packet.ProtoTCP, b)
	n := uint32(len(payload)) + uint32(flags>>1&1)
	if byClient {
		a.next[0] += n
	} else {
		a.next[1] += n
	}
}

func (a *algSession) udp(byClient bool, from, to uint16, payload string) {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	a.send(byClient, packet.ProtoUDP, append(append(b, 0, 0), payload...))
}

func (a *algSession) send(byClient bool, proto byte, body []byte) {
	port, src, dst := "p1", a.client, a.server
	if !byClient {
		port, src, dst = "p2", a.real, a.seen
	}
	h := []byte("\x50\x54\x00\x00\x00\x02\x50\x54\x00\x00\x00\x01")
	body = sum(body, proto, src.AsSlice(), dst.AsSlice())
	if src.Is4() {
		ip := []byte{0x45, 0, 0, byte(20 + len(body)), 0, 1, 0, 0, 64, proto, 0, 0}
		ip = append(append(ip, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(ip[10:], packet.Checksum(ip, 0))
		h = append(append(h, 8, 0), ip...)
	} else {
		h = append(h, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(body)), proto, 64)
		h = append(append(h, src.AsSlice()...), dst.AsSlice()...)
	}
	p := hex.EncodeToString(append(h, body...))
	a.sent = append(a.sent, port+" "+p)
	for _, s := range a.both {
		s.receive(port, p)
	}
}

func (a *algSession) compare() {
	a.t.Helper()
	text := func(s *sim) string {
		conns := strings.Split(s.Appctl("dpctl/dump-conntrack", "-m"), "\n")
		slices.Sort(conns)
		return s.Run("ovs-pcap", s.pcap("p3")) + strings.Join(conns, "\n")
	}
	if diff := difference(func() string { return text(a.both[0]) }, func() string { return text(a.both[1]) }); diff != "" {
		a.t.Errorf("(-stock +ours):\n%s\npackets:\n%s", diff, strings.Join(a.sent, "\n"))
	}
	if n := strings.Count(a.both[0].Run("ovs-pcap", a.both[0].pcap("p3")), "\n"); n != len(a.sent) {
		a.t.Errorf("%d packets came out of %d", n, len(a.sent))
	}
}
