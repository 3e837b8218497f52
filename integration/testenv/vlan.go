package testenv

import (
	"runtime"

	"github.com/vishvananda/netns"

	"github.com/ovs-bpf/ovs-bpf/integration/vlantag"
)

// Tag makes the host send and receive with VLAN tags, outermost first, each (TPID, VID).
func (h *Host) Tag(tags ...[2]uint16) {
	t := h.Env.t
	t.Helper()
	var list []vlantag.Tag
	for _, tag := range tags {
		list = append(list, vlantag.Tag{TPID: tag[0], VID: tag[1]})
	}
	ns, err := netns.GetFromName(h.NS)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	errc := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(ns); err != nil {
			errc <- err
			return
		}
		tag, err := vlantag.Attach("eth0", list...)
		if err == nil {
			t.Cleanup(func() { tag.Close() })
		}
		errc <- err
	}()
	if err := <-errc; err != nil {
		t.Fatalf("tag host %s: %v", h.NS, err)
	}
}
