// Package dummy tests the built daemon in simulated mode, without root and without namespaces: the stock tools
// configure it, netdev-dummy/receive plays the network, time/warp the time.
package dummy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.CleanupBin()
	os.Exit(code)
}

// sim is a simulated daemon with ports whose packets are captured.
type sim struct {
	*testenv.Daemon
	t    *testing.T
	seen map[string]int // packets of each port that sent has returned
}

// start starts a daemon with a stopped clock and the bridge br0 of ports p1 to pn, numbered like their names.
func start(t *testing.T, n int, bridge ...string) *sim {
	t.Helper()
	s := &sim{testenv.Simulated(t), t, map[string]int{}}
	s.Appctl("time/stop")
	s.addBridge("br0", append([]string{"other_config:hwaddr=aa:55:aa:55:00:00"}, bridge...)...)
	for i := range n {
		s.addPort("br0", i+1)
	}
	return s
}

func (s *sim) addBridge(name string, columns ...string) {
	s.t.Helper()
	s.Vsctl(append([]string{"add-br", name, "--", "set", "bridge", name, "datapath_type=dummy"}, columns...)...)
}

// addPort adds pN with columns of its Port row.
func (s *sim) addPort(bridge string, n int, columns ...string) {
	s.t.Helper()
	name := "p" + strconv.Itoa(n)
	s.Vsctl(append(append([]string{"add-port", bridge, name}, columns...), "--", "set", "interface", name, "type=dummy",
		fmt.Sprintf("ofport_request=%d", n), "options:tx_pcap="+s.pcap(name))...)
}

func (s *sim) pcap(port string) string { return filepath.Join(s.Dir, port+".pcap") }

// receive has a port receive packets.
func (s *sim) receive(port string, packets ...string) {
	s.t.Helper()
	send := func() { s.Appctl(append([]string{"netdev-dummy/receive", port}, packets...)...) }
	if !s.IsStock {
		send()
		return
	}
	// The stock daemon answers before it has forwarded: it takes one packet in a turn of its main loop.
	want := s.rxPackets(port) + len(packets)
	send()
	s.Eventually(port+" has received its packets", func() error {
		if got := s.rxPackets(port); got < want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
}

var rxPackets = regexp.MustCompile(`RX packets:(\d+)`)

// rxPackets is how many packets a port has received.
func (s *sim) rxPackets(port string) int {
	_, after, _ := strings.Cut(s.Appctl("dpctl/show", "-s"), ": "+port+" (")
	m := rxPackets.FindStringSubmatch(after)
	if m == nil {
		s.t.Fatalf("no port %s", port)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// sent returns the packets that went out of a port since the last call, in hex.
func (s *sim) sent(port string) []string {
	s.t.Helper()
	all := strings.Fields(s.Run("ovs-pcap", s.pcap(port)))
	fresh := all[s.seen[port]:]
	s.seen[port] = len(all)
	return fresh
}

// went checks how many packets each port sent since the last call: "p2 p3" for one each, "" for none.
func (s *sim) went(what, want string, ports ...string) {
	s.t.Helper()
	var got []string
	for _, p := range ports {
		for range s.sent(p) {
			got = append(got, p)
		}
	}
	if diff := cmp.Diff(strings.Fields(want), got, cmp.Transformer("", func(l []string) string { return strings.Join(l, " ") })); diff != "" {
		s.t.Errorf("%s: ports that sent (-want +got):\n%s", what, diff)
	}
}

// revalidate has the megaflows follow what changed, and their statistics be credited.
func (s *sim) revalidate() {
	s.t.Helper()
	s.Appctl("revalidator/wait")
}

// ping is an ICMP echo from host a to host b, with a tag in front unless vid is 0.
func ping(a, b, vid int) string {
	eth := fmt.Sprintf("eth(src=50:54:00:00:00:%02x,dst=50:54:00:00:00:%02x),", a, b)
	ip := fmt.Sprintf("eth_type(0x0800),ipv4(src=10.0.0.%d,dst=10.0.0.%d,proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)", a, b)
	if vid != 0 {
		return eth + fmt.Sprintf("eth_type(0x8100),vlan(vid=%d,pcp=0),encap(%s)", vid, ip)
	}
	return eth + ip
}

var variable = regexp.MustCompile(`(duration|idle_age|hard_age)=[0-9.]+s?, `)

// flows is dump-flows without header, in order, and without what moves with the time.
func (s *sim) flows(args ...string) string {
	s.t.Helper()
	var list []string
	for _, line := range strings.Split(s.Ofctl(append([]string{"dump-flows", "br0"}, args...)...), "\n") {
		if strings.HasPrefix(line, " ") {
			list = append(list, strings.TrimSpace(variable.ReplaceAllString(line, "")))
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// contains checks an output.
func (s *sim) contains(what, out string, want ...string) {
	s.t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			s.t.Errorf("%s lacks %q:\n%s", what, w, out)
		}
	}
}

// monitor is an ovs-ofctl monitor that is connected.
type monitor struct {
	s        *sim
	ctl, out string // its control socket and the file of what it prints
	stop     func() string
}

func (s *sim) monitor(args ...string) *monitor { return s.monitorOf("br0", args...) }

func (s *sim) monitorOf(bridge string, args ...string) *monitor {
	s.t.Helper()
	m := &monitor{s: s, ctl: filepath.Join(s.Dir, bridge+".monitor.ctl"), out: filepath.Join(s.Dir, bridge+".monitor.out")}
	m.stop = s.Background("", "sh", append([]string{"-c", `exec ovs-ofctl monitor "$@" >"$0" 2>&1`, m.out, bridge, "--unixctl=" + m.ctl}, args...)...)
	s.Eventually("the monitor answers", func() error {
		if out, code := s.Try("ovs-appctl", "-t", m.ctl, "ofctl/barrier"); code != 0 {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	return m
}

// output ends the monitor when it has all that was sent to it, and returns what it printed.
func (m *monitor) output() string {
	m.s.t.Helper()
	m.s.Appctl("-t", m.ctl, "ofctl/barrier")
	m.s.Appctl("-t", m.ctl, "exit")
	m.stop()
	return m.printed()
}

// printed is what the monitor has printed so far.
func (m *monitor) printed() string {
	m.s.t.Helper()
	b, err := os.ReadFile(m.out)
	if err != nil {
		m.s.t.Fatal(err)
	}
	return string(b)
}
