package ebpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// hook is a program at one side of a device: a tcx link, or a filter of the clsact qdisc on
// kernels before 6.6.
type hook struct {
	ifindex  int
	egress   bool
	underlay bool      // of native tunnels: before what a port has there
	link     link.Link // nil: a clsact filter
	pin      string    // of the link
}

// Handle and priority of our clsact filter. Both are in the middle, so that others can be
// before and behind it.
const (
	filterHandle   = 0x0b5f
	filterPriority = 0x0b5f
)

// pinName is what the link is called.
func (h *hook) pinName() string {
	switch {
	case h.underlay:
		return fmt.Sprintf("link_%d_underlay", h.ifindex)
	case h.egress:
		return fmt.Sprintf("link_%d_egress", h.ifindex)
	}
	return fmt.Sprintf("link_%d_ingress", h.ifindex)
}

// portHook is where a port's program is.
func portHook(spec *datapath.PortSpec) hook {
	return hook{ifindex: spec.Ifindex, egress: spec.Kind == datapath.PortInternal}
}

// attach puts a program at a device, or takes over the place that an earlier instance has.
func (d *Datapath) attach(h hook, prog *ebpf.Program) (hook, error) {
	if d.pins != nil {
		if l, path := d.pins.loadLink(&h); l != nil {
			h.link, h.pin = l, path
			return h, d.renew(&h, prog)
		}
	}
	if !d.opts.clsact {
		at := ebpf.AttachTCXIngress
		if h.egress {
			at = ebpf.AttachTCXEgress
		}
		o := link.TCXOptions{Interface: h.ifindex, Program: prog, Attach: at}
		if h.underlay {
			o.Anchor = link.Head()
		}
		l, err := link.AttachTCX(o)
		if err == nil {
			h.link = l
			if d.pins != nil {
				h.pin = d.pins.path(h.pinName())
				if err := l.Pin(h.pin); err != nil {
					l.Close()
					return h, fmt.Errorf("pin link: %w", err)
				}
			}
			return h, nil
		}
		if !errors.Is(err, ebpf.ErrNotSupported) {
			return h, fmt.Errorf("attach program: %w", err)
		}
	}
	return h, h.filter(prog)
}

// renew puts a new program in the place of the old one, between two packets.
func (d *Datapath) renew(h *hook, prog *ebpf.Program) error {
	if h.link == nil {
		return h.filter(prog)
	}
	if err := h.link.Update(prog); err != nil {
		return fmt.Errorf("replace program: %w", err)
	}
	if want := d.pins.path(h.pinName()); h.pin != want {
		if err := h.link.Pin(want); err != nil {
			return fmt.Errorf("move pinned link: %w", err)
		}
		h.pin = want
	}
	return nil
}

func (h *hook) parent() uint32 {
	if h.egress {
		return netlink.HANDLE_MIN_EGRESS
	}
	return netlink.HANDLE_MIN_INGRESS
}

func (h *hook) filter(prog *ebpf.Program) error {
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: h.ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	if err := netlink.QdiscAdd(qdisc); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add clsact qdisc: %w", err)
	}
	if err := netlink.FilterReplace(h.bpfFilter(prog.FD())); err != nil {
		return fmt.Errorf("add filter: %w", err)
	}
	return nil
}

func (h *hook) bpfFilter(fd int) *netlink.BpfFilter {
	at := uint16(filterPriority)
	if h.underlay {
		at--
	}
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: h.ifindex, Parent: h.parent(), Handle: filterHandle, Priority: at, Protocol: unix.ETH_P_ALL,
		},
		Fd: fd, Name: "ovs-bpf", DirectAction: true,
	}
}

// detach takes the program away. A device that is gone has taken it along.
func (h *hook) detach() error {
	if h.link != nil {
		var errs []error
		if h.pin != "" {
			errs = append(errs, h.link.Unpin())
		}
		return errors.Join(append(errs, h.link.Close())...)
	}
	if h.ifindex == 0 {
		return nil
	}
	err := netlink.FilterDel(h.bpfFilter(-1))
	if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("delete filter: %w", err)
	}
	// The qdisc goes with its last filter, whoever made it.
	dev := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: h.ifindex}}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if fs, err := netlink.FilterList(dev, parent); err != nil || len(fs) > 0 {
			return nil
		}
	}
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: h.ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	if err := netlink.QdiscDel(qdisc); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("delete clsact qdisc: %w", err)
	}
	return nil
}

// close lets go of the hook; a pinned link and a filter stay.
func (h *hook) close() {
	if h.link != nil {
		h.link.Close()
	}
}
