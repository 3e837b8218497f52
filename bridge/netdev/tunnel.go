package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Tunnel is a device of the kernel that encapsulates: one for all tunnels of its kind, in metadata mode. Each packet
// says for itself where to, with which key and options.
type Tunnel struct {
	Type    string // as Interface.type: "vxlan", "geneve", "gre", "ip6gre"
	DstPort uint16 // UDP port, 0 for types without
	GBP     bool   // VXLAN with the group based policy extension
}

// tunnelKinds are the kernel's words for the types.
var tunnelKinds = map[string]string{"vxlan": "vxlan", "geneve": "geneve", "gre": "gretap", "ip6gre": "ip6gretap"}

// tunnelOptions are the options that the kernels of interest have for them.
var tunnelOptions = map[string]string{
	"vxlan": "CONFIG_VXLAN", "geneve": "CONFIG_GENEVE", "gretap": "CONFIG_NET_IPGRE", "ip6gretap": "CONFIG_IPV6_GRE",
}

// tunnelMTU is what a device of the kernel's at most takes: packets of many segments pass too, and which ones are too
// long says the route. Some kinds allow less.
var tunnelMTU = []uint32{65535, 65465, 65000}

// TunnelKind reports why the kernel has no devices of a tunnel's type, nil when it has.
func (l *Linux) TunnelKind(typ string) error {
	kind := tunnelKinds[typ]
	if kind == "" {
		return fmt.Errorf("type %q: %w", typ, syscall.EAFNOSUPPORT)
	}
	// The kernel looks at the kind before it looks at the address, which is no address.
	err := l.newTunnel("", kind, nil, nl.NewRtAttr(unix.IFLA_ADDRESS, []byte{0, 0, 0}))
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return fmt.Errorf("this kernel has no %s devices (%s): %w", kind, tunnelOptions[kind], err)
	}
	return nil
}

// newTunnel asks for a new link.
func (l *Linux) newTunnel(name, kind string, data []byte, attrs ...*nl.RtAttr) error {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(unix.IFLA_INFO_KIND, nl.NonZeroTerminated(kind))
	if data != nil {
		info.AddRtAttr(unix.IFLA_INFO_DATA, data)
	}
	attrs = append(attrs, info)
	if name != "" {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	}
	_, err := l.rtnl.request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, unix.IfInfomsg{}, attrs...)
	return err
}

// data are the attributes of the device in its kind.
func (t Tunnel) data() []byte {
	var b []byte
	add := func(typ uint16, v []byte) {
		b = append(b, nl.NewRtAttr(int(typ), v).Serialize()...)
	}
	port := binary.BigEndian.AppendUint16(nil, t.DstPort)
	on, off := []byte{1}, []byte{0}
	switch t.Type {
	case "vxlan":
		add(unix.IFLA_VXLAN_LEARNING, off)
		add(unix.IFLA_VXLAN_COLLECT_METADATA, on)
		add(unix.IFLA_VXLAN_UDP_ZERO_CSUM6_RX, on)
		add(unix.IFLA_VXLAN_PORT, port)
		if t.GBP {
			add(unix.IFLA_VXLAN_GBP, nil)
		}
	case "geneve":
		add(unix.IFLA_GENEVE_COLLECT_METADATA, nil)
		add(unix.IFLA_GENEVE_UDP_ZERO_CSUM6_RX, on)
		add(unix.IFLA_GENEVE_PORT, port)
	default:
		add(nl.IFLA_GRE_COLLECT_METADATA, nil)
	}
	return b
}

