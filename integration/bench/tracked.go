package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/ebpf"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

var be = binary.BigEndian

// TCP flags (RFC 9293).
const (
	tcpSYN = 2
	tcpACK = 16
)

// segment is a TCP segment of 64 bytes without data from host 0 to host 1, or back; the receiver at host 1 is at port 9000. Its
// window is 60,000.
func segment(srcPort uint16, back bool, seq, ack uint32, flags byte) []byte {
	p := frames(1, func(int) header {
		return header{src: [4]byte(net.ParseIP(hostIP[0]).To4()), srcPort: srcPort, dstPort: firstPort, ttl: 64}
	})
	ip := p[14:34]
	ip[9] = unix.IPPROTO_TCP
	be.PutUint16(ip[2:], 40)
	if back {
		copy(p, hostMAC[0])
		copy(p[6:], hostMAC[1])
		copy(ip[12:], net.ParseIP(hostIP[1]).To4())
		copy(ip[16:], net.ParseIP(hostIP[0]).To4())
		be.PutUint16(p[34:], firstPort)
		be.PutUint16(p[36:], srcPort)
	}
	be.PutUint32(p[38:], seq)
	be.PutUint32(p[42:], ack)
	p[46], p[47] = 5<<4, flags
	be.PutUint16(p[48:], 60000)
	clear(p[50:])
	finishTCP(p)
	return p
}

// established has the handshake of a connection tracked by a bare datapath, and returns a segment of it that can come any number
// of times. p2 must be the port behind p1.
func established(d *ebpf.Datapath, p1 odp.Port) ([]byte, error) {
	var out []byte
	send := func(in odp.Port, p []byte) error {
		r, err := d.TestRun(in, p, 0, 0, 1)
		if err == nil && r.Verdict != ebpf.VerdictRedirect {
			err = fmt.Errorf("handshake: packet dropped: %s", r.Reason)
		}
		out = r.Data
		return err
	}
	if err := send(p1, segment(5000, false, 100, 0, tcpSYN)); err != nil {
		return nil, err
	}
	// The answer goes where the SYN came from when it was translated.
	back := segment(5000, true, 500, 101, tcpSYN|tcpACK)
	copy(back[30:34], out[26:30])
	copy(back[36:38], out[34:36])
	last := segment(5000, false, 101, 501, tcpACK)
	return last, errors.Join(send(p1+1, back), send(p1, last))
}

// trackTCP has all TCP segments forwarded between p1 and the port behind it, tracked as told before.
func trackTCP(d *ebpf.Datapath, p1 odp.Port, ct *odp.CT) error {
	put := func(in, out odp.Port, recirc uint32, state conntrack.State, acts ...odp.Action) error {
		f := datapath.Flow{Actions: acts}
		f.Match.Set(flow.InPort, uint64(in))
		f.Match.Set(flow.RecircID, uint64(recirc))
		f.Match.Set(flow.EthType, unix.ETH_P_IP)
		f.Match.Set(flow.NwProto, unix.IPPROTO_TCP)
		f.Match.Set(flow.IPFrag, 0)
		if recirc != 0 {
			f.Match.Set(flow.CTState, uint64(state))
			f.Match.Mask.Set(flow.CTState, uint64(conntrack.Tracked|conntrack.New|conntrack.Established))
		}
		_, err := d.FlowPut(&f)
		return err
	}
	var errs []error
	for _, way := range [][2]odp.Port{{p1, p1 + 1}, {p1 + 1, p1}} {
		out := odp.Output{Port: way[1]}
		if ct == nil {
			errs = append(errs, put(way[0], way[1], 0, 0, out))
			continue
		}
		plain := odp.CT{Zone: ct.Zone, NAT: ct.NAT}
		if ct.NAT != nil {
			plain.NAT = &odp.NAT{}
		}
		errs = append(errs,
			put(way[0], way[1], 0, 0, plain, odp.Recirc{ID: 1}),
			put(way[0], way[1], 1, conntrack.Tracked|conntrack.New, *ct, out),
			put(way[0], way[1], 1, conntrack.Tracked|conntrack.Established, out))
	}
	return errors.Join(errs...)
}

// trackedInstructions counts the instructions of a segment of an established TCP connection without and with connection tracking.
func trackedInstructions(ctx context.Context, b *bed, tell func(string, uint64, error) error) error {
	for _, c := range []struct {
		name string
		ct   *odp.CT
	}{
		{"TCP", nil},
		{"TCP, ct, recirculation", &odp.CT{Commit: true, Zone: 1}},
		{"TCP, ct with SNAT, recirculation", &odp.CT{Commit: true, Zone: 1, NAT: &odp.NAT{Src: true, MinAddr: []byte{10, 77, 0, 50}, MinPort: 20000, MaxPort: 20100}}},
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
				if err := trackTCP(d, p1, c.ct); err != nil {
					return err
				}
				p, err := established(d, p1)
				if err != nil {
					return err
				}
				n, err = b.count(p)
				return err
			})
			if err := tell(name, n, err); err != nil {
				return err
			}
		}
	}
	return nil
}
