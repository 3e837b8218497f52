package ovsdb

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkServer measures 10,000 interfaces against a real server: the first snapshot, one after a change, the first
// status and one whose statistics have all moved.
func BenchmarkServer(b *testing.B) {
	const n = 10_000
	s := newServer(b, ours(b))
	s.vsctl("init", "--", "add-br", "br0")
	conn, err := parseRemotes(s.remote(), nil)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := conn[0].dial(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	filler := newSession(raw, func(string, json.RawMessage) {})
	var ops [][]byte
	var names []string
	for i := range n {
		ops = append(ops, fmt.Appendf(nil, `{"op":"insert","table":"Interface","uuid-name":"i%d","row":{"name":"p%d","external_ids":["map",[["iface-id","lsp-%d"]]]}}`, i, i, i),
			fmt.Appendf(nil, `{"op":"insert","table":"Port","uuid-name":"p%d","row":{"name":"p%d","interfaces":["named-uuid","i%d"]}}`, i, i, i))
		names = append(names, fmt.Sprintf(`["named-uuid","p%d"]`, i))
	}
	ops = append(ops, []byte(`{"op":"mutate","table":"Bridge","where":[],"mutations":[["ports","insert",["set",[`+strings.Join(names, ",")+`]]]]}`))
	if _, err := filler.transact(context.Background(), ops); err != nil {
		b.Fatal(err)
	}
	filler.close()

	status := func(snap *Snapshot, k int64) *Status {
		st := &Status{CurCfg: &snap.NextCfg, Interfaces: map[string]InterfaceStatus{}}
		for i, p := range snap.Bridges[0].Ports {
			st.Interfaces[p.Interfaces[0].UUID] = InterfaceStatus{
				OFPort: ptr(i + 1), MACInUse: "00:00:00:00:00:01", LinkState: "up", AdminState: "up", MTU: ptr(1500), IfIndex: ptr(i),
				Statistics: map[string]int64{"rx_packets": k, "rx_bytes": k, "tx_packets": k, "tx_bytes": k, "rx_dropped": 0, "tx_dropped": 0, "rx_errors": 0, "tx_errors": 0},
				Status:     map[string]string{"driver_name": "veth"},
			}
		}
		return st
	}
	var connected, changed, first, later time.Duration
	var k int64
	for b.Loop() {
		at := time.Now()
		lap := func(d *time.Duration) {
			*d += time.Since(at)
			at = time.Now()
		}
		c := connect(b, Options{Remote: s.remote()})
		snap := next(b, c, "10,000 ports", func(s *Snapshot) bool { return len(s.Bridges[0].Ports) > n })
		lap(&connected)
		write(b, c, status(snap, k+1))
		lap(&first)
		k += 2
		write(b, c, status(snap, k))
		lap(&later)
		s.vsctl("set", "open", ".", fmt.Sprintf("next_cfg=%d", k))
		next(b, c, "one change", func(s *Snapshot) bool { return s.NextCfg == int(k) })
		lap(&changed)
		c.Close()
	}
	for name, d := range map[string]time.Duration{"connect": connected, "first-status": first, "statistics": later, "one-change": changed} {
		b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name+"-ms")
	}
}
