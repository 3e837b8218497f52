package ofctrl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

const (
	meterBandTypes    = 1 << openflow.BandDrop
	meterCapabilities = uint32(openflow.MeterKbps | openflow.MeterPktps | openflow.MeterBurst | openflow.MeterStat)
)

// meterMod changes meters. What is wrong is found in the order in which OVS finds it.
func (c *conn) meterMod(xid uint32, m *openflow.MeterMod) error {
	s := c.sw
	s.meterMu.Lock()
	defer s.meterMu.Unlock()
	var err error
	switch m.Command {
	case openflow.MeterDelete:
		s.deleteMeters(m.Meter.ID)
	case openflow.MeterAdd, openflow.MeterModify:
		err = s.setMeter(m)
	default:
		err = openflow.MeterModBadCommand
	}
	if err != nil {
		return fmt.Errorf("meter %#x: %w", m.Meter.ID, err)
	}
	s.forward(c, xid, m)
	return nil
}

// meterLimits are the datapath's; zero when it has no meters.
func (s *Switch) meterLimits() datapath.MeterLimits {
	if s.o.Meters == nil {
		return datapath.MeterLimits{}
	}
	return s.o.Meters.Limits()
}

// setMeter adds or modifies a meter. s.meterMu is held, so that nobody else changes meters while the datapath is
// asked without the tables' lock.
func (s *Switch) setMeter(mod *openflow.MeterMod) error {
	limits := s.meterLimits()
	config := mod.Meter
	special := config.ID == openflow.MeterController || config.ID == openflow.MeterSlowPath
	switch {
	case limits.Meters == 0, config.ID == 0, config.ID > openflow.MeterMax && !special:
		return openflow.MeterModInvalidMeter
	case len(config.Bands) > limits.Bands:
		return fmt.Errorf("%d bands, at most %d: %w", len(config.Bands), limits.Bands, openflow.MeterModOutOfBands)
	}
	s.o.Mu.RLock()
	old := s.o.Tables.Meter(config.ID)
	s.o.Mu.RUnlock()
	switch {
	case mod.Command == openflow.MeterAdd && old != nil:
		return openflow.MeterModExists
	case mod.Command == openflow.MeterModify && old == nil:
		return openflow.MeterModUnknownMeter
	}
	dpConfig, err := meterConfig(&config)
	if err != nil {
		return err
	}
	if old != nil {
		if err := old.Datapath.Set(dpConfig); err != nil {
			return meterError(err)
		}
		s.o.Mu.Lock()
		s.o.Tables.ModifyMeter(old, config)
		s.o.Mu.Unlock()
		return nil
	}
	dp, err := s.o.Meters.New(dpConfig)
	if err != nil {
		return meterError(err)
	}
	s.o.Mu.Lock()
	s.o.Tables.AddMeter(table.NewMeter(config, s.o.Clock.Now(), dp))
	s.o.Mu.Unlock()
	s.o.Host.TablesChanged()
	return nil
}

// meterConfig is a meter for the datapath. It fills in the bursts of the OpenFlow configuration, as OVS does.
func meterConfig(c *openflow.MeterConfig) (dp datapath.MeterConfig, err error) {
	switch {
	case c.Flags&(openflow.MeterKbps|openflow.MeterPktps) == 0:
		return dp, fmt.Errorf("neither kbps nor pktps: %w", openflow.MeterModBadFlags)
	case len(c.Bands) == 0:
		return dp, fmt.Errorf("no bands: %w", openflow.MeterModOutOfBands)
	}
	dp.Packets = c.Flags&openflow.MeterPktps != 0
	c.Bands = slices.Clone(c.Bands)
	for i := range c.Bands {
		b := &c.Bands[i]
		switch {
		case b.Type != openflow.BandDrop:
			return dp, fmt.Errorf("band type %d: %w", b.Type, openflow.MeterModBadBand)
		case b.Rate == 0:
			return dp, fmt.Errorf("rate 0: %w", openflow.MeterModBadRate)
		case c.Flags&openflow.MeterBurst == 0 || b.Burst == 0:
			b.Burst = b.Rate
		}
		dp.Bands = append(dp.Bands, datapath.MeterBand{Rate: b.Rate, Burst: b.Burst})
	}
	return dp, nil
}

