package mac

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// modelEntry and model say what the table does in the plainest way: one slice, oldest first.
type modelEntry struct {
	vlan   uint16
	addr   Addr
	port   int
	static bool
	used   time.Time
	grat   time.Time
}

type model struct {
	now   time.Time
	idle  time.Duration
	max   int
	flood map[uint16]bool
	all   []*modelEntry
	stats Stats
}

func (m *model) find(vlan uint16, a Addr) int {
	return slices.IndexFunc(m.all, func(e *modelEntry) bool { return e.vlan == vlan && e.addr == a })
}

func (m *model) learned(port int) (n int) {
	for _, e := range m.all {
		if e.port == port && !e.static {
			n++
		}
	}
	return n
}

// victims are the entries that may be evicted: the oldest of each port that has most.
func (m *model) victims() []*modelEntry {
	most := 0
	for port := 1; port <= modelPorts; port++ {
		most = max(most, m.learned(port))
	}
	var v []*modelEntry
	for port := 1; most > 0 && port <= modelPorts; port++ {
		if m.learned(port) != most {
			continue
		}
		i := slices.IndexFunc(m.all, func(e *modelEntry) bool { return e.port == port && !e.static })
		v = append(v, m.all[i])
	}
	return v
}

// evict follows the table's choice among victims: the one that it does not have any more.
func (m *model) evict(t *rapid.T, tab *Table[int]) bool {
	v := m.victims()
	if len(v) == 0 {
		return false
	}
	var gone []*modelEntry
	for _, e := range v {
		if tab.entries[key(e.vlan, e.addr)] == nil {
			gone = append(gone, e)
		}
	}
	if len(gone) != 1 {
		t.Fatalf("%d of the oldest entries of the fullest ports evicted, want 1", len(gone))
	}
	m.all = slices.DeleteFunc(m.all, func(e *modelEntry) bool { return e == gone[0] })
	m.stats.Evicted++
	return true
}

func (m *model) learn(t *rapid.T, tab *Table[int], o Observation[int]) bool {
	if o.Addr[0]&1 != 0 || m.flood[o.VLAN] {
		return false
	}
	i := m.find(o.VLAN, o.Addr)
	if i >= 0 && m.all[i].static {
		return false
	}
	if i < 0 {
		if len(m.all) >= m.max && !m.evict(t, tab) {
			return false
		}
		e := &modelEntry{vlan: o.VLAN, addr: o.Addr, port: o.Port, used: m.now}
		if o.GratARP && !o.Bond {
			e.grat = m.now.Add(gratLock)
		}
		m.all = append(m.all, e)
		m.stats.Learned++
		return true
	}
	e := m.all[i]
	locked := o.GratARP && o.Bond && m.now.Before(e.grat)
	moved := e.port != o.Port && !locked
	// Only an entry of a second or more, or one that changes, is written and goes to the end.
	if m.now.Sub(e.used) >= refresh || moved || o.GratARP && !o.Bond {
		e.used = m.now
		m.all = append(slices.Delete(m.all, i, i+1), e)
	}
	if o.GratARP && !o.Bond {
		e.grat = m.now.Add(gratLock)
	}
	if moved {
		e.port = o.Port
		m.stats.Moved++
	}
	return moved
}

