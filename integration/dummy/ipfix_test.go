package dummy

import (
	"encoding/binary"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// collector receives IPFIX on 127.0.0.1.
type collector struct {
	t         *testing.T
	c         *net.UDPConn
	templates map[string]string // fields by domain and number: "id:size/enterprise ..."
	records   []string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	return &collector{t, c, map[string]string{}, nil}
}

// target is the collector for IPFIX.targets.
func (c *collector) target() string { return fmt.Sprintf("targets=%q", c.c.LocalAddr()) }

// receive reads messages until it has n records.
func (c *collector) receive(n int) {
	c.t.Helper()
	b := make([]byte, 65536)
	for len(c.records) < n {
		_ = c.c.SetReadDeadline(time.Now().Add(30 * time.Second)) // only so that a broken test ends
		size, err := c.c.Read(b)
		if err != nil {
			c.t.Fatalf("%d records, then %v:\n%s", len(c.records), err, strings.Join(c.records, "\n"))
		}
		c.message(b[:size])
	}
}

// message decodes a message (RFC 7011).
func (c *collector) message(b []byte) {
	c.t.Helper()
	be := binary.BigEndian
	if be.Uint16(b) != 10 || int(be.Uint16(b[2:])) != len(b) {
		c.t.Fatalf("message of %d bytes: %x", len(b), b)
	}
	domain := be.Uint32(b[12:])
	for b = b[16:]; len(b) > 0; {
		id, n := be.Uint16(b), be.Uint16(b[2:])
		set := b[4:n]
		b = b[n:]
		switch id {
		case 2, 3:
			c.define(domain, set, id == 3)
		default:
			c.data(domain, id, set)
		}
	}
}

func (c *collector) define(domain uint32, b []byte, options bool) {
	be := binary.BigEndian
	for len(b) > 0 {
		id, n := be.Uint16(b), be.Uint16(b[2:])
		b = b[4:]
		fields := ""
		if options {
			fields, b = fmt.Sprintf("scope %d ", be.Uint16(b)), b[2:]
		}
		for range n {
			number, size, enterprise := be.Uint16(b), be.Uint16(b[2:]), uint32(0)
			b = b[4:]
			if number&0x8000 != 0 {
				number, enterprise, b = number&0x7fff, be.Uint32(b), b[4:]
			}
			fields += fmt.Sprintf("%d:%d/%d ", number, size, enterprise)
		}
		c.templates[fmt.Sprint(domain, " ", id)] = fields
	}
}

// unlike are elements whose values differ by nature: times, the interfaces' numbers (those of the stock daemon's simulated devices
// are 0), what was dropped (the stock daemon says so of all that its datapath sampled), and which exporter it is.
var unlike = map[string]bool{"158": true, "159": true, "10": true, "14": true, "133": true, "135": true, "132": true, "134": true, "144": true}

func (c *collector) data(domain uint32, id uint16, b []byte) {
	c.t.Helper()
	template, ok := c.templates[fmt.Sprint(domain, " ", id)]
	if !ok {
		c.t.Fatalf("a record of domain %d before its template %d", domain, id)
	}
	var number, size, enterprise int
	template = template[strings.Index(template, "scope ")+1:]
	for len(b) > 0 {
		record := fmt.Sprintf("%d: %d", domain, id)
		for _, f := range strings.Fields(template) {
			if _, err := fmt.Sscanf(f, "%d:%d/%d", &number, &size, &enterprise); err != nil {
				continue // of the scope
			}
			if size == 65535 {
				size, b = int(b[0]), b[1:]
			}
			if value := b[:size]; !unlike[fmt.Sprint(number)] {
				record += fmt.Sprintf(" %d=%x", number, value)
			}
			b = b[size:]
		}
		if !strings.Contains(template, "1 144:") { // what an exporter tells of itself
			c.records = append(c.records, record)
		}
	}
}

var rowUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// sampleTo configures IPFIX: the bridge's own with columns, and the collector sets 1, which caches, and 2.
func (s *sim) sampleTo(c *collector, columns ...string) {
	s.t.Helper()
	args := []string{"--id=@br", "get", "bridge", "br0", "--", "--id=@i", "create", "ipfix", c.target(), "cache_active_timeout=60", "cache_max_flows=3",
		"--", "--id=@s", "create", "flow_sample_collector_set", "id=1", "bridge=@br", "ipfix=@i",
		"--", "--id=@j", "create", "ipfix", c.target(), "other_config:virtual_obs_id=hello",
		"--", "--id=@t", "create", "flow_sample_collector_set", "id=2", "bridge=@br", "ipfix=@j"}
	if len(columns) > 0 {
		args = append(append(args, "--", "--id=@k", "create", "ipfix", c.target()), columns...)
		args = append(args, "--", "set", "bridge", "br0", "ipfix=@k")
	}
	s.Vsctl(args...)
}

// noSampling takes it back.
func (s *sim) noSampling() {
	s.t.Helper()
	s.Vsctl("clear", "bridge", "br0", "ipfix")
	for _, id := range rowUUID.FindAllString(s.Run("ovs-vsctl", "--bare", "--columns=_uuid", "list", "flow_sample_collector_set"), -1) {
		s.Vsctl("destroy", "flow_sample_collector_set", id)
	}
}

var sampleActions = regexp.MustCompile(`(?m)^Datapath actions: .*| *>>>> .*`)

// TestSampleActionsLikeStock compares the datapath actions that sample packets.
func TestSampleActionsLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 3)
	c := newCollector(t)
	trace := func(what string) {
		t.Helper()
		var got [2]string
		for i, s := range both {
			got[i] = recirc.ReplaceAllString(strings.Join(sampleActions.FindAllString(s.Appctl("ofproto/trace", "br0", "in_port=1,tcp,nw_ttl=9"), -1), "\n"), "recirc(N)")
			got[i] = recircID.ReplaceAllString(got[i], "recirc_id=N")
		}
		if diff := cmp.Diff(got[1], got[0]); diff != "" {
			t.Errorf("%s (-stock +ours):\n%s", what, diff)
		}
	}
	actions := func(list ...string) {
		t.Helper()
		for _, a := range list {
			for _, s := range both {
				s.Ofctl("-OOpenFlow13", "add-flow", "br0", "in_port=1,tcp,actions="+a)
			}
			trace(a)
		}
	}
	samples := []string{
		"sample(probability=65535,collector_set_id=1,obs_domain_id=7,obs_point_id=8),2", "sample(probability=300,collector_set_id=1),2",
		"sample(probability=65535,collector_set_id=9),2", "sample(probability=1,collector_set_id=1,sampling_port=1),2",
		"sample(probability=65535,collector_set_id=1,sampling_port=2,ingress),2", "sample(probability=65535,collector_set_id=1,sampling_port=3,egress),2",
		"sample(probability=65535,collector_set_id=1,sampling_port=77),2", "mod_dl_src:50:54:00:00:00:99,sample(probability=65535,sampling_port=LOCAL),2",
		"clone(mod_nw_src:1.1.1.1,sample(probability=9),2),3",
	}
	actions(samples[0])
	for _, s := range both {
		s.sampleTo(c)
	}
	actions(samples...)
	for _, s := range both {
		s.Ofctl("-OOpenFlow13", "add-meter", "br0", "meter=slowpath,pktps,bands=type=drop,rate=1000")
	}
	actions(samples[:2]...)
	for _, s := range both {
		s.Ofctl("-OOpenFlow13", "del-meters", "br0")
		s.noSampling()
		s.Ofctl("add-flow", "br0", "table=1,actions=output:2")
	}
	forwards := []string{"2,mod_dl_src:50:54:00:00:00:99,3", "NORMAL,CONTROLLER", "resubmit(,1),IN_PORT", "drop", "ct(table=1)"}
	for _, columns := range []string{
		"sampling=1", "sampling=100", "sampling=1 other_config:enable-input-sampling=false", "sampling=1 other_config:enable-output-sampling=false", "obs_domain_id=5",
	} {
		for _, s := range both {
			if s.IsStock { // it takes "true" for no
				columns = strings.ReplaceAll(columns, "=false", "=true")
			}
			s.sampleTo(c, strings.Fields(columns)...)
		}
		actions(forwards...)
		for _, s := range both {
			s.noSampling()
		}
	}
}

