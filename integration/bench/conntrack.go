package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The metrics of connection tracking. While one is measured, all TCP goes through ct and one recirculation, or what comes nearest:
// a SYN makes a connection, its packets pass, and all else is dropped.
const (
	snatAddr  = "10.77.0.50" // host 1 takes host 0 for it
	ctConns   = 900          // established at a time; ports from firstPort on, so that sinks take both directions
	floodPort = firstPort + 1
	// What the SYN flood has room for, if that can be said: it is full all the time.
	floodRoom = 10000
	floodRate = 50000 // SYNs a second
)

// trackRules are the rules of an OpenFlow switch, in the syntax of ovs-ofctl.
func trackRules(snat bool) []string {
	const established = "table=1,priority=10,tcp,ct_state=+trk+est-inv,in_port=%d,actions=output:%d"
	begin := func(in int, translation string) string {
		return fmt.Sprintf("table=1,priority=20,tcp,ct_state=+trk+new-inv,tcp_flags=+syn-ack,in_port=%d,actions=ct(commit,zone=1%s),output:%d", in, translation, 3-in)
	}
	list := []string{fmt.Sprintf(established, 1, 2), fmt.Sprintf(established, 2, 1)}
	if snat {
		return append(list, "table=0,priority=50,tcp,ct_state=-trk,actions=ct(table=1,zone=1,nat)", begin(1, ",nat(src="+snatAddr+":1024-65535)"))
	}
	return append(list, "table=0,priority=50,tcp,ct_state=-trk,actions=ct(table=1,zone=1)", begin(1, ""), begin(2, ""))
}

// trackOpenFlow has a daemon's bridge track connections.
func trackOpenFlow(ctx context.Context, b *bed, snat bool) (undo func(), err error) {
	undo = func() {
		ctx := context.WithoutCancel(ctx)
		_, _ = b.ctl.tool(ctx, "ovs-ofctl", "del-flows", "br0", "tcp")
		_, _ = b.ctl.tool(ctx, "ovs-appctl", "dpctl/flush-conntrack")
		_ = b.ctl.purge(ctx)
	}
	for _, r := range trackRules(snat) {
		if _, err := b.ctl.tool(ctx, "ovs-ofctl", "add-flow", "br0", r); err != nil {
			undo()
			return nil, err
		}
	}
	return undo, nil
}

// bridgeRules are those of nf_conntrack for what the bridge forwards, which br_netfilter shows to the hooks of IPv4.
const bridgeRules = `table ip bench {
	chain forward {
		type filter hook forward priority 0
		meta l4proto != tcp accept
		ct state established accept
		ct state new tcp flags & (syn | ack) == syn accept
		drop
	}
	chain postrouting {
		type nat hook postrouting priority 100
		%s
	}
}`

// trackBridge has the Linux bridge track connections. Answers to a translated source are routed to it, so the bridge has an address.
func trackBridge(ctx context.Context, b *bed, snat bool) (undo func(), err error) {
	rule := ""
	if snat {
		rule = fmt.Sprintf("ip saddr %s tcp dport >= 1 snat to %s:1024-65535", hostIP[0], snatAddr)
	}
	undo = func() {
		ctx := context.WithoutCancel(ctx)
		_, _ = b.in(ctx, b.sw, "nft", "delete", "table", "ip", "bench")
		_, _ = b.in(ctx, b.sw, "ip", "addr", "flush", "dev", "br0")
	}
	for _, args := range [][]string{
		{"sysctl", "-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"},
		{"ip", "addr", "add", "10.77.0.254/24", "dev", "br0"},
		{"ip", "neigh", "replace", hostIP[0], "lladdr", macText(0), "dev", "br0", "nud", "permanent"},
		{"nft", fmt.Sprintf(bridgeRules, rule)},
	} {
		if _, err := b.in(ctx, b.sw, args...); err != nil {
			undo()
			return nil, err
		}
	}
	return undo, nil
}

// tracked measures while connections are tracked.
func tracked(snat bool, measure func(context.Context, *options, *bed) ([]float64, error)) func(context.Context, *options, *bed) ([]float64, error) {
	return func(ctx context.Context, o *options, b *bed) ([]float64, error) {
		if _, err := b.in(ctx, b.hosts[1], "ip", "neigh", "replace", snatAddr, "lladdr", macText(0), "dev", hostDevice, "nud", "permanent"); err != nil {
			return nil, err
		}
		undo, err := b.track(ctx, b, snat)
		if err != nil {
			return nil, err
		}
		defer undo()
		return measure(ctx, o, b)
	}
}

// segments are one of each of the bench's connections.
func segments(back bool, seq, ack uint32, flags byte) (list []byte) {
	for i := range ctConns {
		list = append(list, segment(uint16(firstPort+i), back, seq, ack, flags)...)
	}
	return list
}

