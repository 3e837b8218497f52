package ebpf

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/soft"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// differ runs cases through both datapaths. The ports of the one in eBPF are taps: what is sent there can be
// read at once and as a whole, what is written there has been received when the write returns.
type differ struct {
	d         *Datapath
	ports     []odp.Port
	fds       map[odp.Port]int
	ups       chan datapath.Upcall
	patience  time.Duration // how long it waits for what should come
	did       struct{ pairs, hit, missed, ups, out int }
	counted   conntrack.Counters
	unchecked bool                       // the case is without windows of TCP
	frags     conntrack.FragmentSettings // of the case
	pieces    conntrack.FragmentStatus   // before it
	aged      uint64                     // jiffies of the last age
	limits    int                        // cases that were given up at a limit that only the programs have
	policing  map[odp.Port]datapath.Policing
}

func newDiffer(t *testing.T) *differ {
	l := newLab(t)
	l.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")
	o := small()
	o.UpcallRate = -1
	o.maxCalls = 33 // the specification sends nothing up for that
	x := &differ{d: l.open(o), patience: 10 * time.Second, fds: map[odp.Port]int{}, ups: make(chan datapath.Upcall, 1<<14)}
	x.frags.Max = conntrack.DefaultMaxFragments
	t.Cleanup(func() { x.d.Close(true) })
	for i, kind := range []datapath.PortKind{datapath.PortNetdev, datapath.PortNetdev, datapath.PortNetdev, datapath.PortInternal} {
		name := fmt.Sprintf("tap%d", i+1)
		fd, err := openTap(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		l.sh("ip link set " + name + " mtu 9000 up")
		p := l.port(x.d, name, kind)
		x.ports, x.fds[p] = append(x.ports, p), fd
	}
	x.d.Handle(func(up *datapath.Upcall) {
		c := *up
		c.Packet = *up.Packet.Clone()
		x.ups <- c
	})
	return x
}

func openTap(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("make tap %s: %w", name, err)
	}
	return fd, nil
}

// read takes a frame that was sent to a port; it is there already, or comes in a moment.
func (x *differ) read(p odp.Port) []byte {
	buf := make([]byte, 10000)
	for end := time.Now().Add(x.patience); ; {
		n, err := unix.Read(x.fds[p], buf)
		switch {
		case err == nil:
			return buf[:n]
		case errors.Is(err, unix.EAGAIN) && time.Now().Before(end):
			unix.Poll([]unix.PollFd{{Fd: int32(x.fds[p]), Events: unix.POLLIN}}, 100)
		case !errors.Is(err, unix.EINTR):
			return nil
		}
	}
}

// flush removes all flows, and with them their masks from the order of search, which would otherwise grow with
// every table until the next second.
func (x *differ) flush() error {
	var refs []datapath.FlowRef
	err := x.d.FlowDump(func(r datapath.FlowRef, _ *datapath.Flow, _ datapath.FlowStats) bool {
		refs = append(refs, r)
		return true
	})
	for _, r := range refs {
		if _, e := x.d.FlowDel(r); e != nil && err == nil {
			err = e
		}
	}
	_, e := x.d.Conntrack().Flush(&conntrack.Filter{})
	return errors.Join(err, e, x.forgetFragments(), x.d.collect(true))
}

// drain forgets what an unfinished case has left.
func (x *differ) drain() {
	time.Sleep(20 * time.Millisecond)
	buf := make([]byte, 10000)
	for _, fd := range x.fds {
		for {
			if _, err := unix.Read(fd, buf); err != nil {
				break
			}
		}
	}
	for len(x.ups) > 0 {
		<-x.ups
	}
}

// mismatch is a difference between the two.
type mismatch struct {
	what   string // "output", "key"...
	packet int    // of the case; -1: found at its end
	text   string
}

func (m *mismatch) Error() string {
	return fmt.Sprintf("%s differs (packet %d): %s", m.what, m.packet, m.text)
}

var errLimit = errors.New("a limit of the programs") // see odd and deep

