package ipfix

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// collector decodes what an exporter sends.
type collector struct {
	t         *testing.T
	c         *net.UDPConn
	templates map[string][]element // by domain and number
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	return &collector{t, c, map[string][]element{}}
}

// next are the data records of the next message that has some, as text: "domain seq template element=value...".
func (c *collector) next() (records []string) {
	c.t.Helper()
	for len(records) == 0 {
		b := make([]byte, 65536)
		_ = c.c.SetReadDeadline(time.Now().Add(20 * time.Second)) // only so that a broken test ends
		n, err := c.c.Read(b)
		if err != nil {
			c.t.Fatal(err)
		}
		records = c.message(b[:n])
	}
	return records
}

// message decodes a message.
func (c *collector) message(b []byte) (records []string) {
	c.t.Helper()
	be := binary.BigEndian
	if be.Uint16(b) != version || int(be.Uint16(b[2:])) != len(b) || len(b) > maxMessage {
		c.t.Fatalf("message of %d bytes: %x", len(b), b)
	}
	head := fmt.Sprintf("%d at %d seq %d", be.Uint32(b[12:]), be.Uint32(b[4:]), be.Uint32(b[8:]))
	domain := be.Uint32(b[12:])
	for b = b[headerLen:]; len(b) > 0; {
		id, set := be.Uint16(b), b[setHeader:be.Uint16(b[2:])]
		b = b[be.Uint16(b[2:]):]
		for len(set) > 0 {
			if id == templateSet || id == optionsTemplateSet {
				set = c.template(domain, set, id == optionsTemplateSet)
				continue
			}
			list, ok := c.templates[fmt.Sprint(domain, id)]
			if !ok {
				c.t.Fatalf("a record of template %d before the template", id)
			}
			text := fmt.Sprintf("%s: %d", head, id)
			for _, e := range list {
				n := int(e.size)
				if e.size == variable {
					n, set = int(set[0]), set[1:]
				}
				text += fmt.Sprintf(" %d=%x", e.id, set[:n])
				set = set[n:]
			}
			records = append(records, text)
		}
	}
	return records
}

func (c *collector) template(domain uint32, b []byte, options bool) []byte {
	id, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	b = b[4:]
	if options {
		b = b[2:]
	}
	var list []element
	for range n {
		e := element{id: binary.BigEndian.Uint16(b), size: binary.BigEndian.Uint16(b[2:])}
		if b = b[4:]; e.id&(1<<15) != 0 {
			if binary.BigEndian.Uint32(b) != enterprise {
				c.t.Fatalf("element of enterprise %d", binary.BigEndian.Uint32(b))
			}
			e.id, e.vmware, b = e.id&^(1<<15), true, b[4:]
		}
		list = append(list, e)
	}
	c.templates[fmt.Sprint(domain, id)] = list
	return b
}

// sampleOf is a sample of a packet in hex.
func sampleOf(t *testing.T, text string) *Sample {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	s := &Sample{Data: b, Key: new(flow.Key), In: Port{1, "p1"}, Weight: 1}
	packet.Extract(b, s.Key)
	return s
}

const (
	ethernet = "50540000000250540000000108"
	udpData  = ethernet + "00 4502001f 00000000 4011 0000 0a000001 0a000002 03e8 0035 000b 0000 616263"
	tcpData  = ethernet + "00 45000028 00000000 4006 0000 0a000001 0a000002 03e8 0050 00000001 00000000 5012 ffff 0000 0000"
	arpData  = "ffffffffffff50540000000108 06 0001080006040001505400000001 0a000001 000000000000 0a000002"
)

func (c *collector) exporter(change func(*Config)) (*Exporter, *clock.Manual) {
	c.t.Helper()
	h := clock.NewManual(time.Unix(1000, 500e6))
	cfg := Config{Targets: []string{c.c.LocalAddr().String()}, Clock: h, Process: 3}
	if change != nil {
		change(&cfg)
	}
	e, warning, err := New(cfg)
	if err != nil || warning != nil {
		c.t.Fatal(err, warning)
	}
	c.t.Cleanup(e.Close)
	return e, h
}

