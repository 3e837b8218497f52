package ebpf

import (
	"encoding/binary"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

const (
	opCT      = uint8(bpf.DatapathActOpACT_CT)
	opCTClear = uint8(bpf.DatapathActOpACT_CT_CLEAR)

	opCTHelped = uint8(bpf.DatapathActOpACT_CT_HELPED)
)

// Flags of opCT (bpf/ct_abi.h, CT_*).
const (
	ctCommit = 1 << iota
	ctForce
	ctMark
	ctLabel
	ctNAT
	ctSrc
	ctDst
)

// The first word of a translation (bpf/ct_abi.h, CT_NAT_*): ports, family, these.
const (
	natPersistent = 1 << (40 + iota)
	natHash
	natRandom
	natMax
	natZero

	natFamily = 32 // shift
)

// policyNames relate names of ct(timeout=name) to numbers. 0 is no name.
type policyNames interface {
	policyID(name string) (uint32, error)
	policyName(id uint32) string
}

// noPolicies knows no name.
type noPolicies struct{}

func (noPolicies) policyID(name string) (uint32, error) {
	return 0, fmt.Errorf("ct(timeout=%s): %w", name, datapath.ErrUnsupported)
}
func (noPolicies) policyName(uint32) string { return "" }

// ct emits a ct action. Label and translation are in blocks of their own, as most packets need neither.
func (a *assembler) ct(act odp.CT) error {
	switch {
	case algOf[act.Helper] == 0 && act.Helper != "":
		return fmt.Errorf("ct(helper=%s): %w", act.Helper, datapath.ErrUnsupported)
	case act.NAT != nil && act.NAT.Src && act.NAT.Dst:
		return fmt.Errorf("ct(nat) of source and destination: %w", datapath.ErrUnsupported)
	}
	var flags uint8
	set := func(on bool, bit uint8) {
		if on {
			flags |= bit
		}
	}
	set(act.Commit, ctCommit)
	set(act.Force, ctForce)
	set(act.Mark != nil, ctMark)
	set(act.Label != nil, ctLabel)
	set(act.NAT != nil, ctNAT)
	var policy uint32
	if act.Timeout != "" {
		var err error
		if policy, err = a.policies.policyID(act.Timeout); err != nil {
			return err
		}
	}
	var mark uint64
	if m := act.Mark; m != nil {
		mark = uint64(m[0]&m[1]) | uint64(m[1])<<32
	}
	label, nat := uint32(blockNone), uint32(blockNone)
	if l := act.Label; l != nil {
		v, m := l[0][:], l[1][:]
		label = a.data(le.Uint64(v)&le.Uint64(m), le.Uint64(v[8:])&le.Uint64(m[8:]), le.Uint64(m), le.Uint64(m[8:]))
	}
	if n := act.NAT; n != nil {
		set(n.Src, ctSrc)
		set(n.Dst, ctDst)
		if n.Src || n.Dst {
			nat = a.data(natWords(n)...)
		}
	}
	a.emit(false, actWord(opCT, flags, act.Zone, policy|uint32(algOf[act.Helper])<<helperShift), mark, uint64(label)|uint64(nat)<<32)
	return nil
}

// data puts words in a block that holds no actions.
func (a *assembler) data(w ...uint64) uint32 {
	b := [blockWords]uint64{actWord(opEnd, 1, 0, 0)}
	copy(b[1:], w)
	a.out = append(a.out, b)
	return uint32(len(a.out) - 1)
}

// natWords are a translation as the programs read it: addresses are numbers, the high word first.
func natWords(n *odp.NAT) []uint64 {
	w := make([]uint64, 5)
	w[0] = uint64(n.MinPort) | uint64(n.MaxPort)<<16
	for _, f := range []struct {
		on  bool
		bit uint64
	}{{n.Persistent, natPersistent}, {n.Hash, natHash}, {n.Random, natRandom}} {
		if f.on {
			w[0] |= f.bit
		}
	}
	family := map[int]uint64{4: 4, 16: 6}
	number := func(b []byte, to []uint64) {
		var a [16]byte
		if len(b) == 4 {
			binary.BigEndian.PutUint16(a[10:], 0xffff)
		}
		copy(a[16-len(b):], b)
		to[0], to[1] = binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])
	}
	switch {
	case len(n.MinAddr) == 0:
		return w
	case !nonzero(n.MinAddr) && len(n.MaxAddr) == 0:
		// The address stays: for the programs as if there was none.
		w[0] |= natZero
		w[1] = family[len(n.MinAddr)]
		return w
	}
	w[0] |= family[len(n.MinAddr)] << natFamily
	number(n.MinAddr, w[1:])
	if len(n.MaxAddr) == len(n.MinAddr) {
		w[0] |= natMax
		number(n.MaxAddr, w[3:])
	}
	return w
}

// decodeNAT reads a translation back; w begins behind the block's first word.
func decodeNAT(flags uint8, w []uint64) *odp.NAT {
	n := &odp.NAT{
		Src: flags&ctSrc != 0, Dst: flags&ctDst != 0, MinPort: uint16(w[0]), MaxPort: uint16(w[0] >> 16),
		Persistent: w[0]&natPersistent != 0, Hash: w[0]&natHash != 0, Random: w[0]&natRandom != 0,
	}
	length := map[uint64]int{4: 4, 6: 16}
	if w[0]&natZero != 0 {
		n.MinAddr = make([]byte, length[w[1]])
		return n
	}
	size := length[w[0]>>natFamily&7]
	if size == 0 {
		return n
	}
	address := func(w []uint64) []byte {
		b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, w[0]), w[1])
		return b[16-size:]
	}
	n.MinAddr = address(w[1:])
	if w[0]&natMax != 0 {
		n.MaxAddr = address(w[3:])
	}
	return n
}

// ct reads a ct action back.
func (d *decoder) ct(flags uint8, zone uint16, policy uint32, w []uint64) (odp.Action, error) {
	helper := helperName(uint8(policy >> helperShift))
	policy &= 1<<helperShift - 1
	act := odp.CT{
		Helper: helper,
		Commit: flags&ctCommit != 0, Force: flags&ctForce != 0, Zone: zone, Timeout: d.policies.policyName(policy),
	}
	if policy != 0 && act.Timeout == "" {
		return nil, fmt.Errorf("timeout policy %d: %w", policy, errDamaged)
	}
	if flags&ctMark != 0 {
		act.Mark = &[2]uint32{uint32(w[0]), uint32(w[0] >> 32)}
	}
	data := func(n uint32) ([]uint64, error) {
		d.more = append(d.more, n)
		b := d.block(n)
		if b == nil {
			return nil, errDamaged
		}
		return b[1:], nil
	}
	if flags&ctLabel != 0 {
		b, err := data(uint32(w[1]))
		if err != nil {
			return nil, err
		}
		act.Label = new([2][16]byte)
		for i, v := range b[:4] {
			le.PutUint64(act.Label[i/2][i%2*8:], v)
		}
	}
	if flags&ctNAT != 0 {
		act.NAT = new(odp.NAT)
		if flags&(ctSrc|ctDst) != 0 {
			b, err := data(uint32(w[1] >> 32))
			if err != nil {
				return nil, err
			}
			act.NAT = decodeNAT(flags, b)
		}
	}
	return act, nil
}