// meterError is what the datapath's refusal of a meter is to a controller.
func meterError(err error) error {
	if errors.Is(err, datapath.ErrFull) {
		return fmt.Errorf("%w: %w", openflow.MeterModOutOfMeters, err)
	}
	return fmt.Errorf("%w: %w", openflow.MeterModUnknown, err)
}

// deleteMeters deletes a meter, or with MeterAll all, and the flows that use them. That there is none is no error, as
// in OVS. s.meterMu is held.
func (s *Switch) deleteMeters(id uint32) {
	s.o.Mu.Lock()
	meters := s.o.Tables.Meters(id)
	var gone []table.Removed
	for _, m := range meters {
		gone = append(gone, s.o.Tables.DeleteMeter(m)...)
	}
	s.announce(gone, nil)
	s.o.Mu.Unlock()
	for _, m := range meters {
		m.Datapath.Release()
	}
	if len(meters) > 0 {
		s.o.Host.TablesChanged()
	}
}

// DeleteMeters deletes all meters with the flows that use them: a bridge that goes leaves none in the datapath.
func (s *Switch) DeleteMeters() {
	s.meterMu.Lock()
	defer s.meterMu.Unlock()
	s.deleteMeters(openflow.MeterAll)
}

// meters finds the meters that a request is about.
func (c *conn) meters(id uint32) ([]*table.Meter, error) {
	meters := c.sw.o.Tables.Meters(id)
	if len(meters) == 0 && id != openflow.MeterAll {
		return nil, fmt.Errorf("meter %#x: %w", id, openflow.MeterModUnknownMeter)
	}
	return meters, nil
}

// meterConfigs tells how a meter, or all, is configured.
func (c *conn) meterConfigs(ctx context.Context, xid, id uint32) error {
	var list []openflow.MeterConfig
	c.sw.o.Mu.RLock()
	meters, err := c.meters(id)
	for _, m := range meters {
		list = append(list, m.Config())
	}
	c.sw.o.Mu.RUnlock()
	if err != nil {
		return err
	}
	return parts(ctx, c, xid, list, func(m []openflow.MeterConfig) openflow.MultipartBody {
		return &openflow.MeterConfigReply{Meters: m}
	})
}

// meterStats gives the counters of a meter, or of all.
func (c *conn) meterStats(ctx context.Context, xid, id uint32) error {
	s := c.sw
	s.o.Mu.RLock()
	meters, err := c.meters(id)
	users := make([]int, len(meters))
	for i, m := range meters {
		users[i] = s.o.Tables.MeterUsers(m.ID)
	}
	s.o.Mu.RUnlock()
	if err != nil {
		return err
	}
	now := s.o.Clock.Now()
	var list []openflow.MeterStats
	for i, m := range meters {
		n, err := m.Datapath.Stats()
		if err != nil {
			continue // deleted meanwhile
		}
		age := now.Sub(m.Created).Truncate(time.Millisecond) // OVS's resolution
		st := openflow.MeterStats{
			ID: m.ID, Flows: uint32(users[i]), Packets: n.Packets, Bytes: n.Bytes,
			DurationSec: seconds(age), DurationNsec: nanoseconds(age),
		}
		for _, b := range n.Bands {
			st.Bands = append(st.Bands, openflow.Counts{Packets: b.Packets, Bytes: b.Bytes})
		}
		list = append(list, st)
	}
	return parts(ctx, c, xid, list, func(m []openflow.MeterStats) openflow.MultipartBody {
		return &openflow.MeterStatsReply{Meters: m}
	})
}

// meterFeatures says what meters there can be.
func (c *conn) meterFeatures(ctx context.Context, xid uint32) error {
	r := &openflow.MeterFeaturesReply{}
	if limits := c.sw.meterLimits(); limits.Meters > 0 {
		r.MaxMeter, r.MaxBands = limits.Meters, uint8(limits.Bands)
		r.BandTypes, r.Capabilities = meterBandTypes, meterCapabilities
	}
	return c.part(ctx, xid, r)
}
