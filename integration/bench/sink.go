package main

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// UDP and TCP ports of the generator's packets; all else passes the sink.
const (
	firstPort = 9000
	stampPort = 9999 // of packets whose time of arrival is noted
	maxStamps = 1 << 17
	cacheLine = 64
)

// sink is the receiving end: a program at the host's tc ingress that counts and drops the
// generator's packets, so that no socket is part of the measurement.
type sink struct {
	counts, stamps *ebpf.Map
	link           link.Link
	count          []byte // one cache line per CPU
	stamp          []uint64
}

// newSink attaches to a device in the namespace of the calling thread.
func newSink(device string) (_ *sink, err error) {
	s := &sink{}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	array := func(name string, size, n int) (*ebpf.Map, []byte, error) {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: uint32(n), Flags: unix.BPF_F_MMAPABLE})
		if err != nil {
			return nil, nil, fmt.Errorf("map %s: %w", name, err)
		}
		mem, err := unix.Mmap(m.FD(), 0, size*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return m, mem, err
	}
	if s.counts, s.count, err = array("counts", cacheLine, cpus); err != nil {
		return nil, err
	}
	var mem []byte
	if s.stamps, mem, err = array("stamps", 8, maxStamps); err != nil {
		return nil, err
	}
	s.stamp = unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), maxStamps)
	if s.link, err = attach(device, s.program()); err != nil {
		return nil, err
	}
	return s, nil
}

// Offsets in struct __sk_buff and in the generator's packets.
const (
	skbIfindex = 40
	skbData    = 76
	skbDataEnd = 80

	offEthType = 12
	offProto   = 23
	offDstPort = 36
	offSeq     = 42
	frameLen   = 64
	sinkLen    = 54 // the bridge takes away what is behind the IP packet, if it shows it to netfilter

	verdictNext = -1
	verdictDrop = 2
)

func (s *sink) program() asm.Instructions {
	pass, drop, ports := "pass", "drop", "ports"
	return asm.Instructions{
		asm.LoadMem(asm.R7, asm.R1, skbData, asm.Word),
		asm.LoadMem(asm.R2, asm.R1, skbDataEnd, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R7),
		asm.Add.Imm(asm.R3, sinkLen),
		asm.JGT.Reg(asm.R3, asm.R2, pass),
		asm.LoadMem(asm.R2, asm.R7, offEthType, asm.Half),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.JNE.Imm(asm.R2, unix.ETH_P_IP, pass),
		asm.LoadMem(asm.R2, asm.R7, offProto, asm.Byte),
		asm.JEq.Imm(asm.R2, unix.IPPROTO_TCP, ports),
		asm.JNE.Imm(asm.R2, unix.IPPROTO_UDP, pass),
		asm.LoadMem(asm.R6, asm.R7, offDstPort, asm.Half).WithSymbol(ports),
		asm.HostTo(asm.BE, asm.R6, asm.Half),
		asm.JLT.Imm(asm.R6, firstPort, pass),
		asm.JGT.Imm(asm.R6, stampPort, pass),

		asm.FnGetSmpProcessorId.Call(),
		asm.StoreMem(asm.RFP, -4, asm.R0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, s.counts.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, drop),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
		asm.JNE.Imm(asm.R6, stampPort, drop),

		asm.LoadMem(asm.R1, asm.R7, offSeq, asm.Word),
		asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, s.stamps.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, drop),
		asm.Mov.Reg(asm.R6, asm.R0),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.R6, 0, asm.R0, asm.DWord),

		asm.Mov.Imm(asm.R0, verdictDrop).WithSymbol(drop),
		asm.Return(),
		asm.Mov.Imm(asm.R0, verdictNext).WithSymbol(pass),
		asm.Return(),
	}
}

// received is how many packets have arrived.
func (s *sink) received() (n uint64) {
	for i := 0; i < len(s.count); i += cacheLine {
		n += atomic.LoadUint64((*uint64)(unsafe.Pointer(&s.count[i])))
	}
	return n
}

// arrival is the monotonic time at which packet seq arrived, in nanoseconds; 0: it did not.
func (s *sink) arrival(seq int) uint64 { return atomic.LoadUint64(&s.stamp[seq]) }

func (s *sink) clearStamps() {
	for i := range s.stamp {
		atomic.StoreUint64(&s.stamp[i], 0)
	}
}

func (s *sink) Close() error {
	var link io.Closer = s.link
	if s.link != nil {
		link.Close()
	}
	if s.count != nil {
		unix.Munmap(s.count)
	}
	if s.stamp != nil {
		unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&s.stamp[0])), 8*maxStamps))
	}
	for _, m := range []*ebpf.Map{s.counts, s.stamps} {
		if m != nil {
			m.Close()
		}
	}
	return nil
}

// attach puts a program at a device's ingress in the namespace of the calling thread.
func attach(device string, insns asm.Instructions) (link.Link, error) {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: insns, License: "GPL"})
	if err != nil {
		return nil, fmt.Errorf("load program for %s: %w", device, err)
	}
	defer prog.Close()
	l, err := link.AttachTCX(link.TCXOptions{Interface: dev.Index, Program: prog, Attach: ebpf.AttachTCXIngress})
	runtime.KeepAlive(prog)
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", device, err)
	}
	return l, nil
}
