package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/ebpf"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// instructions counts what the kernel executes for a packet: it sends packets one at a time, and reads the time stamp
// counter before and behind the system call, in which a packet goes all its way. The counter counts instructions
// only where an emulator makes it do so (qemu -icount shift=0; make instructions). What a packet costs that is
// dropped at the switch's ingress is taken off all others. The datapath is opened without a daemon.
func instructions(ctx context.Context, o *options) error {
	if !hasTSC {
		return errors.New("no time stamp counter on this architecture")
	}
	fmt.Fprintln(o.out, machine())
	b := &bed{forwarder: forwarder{name: "i"}}
	id := netnsPrefix()
	b.hosts, b.sw = [2]string{id + "1", id + "2"}, id+"sw"
	defer b.close()
	if err := b.wire(ctx); err != nil {
		return err
	}
	if _, err := b.attachTo(b.hosts[1], hostDevice, drop); err != nil {
		return err
	}
	l, err := b.attachTo(b.sw, "p1", drop)
	if err != nil {
		return err
	}
	base, err := b.count(frames(1, flowOf))
	if err != nil {
		return err
	}
	l()
	fmt.Fprintf(o.out, "%-52s %6d  all others: above this\n", "dropped at the same ingress", base)
	tell := func(name string, n uint64, err error) error {
		if err == nil {
			fmt.Fprintf(o.out, "%-52s %6d\n", name, int64(n)-int64(base))
		}
		return err
	}
	for _, h := range []struct {
		name   string
		helper asm.BuiltinFunc
	}{{"bpf_redirect", asm.FnRedirect}, {"bpf_redirect_peer", asm.FnRedirectPeer}} {
		l, err := b.attachTo(b.sw, "p1", func(out int) asm.Instructions { return redirect(h.helper, out) })
		if err != nil {
			return err
		}
		n, err := b.count(frames(1, flowOf))
		l()
		if err := tell(h.name, n, err); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		name  string
		masks int
		n     int
		flow  func(int) header
	}{
		{"1 megaflow", 1, 1, flowOf},
		{"1,000 megaflows", 1, 1000, flowOf},
		{"1,000 megaflows of 16 masks", 16, 1000, shapeOf},
	} {
		for _, peer := range []bool{false, true} {
			name, n := "ovs-bpf, redirect, "+c.name, uint64(0)
			if peer {
				name = "ovs-bpf, peer, " + c.name
			}
			err := on(place{ns: b.sw, cpu: -1}, func() (err error) {
				d, p1, err := bareDatapath(ctx, peer)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, d.Close(true)) }()
				for i := range c.n {
					if err := forward(d, p1, c.flow(i), i%c.masks); err != nil {
						return err
					}
				}
				n, err = b.count(frames(c.n, c.flow))
				return err
			})
			if err := tell(name, n, err); err != nil {
				return err
			}
		}
	}
	return trackedInstructions(ctx, b, tell)
}

func drop(int) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, verdictDrop), asm.Return()}
}

func redirect(helper asm.BuiltinFunc, to int) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R1, int32(to)), asm.Mov.Imm(asm.R2, 0), helper.Call(), asm.Return()}
}

// attachTo puts a program at a device; it is told the other port of the switch. The function takes it away.
func (b *bed) attachTo(ns, device string, program func(other int) asm.Instructions) (detach func(), err error) {
	err = on(place{ns: ns, cpu: -1}, func() error {
		other := 0
		if p2, err := net.InterfaceByName("p2"); err == nil {
			other = p2.Index
		}
		l, err := attach(device, program(other))
		if err != nil {
			return err
		}
		detach = func() { l.Close() }
		b.undo = append(b.undo, detach)
		return nil
	})
	return detach, err
}

// bareDatapath opens the datapath in the thread's namespace, with the switch's ports.
func bareDatapath(ctx context.Context, peer bool) (*ebpf.Datapath, odp.Port, error) {
	d, err := ebpf.Open(ctx, ebpf.Options{Name: "bench", MaxFlows: 4096, MaxPorts: 64, RingBytes: 1 << 20, Handlers: 1})
	if err != nil {
		return nil, 0, err
	}
	var ports [2]odp.Port
	for i, name := range []string{"p1", "p2"} {
		if ports[i], err = d.PortAdd(datapath.PortSpec{Name: name, Number: odp.PortNone}); err != nil {
			return nil, 0, errors.Join(err, d.Close(true))
		}
	}
	if peer {
		if err := d.PortPeer(ports[1], &datapath.Peer{MAC: [6]byte(hostMAC[1]), MTU: 1500}); err != nil {
			return nil, 0, errors.Join(err, d.Close(true))
		}
	}
	return d, ports[0], nil
}

// forward has the packets of a flow go from p1 to p2 by a megaflow of the shape that the bench's rules give; the
// bits of mask say which fields it matches besides.
func forward(d *ebpf.Datapath, p1 odp.Port, h header, mask int) error {
	f := datapath.Flow{Actions: []odp.Action{odp.Output{Port: p1 + 1}}}
	f.Match.Set(flow.InPort, uint64(p1))
	f.Match.Set(flow.RecircID, 0)
	f.Match.Set(flow.EthType, unix.ETH_P_IP)
	f.Match.Set(flow.NwProto, unix.IPPROTO_UDP)
	f.Match.Set(flow.IPFrag, 0)
	ip := func(a [4]byte) uint64 { return uint64(a[0])<<24 | uint64(a[1])<<16 | uint64(a[2])<<8 | uint64(a[3]) }
	f.Match.Set(flow.IPv4Src, ip(h.src))
	f.Match.Mask.Set(flow.IPv4Src, 0xffffff00)
	f.Match.Set(flow.UDPSrc, uint64(h.srcPort))
	for bit, set := range []func(){
		func() { f.Match.Set(flow.UDPDst, uint64(h.dstPort)) },
		func() { f.Match.Set(flow.IPv4Dst, ip([4]byte(net.ParseIP(hostIP[1]).To4()))) },
		func() { f.Match.Set(flow.NwTOS, uint64(h.tos)) },
		func() { f.Match.Set(flow.NwTTL, uint64(h.ttl)) },
	} {
		if mask>>bit&1 != 0 {
			set()
		}
	}
	_, err := d.FlowPut(&f)
	return err
}

const (
	warmUps = 2000 // packets before those that count: caches fill, and the kernel patches its code
	counted = 4000
)

// count is how many ticks most packets take that go from host 0 to host 1.
func (b *bed) count(fr []byte) (most uint64, err error) {
	err = on(place{ns: b.hosts[0], cpu: 0}, func() error {
		dev, err := netlink.LinkByName(hostDevice)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("packet socket: %w", err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: dev.Attrs().Index}); err != nil {
			return fmt.Errorf("bind packet socket: %w", err)
		}
		time.Sleep(settle) // what was done before is over
		runtime.GC()
		took := make([]uint64, counted)
		n := len(fr) / frameLen
		for i := range warmUps + counted {
			p := unsafe.Pointer(&fr[i%n*frameLen])
			start := tsc()
			_, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(p), frameLen, 0, 0, 0)
			end := tsc()
			if e != 0 {
				return fmt.Errorf("send: %w", e)
			}
			if i >= warmUps {
				took[i-warmUps] = end - start
			}
		}
		slices.Sort(took)
		most = took[counted/2]
		return nil
	})
	return most, err
}
