// Package vlantag makes a device send and receive with VLAN tags, as a VLAN sub-interface would, on
// kernels without 802.1Q devices: programs at tcx push the tags on the way out and pop them on the way in.
package vlantag

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// Tag is one VLAN header.
type Tag struct{ TPID, VID uint16 }

type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for _, x := range c {
		errs = append(errs, x.Close())
	}
	return errors.Join(errs...)
}

// Attach tags the device's traffic, tags outermost first, until the returned value is closed. It
// works in the network namespace of the calling thread.
func Attach(device string, tags ...Tag) (io.Closer, error) {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	egress := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	ingress := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	for i := range tags {
		tag := tags[len(tags)-1-i] // the innermost is pushed first
		egress = append(egress,
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Imm(asm.R2, int32(bits.ReverseBytes16(tag.TPID))),
			asm.Mov.Imm(asm.R3, int32(tag.VID)),
			asm.FnSkbVlanPush.Call())
		ingress = append(ingress, asm.Mov.Reg(asm.R1, asm.R6), asm.FnSkbVlanPop.Call())
	}
	var all closers
	for _, a := range []struct {
		code asm.Instructions
		at   ebpf.AttachType
	}{{egress, ebpf.AttachTCXEgress}, {ingress, ebpf.AttachTCXIngress}} {
		code := append(a.code, asm.Mov.Imm(asm.R0, -1), asm.Return()) // TCX_NEXT
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: code})
		if err != nil {
			all.Close()
			return nil, fmt.Errorf("load the tagging program: %w", err)
		}
		all = append(all, prog)
		l, err := link.AttachTCX(link.TCXOptions{Interface: dev.Index, Program: prog, Attach: a.at})
		if err != nil {
			all.Close()
			return nil, fmt.Errorf("attach the tagging program to %s: %w", device, err)
		}
		all = append(all, l)
	}
	return all, nil
}