// seen is what a datapath did with one packet.
type seen struct {
	out  map[odp.Port][][]byte
	ups  []datapath.Upcall
	hits []uint64 // packets of each flow so far
}

// oracle is the soft datapath with a case's flows.
type oracle struct {
	*soft.Datapath
	clock *clock.Manual
	refs  []datapath.FlowRef
	was   []uint64 // hits before the last packet
	now   seen
}

func (x *differ) oracle(c *diffCase) (*oracle, error) {
	o := &oracle{clock: clock.NewManual(time.Unix(1000, 0))}
	o.Datapath = soft.New(soft.Options{SkipChecksums: true, Clock: o.clock})
	for _, p := range x.ports {
		if _, err := o.PortAdd(datapath.PortSpec{Name: fmt.Sprint(p), Number: p}); err != nil {
			return nil, err
		}
		if err := o.Attach(p, func(pkt *datapath.Packet) { o.now.out[p] = append(o.now.out[p], slices.Clone(pkt.Data)) }); err != nil {
			return nil, err
		}
	}
	for p, limits := range x.policing {
		if err := o.PortPolice(p, limits); err != nil {
			return nil, err
		}
	}
	o.Handle(func(up *datapath.Upcall) { o.now.ups = append(o.now.ups, *up) })
	for i := range c.flows {
		ref, err := o.FlowPut(&c.flows[i])
		if err != nil {
			return nil, err
		}
		o.refs = append(o.refs, ref)
	}
	return o, nil
}

func hits(d datapath.Datapath, refs []datapath.FlowRef) (out []uint64) {
	for _, r := range refs {
		st, _ := d.FlowStats(r)
		out = append(out, st.Packets)
	}
	return out
}

// run runs a case through both and compares. The error is a *mismatch, errLimit, or says why there is no comparison.
func (x *differ) run(c *diffCase) (err error) {
	defer func() {
		if err != nil {
			x.drain()
		}
		if e := x.flush(); e != nil && err == nil {
			err = e
		}
	}()
	o, err := x.oracle(c)
	if err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	defer o.Close(true)
	var refs []datapath.FlowRef
	for i := range c.flows {
		ref, err := x.d.FlowPut(&c.flows[i])
		if err != nil {
			return &mismatch{"installation of a flow", -1, err.Error()}
		}
		refs = append(refs, ref)
	}
	if x.counted, err = x.d.Conntrack().Counters(); err != nil {
		return err
	}
	x.aged = x.d.conns.now()
	if err := errors.Join(x.beginFragments(o), o.Conntrack().SetSequenceCheck(!x.unchecked), x.d.Conntrack().SetSequenceCheck(!x.unchecked)); err != nil {
		return err
	}
	before, err := x.totals(x.d)
	if err != nil {
		return err
	}
	o.now.hits, o.was = make([]uint64, len(refs)), make([]uint64, len(refs))
	odd := false
	defer func() {
		var m *mismatch
		if errors.As(err, &m) && (odd || m.packet >= 0 && x.deep(&c.packets[m.packet])) {
			err = errLimit
		}
	}()
	for i := range c.packets {
		err := x.packet(i, &c.packets[i], o, refs, c)
		odd = odd || o.odd(&c.packets[i], c)
		if err != nil {
			return err
		}
	}
	// What should not have come.
	for p, fd := range x.fds {
		buf := make([]byte, 10000)
		if n, err := unix.Read(fd, buf); err == nil {
			return &mismatch{"output", -1, fmt.Sprintf("one more to port %d: %x", p, buf[:n])}
		}
	}
	after, err := x.totals(x.d)
	if err != nil {
		return err
	}
	want, err := x.totals(o)
	if err != nil {
		return err
	}
	for k, n := range before {
		if after[k] -= n; after[k] == 0 {
			delete(after, k)
		}
	}
	x.did.hit += int(want["hit"])
	x.did.missed += int(want["missed"])
	if d := cmp.Diff(want, after); d != "" {
		return &mismatch{"a counter", -1, d}
	}
	if err := x.connections(o); err != nil {
		return err
	}
	if err := x.fragments(o); err != nil {
		return err
	}
	for i, r := range refs {
		a, _ := o.FlowStats(o.refs[i])
		b, _ := x.d.FlowStats(r)
		if (a.Used != 0) != (b.Used != 0) {
			return &mismatch{"used time", -1, fmt.Sprintf("of flow %d: %d, %d", i, a.Used, b.Used)}
		}
		a.Used, b.Used = 0, 0
		if d := cmp.Diff(a, b); d != "" {
			return &mismatch{"counter of a flow", -1, fmt.Sprintf("flow %d: %s", i, d)}
		}
	}
	if len(x.ups) > 0 {
		up := <-x.ups
		return &mismatch{"upcall", -1, fmt.Sprintf("one more: kind %d key %s", up.Kind, odp.FormatKey(&up.Key, nil, odp.TextOptions{}))}
	}
	return nil
}

