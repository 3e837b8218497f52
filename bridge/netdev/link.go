package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// iflaTargetNetnsid asks for a link of another namespace (linux/if_link.h).
const iflaTargetNetnsid = 46

// errShort is a netlink message that ends before its header does.
var errShort = errors.New("netlink message too short")

// parseLink reads an RTM_NEWLINK or RTM_DELLINK message (without its netlink header). stats
// may be nil. ok is false when the message is not about a device as such: a Linux bridge tells
// of its ports in messages of the same type but of its own address family, and wireless
// drivers of scans in ones that do not even name the device.
func parseLink(b []byte, stats *Stats) (i Info, ok bool, err error) {
	if len(b) < unix.SizeofIfInfomsg {
		return i, false, errShort
	}
	if b[0] != unix.AF_UNSPEC {
		return i, false, nil
	}
	i.Ifindex = int(int32(binary.NativeEndian.Uint32(b[4:])))
	flags := binary.NativeEndian.Uint32(b[8:])
	i.Up = flags&unix.IFF_UP != 0
	i.Promisc = flags&unix.IFF_PROMISC != 0
	i.Loopback = flags&unix.IFF_LOOPBACK != 0
	i.Ethernet = binary.NativeEndian.Uint16(b[2:]) == unix.ARPHRD_ETHER
	// IFLA_CARRIER also tells the carrier of a device that is down, which IFF_RUNNING cannot,
	// but it was added to messages later (3.9).
	i.Carrier = flags&unix.IFF_LOWER_UP != 0
	link, peerNetns := 0, -1
	err = eachAttr(b[unix.SizeofIfInfomsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_IFNAME:
			i.Name = cstring(v)
		case unix.IFLA_ADDRESS:
			if len(v) == len(i.MAC) {
				i.MAC = MAC(v)
			}
		case unix.IFLA_MTU:
			i.MTU = int(u32(v))
		case unix.IFLA_CARRIER:
			i.Carrier = len(v) > 0 && v[0] != 0
		case unix.IFLA_CARRIER_CHANGES:
			i.CarrierChanges = u32(v)
		case unix.IFLA_MASTER:
			i.Master = int(u32(v))
		case unix.IFLA_IFALIAS:
			i.Alias = cstring(v)
		case unix.IFLA_LINK:
			link = int(u32(v))
		case unix.IFLA_LINK_NETNSID:
			peerNetns = int(int32(u32(v)))
		case unix.IFLA_LINKINFO:
			_ = eachAttr(v, func(typ uint16, v []byte) {
				if typ == unix.IFLA_INFO_KIND {
					i.Kind = cstring(v)
				}
			})
		case unix.IFLA_STATS64:
			if stats != nil {
				*stats = parseStats(v)
			}
		}
	})
	if i.Kind == "veth" && link != 0 {
		i.Peer = Peer{Ifindex: link, Netns: peerNetns}
	}
	return i, i.Name != "", err
}

// parseStats reads struct rtnl_link_stats64; an older, shorter one leaves the rest zero.
func parseStats(v []byte) Stats {
	n := func(at int) uint64 {
		if len(v) < 8*at+8 {
			return 0
		}
		return binary.NativeEndian.Uint64(v[8*at:])
	}
	return Stats{
		RxPackets: n(0), TxPackets: n(1), RxBytes: n(2), TxBytes: n(3),
		RxErrors: n(4), TxErrors: n(5), RxDropped: n(6), TxDropped: n(7),
		RxMulticast: n(8), Collisions: n(9),
		RxOverErr: n(11), RxCRCErr: n(12), RxFrameErr: n(13), RxMissed: n(15),
	}
}

// eachAttr walks netlink attributes.
func eachAttr(b []byte, f func(typ uint16, v []byte)) error {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return fmt.Errorf("netlink attribute of %d bytes in %d", n, len(b))
		}
		f(binary.NativeEndian.Uint16(b[2:])&nl.NLA_TYPE_MASK, b[unix.SizeofRtAttr:n])
		b = b[min((n+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(b)):]
	}
	return nil
}

// u32 reads an attribute of four bytes, 0 if it is shorter.
func u32(v []byte) uint32 {
	if len(v) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v)
}

// cstring reads a zero-terminated string.
func cstring(v []byte) string { return unix.ByteSliceToString(v) }

// rtnl is a request socket of rtnetlink.
type rtnl struct{ handle *nl.SocketHandle }

// request sends one request about the link with this ifindex (0: none), and returns the
// RTM_NEWLINK messages that answer it.
func (r rtnl) request(typ, flags int, ifi unix.IfInfomsg, attrs ...*nl.RtAttr) ([][]byte, error) {
	req := nl.NewNetlinkRequest(typ, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: r.handle}
	req.AddData(&nl.IfInfomsg{IfInfomsg: ifi})
	for _, a := range attrs {
		req.AddData(a)
	}
	return req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
}

// get reads one link, by name if that is not empty, else by ifindex.
func (r rtnl) get(name string, ifindex int, attrs ...*nl.RtAttr) (i Info, s Stats, err error) {
	if name != "" {
		if len(name) >= unix.IFNAMSIZ {
			return i, s, ErrNoDevice
		}
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	}
	msgs, err := r.request(unix.RTM_GETLINK, unix.NLM_F_ACK,
		unix.IfInfomsg{Index: int32(ifindex)}, attrs...)
	if err != nil {
		return i, s, err
	}
	for _, m := range msgs {
		if i, ok, err := parseLink(m, &s); ok || err != nil {
			return i, s, err
		}
	}
	return i, s, ErrNoDevice
}

// list reads all links. A dump that the kernel's changes interrupted is taken again.
func (r rtnl) list() ([]Info, error) {
	var msgs [][]byte
	var err error
	for range 10 {
		msgs, err = r.request(unix.RTM_GETLINK, unix.NLM_F_DUMP, unix.IfInfomsg{})
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	// After ten interruptions what there is serves: the changes have events of their own.
	if err != nil && !errors.Is(err, nl.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	all := make([]Info, 0, len(msgs))
	for _, m := range msgs {
		i, ok, err := parseLink(m, nil)
		if err != nil {
			return nil, fmt.Errorf("list devices: %w", err)
		}
		if ok {
			all = append(all, i)
		}
	}
	return all, nil
}

// set changes a link: the flags in mask become flags, and attrs apply.
func (r rtnl) set(ifindex int, flags, mask uint32, attrs ...*nl.RtAttr) error {
	_, err := r.request(unix.RTM_NEWLINK, unix.NLM_F_ACK,
		unix.IfInfomsg{Index: int32(ifindex), Flags: flags, Change: mask}, attrs...)
	return err
}

// del removes a link.
func (r rtnl) del(ifindex int) error {
	_, err := r.request(unix.RTM_DELLINK, unix.NLM_F_ACK, unix.IfInfomsg{Index: int32(ifindex)})
	return err
}

// isGone tells an error about a device that does not exist.
func isGone(err error) bool {
	return errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENXIO)
}
