package datapath

import "time"

// MeterBand drops what exceeds Rate.
type MeterBand struct {
	Rate  uint32 // kilobits or packets per second
	Burst uint32 // kilobits or packets; 0: as much as Rate
}

// MeterConfig is a meter's configuration.
type MeterConfig struct {
	Packets bool // rates are in packets, not in kilobits
	Bands   []MeterBand
}

// MeterStats are a meter's counters; Bands holds what each band dropped.
type MeterStats struct {
	Packets, Bytes uint64
	Duration       time.Duration
	Bands          []MeterBandStats
}

// MeterBandStats counts what a band dropped.
type MeterBandStats struct{ Packets, Bytes uint64 }

// MeterLimits bound the meters of a datapath.
type MeterLimits struct {
	Meters uint32 // ids are below
	Bands  int    // of a meter, at least one
}

// Meterer is a Datapath with meters. A packet passes one that does not exist.
type Meterer interface {
	MeterLimits() MeterLimits
	// MeterIDs lists the meters that there are, those of an earlier run too.
	MeterIDs() []uint32
	// MeterSet makes or replaces a meter. A meter starts with full buckets and zero counters.
	MeterSet(id uint32, c MeterConfig) error
	MeterDel(id uint32) error
	MeterStats(id uint32) (MeterStats, error)
}
