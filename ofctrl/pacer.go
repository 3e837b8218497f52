package ofctrl

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// A pacer limits the rate of packet-ins: what is above it waits, in a queue for each port of which the longest loses
// a packet when there are too many, so that a port with a flood does not hide the others. The Switch's lock guards it.
type pacer struct {
	credit float64 // packets that may go
	at     time.Time
	queues map[openflow.PortNo][]*openflow.PacketIn
	last   openflow.PortNo // whose turn it was
	n      int             // packets that wait

	bypassed, queued, dropped uint64
}

// pacerNames are the kinds of packet-ins of a connection's pacers.
var pacerNames = [2]string{"miss", "action"}

// limits are the rate (packets per second; 0: none) and the burst of a controller; sw.mu is held.
func (r *remote) limits() (rate, burst int) {
	rate, burst = r.config.RateLimit, r.config.Burst
	if burst <= 0 {
		burst = max(rate/4, 1)
	}
	return rate, burst
}

// refill gives the credit of the time that went by.
func (p *pacer) refill(now time.Time, rate, burst int) {
	if p.at.IsZero() {
		p.credit = float64(burst)
	} else {
		p.credit = min(p.credit+now.Sub(p.at).Seconds()*float64(rate), float64(burst))
	}
	p.at = now
}

// pass reports whether a packet may go at once; otherwise it waits, or another is dropped for it.
func (p *pacer) pass(now time.Time, rate, burst int, m *openflow.PacketIn, in openflow.PortNo) bool {
	p.refill(now, rate, burst)
	if p.n == 0 && p.credit >= 1 {
		p.credit--
		p.bypassed++
		return true
	}
	if p.queues == nil {
		p.queues = map[openflow.PortNo][]*openflow.PacketIn{}
	}
	if p.n >= burst {
		p.dropLongest()
	}
	p.queues[in] = append(p.queues[in], m)
	p.n++
	p.queued++
	return false
}

func (p *pacer) dropLongest() {
	var longest openflow.PortNo
	for port, q := range p.queues {
		if n := len(p.queues[longest]); len(q) > n || len(q) == n && port < longest {
			longest = port
		}
	}
	p.take(longest)
	p.dropped++
}

func (p *pacer) take(port openflow.PortNo) *openflow.PacketIn {
	q := p.queues[port]
	m := q[0]
	if p.n--; len(q) == 1 {
		delete(p.queues, port)
	} else {
		p.queues[port] = q[1:]
	}
	return m
}

// next returns a packet whose time has come, of the ports in turn; nil, and how long to wait for it: 0 when none waits.
func (p *pacer) next(now time.Time, rate, burst int) (*openflow.PacketIn, time.Duration) {
	if p.n == 0 {
		return nil, 0
	}
	p.refill(now, rate, burst)
	if rate > 0 && p.credit < 1 {
		return nil, time.Duration((1-p.credit)/float64(rate)*float64(time.Second)) + time.Millisecond
	}
	p.credit--
	ports := slices.Sorted(maps.Keys(p.queues))
	i, found := slices.BinarySearch(ports, p.last)
	if found {
		i++
	}
	p.last = ports[i%len(ports)]
	return p.take(p.last), 0
}

// status adds the counters to a Controller's status.
func (p *pacer) status(m map[string]string, kind string) {
	for key, n := range map[string]uint64{"bypassed": p.bypassed, "queued": p.queued, "dropped": p.dropped, "backlog": uint64(p.n)} {
		m["packet-in-"+kind+"-"+key] = strconv.FormatUint(n, 10)
	}
}

// packetIn queues a packet-in for a connection within its controller's limits; sw.mu is held.
func (c *conn) packetIn(m *openflow.PacketIn, in openflow.PortNo) {
	rate, burst := c.remote.limits()
	kind := 1
	if m.Reason == openflow.ReasonNoMatch {
		kind = 0
	}
	if rate > 0 && !c.pacers[kind].pass(c.sw.o.Clock.Now(), rate, burst, m, in) {
		select {
		case c.paced <- struct{}{}:
		default:
		}
		return
	}
	c.release(m)
}

// release gives a packet-in to the writer; sw.mu is held.
func (c *conn) release(m *openflow.PacketIn) {
	limit := c.remote.config.QueueSize
	if limit <= 0 {
		limit = maxPacketIns
	}
	if !c.out.packetIn(m, limit) {
		c.remote.dropped++
		c.sw.count("packet_in_drop", 1)
	}
}

// pace releases packet-ins that wait until the connection ends.
func (c *conn) pace(ctx context.Context) {
	for {
		var wait time.Duration // of the first
		c.sw.mu.Lock()
		rate, burst := c.remote.limits()
		for i := range c.pacers {
			for {
				m, more := c.pacers[i].next(c.sw.o.Clock.Now(), rate, burst)
				if m == nil {
					if more > 0 && (wait == 0 || more < wait) {
						wait = more
					}
					break
				}
				c.release(m)
			}
		}
		c.sw.mu.Unlock()
		var timer <-chan time.Time
		if wait > 0 {
			timer = c.sw.o.Clock.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.paced:
		case <-timer:
		}
	}
}
