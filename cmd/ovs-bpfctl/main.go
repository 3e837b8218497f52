// Command ovs-bpfctl shows people what a running ovs-bpfd does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/unixctl"
)

const usage = `ovs-bpfctl: look into a running ovs-bpfd
usage: ovs-bpfctl [-t TARGET] COMMAND [OPTIONS]

Commands:
  show                    bridges, ports and the datapath at a glance
  flows [-i SECONDS] [-n COUNT] [--once]
                          megaflows by packet rate, refreshing until interrupted
  drops                   dropped packets by reason and port
Options of all commands:
  --json                  one JSON document instead of text
  -t TARGET               control socket, or the daemon's name (default: ovs-vswitchd)
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case err == nil || errors.Is(err, context.Canceled):
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "ovs-bpfctl:", err)
		var refused *unixctl.CommandError
		if errors.As(err, &refused) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

var errUsage = errors.New("usage")

// options are what the command line says.
type options struct {
	target   string
	json     bool
	interval time.Duration
	count    int
	once     bool
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	seconds := 1.0
	flags := flag.NewFlagSet("ovs-bpfctl", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.target, "t", "ovs-vswitchd", "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.Float64Var(&seconds, "i", 1, "")
	flags.IntVar(&o.count, "n", 20, "")
	flags.BoolVar(&o.once, "once", false, "")
	var words []string
	for len(args) > 0 { // options may stand before and behind the command
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fmt.Fprint(out, usage)
				return nil
			}
			return fmt.Errorf("%w (see ovs-bpfctl --help)", err)
		}
		args = flags.Args()
		if len(args) > 0 {
			words = append(words, args[0])
			args = args[1:]
		}
	}
	if len(words) != 1 || seconds <= 0 || o.count <= 0 {
		return errUsage
	}
	o.interval = time.Duration(seconds * float64(time.Second))
	socket, err := findSocket(o.target)
	if err != nil {
		return err
	}
	switch words[0] {
	case "show":
		return show(ctx, socket, o, out)
	case "flows":
		return flows(ctx, socket, o, out)
	case "drops":
		return drops(ctx, socket, o, out)
	}
	return fmt.Errorf("unknown command %q: show, flows or drops", words[0])
}

// findSocket is the control socket of a daemon: TARGET itself if it has a slash, else RUNDIR/TARGET.PID.ctl
// by the pidfile, as ovs-appctl finds it.
func findSocket(target string) (string, error) {
	if strings.Contains(target, "/") {
		return target, nil
	}
	dir := os.Getenv("OVS_RUNDIR")
	if dir == "" {
		dir = "/var/run/openvswitch"
	}
	file := filepath.Join(dir, target+".pid")
	pid, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read the pidfile: %w (is the daemon running, and OVS_RUNDIR the right one?)", err)
	}
	return filepath.Join(dir, fmt.Sprintf("%s.%s.ctl", target, strings.TrimSpace(string(pid)))), nil
}
