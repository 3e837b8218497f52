package ebpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// randomPacket makes a frame that mostly makes sense: headers that follow each other with
// lengths that are mostly right, cut off anywhere now and then.
func randomPacket(r *rand.Rand) []byte {
	bytes := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	pick := func(vs ...int) int { return vs[r.IntN(len(vs))] }
	be := binary.BigEndian
	b := bytes(12)
	for range pick(0, 0, 0, 1, 1, 2, 3) {
		b = be.AppendUint16(b, uint16(pick(0x8100, 0x8100, 0x88a8)))
		b = append(b, bytes(2)...)
	}
	if r.IntN(8) == 0 {
		b = be.AppendUint16(b, uint16(r.IntN(0x600)))
		b = append(b, 0xaa, 0xaa, 3, 0, 0, byte(pick(0, 0, 0, 1)))
	}
	typ := pick(0x800, 0x800, 0x86dd, 0x86dd, 0x86dd, 0x806, 0x8035, 0x8847, 0x8848, 0x88cc, 0x100, r.IntN(65536))
	b = be.AppendUint16(b, uint16(typ))
	l4 := func(proto int) []byte {
		switch proto {
		case 6:
			h := bytes(20 + r.IntN(24))
			h[12] = byte(pick(5, 5, 5, 6, 8, 4, 15))<<4 | h[12]&15
			return h
		case 58:
			h := bytes(8)
			h[0], h[1] = byte(pick(135, 136, 128, r.IntN(256))), byte(pick(0, 0, 0, 1))
			h = append(h, bytes(16)...)
			for range r.IntN(4) {
				o := bytes(8)
				o[0], o[1] = byte(pick(1, 2, 1, 2, 14)), byte(pick(1, 1, 1, 1, 2, 0))
				if r.IntN(6) == 0 {
					clear(o[2:])
				}
				if o[1] == 2 {
					o = append(o, bytes(8)...)
				}
				h = append(h, o...)
			}
			return h
		}
		return bytes(r.IntN(32))
	}
	proto := pick(6, 6, 17, 17, 1, 2, 58, 58, 132, r.IntN(256))
	switch typ {
	case 0x800:
		h := bytes(20)
		opt := pick(0, 0, 0, 4, 40)
		h[0] = 0x40 | byte(5+opt/4)
		if r.IntN(16) == 0 {
			h[0] = byte(r.Uint32())
		}
		h[9] = byte(proto)
		be.PutUint16(h[6:], uint16(pick(0, 0, 0x4000, 0x2000, 0x2001, 1, 0x1fff)))
		p := l4(proto)
		total := 20 + opt + len(p)
		be.PutUint16(h[2:], uint16(total+pick(0, 0, 0, 0, -4, -30, 4)))
		b = append(append(append(b, h...), bytes(opt)...), p...)
	case 0x86dd:
		h := bytes(40)
		var ext []byte
		next := proto
		for range pick(0, 0, 0, 1, 2, 5) {
			kind := pick(0, 43, 60, 51, 44)
			n := 8 * pick(1, 1, 2)
			e := bytes(n)
			e[0] = byte(next)
			switch kind {
			case 51:
				e[1] = byte(n/4 - 2)
			case 44:
				e = e[:8]
				be.PutUint16(e[2:], uint16(pick(0, 0, 1, 8, 0xfff8, 4)))
			default:
				e[1] = byte(n/8 - 1)
			}
			if r.IntN(16) == 0 {
				e[1] = byte(r.Uint32())
			}
			ext = append(e, ext...)
			next = kind
		}
		h[6] = byte(next)
		p := append(ext, l4(proto)...)
		be.PutUint16(h[4:], uint16(max(0, len(p)+pick(0, 0, 0, 0, -4, 4))))
		b = append(append(b, h...), p...)
	case 0x806, 0x8035:
		h := bytes(28)
		if r.IntN(8) != 0 {
			copy(h, []byte{0, 1, 8, 0, 6, 4, byte(pick(0, 0, 0, 1)), byte(pick(1, 2, 3, 255))})
		}
		b = append(b, h...)
	case 0x8847, 0x8848:
		for range 1 + r.IntN(4) {
			h := bytes(4)
			h[2] = h[2]&^1 | byte(pick(0, 0, 1))
			b = append(b, h...)
		}
		b = append(b, bytes(r.IntN(20))...)
	default:
		b = append(b, bytes(r.IntN(60))...)
	}
	switch r.IntN(6) {
	case 0:
		b = b[:14+r.IntN(len(b)-13)]
	case 1:
		b = append(b, bytes(r.IntN(20))...)
	}
	return b
}

