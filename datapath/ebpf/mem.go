package ebpf

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// mapping is an array map in our memory.
type mapping[T any] struct {
	at  []T
	raw []byte
}

// mapArray maps an array map that has BPF_F_MMAPABLE; T is its value, or its one value is many of them.
func mapArray[T any](m *ebpf.Map) (mapping[T], error) {
	var z T
	size := int(unsafe.Sizeof(z))
	n := int(m.MaxEntries())
	if n == 1 && size > 0 {
		n = int(m.ValueSize()) / size
	}
	if n*size != int(m.ValueSize())*int(m.MaxEntries()) || size%8 != 0 {
		return mapping[T]{}, fmt.Errorf("map %s: value of %d bytes, expected %d", m, m.ValueSize(), size)
	}
	page := os.Getpagesize()
	raw, err := unix.Mmap(m.FD(), 0, (n*size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return mapping[T]{}, fmt.Errorf("map %s into memory: %w", m, err)
	}
	return mapping[T]{unsafe.Slice((*T)(unsafe.Pointer(&raw[0])), n), raw}, nil
}

func (m *mapping[T]) close() {
	if m.raw != nil {
		unix.Munmap(m.raw)
		*m = mapping[T]{}
	}
}
