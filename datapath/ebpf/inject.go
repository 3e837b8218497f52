package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/execute"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

const (
	maxLanes    = 8
	injectMagic = 0x0b5f0000 // INJECT_MAGIC of bpf/abi.h
	injectMTU   = 65521
)

// injector brings packets down: they are sent out of a tap that exists only for its egress hook.
// Copies whose actions change them come that way too, also without an agent: with pins the tap outlives us.
// There the inject program runs the actions that are in the record that the packet's mark names.
// It has run when the send call returns. All that the programs can do to a packet, they do here too,
// and offload state goes down in the virtio_net_hdr.
type injector struct {
	tap  int
	name string
	hook hook
	recs mapping[bpf.DatapathInjectRec]
	free chan *lane
	all  []*lane
}

// lane is what one packet at a time needs.
type lane struct {
	fd     int
	rec    *bpf.DatapathInjectRec
	blocks []uint32
	vnet   [10]byte
}

func (d *Datapath) newInjector() (_ *injector, err error) {
	in := &injector{tap: -1, free: make(chan *lane, maxLanes)}
	defer func() {
		if err != nil {
			in.close()
			err = fmt.Errorf("device for packets from user space: %w", err)
		}
	}()
	if in.recs, err = mapArray[bpf.DatapathInjectRec](d.coll.Maps["injects"]); err != nil {
		return nil, err
	}
	ifindex, err := in.makeTap(d.tapOwner(), d.pins != nil)
	if err != nil {
		return nil, err
	}
	in.hook, err = d.attach(hook{ifindex: ifindex, egress: true}, d.coll.Programs["inject"])
	if err != nil {
		return nil, err
	}
	atomic.StoreUint32(&d.table.config.at[0].InjectIfindex, uint32(ifindex))
	first := len(d.table.acts.at) - laneBlocks
	for i := range maxLanes {
		l := &lane{rec: &in.recs.at[i]}
		*l.rec = bpf.DatapathInjectRec{}
		for b := range maxBlocks {
			l.blocks = append(l.blocks, uint32(first+i*maxBlocks+b))
		}
		if l.fd, err = openLane(ifindex, injectMagic^i); err != nil {
			return nil, err
		}
		in.all = append(in.all, l)
		in.free <- l
	}
	return in, nil
}

const injectAlias = "ovs-bpf inject "

// tapOwner tells programs that share their maps from others: a new layout has a device of its own, so that none loses the copies
// that are on their way while ports go from the old programs to the new ones.
func (d *Datapath) tapOwner() string {
	if d.pins == nil {
		return d.opts.Name
	}
	return d.opts.Name + d.opts.PinDir + " " + d.pins.layout
}

// makeTap makes the device under a name of the instance's own, or takes the one that an earlier run left: its
// alias says whose it is.
func (in *injector) makeTap(instance string, persistent bool) (int, error) {
	h := fnv.New32a()
	h.Write([]byte(instance))
	alias := injectAlias + instance
	var err error
	if in.tap, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return 0, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	var name string
	for try := range uint32(16) {
		name = fmt.Sprintf("ovs-in-%08x", h.Sum32()+try)
		var req *unix.Ifreq
		if req, err = unix.NewIfreq(name); err != nil {
			return 0, err
		}
		flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_TUN_EXCL)
		if dev, err := netlink.LinkByName(name); err == nil && persistent && dev.Attrs().Alias == alias && dev.Type() == "tuntap" {
			flags &^= unix.IFF_TUN_EXCL
		}
		req.SetUint16(flags)
		if err = unix.IoctlIfreq(in.tap, unix.TUNSETIFF, req); !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EEXIST) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("make tap %s: %w", name, err)
	}
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("find tap %s: %w", name, err)
	}
	in.name = name
	if persistent {
		if err := errors.Join(netlink.LinkSetAlias(dev, alias), unix.IoctlSetInt(in.tap, unix.TUNSETPERSIST, 1)); err != nil {
			return 0, fmt.Errorf("keep tap %s: %w", name, err)
		}
	}
	// The host must not take it for a network: no addresses, no neighbours.
	_ = netlink.LinkSetIP6AddrGenMode(dev, nl6AddrGenNone)
	if err := errors.Join(netlink.LinkSetARPOff(dev), netlink.LinkSetMTU(dev, injectMTU), netlink.LinkSetUp(dev)); err != nil {
		return 0, fmt.Errorf("set up tap %s: %w", name, err)
	}
	return dev.Attrs().Index, nil
}

