package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ovnPortsPerSwitch is how many logical ports a switch has; one of them is bound on the chassis.
const ovnPortsPerSwitch = 10

// ovnStart has an unmodified OVN with o.switches logical switches, a router between them and two load balancers for each, and a chassis whose
// switch is the forwarder's daemon, just started. It measures how long it takes from the start of ovn-controller until all bound ports
// are installed, the daemon's CPU time meanwhile, its memory then, and its CPU at rest.
func ovnStart(ctx context.Context, o *options, b *bed) (values []float64, err error) {
	s := &bed{forwarder: b.forwarder, dir: filepath.Join(b.dir, "ovn"), sw: b.sw + "-ovn"}
	defer s.close()
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	s.undo = append(s.undo, func() { os.RemoveAll(s.dir) })
	if _, err := run(ctx, nil, "ip", "netns", "add", s.sw); err != nil {
		return nil, err
	}
	s.undo = append(s.undo, func() { exec.Command("ip", "netns", "del", s.sw).Run() })
	d := newDaemon(s)
	for _, v := range []string{"OVN_RUNDIR", "OVN_LOGDIR"} {
		d.env = append(d.env, v+"="+s.dir)
	}
	if err := d.central(ctx, o.switches); err != nil {
		return nil, err
	}
	if err := d.chassis(ctx, o); err != nil {
		return nil, err
	}
	before, err := d.cpu()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := s.spawn(d.env, nil, place{ns: s.sw, cpu: -1}.command("ovn-controller", "unix:"+filepath.Join(s.dir, "db.sock"), "--log-file", "-vconsole:off")...); err != nil {
		return nil, err
	}
	for {
		out, err := d.tool(ctx, "ovs-vsctl", "--timeout=20", "--bare", "--columns=name", "find", "interface", "external_ids:ovn-installed=true")
		if err != nil {
			return nil, err
		}
		if n := len(strings.Fields(out)); n == o.switches {
			break
		} else if time.Since(start) > 2*time.Minute {
			return nil, fmt.Errorf("%d of %d ports are installed after %v", n, o.switches, time.Since(start))
		}
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(start)
	ran, err := d.cpu()
	if err != nil {
		return nil, err
	}
	pss, err := d.memory() // after a rest
	if err != nil {
		return nil, err
	}
	idle, err := d.cpu()
	if err != nil {
		return nil, err
	}
	time.Sleep(rest)
	end, err := d.cpu()
	if err != nil {
		return nil, err
	}
	// Never nothing: a ratio to it would say nothing.
	atRest := max((end-idle).Seconds(), 1e-6) / rest.Seconds()
	return []float64{took.Seconds(), (ran - before).Seconds(), float64(pss), atRest * 100}, nil
}

// central starts OVN's databases and northd, and fills them.
func (d *daemon) central(ctx context.Context, switches int) error {
	dir := d.b.dir
	remote := func(db string) string { return "unix:" + filepath.Join(dir, db+".sock") }
	for _, db := range []string{"nb", "sb"} {
		file := filepath.Join(dir, db+".db")
		if _, err := run(ctx, d.env, "ovsdb-tool", "create", file, "/usr/share/ovn/ovn-"+db+".ovsschema"); err != nil {
			return err
		}
		if err := d.b.spawn(d.env, nil, "ovsdb-server", "--remote=p"+remote(db), "--unixctl="+filepath.Join(dir, db+".ctl"), file); err != nil {
			return err
		}
		if err := d.wait(ctx, "ovn-"+db+"ctl", "--db="+remote(db), "--timeout=5", "init"); err != nil {
			return err
		}
	}
	if err := d.b.spawn(d.env, nil, "ovn-northd", "--ovnnb-db="+remote("nb"), "--ovnsb-db="+remote("sb"), "--unixctl="+filepath.Join(dir, "northd.ctl")); err != nil {
		return err
	}
	args := []string{"--db=" + remote("nb"), "--timeout=120", "--wait=sb", "lr-add", "r"}
	do := func(words ...string) { args = append(append(args, "--"), words...) }
	balancers := make([]string, 0, 2*switches)
	for i := range 2 * switches {
		id := fmt.Sprintf("@lb%d", i)
		do("--id="+id, "create", "load_balancer", fmt.Sprintf("name=lb%d", i), "protocol=tcp",
			fmt.Sprintf(`vips:"172.16.%d.%d:80"="10.%d.0.11:8080,10.%d.0.12:8080"`, i>>8, i&255, i/2, i/2))
		balancers = append(balancers, id)
	}
	do("--id=@g", "create", "load_balancer_group", "name=g", "load_balancer="+strings.Join(balancers, ","))
	for i := range switches {
		ls := fmt.Sprintf("s%d", i)
		do("ls-add", ls)
		do("set", "logical_switch", ls, "load_balancer_group=@g")
		do("lrp-add", "r", "r-"+ls, fmt.Sprintf("02:00:00:ff:00:%02x", i), fmt.Sprintf("10.%d.0.1/24", i))
		do("lsp-add", ls, ls+"-r")
		do("lsp-set-type", ls+"-r", "router")
		do("lsp-set-addresses", ls+"-r", "router")
		do("lsp-set-options", ls+"-r", "router-port=r-"+ls)
		for j := range ovnPortsPerSwitch {
			port := fmt.Sprintf("%s-%d", ls, j)
			do("lsp-add", ls, port)
			do("lsp-set-addresses", port, fmt.Sprintf("02:00:00:00:%02x:%02x 10.%d.0.%d", i, j, i, 11+j))
		}
	}
	_, err := run(ctx, d.env, "ovn-nbctl", args...)
	return err
}

// chassis starts a daemon with a database of its own, and an integration bridge with a bound port of each switch.
func (d *daemon) chassis(ctx context.Context, o *options) error {
	if err := d.database(ctx); err != nil {
		return err
	}
	program, datapath := []string{"ovs-vswitchd", "--disable-system", "--no-chdir"}, "netdev"
	if d.b.name == ours {
		program, datapath = []string{o.daemon, "unix:" + filepath.Join(d.b.dir, "db.sock")}, "bpf"
		d.b.undo = append(d.b.undo, func() { unix.Unmount(filepath.Join(d.b.dir, "bpffs"), unix.MNT_DETACH) })
	}
	if err := d.spawn(append(program, "--pidfile", "--log-file", "-vconsole:off")...); err != nil {
		return err
	}
	if err := d.wait(ctx, "ovs-appctl", "ofproto/list"); err != nil {
		return err
	}
	args := []string{"--timeout=120", "set", "open_vswitch", ".", "external_ids:system-id=hv", "external_ids:ovn-remote=unix:" + filepath.Join(d.b.dir, "sb.sock"),
		"external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip=127.0.0.1", "external_ids:ovn-bridge-datapath-type=" + datapath,
		"--", "add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=" + datapath, "fail_mode=secure"}
	for i := range o.switches {
		port := fmt.Sprintf("v%d", i)
		args = append(args, "--", "add-port", "br-int", port, "--", "set", "interface", port, "type=internal", fmt.Sprintf("external_ids:iface-id=s%d-0", i))
	}
	_, err := d.tool(ctx, append([]string{"ovs-vsctl"}, args...)...)
	return err
}
