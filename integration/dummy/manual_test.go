package dummy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// manualExample is an example of a manual page of OVS, with what has to be there around it.
type manualExample struct {
	name string
	// run are commands of ovs-ofctl, one a line, the switch is br0. 'Quotes' keep spaces; <file> is the name of a file with
	// the lines of file.
	run, file string
	in        []string // "port packet", nil: manualPackets at p1
	// later names what executing it needs and the issue that brings that: only answers and dumps are compared.
	later   string
	anyMask bool // the stock daemon's megaflow is wider or narrower than what decides it needs
}

// manualPorts are the numbers of the bridge's ports.
var manualPorts = []int{1, 2, 3, 4, 5, 6}

// manualPackets meet the examples that bring no packets.
var manualPackets = atPort("p1", actionPackets)

func atPort(port string, packets []string) (list []string) {
	for _, p := range packets {
		list = append(list, port+" "+p)
	}
	return list
}

// TestManualActions does the examples of ovs-actions(7), TestManualFields of ovs-fields(7), TestManualOfctl of
// ovs-ofctl(8): the stock daemon and ours must accept, dump and trace them alike, and forward the same octets.
func TestManualActions(t *testing.T) { t.Parallel(); runManual(t, actionsManual) }

func TestManualFields(t *testing.T) { t.Parallel(); runManual(t, fieldsManual) }

func TestManualOfctl(t *testing.T) { t.Parallel(); runManual(t, ofctlManual) }

func runManual(t *testing.T, examples []manualExample) {
	ours, stock := manualPair(t)
	sent := 0
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) { sent += e.compare(t, ours, stock) })
	}
	if sent < len(examples) {
		t.Errorf("%d examples sent %d packets: too few for a comparison", len(examples), sent)
	}
}

// manualPair makes the two switches that are compared.
func manualPair(t *testing.T) (ours, stock *sim) {
	ours, stock = &sim{testenv.Simulated(t), t, map[string]int{}}, &sim{testenv.Stock(t), t, map[string]int{}}
	for _, s := range []*sim{ours, stock} {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for _, p := range manualPorts {
			s.addPort("br0", p)
		}
	}
	return ours, stock
}

// compare returns how many packets came out of ours.
func (e *manualExample) compare(t *testing.T, ours, stock *sim) (sent int) {
	for _, s := range []*sim{ours, stock} {
		s.t = t
		s.emptyTables()
		s.sentByAll()
	}
	for _, line := range strings.Split(strings.TrimSpace(e.run), "\n") {
		if diff := cmp.Diff(stock.ofctlAnswer(line, e.file), ours.ofctlAnswer(line, e.file)); diff != "" {
			t.Errorf("ovs-ofctl %s (-stock +ours):\n%s", line, diff)
		}
	}
	if diff := cmp.Diff(stock.tables(), ours.tables()); diff != "" {
		t.Errorf("what the switch has (-stock +ours):\n%s", diff)
	}
	if e.later != "" {
		return 0
	}
	in := e.in
	if in == nil {
		in = manualPackets
	}
	for _, p := range in {
		port, packet, _ := strings.Cut(p, " ")
		flow := "in_port(" + port[1:] + ")," + packet
		want, got := tracedActions(stock.Appctl("ofproto/trace", flow), e.anyMask), tracedActions(ours.Appctl("ofproto/trace", flow), e.anyMask)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ofproto/trace %s (-stock +ours):\n%s", flow, diff)
		}
		ours.receive(port, packet)
		ours.revalidate()
		stock.receive(port, packet)
		stock.Appctl("revalidator/purge")
	}
	var all []string
	state := func(s *sim) func() string {
		var out []string
		return func() string {
			out = append(out, s.sentByAll()...)
			all = out
			return strings.Join(out, "\n") + "\n" + s.tables()
		}
	}
	if diff := difference(state(ours), state(stock)); diff != "" {
		t.Errorf("what came out (-stock +ours):\n%s", diff)
	}
	return len(all)
}

// emptyTables removes all flows, groups, meters and options.
func (s *sim) emptyTables() {
	s.t.Helper()
	for _, what := range []string{"del-flows", "del-groups", "del-meters"} {
		s.Ofctl("-OOpenFlow15", what, "br0")
	}
	s.Try("ovs-ofctl", "del-tlv-map", "br0")
	s.Appctl("fdb/flush", "br0")
	s.revalidate()
}

// sentByAll is what all ports sent since the last call.
func (s *sim) sentByAll() (list []string) {
	s.t.Helper()
	for _, p := range manualPorts {
		name := fmt.Sprintf("p%d", p)
		for _, packet := range s.sent(name) {
			list = append(list, name+" "+packet)
		}
	}
	return list
}

// variableAnswer is what moves with time, transaction ids, and the files and processes of a run.
var variableAnswer = regexp.MustCompile(`(duration|idle_age|hard_age)[=:][0-9.]+s?,? ?|xid=0x[0-9a-f]+|unix:\S+|/\S*/|\S+Z\|\d+\|`)

// ofctlAnswer is what ovs-ofctl answers, in order, with its exit code.
func (s *sim) ofctlAnswer(line, file string) string {
	s.t.Helper()
	name := filepath.Join(s.Dir, "example")
	if file != "" {
		if err := os.WriteFile(name, []byte(strings.TrimSpace(file)+"\n"), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	args := words(line)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "<file>", name)
	}
	out, code := s.Try("ovs-ofctl", args...)
	lines := strings.Split(strings.TrimSpace(variableAnswer.ReplaceAllString(out, "")), "\n")
	slices.Sort(lines)
	return fmt.Sprintf("%s\nexit code %d", strings.Join(lines, "\n"), code)
}

// words splits a command line at spaces that are not 'quoted'.
func words(line string) (list []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			list = append(list, part)
		} else {
			list = append(list, strings.Fields(part)...)
		}
	}
	return list
}

// tables is all that the switch has, as the first and the last OpenFlow version tell it.
func (s *sim) tables() string {
	s.t.Helper()
	var b strings.Builder
	for _, command := range []string{"-OOpenFlow10 dump-flows br0", "-OOpenFlow13 dump-flows br0", "-OOpenFlow15 dump-flows br0",
		"-OOpenFlow15 dump-groups br0", "-OOpenFlow15 dump-meters br0", "dump-tlv-map br0"} {
		fmt.Fprintf(&b, "%s\n%s\n", command, s.ofctlAnswer(command, ""))
	}
	return b.String()
}
