package ebpf

import (
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// cpuRecords are what the programs have of each CPU: struct cpu, and behind it the counters of all ports. The
// last is of no CPU: there we count what earlier programs did.
type cpuRecords struct {
	mem  mapping[uint64]
	size int // of one, bytes
	n    int
}

// Not its size in Go, which has room behind the empty array.
const portsOffset = int(unsafe.Offsetof(bpf.DatapathCpu{}.Port))

func cpuSize(maxPorts int) int {
	return portsOffset + int(pow2(maxPorts))*int(unsafe.Sizeof(bpf.DatapathPortCounts{}))
}

func mapCPUs(m *ebpf.Map, maxPorts int) (c cpuRecords, err error) {
	if c.mem, err = mapArray[uint64](m); err != nil {
		return c, err
	}
	c.size = cpuSize(maxPorts)
	c.n = len(c.mem.at) * 8 / c.size
	for i := range c.n {
		c.at(i).Id = uint32(i) + 1
	}
	return c, nil
}

func (c *cpuRecords) at(cpu int) *bpf.DatapathCpu {
	return (*bpf.DatapathCpu)(unsafe.Pointer(&c.mem.at[cpu*c.size/8]))
}

func (c *cpuRecords) port(cpu int, n odp.Port) *bpf.DatapathPortCounts {
	at := cpu*c.size + portsOffset + int(n)*int(unsafe.Sizeof(bpf.DatapathPortCounts{}))
	return (*bpf.DatapathPortCounts)(unsafe.Pointer(&c.mem.at[at/8]))
}

func (c *cpuRecords) close() { c.mem.close() }
