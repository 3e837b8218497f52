package netdev

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxInstance is the longest instance name: with our word before it, it must fit into a
// link's alias (IFALIASZ).
const maxInstance = 200

// Linux is the Provider of the kernel's devices. Its sockets are made once, and belong to the
// network namespace of the thread that called NewLinux whichever thread uses them.
type Linux struct {
	ns    namespace
	rtnl  rtnl
	ioctl int    // any socket, to name the namespace in device ioctls
	mark  string // alias of the taps that we make

	mu     sync.Mutex
	open   map[string]*linuxDevice // nil while being opened
	closed bool
}

var _ Provider = (*Linux)(nil)

// NewLinux makes a provider for the calling thread's network namespace. instance tells this
// agent from others in the same namespace (its run directory does): it marks the taps that
// the provider makes, so that the next run knows them.
func NewLinux(instance string) (*Linux, error) {
	if instance == "" || len(instance) > maxInstance {
		return nil, fmt.Errorf("instance name of %d bytes, want 1 to %d", len(instance), maxInstance)
	}
	ns, err := currentNamespace()
	if err != nil {
		return nil, err
	}
	l := &Linux{
		ns:    ns,
		mark:  "ovs-bpf " + instance,
		ioctl: -1,
		open:  map[string]*linuxDevice{},
	}
	err = ns.do(func() error {
		handle, err := requestSocket()
		if err != nil {
			return fmt.Errorf("rtnetlink socket: %w", err)
		}
		l.rtnl = rtnl{handle}
		l.ioctl, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("ioctl socket: %w", err)
		}
		return nil
	})
	if err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// requestSocket makes an rtnetlink socket in the thread's namespace.
func requestSocket() (*nl.SocketHandle, error) {
	s, err := nl.GetNetlinkSocketAt(-1, -1, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	// The kernel answers at once; the limit is for a request that got lost.
	limit := unix.Timeval{Sec: 30}
	if err := errors.Join(s.SetSendTimeout(&limit), s.SetReceiveTimeout(&limit)); err != nil {
		s.Close()
		return nil, err
	}
	return &nl.SocketHandle{Socket: s}, nil
}

// Types implements Provider.
func (l *Linux) Types() []string { return []string{Internal, System, Tap} }

// Open implements Provider.
func (l *Linux) Open(spec OpenSpec) (Device, error) {
	fail := func(err error) (Device, error) {
		return nil, &OpenError{Name: spec.Name, Err: err}
	}
	if spec.Type == "" {
		spec.Type = System
	}
	if !slices.Contains(l.Types(), spec.Type) {
		return fail(fmt.Errorf("type %q: %w", spec.Type, syscall.EAFNOSUPPORT))
	}
	l.mu.Lock()
	_, busy := l.open[spec.Name]
	closed := l.closed
	if !busy && !closed {
		l.open[spec.Name] = nil
	}
	l.mu.Unlock()
	switch {
	case closed:
		return fail(errors.New("provider is closed"))
	case busy:
		return fail(fmt.Errorf("already open: %w", syscall.EBUSY))
	}

	d := &linuxDevice{l: l, name: spec.Name, typ: spec.Type, claim: -1}
	var err error
	if spec.Type == System {
		err = d.openSystem(spec.Adopted)
	} else {
		err = d.openTap()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.closed {
		err = errors.Join(errors.New("provider is closed"), d.shut())
	}
	if err != nil {
		delete(l.open, spec.Name)
		if oe := (*OpenError)(nil); errors.As(err, &oe) {
			return nil, err
		}
		return fail(err)
	}
	l.open[spec.Name] = d
	return d, nil
}

// Lookup implements Provider.
func (l *Linux) Lookup(name string) (Info, error) {
	i, _, err := l.rtnl.get(name, 0)
	if err != nil {
		return Info{}, fmt.Errorf("device %s: %w", name, err)
	}
	return i, nil
}

// PeerOf implements Provider.
func (l *Linux) PeerOf(i Info) (Info, error) {
	if i.Peer.Ifindex == 0 {
		return Info{}, fmt.Errorf("device %s: peer: %w", i.Name, ErrNoDevice)
	}
	var attrs []*nl.RtAttr
	if i.Peer.Netns >= 0 {
		attrs = append(attrs, nl.NewRtAttr(iflaTargetNetnsid, nl.Uint32Attr(uint32(i.Peer.Netns))))
	}
	p, _, err := l.rtnl.get("", i.Peer.Ifindex, attrs...)
	if err != nil {
		return Info{}, fmt.Errorf("device %s: peer: %w", i.Name, err)
	}
	return p, nil
}

// Sweep implements Provider. What it knows its own by is the alias; a device whose alias somebody
// changed is not ours any more.
func (l *Linux) Sweep(keep []string) ([]string, error) {
	all, err := l.rtnl.list()
	if err != nil {
		return nil, err
	}
	var removed []string
	var errs []error
	for _, i := range all {
		if !ours(i.Kind) || i.Alias != l.mark || slices.Contains(keep, i.Name) {
			continue
		}
		l.mu.Lock()
		_, open := l.open[i.Name]
		l.mu.Unlock()
		if open {
			continue
		}
		if err := l.rtnl.del(i.Ifindex); err != nil && !isGone(err) {
			errs = append(errs, fmt.Errorf("remove device %s: %w", i.Name, err))
			continue
		}
		removed = append(removed, i.Name)
	}
	return removed, errors.Join(errs...)
}

// Watch implements Provider.
func (l *Linux) Watch(ctx context.Context) (<-chan Event, error) {
	w := &watch{l: l, events: newEvents()}
	if err := w.subscribe(); err != nil {
		return nil, err
	}
	out := make(chan Event)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		w.run(ctx)
	}()
	go w.events.deliver(ctx, out)
	return out, nil
}

// Close implements Provider.
func (l *Linux) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	open := slices.Collect(maps.Values(l.open))
	l.mu.Unlock()
	var errs []error
	for _, d := range open {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(append(errs, l.release())...)
}

// release closes what NewLinux opened.
func (l *Linux) release() error {
	if l.rtnl.handle != nil {
		l.rtnl.handle.Close()
	}
	var err error
	if l.ioctl >= 0 {
		err = unix.Close(l.ioctl)
	}
	return errors.Join(err, l.ns.close())
}

// forget takes a closed device off the list.
func (l *Linux) forget(d *linuxDevice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[d.name] == d {
		delete(l.open, d.name)
	}
}

// validName reports whether the kernel takes name for a new device as it stands: it has rules
// (dev_valid_name), and would number a name with a % by itself.
func validName(name string) error {
	switch {
	case len(name) >= unix.IFNAMSIZ:
		return syscall.ENAMETOOLONG
	case name == "" || name == "." || name == "..":
		return syscall.EINVAL
	case strings.ContainsAny(name, "/:% \t\n\v\f\r\x00"):
		return syscall.EINVAL
	}
	return nil
}
