package main

import (
	"context"
	"net"

	"github.com/cilium/ebpf/asm"
)

// forwarder is something that brings packets from one host to the other.
type forwarder struct {
	name   string
	about  string
	direct bool // no switch between the hosts
	up     func(context.Context, *options, *bed) error
	// track has it track connections of TCP, and translate their source if snat says so, until undo; nil: it cannot.
	track func(_ context.Context, _ *bed, snat bool) (undo func(), err error)
	// tunnel has it build tunnels, and returns what gives it another one; nil: it cannot.
	tunnel func(context.Context, *options, *overlay) (set func(context.Context, tunnel) error, err error)
}

// ours is the forwarder that the others are compared with.
const ours = "ovs-bpf"

// forwarders are all that can be measured.
func forwarders() []forwarder {
	return []forwarder{
		{name: "direct", about: "one veth pair between the hosts", direct: true},
		{name: "redirect", about: "a tcx program that only calls bpf_redirect", up: bare(asm.FnRedirect)},
		{name: "peer", about: "a tcx program that only calls bpf_redirect_peer", up: bare(asm.FnRedirectPeer)},
		{name: "bridge", about: "the Linux bridge", up: bridge, track: trackBridge, tunnel: bridgeTunnel},
		{name: "ovs", about: "stock ovs-vswitchd, user-space datapath over AF_PACKET, checksum offload off", up: stock, track: trackOpenFlow, tunnel: stockTunnel},
		{name: ours, about: "ovs-bpfd", up: agent, track: trackOpenFlow, tunnel: agentTunnel},
	}
}

// bare redirects everything between the switch's two ports.
func bare(helper asm.BuiltinFunc) func(context.Context, *options, *bed) error {
	return func(_ context.Context, _ *options, b *bed) error {
		return on(place{ns: b.sw, cpu: -1}, func() error {
			for _, way := range [][2]string{{"p1", "p2"}, {"p2", "p1"}} {
				to, err := net.InterfaceByName(way[1])
				if err != nil {
					return err
				}
				l, err := attach(way[0], redirect(helper, to.Index))
				if err != nil {
					return err
				}
				b.undo = append(b.undo, func() { l.Close() })
			}
			return nil
		})
	}
}

func bridge(ctx context.Context, _ *options, b *bed) error {
	for _, args := range [][]string{
		{"link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0"},
		{"link", "set", "br0", "up", "addrgenmode", "none"},
		{"link", "set", "p1", "master", "br0"},
		{"link", "set", "p2", "master", "br0"},
	} {
		if _, err := b.in(ctx, b.sw, append([]string{"ip"}, args...)...); err != nil {
			return err
		}
	}
	return nil
}
