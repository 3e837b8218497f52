package coverage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Memory gathers what memory/show shows: how many of each kind of thing the daemon holds.
type Memory struct {
	mu      sync.Mutex
	sources []func(add func(name string, n uint64))
}

// Register adds a source; amounts that several sources give under one name are summed.
func (m *Memory) Register(source func(add func(name string, n uint64))) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources = append(m.sources, source)
}

// Show is the text of memory/show: name:amount in the order of the names, on one line.
func (m *Memory) Show() string {
	m.mu.Lock()
	sources := slices.Clone(m.sources)
	m.mu.Unlock()
	amounts := map[string]uint64{}
	for _, s := range sources {
		s(func(name string, n uint64) {
			if n != 0 { // as in OVS nothing is said of what there is nothing of
				amounts[name] += n
			}
		})
	}
	var words []string
	for _, n := range slices.Sorted(maps.Keys(amounts)) {
		words = append(words, fmt.Sprintf("%s:%d", n, amounts[n]))
	}
	return strings.Join(words, " ")
}
