package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/ovs-bpf/ovs-bpf/internal/unixctl"
)

// fetch runs a command that answers with JSON; with --json the document itself is printed and v stays
// empty.
func fetch(ctx context.Context, socket string, o options, out io.Writer, command string, v any) (printed bool, err error) {
	text, err := unixctl.Call(ctx, socket, command)
	if err != nil {
		return false, err
	}
	if o.json {
		_, err := fmt.Fprintln(out, strings.TrimSpace(text))
		return true, err
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return false, fmt.Errorf("answer to %s: %w", command, err)
	}
	return false, nil
}

// overview is the answer to bpf/show.
type overview struct {
	Datapath          string
	Hit, Missed, Lost uint64
	CacheHit          uint64 `json:"cache_hit"`
	Flows, Masks      int
	FlowLimit         int `json:"flow_limit"`
	Bridges           []struct {
		Name        string
		DatapathID  string `json:"datapath_id"`
		FailMode    string `json:"fail_mode"`
		Rules       int
		Controllers []struct {
			Target    string
			Connected bool
		}
		Error string
		Ports []struct {
			Name      string
			OFPort    int64 `json:"ofport"`
			Type      string
			VLAN      string
			Link      string
			RxPackets uint64 `json:"rx_packets"`
			RxBytes   uint64 `json:"rx_bytes"`
			TxPackets uint64 `json:"tx_packets"`
			TxBytes   uint64 `json:"tx_bytes"`
			Dropped   uint64
			Error     string
		}
	}
}

func show(ctx context.Context, socket string, o options, out io.Writer) error {
	var v overview
	if printed, err := fetch(ctx, socket, o, out, "bpf/show", &v); err != nil || printed {
		return err
	}
	total := v.Hit + v.Missed
	rate := 0.0
	if total > 0 {
		rate = 100 * float64(v.Hit) / float64(total)
	}
	fmt.Fprintf(out, "%s: %d megaflows in %d masks (limit %d), %s packets hit (%.2f%%), %s missed, %s lost\n",
		v.Datapath, v.Flows, v.Masks, v.FlowLimit, count(v.Hit), rate, count(v.Missed), count(v.Lost))
	for _, b := range v.Bridges {
		fmt.Fprintf(out, "\n%s  dpid %s  fail mode %s  %d rules\n", b.Name, b.DatapathID, b.FailMode, b.Rules)
		if b.Error != "" {
			fmt.Fprintf(out, "  error: %s\n", b.Error)
		}
		for _, c := range b.Controllers {
			state := "not connected"
			if c.Connected {
				state = "connected"
			}
			fmt.Fprintf(out, "  controller %s: %s\n", c.Target, state)
		}
		w := tabwriter.NewWriter(out, 2, 8, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "  PORT\tOFPORT\tTYPE\tVLAN\tLINK\tRX PKTS\tRX\tTX PKTS\tTX\tDROPPED\t")
		for _, p := range b.Ports {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", p.Name, ofport(p.OFPort), p.Type, p.VLAN, p.Link,
				count(p.RxPackets), bytes(p.RxBytes), count(p.TxPackets), bytes(p.TxBytes), count(p.Dropped))
		}
		w.Flush()
		for _, p := range b.Ports {
			if p.Error != "" {
				fmt.Fprintf(out, "  %s: %s\n", p.Name, p.Error)
			}
		}
	}
	return nil
}

func ofport(n int64) string {
	switch n {
	case 0xfffffffe, 65534:
		return "LOCAL"
	case -1, 0:
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// count writes a number of things: whole below 100,000, then with a unit.
func count(n uint64) string {
	switch {
	case n < 100_000:
		return strconv.FormatUint(n, 10)
	case n < 10_000_000:
		return fmt.Sprintf("%.1fk", float64(n)/1e3)
	case n < 10_000_000_000:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1fG", float64(n)/1e9)
}

// bytes writes an amount of bytes.
func bytes(n uint64) string {
	v, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for v >= 1024 && len(units) > 1 {
		v /= 1024
		units = units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}
