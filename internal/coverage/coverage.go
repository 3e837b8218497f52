// Package coverage counts the daemon's events under OVS's names and shows them as coverage/show and
// coverage/read-counter do: monitoring tools read that text.
package coverage

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

const (
	// slot is the time between two samples, the finest rate that coverage/show has.
	slot           = 5 * time.Second
	slotsPerMinute = int(time.Minute / slot)
	minutesPerHour = 60
)

// Counter is the number of times that an event has happened since the start.
type Counter struct{ n atomic.Uint64 }

// Inc counts one event. It is one atomic addition, for paths as hot as a translation.
func (c *Counter) Inc() { c.n.Add(1) }

// Add counts n events.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Total is the number of events.
func (c *Counter) Total() uint64 { return c.n.Load() }

// Registry holds the counters of one daemon.
type Registry struct {
	clock clock.Clock

	mu     sync.Mutex
	series map[string]*series
	slots  int // samples taken
}

// series is a counter with its past.
type series struct {
	counter *Counter      // nil for a function
	read    func() uint64 // the total
	last    uint64        // total at the last sample
	minute  [slotsPerMinute]uint64
	hour    [minutesPerHour]uint64
}

// NewRegistry makes a registry that knows the given names; their counters are made by New or stay 0.
func NewRegistry(c clock.Clock, names ...string) *Registry {
	r := &Registry{clock: c, series: map[string]*series{}}
	for _, n := range names {
		r.New(n)
	}
	return r
}

// New is the counter of that name; callers that name the same one share it.
func (r *Registry) New(name string) *Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.series[name]; s != nil && s.counter != nil {
		return s.counter
	}
	c := &Counter{}
	r.series[name] = &series{counter: c, read: c.Total}
	return c
}

// Func adds a counter that is kept elsewhere, such as in a map of the kernel: read gives its total, which
// must not fall. It is called by Run and by the commands; it must not use the registry.
func (r *Registry) Func(name string, read func() uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.series[name] = &series{read: read}
}

// Run takes a sample every five seconds until ctx ends.
func (r *Registry) Run(ctx context.Context) {
	next := r.clock.Now().Add(slot)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-r.clock.After(next.Sub(r.clock.Now())):
			// Samples that were missed while the machine slept count as one long slot.
			for !next.After(now) {
				next = next.Add(slot)
			}
			r.Sample()
		}
	}
}

// Sample ends the current five seconds.
func (r *Registry) Sample() {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.slots % slotsPerMinute
	h := r.slots / slotsPerMinute % minutesPerHour
	for _, s := range r.series {
		total := s.read()
		n := total - min(total, s.last)
		s.last = total
		s.minute[m] = n
		if m == 0 {
			s.hour[h] = 0
		}
		s.hour[h] += n
	}
	r.slots++
}

// Show is the text of coverage/show: events that have happened, in the order of their names, and how many
// of the known ones have not.
func (r *Registry) Show() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines strings.Builder
	names := make([]string, 0, len(r.series))
	for n := range r.series {
		names = append(names, n)
	}
	slices.Sort(names)
	hash := crc32.NewIEEE()
	never := 0
	for _, n := range names {
		s := r.series[n]
		total := s.read()
		if total == 0 {
			never++
			continue
		}
		_, _ = hash.Write([]byte(n))
		fmt.Fprintf(&lines, "%-24s %5.1f/sec %9.3f/sec %13.4f/sec   total: %d\n", n,
			float64(s.minute[(r.slots+slotsPerMinute-1)%slotsPerMinute])/slot.Seconds(),
			float64(sum(s.minute[:]))/time.Minute.Seconds(), float64(sum(s.hour[:]))/time.Hour.Seconds(), total)
	}
	// The hash tells one set of events from another, as OVS's does.
	return fmt.Sprintf("Event coverage, avg rate over last: %d seconds, last minute, last hour,  hash=%08x:\n%s%d events never hit\n",
		int(slot.Seconds()), hash.Sum32(), lines.String(), never)
}

func sum(v []uint64) (n uint64) {
	for _, x := range v {
		n += x
	}
	return n
}

// Total is the number of events of that name, false for a name that the registry does not know.
func (r *Registry) Total(name string) (uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.series[name]
	if s == nil {
		return 0, false
	}
	return s.read(), true
}
