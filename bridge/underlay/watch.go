package underlay

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
)

// watchBuffer is the kernel's queue of messages, in bytes: some thousand of them.
const watchBuffer = 4 << 20

// Watch implements Host.
func (l *Linux) Watch(ctx context.Context) (*Changes, error) {
	s, err := l.subscribe()
	if err != nil {
		return nil, err
	}
	c := NewChanges()
	if err := l.listenTooBig(ctx, c); err != nil {
		s.Close()
		return nil, err
	}
	go l.watch(ctx, s, c)
	return c, nil
}

func (l *Linux) subscribe() (*nl.NetlinkSocket, error) {
	var s *nl.NetlinkSocket
	// nl.SubscribeAt would enter the namespace, which needs CAP_SYS_ADMIN, even from within.
	if err := netdev.In(l.ns, func() (err error) {
		s, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR,
			unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_NEXTHOP)
		return err
	}); err != nil {
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	// Beyond the system's limit only with CAP_NET_ADMIN; a smaller queue overflows earlier, which is handled.
	if s.SetReceiveBufferSize(watchBuffer, true) != nil {
		_ = s.SetReceiveBufferSize(watchBuffer, false)
	}
	return s, nil
}

// watch takes messages until ctx ends. After an overflow messages are lost, and those still queued are older than the
// loss: both are dropped with the socket.
func (l *Linux) watch(ctx context.Context, s *nl.NetlinkSocket, c *Changes) {
	for {
		stop := context.AfterFunc(ctx, s.Close)
		n, err := receive(s, c)
		if stop() {
			s.Close()
		}
		if ctx.Err() != nil {
			return
		}
		// An error other than overflow on a socket that never worked would come again.
		if errors.Is(err, syscall.ENOBUFS) || n > 0 {
			s, err = l.subscribe()
		}
		if err != nil {
			c.SetErr(err)
			return
		}
		c.SetLost()
	}
}

// receive takes messages until there is an error, and counts the receipts.
func receive(s *nl.NetlinkSocket, c *Changes) (n int, err error) {
	for ; ; n++ {
		msgs, from, err := s.Receive()
		if err != nil {
			return n, fmt.Errorf("watch routes: %w", err)
		}
		if from.Pid != nl.PidKernel {
			continue // any process may send to the socket
		}
		for _, m := range msgs {
			switch m.Header.Type {
			case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
				if len(m.Data) < unix.SizeofNdMsg {
					continue
				}
				raw, err := netlink.NeighDeserialize(m.Data)
				if err != nil {
					return n, fmt.Errorf("watch neighbours: %w", err)
				}
				if got, ok := neighbor(raw); ok {
					if m.Header.Type == unix.RTM_DELNEIGH {
						got = Neighbor{NeighborKey: got.NeighborKey}
					}
					c.SetNeighbor(got)
				}
			default:
				c.SetRoutes()
			}
		}
	}
}
