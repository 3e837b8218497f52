package main

import (
	"fmt"
	"testing"
)

// TestOVNRules looks for flows that replace each other, and for tables without any.
func TestOVNRules(t *testing.T) {
	const n = 10_000
	mods, copies, err := ovnRules(n)
	if err != nil {
		t.Fatal(err)
	}
	tables, matches := map[uint8]int{}, map[string]bool{}
	for _, m := range mods {
		tables[m.Table]++
		m.Match.Normalize()
		matches[fmt.Sprint(m.Table, m.Priority, m.Match)] = true
	}
	if len(mods) != n || len(matches) != n || len(tables) != ovnTables || copies != 4 {
		t.Errorf("%d flow mods, %d different matches, %d tables, %d copies", len(mods), len(matches), len(tables), copies)
	}
}
