package ipfix

import (
	"container/list"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

const (
	defaultPort = 4739 // of collectors (RFC 7011 section 10.3.4)
	// interval is how long templates and statistics stay as they were told, unless the configuration says otherwise.
	interval = 10 * time.Minute
	// maxDomains bounds the observation domains of an exporter.
	maxDomains = 4096
)

// Config configures an Exporter.
type Config struct {
	Targets       []string      // "IP:port" or "IP"
	ActiveTimeout time.Duration // how long a flow is cached; 0: not at all
	MaxFlows      int           // that are cached; 0: none
	VirtualID     string        // virtualObsID of all records; "": they have none
	// TemplateInterval and StatsInterval are how often collectors are told both again; 0: every 10 minutes.
	TemplateInterval, StatsInterval time.Duration
	Process                         uint32 // exportingProcessId
	Clock                           clock.Clock
}

// Stats count what an exporter did.
type Stats struct {
	Flows, Current                 uint64 // of the cache
	Packets, IPv4, IPv6            uint64 // sampled packets, and those of known transport protocols
	Errors, IPv4Errors, IPv6Errors uint64 // of others
	Sent, NotSent                  uint64 // messages, one for each collector
}

// Exporter sends records of flows to collectors. Its methods may be called at once.
type Exporter struct {
	c          Config
	collectors []net.Conn

	mu      sync.Mutex // guards what follows
	domains map[uint32]*domain
	flows   map[flowID]*list.Element // of *cached
	order   list.List                // by start, oldest first
	total   counters
	stats   Stats
	told    time.Time // when the statistics were sent last
	statSeq uint32
	closed  bool
}

// domain is an observation domain.
type domain struct {
	seq  uint32    // records that were sent
	told time.Time // when the templates were sent last
}

// flowID is what makes flows equal.
type flowID struct {
	domain uint32
	shape  shape
	key    string
}

// cached is a flow that is to be exported.
type cached struct {
	id         flowID
	start, end time.Time
	delta      counters
	total      counters // of the exporter with the flow's last packet
}

// New makes an exporter. Without a single target that can be used it is an error; those that cannot are told in warning.
func New(c Config) (e *Exporter, warning, err error) {
	e = &Exporter{c: c, domains: map[uint32]*domain{}, flows: map[flowID]*list.Element{}}
	if e.c.TemplateInterval == 0 {
		e.c.TemplateInterval = interval
	}
	if e.c.StatsInterval == 0 {
		e.c.StatsInterval = interval
	}
	for _, t := range c.Targets {
		conn, err := dial(t)
		if err != nil {
			warning = errors.Join(warning, err)
			continue
		}
		e.collectors = append(e.collectors, conn)
	}
	if len(e.collectors) == 0 {
		return nil, warning, errors.New("no collectors could be initialized, IPFIX exporter disabled")
	}
	return e, warning, nil
}

// dial makes the socket for a collector. Names are not looked up: that would take time.
func dial(target string) (net.Conn, error) {
	addr, err := netip.ParseAddrPort(target)
	if err != nil {
		host, herr := netip.ParseAddr(target)
		if herr != nil {
			return nil, fmt.Errorf("IPFIX target %q: expected IP:PORT: %w", target, err)
		}
		addr = netip.AddrPortFrom(host, defaultPort)
	}
	conn, err := net.Dial("udp", net.JoinHostPort(addr.Addr().String(), strconv.Itoa(int(addr.Port()))))
	if err != nil {
		return nil, fmt.Errorf("IPFIX target %q: %w", target, err)
	}
	return conn, nil
}

// Sample takes a sampled packet.
func (e *Exporter) Sample(s *Sample) {
	sh := s.shape()
	key := string(s.appendKey(nil, sh, e.c.VirtualID))
	now := e.c.Clock.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.count(sh)
	e.total.add(s, sh)
	id := flowID{s.Domain, sh, key}
	at, ok := e.flows[id]
	if !ok {
		at = e.order.PushBack(&cached{id: id, start: now})
		e.flows[id] = at
		e.stats.Flows++
	}
	f := at.Value.(*cached)
	f.end = now
	f.delta.add(s, sh)
	f.total = e.total
	switch {
	case e.c.ActiveTimeout == 0 || e.c.MaxFlows == 0:
		e.export(at, endActive, now)
	case len(e.flows) > e.c.MaxFlows:
		e.export(e.order.Front(), endResources, now)
	}
}

// count counts a sampled packet by its protocols. As with OVS an IP packet of another transport protocol is an error.
func (e *Exporter) count(sh shape) {
	s := &e.stats
	s.Packets++
	known := sh.transport != noTransport
	for _, c := range []struct {
		network
		ok, wrong *uint64
	}{{ipv4, &s.IPv4, &s.IPv4Errors}, {ipv6, &s.IPv6, &s.IPv6Errors}} {
		switch {
		case sh.network != c.network:
		case known:
			*c.ok++
		default:
			*c.wrong++
			s.Errors++
		}
	}
}

// Run exports the flows that have been cached long enough. It is to be called about every second.
func (e *Exporter) Run() {
	now := e.c.Clock.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for at := e.order.Front(); at != nil && now.Sub(at.Value.(*cached).start) >= e.c.ActiveTimeout; at = e.order.Front() {
		e.export(at, endActive, now)
	}
}

// Close exports all flows and ends.
func (e *Exporter) Close() {
	now := e.c.Clock.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for at := e.order.Front(); at != nil; at = e.order.Front() {
		e.export(at, endForced, now)
	}
	e.closed = true
	for _, c := range e.collectors {
		c.Close()
	}
}

// Stats counts what the exporter did.
func (e *Exporter) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Current = uint64(len(e.flows))
	return s
}

