package ovn

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// A network is an OVN: its central databases, northd, and chassis.
type network struct {
	t        *testing.T
	dir      string
	first    *chassis // beside whom the databases are
	chassis  []*chassis
	under    *segment // what joins the chassis; nil: there is but one
	made     int      // hosts, to place the next
	cuts     bool     // the underlay is interrupted
	restarts bool     // daemons are ended, which others tell of
}

// A setup says how a network is.
type setup struct {
	chassis int
	encap   string // ovn-encap-type; "": geneve
	six     bool   // tunnels are over IPv6
	mtu     int    // of the underlay; 0: room for packets of 1500 bytes in tunnels
}

// newNetwork starts n chassis with Geneve.
func newNetwork(t *testing.T, n int) *network { t.Helper(); return setup{chassis: n}.start(t) }

// onOneAndTwo runs a test on one chassis and on two, between which hosts are shared out.
func onOneAndTwo(t *testing.T, f func(w *network)) {
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprint("chassis=", n), func(t *testing.T) {
			t.Parallel()
			w := newNetwork(t, n)
			defer w.end()
			f(w)
		})
	}
}

// start starts the databases and northd, and chassis named hv1 to hvN that share nothing but an underlay.
func (s setup) start(t *testing.T) *network {
	t.Helper()
	w := &network{t: t}
	for i := range s.chassis {
		w.chassis = append(w.chassis, w.newChassis(i+1))
	}
	w.first = w.chassis[0]
	w.dir = w.first.Dir
	w.central()
	if s.chassis > 1 {
		w.under = w.segment("u")
		w.under.setMTU(cmp.Or(s.mtu, 1600))
	}
	for i, c := range w.chassis {
		ip := "127.0.0.1"
		if w.under != nil {
			ip = fmt.Sprintf("192.0.2.%d", i+1)
			prefix := ip + "/24"
			if s.six {
				ip = fmt.Sprintf("2001:db8::%d", i+1)
				prefix = ip + "/64"
			}
			c.underlay = w.under.attach(c.NS, "eth0")
			c.In(c.NS, "ip", "addr", "add", prefix, "dev", "eth0", "nodad")
		}
		c.start(cmp.Or(s.encap, "geneve"), ip)
	}
	for _, c := range w.chassis {
		c.Eventually("br-int", func() error { _, err := c.br(); return err })
	}
	return w
}

func (w *network) remote(db string) string { return "unix:" + filepath.Join(w.dir, "ovn"+db+".sock") }

// central starts the northbound and southbound databases, and northd between them.
func (w *network) central() {
	w.t.Helper()
	e := w.first
	for db, schema := range map[string]string{"nb": "OVN_Northbound", "sb": "OVN_Southbound"} {
		file := filepath.Join(w.dir, db+".db")
		e.Run("ovsdb-tool", "create", file, "/usr/share/ovn/ovn-"+db+".ovsschema")
		e.Background("", "ovsdb-server", "--remote=p"+w.remote(db), "--unixctl="+filepath.Join(w.dir, db+".ctl"),
			"--log-file="+filepath.Join(w.dir, db+".log"), file)
		e.Eventually(schema+" answers", func() error {
			_, err := os.Stat(filepath.Join(w.dir, "ovn"+db+".sock"))
			return err
		})
	}
	w.northd()
	w.NB("init")
}

// northd starts ovn-northd.
func (w *network) northd() {
	w.t.Helper()
	w.first.Background("", "ovn-northd", "--ovnnb-db="+w.remote("nb"), "--ovnsb-db="+w.remote("sb"),
		"--unixctl="+filepath.Join(w.dir, "northd.ctl"), "--log-file="+filepath.Join(w.dir, "northd.log"))
}

// NB runs ovn-nbctl.
func (w *network) NB(args ...string) string {
	w.t.Helper()
	return strings.TrimSpace(w.first.Run("ovn-nbctl", append([]string{"--db=" + w.remote("nb"), "--timeout=40"}, args...)...))
}

// SB runs ovn-sbctl.
func (w *network) SB(args ...string) string {
	w.t.Helper()
	return strings.TrimSpace(w.first.Run("ovn-sbctl", append([]string{"--db=" + w.remote("sb"), "--timeout=40"}, args...)...))
}

// Sync waits until all chassis have done all that the northbound database says.
func (w *network) Sync() { w.t.Helper(); w.NB("--wait=hv", "sync") }

// A chassis is a hypervisor: our agent and an ovn-controller in a namespace.
type chassis struct {
	*testenv.Env
	w          *network
	name       string
	underlay   string        // the port of the underlay's segment
	outside    string        // that of the physical network
	controller func() string // ends ovn-controller
}

func (w *network) newChassis(n int) *chassis {
	w.t.Helper()
	return &chassis{Env: testenv.Prepare(w.t), w: w, name: fmt.Sprintf("hv%d", n)}
}

func (c *chassis) start(encap, ip string) {
	c.w.t.Helper()
	c.Start()
	c.Vsctl("set", "Open_vSwitch", ".", "external_ids:system-id="+c.name, "external_ids:hostname="+c.name,
		"external_ids:ovn-remote="+c.w.remote("sb"), `external_ids:ovn-encap-type="`+encap+`"`, `external_ids:ovn-encap-ip="`+ip+`"`,
		"external_ids:ovn-bridge-datapath-type=bpf",
		// Else the first commit of ovn-controller 23.03 deletes all flows before it has computed those to add: loss by order.
		"external_ids:ovn-ofctrl-wait-before-clear=1000")
	c.startController()
}

// startController starts ovn-controller.
func (c *chassis) startController() {
	c.w.t.Helper()
	c.controller = c.Background(c.NS, "ovn-controller", "unix:"+filepath.Join(c.Dir, "db.sock"),
		"--pidfile", "--log-file="+filepath.Join(c.Dir, "ovn-controller.log"))
}

// stopController ends ovn-controller as an upgrade does: what it made stays.
func (c *chassis) stopController() {
	c.w.t.Helper()
	c.Run("ovn-appctl", "-t", "ovn-controller", "exit", "--restart")
	c.controller()
}

// bind makes a host whose interface is the logical port, with the addresses "MAC IP..." of it.
func (c *chassis) bind(lport, mac string, addrs ...string) *testenv.Host {
	c.w.t.Helper()
	h := c.AddHost()
	h.Run("ip", "link", "set", "eth0", "address", mac)
	for _, a := range addrs {
		h.Run("ip", "addr", "add", a, "dev", "eth0", "nodad")
	}
	c.Vsctl("add-port", "br-int", h.Port, "--", "set", "interface", h.Port, "external_ids:iface-id="+lport)
	return h
}

// installed waits for ovn-installed of a host's port.
func (c *chassis) installed(h *testenv.Host) {
	c.w.t.Helper()
	c.Eventually("ovn-installed of "+h.Port, func() error {
		if out := c.Vsctl("get", "interface", h.Port, "external_ids"); !strings.Contains(out, `ovn-installed="true"`) {
			return fmt.Errorf("external_ids %s", out)
		}
		return nil
	})
}

// of is the chassis of a host.
func (w *network) of(h *testenv.Host) *chassis {
	for _, c := range w.chassis {
		if c.Env == h.Env {
			return c
		}
	}
	return w.first
}

var (
	errNoBridge = errors.New("no bridge br-int yet")
	errFewFlows = errors.New("flows are missing")
)
