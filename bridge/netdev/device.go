package netdev

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// linuxDevice is an open kernel device.
type linuxDevice struct {
	l         *Linux
	name, typ string
	ifindex   int
	unpromisc bool // the promiscuous flag is ours to take back
	leftover  bool // it may have a qdisc of ours that shaping does not know

	shaping *shaping // what SetQoS has made, nil: nothing

	tap     *os.File      // of Internal and Tap, else nil
	own     bool          // the tap is ours to remove
	drained chan struct{} // closed when the tap's reader has ended
	claim   int           // socket that says that a system device is ours, -1: none

	mu     sync.Mutex
	closed bool
}

// Name implements Device.
func (d *linuxDevice) Name() string { return d.name }

// Type implements Device.
func (d *linuxDevice) Type() string { return d.typ }

// openSystem takes a device that exists.
func (d *linuxDevice) openSystem(adopted bool) error {
	i, _, err := d.l.rtnl.get(d.name, 0)
	if err != nil {
		return err
	}
	// The same devices that OVS refuses; ours to say why.
	if i.Loopback {
		return &OpenError{d.name, syscall.EINVAL, "loopback"}
	}
	if !i.Ethernet {
		return &OpenError{d.name, syscall.EINVAL, "not an Ethernet device"}
	}
	d.ifindex = i.Ifindex
	if d.claim, err = d.l.claim(d.ifindex); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return &OpenError{d.name, syscall.EBUSY, "port of another instance"}
		}
		return err
	}
	d.unpromisc = adopted || !i.Promisc
	d.leftover = adopted
	if i.Promisc {
		return nil
	}
	if err := d.l.rtnl.set(d.ifindex, unix.IFF_PROMISC, unix.IFF_PROMISC); err != nil {
		unix.Close(d.claim)
		d.claim = -1
		return fmt.Errorf("set promiscuous mode: %w", err)
	}
	return nil
}

// claim makes a device this process's: two would both take its packets, and no error would tell. A name in the
// abstract namespace of sockets is per network namespace, as ifindexes are, and ends with its process.
func (l *Linux) claim(ifindex int) (fd int, err error) {
	err = l.ns.do(func() error {
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("claim socket: %w", err)
		}
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@ovs-bpf/device/%d", ifindex)}); err != nil {
			unix.Close(fd)
			return fmt.Errorf("claim device: %w", err)
		}
		return nil
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// get reads the device, by ifindex so that another one of the same name is not taken for it.
func (d *linuxDevice) get() (Info, Stats, error) {
	i, s, err := d.l.rtnl.get("", d.ifindex)
	if err == nil && i.Name != d.name {
		err = ErrNoDevice // renamed: to OVS, which goes by names, it is gone
	}
	if err != nil && d.tap != nil && d.attached() {
		err = fmt.Errorf("moved to another network namespace: %w", err)
	}
	if err != nil {
		return Info{}, Stats{}, fmt.Errorf("device %s: %w", d.name, err)
	}
	return i, s, nil
}

// Info implements Device.
func (d *linuxDevice) Info() (Info, error) {
	i, _, err := d.get()
	return i, err
}

// Stats implements Device.
func (d *linuxDevice) Stats() (Stats, error) {
	_, s, err := d.get()
	if d.tap != nil {
		s = s.swapped()
	}
	return s, err
}

// Ethtool implements Device.
func (d *linuxDevice) Ethtool() (Ethtool, error) { return ethtool(d.l.ioctl, d.name) }

// SetMTU implements Device.
func (d *linuxDevice) SetMTU(mtu int) error {
	if mtu < 0 || int64(mtu) > 1<<31-1 {
		return fmt.Errorf("device %s: MTU %d: %w", d.name, mtu, syscall.EINVAL)
	}
	if err := d.l.rtnl.set(d.ifindex, 0, 0,
		nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu)))); err != nil {
		return fmt.Errorf("device %s: set MTU to %d: %w", d.name, mtu, err)
	}
	return nil
}

// SetMAC implements Device.
func (d *linuxDevice) SetMAC(mac MAC) error {
	attr := nl.NewRtAttr(unix.IFLA_ADDRESS, mac[:])
	err := d.l.rtnl.set(d.ifindex, 0, 0, attr)
	if errors.Is(err, syscall.EBUSY) && d.tap != nil {
		// Only a device that is down changes its address on such a kernel.
		err = d.l.rtnl.set(d.ifindex, 0, unix.IFF_UP, attr)
		if err == nil {
			err = d.SetUp(true)
		}
	}
	if err != nil {
		return fmt.Errorf("device %s: set address to %s: %w", d.name, mac, err)
	}
	return nil
}

// SetUp implements Device.
func (d *linuxDevice) SetUp(up bool) error {
	var flags uint32
	if up {
		flags = unix.IFF_UP
	}
	if err := d.l.rtnl.set(d.ifindex, flags, unix.IFF_UP); err != nil {
		return fmt.Errorf("device %s: set up to %v: %w", d.name, up, err)
	}
	return nil
}

// Close implements Device.
func (d *linuxDevice) Close() error {
	err := d.shut()
	d.l.forget(d)
	return err
}

// Release implements Device.
func (d *linuxDevice) Release() error {
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return nil
	}
	err := d.unshape(true)
	switch {
	case isGone(err):
	case d.own:
		err = errors.Join(err, d.unpersist())
	case d.unpromisc:
		err = errors.Join(err, d.l.rtnl.set(d.ifindex, 0, unix.IFF_PROMISC))
	}
	if isGone(err) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("release device %s: %w", d.name, err)
	}
	return errors.Join(err, d.Close())
}

// shut closes the tap and waits for its reader.
func (d *linuxDevice) shut() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if d.claim >= 0 {
		unix.Close(d.claim)
	}
	if d.tap == nil {
		return nil
	}
	err := d.tap.Close()
	<-d.drained
	return err
}