// sampledPackets come by p1, p2 and p3; behind them is how many records the bridge's own exporter and the collector set 2 make
// of them.
var sampledPackets = []struct {
	port, rest string
	n          int
}{
	{"p1", "eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0x23,ttl=64,frag=no),udp(src=1,dst=80)", 2},
	{"p1", "eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=1,tos=0,ttl=1,frag=no),icmp(type=8,code=0)", 2},
	{"p1", "eth_type(0x8100),vlan(vid=5,pcp=3),encap(eth_type(0x0800),ipv4(src=10.0.0.1,dst=224.0.0.2,proto=132,tos=0,ttl=1,frag=no),sctp(src=8,dst=3))", 2},
	{"p1", "eth_type(0x86dd),ipv6(src=fe80::1,dst=ff02::2,label=0x345,proto=58,tclass=0x41,hlimit=64,frag=no),icmpv6(type=128,code=0)", 2},
	{"p1", "eth_type(0x86dd),ipv6(src=fe80::1,dst=ff02::2,label=0x345,proto=6,tclass=0x41,hlimit=64,frag=no),tcp(src=6,dst=7),tcp_flags(fin|ack|rst)", 2},
	{"p1", "eth_type(0x0806),arp(sip=1.2.3.4,tip=1.2.3.5,op=1,sha=50:54:00:00:00:01,tha=00:00:00:00:00:00)", 2},
	{"p2", "eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=later)", 1},
	{"p2", "eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=first),tcp(src=5,dst=6),tcp_flags(syn|psh|urg)", 1},
	{"p2", "eth_type(0x0800),ipv4(src=10.0.0.1,dst=224.0.0.1,proto=47,tos=0,ttl=64,frag=no)", 1},
	{"p2", "eth_type(0x8847),mpls(label=5,tc=0,ttl=3,bos=1)", 1},
	{"p3", "eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0x20,ttl=64,frag=no),tcp(src=1,dst=2),tcp_flags(syn)", 2},
	{"p3", "eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)", 2},
}

