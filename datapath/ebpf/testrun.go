package ebpf

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Verdicts of TestResult (linux/pkt_cls.h).
const (
	VerdictPass     = -1
	VerdictDrop     = 2
	VerdictRedirect = 7
)

// TestResult is what became of a packet in TestRun.
type TestResult struct {
	Key     flow.Key // as parsed last
	Verdict int
	Out     odp.Port // where it went when the verdict is VerdictRedirect
	Reason  string   // why it was dropped; "" if it was not, or went to user space
	Data    []byte   // the packet as it left
	Time    time.Duration
}

// Offsets in the kernel's struct __sk_buff.
const (
	skbMark     = 8
	skbPriority = 32
	skbIfindex  = 40
	skbSize     = 192
)

// TestRun passes a packet of at most 3,600 bytes through the programs as if a port had received
// it. The last output is not done, only reported; copies are really sent. repeat runs it many
// times and measures one in Time.
func (d *Datapath) TestRun(n odp.Port, data []byte, mark, priority uint32, repeat int) (r TestResult, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p := d.ports[n]
	if p == nil || d.closed {
		return r, fmt.Errorf("port %d: %w", n, datapath.ErrNoSuchPort)
	}
	return d.testRun(d.program(p.spec.Kind), p.spec.Ifindex, data, mark, priority, repeat)
}

// TestRunUnderlay is TestRun for a packet that a device of the host has received, as one of a tunnel.
func (d *Datapath) TestRunUnderlay(ifindex int, data []byte) (TestResult, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return TestResult{}, errClosed
	}
	return d.testRun(d.coll.Programs["underlay"], ifindex, data, 0, 0, 1)
}

// tunnelRoom is what a tunnel may add to a packet, bytes.
const tunnelRoom = 512

func (d *Datapath) testRun(prog *ebpf.Program, ifindex int, data []byte, mark, priority uint32, repeat int) (r TestResult, err error) {
	skb := make([]byte, skbSize)
	binary.NativeEndian.PutUint32(skb[skbMark:], mark)
	binary.NativeEndian.PutUint32(skb[skbPriority:], priority)
	binary.NativeEndian.PutUint32(skb[skbIfindex:], uint32(ifindex))
	opts := &ebpf.RunOptions{Data: data, DataOut: make([]byte, len(data)+tunnelRoom), Context: skb, Repeat: uint32(max(repeat, 1))}
	err = pinned(func(cpu int) error {
		start := time.Now()
		ret, err := prog.Run(opts)
		if err != nil {
			return err
		}
		r.Time = time.Since(start) / time.Duration(opts.Repeat)
		r.Verdict, r.Data = int(int32(ret)), opts.DataOut
		s := (*bpf.DatapathCtxState)(unsafe.Pointer(&d.cpuMem.at(cpu).Ctx[0]))
		copy(r.Key[:], s.Keywords[:])
		r.Out = odp.Port(s.OutPort)
		if s.Reason < uint32(bpf.DatapathDropReasonDROP_MAX) {
			r.Reason = dropName(int(s.Reason))
		}
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("test run: %w", err)
	}
	return r, nil
}