// export sends a flow and forgets it.
func (e *Exporter) export(at *list.Element, reason uint8, now time.Time) {
	f := e.order.Remove(at).(*cached)
	delete(e.flows, f.id)
	at1 := exportTime(now)
	d := e.domain(f.id.domain, at1)
	e.tellStats(at1)
	m := newMessage(at1, d.seq, f.id.domain)
	d.seq++
	m.begin(f.id.shape.template())
	m.b = append(m.b, f.id.key...)
	m.b = appendCounts(m.b, f.id.shape, &f.delta, &f.total, at1.Sub(f.start).Microseconds(), at1.Sub(f.end).Microseconds(), reason)
	m.end()
	e.send(m.bytes())
}

// exportTime is the time of a message, which has whole seconds only: nothing in it is later.
func exportTime(now time.Time) time.Time {
	t := now.Truncate(time.Second)
	if t.Before(now) {
		t = t.Add(time.Second)
	}
	return t
}

// domain is a domain whose templates the collectors know.
func (e *Exporter) domain(id uint32, now time.Time) *domain {
	d := e.domains[id]
	if d == nil {
		if len(e.domains) >= maxDomains { // they will be told again when they are used again
			clear(e.domains)
		}
		d = &domain{}
		e.domains[id] = d
	}
	if d.told.IsZero() || now.Sub(d.told) >= e.c.TemplateInterval {
		d.told = now
		for _, m := range templates(now, d.seq, id, e.c.VirtualID != "") {
			e.send(m)
		}
	}
	return d
}

// tellStats sends the exporter's own statistics when it is time.
func (e *Exporter) tellStats(now time.Time) {
	if !e.told.IsZero() && now.Sub(e.told) < e.c.StatsInterval {
		return
	}
	e.told = now
	for _, m := range statMessages(now, e.statSeq, e.c.Process, e.stats.NotSent) {
		e.send(m)
	}
	e.statSeq++
}

// send sends a message to all collectors. What cannot be sent now is lost, as UDP is.
func (e *Exporter) send(b []byte) {
	for _, c := range e.collectors {
		if _, err := c.Write(b); err != nil {
			e.stats.NotSent++
		} else {
			e.stats.Sent++
		}
	}
}
