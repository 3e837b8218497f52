package netdev

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const tunPath = "/dev/net/tun"

// openTap makes the device's tap, or attaches to one that exists: our own of an earlier run,
// or a user's that nobody has open, which stays the user's.
func (d *linuxDevice) openTap() error {
	if err := validName(d.name); err != nil {
		return err
	}
	old, _, err := d.l.rtnl.get(d.name, 0)
	exists := err == nil
	switch {
	case err != nil && !isGone(err):
		return err
	case exists && old.Kind != "tun":
		return &OpenError{d.name, syscall.EEXIST, "not a tap"}
	case exists && old.Alias != d.l.mark && strings.HasPrefix(old.Alias, "ovs-bpf "):
		return &OpenError{d.name, syscall.EBUSY, "tap of another instance, " + old.Alias[8:]}
	}
	var f *os.File
	if err := d.l.ns.do(func() (err error) { f, err = attachTap(d.name); return err }); err != nil {
		return err
	}
	// Until it is made persistent, the kernel removes a new tap when f is closed: whatever
	// fails up to there, and a crash too, leaves nothing behind, and no tap of ours is without
	// its mark.
	i, _, err := d.l.rtnl.get(d.name, 0)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	d.tap, d.ifindex = f, i.Ifindex
	d.own = !exists || old.Alias == d.l.mark
	if !exists {
		err = d.l.rtnl.set(d.ifindex, 0, 0,
			nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(d.l.mark)))
		if err != nil {
			return errors.Join(fmt.Errorf("mark tap: %w", err), f.Close())
		}
	}
	if d.own {
		if err := d.persist(1); err != nil {
			return errors.Join(err, f.Close())
		}
		d.keepNeighbours()
	}
	d.drained = make(chan struct{})
	go d.drain()
	return nil
}

// keepNeighbours has the host keep the addresses of its neighbours behind a tap that has no carrier: between two runs
// nobody has it open, and still the programs forward. Kernels before 5.16, and a /proc/sys that cannot be written,
// forget them; then the host asks again when we are back.
func (d *linuxDevice) keepNeighbours() {
	_ = d.l.ns.do(func() error {
		for _, name := range []string{"ipv4/conf/" + d.name + "/arp_evict_nocarrier", "ipv6/conf/" + d.name + "/ndisc_evict_nocarrier"} {
			_ = os.WriteFile("/proc/sys/net/"+name, []byte("0"), 0)
		}
		return nil
	})
}

// attachTap opens the tap called name in the thread's network namespace, and makes it if need
// be. The tap has no virtio header (IFF_VNET_HDR): packets do not pass through the file, and
// the host hands its large packets to the egress program whole without it.
func attachTap(name string) (*os.File, error) {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", tunPath, err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("attach to tap: %w", err)
	}
	// Only now: the poller refuses the file before a device is attached.
	return os.NewFile(uintptr(fd), tunPath), nil
}

// drain throws away what the host sends while no program is attached that takes it: otherwise
// it would wait in the device's queue, and come out as old packets or hold up senders.
func (d *linuxDevice) drain() {
	defer close(d.drained)
	var b [1]byte // one read takes a packet whole, whatever fits
	for {
		if _, err := d.tap.Read(b[:]); err != nil {
			return // closed, or the device is gone
		}
	}
}

// control calls f with the tap's descriptor.
func (d *linuxDevice) control(f func(fd int) error) error {
	conn, err := d.tap.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = conn.Control(func(fd uintptr) { inner = f(int(fd)) })
	return errors.Join(err, inner)
}

// persist says whether the tap outlives its file.
func (d *linuxDevice) persist(on int) error {
	err := d.control(func(fd int) error { return unix.IoctlSetInt(fd, unix.TUNSETPERSIST, on) })
	if err != nil {
		return fmt.Errorf("set tap persistence to %d: %w", on, err)
	}
	return nil
}

// attached reports whether the tap exists, in whichever namespace.
func (d *linuxDevice) attached() bool {
	return d.control(func(fd int) error {
		var ifr unix.Ifreq
		return unix.IoctlIfreq(fd, unix.TUNGETIFF, &ifr)
	}) == nil
}

// unpersist lets the tap go with its file. A tap that somebody removed meanwhile is no error.
func (d *linuxDevice) unpersist() error {
	if err := d.persist(0); !errors.Is(err, syscall.EBADFD) {
		return err
	}
	return nil
}
