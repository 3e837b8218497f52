package conntrack

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// ftpPacket is a segment with a payload and options.
func ftpPacket(src, dst string, sp, dp uint16, flags byte, seq, ack uint32, options []byte, payload string) *packet.Packet {
	b := binary.BigEndian.AppendUint16(nil, sp)
	b = binary.BigEndian.AppendUint16(b, dp)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	b = append(b, byte(20+len(options))<<2, flags, 0x20, 0, 0, 0, 0, 0)
	b = append(append(b, options...), payload...)
	return ip(src, dst, packet.ProtoTCP, b)
}

// TestSkew translates a message that grows, sent twice, and the sequence numbers around it: also selective
// acknowledgements, and segments whose checksum is not finished.
func TestSkew(t *testing.T) {
	for _, unfinished := range []bool{false, true} {
		t.Run(fmt.Sprintf("unfinished %t", unfinished), func(t *testing.T) {
			l := newLab(t)
			const client, server, outside = "10.0.0.1", "10.0.0.2", "10.0.0.240"
			run := func(p *packet.Packet) string {
				if unfinished {
					o := p.Data[34:]
					be.PutUint16(o[16:], ^packet.Checksum(nil, packet.PseudoHeader(p.Data[26:30], p.Data[30:34], packet.ProtoTCP)+uint32(len(o))))
					p.GSO = packet.GSO{NeedsCsum: true, CsumStart: 34, CsumOffset: 16}
				}
				if s := state(l.pass(p, "ct(commit,helper=ftp,nat(src=10.0.0.240))")); s == "" || strings.Contains(s, "inv") {
					t.Fatalf("%q: %x", s, p.Data)
				}
				p.FinishChecksum()
				l4 := p.Data[34:]
				if packet.Checksum(p.Data[14:34], 0) != 0 || int(be.Uint16(p.Data[16:])) != len(p.Data)-14 {
					t.Errorf("wrong IP header: %x", p.Data[14:34])
				}
				if packet.Checksum(l4, packet.PseudoHeader(p.Data[26:30], p.Data[30:34], packet.ProtoTCP)+uint32(len(l4))) != 0 {
					t.Errorf("wrong checksum: %x", l4)
				}
				n := int(l4[12]>>4) * 4
				return fmt.Sprintf("%d %d %x %q", be.Uint32(l4[4:]), be.Uint32(l4[8:]), l4[20:n], l4[n:])
			}
			port := "PORT 10,0,0,1,20,10\r\n"
			sack := []byte{1, 5, 10, 0, 0, 4, 2, 0, 0, 4, 4, 1} // 1026 to 1028, at an odd place
			got := []string{
				run(ftpPacket(client, server, 4000, 21, 2, 1000, 0, nil, "")),
				run(ftpPacket(server, outside, 21, 4000, 0x12, 5000, 1001, nil, "")),
				run(ftpPacket(client, server, 4000, 21, 0x18, 1001, 5001, nil, port)),
				run(ftpPacket(client, server, 4000, 21, 0x18, 1001, 5001, nil, port)),
				run(ftpPacket(server, outside, 21, 4000, 0x10, 5001, 1024, nil, "")), // 1001 + 21 + 2
				run(ftpPacket(client, server, 4000, 21, 0x18, 1022, 5001, nil, "NLST\r\n")),
				run(ftpPacket(server, outside, 21, 4000, 0x10, 5001, 1024, sack, "")),
				run(ftpPacket(server, outside, 21, 4000, 0x10, 5001, 1001, nil, "")),
			}
			want := []string{
				`1000 0  ""`, `5000 1001  ""`,
				`1001 5001  "PORT 10,0,0,240,20,10\r\n"`, `1001 5001  "PORT 10,0,0,240,20,10\r\n"`,
				`5001 1022  ""`, `1024 5001  "NLST\r\n"`, `5001 1022 01050a000004000000040201 ""`, `5001 1001  ""`,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSkewInverse takes back what it has shifted.
func TestSkewInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s skew
		seq := rapid.Uint32().Draw(t, "start")
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			seq += rapid.Uint32Range(1, 1000).Draw(t, "step")
			s.change(seq, int32(rapid.IntRange(1, 8).Draw(t, "n")))
			s.change(seq, 5) // sent again
		}
		next := seq + rapid.Uint32Range(20, 1000).Draw(t, "behind")
		if got := next + uint32(s.shift(next)); got-uint32(s.unshift(got)) != next {
			t.Fatalf("%+v: %d became %d and %d", s, next, got, got-uint32(s.unshift(got)))
		}
	})
}

// TestExpectationsBounded announces more than there is room for.
func TestExpectationsBounded(t *testing.T) {
	x := &newLab(t).expected
	var conns []*conn
	for i := range 3 * maxExpectations {
		c := &conn{orig: Tuple{SrcPort: uint16(i)}, expires: 1 << 62}
		c.reply = c.orig.Reverse()
		conns = append(conns, c)
		x.announce(newExpectation(c, uint16(i), false), 0)
		x.announce(newExpectation(c, uint16(i+1), false), 0) // in the place of the first
		if i%7 == 0 {
			x.forget(c)
		}
	}
	if len(x.at) > maxExpectations {
		t.Errorf("%d expectations, at most %d", len(x.at), maxExpectations)
	}
	for k, slot := range x.at {
		e := x.slots[slot]
		if e.key != k || e.master.announced != slot+1 {
			t.Fatalf("slot %d has %+v", slot, e)
		}
	}
	for _, c := range conns {
		x.forget(c)
	}
	if len(x.at) != 0 {
		t.Errorf("%d expectations are left", len(x.at))
	}
}
