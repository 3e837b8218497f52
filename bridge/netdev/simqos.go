package netdev

import "math"

var _ Shaper = (*SimDevice)(nil)

// QoSTypes implements Shaper: as with OVS's simulated devices there are none.
func (d *SimDevice) QoSTypes() []string { return nil }

// SetQoS implements Shaper: nothing shapes what no device sends.
func (d *SimDevice) SetQoS(*QoS) error { return nil }

// QoS implements Shaper: there is the queue that every device has.
func (d *SimDevice) QoS() (string, []Option, []Queue) { return "", nil, []Queue{{}} }

// QueueStats implements Shaper: they are not known.
func (d *SimDevice) QueueStats() ([]QueueStats, error) {
	return []QueueStats{{Packets: math.MaxUint64, Bytes: math.MaxUint64, Dropped: math.MaxUint64}}, nil
}
