package underlay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
)

// Packets of native tunnels have no socket on the host, so what routers say of them is heard here: "fragmentation
// needed" of IPv4 (RFC 1191) and "packet too big" of IPv6 (RFC 8201).

// TooBig is what a router said of a packet that the host sent.
type TooBig struct {
	Src, Dst netip.Addr // of the packet
	Proto    uint8      // of it: UDP or GRE
	DstPort  uint16     // of UDP
	MTU      int        // of the router's next link
}

// Least path MTUs that are believed: the default of net.ipv4.route.min_pmtu, and RFC 8200 section 5.
const (
	minMTU4 = 552
	minMTU6 = 1280
)

const (
	icmpUnreachable = 3
	icmpFragNeeded  = 4
	icmp6TooBig     = 2
	icmpLen         = 8
)

// parseTooBig4 reads an IPv4 packet with an ICMP error.
func parseTooBig4(b []byte) (TooBig, bool) {
	_, b, ok := ipv4(b, unix.IPPROTO_ICMP)
	if !ok || len(b) < icmpLen || b[0] != icmpUnreachable || b[1] != icmpFragNeeded {
		return TooBig{}, false
	}
	t := TooBig{MTU: int(binary.BigEndian.Uint16(b[6:]))}
	head, rest, ok := ipv4(b[icmpLen:], 0)
	if !ok || t.MTU == 0 {
		return TooBig{}, false // a router from before RFC 1191 does not know the MTU
	}
	t.MTU = max(t.MTU, minMTU4)
	t.Src, t.Dst, t.Proto = netip.AddrFrom4([4]byte(head[12:])), netip.AddrFrom4([4]byte(head[16:])), head[9]
	return t.port(rest)
}

// ipv4 splits a packet, which may be cut off, into header and rest; proto 0: any.
func ipv4(b []byte, proto uint8) (head, rest []byte, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return nil, nil, false
	}
	n := int(b[0]&15) * 4
	if n < 20 || n > len(b) || proto != 0 && b[9] != proto {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// parseTooBig6 reads an ICMPv6 message.
func parseTooBig6(b []byte) (TooBig, bool) {
	if len(b) < icmpLen+40 || b[0] != icmp6TooBig || b[icmpLen]>>4 != 6 {
		return TooBig{}, false
	}
	t := TooBig{MTU: int(min(binary.BigEndian.Uint32(b[4:]), 65535))}
	t.MTU = max(t.MTU, minMTU6)
	ip := b[icmpLen:]
	t.Src, t.Dst, t.Proto = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:])), ip[6]
	return t.port(ip[40:])
}

// port reads the port behind the IP header, and reports whether the packet can be one of a tunnel.
func (t TooBig) port(b []byte) (TooBig, bool) {
	switch t.Proto {
	case unix.IPPROTO_UDP:
		if len(b) < 4 {
			return t, false
		}
		t.DstPort = binary.BigEndian.Uint16(b[2:])
		return t, true
	case unix.IPPROTO_GRE:
		return t, true
	}
	return t, false
}

// listen opens a raw socket in the host's namespace.
func (l *Linux) listen(family, proto, level, option int, filter string) (*os.File, error) {
	var f *os.File
	err := netdev.In(l.ns, func() error {
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptString(fd, level, option, filter); err != nil {
			unix.Close(fd)
			return err
		}
		f = os.NewFile(uintptr(fd), "icmp")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("raw socket for ICMP errors: %w", err)
	}
	return f, nil
}

// Filters of raw sockets have a bit for each type that is not wanted.
const (
	icmpFilterOption = 1 // ICMP_FILTER of linux/icmp.h; ICMPV6_FILTER has the same number
	solRaw           = 255
)

// listenTooBig has errors reported until ctx ends.
func (l *Linux) listenTooBig(ctx context.Context, c *Changes) error {
	only4 := binary.NativeEndian.AppendUint32(nil, ^uint32(1<<icmpUnreachable))
	f, err := l.listen(unix.AF_INET, unix.IPPROTO_ICMP, solRaw, icmpFilterOption, string(only4))
	if err != nil {
		return err
	}
	go hear(ctx, f, c, parseTooBig4)
	var only6 []byte
	for i := range 8 {
		word := ^uint32(0)
		if i == 0 {
			word = ^uint32(1 << icmp6TooBig)
		}
		only6 = binary.NativeEndian.AppendUint32(only6, word)
	}
	f, err = l.listen(unix.AF_INET6, unix.IPPROTO_ICMPV6, unix.IPPROTO_ICMPV6, icmpFilterOption, string(only6))
	if errors.Is(err, syscall.EAFNOSUPPORT) {
		return nil // no IPv6 at all
	} else if err != nil {
		return err
	}
	go hear(ctx, f, c, parseTooBig6)
	return nil
}

func hear(ctx context.Context, f *os.File, c *Changes, parse func([]byte) (TooBig, bool)) {
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer func() {
		if stop() {
			f.Close()
		}
	}()
	b := make([]byte, 2048)
	for {
		n, err := f.Read(b)
		if errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENETDOWN) {
			continue
		}
		if err != nil {
			if ctx.Err() == nil {
				c.SetErr(fmt.Errorf("listen for ICMP errors: %w", err))
			}
			return
		}
		if t, ok := parse(b[:n]); ok {
			c.SetTooBig(t)
		}
	}
}
