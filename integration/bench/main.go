// Command bench compares ovs-bpfd with other ways to bring packets from one network namespace to another:
// a plain veth pair, the smallest tcx programs, the Linux bridge, the stock OVS in user space. All stand at
// the same time; every round measures all of them one after the other, and ratios are taken within a round,
// because a machine's speed changes from one moment to the next. It must be root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// options say what is measured, and how long.
type options struct {
	daemon     string // path of ovs-bpfd
	rounds     int
	time       time.Duration // of one measurement
	setUps     int           // new flows in one measurement
	tcpBytes   int           // of one iperf3; 0: one second
	rules      int           // of OVN's tables
	packetOuts int           // through them in one measurement
	switches   int           // logical switches of OVN, with 10 ports and 2 load balancers each; at most 127
	load       *scaleLoad    // of them; nil: not made yet
	fifo       bool          // the ends of the traffic are real-time
	cpuRX      int
	forwarders []string // nil: all
	metrics    []string // nil: all
	out        io.Writer
	lines      io.Writer // JSON lines; nil: none
}

func main() {
	o := options{out: os.Stdout, cpuRX: min(1, runtime.NumCPU()-1)}
	flag.StringVar(&o.daemon, "daemon", "bin/ovs-bpfd", "`path` of the daemon that is measured")
	flag.IntVar(&o.rounds, "rounds", 10, "`number` of rounds")
	flag.DurationVar(&o.time, "time", 300*time.Millisecond, "length of one measurement; iperf3 takes a second")
	flag.IntVar(&o.setUps, "setups", 40000, "new flows in one measurement of set-up")
	flag.IntVar(&o.rules, "rules", 200000, "OpenFlow rules in the measurement of OVN's scale, in two bundles")
	flag.IntVar(&o.packetOuts, "packet-outs", 20000, "packets through them")
	flag.IntVar(&o.switches, "switches", 100, "logical switches of OVN, with 10 ports and 2 load balancers each, at most 127")
	flag.BoolVar(&o.fifo, "fifo", true, "run the ends of the traffic as real-time processes, so that other load does not interrupt them")
	fwd := flag.String("forwarders", "", "comma-separated `names`; default: all")
	met := flag.String("metrics", "", "comma-separated `names`; default: all. A comma inside a name is left out")
	path := flag.String("json", "", "`file` for every value as a JSON line, - for stdout")
	list := flag.Bool("list", false, "tell the forwarders and metrics, and end")
	insns := flag.Bool("instructions", false, "count the kernel's instructions per packet instead, in an emulator whose time stamp counter counts them (make instructions)")
	flag.Parse()
	if *list {
		for _, f := range forwarders() {
			fmt.Printf("%-16s %s\n", f.name, f.about)
		}
		for _, m := range metrics() {
			fmt.Println(plain(m.name))
		}
		return
	}
	o.forwarders, o.metrics = split(*fwd), split(*met)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := o.open(*path)
	switch {
	case err != nil:
	case *insns:
		err = instructions(ctx, &o)
	default:
		err = bench(ctx, &o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// plain is a metric's name as the command line has it.
func plain(name string) string { return strings.ReplaceAll(name, ",", "") }

func (o *options) open(path string) (err error) {
	switch path {
	case "":
	case "-":
		o.lines = os.Stdout
	default:
		o.lines, err = os.Create(path)
	}
	return err
}

// pick takes the named ones of a list, or all.
func pick[T any](all []T, name func(T) string, wanted []string) ([]T, error) {
	var got []T
	for _, x := range all {
		if wanted == nil || slices.Contains(wanted, name(x)) {
			got = append(got, x)
		}
	}
	if wanted != nil && len(got) != len(wanted) {
		return nil, fmt.Errorf("unknown name in %s: -list tells them", strings.Join(wanted, ","))
	}
	return got, nil
}

// bench makes all beds, measures and reports.
func bench(ctx context.Context, o *options) error {
	fwds, err := pick(forwarders(), func(f forwarder) string { return f.name }, o.forwarders)
	if err != nil {
		return err
	}
	mets, err := pick(metrics(), func(m metric) string { return plain(m.name) }, o.metrics)
	if err != nil {
		return err
	}
	if o.daemon, err = filepath.Abs(o.daemon); err != nil {
		return err
	}
	if _, err := os.Stat(o.daemon); err != nil {
		return fmt.Errorf("%w: make build makes it", err)
	}
	fmt.Fprintln(o.out, machine())
	var beds []*bed
	defer func() {
		for _, b := range beds {
			b.close()
		}
	}()
	var names []string
	for _, f := range fwds {
		b, err := makeBed(ctx, o, f)
		if err != nil {
			return err
		}
		beds, names = append(beds, b), append(names, f.name)
	}
	// The Go scheduler must not take a thread's processor away while it waits for a packet.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	r := newReport(o.lines, names)
	for round := 1; round <= o.rounds; round++ {
		began := time.Now()
		for _, m := range mets {
			// Each forwarder comes after each other one in turn.
			for i := range beds {
				b := beds[(i+round)%len(beds)]
				if m.ctl && b.ctl == nil || m.ct && b.track == nil || m.tunnel && b.forwarder.tunnel == nil {
					continue
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				runtime.GC()
				values, err := m.measure(ctx, o, b)
				if err != nil {
					return fmt.Errorf("round %d, %s, %s: %w", round, m.name, b.name, err)
				}
				for k, v := range values {
					if err := r.add(record{round, m.series[k], b.name, v, load()}); err != nil {
						return err
					}
				}
			}
		}
		fmt.Fprintf(o.out, "round %d of %d: %.0f s, load %.2f\n", round, o.rounds, time.Since(began).Seconds(), load())
	}
	fmt.Fprintln(o.out)
	if err := r.write(o.out); err != nil {
		return err
	}
	return errors.Join(ctx.Err())
}

// machine tells where the figures come from.
func machine() string {
	var u unix.Utsname
	unix.Uname(&u)
	cpu := "unknown CPU"
	if out, err := exec.Command("sh", "-c", "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1").Output(); err == nil {
		cpu = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%s, Linux %s, %d x %s, load %.2f", time.Now().Format("2006-01-02 15:04"), unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), cpu, load())
}
