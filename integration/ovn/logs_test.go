package ovn

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// warning is a line of a log that an operator is to see.
var warning = regexp.MustCompile(`\|(WARN|ERR|EMER)\|`)

// tolerated are the warnings that a stock switch causes too.
var tolerated = []struct{ line, why string }{
	{`vif_plug_provider\|WARN\|failed to initialize representor`, "Debian's ovn-controller can plug VIFs by devlink, which there may be none of"},
	{`timeval(\(\w+\))?\|WARN\|`, "whoever did not get a CPU for a second"},
	{`rconn\|WARN\|unix:.*/br-int.mgmt: connection failed \((No such file or directory|Connection refused)\)`, "ovn-controller connects as soon as it has made the bridge's row"},
}

// restarted are warnings of a network whose daemons a test ends.
var restarted = []struct{ line, why string }{
	{`rconn(\(ovn_pinctrl\d+\))?\|WARN\|unix:.*/br-int.mgmt: connection (failed|dropped) \((Connection refused|Broken pipe)\)`, "ovn-controller, while no agent runs"},
	{`reconnect\|WARN\|unix:.*/(db|ovn[ns]b).sock: connection attempt failed`, "everybody, while no database runs"},
	{`ovsdb\|ERR\|ovsdb-server for .* ended unexpectedly \(ovsdb-server: signal: killed.*\), starting it again`, "the agent, whose database it is"},
	{`fatal_signal.*\|WARN\|terminating with signal 2`, "what the test ends"},
}

// cut are warnings of a network whose underlay a test interrupts.
var cut = []struct{ line, why string }{
	{`tunnel\|WARN\|tunnels to`, "the agent looks for next hops itself; the kernel does it for the stock switch"},
	{`if_status\|WARN\|Trying to release unknown interface cr-`, "ovn-controller, when a gateway gives its port to another"},
}

// end looks at the logs of all daemons, and keeps all that is known of a test that has failed.
func (w *network) end() {
	for _, c := range w.chassis {
		for _, name := range []string{"ovn-controller.log", "ovs-vswitchd.log", "northd.log", "agent.out"} {
			b, err := os.ReadFile(filepath.Join(c.Dir, name))
			if err != nil {
				continue // northd has but one
			}
			if strings.Contains(string(b), "panic: ") || strings.Contains(string(b), "DATA RACE") {
				w.t.Errorf("%s of %s:\n%s", name, c.name, b)
			}
			for line := range strings.Lines(string(b)) {
				if warning.MatchString(line) && !w.tolerates(line) {
					w.t.Errorf("%s of %s: %s", name, c.name, strings.TrimSpace(line))
				}
			}
		}
	}
	if w.t.Failed() {
		w.collect()
	}
}

func (w *network) tolerates(line string) bool {
	list := tolerated
	if w.restarts {
		list = slices.Concat(tolerated, restarted)
	}
	if w.cuts {
		list = slices.Concat(list, cut)
	}
	for _, x := range list {
		if regexp.MustCompile(x.line).MatchString(line) {
			return true
		}
	}
	return false
}

// collect writes all that is known of the network into the directory of the test's artifacts (go test -artifacts keeps it), and the
// end of the logs into the test's own.
func (w *network) collect() {
	dir := w.t.ArtifactDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			w.t.Log(err)
		}
	}
	for _, c := range w.chassis {
		for _, x := range [][]string{
			{"ovs-vsctl", "show"}, {"ovs-vsctl", "list", "interface"}, {"ovs-vsctl", "list", "open_vswitch"},
			{"ovs-ofctl", "-O", "OpenFlow15", "dump-flows", "br-int"}, {"ovs-ofctl", "-O", "OpenFlow15", "dump-groups", "br-int"},
			{"ovs-ofctl", "-O", "OpenFlow15", "dump-meters", "br-int"}, {"ovs-appctl", "dpctl/dump-flows", "-m", "--names"},
			{"ovs-appctl", "dpctl/dump-conntrack"}, {"ovs-appctl", "dpctl/show", "-s"}, {"ovs-appctl", "coverage/show"},
			{"ovs-appctl", "tnl/neigh/show"}, {"ovs-appctl", "fdb/show", "br-ex"}, {"ovs-bpfctl", "drops"},
		} {
			out, _ := c.Try(x[0], x[1:]...)
			write(fmt.Sprintf("%s %s.txt", c.name, strings.ReplaceAll(strings.Join(x, " "), "/", "-")), out)
		}
		for _, name := range []string{"ovn-controller.log", "ovs-vswitchd.log", "northd.log", "agent.out"} {
			if b, err := os.ReadFile(filepath.Join(c.Dir, name)); err == nil {
				write(c.name+" "+name, string(b))
				if name == "ovn-controller.log" {
					w.t.Logf("--- %s of %s\n%s", name, c.name, b[max(0, len(b)-4000):])
				}
			}
		}
	}
	for db, x := range map[string][]string{"sb": {"lflow-list", "show", "list port_binding", "list mac_binding", "list fdb", "list service_monitor"}, "nb": {"show"}} {
		for _, command := range x {
			out, _ := w.first.Try("ovn-"+db+"ctl", append([]string{"--db=" + w.remote(db), "--timeout=10"}, strings.Fields(command)...)...)
			write("ovn-"+db+"ctl "+command+".txt", out)
		}
	}
}
