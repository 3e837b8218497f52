package netdev

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// namespace is a network namespace that work is done in whichever thread asks. Only sockets
// stay in the namespace they were made in; opening /dev/net/tun and making sockets look at
// the thread.
type namespace struct{ handle netns.NsHandle }

// currentNamespace is that of the calling thread.
func currentNamespace() (namespace, error) {
	h, err := netns.Get()
	if err != nil {
		return namespace{}, fmt.Errorf("network namespace of this thread: %w", err)
	}
	return namespace{h}, nil
}

func (n namespace) close() error { return n.handle.Close() }

// do runs f in the namespace.
func (n namespace) do(f func() error) error { return In(n.handle, f) }

// In runs f on a thread in the namespace.
func In(ns netns.NsHandle, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Not unlocked after a move: the thread then ends with the goroutine, and nothing else
		// can run in the wrong namespace.
		runtime.LockOSThread()
		here, err := netns.Get()
		if err != nil {
			done <- fmt.Errorf("network namespace of this thread: %w", err)
			return
		}
		defer here.Close()
		if here.Equal(ns) {
			defer runtime.UnlockOSThread()
		} else if err := netns.Set(ns); err != nil {
			done <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}