// dropNames are the programs' names for what the soft datapath calls by OVS's.
var softDrops = map[string]string{"datapath_drop_invalid_port": "no_output_port", "datapath_drop_recirc_error": "recirculation_limit", "datapath_drop_conntrack": "conntrack"}

// totals are the counters of a datapath that both must agree on, by name.
func (x *differ) totals(d datapath.Datapath) (map[string]uint64, error) {
	out := map[string]uint64{}
	ports, err := d.Ports()
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		out[fmt.Sprintf("port %d rx packets", p.Number)] = p.Stats.RxPackets
		out[fmt.Sprintf("port %d rx bytes", p.Number)] = p.Stats.RxBytes
		out[fmt.Sprintf("port %d tx packets", p.Number)] = p.Stats.TxPackets
		out[fmt.Sprintf("port %d tx bytes", p.Number)] = p.Stats.TxBytes
	}
	drops, err := d.Drops()
	if err != nil {
		return nil, err
	}
	for _, n := range drops {
		reason := n.Reason
		if s := softDrops[reason]; s != "" {
			reason = s
		}
		out[fmt.Sprintf("port %d drop %s", n.Port, reason)] += n.Packets
	}
	st, err := d.Stats()
	if err != nil {
		return nil, err
	}
	out["hit"], out["missed"], out["lost"] = st.Hit, st.Missed, st.Lost
	maps.DeleteFunc(out, func(_ string, n uint64) bool { return n == 0 })
	return out, nil
}