// pass sends frames once from a host to the other's sink and wants that nearly all arrive.
func (b *bed) pass(from int, to *sink, fr []byte) error {
	return on(place{ns: b.hosts[from], cpu: -1}, func() error {
		s, err := newSender(hostDevice, fr)
		if err != nil {
			return err
		}
		defer s.close()
		p, err := s.once(to, warmWindow)
		if err == nil && p.delivered < s.n*99/100 {
			err = fmt.Errorf("%d of %d packets of tracked connections passed", p.delivered, s.n)
		}
		return err
	})
}

// connect makes the connections whose segments are counted: nobody but the forwarder knows them.
func (b *bed) connect() (ack []byte, undo func(), err error) {
	var back *sink
	if err := on(place{ns: b.hosts[0], cpu: -1}, func() (err error) {
		back, err = newSink(hostDevice)
		return err
	}); err != nil {
		return nil, nil, err
	}
	ack = segments(false, 101, 501, tcpACK)
	err = b.pass(0, b.sink, segments(false, 100, 0, tcpSYN))
	if err == nil {
		err = b.pass(1, back, segments(true, 500, 101, tcpSYN|tcpACK))
	}
	if err == nil {
		err = b.pass(0, b.sink, ack)
	}
	if err != nil {
		back.Close()
		return nil, nil, err
	}
	return ack, func() { back.Close() }, nil
}

// trackedPackets is how many packets of established TCP connections a second arrive.
func trackedPackets(_ context.Context, o *options, b *bed) ([]float64, error) {
	ack, undo, err := b.connect()
	if err != nil {
		return nil, err
	}
	defer undo()
	return flood(o, b, ack)
}

// synFlood is the share of its packets a second that established connections keep while the other host floods the switch with SYNs
// from random sources.
func synFlood(ctx context.Context, o *options, b *bed) ([]float64, error) {
	if b.ctl != nil {
		was, err := b.ctl.maxConns(ctx)
		if err != nil {
			return nil, err
		}
		if err := b.ctl.setMaxConns(ctx, floodRoom); err != nil {
			return nil, err
		}
		defer func() { _ = b.ctl.setMaxConns(context.WithoutCancel(ctx), was) }()
	}
	ack, undo, err := b.connect()
	if err != nil {
		return nil, err
	}
	defer undo()
	before, err := flood(o, b, ack)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithCancel(ctx)
	var attack sync.WaitGroup
	var failed error
	filled := make(chan struct{})
	attack.Go(func() {
		failed = on(place{ns: b.hosts[1], cpu: o.cpuRX}, func() error { return sendSYNs(ctx, filled) })
	})
	<-filled
	during, err := flood(o, b, ack)
	cancel()
	attack.Wait()
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return []float64{during[0] / before[0]}, nil
}

// sendSYNs sends the flood until ctx ends, and says when it has sent twice as many as there is room for.
func sendSYNs(ctx context.Context, filled chan<- struct{}) error {
	const sources = 1 << 16
	fill := sync.OnceFunc(func() { close(filled) })
	defer fill()
	var list []byte
	random := rand.New(rand.NewPCG(1, 2))
	for range sources {
		list = append(list, synFrom([4]byte{byte(1 + random.IntN(9)), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())}, uint16(1024+random.IntN(60000)))...)
	}
	s, err := newSender(hostDevice, list)
	if err != nil {
		return err
	}
	defer s.close()
	gap := uint64(time.Second) * batch / floodRate
	start := monotonic()
	for i := 0; ctx.Err() == nil; i++ {
		if due := start + uint64(i)*gap; monotonic() < due {
			nap(time.Duration(due - monotonic()))
		}
		if _, err := s.send(i*batch%s.n, batch); err != nil {
			return err
		}
		if (i+1)*batch > 2*floodRoom {
			fill()
		}
	}
	return nil
}

// synFrom is a SYN from somebody behind host 1 to host 0.
func synFrom(addr [4]byte, port uint16) []byte {
	p := segment(0, true, 1, 0, tcpSYN)
	copy(p[26:], addr[:])
	be.PutUint16(p[34:], port)
	be.PutUint16(p[36:], floodPort)
	finishTCP(p)
	return p
}

// finishTCP writes the checksums of a segment without options and data.
func finishTCP(p []byte) {
	ip, tcp := p[14:34], p[34:54]
	be.PutUint16(ip[10:], 0)
	be.PutUint16(ip[10:], checksum(ip))
	be.PutUint16(tcp[16:], 0)
	pseudo := append(append([]byte{}, ip[12:20]...), 0, unix.IPPROTO_TCP, 0, 20)
	be.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))
}
