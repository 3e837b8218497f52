package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestStartRefused starts the daemon where it cannot work: one line says why, and the exit code is 1.
func TestStartRefused(t *testing.T) {
	t.Parallel()
	e := testenv.Prepare(t)
	bin := filepath.Join(testenv.Bin(t), "ovs-bpfd")
	readonly := filepath.Join(e.Dir, "readonly")
	if err := os.Mkdir(readonly, 0o755); err != nil {
		t.Fatal(err)
	}
	e.Run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", readonly)
	t.Cleanup(func() { syscall.Unmount(readonly, syscall.MNT_DETACH) })
	database := []string{"--db", "embedded:" + filepath.Join(e.Dir, "conf.db")}
	with := func(args ...string) []string { return slices.Concat([]string{bin}, database, args) }
	without := func(caps string) []string {
		return append([]string{"setpriv", "--inh-caps=-all", "--bounding-set=" + caps}, with()...)
	}
	for _, c := range []struct {
		name    string
		command []string
		want    string
	}{
		{"no CAP_NET_ADMIN", without("-net_admin"), "missing capability: CAP_NET_ADMIN"},
		{"no CAP_BPF", without("-bpf,-sys_admin"), "missing capability: CAP_BPF"},
		{"no CAP_PERFMON", without("-perfmon,-sys_admin"), "missing capability: CAP_PERFMON"},
		{"no bpffs, no CAP_SYS_ADMIN", append([]string{"unshare", "--mount", "sh", "-c", `while mountpoint -q /sys/fs/bpf; do umount /sys/fs/bpf; done; exec "$@"`, "-"}, without("-sys_admin")...), "missing capability: CAP_SYS_ADMIN"},
		{"no CAP_NET_RAW", without("-net_raw"), "missing capability: CAP_NET_RAW"},
		{"read-only run directory", append([]string{"env", "OVS_RUNDIR=" + readonly}, with()...), "read-only file system"},
		{"no run directory", append([]string{"env", "OVS_RUNDIR=" + readonly + "/none"}, with("--pidfile")...), "no such file or directory"},
		{"unknown option", with("--no-such-option"), "unrecognized option"},
		{"unknown level", with("-vnonsense"), `no destination, level, or module "nonsense"`},
		{"two databases", []string{bin, "unix:a", "unix:b"}, "at most one non-option argument accepted"},
		{"unknown remote", []string{bin, "nonsense:db"}, "nonsense:db"},
		{"unknown user", with("--user=no-such-user"), "user no-such-user not found"},
	} {
		out, code := e.Try("timeout", append([]string{"20", "nsenter", "--net=/run/netns/" + e.NS}, c.command...)...)
		if code != 1 || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit %d, want 1 with %q:\n%s", c.name, code, c.want, out)
		}
	}
}

// TestStartWithoutBPFFS starts the daemon as "ip netns exec" does, where /sys/fs/bpf is hidden.
func TestStartWithoutBPFFS(t *testing.T) {
	t.Parallel()
	e := testenv.Prepare(t)
	bin := filepath.Join(testenv.Bin(t), "ovs-bpfd")
	cmd := exec.Command("ip", "netns", "exec", e.NS, bin, "--db", "embedded:"+filepath.Join(e.Dir, "conf.db"),
		"--pidfile", "--log-file", "-vconsole:off", "--detach", "--no-chdir")
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+e.Dir, "OVS_LOGDIR="+e.Dir, "OVS_DBDIR="+e.Dir, "OVS_SYSCONFDIR="+e.Dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ip netns exec: %v\n%s", err, out)
	}
	t.Cleanup(func() { e.Try("ovs-appctl", "-T10", "exit", "--cleanup") })
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
	e.Appctl("exit", "--cleanup")
	if _, ok := e.Links(e.NS)["br0"]; ok {
		t.Error("br0 is left after exit --cleanup")
	}
	if _, err := os.Stat(filepath.Join(e.Dir, "bpffs")); err == nil {
		t.Error("the bpffs is left after exit --cleanup")
	}
}

// TestTwoInstances runs two daemons in one network namespace, each with its run directory.
func TestTwoInstances(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b, c := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24"), e.AddHost("10.1.1.3/24")
	addBridge(e, a, b)
	other := testenv.Beside(t, e)
	other.Start()
	other.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=bpf", "--", "add-port", "br1", c.Port,
		"--", "add-port", "br1", "in1", "--", "set", "interface", "in1", "type=internal")
	a.Reach("10.1.1.2")
	// What the one has, the other cannot take, and says so; what it has goes on.
	for _, dev := range []string{a.Port, "br0"} {
		typ := "system"
		if dev == "br0" {
			typ = "internal"
		}
		out, _ := other.Try("ovs-vsctl", "--timeout=20", "add-port", "br1", dev, "--", "set", "interface", dev, "type="+typ)
		if !strings.Contains(out, "Device or resource busy") || !strings.Contains(out, "another instance") {
			t.Errorf("add-port %s: %s", dev, out)
		}
	}
	a.Ping("10.1.1.2", 56, 3)
	// Given free, it is taken.
	e.Vsctl("del-port", a.Port)
	other.Eventually("the device is taken", func() error {
		if got := other.Vsctl("get", "interface", a.Port, "ofport"); got == "-1" || got == "[]" {
			return fmt.Errorf("ofport %s", got)
		}
		return nil
	})
	a.Reach("10.1.1.3")
	// The end of one leaves the other alone.
	other.Appctl("exit", "--cleanup")
	other.Wait()
	links := e.Links(e.NS)
	if _, ok := links["in1"]; ok {
		t.Error("in1 is left")
	}
	if _, ok := links["br0"]; !ok {
		t.Error("br0 of the first instance is gone")
	}
	if out := e.Appctl("dpif/show"); !strings.Contains(out, b.Port+" 2/") {
		t.Errorf("dpif/show of the first instance: %s", out)
	}
}

// TestTakeOver has a second process wait for the database's lock, and then go on where the first has ended.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	e := testenv.Prepare(t)
	e.ExternalDatabase()
	e.Start()
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
	mac := e.Link(e.NS, "br0").Address
	log, ctl := filepath.Join(e.Dir, "second.log"), filepath.Join(e.Dir, "second.ctl")
	e.Background(e.NS, filepath.Join(testenv.Bin(t), "ovs-bpfd"), e.Database, "--unixctl="+ctl, "--log-file="+log, "-vconsole:off")
	e.Eventually("the second idles", func() error {
		text, _ := os.ReadFile(log)
		if !strings.Contains(string(text), "another ovs-vswitchd process is running, disabling this process") {
			return fmt.Errorf("log: %s", text)
		}
		return nil
	})
	ping := e.Background(a.NS, "ping", "-n", "-i", "0.05", "10.1.1.2")
	e.Appctl("exit")
	e.Wait()
	e.Eventually("the second takes over", func() error {
		out, code := e.Try("ovs-appctl", "-T5", "-t", ctl, "dpif/show")
		if code != 0 || !strings.Contains(out, a.Port+" 1/") || !strings.Contains(out, "br0 65534/") {
			return fmt.Errorf("dpif/show: %s", out)
		}
		return nil
	})
	a.Ping("10.1.1.2", 56, 5)
	if out := ping(); !strings.Contains(out, " 0% packet loss") {
		t.Errorf("ping while taking over: %s", out)
	}
	if now := e.Link(e.NS, "br0").Address; now != mac {
		t.Errorf("br0 had %s, has %s", mac, now)
	}
	e.Run("ovs-appctl", "-t", ctl, "exit", "--cleanup")
}
