package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// addBridge makes br0 of our datapath type with the hosts' ports in it.
func addBridge(e *testenv.Env, hosts ...*testenv.Host) {
	args := []string{"add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf"}
	for _, h := range hosts {
		args = append(args, "--", "add-port", "br0", h.Port)
	}
	e.Vsctl(args...)
}

// pings checks IPv4 and IPv6 with packets that need no, one and two fragments more.
func pings(h *testenv.Host, dst4, dst6 string) {
	h.Reach(dst4)
	h.Reach(dst6)
	for _, size := range []int{64, 1600, 3200} {
		h.Ping(dst4, size, 5)
		h.Ping(dst6, size, 5)
	}
}

// http fetches a file of 1 MB and compares it.
func http(t *testing.T, from, to *testenv.Host, addr string) {
	t.Helper()
	dir := t.TempDir()
	body := strings.Repeat("0123456789abcdef", 65536)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	to.Background("python3", "-m", "http.server", "-d", dir, "8000")
	from.Env.Eventually("HTTP server", func() error {
		if _, code := from.Env.Try("nsenter", "--net=/run/netns/"+from.NS, "nc", "-z", addr, "8000"); code != 0 {
			return fmt.Errorf("connect: exit %d", code)
		}
		return nil
	})
	if got := from.Run("curl", "-sS", "--max-time", "20", "http://"+addr+":8000/file"); got != body {
		t.Fatalf("HTTP: got %d bytes, want %d", len(got), len(body))
	}
}