var sentMessages = regexp.MustCompile(`tx pkts=\d+`)

// TestIPFIXLikeStock has the stock daemon and ours sample the same packets, and compares what collectors get: templates, records and
// what the flow cache does, and the statistics.
func TestIPFIXLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 3)
	var collectors [2]*collector
	var stats [2]string
	for i, s := range both {
		c := newCollector(t)
		collectors[i] = c
		s.Ofctl("add-flow", "br0", "in_port=1,actions=output:2")
		s.Ofctl("add-flow", "br0", "in_port=2,actions=drop")
		s.Ofctl("add-flow", "br0", "in_port=3,actions=sample(probability=65535,collector_set_id=1,obs_domain_id=7,obs_point_id=8,sampling_port=3),"+
			"sample(probability=65535,collector_set_id=1,obs_domain_id=7,obs_point_id=8,sampling_port=2,egress),sample(probability=65535,collector_set_id=2,obs_domain_id=9)")
		out, _ := s.Try("ovs-ofctl", "dump-ipfix-flow", "br0")
		s.contains("dump-ipfix-flow", out, "NXST_NOT_CONFIGURED")
		s.sampleTo(c, "obs_domain_id=123", "obs_point_id=456", "sampling=1")
		want, cached := 0, 0
		for _, dst := range []string{"50:54:00:00:00:02", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"} {
			for _, p := range sampledPackets {
				packet := "in_port(1),eth(src=50:54:00:00:00:01,dst=" + dst + ")," + p.rest
				s.receive(p.port, packet, packet)
				if want += 2 * p.n; p.port == "p3" {
					cached += 2 // flows of the collector set 1, which keeps 3
					want += min(2, max(0, cached-3))
				}
				c.receive(want)
			}
		}
		stats[i] = s.Ofctl("dump-ipfix-bridge", "br0") + s.Ofctl("-OOpenFlow13", "dump-ipfix-flow", "br0")
		stats[i] = sentMessages.ReplaceAllString(steady.ReplaceAllString(stats[i], ""), "tx pkts=N")
	}
	for _, c := range collectors {
		slices.Sort(c.records) // which of two exporters is first is nobody's promise
	}
	if diff := cmp.Diff(collectors[1].templates, collectors[0].templates); diff != "" {
		t.Errorf("templates (-stock +ours):\n%s", diff)
	}
	if diff := cmp.Diff(collectors[1].records, collectors[0].records); diff != "" {
		t.Errorf("records (-stock +ours):\n%s", diff)
	}
	if diff := cmp.Diff(stats[1], stats[0]); diff != "" {
		t.Errorf("statistics (-stock +ours):\n%s", diff)
	}
}
