package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// scaleLoad is what is done to a switch to see how it does with OVN's tables, made once.
type scaleLoad struct {
	bundles [2][]byte // each adds half of the rules
	packets []byte    // packet-outs through the tables
	idle    []byte    // the same packets, and no table
	n       int       // packets
}

func newScaleLoad(rules, packets int) (*scaleLoad, error) {
	mods, copies, err := ovnRules(rules)
	if err != nil {
		return nil, err
	}
	l := &scaleLoad{n: packets}
	add := func(dst *[]byte, m openflow.Message) {
		if err == nil {
			*dst, err = openflow.Append(*dst, openflow.V15, 7, m, nil)
		}
	}
	const atomicOrdered = 3
	for i := range l.bundles {
		b := &l.bundles[i]
		id := uint32(i + 1)
		for _, m := range mods[i*len(mods)/2 : (i+1)*len(mods)/2] {
			add(b, &openflow.BundleAdd{ID: id, Flags: atomicOrdered, Message: m})
		}
		add(b, &openflow.BundleControl{ID: id, Type: 4, Flags: atomicOrdered})
	}
	for i := range packets {
		in, data := ovnPacket(i % max(copies-1, 1))
		po := &openflow.PacketOut{BufferID: openflow.NoBuffer, InPort: in, Packet: data}
		add(&l.idle, po)
		po.Actions = []openflow.Action{openflow.Resubmit{InPort: openflow.PortInPort, Table: 0}}
		add(&l.packets, po)
	}
	add(&l.idle, &openflow.BarrierRequest{})
	add(&l.packets, &openflow.BarrierRequest{})
	return l, err
}

// scale fills a daemon that was just started, in simulated mode, with OVN's tables, and sends packets through them.
func scale(ctx context.Context, o *options, b *bed) ([]float64, error) {
	load, err := o.scale()
	if err != nil {
		return nil, err
	}
	s := &bed{forwarder: b.forwarder, dir: filepath.Join(b.dir, "scale"), sw: b.sw}
	defer s.close()
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	s.undo = append(s.undo, func() { os.RemoveAll(s.dir) })
	d, err := simulated(ctx, o, s)
	if err != nil {
		return nil, err
	}
	c, err := dialSwitch(ctx, filepath.Join(s.dir, "br0.mgmt"))
	if err != nil {
		return nil, err
	}
	defer c.close()

	empty, err := d.memory()
	if err != nil {
		return nil, err
	}
	var values []float64
	for _, bundle := range load.bundles {
		took, ran, err := d.does(c, bundle)
		if err != nil {
			return nil, fmt.Errorf("bundle of %d flow mods: %w", o.rules/2, err)
		}
		values = append(values, took.Seconds(), ran.Seconds())
	}
	st, err := c.aggregate()
	if err != nil {
		return nil, err
	}
	if int(st.Flows) != o.rules {
		return nil, fmt.Errorf("%d rules, want %d", st.Flows, o.rules)
	}
	full, err := d.memory()
	if err != nil {
		return nil, err
	}
	each, err := translation(d, c, load, st.Packets)
	return append(values, float64(full-empty)/float64(o.rules), each), err
}

// translation is the CPU time of a packet-out through ovnWay tables above that of one through none, in microseconds. A
// packet-out is translated anew each time: no megaflow is made. matched is how many matches rules have counted.
func translation(d *daemon, c *ofClient, load *scaleLoad, matched uint64) (float64, error) {
	pass := func(messages []byte, tables int) (time.Duration, error) {
		_, took, err := d.does(c, messages)
		if err != nil {
			return 0, err
		}
		for try := 0; ; try++ {
			st, err := c.aggregate()
			if err != nil {
				return 0, err
			}
			if n := matched + uint64(tables*load.n); st.Packets == n {
				matched = n
				return took, nil
			} else if try == 100 {
				return 0, fmt.Errorf("%d packets were matched by %d rules, want %d each: the bench is wrong", load.n, st.Packets-matched, tables)
			}
			time.Sleep(statsAge)
		}
	}
	// Once before, so that nothing is new to the caches that could stay there.
	if _, err := pass(load.packets, ovnWay); err != nil {
		return 0, err
	}
	idle, err := pass(load.idle, 0)
	if err != nil {
		return 0, err
	}
	took, err := pass(load.packets, ovnWay)
	return float64((took - idle).Nanoseconds()) / 1e3 / float64(load.n), err
}

