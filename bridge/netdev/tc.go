package netdev

import (
	"encoding/binary"
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Requests of rtnetlink about qdiscs and classes.

// tcRoot is the parent of a device's root qdisc (TC_H_ROOT).
const tcRoot = 0xffffffff

// qdisc is the root qdisc of a device; the zero value: none, which the kernel tells of noqueue.
type qdisc struct {
	kind   string
	handle uint32
}

// tcClass is a class of a qdisc with its counters.
type tcClass struct {
	handle                  uint32
	packets, bytes, dropped uint64
}

// attr encodes a netlink attribute.
func attr(typ int, data []byte) []byte { return nl.NewRtAttr(typ, data).Serialize() }

// tc sends a request and returns the messages of type reply that answer it.
func (r rtnl) tc(typ, flags int, msg nl.TcMsg, reply uint16, attrs ...*nl.RtAttr) ([][]byte, error) {
	req := nl.NewNetlinkRequest(typ, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: r.handle}
	req.AddData(&msg)
	for _, a := range attrs {
		req.AddData(a)
	}
	return req.Execute(unix.NETLINK_ROUTE, reply)
}

// rootQdisc reads a device's root qdisc.
func (r rtnl) rootQdisc(ifindex int) (q qdisc, err error) {
	// Without the flag the kernel answers only those who listen to all changes.
	msgs, err := r.tc(unix.RTM_GETQDISC, unix.NLM_F_ACK|unix.NLM_F_ECHO, nl.TcMsg{Ifindex: int32(ifindex), Parent: tcRoot}, unix.RTM_NEWQDISC)
	if errors.Is(err, unix.ENOENT) {
		return q, nil
	}
	if err != nil {
		return q, err
	}
	for _, m := range msgs {
		if len(m) < nl.SizeofTcMsg {
			return q, errShort
		}
		q.handle = binary.NativeEndian.Uint32(m[8:])
		err = eachAttr(m[nl.SizeofTcMsg:], func(typ uint16, v []byte) {
			if typ == nl.TCA_KIND {
				q.kind = cstring(v)
			}
		})
	}
	return q, err
}

// setQdisc makes or changes the root qdisc.
func (r rtnl) setQdisc(ifindex int, handle uint32, kind string, options []byte, flags int) error {
	_, err := r.tc(unix.RTM_NEWQDISC, unix.NLM_F_ACK|flags, nl.TcMsg{Ifindex: int32(ifindex), Handle: handle, Parent: tcRoot}, 0,
		nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(kind)), nl.NewRtAttr(nl.TCA_OPTIONS, options))
	return err
}

// delQdisc removes the root qdisc; the kernel puts its default there.
func (r rtnl) delQdisc(ifindex int) error {
	_, err := r.tc(unix.RTM_DELQDISC, unix.NLM_F_ACK, nl.TcMsg{Ifindex: int32(ifindex), Parent: tcRoot}, 0)
	return err
}

// setClass makes or changes a class.
func (r rtnl) setClass(ifindex int, handle, parent uint32, kind string, options []byte) error {
	_, err := r.tc(unix.RTM_NEWTCLASS, unix.NLM_F_ACK|unix.NLM_F_CREATE, nl.TcMsg{Ifindex: int32(ifindex), Handle: handle, Parent: parent}, 0,
		nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(kind)), nl.NewRtAttr(nl.TCA_OPTIONS, options))
	return err
}

func (r rtnl) delClass(ifindex int, handle uint32) error {
	_, err := r.tc(unix.RTM_DELTCLASS, unix.NLM_F_ACK, nl.TcMsg{Ifindex: int32(ifindex), Handle: handle}, 0)
	return err
}

// classes lists a device's classes.
func (r rtnl) classes(ifindex int) (list []tcClass, err error) {
	msgs, err := r.tc(unix.RTM_GETTCLASS, unix.NLM_F_DUMP, nl.TcMsg{Ifindex: int32(ifindex)}, unix.RTM_NEWTCLASS)
	if err != nil && !errors.Is(err, nl.ErrDumpInterrupted) {
		return nil, err
	}
	for _, m := range msgs {
		c, err := parseClass(m)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func parseClass(m []byte) (c tcClass, err error) {
	if len(m) < nl.SizeofTcMsg {
		return c, errShort
	}
	c.handle = binary.NativeEndian.Uint32(m[8:])
	err = eachAttr(m[nl.SizeofTcMsg:], func(typ uint16, v []byte) {
		if typ != nl.TCA_STATS2 {
			return
		}
		_ = eachAttr(v, func(typ uint16, v []byte) {
			switch typ {
			case nl.TCA_STATS_BASIC: // bytes, packets
				if len(v) >= 12 {
					c.bytes, c.packets = binary.NativeEndian.Uint64(v), uint64(u32(v[8:]))
				}
			case nl.TCA_STATS_PKT64: // where 32 bits are not enough
				if len(v) >= 8 {
					c.packets = binary.NativeEndian.Uint64(v)
				}
			case nl.TCA_STATS_QUEUE: // qlen, backlog, drops...
				if len(v) >= 12 {
					c.dropped = uint64(u32(v[8:]))
				}
			}
		})
	})
	return c, err
}
