package netdev

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// moveLink puts a device into another namespace.
func moveLink(t *testing.T, l *Linux, ifindex int, to netns.NsHandle) {
	t.Helper()
	err := l.rtnl.set(ifindex, 0, 0, nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(to))))
	if err != nil {
		t.Fatal(err)
	}
}

// expect takes events until f is true of one.
func expect(t *testing.T, events <-chan Event, what string, f func(Event) bool) Event {
	t.Helper()
	for ev := range events {
		if f(ev) {
			return ev
		}
	}
	t.Fatalf("no event: %s", what)
	return Event{}
}

func is(kind EventKind, name string) func(Event) bool {
	return func(e Event) bool { return e.Kind == kind && e.Info.Name == name }
}

func TestWatch(t *testing.T) {
	here := inNetns(t)
	away := inNetns(t)
	if err := netns.Set(here); err != nil {
		t.Fatal(err)
	}
	ip(t, "link add v0 type veth peer name v1")
	ip(t, "link add br9 type bridge")
	l := newLinux(t, "test")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := l.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first := expect(t, events, "device that exists", is(Added, "v0"))

	ip(t, "link set v0 mtu 1234")
	expect(t, events, "MTU", func(e Event) bool { return is(Changed, "v0")(e) && e.Info.MTU == 1234 })
	ip(t, "link set v0 address 02:00:00:00:00:05")
	expect(t, events, "MAC", func(e Event) bool { return is(Changed, "v0")(e) && e.Info.MAC[5] == 5 })
	ip(t, "link set v0 up")
	expect(t, events, "up", func(e Event) bool { return is(Changed, "v0")(e) && e.Info.Up && !e.Info.Carrier })
	ip(t, "link set v1 up")
	expect(t, events, "carrier", func(e Event) bool { return is(Changed, "v0")(e) && e.Info.LinkUp() })
	ip(t, "link set v1 down")
	expect(t, events, "no carrier", func(e Event) bool { return is(Changed, "v0")(e) && !e.Info.LinkUp() })

	// The Linux bridge tells that it lost a port by a message that looks like a deletion.
	ip(t, "link set v0 master br9")
	expect(t, events, "master", func(e Event) bool { return is(Changed, "v0")(e) && e.Info.Master != 0 })
	ip(t, "link set v0 nomaster")
	expect(t, events, "no master", func(e Event) bool {
		if e.Kind == Removed {
			t.Errorf("%v when it left a bridge", e)
		}
		return is(Changed, "v0")(e) && e.Info.Master == 0
	})

	ip(t, "link set v0 down")
	ip(t, "link set v0 name w0")
	expect(t, events, "old name", is(Removed, "v0"))
	renamed := expect(t, events, "new name", is(Added, "w0"))
	if renamed.Info.Ifindex != first.Info.Ifindex {
		t.Errorf("%v, was ifindex %d", renamed, first.Info.Ifindex)
	}
	moveLink(t, l, renamed.Info.Ifindex, away)
	expect(t, events, "moved away", is(Removed, "w0"))
	ip(t, "link del v1")
	expect(t, events, "deleted", is(Removed, "v1"))

	d := mustOpen(t, l, "in0", Internal)
	expect(t, events, "tap", is(Added, "in0"))
	if err := d.Release(); err != nil {
		t.Error(err)
	}
	expect(t, events, "tap gone", is(Removed, "in0"))

	cancel()
	for range events {
	}
}

// TestWatchOverflow: a socket that lost messages is replaced, and what was lost comes from a
// list.
func TestWatchOverflow(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "test")
	ip(t, "link add old type veth peer name oldpeer")
	w := &watch{l: l, events: newEvents()}
	if err := w.subscribe(); err != nil {
		t.Fatal(err)
	}
	if err := w.socket.SetReceiveBufferSize(1, false); err != nil { // brought to the least
		t.Fatal(err)
	}
	// Nobody reads now. The first messages stay queued, the last are lost.
	old, err := l.Lookup("old")
	if err != nil {
		t.Fatal(err)
	}
	for mtu := 1000; mtu < 1100; mtu++ {
		if err := l.rtnl.set(old.Ifindex, 0, 0, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu)))); err != nil {
			t.Fatal(err)
		}
	}
	ip(t, "link del old")
	ip(t, "link add new type veth peer name newpeer")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); w.run(ctx) }()
	out := make(chan Event)
	go w.events.deliver(ctx, out)
	known := map[string]bool{}
	expect(t, out, "the list after the overflow", func(e Event) bool {
		known[e.Info.Name] = e.Kind != Removed
		return known["new"] && known["newpeer"] && !known["old"] && !known["oldpeer"]
	})
	// The new socket works.
	ip(t, "link set new mtu 1234")
	expect(t, out, "message after the overflow", func(e Event) bool { return e.Info.MTU == 1234 })
	cancel()
	<-done
	for range out {
	}
}

