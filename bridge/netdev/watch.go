package netdev

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// watchBuffer is the kernel's queue of link messages, in bytes: some thousand of them.
const watchBuffer = 4 << 20

// watch follows the kernel's link messages.
type watch struct {
	l      *Linux
	socket *nl.NetlinkSocket
	events *events
}

// subscribe starts anew: subscribed first, then listed, so that what changes in between has a
// message.
func (w *watch) subscribe() error {
	err := w.l.ns.do(func() (err error) {
		w.socket, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
		return err
	})
	if err != nil {
		return fmt.Errorf("watch devices: %w", err)
	}
	// Beyond the system's limit only with CAP_NET_ADMIN; a smaller queue overflows earlier,
	// which is handled.
	if w.socket.SetReceiveBufferSize(watchBuffer, true) != nil {
		_ = w.socket.SetReceiveBufferSize(watchBuffer, false)
	}
	all, err := w.l.rtnl.list()
	if err != nil {
		w.socket.Close()
		return fmt.Errorf("watch devices: %w", err)
	}
	w.events.replace(all)
	return nil
}

// run takes messages until ctx ends. It never waits for the reader of events, so the queue
// overflows only in a storm. Then messages are lost, and those still queued are older than
// the loss: both are dropped with the socket, and a new one starts with a list.
func (w *watch) run(ctx context.Context) {
	for {
		stop := context.AfterFunc(ctx, w.socket.Close)
		n, err := w.receive()
		if stop() {
			w.socket.Close()
		}
		if ctx.Err() != nil {
			return
		}
		// An error other than overflow on a socket that never worked would come again.
		if !errors.Is(err, syscall.ENOBUFS) && n == 0 {
			return
		}
		if w.subscribe() != nil {
			return
		}
	}
}

// receive feeds messages to events until there is an error, and counts the receipts.
func (w *watch) receive() (n int, err error) {
	for ; ; n++ {
		msgs, from, err := w.socket.Receive()
		if err != nil {
			return n, err
		}
		if from.Pid != nl.PidKernel {
			continue // any process may send to the socket
		}
		for _, m := range msgs {
			i, ok, err := parseLink(m.Data, nil)
			if err != nil {
				return n, err
			}
			switch {
			case !ok:
			case m.Header.Type == unix.RTM_NEWLINK:
				w.events.set(i)
			case m.Header.Type == unix.RTM_DELLINK:
				w.events.remove(i.Ifindex)
			}
		}
	}
}
