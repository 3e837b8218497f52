package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// record is one value, a JSON line.
type record struct {
	Round     int     `json:"round"`
	Series    series  `json:"series"`
	Forwarder string  `json:"forwarder"`
	Value     float64 `json:"value"`
	Load      float64 `json:"load"` // average of the machine's last minute, at that time
}

// report gathers records and compares.
type report struct {
	lines *json.Encoder // nil: none are wanted
	peers []string      // in order
	order []series
	value map[string]map[string]map[int]float64 // by series, forwarder, round
}

func newReport(lines io.Writer, peers []string) *report {
	r := &report{peers: peers, value: map[string]map[string]map[int]float64{}}
	if lines != nil {
		r.lines = json.NewEncoder(lines)
	}
	return r
}

func (r *report) add(rec record) error {
	f := r.value[rec.Series.Name]
	if f == nil {
		f = map[string]map[int]float64{}
		r.value[rec.Series.Name] = f
		r.order = append(r.order, rec.Series)
	}
	if f[rec.Forwarder] == nil {
		f[rec.Forwarder] = map[int]float64{}
	}
	f[rec.Forwarder][rec.Round] = rec.Value
	if r.lines == nil {
		return nil
	}
	return r.lines.Encode(rec)
}

// Ratio compares one series of ours with a peer's: each round for itself, because the machine is not
// the same from one to the next.
type ratio struct {
	Min, Median, Max float64
	Rounds           int
}

func (r *report) ratio(series, peer string) (x ratio, ok bool) {
	var list []float64
	for round, v := range r.value[series][ours] {
		if p := r.value[series][peer][round]; p != 0 {
			list = append(list, v/p)
		}
	}
	if len(list) == 0 {
		return x, false
	}
	slices.Sort(list)
	return ratio{list[0], median(list), list[len(list)-1], len(list)}, true
}

// median of a sorted list.
func median(list []float64) float64 {
	n := len(list)
	return (list[(n-1)/2] + list[n/2]) / 2
}

// write prints the medians of all forwarders and the ratios of ours to each.
func (r *report) write(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tab, "medians")
	for _, p := range r.peers {
		fmt.Fprintf(tab, "\t%s", p)
	}
	fmt.Fprintln(tab, "\t")
	for _, s := range r.order {
		fmt.Fprint(tab, s.Name)
		for _, p := range r.peers {
			var list []float64
			for _, v := range r.value[s.Name][p] {
				list = append(list, v)
			}
			if len(list) == 0 {
				fmt.Fprint(tab, "\t-")
				continue
			}
			slices.Sort(list)
			fmt.Fprintf(tab, "\t%s", figure(median(list)))
		}
		fmt.Fprintf(tab, "\t%s\n", s.Unit)
	}
	fmt.Fprintf(tab, "\n%s to:", ours)
	for _, p := range r.peers {
		if p != ours {
			fmt.Fprintf(tab, "\t%s", p)
		}
	}
	fmt.Fprintln(tab, "\t")
	for _, s := range r.order {
		if s.Unit == "fraction" {
			continue
		}
		fmt.Fprint(tab, s.Name)
		for _, p := range r.peers {
			if p == ours {
				continue
			}
			if x, ok := r.ratio(s.Name, p); ok {
				fmt.Fprintf(tab, "\t%.2f (%.2f..%.2f)", x.Median, x.Min, x.Max)
			} else {
				fmt.Fprint(tab, "\t-")
			}
		}
		if s.Lower {
			fmt.Fprint(tab, "\tless is better")
		} else {
			fmt.Fprint(tab, "\t")
		}
		fmt.Fprintln(tab)
	}
	return tab.Flush()
}

// figure is a number in three digits.
func figure(v float64) string {
	for _, u := range []struct {
		unit float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.unit {
			return fmt.Sprintf("%.3g%s", v/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}
