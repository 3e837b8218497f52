package testenv

import (
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netns"
)

// Programs is how many programs are attached to both sides of a device in a namespace by tcx. (bpftool 7.1 does not show
// these.)
func (e *Env) Programs(ns, dev string) int {
	e.t.Helper()
	index := e.Link(ns, dev).Index
	h, err := netns.GetFromName(ns)
	if err != nil {
		e.t.Fatal(err)
	}
	defer h.Close()
	type result struct {
		n   int
		err error
	}
	c := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var r result
		if r.err = netns.Set(h); r.err == nil {
			for _, side := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
				var q *link.QueryResult
				if q, r.err = link.QueryPrograms(link.QueryOptions{Target: index, Attach: side}); r.err != nil {
					break
				}
				r.n += len(q.Programs)
			}
		}
		c <- r
	}()
	r := <-c
	if r.err != nil {
		e.t.Fatalf("programs of %s: %v", dev, r.err)
	}
	return r.n
}
