package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The two hosts of every bed.
var (
	hostMAC = [2][]byte{{2, 0, 0, 0, 0x77, 1}, {2, 0, 0, 0, 0x77, 2}}
	hostIP  = [2]string{"10.77.0.1", "10.77.0.2"}
)

const (
	hostDevice = "e0"
	// Commands that configure; nothing that is measured runs under this limit.
	commandTimeout = 30 * time.Second
)

// bed is a forwarder between two hosts, each in a namespace of its own: e0 of host 0, p1 and p2 of the
// switch, e0 of host 1. A direct one joins the hosts without a switch.
type bed struct {
	forwarder
	dir   string // of the forwarder's files
	hosts [2]string
	sw    string
	sink  *sink
	ctl   *daemon // nil: nothing that OpenFlow rules could be given to
	// overlay is of the same forwarder, for tunnels; nil: not made yet.
	overlay *overlay
	// undo is run backwards at the end.
	undo []func()
}

// makeBed makes the namespaces, starts the forwarder and waits until it forwards.
func makeBed(ctx context.Context, o *options, f forwarder) (_ *bed, err error) {
	id := netnsPrefix() + f.name
	b := &bed{forwarder: f, hosts: [2]string{id + "-1", id + "-2"}, sw: id + "-sw"}
	defer func() {
		if err != nil {
			b.close()
			err = fmt.Errorf("%s: %w", f.name, err)
		}
	}()
	if b.dir, err = os.MkdirTemp("", "ovs-bpf-bench-"); err != nil {
		return nil, err
	}
	b.undo = append(b.undo, func() { os.RemoveAll(b.dir) })
	if err := b.wire(ctx); err != nil {
		return nil, err
	}
	if err := b.listen(); err != nil {
		return nil, err
	}
	if f.up != nil {
		if err := f.up(ctx, o, b); err != nil {
			return nil, err
		}
	}
	return b, b.reach(ctx)
}

// listen puts the sink at host 1.
func (b *bed) listen() error {
	if err := on(place{ns: b.hosts[1], cpu: -1}, func() (err error) {
		b.sink, err = newSink(hostDevice)
		return err
	}); err != nil {
		return err
	}
	b.undo = append(b.undo, func() { b.sink.Close() })
	return nil
}

// reach waits until host 0 reaches host 1.
func (b *bed) reach(ctx context.Context) error {
	for try := 0; ; try++ {
		_, err := b.in(ctx, b.hosts[0], "ping", "-n", "-c1", "-W1", hostIP[1])
		if err == nil {
			return nil
		}
		if try == 10 || ctx.Err() != nil {
			return fmt.Errorf("no connection between the hosts: %w", err)
		}
	}
}

// netnsPrefix is of all namespaces of this process.
func netnsPrefix() string { return fmt.Sprintf("obb%d-", os.Getpid()) }

// wire makes namespaces and devices.
func (b *bed) wire(ctx context.Context) error {
	if err := b.namespaces(ctx, b.hosts[0], b.hosts[1], b.sw); err != nil {
		return err
	}
	var c commands
	if b.direct {
		c.ip(ctx, b.hosts[0], "link", "add", hostDevice, "type", "veth", "peer", "name", hostDevice, "netns", b.hosts[1])
	} else {
		for i, port := range []string{"p1", "p2"} {
			c.ip(ctx, b.sw, "link", "add", port, "type", "veth", "peer", "name", hostDevice, "netns", b.hosts[i])
			c.ip(ctx, b.sw, "link", "set", port, "up", "promisc", "on", "addrgenmode", "none")
		}
	}
	c.add(b.addresses(ctx))
	return c.err()
}

func (b *bed) namespaces(ctx context.Context, names ...string) error {
	for _, ns := range names {
		if _, err := run(ctx, nil, "ip", "netns", "add", ns); err != nil {
			return err
		}
		b.undo = append(b.undo, func() { exec.Command("ip", "netns", "del", ns).Run() })
	}
	return nil
}

// addresses are those of the hosts, which know each other.
func (b *bed) addresses(ctx context.Context) error {
	var c commands
	for i, ns := range b.hosts {
		other := 1 - i
		c.ip(ctx, ns, "link", "set", "lo", "up")
		c.ip(ctx, ns, "link", "set", hostDevice, "address", macText(i), "addrgenmode", "none")
		c.ip(ctx, ns, "addr", "add", hostIP[i]+"/24", "dev", hostDevice)
		c.ip(ctx, ns, "link", "set", hostDevice, "up")
		c.ip(ctx, ns, "neigh", "replace", hostIP[other], "lladdr", macText(other), "dev", hostDevice, "nud", "permanent")
	}
	return c.err()
}

func macText(host int) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", hostMAC[host]), " ", ":")
}

// in runs a command in a namespace.
func (b *bed) in(ctx context.Context, ns string, args ...string) (string, error) {
	return inside(ctx, ns, args...)
}

func inside(ctx context.Context, ns string, args ...string) (string, error) {
	return run(ctx, nil, "nsenter", append([]string{"--net=/run/netns/" + ns}, args...)...)
}

// commands gathers the errors of commands that follow each other.
type commands struct{ errs []error }

func (c *commands) ip(ctx context.Context, ns string, args ...string) {
	_, err := inside(ctx, ns, append([]string{"ip"}, args...)...)
	c.add(err)
}

func (c *commands) add(err error) { c.errs = append(c.errs, err) }

func (c *commands) err() error { return errors.Join(c.errs...) }

func (b *bed) close() {
	for i := len(b.undo) - 1; i >= 0; i-- {
		b.undo[i]()
	}
	b.undo = nil
}

// spawn starts a process that ends with the bed, at the latest after stop was asked nicely.
func (b *bed) spawn(env []string, stop func(), args ...string) error {
	out, err := os.OpenFile(filepath.Join(b.dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = env, out, out, b.dir
	if err := cmd.Start(); err != nil {
		return err
	}
	b.undo = append(b.undo, func() {
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		if stop != nil {
			stop()
		} else {
			cmd.Process.Signal(syscall.SIGTERM)
		}
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-done
		}
	})
	return nil
}

// run runs a command that must succeed and returns its output.
func run(ctx context.Context, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}
