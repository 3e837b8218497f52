package ebpf

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// grace waits until every program that runs now has ended: what was taken out of the maps
// before can then be reused. It takes 7 to 20 ms.
type grace struct {
	// outer is for kernels that refuse membarrier (nohz_full): an update of a map in a map
	// waits for the programs too.
	outer, inner *ebpf.Map
}

func newGrace() (*grace, error) {
	g := &grace{}
	if membarrier() == nil {
		return g, nil
	}
	var err error
	spec := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	if g.inner, err = ebpf.NewMap(spec); err != nil {
		return nil, fmt.Errorf("map for grace periods: %w", err)
	}
	if g.outer, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: spec}); err != nil {
		g.inner.Close()
		return nil, fmt.Errorf("map for grace periods: %w", err)
	}
	return g, nil
}

const membarrierGlobal = 1 // MEMBARRIER_CMD_GLOBAL

func membarrier() error {
	if _, _, e := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); e != 0 {
		return os.NewSyscallError("membarrier", e)
	}
	return nil
}

func (g *grace) wait() error {
	if g.outer == nil {
		return membarrier()
	}
	if err := g.outer.Put(uint32(0), g.inner); err != nil {
		return fmt.Errorf("wait for grace period: %w", err)
	}
	return nil
}

func (g *grace) close() {
	g.outer.Close()
	g.inner.Close()
}
