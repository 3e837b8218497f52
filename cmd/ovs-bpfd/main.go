// Command ovs-bpfd is ovs-vswitchd with an eBPF datapath. See internal/daemon for its command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ovs-bpf/ovs-bpf/internal/daemon"
)

func main() { os.Exit(run()) }

func run() int {
	o, err := daemon.Parse(os.Args[1:], daemon.EnvDirs())
	switch {
	case err != nil:
		return die(err)
	case o.Help:
		fmt.Print(daemon.Help(o.Dirs))
		return 0
	case o.Version:
		fmt.Print(daemon.Version())
		return 0
	}
	p, code, err := daemon.Start(o)
	if err != nil {
		return die(err)
	}
	if p == nil {
		return code
	}
	log, err := p.OpenLog("bpf")
	if err != nil {
		return p.Finish(die(err))
	}
	defer log.Close()
	ctx, stop := p.Signals(context.Background())
	defer stop()
	if err := work(ctx, o, p, log); err != nil && !errors.Is(err, context.Canceled) {
		return p.Fatal(err)
	}
	return p.Finish(0)
}

func die(err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", daemon.Program, err)
	return 1
}
