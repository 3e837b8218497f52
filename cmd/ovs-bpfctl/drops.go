package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// drop is one element of the answer to bpf/drops.
type drop struct {
	Reason  string
	Port    string // "" when not bound to a port
	Packets uint64
}

func drops(ctx context.Context, socket string, o options, out io.Writer) error {
	var list []drop
	if printed, err := fetch(ctx, socket, o, out, "bpf/drops", &list); err != nil || printed {
		return err
	}
	if len(list) == 0 {
		fmt.Fprintln(out, "no packet has been dropped")
		return nil
	}
	slices.SortFunc(list, func(a, b drop) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Port, b.Port))
	})
	w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PACKETS\tPORT\tREASON")
	for _, d := range list {
		port := d.Port
		if port == "" {
			port = "-"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", d.Packets, port, d.Reason)
	}
	return w.Flush()
}
