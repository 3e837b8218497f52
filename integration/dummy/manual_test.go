package dummy

import (
	"encoding/binary"
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
	in        []string // "port packet", nil: manualPackets
	// later names what executing it needs and the issue that brings that: only answers and dumps are compared.
	later   string
	refused string // the OpenFlow error of our switch where the stock one accepts: nothing else is compared
	anyMask bool   // the stock daemon's megaflow is wider or narrower than what decides it needs
	// no10: what the stock daemon tells in OpenFlow 1.0 is another action, or ovs-ofctl cannot read it.
	no10 bool
}

// manualPorts are the numbers of the bridge's ports.
var manualPorts = []int{1, 2, 3, 4, 5, 6}

// manualPackets meet the examples that bring no packets: a port, what the packet looks like and, if it has more, what it is.
var manualPackets = []string{
	"p1 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0x20,ttl=64,frag=no),tcp(src=1000,dst=80),tcp_flags(syn)",
	"p1 eth(src=50:54:00:00:00:03,dst=50:54:00:00:00:04),eth_type(0x0800),ipv4(src=10.0.0.3,dst=10.0.0.9,proto=17,tos=0,ttl=1,frag=no),udp(src=7,dst=4789)",
	"p1 eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:02),eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,label=0,proto=6,tclass=0x2c,hlimit=64,frag=no),tcp(src=9,dst=10),tcp_flags(ack)",
	"p1 eth(src=50:54:00:00:00:06,dst=50:54:00:00:00:07),eth_type(0x8100),vlan(vid=10,pcp=3),encap(eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0))",
	"p1 eth(src=50:54:00:00:00:01,dst=ff:ff:ff:ff:ff:ff),eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.2,op=1,sha=50:54:00:00:00:01,tha=00:00:00:00:00:00)",
	"p1 eth(src=50:54:00:00:00:08,dst=50:54:00:00:00:02),eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=1) 50540000000250540000000888470006474045000028000000004006" + "66ce" + "0a0000010a00000203e8005000000000000000005002000097a80000",
	"p1 eth(src=50:54:00:00:00:08,dst=50:54:00:00:00:02),eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=0,label=200,tc=0,ttl=9,bos=1) 505400000002505400000008884700064640000c810945000028000000004006" + "66ce" + "0a0000010a00000203e8005000000000000000005002000097a80000",
}

// received is a packet of manualPackets that comes in by another port.
func received(port, packet string) string { return port + packet[2:] }

// TestManualActions does the examples of ovs-actions(7), TestManualFields of ovs-fields(7), TestManualFlows those of
// ovs-ofctl(8) about flows, groups and meters: the stock daemon and ours must accept, dump and trace them alike, and
// forward the same octets.
func TestManualActions(t *testing.T) { t.Parallel(); runManual(t, actionsManual) }

func TestManualFields(t *testing.T) { t.Parallel(); runManual(t, fieldsManual) }

func TestManualFlows(t *testing.T) { t.Parallel(); runManual(t, flowsManual) }

func runManual(t *testing.T, examples []manualExample) {
	ours, stock := manualPair(t)
	ran, sent := 0, 0
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) { ran++; sent += e.compare(t, ours, stock) })
	}
	if ran == len(examples) && sent < ran {
		t.Errorf("%d examples sent %d packets: too few for a comparison", ran, sent)
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
	if e.refused != "" {
		for _, line := range strings.Split(strings.TrimSpace(e.run), "\n") {
			ours.contains(line, ours.ofctlAnswer(line, e.file), "OFPT_ERROR", e.refused)
		}
		return 0
	}
	for _, line := range strings.Split(strings.TrimSpace(e.run), "\n") {
		if diff := cmp.Diff(stock.ofctlAnswer(line, e.file), ours.ofctlAnswer(line, e.file)); diff != "" {
			t.Errorf("ovs-ofctl %s (-stock +ours):\n%s", line, diff)
		}
	}
	if diff := cmp.Diff(stock.tables(e.no10), ours.tables(e.no10)); diff != "" {
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
		word := strings.Fields(p)
		port, packet := word[0], word[len(word)-1]
		flow := "in_port(" + port[1:] + ")," + word[1]
		want, got := e.traced(stock.Appctl("ofproto/trace", flow)), e.traced(ours.Appctl("ofproto/trace", flow))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ofproto/trace %s (-stock +ours):\n%s", flow, diff)
		}
		ours.receive(port, packet)
		ours.revalidate()
		stock.receive(port, packet)
		stock.Appctl("revalidator/purge")
	}
	var out [2][]string
	state := func(s *sim, out *[]string) func() string {
		return func() string {
			*out = append(*out, s.sentByAll()...)
			slices.SortStableFunc(*out, func(a, b string) int { return strings.Compare(a[:2], b[:2]) })
			return strings.Join(*out, "\n") + "\n" + s.ofctlAnswer("-OOpenFlow15 dump-flows br0", "")
		}
	}
	if diff := difference(state(ours, &out[0]), state(stock, &out[1])); diff != "" {
		t.Errorf("what came out (-stock +ours):\n%s", diff)
	}
	return len(out[0])
}

// manyPorts is a list of ports in a trace: floods have the order of a hash table in OVS. meterInTrace is a meter's number in
// the datapath.
var (
	manyPorts    = regexp.MustCompile(`\b\d+(,\d+)+\b`)
	meterInTrace = regexp.MustCompile(`meter\(\d+\)`)
)

// traced is what a trace comes to.
func (e *manualExample) traced(out string) []string {
	lines := tracedActions(out, e.anyMask)
	for i, l := range lines {
		if actions, ok := strings.CutPrefix(l, "Datapath actions: "); ok {
			actions = manyPorts.ReplaceAllStringFunc(actions, func(list string) string {
				ports := strings.Split(list, ",")
				slices.Sort(ports)
				return strings.Join(ports, ",")
			})
			lines[i] = "Datapath actions: " + meterInTrace.ReplaceAllString(actions, "meter")
		}
	}
	return lines
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
		b, err := os.ReadFile(s.pcap(name))
		if err != nil {
			s.t.Fatal(err)
		}
		b = b[max(s.seen[name], pcapHeader):]
		for len(b) >= pcapRecord {
			n := int(binary.LittleEndian.Uint32(b[8:]))
			if len(b) < pcapRecord+n {
				break // it is being written
			}
			list = append(list, fmt.Sprintf("%s %x", name, b[pcapRecord:pcapRecord+n]))
			s.seen[name] = max(s.seen[name], pcapHeader) + pcapRecord + n
			b = b[pcapRecord+n:]
		}
	}
	return list
}

// Lengths in a pcap file (draft-ietf-opsawg-pcap).
const pcapHeader, pcapRecord = 24, 16

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
	args := append([]string{"-vcoverage:off", "-vtimeval:off"}, words(line)...) // a busy machine is nothing to report
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
func (s *sim) tables(no10 bool) string {
	s.t.Helper()
	var b strings.Builder
	for _, command := range []string{"-OOpenFlow10 dump-flows br0", "-OOpenFlow13 dump-flows br0", "-OOpenFlow15 dump-flows br0",
		"-OOpenFlow15 dump-groups br0", "-OOpenFlow15 dump-meters br0", "dump-tlv-map br0"} {
		if no10 && strings.Contains(command, "OpenFlow10") {
			continue
		}
		fmt.Fprintf(&b, "%s\n%s\n", command, s.ofctlAnswer(command, ""))
	}
	return b.String()
}