// TestParse compares the program's key with packet.Extract's, which is tested against OVS.
func TestParse(t *testing.T) {
	l := newLab(t)
	d := l.open(small())
	defer d.Close(true)
	n := l.port(d, "lo", datapath.PortNetdev) // where nobody else sends

	var limits, runs int
	for seed := range uint64(6000) {
		data := randomPacket(rand.New(rand.NewPCG(seed, 1)))
		got, err := d.TestRun(n, data, 7, 9, 1)
		if errors.Is(err, unix.EINVAL) && len(data) < 14+40 {
			// Test runs refuse packets that are shorter than an IP header; TestUpcallKeys has them.
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: % x: %v", seed, data, err)
		}
		if got.Reason == "too_many_headers" {
			limits++
			continue
		}
		runs++
		var want flow.Key
		want.Set(flow.InPort, uint64(n))
		want.Set(flow.PktMark, 7)
		want.Set(flow.SkbPriority, 9)
		packet.Extract(data, &want)
		if diff := cmp.Diff(describe(&want), describe(&got.Key)); diff != "" {
			t.Fatalf("seed %d: % x: reason %q (-want +got)\n%s", seed, data, got.Reason, diff)
		}
	}
	if limits*20 > runs {
		t.Errorf("%d of %d packets had too many headers", limits, runs)
	}
}

// TestUpcallKeys sends such packets over a device, where the kernel takes the outermost VLAN tag
// out of the packet, and compares what comes up: the key, and the packet with its tag.
func TestUpcallKeys(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	d := l.open(small())
	defer d.Close(true)
	n := l.port(d, "h1", datapath.PortNetdev)
	type seen struct {
		key  flow.Key
		data []byte
	}
	ups := make(chan seen, 64)
	l.in("h1", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
	time.Sleep(20 * time.Millisecond)
	d.Handle(func(up *datapath.Upcall) { ups <- seen{up.Key, slices.Clone(up.Packet.Data)} })

	fd := l.packetSocket("h1")
	defer unix.Close(fd)
	for seed := range uint64(4000) {
		data := randomPacket(rand.New(rand.NewPCG(seed, 2)))
		data[0] &^= 1
		if typ := binary.BigEndian.Uint16(data[12:]); len(data) < 20 && (typ == 0x8100 || typ == 0x88a8) {
			continue // the kernel drops it before any hook
		}
		if _, err := unix.Write(fd, data); err != nil {
			t.Fatalf("seed %d: % x: %v", seed, data, err)
		}
		var got seen
		select {
		case got = <-ups:
		case <-time.After(5 * time.Second):
			t.Fatalf("seed %d: % x: no upcall", seed, data)
		}
		if !bytes.Equal(got.data, data) {
			t.Fatalf("seed %d: sent % x, got % x", seed, data, got.data)
		}
		var want flow.Key
		want.Set(flow.InPort, uint64(n))
		packet.Extract(data, &want)
		if diff := cmp.Diff(describe(&want), describe(&got.key)); diff != "" {
			t.Fatalf("seed %d: % x: (-want +got)\n%s", seed, data, diff)
		}
	}
}

// describe is a key as the names of its members with their bytes.
func describe(k *flow.Key) map[string][]byte {
	m := map[string][]byte{}
	for _, f := range flow.Layout {
		if f.Off >= flow.DPWords*8 {
			break
		}
		b := k.Bytes()[f.Off : f.Off+f.Size]
		if nonzero(b) {
			m[f.Name] = b
		}
	}
	return m
}
