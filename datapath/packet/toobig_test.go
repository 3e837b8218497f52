package packet

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// tooLong is a frame of a UDP packet with n bytes of payload, IPv4 with the don't-fragment bit.
func tooLong(v6, tagged bool, n int) []byte {
	var k flow.Key
	k.SetBytes(flow.EthDst, []byte{2, 0, 0, 0, 0, 2})
	k.SetBytes(flow.EthSrc, []byte{2, 0, 0, 0, 0, 1})
	if tagged {
		k.Set(flow.VLANTCI, flow.VLANPresent|100)
	}
	k.Set(flow.NwProto, ProtoUDP)
	k.Set(flow.NwTTL, 64)
	k.Set(flow.UDPSrc, 1000)
	k.Set(flow.UDPDst, 2000)
	if v6 {
		k.Set(flow.EthType, EthTypeIPv6)
		k.SetBytes(flow.IPv6Src, append([]byte{0xfd}, append(make([]byte, 14), 1)...))
		k.SetBytes(flow.IPv6Dst, append([]byte{0xfd}, append(make([]byte, 14), 2)...))
		return Compose(&k, make([]byte, n))
	}
	k.Set(flow.EthType, EthTypeIPv4)
	k.SetBytes(flow.IPv4Src, []byte{10, 0, 0, 1})
	k.SetBytes(flow.IPv4Dst, []byte{10, 0, 0, 2})
	b := Compose(&k, make([]byte, n))
	at := EthLen
	if tagged {
		at += 4
	}
	b[at+6] |= 0x40
	be.PutUint16(b[at+10:], 0)
	be.PutUint16(b[at+10:], Checksum(b[at:at+IPv4Len], 0))
	return b
}

// TestTooBig has gopacket read the answers.
func TestTooBig(t *testing.T) {
	for _, tagged := range []bool{false, true} {
		for _, size := range []int{20, 1450, 8000} {
			frame := tooLong(false, tagged, size)
			got := TooBig(frame, 1400)
			p := gopacket.NewPacket(got, layers.LayerTypeEthernet, gopacket.Default)
			ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
			icmp, _ := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
			if ip == nil || icmp == nil || p.ErrorLayer() != nil {
				t.Fatalf("%d bytes, tagged %v: %v", size, tagged, p)
			}
			if !ip.SrcIP.Equal([]byte{10, 0, 0, 2}) || !ip.DstIP.Equal([]byte{10, 0, 0, 1}) || icmp.TypeCode != layers.CreateICMPv4TypeCode(3, 4) || icmp.Seq != 1400 {
				t.Errorf("%d bytes, tagged %v: %v", size, tagged, p)
			}
			at := bytes.Index(frame, []byte{0x45})
			if quote := icmp.Payload; !bytes.HasPrefix(frame[at:], quote) || len(quote) != min(len(frame)-at, 548) {
				t.Errorf("%d bytes, tagged %v: quotes %d", size, tagged, len(quote))
			}
			if sum := Checksum(got[at:at+20], 0); sum != 0 {
				t.Errorf("checksum of the IP header: off by %#x", sum)
			}
			if sum := Checksum(got[at+20:], 0); sum != 0 {
				t.Errorf("checksum of ICMP: off by %#x", sum)
			}
			wantEthernet(t, frame, got, tagged)

			frame = tooLong(true, tagged, size)
			got = TooBig(frame, 1400)
			p = gopacket.NewPacket(got, layers.LayerTypeEthernet, gopacket.Default)
			ip6, _ := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
			icmp6, _ := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
			if ip6 == nil || icmp6 == nil || icmp6.TypeCode != layers.CreateICMPv6TypeCode(2, 0) || be.Uint32(icmp6.Payload) != 1400 {
				t.Fatalf("%d bytes, tagged %v: %v", size, tagged, p)
			}
			at = len(frame) - size - 8 - 40
			if quote := icmp6.Payload[4:]; !bytes.HasPrefix(frame[at:], quote) || len(quote) != min(len(frame)-at, 1232) {
				t.Errorf("%d bytes, tagged %v: quotes %d", size, tagged, len(quote))
			}
			if sum := Checksum(got[at+40:], PseudoHeader(ip6.SrcIP, ip6.DstIP, ProtoICMPv6)+uint32(len(got)-at-40)); sum != 0 {
				t.Errorf("checksum of ICMPv6: off by %#x", sum)
			}
			wantEthernet(t, frame, got, tagged)
		}
	}
}

// wantEthernet wants the addresses the other way round, and the tag kept.
func wantEthernet(t *testing.T, frame, got []byte, tagged bool) {
	t.Helper()
	end := 14
	if tagged {
		end = 18
	}
	if !bytes.Equal(got[:6], frame[6:12]) || !bytes.Equal(got[6:12], frame[:6]) || !bytes.Equal(got[12:end], frame[12:end]) {
		t.Errorf("Ethernet header %x of the answer to %x", got[:end], frame[:end])
	}
}

// TestTooBigSilent wants no answer where an answer would do harm or no good.
func TestTooBigSilent(t *testing.T) {
	edit := func(v6 bool, at int, b ...byte) []byte {
		f := tooLong(v6, false, 1450)
		copy(f[EthLen+at:], b)
		return f
	}
	for _, c := range []struct {
		name  string
		frame []byte
		mtu   int
	}{
		{"mtu below the least of IPv4", edit(false, 0), 575},
		{"mtu below the least of IPv6", edit(true, 0), 1279},
		{"may be fragmented", edit(false, 6, 0), 1400},
		{"a fragment", edit(false, 6, 0x60), 1400},
		{"from nowhere", edit(false, 12, 0, 0, 0, 0), 1400},
		{"to a group", edit(false, 16, 224), 1400},
		{"to all", edit(false, 16, 255, 255, 255, 255), 1400},
		{"to a group of IPv6", edit(true, 24, 0xff), 1400},
		{"an ICMP error", edit(false, 9, ProtoICMP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 3, 1), 1400},
		{"an ICMPv6 error", append(edit(true, 6, ProtoICMPv6)[:EthLen+40], append([]byte{1, 0}, make([]byte, 1456)...)...), 1400},
		{"ARP", append(append(make([]byte, 12), 8, 6), make([]byte, 1500)...), 1400},
		{"cut off", tooLong(false, false, 1450)[:100], 1400},
		{"nothing", nil, 1400},
	} {
		if got := TooBig(c.frame, c.mtu); got != nil {
			t.Errorf("%s: %x", c.name, got)
		}
	}
	if got := TooBig(edit(false, 9, ProtoICMP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0), 1400); got == nil {
		t.Error("a long ping is not answered")
	}
}

func TestTooBigAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frame := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes")
		if n := rapid.IntRange(0, 80).Draw(t, "like one"); n > 0 {
			frame = append(tooLong(n%2 == 0, n%3 == 0, 100)[:n], frame...)
		}
		mtu := rapid.IntRange(-1, 70000).Draw(t, "mtu")
		if got := TooBig(frame, mtu); len(got) > 1280+EthLen+8+len(frame) {
			t.Errorf("%d bytes", len(got))
		}
	})
}