// scale makes the load when it is needed first.
func (o *options) scale() (*scaleLoad, error) {
	if o.load == nil {
		var err error
		if o.load, err = newScaleLoad(o.rules, o.packetOuts); err != nil {
			return nil, err
		}
		runtime.GC()
	}
	return o.load, nil
}

// aggregate asks for the sums of all rules.
func (c *ofClient) aggregate() (*openflow.AggregateReply, error) {
	req, err := openflow.Encode(openflow.V15, 8, &openflow.MultipartRequest{Body: &openflow.FlowRequest{
		Aggregate: true, Table: openflow.TableAll, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
	}})
	if err != nil {
		return nil, err
	}
	m, _, err := c.ask(req)
	if err != nil {
		return nil, err
	}
	if r, ok := m.(*openflow.MultipartReply); ok {
		if st, ok := r.Body.(*openflow.AggregateReply); ok {
			return st, nil
		}
	}
	return nil, fmt.Errorf("answer to a request for statistics: %T", m)
}

// simulated starts the daemon of a bed with simulated devices, and a bridge br0 without ports and flows.
func simulated(ctx context.Context, o *options, s *bed) (*daemon, error) {
	d := newDaemon(s)
	args := []string{o.daemon, "--db", "embedded:" + filepath.Join(s.dir, "conf.db")}
	if s.name != ours {
		if err := d.database(ctx); err != nil {
			return nil, err
		}
		args = []string{"ovs-vswitchd", "--disable-system", "--no-chdir"}
	}
	if err := d.spawn(append(args, "--enable-dummy", "--pidfile", "--log-file", "-vconsole:off")...); err != nil {
		return nil, err
	}
	if err := d.wait(ctx, "ovs-appctl", "ofproto/list"); err != nil {
		return nil, err
	}
	_, err := d.tool(ctx, "ovs-vsctl", "--timeout=20", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure")
	return d, err
}

// rest is how long a daemon gets to give memory back that it needed for a moment.
const rest = 2 * time.Second

// memory is the daemon's share of the machine's memory (PSS), in bytes, after some rest.
func (d *daemon) memory() (int, error) {
	time.Sleep(rest)
	proc, err := d.proc()
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(proc, "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			kb, err := strconv.Atoi(f[1])
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("%s/smaps_rollup has no Pss", proc)
}

// does has a daemon do messages, and tells how long that took and how long its threads have run.
func (d *daemon) does(c *ofClient, messages []byte) (took, ran time.Duration, err error) {
	before, err := d.cpu()
	if err != nil {
		return 0, 0, err
	}
	if _, took, err = c.ask(messages); err != nil {
		return 0, 0, err
	}
	after, err := d.cpu()
	return took, after - before, err
}

// cpu is the time that the threads of the daemon have run.
func (d *daemon) cpu() (time.Duration, error) {
	proc, err := d.proc()
	if err != nil {
		return 0, err
	}
	threads, err := filepath.Glob(filepath.Join(proc, "task/*/schedstat"))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		var ran int64 // nanoseconds
		if _, err := fmt.Sscan(string(text), &ran); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += time.Duration(ran)
	}
	return sum, nil
}

// proc is the daemon's directory in /proc.
func (d *daemon) proc() (string, error) {
	pid, err := os.ReadFile(filepath.Join(d.b.dir, "ovs-vswitchd.pid"))
	return "/proc/" + strings.TrimSpace(string(pid)), err
}