const (
	modelPorts = 4
	modelAddrs = 24
)

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := clock.NewManual(time.Unix(0, 0))
		tab := New[int](c)
		m := &model{now: c.Now(), idle: DefaultIdle, max: DefaultMax}
		vlan := rapid.Uint16Range(0, 2)
		anyAddr := rapid.Custom(func(t *rapid.T) Addr {
			a := addr(byte(rapid.IntRange(0, modelAddrs-1).Draw(t, "addr")))
			if a[5] == 0 {
				a[0] |= 1 // multicast
			}
			return a
		})
		anyPort := rapid.IntRange(1, modelPorts)
		remove := func(f func(*modelEntry) bool) { m.all = slices.DeleteFunc(m.all, f) }
		// versions as they were before a step, to see that every change of an answer shows.
		type answer struct {
			e  Entry[int]
			ok bool
		}
		look := func() (answers map[uint64]answer, versions map[uint64]uint64) {
			answers, versions = map[uint64]answer{}, map[uint64]uint64{}
			for v := range uint16(3) {
				for n := range byte(modelAddrs) {
					e, ok := tab.Lookup(v, addr(n))
					e.Age = 0
					answers[key(v, addr(n))] = answer{e, ok}
					versions[key(v, addr(n))] = tab.VersionOf(v, addr(n)).Version()
				}
			}
			return answers, versions
		}
		answers, versions := look()
		t.Repeat(map[string]func(*rapid.T){
			"learn": func(t *rapid.T) {
				o := Observation[int]{
					VLAN: vlan.Draw(t, "vlan"), Addr: anyAddr.Draw(t, "addr"),
					Port: anyPort.Draw(t, "port"), GratARP: rapid.Bool().Draw(t, "grat"),
				}
				o.Bond = o.Port == modelPorts
				needed := tab.UpdateNeeded(o)
				got := tab.Learn(o)
				if got && !needed {
					t.Fatal("learned without need")
				}
				if want := m.learn(t, tab, o); got != want {
					t.Fatalf("Learn(%v) = %v, want %v", o, got, want)
				}
			},
			"wait": func(t *rapid.T) {
				d := time.Duration(rapid.SampledFrom([]int{1, 500, 1000, 4000, 100_000}).
					Draw(t, "ms")) * time.Millisecond
				c.Advance(d)
				m.now = c.Now()
			},
			"run": func(t *rapid.T) {
				tab.Run()
				n := len(m.all)
				remove(func(e *modelEntry) bool { return !e.static && m.now.Sub(e.used) >= m.idle })
				m.stats.Expired += uint64(n - len(m.all))
			},
			"add static": func(t *rapid.T) {
				v, a, p := vlan.Draw(t, "vlan"), anyAddr.Draw(t, "addr"), anyPort.Draw(t, "port")
				_, replaced, err := tab.AddStatic(v, a, p)
				i := m.find(v, a)
				if replaced != (i >= 0) {
					t.Fatalf("replaced %v", replaced)
				}
				if i >= 0 {
					m.all = slices.Delete(m.all, i, i+1)
				}
				full := len(m.all) >= m.max && !m.evict(t, tab)
				if full != (err != nil) {
					t.Fatalf("full %v, error %v", full, err)
				}
				if !full {
					m.all = append(m.all, &modelEntry{vlan: v, addr: a, port: p, static: true})
				}
			},
			"del static": func(t *rapid.T) {
				v, a := vlan.Draw(t, "vlan"), anyAddr.Draw(t, "addr")
				i := m.find(v, a)
				want := i >= 0 && m.all[i].static
				if got := tab.DelStatic(v, a); got != want {
					t.Fatalf("DelStatic = %v, want %v", got, want)
				}
				if want {
					m.all = slices.Delete(m.all, i, i+1)
				}
			},
			"flush port": func(t *rapid.T) {
				p := anyPort.Draw(t, "port")
				tab.FlushPort(p)
				remove(func(e *modelEntry) bool { return !e.static && e.port == p })
			},
			"remove port": func(t *rapid.T) {
				p := anyPort.Draw(t, "port")
				tab.RemovePort(p)
				remove(func(e *modelEntry) bool { return e.port == p })
			},
			"flush VLAN": func(t *rapid.T) {
				v := vlan.Draw(t, "vlan")
				tab.FlushVLAN(v)
				remove(func(e *modelEntry) bool { return !e.static && e.vlan == v })
			},
			"flood VLANs": func(t *rapid.T) {
				vs := rapid.SliceOfN(vlan, 0, 2).Draw(t, "vlans")
				tab.SetFloodVLANs(vs)
				m.flood = map[uint16]bool{}
				for _, v := range vs {
					m.flood[v] = true
				}
				remove(func(e *modelEntry) bool { return !e.static && m.flood[e.vlan] })
			},
			"idle": func(t *rapid.T) {
				m.idle = time.Duration(rapid.IntRange(15, 400).Draw(t, "s")) * time.Second
				tab.SetIdle(m.idle)
			},
			"max": func(t *rapid.T) {
				// The choice of the victims is checked one by one, on the way down.
				want := rapid.IntRange(10, 40).Draw(t, "max")
				for n := max(len(m.all), want); n >= want; n-- {
					tab.SetMax(n)
					m.max = n
					for len(m.all) > m.max && m.evict(t, tab) {
					}
				}
			},
			"": func(t *rapid.T) {
				var want []Entry[int]
				m.stats.Static = 0
				for _, e := range m.all {
					w := Entry[int]{VLAN: e.vlan, Addr: e.addr, Port: e.port, Static: e.static}
					if e.static {
						m.stats.Static++
					} else {
						w.Age = m.now.Sub(e.used)
					}
					want = append(want, w)
				}
				got := tab.Entries()
				if len(got) == 0 {
					got = nil
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Fatalf("entries (-want +got):\n%s", d)
				}
				m.stats.Current, m.stats.Max = len(m.all), m.max
				if d := cmp.Diff(m.stats, tab.Stats()); d != "" {
					t.Fatalf("stats (-want +got):\n%s", d)
				}
				after, now := look()
				for k, a := range after {
					if a != answers[k] && now[k] == versions[k] {
						t.Fatalf("answer for %012x changed from %v to %v under one version", k, answers[k], a)
					}
				}
				answers, versions = after, now
			},
		})
	})
}