// TestEvents: who applies the events to what he knows, at whatever speed, knows the devices;
// and what waits for him is bounded by their number.
func TestEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := newEvents()
		truth, seen := map[int]Info{}, map[int]Info{}
		apply := func(t *rapid.T, ev Event) {
			old, ok := seen[ev.Info.Ifindex]
			switch ev.Kind {
			case Added:
				if ok {
					t.Fatalf("%v, but it is there", ev)
				}
				seen[ev.Info.Ifindex] = ev.Info
			case Changed:
				if !ok || old.Name != ev.Info.Name {
					t.Fatalf("%v, but it was %v", ev, old)
				}
				seen[ev.Info.Ifindex] = ev.Info
			case Removed:
				if !ok || old.Name != ev.Info.Name {
					t.Fatalf("%v, but it was %v", ev, old)
				}
				delete(seen, ev.Info.Ifindex)
			}
		}
		info := func(t *rapid.T) Info {
			return Info{
				Ifindex: rapid.IntRange(1, 5).Draw(t, "ifindex"),
				Name:    fmt.Sprint("eth", rapid.IntRange(0, 3).Draw(t, "name")),
				MTU:     rapid.IntRange(0, 2).Draw(t, "mtu"),
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				i := info(t)
				e.set(i)
				truth[i.Ifindex] = i
			},
			"remove": func(t *rapid.T) {
				ifindex := rapid.IntRange(1, 5).Draw(t, "ifindex")
				e.remove(ifindex)
				delete(truth, ifindex)
			},
			"replace": func(t *rapid.T) {
				var all []Info
				clear(truth)
				for range rapid.IntRange(0, 4).Draw(t, "n") {
					i := info(t)
					if _, dup := truth[i.Ifindex]; !dup {
						truth[i.Ifindex] = i
						all = append(all, i)
					}
				}
				e.replace(all)
			},
			"take": func(t *rapid.T) {
				if ev, ok := e.take(); ok {
					apply(t, ev)
				}
			},
			"": func(t *rapid.T) {
				if e.pending.Len() > 2*5 {
					t.Fatalf("%d events wait", e.pending.Len())
				}
				// Every answer of take to the end makes seen the truth.
				if rapid.Bool().Draw(t, "catch up") {
					for ev, ok := e.take(); ok; ev, ok = e.take() {
						apply(t, ev)
					}
					if d := cmp.Diff(truth, seen); d != "" {
						t.Fatalf("devices (-want +got):\n%s", d)
					}
				}
			},
		})
	})
}

// TestParseLink: no bytes make it panic.
func TestParseLink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "bytes")
		if len(b) > 0 {
			b[0] = 0
		}
		if rapid.Bool().Draw(t, "long attribute") && len(b) > 17 {
			b[16], b[17] = byte(len(b)-16), 0
		}
		var s Stats
		_, _, _ = parseLink(b, &s)
	})
	for _, b := range [][]byte{nil, make([]byte, 15)} {
		if _, _, err := parseLink(b, nil); !errors.Is(err, errShort) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	// A wireless driver's message: no name.
	if _, ok, err := parseLink(make([]byte, 16), nil); ok || err != nil {
		t.Errorf("without name: %v, %v", ok, err)
	}
	bad := append(make([]byte, 16), 3, 0, 0, 0)
	if _, _, err := parseLink(bad, nil); err == nil {
		t.Error("attribute of 3 bytes taken")
	}
}
