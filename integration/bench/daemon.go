package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// daemon is an OVS, ours or the stock one, in its own run directory and the switch's namespace. Both
// have the same bridge and rules, and the same priority.
type daemon struct {
	b   *bed
	env []string
}

func newDaemon(b *bed) *daemon {
	d := &daemon{b: b, env: os.Environ()}
	for _, v := range []string{"OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"} {
		d.env = append(d.env, v+"="+b.dir)
	}
	return d
}

// agent starts ovs-bpfd with the embedded database.
func agent(ctx context.Context, o *options, b *bed) error {
	d := newDaemon(b)
	b.undo = append(b.undo, func() { unix.Unmount(filepath.Join(b.dir, "bpffs"), unix.MNT_DETACH) })
	if err := d.start(ctx, o); err != nil {
		return err
	}
	return d.configure(ctx, "bpf")
}

// start starts our daemon.
func (d *daemon) start(ctx context.Context, o *options) error {
	if err := d.spawn(o.daemon, "--db", "embedded:"+filepath.Join(d.b.dir, "conf.db"), "--pidfile", "--log-file", "-vconsole:off"); err != nil {
		return err
	}
	return d.ready(ctx)
}

// stock starts ovsdb-server and ovs-vswitchd as Debian has them. Its datapath in user space needs no
// kernel module, but finished checksums.
func stock(ctx context.Context, _ *options, b *bed) error {
	d := newDaemon(b)
	if err := d.startStock(ctx); err != nil {
		return err
	}
	for _, h := range b.hosts {
		if _, err := b.in(ctx, h, "ethtool", "-K", hostDevice, "tx", "off"); err != nil {
			return err
		}
	}
	return d.configure(ctx, "netdev")
}

// startStock starts the stock daemon with a database.
func (d *daemon) startStock(ctx context.Context) error {
	if err := d.database(ctx); err != nil {
		return err
	}
	if err := d.spawn("ovs-vswitchd", "--disable-system", "--no-chdir", "--pidfile", "--log-file", "-vconsole:off"); err != nil {
		return err
	}
	return d.ready(ctx)
}

// database starts an ovsdb-server for the stock daemon.
func (d *daemon) database(ctx context.Context) error {
	db := filepath.Join(d.b.dir, "conf.db")
	if _, err := run(ctx, d.env, "ovsdb-tool", "create", db); err != nil {
		return err
	}
	if err := d.b.spawn(d.env, nil, "ovsdb-server", "--remote=punix:"+filepath.Join(d.b.dir, "db.sock"), db); err != nil {
		return err
	}
	return d.wait(ctx, "ovs-vsctl", "--timeout=5", "--no-wait", "init")
}

func (d *daemon) spawn(args ...string) error {
	return d.b.spawn(d.env, func() { d.tool(context.Background(), "ovs-appctl", "exit", "--cleanup") }, place{ns: d.b.sw, cpu: -1}.command(args...)...)
}

func (d *daemon) tool(ctx context.Context, args ...string) (string, error) {
	return run(ctx, d.env, "nsenter", append([]string{"--net=/run/netns/" + d.b.sw}, args...)...)
}

func (d *daemon) wait(ctx context.Context, args ...string) error {
	for try := 0; ; try++ {
		_, err := d.tool(ctx, args...)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if try == 200 {
			out, _ := os.ReadFile(filepath.Join(d.b.dir, "output"))
			return fmt.Errorf("%w; its output: %s", err, out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// flowLimit is above all that the bench installs.
const flowLimit = 200000

// ready waits until the daemon answers.
func (d *daemon) ready(ctx context.Context) error {
	return d.wait(ctx, "ovs-appctl", "ofproto/list")
}

func (d *daemon) configure(ctx context.Context, datapathType string) error {
	rules := filepath.Join(d.b.dir, "rules")
	if err := os.WriteFile(rules, []byte(ruleText()), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"ovs-vsctl", "--timeout=20", "set", "open_vswitch", ".", "other_config:max-idle=3600000",
			"--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=" + datapathType,
			"--", "add-port", "br0", "p1", "--", "set", "interface", "p1", "ofport_request=1",
			"--", "add-port", "br0", "p2", "--", "set", "interface", "p2", "ofport_request=2"},
		{"ovs-appctl", "upcall/set-flow-limit", strconv.Itoa(flowLimit)},
		{"ovs-ofctl", "add-flows", "br0", rules},
	} {
		if _, err := d.tool(ctx, args...); err != nil {
			return err
		}
	}
	d.b.ctl = d
	return nil
}

// purge removes all megaflows.
func (d *daemon) purge(ctx context.Context) error {
	_, err := d.tool(ctx, "ovs-appctl", "revalidator/purge")
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		n, err := d.megaflows(ctx)
		if err != nil || n <= purged {
			return err
		}
		if try == 20 {
			return fmt.Errorf("%d megaflows stay after revalidator/purge", n)
		}
	}
}

func (d *daemon) maxConns(ctx context.Context) (int, error) {
	out, err := d.tool(ctx, "ovs-appctl", "dpctl/ct-get-maxconns")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(out))
}

func (d *daemon) setMaxConns(ctx context.Context, n int) error {
	_, err := d.tool(ctx, "ovs-appctl", "dpctl/ct-set-maxconns", strconv.Itoa(n))
	return err
}

const (
	purged = 100 // megaflows that the hosts' own traffic may have
	// statsAge is how old the number of megaflows may be that the stock daemon tells.
	statsAge = 150 * time.Millisecond
)

var currentFlows = regexp.MustCompile(`flows\s*: \(current (\d+)\)`)

// megaflows is how many are installed.
func (d *daemon) megaflows(ctx context.Context) (int, error) {
	time.Sleep(statsAge)
	out, err := d.tool(ctx, "ovs-appctl", "upcall/show")
	if err != nil {
		return 0, err
	}
	m := currentFlows.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("upcall/show tells no number of flows: %s", out)
	}
	return strconv.Atoi(m[1])
}