const nl6AddrGenNone = 1 // IN6_ADDR_GEN_MODE_NONE

func openLane(ifindex, mark int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20),
		unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifindex}),
	)
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set up packet socket: %w", err)
	}
	return fd, nil
}

// remove has the device go with its descriptor.
func (in *injector) remove() error {
	if err := errors.Join(in.hook.detach(), unix.IoctlSetInt(in.tap, unix.TUNSETPERSIST, 0)); err != nil {
		return fmt.Errorf("remove tap %s: %w", in.name, err)
	}
	return nil
}

func (in *injector) close() {
	for _, l := range in.all {
		unix.Close(l.fd)
	}
	in.hook.close()
	if in.tap >= 0 {
		unix.Close(in.tap)
	}
	in.recs.close()
}

// Execute implements datapath.Datapath. The packet's data are only read. Lists that the
// programs cannot run are run here, and only what they send goes through the programs.
func (d *Datapath) Execute(pkt *datapath.Packet, key *flow.Key, actions []odp.Action) error {
	if len(pkt.Data) < 14 {
		return fmt.Errorf("execute: packet of %d bytes", len(pkt.Data))
	}
	w, err := compileWith(actions, ethTypeOf(key, nil), &d.conns)
	if errors.Is(err, datapath.ErrUnsupported) || errors.Is(err, datapath.ErrTooLong) {
		err = d.executeHere(pkt, key, actions)
	} else if err == nil {
		err = d.send(pkt, key, w)
	}
	if err != nil {
		return fmt.Errorf("execute: %w", err)
	}
	return nil
}

// send brings a packet down with a list.
func (d *Datapath) send(pkt *datapath.Packet, key *flow.Key, w words) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return errClosed
	}
	l := <-d.inject.free
	defer func() { d.inject.free <- l }()
	w.link(l.blocks)
	for i := range w {
		d.table.acts.at[l.blocks[i]].W = w[i]
	}
	l.rec.InPort = uint32(key.Get(flow.InPort))
	l.rec.Block = l.blocks[0]
	l.rec.Mark = uint32(key.Get(flow.PktMark))
	l.rec.Priority = uint32(key.Get(flow.SkbPriority))
	l.rec.RecircId = uint32(key.Get(flow.RecircID))
	l.rec.DpHash = uint32(key.Get(flow.DPHash))
	l.rec.Tracked = uint32(key.Get(flow.CTState)) // not 0 if it is tracked
	copy(l.rec.Ct[:], key[ctWord:])
	l.rec.Tunneled = uint32(b2u(tunneled(key)))
	copy(l.rec.Tunnel[:], key[tunnelWord:])
	atomic.StoreUint32(&l.rec.Busy, 1)
	err := l.send(pkt)
	atomic.StoreUint32(&l.rec.Busy, 0)
	// What has come up from this list goes on in it.
	d.alg.take()
	if err != nil {
		return fmt.Errorf("send packet of %d bytes: %w", len(pkt.Data), err)
	}
	return nil
}

// executeHere runs a list in user space.
func (d *Datapath) executeHere(pkt *datapath.Packet, key *flow.Key, actions []odp.Action) error {
	if err := executable(actions); err != nil {
		return err
	}
	s := &downSink{d: d, key: *key}
	k := *key
	p := packet.Packet{Data: slices.Clone(pkt.Data), GSO: packet.GSO(pkt.GSO)}
	err := (&execute.Executor{Sink: s}).Run(&p, &k, actions)
	return errors.Join(append(s.errs, err)...)
}

