package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ReserveTunnel keeps the UDP port of t for tunnels that programs build, as ReserveUDP does, and has the kernel coalesce what arrives
// there (GRO): it does that for the UDP ports of its own tunnel devices alone. So there are two, one per IP version, of a kind that
// reads the header as far as needed, in a namespace of their own where nobody sees them. Programs take the packets before the
// devices could. They go with us, however we end. A kernel without such devices coalesces nothing.
func (l *Linux) ReserveTunnel(name string, t Tunnel) (io.Closer, error) {
	for _, kind := range coalescers[t.Type] {
		c, err := l.newCoalescer(kind, t.DstPort)
		if err == nil {
			return c, nil
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, &OpenError{name, err, portHint(t.DstPort)}
		}
	}
	return l.ReserveUDP(name, t.DstPort)
}

// coalescers are the kinds of devices that coalesce packets of tunnel types, the best first. To VXLAN's code a Geneve header without
// options is one of its own, of which it wants only that all packets have the same.
var coalescers = map[string][]string{"vxlan": {"vxlan"}, "geneve": {"geneve", "vxlan"}}

// coalescer are devices in a namespace of their own.
type coalescer struct{ hidden netns.NsHandle }

func (l *Linux) newCoalescer(kind string, port uint16) (_ *coalescer, err error) {
	c := &coalescer{}
	if c.hidden, err = hiddenNamespace(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s devices to coalesce: %w", kind, errors.Join(err, c.Close()))
		}
	}()
	for i, remote := range []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")} {
		err := l.addCoalescer(kind, remote, port, c.hidden)
		if i > 0 && errors.Is(err, syscall.EAFNOSUPPORT) {
			break // there is no IPv6
		} else if err != nil {
			return c, err
		}
	}
	return c, nil
}

// vniTries is how many numbers of networks are tried: other instances may have one each.
const vniTries = 4

func (l *Linux) addCoalescer(kind string, remote netip.Addr, port uint16, to netns.NsHandle) (err error) {
	for range vniTries {
		info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		info.AddRtAttr(unix.IFLA_INFO_KIND, nl.NonZeroTerminated(kind))
		info.AddRtAttr(unix.IFLA_INFO_DATA, coalescerData(kind, remote, port))
		_, err = l.rtnl.request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, unix.IfInfomsg{Flags: unix.IFF_UP, Change: unix.IFF_UP},
			nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(to))), info)
		if !errors.Is(err, syscall.EEXIST) {
			break
		}
	}
	return err
}

// coalescerData are the attributes of a device that no packet is for.
func coalescerData(kind string, remote netip.Addr, port uint16) []byte {
	var b []byte
	add := func(typ int, v []byte) { b = append(b, nl.NewRtAttr(typ, v).Serialize()...) }
	vni := nl.Uint32Attr(rand.Uint32N(1 << 24))
	to := binary.BigEndian.AppendUint16(nil, port)
	four := remote.Is4()
	if kind == "geneve" {
		add(unix.IFLA_GENEVE_ID, vni)
		add(unix.IFLA_GENEVE_PORT, to)
		add(map[bool]int{true: unix.IFLA_GENEVE_REMOTE, false: unix.IFLA_GENEVE_REMOTE6}[four], remote.AsSlice())
		return b
	}
	add(unix.IFLA_VXLAN_ID, vni)
	add(unix.IFLA_VXLAN_PORT, to)
	add(map[bool]int{true: unix.IFLA_VXLAN_GROUP, false: unix.IFLA_VXLAN_GROUP6}[four], remote.AsSlice())
	// Devices share the socket of a UDP port that are alike in this, which nobody else sets: others are told that the port is in use.
	add(unix.IFLA_VXLAN_REMCSUM_NOPARTIAL, nil)
	return b
}

// hiddenNamespace makes a network namespace that has no name.
func hiddenNamespace() (netns.NsHandle, error) {
	type result struct {
		ns  netns.NsHandle
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := netns.New()
		done <- result{ns, err}
	}()
	r := <-done
	if r.err != nil {
		return r.ns, fmt.Errorf("make a network namespace: %w", r.err)
	}
	return r.ns, nil
}

// Close gives the UDP port back.
func (c *coalescer) Close() error {
	err := In(c.hidden, func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return fmt.Errorf("list devices: %w", err)
		}
		var errs []error
		for _, link := range links {
			if t := link.Type(); t == "vxlan" || t == "geneve" {
				errs = append(errs, netlink.LinkDel(link))
			}
		}
		return errors.Join(errs...)
	})
	if err := errors.Join(err, c.hidden.Close()); err != nil {
		return fmt.Errorf("give up devices that coalesce: %w", err)
	}
	return nil
}
