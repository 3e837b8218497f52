package ebpf

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Words of the key (flow.Layout).
var (
	tunnelWord = flow.TunID.Info().Off / 8
	tunIPv6    = flow.TunIPv6Src.Info().Off / 8
	tunFlags   = flow.TunAllFlags.Info().Off / 8
	tunOpts    = flow.TunOptsLen.Info().Off/8 + 1
)

const (
	maxTunOpts = 252
	dataWords  = blockWords - 1 // of a block whose first is a jump or an end
)

// tunnelFields are what a set of a tunnel writes besides options.
var tunnelFields = []flow.FieldID{flow.TunID, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunTOS, flow.TunTTL,
	flow.TunTPSrc, flow.TunTPDst, flow.TunGBPID, flow.TunGBPFlags, flow.TunAllFlags}

// tunneled reports whether a key has a tunnel.
func tunneled(key *flow.Key) bool {
	for _, w := range key[tunnelWord:flow.DPWords] {
		if w != 0 {
			return true
		}
	}
	return false
}

// isTunnelSet reports whether a set writes a tunnel, which it does as a whole.
func isTunnelSet(s *odp.Set) bool {
	return len(s.Fields) > 0 && isTunnelField(s.Fields[0].Field)
}

func isTunnelField(id flow.FieldID) bool {
	return id >= flow.TunID && id <= flow.TunMetadata63 || id >= flow.TunAllFlags && id <= flow.TunOptsLen
}

// tunnelWords are the data words of a set, in the order of tunnel_word of bpf/tunnel_set.h.
func tunnelWords(key *flow.Key, ipv6 bool) []uint64 {
	w := append(append([]uint64(nil), key[tunnelWord:tunnelWord+2]...), key[tunFlags:tunFlags+2]...)
	if ipv6 {
		w = append(w, key[tunIPv6:tunIPv6+4]...)
	}
	opts := (int(key.Get(flow.TunOptsLen)) + 7) / 8
	return append(w, key[tunOpts:tunOpts+opts]...)
}

// setTunnel emits the set of a tunnel. Its words are in blocks of their own.
func (a *assembler) setTunnel(s *odp.Set) error {
	var key flow.Key
	if len(s.TunOpts) > maxTunOpts || len(s.TunOpts)%4 != 0 {
		return fmt.Errorf("set of a tunnel with %d bytes of options: %w", len(s.TunOpts), datapath.ErrUnsupported)
	}
	copy(key.Bytes()[tunOpts*8:flow.DPWords*8], s.TunOpts)
	key.Set(flow.TunOptsLen, uint64(len(s.TunOpts)))
	for _, f := range s.Fields {
		if !isTunnelField(f.Field) || f.Field >= flow.TunMetadata0 && f.Field <= flow.TunMetadata63 || f.Field == flow.TunOptsLen {
			return fmt.Errorf("set of %s in a tunnel: %w", f.Field, datapath.ErrUnsupported)
		}
		key.SetMasked(f.Field, f.Value, f.Mask)
	}
	ipv6 := false
	for _, w := range key[tunIPv6 : tunIPv6+4] {
		ipv6 = ipv6 || w != 0
	}
	w := tunnelWords(&key, ipv6)
	first := uint32(len(a.out))
	a.emit(false, actWord(opSetTunnel, b2u(ipv6), uint16(len(w)), 0))
	// emit may have begun a block before it.
	if n := uint32(len(a.out)); n != first {
		first = n
	}
	a.out[a.block][a.pos-1] |= uint64(first) << 32
	for len(w) > 0 {
		n := min(len(w), dataWords)
		var b [blockWords]uint64
		b[0] = actWord(opEnd, 1, 0, 0)
		if n < len(w) {
			b[0] = actWord(opJump, 0, 0, uint32(len(a.out)+1))
		}
		copy(b[1:], w[:n])
		a.out = append(a.out, b)
		a.extra++
		w = w[n:]
	}
	return nil
}

// setTunnel reads the set of a tunnel back.
func (d *decoder) setTunnel(ipv6 uint8, n uint16, block uint32) (odp.Action, error) {
	words := int(n)
	at := func(i int) int {
		switch {
		case i < 2:
			return tunnelWord + i
		case i < 4:
			return tunFlags + i - 2
		case ipv6 == 0:
			return tunOpts + i - 4
		case i < 8:
			return tunIPv6 + i - 4
		}
		return tunOpts + i - 8
	}
	var key flow.Key
	for i := 0; i < words; {
		d.more = append(d.more, block)
		b := d.block(block)
		if b == nil || len(d.more) > maxBlocks {
			return nil, errDamaged
		}
		for _, w := range b[1:] {
			if i == words {
				break
			}
			if at(i) >= flow.DPWords {
				return nil, errDamaged
			}
			key[at(i)] = w
			i++
		}
		block = uint32(b[0] >> 32)
	}
	var s odp.Set
	for _, id := range tunnelFields {
		if id == flow.TunID || !key.IsZero(id) {
			s.Fields = append(s.Fields, odp.FieldSet{Field: id, Value: key.GetBytes(id, nil)})
		}
	}
	if n := int(key.Get(flow.TunOptsLen)); n > 0 {
		if n > maxTunOpts {
			return nil, errDamaged
		}
		s.TunOpts = append([]byte(nil), key.Bytes()[tunOpts*8:tunOpts*8+n]...)
	}
	return s, nil
}