// executable refuses what would be done wrongly without the datapath's own state.
func executable(actions []odp.Action) error {
	noEth := false
	for _, act := range actions {
		var nested []odp.Action
		switch a := act.(type) {
		case odp.PopEth:
			noEth = true
			continue
		case odp.PushEth:
			noEth = false
		case odp.Set:
		case odp.CT:
			return fmt.Errorf("action %T: %w", act, datapath.ErrUnsupported)
		case odp.Clone:
			nested = a.Actions
		case odp.Sample:
			nested = a.Actions
		case odp.CheckPktLen:
			nested = slices.Concat(a.Greater, a.LessEqual)
		}
		if _, set := act.(odp.Set); noEth && !set {
			return fmt.Errorf("action %T on a packet without Ethernet header: %w", act, datapath.ErrUnsupported)
		}
		if err := executable(nested); err != nil {
			return err
		}
	}
	return nil
}

// downSink brings down what executeHere sends.
type downSink struct {
	d    *Datapath
	key  flow.Key // of the packet as it came
	errs []error
}

func (s *downSink) down(p *packet.Packet, key *flow.Key, act odp.Action) {
	w, err := compileWith([]odp.Action{act}, ethTypeOf(key, nil), &s.d.conns)
	if err == nil {
		err = s.d.send(&datapath.Packet{Data: p.Data, GSO: datapath.GSO(p.GSO)}, key, w)
	}
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

func (s *downSink) Output(n odp.Port, p *packet.Packet) { s.down(p, &s.key, odp.Output{Port: n}) }

// OutputKey implements execute.KeySink.
func (s *downSink) OutputKey(n odp.Port, p *packet.Packet, key *flow.Key) {
	s.down(p, key, odp.Output{Port: n})
}

func (s *downSink) Upcall(p *packet.Packet, key *flow.Key, a *odp.Userspace) { s.down(p, key, *a) }

func (s *downSink) Recirculate(p *packet.Packet, key *flow.Key) {
	s.down(p, key, odp.Recirc{ID: uint32(key.Get(flow.RecircID))})
}

func (s *downSink) Meter(id uint32, p *packet.Packet) bool {
	return s.d.meterPasses(id, len(p.Data))
}

// Drop counts nothing: the packet is not in the datapath.
func (s *downSink) Drop(odp.DropReason) {}

// send writes the packet behind its virtio_net_hdr.
func (l *lane) send(pkt *datapath.Packet) error {
	h, g := l.vnet[:], &pkt.GSO
	clear(h)
	hdr := g.HdrLen
	if g.NeedsCsum {
		h[0] = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
		binary.NativeEndian.PutUint16(h[6:], g.CsumStart)
		binary.NativeEndian.PutUint16(h[8:], g.CsumOffset)
	}
	if g.Type != 0 && g.Size != 0 {
		if hdr == 0 {
			hdr = headerLen(pkt.Data, g)
		}
		h[1] = g.Type
		binary.NativeEndian.PutUint16(h[2:], uint16(min(int(hdr), len(pkt.Data))))
		binary.NativeEndian.PutUint16(h[4:], g.Size)
	}
	iov := [2]unix.Iovec{{Base: &h[0], Len: uint64(len(h))}, {Base: &pkt.Data[0], Len: uint64(len(pkt.Data))}}
	msg := unix.Msghdr{Iov: &iov[0], Iovlen: 2}
	for {
		_, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(l.fd), uintptr(unsafe.Pointer(&msg)), 0)
		switch e {
		case 0:
			return nil
		case unix.EINTR:
			continue
		case unix.ENOBUFS:
			// The program's verdict was to drop: that is an action done, and counted there.
			return nil
		}
		return e
	}
}