// OpenTunnel makes a tunnel's device, or finds the one of an earlier run. Errors are *OpenError.
func (l *Linux) OpenTunnel(name string, t Tunnel) (Info, error) {
	fail := func(err error, hint string) (Info, error) { return Info{}, &OpenError{name, err, hint} }
	if err := validName(name); err != nil {
		return fail(err, "")
	}
	if err := l.TunnelKind(t.Type); err != nil {
		return fail(err, err.Error()[:strings.LastIndex(err.Error(), ": ")])
	}
	old, same, err := l.findTunnel(name, t)
	switch {
	case err != nil:
		return fail(err, "")
	case old.Ifindex != 0 && old.Alias != l.mark:
		return fail(syscall.EEXIST, fmt.Sprintf("a %s device that is not ours; \"ip link del %s\" makes room", old.Kind, name))
	case same && old.Up:
		return old, nil
	case old.Ifindex != 0:
		if err := l.rtnl.del(old.Ifindex); err != nil && !isGone(err) {
			return fail(err, "")
		}
	}
	if t.DstPort != 0 {
		// The kernel would say so only when the device is there and set up, and watchers would see it come and go.
		f, err := l.ReserveUDP(name, t.DstPort)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return Info{}, err
		}
	}
	if err := l.newTunnel(name, tunnelKinds[t.Type], t.data()); err != nil {
		if errors.Is(err, syscall.EEXIST) {
			return fail(err, "another device in metadata mode has the kind's packets")
		}
		return fail(err, "")
	}
	i, _, err := l.rtnl.get(name, 0)
	if err == nil {
		// First the mark: without it nobody would know whose the device is.
		err = l.rtnl.set(i.Ifindex, 0, 0, nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(l.mark)))
	}
	if err == nil {
		for _, mtu := range tunnelMTU {
			if l.rtnl.set(i.Ifindex, 0, 0, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(mtu))) == nil {
				break
			}
		}
		err = l.rtnl.set(i.Ifindex, unix.IFF_UP, unix.IFF_UP)
	}
	if err == nil {
		i, _, err = l.rtnl.get("", i.Ifindex)
	}
	if err != nil {
		hint := ""
		if errors.Is(err, syscall.EADDRINUSE) {
			hint = portHint(t.DstPort)
		}
		if i.Ifindex != 0 {
			err = errors.Join(err, l.rtnl.del(i.Ifindex))
		}
		return fail(err, hint)
	}
	return i, nil
}

// findTunnel reads the link of a name, Ifindex 0 if there is none, and whether it is a device like t.
func (l *Linux) findTunnel(name string, t Tunnel) (i Info, same bool, err error) {
	msgs, err := l.rtnl.request(unix.RTM_GETLINK, unix.NLM_F_ACK, unix.IfInfomsg{}, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if isGone(err) {
		return Info{}, false, nil
	} else if err != nil {
		return Info{}, false, err
	}
	for _, m := range msgs {
		i, ok, err := parseLink(m, nil)
		if err != nil {
			return Info{}, false, err
		}
		if ok {
			return i, i.Kind == tunnelKinds[t.Type] && t.like(m), nil
		}
	}
	return Info{}, false, nil
}

// like reports whether a link's message has what the device asks for.
func (t Tunnel) like(link []byte) bool {
	has := map[uint16][]byte{}
	_ = eachAttr(link[unix.SizeofIfInfomsg:], func(typ uint16, v []byte) {
		if typ != unix.IFLA_LINKINFO {
			return
		}
		_ = eachAttr(v, func(typ uint16, v []byte) {
			if typ == unix.IFLA_INFO_DATA {
				_ = eachAttr(v, func(typ uint16, v []byte) { has[typ] = v })
			}
		})
	})
	on := func(typ uint16) bool { v, ok := has[typ]; return ok && (len(v) == 0 || v[0] != 0) }
	port := func(typ uint16) bool { return len(has[typ]) == 2 && binary.BigEndian.Uint16(has[typ]) == t.DstPort }
	switch t.Type {
	case "vxlan":
		return on(unix.IFLA_VXLAN_COLLECT_METADATA) && port(unix.IFLA_VXLAN_PORT) && on(unix.IFLA_VXLAN_GBP) == t.GBP
	case "geneve":
		return on(unix.IFLA_GENEVE_COLLECT_METADATA) && port(unix.IFLA_GENEVE_PORT)
	}
	return on(nl.IFLA_GRE_COLLECT_METADATA)
}

// CloseTunnel removes a tunnel's device, if it is ours.
func (l *Linux) CloseTunnel(name string) error {
	i, _, err := l.rtnl.get(name, 0)
	if isGone(err) || err == nil && i.Alias != l.mark {
		return nil
	}
	if err == nil {
		err = l.rtnl.del(i.Ifindex)
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("remove device %s: %w", name, err)
	}
	return nil
}

// ours are the kinds of links that are made here.
func ours(kind string) bool {
	if kind == "tun" {
		return true
	}
	return slices.Contains([]string{"vxlan", "geneve", "gretap", "ip6gretap"}, kind)
}
