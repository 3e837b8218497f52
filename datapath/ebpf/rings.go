package ebpf

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// reader is one ring.
type reader struct {
	m    *ebpf.Map
	ring *ringbuf.Reader
}

// discard throws away the upcalls that wait in the rings of an earlier instance: nobody knows how old they are.
func (d *Datapath) discard(rings *ebpf.Map) error {
	for i := range uint32(maxRings) {
		m, err := d.pins.loadRing(rings, i)
		if err != nil {
			return err
		}
		if m == nil {
			continue
		}
		err = d.drain(m)
		m.Close()
		if err != nil {
			return fmt.Errorf("drain ring %d: %w", i, err)
		}
	}
	return nil
}

// drain reads what is in a ring now.
func (d *Datapath) drain(m *ebpf.Map) error {
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return err
	}
	defer r.Close()
	r.SetDeadline(time.Unix(1, 0)) // do not wait for more
	var rec ringbuf.Record
	for left := r.AvailableBytes(); left > 0; left -= 8 + (len(rec.RawSample)+7)&^7 {
		if r.ReadInto(&rec) != nil {
			break
		}
		d.lost.Add(1)
	}
	return nil
}

// openRings opens the rings of the handlers, and the one of watched ports: whatever fills the others does not hold up what comes there.
func (d *Datapath) openRings() error {
	for n := range d.opts.Handlers + 1 {
		i := uint32(n)
		if n == d.opts.Handlers {
			i = watchRing
		}
		r, err := d.openRing(i)
		if err != nil {
			return err
		}
		d.readers = append(d.readers, r)
	}
	return nil
}

// openRing opens a ring of an earlier instance, or makes it.
func (d *Datapath) openRing(i uint32) (*reader, error) {
	var m *ebpf.Map
	var err error
	if d.pins != nil {
		m, err = d.pins.loadRing(d.coll.Maps["rings"], i)
	}
	if m == nil && err == nil {
		m, err = d.makeRing(i)
	}
	if err != nil {
		return nil, err
	}
	r, err := ringbuf.NewReader(m)
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("open ring %d: %w", i, err)
	}
	return &reader{m: m, ring: r}, nil
}

func (d *Datapath) makeRing(i uint32) (_ *ebpf.Map, err error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: uint32(d.opts.RingBytes)})
	if err != nil {
		return nil, fmt.Errorf("make ring %d: %w", i, err)
	}
	if d.pins != nil {
		err = m.Pin(d.pins.ringPath(i))
	}
	if err == nil {
		err = d.coll.Maps["rings"].Put(i, m)
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("enter ring %d: %w", i, err)
	}
	return m, nil
}

// loadRing opens a ring of an earlier instance; nil if there is none. It is found by its own pin: to open a map by the number
// that the map of rings tells needs CAP_SYS_ADMIN, so that is only done where an earlier instance has not pinned it.
func (p *pinDir) loadRing(rings *ebpf.Map, i uint32) (*ebpf.Map, error) {
	var id uint32
	if err := rings.Lookup(i, &id); errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, removeStale(p.ringPath(i))
	} else if err != nil {
		return nil, fmt.Errorf("look up ring %d: %w", i, err)
	}
	m, err := ebpf.LoadPinnedMap(p.ringPath(i), nil)
	if errors.Is(err, os.ErrNotExist) {
		if m, err = ebpf.NewMapFromID(ebpf.MapID(id)); err == nil {
			err = m.Pin(p.ringPath(i))
		}
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("open ring %d: %w", i, err)
	}
	return m, nil
}

// removeStale takes away the pin of a ring that never came into the map of rings.
func removeStale(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove pin: %w", err)
	}
	return nil
}
