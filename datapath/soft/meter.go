package soft

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// The configuration and the counters of a meter.
type (
	MeterBand      = datapath.MeterBand
	MeterConfig    = datapath.MeterConfig
	MeterStats     = datapath.MeterStats
	MeterBandStats = datapath.MeterBandStats
)

// meter is a token bucket per band, in thousandths of a packet or bits.
type meter struct {
	mu     sync.Mutex
	config MeterConfig
	made   time.Time
	last   time.Time
	bucket []uint64
	stats  MeterStats
}

func bucketSize(b MeterBand) uint64 {
	if b.Burst == 0 {
		return uint64(b.Rate) * 1000
	}
	return uint64(b.Burst) * 1000
}

// Bounds of meters, those of OVS's datapath in user space.
const (
	maxMeters     = 1 << 18
	maxMeterBands = 8
)

// MeterLimits implements datapath.Meterer.
func (d *Datapath) MeterLimits() datapath.MeterLimits {
	return datapath.MeterLimits{Meters: maxMeters, Bands: maxMeterBands}
}

// MeterIDs implements datapath.Meterer.
func (d *Datapath) MeterIDs() []uint32 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Sorted(maps.Keys(d.meters))
}

// MeterSet makes or replaces a meter. A meter starts with full buckets.
func (d *Datapath) MeterSet(id uint32, c MeterConfig) error {
	switch {
	case id >= maxMeters:
		return fmt.Errorf("meter %d: ids are below %d: %w", id, maxMeters, datapath.ErrFull)
	case len(c.Bands) > maxMeterBands:
		return fmt.Errorf("meter %d: %d bands, at most %d: %w", id, len(c.Bands), maxMeterBands, datapath.ErrUnsupported)
	}
	for _, b := range c.Bands {
		if b.Rate == 0 {
			return fmt.Errorf("meter %d: a band with rate 0", id)
		}
	}
	now := d.o.Clock.Now()
	m := &meter{config: c, made: now, last: now}
	for _, b := range c.Bands {
		m.bucket = append(m.bucket, bucketSize(b))
	}
	m.stats.Bands = make([]MeterBandStats, len(c.Bands))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.meters[id] = m
	return nil
}

// MeterDel removes a meter; packets pass one that does not exist.
func (d *Datapath) MeterDel(id uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.meters[id] == nil {
		return fmt.Errorf("no meter %d", id)
	}
	delete(d.meters, id)
	return nil
}

// MeterStats returns a meter's counters.
func (d *Datapath) MeterStats(id uint32) (MeterStats, error) {
	d.mu.RLock()
	m := d.meters[id]
	d.mu.RUnlock()
	if m == nil {
		return MeterStats{}, fmt.Errorf("no meter %d", id)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Duration = d.o.Clock.Now().Sub(m.made)
	s.Bands = append([]MeterBandStats(nil), s.Bands...)
	return s, nil
}

func (d *Datapath) meterPass(id uint32, size int) bool {
	d.mu.RLock()
	m := d.meters[id]
	d.mu.RUnlock()
	return m == nil || m.pass(d.o.Clock.Now(), size)
}

// pass takes a packet of size bytes out of the buckets. Of the bands that it exceeds, the one
// with the highest rate drops it.
func (m *meter) pass(now time.Time, size int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Packets++
	m.stats.Bytes += uint64(size)
	// Milliseconds, as rates are per second and buckets in thousandths; the rest of one stays.
	ms := now.Sub(m.last).Milliseconds()
	if ms > 0 {
		m.last = m.last.Add(time.Duration(ms) * time.Millisecond)
	}
	volume := uint64(1000)
	if !m.config.Packets {
		volume = uint64(size) * 8
	}
	exceeded := -1
	for i, b := range m.config.Bands {
		if ms > 0 {
			m.bucket[i] = min(m.bucket[i]+uint64(min(ms, 1<<31))*uint64(b.Rate), bucketSize(b))
		}
		if m.bucket[i] >= volume {
			m.bucket[i] -= volume
		} else if exceeded < 0 || b.Rate > m.config.Bands[exceeded].Rate {
			exceeded = i
		}
	}
	if exceeded < 0 {
		return true
	}
	m.stats.Bands[exceeded].Packets++
	m.stats.Bands[exceeded].Bytes += uint64(size)
	return false
}