// packet runs one packet through both.
func (x *differ) packet(i int, p *diffPacket, o *oracle, refs []datapath.FlowRef, c *diffCase) error {
	differs := func(what, format string, args ...any) error {
		return &mismatch{what, i, fmt.Sprintf(format, args...)}
	}
	var k flow.Key
	if at := packet.Parse(p.data, &k); isTag(&k) && len(p.data)-at.Net < 4 {
		return nil // a tag that is cut off: the kernel drops it before any hook, or refuses to move it
	}
	o.clock.Advance(time.Duration(p.wait) * time.Second)
	if err := x.age(p.wait); err != nil {
		return err
	}
	// By a test run, where the kernel takes the packet; else over the device, where it takes the outermost tag out.
	var res *TestResult
	if !p.wire {
		switch r, err := x.d.TestRun(p.port, p.data, p.mark, p.priority, 1); {
		case err == nil:
			res = &r
		case errors.Is(err, unix.EINVAL) && len(p.data) < packet.EthLen+40:
			return nil // it takes no truncated IP headers
		default:
			return fmt.Errorf("packet %d: %w", i, err)
		}
		if res.Reason == "too_many_headers" {
			return errLimit
		}
	} else {
		if len(p.data) < 20 && (k.Get(flow.VLANTCI) != 0 || isTag(&k)) {
			return nil // there must be six bytes behind the Ethertype of a tag, or the kernel drops it before any hook
		}
		if _, err := unix.Write(x.fds[p.port], p.data); err != nil {
			return fmt.Errorf("packet %d: write to tap: %w", i, err)
		}
	}

	was := o.now.hits
	o.now = seen{out: map[odp.Port][][]byte{}}
	k = p.key()
	if err := o.ReceiveKey(p.port, &packet.Packet{Data: slices.Clone(p.data)}, &k); err != nil {
		return err
	}

	o.was, o.now.hits = was, hits(o, o.refs)
	x.did.pairs++
	x.did.ups += len(o.now.ups)
	for _, l := range o.now.out {
		x.did.out += len(l)
	}

	last := odp.PortNone
	if res != nil && res.Verdict == VerdictRedirect && res.Out != odp.PortNone {
		last = res.Out
		if len(o.now.out[last]) == 0 {
			return differs("output", "to port %d, not to %v: %x", last, ports(o.now.out), res.Data)
		}
	}
	for _, port := range x.ports {
		want := o.now.out[port]
		for n, w := range want {
			var got []byte
			if n == len(want)-1 && port == last {
				got = res.Data
				// The outermost tag may be beside the packet, where a test run does not show it.
				if len(w) == len(got)+4 && bytes.Equal(got, slices.Concat(w[:12], w[16:])) {
					continue
				}
			} else if got = x.read(port); got == nil {
				return differs("output", "none to port %d of %x; reason %q", port, w, reason(res))
			}
			if !bytes.Equal(got, w) {
				return differs("output", "to port %d\nwant %x\n got %x", port, w, got)
			}
		}
	}
	for n := range o.now.ups {
		w := &o.now.ups[n]
		var g datapath.Upcall
		select {
		case g = <-x.ups:
		case <-time.After(x.patience):
			return differs("upcall", "none of kind %d; reason %q", w.Kind, reason(res))
		}
		if w.Kind != g.Kind || w.Cookie != g.Cookie || !bytes.Equal(w.Packet.Data, g.Packet.Data) {
			return differs("upcall", "want kind %d cookie %#x %x\n got kind %d cookie %#x %x", w.Kind, w.Cookie, w.Packet.Data, g.Kind, g.Cookie, g.Packet.Data)
		}
		if d := cmp.Diff(describe(&w.Key), describe(&g.Key)); d != "" {
			return differs("key", "of an upcall (-want +got) %s", d)
		}
	}
	// A message of a connection with a helper is on its way until user space has sent it on.
	for end := time.Now().Add(x.patience); x.d.alg.done.Load() != x.d.conns.table.at[0].Messages && time.Now().Before(end); {
		time.Sleep(100 * time.Microsecond)
	}
	if got := hits(x.d, refs); !slices.Equal(got, o.now.hits) {
		return differs("hit", "packets of flows: want %v, got %v (before: %v); reason %q", o.now.hits, got, was, reason(res))
	}
	if res == nil || res.Reason == "ingress_policing" {
		return nil
	}
	// The key is compared where nothing has changed it: no flow that was hit goes on behind its outputs.
	first := p.key()
	first.Set(flow.InPortOXM, uint64(p.port))
	packet.Extract(p.data, &first)
	for i := range c.flows {
		if c.flows[i].Match.Matches(&first) && !plain(c.flows[i].Actions) {
			return nil
		}
	}
	if d := cmp.Diff(describe(&first), describe(&res.Key)); d != "" {
		return differs("key", "(-want +got) %s", d)
	}
	return nil
}

// isTag says that the Ethertype is that of a tag: a third one, or one that is cut off.
func isTag(k *flow.Key) bool {
	t := k.Get(flow.EthType)
	return t == packet.EthTypeVLAN || t == packet.EthTypeQinQ
}

// plain says that actions leave the key that the packet came with.
func plain(l []odp.Action) bool {
	for _, a := range l {
		switch a.(type) {
		case odp.Output, odp.Drop:
		default:
			return false
		}
	}
	return true
}

func ports(out map[odp.Port][][]byte) []odp.Port { return slices.Sorted(maps.Keys(out)) }

func reason(r *TestResult) string {
	if r == nil {
		return "?"
	}
	return r.Reason
}