// expect compares the next records.
func (c *collector) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if diff := cmp.Diff([]string{w}, c.next()); diff != "" {
			c.t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestRecords(t *testing.T) {
	c := newCollector(t)
	e, _ := c.exporter(nil)
	s := sampleOf(t, udpData)
	s.Domain, s.Point, s.Out, s.Egress, s.Weight = 7, 8, &Port{2, "p2"}, true, 10
	e.Sample(s)
	c.expect("0 at 1001 seq 0: 462 144=00000003 167=0000000000000000",
		"7 at 1001 seq 0: 285 138=00000008 61=01 56=505400000001 80=505400000002 256=0800 240=0e 10=00000001 368=00000000 82=7031 83= "+
			"14=00000002 369=00000000 82=7032 83= 60=04 192=40 4=11 195=00 196=00 5=02 8=0a000001 12=0a000002 7=03e8 11=0035 "+
			"158=0007a120 159=0007a120 133=0000000000000000 135=0000000000000000 2=000000000000000a 86=000000000000000a "+
			"354=0000000000000000 355=0000000000000000 356=0000000000000000 357=000000000000000a 358=0000000000000000 "+
			"19=0000000000000000 174=0000000000000000 352=00000000000001c2 353=00000000000001c2 136=02 132=0000000000000000 134=0000000000000000 "+
			"1=0000000000000136 85=0000000000000136 198=000000000000258a 199=000000000000258a 25=000000000000001f 26=000000000000001f "+
			"20=0000000000000000 175=0000000000000000")
	s = sampleOf(t, tcpData)
	s.Domain, s.Dropped = 7, true
	s.Tunnel = &Tunnel{Type: TunnelVXLAN, Src: netip.MustParseAddr("1.1.1.1"), Dst: netip.MustParseAddr("1.1.1.2"), Protocol: 17, SrcPort: 9, DstPort: 4789, Key: []byte{0, 0, 5}}
	e.Sample(s)
	got := c.next()[0]
	for _, want := range []string{"7 at 1001 seq 1: 282 ", " 893=01010101 894=01010102 895=11 896=0009 897=12b5 891=01 892=000005 158=", " 133=0000000000000001 ",
		" 86=000000000000000b ", " 132=0000000000000028 ", " 222=0000000000000001 219=0000000000000000 221=0000000000000000 220=0000000000000000 218=0000000000000001 "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	s = sampleOf(t, arpData)
	s.Domain = 9
	e.Sample(s)
	got = c.next()[0]
	if !strings.HasPrefix(got, "9 at 1001 seq 0: 256 ") || !strings.Contains(got, " 356=0000000000000001 ") {
		t.Errorf("ARP: %s", got)
	}
	if diff := cmp.Diff(Stats{Flows: 3, Packets: 3, IPv4: 2, Sent: e.Stats().Sent}, e.Stats()); diff != "" {
		t.Errorf("statistics (-want +got):\n%s", diff)
	}
}

// Every shape has a template of its own, and what a record of it has is what the template says.
func TestShapes(t *testing.T) {
	seen := map[uint16]bool{}
	for _, s := range shapes {
		if id := s.template(); seen[id] || id < firstTemplate || id == statTemplate {
			t.Errorf("%+v: template %d", s, id)
		}
		seen[s.template()] = true
	}
	if len(shapes) != 2*(1+5+5)*4 {
		t.Errorf("%d shapes", len(shapes))
	}
	ipv6 := "86dd 6e0 00000 0008 %s 40" + strings.Repeat("11", 32)
	bodies := []string{"1234", "0800 45000014 00000000 40 2f 0000 0a000001 0a000002", udpData[24:], tcpData[24:],
		"0800 4500001c 00000000 40 01 0000 0a000001 0a000002 0800 0000 00000000", "0800 45000020 00000000 40 84 0000 0a000001 0a000002 03e8 0035 00000000 00000000"}
	for _, proto := range []string{"3b", "06", "11", "3a", "84"} {
		bodies = append(bodies, fmt.Sprintf(ipv6, proto)+strings.Repeat("01", 20))
	}
	c := newCollector(t)
	for _, id := range []string{"", "virtual"} {
		e, _ := c.exporter(func(cfg *Config) { cfg.VirtualID = id })
		want := map[string]bool{}
		got := map[string]bool{}
		for _, body := range bodies {
			for _, tag := range []string{"", "8100 2005"} {
				for i := range 4 {
					s := sampleOf(t, ethernet[:24]+tag+body)
					if i&1 != 0 {
						s.Out = &Port{2, "p2"}
					}
					if i&2 != 0 {
						s.Tunnel = &Tunnel{Type: TunnelGRE, Key: []byte{1, 2, 3, 4}}
					}
					want[fmt.Sprint(s.shape().template())] = true
					e.Sample(s)
					for {
						record := strings.Fields(c.next()[0])
						if record[5] != fmt.Sprint(statTemplate) {
							got[record[5]] = true
							break
						}
					}
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || len(got) != len(shapes) {
			t.Errorf("%d shapes of %d, -want +got:\n%s", len(got), len(shapes), diff)
		}
	}
}

// flows are which flows the next n records are of (their UDP destination ports), how many packets they had, and why they ended.
func (c *collector) flows(n int) (list []string) {
	c.t.Helper()
	for len(list) < n {
		for _, r := range c.next() {
			var port, packets, reason string
			for _, f := range strings.Fields(r) {
				switch k, v, _ := strings.Cut(f, "="); k {
				case "11":
					port = v
				case "2":
					packets = strings.TrimLeft(v, "0")
				case "136":
					reason = v
				}
			}
			if port != "" {
				list = append(list, port+"*"+packets+":"+reason)
			}
		}
	}
	return list
}

func TestCache(t *testing.T) {
	c := newCollector(t)
	e, h := c.exporter(func(cfg *Config) { cfg.ActiveTimeout, cfg.MaxFlows = 10*time.Second, 3 })
	sample := func(ports ...byte) {
		for _, p := range ports {
			s := sampleOf(t, udpData)
			s.Data[37] = p
			packet.Extract(s.Data, s.Key)
			e.Sample(s)
		}
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, c.flows(len(want))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	sample(1, 2, 1, 1)
	h.Advance(5 * time.Second)
	e.Run()
	sample(3, 2)
	if s := e.Stats(); s.Flows != 3 || s.Current != 3 || s.Packets != 6 {
		t.Errorf("statistics: %+v", s)
	}
	sample(4)
	expect("no room", "0001*3:05")
	h.Advance(5 * time.Second)
	e.Run()
	expect("the time is over", "0002*2:02")
	e.Close()
	expect("the end", "0003*1:04", "0004*1:04")
	sample(5)
	if s := e.Stats(); s.Packets != 7 {
		t.Errorf("a closed exporter takes samples: %+v", s)
	}
}

func TestTold(t *testing.T) {
	c := newCollector(t)
	e, h := c.exporter(func(cfg *Config) { cfg.TemplateInterval, cfg.StatsInterval = 20*time.Second, time.Minute })
	// sent is how many messages a sample makes.
	sent := func(after time.Duration) uint64 {
		h.Advance(after)
		before := e.Stats().Sent
		e.Sample(sampleOf(t, udpData))
		return e.Stats().Sent - before
	}
	all := uint64(len(templates(h.Now(), 0, 0, false)))
	for i, step := range []struct {
		after time.Duration
		want  uint64
	}{{0, all + 2 + 1}, {0, 1}, {19 * time.Second, 1}, {time.Second, all + 1}, {20 * time.Second, all + 1}, {20 * time.Second, all + 2 + 1}} {
		if got := sent(step.after); got != step.want {
			t.Errorf("step %d: %d messages, want %d", i, got, step.want)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct {
		targets []string
		n       int // of collectors
		warns   bool
	}{
		{[]string{"127.0.0.1:4739", "127.0.0.1", "[::1]:9", "::1"}, 4, false},
		{[]string{"127.0.0.1:4739", "example.com:1"}, 1, true},
		{[]string{"", "x", "127.0.0.1:99999"}, 0, true},
		{nil, 0, false},
	} {
		e, warning, err := New(Config{Targets: tt.targets, Clock: clock.Real{}})
		n := 0
		if err == nil {
			n = len(e.collectors)
			e.Close()
		}
		if n != tt.n || (warning != nil) != tt.warns {
			t.Errorf("%q: %d collectors, warning %v", tt.targets, n, warning)
		}
	}
}
