package ovn

import (
	"math/bits"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// inside runs a function on a thread that is in the namespace of a host: sockets that it opens are the host's.
func inside(t *testing.T, h *testenv.Host, f func() error) {
	t.Helper()
	ns, err := netns.GetFromName(h.NS)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Fatalf("on %s: %v", h.NS, err)
	}
}

// A wire is what passes the interface eth0 of a host.
type wire struct {
	t  *testing.T
	fd int
}

// listen opens the wire of a host: frames that arrive from now on are kept for it.
func listen(t *testing.T, h *testenv.Host) *wire {
	t.Helper()
	w := &wire{t: t}
	inside(t, h, func() (err error) {
		dev, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		all := bits.ReverseBytes16(unix.ETH_P_ALL)
		if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return unix.Bind(w.fd, &unix.SockaddrLinklayer{Ifindex: dev.Index, Protocol: all})
	})
	t.Cleanup(func() { unix.Close(w.fd) })
	return w
}

// send sends a frame from the host.
func (w *wire) send(l ...gopacket.SerializableLayer) {
	w.t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		w.t.Fatal(err)
	}
	if _, err := unix.Write(w.fd, b.Bytes()); err != nil {
		w.t.Fatal(err)
	}
}

// next is the next frame that arrives from the switch; nil: none within a time.
func (w *wire) next(wait time.Duration) gopacket.Packet {
	w.t.Helper()
	b := make([]byte, 65536)
	for deadline := time.Now().Add(wait); ; {
		left := time.Until(deadline)
		if left < time.Millisecond {
			return nil
		}
		tv := unix.NsecToTimeval(left.Nanoseconds())
		if err := unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			w.t.Fatal(err)
		}
		n, from, err := unix.Recvfrom(w.fd, b, 0)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil:
			w.t.Fatal(err)
		case from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING:
			continue
		}
		return gopacket.NewPacket(b[:n:n], layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: false})
	}
}

// find is the first frame of those that arrive which is as wanted; nil: none within 10 s.
func (w *wire) find(want func(gopacket.Packet) bool) gopacket.Packet {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		p := w.next(time.Until(deadline))
		if p == nil || want(p) {
			return p
		}
	}
}

// datagram is UDP from and to a port with a payload, for IPv4 or IPv6.
func datagram(srcMAC, dstMAC, src, dst string, srcPort, dstPort uint16, payload []byte) []gopacket.SerializableLayer {
	eth := &layers.Ethernet{SrcMAC: mac(srcMAC), DstMAC: mac(dstMAC), EthernetType: layers.EthernetTypeIPv4}
	udp := &layers.UDP{SrcPort: layers.UDPPort(srcPort), DstPort: layers.UDPPort(dstPort)}
	a, b := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	if a.Is6() {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: a.AsSlice(), DstIP: b.AsSlice()}
		udp.SetNetworkLayerForChecksum(ip)
		return []gopacket.SerializableLayer{eth, ip, udp, gopacket.Payload(payload)}
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: a.AsSlice(), DstIP: b.AsSlice()}
	udp.SetNetworkLayerForChecksum(ip)
	return []gopacket.SerializableLayer{eth, ip, udp, gopacket.Payload(payload)}
}

func mac(s string) net.HardwareAddr {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err) // a constant of a test
	}
	return m
}

// carries says whether a packet is UDP to a port with a payload that begins with text.
func carries(text string) func(gopacket.Packet) bool {
	return func(p gopacket.Packet) bool {
		udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		return ok && strings.HasPrefix(string(udp.Payload), text)
	}
}

// to says whether a packet is UDP to a port.
func to(port layers.UDPPort) func(gopacket.Packet) bool {
	return func(p gopacket.Packet) bool {
		udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		return ok && udp.DstPort == port
	}
}

const broadcast = "ff:ff:ff:ff:ff:ff"

// quiet is how long a wire is listened to for what is already under way.
const quiet = 200 * time.Millisecond