// iperf runs a transfer and returns its bits per second.
func iperf(t *testing.T, from, to *testenv.Host, addr string, args ...string) float64 {
	t.Helper()
	stop := to.Background("iperf3", "-s", "-1")
	defer stop()
	from.Env.Eventually("iperf3 server", func() error {
		if out := to.Run("ss", "-Hltn", "sport", "=", ":5201"); !strings.Contains(out, "5201") {
			return fmt.Errorf("not listening")
		}
		return nil
	})
	out := from.Run("iperf3", append([]string{"-J", "-c", addr, "-t", "1"}, args...)...)
	var r struct {
		End struct {
			SumReceived struct {
				Bytes         float64
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
			Sum struct {
				Bytes         float64
				BitsPerSecond float64 `json:"bits_per_second"`
				LostPercent   float64 `json:"lost_percent"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("iperf3: %v\n%s", err, out)
	}
	bps := max(r.End.SumReceived.BitsPerSecond, r.End.Sum.BitsPerSecond)
	if bps == 0 {
		t.Fatalf("iperf3 moved nothing:\n%s", out)
	}
	return bps
}

func TestNormal(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24", "fd01::1/64")
	b := e.AddHost("10.1.1.2/24", "fd01::2/64")
	c := e.AddHost("10.1.1.3/24", "fd01::3/64")
	addBridge(e, a, b, c)
	pings(a, "10.1.1.2", "fd01::2")
	pings(c, "10.1.1.1", "fd01::1")
	http(t, a, b, "10.1.1.2")
	if bps := iperf(t, a, b, "10.1.1.2"); bps < 1e9 {
		// A super-packet path moves 10 Gbit/s and more on any machine; segment by segment it cannot.
		t.Errorf("TCP: %.0f Mbit/s: are GSO packets whole?", bps/1e6)
	}
	iperf(t, b, c, "fd01::3")
	iperf(t, a, c, "10.1.1.3", "-u", "-b", "50M")

	fdb := e.Appctl("fdb/show", "br0")
	for _, h := range []*testenv.Host{a, b, c} {
		if !strings.Contains(fdb, h.MAC()) {
			t.Errorf("fdb/show lacks %s:\n%s", h.MAC(), fdb)
		}
	}
	flows := e.Appctl("dpctl/dump-flows", "--names")
	if !strings.Contains(flows, "in_port("+a.Port+")") || !strings.Contains(flows, "actions:"+b.Port) {
		t.Errorf("dpctl/dump-flows lacks the flow from %s to %s:\n%s", a.Port, b.Port, flows)
	}
}

func TestAccessVLANsSeparate(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24", "fd01::1/64")
	b := e.AddHost("10.1.1.2/24", "fd01::2/64")
	c := e.AddHost("10.1.1.3/24", "fd01::3/64")
	trunk := e.AddHost("10.1.1.4/24", "fd01::4/64")
	trunk.Tag([2]uint16{0x8100, 10})
	e.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf",
		"--", "add-port", "br0", a.Port, "tag=10",
		"--", "add-port", "br0", b.Port, "tag=10",
		"--", "add-port", "br0", c.Port, "tag=20",
		"--", "add-port", "br0", trunk.Port, "trunks=10,30")
	pings(a, "10.1.1.2", "fd01::2")
	pings(trunk, "10.1.1.1", "fd01::1")
	pings(b, "10.1.1.4", "fd01::4")
	a.NoReach("10.1.1.3")
	trunk.NoReach("10.1.1.3")
	http(t, trunk, a, "10.1.1.1")
	iperf(t, a, trunk, "10.1.1.4")

	// A configuration change takes effect at once.
	e.Vsctl("set", "port", c.Port, "tag=10")
	a.Reach("10.1.1.3")
	e.Vsctl("set", "port", trunk.Port, "trunks=30")
	a.NoReach("10.1.1.4")
}

func TestNativeVLAN(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	untagged := e.AddHost("10.1.1.2/24")
	tagged := e.AddHost("10.1.1.3/24")
	tagged.Tag([2]uint16{0x8100, 10})
	e.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf",
		"--", "add-port", "br0", a.Port, "tag=10",
		"--", "add-port", "br0", untagged.Port, "vlan_mode=native-untagged", "tag=10",
		"--", "add-port", "br0", tagged.Port, "vlan_mode=native-tagged", "tag=10")
	a.Reach("10.1.1.2")
	a.Reach("10.1.1.3")
	untagged.Reach("10.1.1.3")
	e.Vsctl("set", "port", untagged.Port, "vlan_mode=native-tagged")
	a.NoReach("10.1.1.2")
}

func TestQinQ(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	// Customers with tag 100 behind tunnel ports of service VLAN 10, a provider's side with both tags.
	a := e.AddHost("10.1.1.1/24", "fd01::1/64")
	b := e.AddHost("10.1.1.2/24", "fd01::2/64")
	p := e.AddHost("10.1.1.3/24", "fd01::3/64")
	other := e.AddHost("10.1.1.4/24", "fd01::4/64")
	a.Tag([2]uint16{0x8100, 100})
	b.Tag([2]uint16{0x8100, 100})
	p.Tag([2]uint16{0x88a8, 10}, [2]uint16{0x8100, 100})
	other.Tag([2]uint16{0x8100, 200})
	e.Vsctl("set", "Open_vSwitch", ".", "other_config:vlan-limit=2",
		"--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf",
		"--", "add-port", "br0", a.Port, "vlan_mode=dot1q-tunnel", "tag=10",
		"--", "add-port", "br0", b.Port, "vlan_mode=dot1q-tunnel", "tag=10",
		"--", "add-port", "br0", other.Port, "vlan_mode=dot1q-tunnel", "tag=10", "cvlans=200",
		"--", "add-port", "br0", p.Port, "vlan_mode=trunk", "trunks=10")
	pings(a, "10.1.1.2", "fd01::2")
	pings(a, "10.1.1.3", "fd01::3")
	pings(p, "10.1.1.2", "fd01::2")
	http(t, a, p, "10.1.1.3")
	iperf(t, p, b, "10.1.1.2")
	a.NoReach("10.1.1.4")
}

func TestInternalPort(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24", "fd01::1/64")
	addBridge(e, a)
	e.Vsctl("add-port", "br0", "in0", "--", "set", "interface", "in0", "type=internal")
	for dev, addrs := range map[string][]string{"br0": {"10.1.1.2/24", "fd01::2/64"}, "in0": {"10.1.2.2/24"}} {
		for _, addr := range addrs {
			e.In(e.NS, "ip", "addr", "add", addr, "dev", dev, "nodad")
		}
		e.In(e.NS, "ip", "link", "set", dev, "up")
	}
	a.Run("ip", "addr", "add", "10.1.2.1/24", "dev", "eth0")
	pings(a, "10.1.1.2", "fd01::2")
	a.Reach("10.1.2.2")
	local := &testenv.Host{Env: e, NS: e.NS, Port: "br0"}
	pings(local, "10.1.1.1", "fd01::1")
	http(t, local, a, "10.1.1.1")
	http(t, a, local, "10.1.1.2")
	iperf(t, a, local, "10.1.1.2")
	iperf(t, local, a, "10.1.1.1")
}

func TestPatchPorts(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24", "fd01::1/64")
	b := e.AddHost("10.1.1.2/24", "fd01::2/64")
	e.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf", "--", "add-port", "br0", a.Port,
		"--", "add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=bpf", "--", "add-port", "br1", b.Port,
		"--", "add-port", "br0", "p01", "--", "set", "interface", "p01", "type=patch", "options:peer=p10",
		"--", "add-port", "br1", "p10", "--", "set", "interface", "p10", "type=patch", "options:peer=p01")
	pings(a, "10.1.1.2", "fd01::2")
	http(t, a, b, "10.1.1.2")
	iperf(t, a, b, "10.1.1.2")
	show := e.Appctl("dpif/show")
	if !strings.Contains(show, "p01 1/none: (patch: peer=p10)") {
		t.Errorf("dpif/show:\n%s", show)
	}
	e.Vsctl("set", "interface", "p10", "options:peer=nobody")
	a.NoReach("10.1.1.2")
}

// nPackets reads n_packets of the one flow that matches the filter.
func nPackets(t *testing.T, e *testenv.Env, filter string) int {
	t.Helper()
	out := e.Ofctl("dump-flows", "br0", filter)
	m := regexp.MustCompile(`n_packets=(\d+)`).FindAllStringSubmatch(out, -1)
	if len(m) != 1 {
		t.Fatalf("dump-flows %s: want one flow:\n%s", filter, out)
	}
	n, _ := strconv.Atoi(m[0][1])
	return n
}

func TestOpenFlow(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	b := e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	show := e.Ofctl("show", "br0")
	for _, want := range []string{"1(" + a.Port + "): addr:", "2(" + b.Port + "): addr:", "LOCAL(br0): addr:", "n_tables:254, n_buffers:0"} {
		if !strings.Contains(show, want) {
			t.Errorf("ovs-ofctl show lacks %q:\n%s", want, show)
		}
	}
	a.Reach("10.1.1.2")

	// Own flows, with counters that equal the packets sent.
	e.Ofctl("del-flows", "br0")
	a.NoReach("10.1.1.2")
	e.Ofctl("add-flow", "br0", "cookie=0x5,priority=10,arp,actions=NORMAL")
	e.Ofctl("add-flow", "br0", "cookie=0x1,priority=10,icmp,in_port=1,actions=output:2")
	e.Ofctl("add-flow", "br0", "cookie=0x2,priority=10,icmp,in_port=2,actions=resubmit(,3)")
	e.Ofctl("add-flow", "br0", "table=3,cookie=0x3,priority=10,ip,nw_dst=10.1.1.0/24,actions=output:1")
	a.Ping("10.1.1.2", 56, 20)
	e.Eventually("statistics", func() error {
		for _, cookie := range []string{"0x1", "0x2", "0x3"} {
			if n := nPackets(t, e, "cookie="+cookie+"/-1"); n != 20 {
				return fmt.Errorf("cookie %s: n_packets=%d, want 20", cookie, n)
			}
		}
		return nil
	})
	agg := e.Ofctl("dump-aggregate", "br0", "cookie=0x1/-1")
	if !strings.Contains(agg, "packet_count=20 byte_count=1960 flow_count=1") {
		t.Errorf("dump-aggregate: %s", agg)
	}

	// Modify: the answers go nowhere, at once.
	e.Ofctl("mod-flows", "br0", "table=3,cookie=0x3/-1,actions=drop")
	a.NoReach("10.1.1.2")
	e.Ofctl("mod-flows", "br0", "table=3,cookie=0x3/-1,actions=output:1")
	a.Reach("10.1.1.2")
	e.Ofctl("--strict", "del-flows", "br0", "priority=10,icmp,in_port=1")
	a.NoReach("10.1.1.2")
	if out := e.Ofctl("dump-flows", "br0"); strings.Contains(out, "cookie=0x1,") || !strings.Contains(out, "cookie=0x2,") {
		t.Errorf("del-flows --strict removed the wrong flow:\n%s", out)
	}

	ports := e.Ofctl("dump-ports", "br0", "1")
	m := regexp.MustCompile(`rx pkts=(\d+)`).FindStringSubmatch(ports)
	if len(m) != 2 {
		t.Fatalf("dump-ports: %s", ports)
	}
	if n, _ := strconv.Atoi(m[1]); n < 20 {
		t.Errorf("dump-ports: rx pkts=%d, want 20 and more", n)
	}

	// Timeouts.
	e.Ofctl("add-flow", "br0", "cookie=0x9,hard_timeout=1,udp,actions=drop")
	e.Eventually("hard timeout", func() error {
		if out := e.Ofctl("dump-flows", "br0", "cookie=0x9/-1"); strings.Contains(out, "cookie=0x9") {
			return fmt.Errorf("still there: %s", out)
		}
		return nil
	})
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	b := e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	e.Ofctl("del-flows", "br0")
	// 10.1.1.9:80, with a MAC of nobody, is 10.1.1.2:8000.
	a.Run("ip", "neigh", "add", "10.1.1.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0")
	e.Ofctl("add-flow", "br0", "priority=1,actions=NORMAL")
	e.Ofctl("add-flow", "br0", fmt.Sprintf("priority=10,tcp,in_port=1,nw_dst=10.1.1.9,tp_dst=80,actions=mod_dl_dst:%s,mod_nw_dst:10.1.1.2,mod_tp_dst:8000,dec_ttl,output:2", b.MAC()))
	e.Ofctl("add-flow", "br0", "priority=10,tcp,in_port=2,nw_src=10.1.1.2,tp_src=8000,actions=mod_dl_src:02:00:00:00:00:09,mod_nw_src:10.1.1.9,mod_tp_src:80,output:1")
	dir := t.TempDir()
	body := strings.Repeat("rewritten ", 200000)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	b.Background("python3", "-m", "http.server", "-d", dir, "8000")
	for _, offload := range []string{"on", "off"} {
		a.Run("ethtool", "-K", "eth0", "tx", offload)
		b.Run("ethtool", "-K", "eth0", "tx", offload)
		e.Eventually("HTTP by way of the rewritten address, tx offload "+offload, func() error {
			out, code := e.Try("nsenter", "--net=/run/netns/"+a.NS, "curl", "-sS", "--max-time", "10", "http://10.1.1.9/file")
			if code != 0 || out != body {
				return fmt.Errorf("exit %d, %d bytes", code, len(out))
			}
			return nil
		})
	}
}

func TestController(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	b := e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	e.Vsctl("set", "bridge", "br0", "fail_mode=secure")
	a.NoReach("10.1.1.2")
	e.Ofctl("add-flow", "br0", "in_port=1,actions=controller(max_len=64)")
	seen := monitor(t, e, "monitor", "br0", "64")
	a.NoReach("10.1.1.2")
	expect(e, seen, "(via action) data_len=42", "arp_tpa=10.1.1.2")
	// A packet-out reaches the host.
	arrived := make(chan string, 1)
	go func() {
		out, _ := e.Try("nsenter", "--net=/run/netns/"+b.NS, "timeout", "20", "tcpdump", "-n", "-c", "1", "-i", "eth0", "ether", "src", "02:aa:aa:aa:aa:aa")
		arrived <- out
	}()
	pkt := strings.ReplaceAll(b.MAC(), ":", "") + "02aaaaaaaaaa" + "0800" + "4500001c00000000401164ce0a0101010a010102" + "0035003500080000"
	for { // tcpdump does not tell when it is ready
		e.Ofctl("packet-out", "br0", "in_port=controller packet="+pkt+" actions=output:2")
		select {
		case out := <-arrived:
			if !strings.Contains(out, "1 packet captured") {
				t.Errorf("packet-out did not arrive:\n%s", out)
			}
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}
