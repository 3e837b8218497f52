package ebpf

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

const (
	upcallHead = int(unsafe.Sizeof(bpf.DatapathUpcallRec{}))
	upcallKey  = int(unsafe.Offsetof(bpf.DatapathUpcallRec{}.Key))
	vlanLen    = 4
)

// holdUpcalls is how long after Open upcalls wait for the first handler.
const holdUpcalls = 2 * time.Second

// Handle implements datapath.Datapath. Upcalls that came since Open wait for the first handler, for a while.
func (d *Datapath) Handle(f func(*datapath.Upcall)) {
	if f == nil {
		d.handler.Store(nil)
		return
	}
	d.handler.Store(&f)
	d.handled.Do(func() { close(d.handles) })
}

// read hands the upcalls of one ring to the handler until the ring is closed.
func (d *Datapath) read(ctx context.Context, r *reader) {
	select {
	case <-ctx.Done():
	case <-d.handles:
	case <-d.opts.Clock.After(holdUpcalls):
	}
	var rec ringbuf.Record
	var up datapath.Upcall
	for ctx.Err() == nil {
		if err := r.ring.ReadInto(&rec); err != nil {
			if errors.Is(err, ringbuf.ErrClosed) {
				return
			}
			// Whatever it is, it must not spin.
			select {
			case <-ctx.Done():
			case <-d.opts.Clock.After(10 * time.Millisecond):
			}
			continue
		}
		f := d.handler.Load()
		if f == nil || !parseUpcall(rec.RawSample, &up) {
			d.lost.Add(1)
			continue
		}
		(*f)(&up)
	}
}

// parseUpcall reads a record (struct upcall_rec of bpf/abi.h); the packet stays in it.
func parseUpcall(raw []byte, up *datapath.Upcall) bool {
	if len(raw) < upcallHead {
		return false
	}
	rec := (*bpf.DatapathUpcallRec)(unsafe.Pointer(&raw[0]))
	n := int(rec.Len)
	if n < 14 || upcallHead+n > len(raw) {
		return false
	}
	*up = datapath.Upcall{Kind: odp.UpcallKind(rec.Kind), Cookie: rec.Cookie}
	copy(up.Key.Bytes(), raw[upcallKey:upcallKey+flow.DPWords*8])
	g := &up.Packet.GSO
	g.NeedsCsum = rec.CsumPartial != 0
	if g.NeedsCsum {
		g.CsumStart, g.CsumOffset = rec.CsumStart, rec.CsumOffset
	}
	if rec.GsoSize != 0 {
		g.Type, g.Size = virtioGSO(rec.GsoType), rec.GsoSize
	}
	data := raw[upcallHead : upcallHead+n]
	if rec.VlanTpid != 0 {
		// The tag that the kernel keeps beside the packet goes back into it.
		data = raw[upcallHead-vlanLen : upcallHead+n]
		copy(data[:12], data[vlanLen:vlanLen+12])
		binary.BigEndian.PutUint16(data[12:], rec.VlanTpid)
		binary.BigEndian.PutUint16(data[14:], rec.VlanTci)
		if g.NeedsCsum {
			g.CsumStart += vlanLen
		}
	}
	up.Packet.Data = data
	if rec.Cut != 0 {
		up.Packet.Truncate(int(rec.Cut))
	}
	if g.Size != 0 {
		g.HdrLen = headerLen(data, g)
	}
	return true
}

// SKB_GSO_* of the kernel and VIRTIO_NET_HDR_GSO_*.
const (
	skbTCPv4 = 1 << 0
	skbECN   = 1 << 2
	skbTCPv6 = 1 << 4
	skbUDP   = 1 << 16
	skbUDPL4 = 1 << 17

	virtioTCPv4 = 1
	virtioUDP   = 3
	virtioTCPv6 = 4
	virtioUDPL4 = 5
	virtioECN   = 0x80
)

func virtioGSO(t uint32) (v uint8) {
	switch {
	case t&skbTCPv4 != 0:
		v = virtioTCPv4
	case t&skbTCPv6 != 0:
		v = virtioTCPv6
	case t&skbUDPL4 != 0:
		v = virtioUDPL4
	case t&skbUDP != 0:
		v = virtioUDP
	}
	if v != 0 && t&skbECN != 0 {
		v |= virtioECN
	}
	return v
}

// headerLen is how much of a GSO packet is headers.
func headerLen(data []byte, g *datapath.GSO) uint16 {
	n := int(g.CsumStart)
	switch g.Type &^ virtioECN {
	case virtioTCPv4, virtioTCPv6:
		if n+13 <= len(data) {
			return uint16(n + int(data[n+12]>>4)*4)
		}
	}
	return uint16(min(n+8, len(data)))
}
