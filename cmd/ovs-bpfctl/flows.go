package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

// megaflow is one element of the answer to bpf/flows.
type megaflow struct {
	UFID    string
	Flow    string
	Actions string
	Packets uint64
	Bytes   uint64
	UsedMS  int64 `json:"used_ms"` // since the last packet; -1: never
	// rates since the last answer
	pps, bps float64
}

// flows shows megaflows by packet rate. On a terminal it repaints until interrupted; elsewhere each
// round follows the last.
func flows(ctx context.Context, socket string, o options, out io.Writer) error {
	if o.json {
		_, err := fetch(ctx, socket, o, out, "bpf/flows", nil)
		return err
	}
	f, isFile := out.(*os.File)
	repaint := isFile && term.IsTerminal(int(f.Fd())) && !o.once
	var last map[string]megaflow
	at := time.Now()
	for round := 0; ; round++ {
		var list []megaflow
		if _, err := fetch(ctx, socket, o, out, "bpf/flows", &list); err != nil {
			return err
		}
		now := time.Now()
		seconds := now.Sub(at).Seconds()
		at = now
		for i := range list {
			m := &list[i]
			if old, ok := last[m.UFID]; ok && m.Packets >= old.Packets && seconds > 0 {
				m.pps = float64(m.Packets-old.Packets) / seconds
				m.bps = float64(m.Bytes-old.Bytes) * 8 / seconds
			}
		}
		// Rates need two answers, so the first one is only shown when there is no second.
		if round > 0 {
			if repaint {
				fmt.Fprint(out, "\x1b[H\x1b[2J")
			}
			printFlows(out, list, o.count)
			if o.once {
				return nil
			}
		}
		last = make(map[string]megaflow, len(list))
		for _, m := range list {
			last[m.UFID] = m
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(o.interval):
		}
	}
}

func printFlows(out io.Writer, list []megaflow, most int) {
	slices.SortFunc(list, func(a, b megaflow) int {
		return cmp.Or(cmp.Compare(b.pps, a.pps), cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Flow, b.Flow))
	})
	fmt.Fprintf(out, "%d megaflows\n", len(list))
	w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PKT/S\tBIT/S\tPACKETS\tUSED\tFLOW\tACTIONS")
	for i, m := range list {
		if i == most {
			break
		}
		used := "never"
		if m.UsedMS >= 0 {
			used = fmt.Sprintf("%.1fs", float64(m.UsedMS)/1e3)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", count(uint64(m.pps)), count(uint64(m.bps)), count(m.Packets), used, m.Flow, m.Actions)
	}
	w.Flush()
	if len(list) > most {
		fmt.Fprintf(out, "(+%d more; -n shows more)\n", len(list)-most)
	}
}
