package ebpf

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// Bounds of meters.
const (
	MaxMeters     = 1 << 16 // ids are below
	MaxMeterBands = len(bpf.DatapathDpMeter{}.Band)
)

var _ datapath.Meterer = (*Datapath)(nil)

func ktime() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0 // cannot be
	}
	return ts.Nano()
}

// MeterLimits implements datapath.Meterer.
func (d *Datapath) MeterLimits() datapath.MeterLimits {
	return datapath.MeterLimits{Meters: MaxMeters, Bands: MaxMeterBands}
}

// MeterIDs implements datapath.Meterer.
func (d *Datapath) MeterIDs() (ids []uint32) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil
	}
	for id := range d.meters.at {
		if d.meters.at[id].Bands != 0 {
			ids = append(ids, uint32(id))
		}
	}
	return ids
}

// MeterSet implements datapath.Meterer. Meters outlive the agent, as flows do.
func (d *Datapath) MeterSet(id uint32, c datapath.MeterConfig) error {
	if err := checkMeter(id, c); err != nil {
		return fmt.Errorf("meter %d: %w", id, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	m := &d.meters.at[id]
	atomic.StoreUint32(&m.Bands, 0)
	now := uint64(ktime())
	m.Pktps = uint32(b2u(c.Packets))
	m.Packets, m.Bytes, m.Since = 0, 0, now
	atomic.StoreUint64(&m.Time, now)
	for i := range m.Band {
		b := &m.Band[i]
		b.Rate, b.Size, b.Packets, b.Bytes = 0, 0, 0, 0
		if i < len(c.Bands) {
			b.Rate = uint64(c.Bands[i].Rate)
			if b.Size = uint64(c.Bands[i].Burst) * 1000; b.Size == 0 {
				b.Size = b.Rate * 1000
			}
		}
		atomic.StoreInt64(&b.Tokens, int64(b.Size))
	}
	atomic.StoreUint32(&m.Bands, uint32(len(c.Bands)))
	return nil
}

func checkMeter(id uint32, c datapath.MeterConfig) error {
	switch {
	case id >= MaxMeters:
		return fmt.Errorf("ids are below %d: %w", MaxMeters, datapath.ErrFull)
	case len(c.Bands) == 0:
		return fmt.Errorf("no bands: %w", datapath.ErrUnsupported)
	case len(c.Bands) > MaxMeterBands:
		return fmt.Errorf("%d bands, at most %d: %w", len(c.Bands), MaxMeterBands, datapath.ErrUnsupported)
	}
	for _, b := range c.Bands {
		if b.Rate == 0 {
			return fmt.Errorf("a band with rate 0")
		}
	}
	return nil
}

// meter returns an existing meter. The caller holds d.mu.
func (d *Datapath) meter(id uint32) (*bpf.DatapathDpMeter, error) {
	if d.closed {
		return nil, errClosed
	}
	if id >= MaxMeters || d.meters.at[id].Bands == 0 {
		return nil, fmt.Errorf("no meter %d", id)
	}
	return &d.meters.at[id], nil
}

// MeterDel implements datapath.Meterer.
func (d *Datapath) MeterDel(id uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.meter(id)
	if err == nil {
		atomic.StoreUint32(&m.Bands, 0)
	}
	return err
}

// MeterStats implements datapath.Meterer.
func (d *Datapath) MeterStats(id uint32) (st datapath.MeterStats, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	m, err := d.meter(id)
	if err != nil {
		return st, err
	}
	st.Packets, st.Bytes = atomic.LoadUint64(&m.Packets), atomic.LoadUint64(&m.Bytes)
	st.Duration = time.Duration(ktime() - int64(m.Since))
	for i := range m.Bands {
		b := &m.Band[i]
		st.Bands = append(st.Bands, datapath.MeterBandStats{Packets: atomic.LoadUint64(&b.Packets), Bytes: atomic.LoadUint64(&b.Bytes)})
	}
	return st, nil
}

// meterPasses is meter_passes of bpf/meter.h, for packets whose actions run in user space: it takes from the same
// buckets.
func (d *Datapath) meterPasses(id uint32, size int) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	m, err := d.meter(id)
	if err != nil {
		return true
	}
	volume := int64(size) * 8
	if m.Pktps != 0 {
		volume = 1000
	}
	atomic.AddUint64(&m.Packets, 1)
	atomic.AddUint64(&m.Bytes, uint64(size))
	last, ms := atomic.LoadUint64(&m.Time), int64(0)
	if now := uint64(ktime()); now >= last+1e6 {
		ms = int64((now - last) / 1e6)
		if !atomic.CompareAndSwapUint64(&m.Time, last, last+uint64(ms)*1e6) {
			ms = 0
		}
		ms = min(ms, 1<<31)
	}
	exceeded := -1
	for i := range m.Bands {
		b := &m.Band[i]
		if ms > 0 {
			if add := min(ms*int64(b.Rate), int64(b.Size)-atomic.LoadInt64(&b.Tokens)); add > 0 {
				atomic.AddInt64(&b.Tokens, add)
			}
		}
		if atomic.LoadInt64(&b.Tokens) >= volume {
			if atomic.AddInt64(&b.Tokens, -volume) >= 0 {
				continue
			}
			atomic.AddInt64(&b.Tokens, volume)
		}
		if exceeded < 0 || b.Rate > m.Band[exceeded].Rate {
			exceeded = int(i)
		}
	}
	if exceeded < 0 {
		return true
	}
	atomic.AddUint64(&m.Band[exceeded].Packets, 1)
	atomic.AddUint64(&m.Band[exceeded].Bytes, uint64(size))
	return false
}
