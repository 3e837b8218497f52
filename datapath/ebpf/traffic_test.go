package ebpf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// iperf runs one TCP stream from a host and returns received bits per second.
func (l *lab) iperf(from, args string) float64 {
	l.t.Helper()
	var r struct {
		End struct {
			Sum struct {
				Rate float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	cmd := "iperf3 -J " + args
	out := ""
	if from == "" {
		out = l.sh(cmd)
	} else {
		out = l.in(from, cmd)
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		l.t.Fatalf("%s: %v", out, err)
	}
	return r.End.Sum.Rate
}

func (l *lab) iperfServer(host string) {
	l.t.Helper()
	l.start(host, "iperf3", "-s")
	for range 100 {
		if contains(l.in(host, "ss -Hltn"), ":5201") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	l.t.Fatal("iperf3 does not listen")
}

// tap makes br0, the switch's own interface, with the address 10.0.0.254.
func (l *lab) tap() {
	l.t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { unix.Close(fd) })
	req, _ := unix.NewIfreq("br0")
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		l.t.Fatal(err)
	}
	l.sh("sysctl -qw net.ipv6.conf.br0.accept_dad=0; ip link set br0 address 02:00:00:00:00:fe; ip addr add 10.0.0.254/24 dev br0; ip addr add fd00::fe/64 dev br0 nodad; ip link set br0 up")
}

func TestTraffic(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		t.Run(fmt.Sprintf("clsact=%v", clsact), func(t *testing.T) {
			l := newLab(t)
			l.host("h1", 1)
			l.host("h2", 2)
			l.tap()
			o := small()
			o.clsact = clsact
			d := l.open(o)
			defer d.Close(true)
			sw := learn(d, l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev), l.port(d, "br0", datapath.PortInternal))
			t.Cleanup(func() { sw.check(t) })
			for _, size := range []string{"56", "1400", "3200"} {
				for _, to := range []string{"10.0.0.2", "10.0.0.254", "fd00::2", "fd00::fe"} {
					l.in("h1", "ping -c3 -i0.05 -W1 -s "+size+" "+to)
				}
				l.sh("ping -c3 -i0.05 -W1 -s " + size + " 10.0.0.2")
				l.sh("ping -c3 -i0.05 -W1 -s " + size + " fd00::1")
			}
			l.iperfServer("h2")
			// The sender's packets come and go whole: far longer than a segment.
			ports := map[string]odp.Port{"h1": sw.ports[0], "h2": sw.ports[1], "": sw.ports[2]}
			for _, c := range []struct{ from, args, sender string }{
				{"h1", "-c 10.0.0.2 -t 1", "h1"}, {"h1", "-c 10.0.0.2 -t 1 -R", "h2"}, {"h1", "-6 -c fd00::2 -t 1", "h1"},
				{"", "-c 10.0.0.2 -t 1", ""}, {"", "-c 10.0.0.2 -t 1 -R", "h2"},
			} {
				before, err := d.PortStats(ports[c.sender])
				if err != nil {
					t.Fatal(err)
				}
				rate := l.iperf(c.from, c.args)
				after, err := d.PortStats(ports[c.sender])
				if err != nil {
					t.Fatal(err)
				}
				length := (after.RxBytes - before.RxBytes) / max(1, after.RxPackets-before.RxPackets)
				t.Logf("%s iperf3 %s: %.1f Gbit/s, packets of %d bytes", c.from, c.args, rate/1e9, length)
				if length < 5000 {
					t.Errorf("%s iperf3 %s: packets of %d bytes", c.from, c.args, length)
				}
			}
			sw.mu.Lock()
			defer sw.mu.Unlock()
			if sw.misses > 200 {
				t.Errorf("%d packets came up", sw.misses)
			}
		})
	}
}

// TestVLAN carries traffic over a trunk: a veth pair, both ends of which are ports. One side
// pushes tags, the other pops them; between them they are in the skb's metadata.
func TestVLAN(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	l.sh("ip link add va type veth peer name vb; ip link set va up; ip link set vb up")
	d := l.open(small())
	defer d.Close(true)
	p1, p2 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev)
	va, vb := l.port(d, "va", datapath.PortNetdev), l.port(d, "vb", datapath.PortNetdev)
	l.iperfServer("h2")
	for _, tags := range [][]odp.PushVLAN{
		{{TPID: 0x8100, TCI: 10 | flow.VLANPresent}},
		{{TPID: 0x8100, TCI: 20 | flow.VLANPresent}, {TPID: 0x88a8, TCI: 0x6000 | 30 | flow.VLANPresent}},
	} {
		if err := d.FlowFlush(); err != nil {
			t.Fatal(err)
		}
		outer := tags[len(tags)-1]
		put := func(in odp.Port, tci, tpid uint64, acts ...odp.Action) datapath.FlowRef {
			t.Helper()
			f := &datapath.Flow{Actions: acts}
			f.Match.Set(flow.InPort, uint64(in))
			f.Match.Set(flow.VLANTCI, tci)
			f.Match.Set(flow.VLANTPID, tpid)
			if len(tags) == 2 && tci != 0 {
				f.Match.Set(flow.VLANTCI2, uint64(tags[0].TCI))
			}
			ref, err := d.FlowPut(f)
			if err != nil {
				t.Fatal(err)
			}
			return ref
		}
		var push, pop []odp.Action
		for _, tag := range tags {
			push, pop = append(push, tag), append(pop, odp.PopVLAN{})
		}
		with := func(acts []odp.Action, out odp.Port) []odp.Action {
			return append(append([]odp.Action{}, acts...), odp.Output{Port: out})
		}
		put(p1, 0, 0, with(push, va)...)
		put(p2, 0, 0, with(push, vb)...)
		put(va, uint64(outer.TCI), uint64(outer.TPID), with(pop, p1)...)
		there := put(vb, uint64(outer.TCI), uint64(outer.TPID), with(pop, p2)...)
		l.in("h1", "ping -c3 -i0.05 -W1 -s 3200 10.0.0.2")
		l.in("h1", "ping -c3 -i0.05 -W1 fd00::2")
		rate := l.iperf("h1", "-c 10.0.0.2 -t 1")
		st, err := d.FlowStats(there)
		t.Logf("%d tags: %.1f Gbit/s, %+v", len(tags), rate/1e9, st)
		if err != nil || st.Bytes/max(1, st.Packets) < 5000 {
			t.Errorf("%d tags: %+v, %v", len(tags), st, err)
		}
	}
	st, err := d.Stats()
	if err != nil || st.Missed > 100 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestEveryPacketUp sends a TCP stream through user space: nothing of it may be lost, and its
// GSO packets come and go whole.
func TestEveryPacketUp(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	l.tap()
	o := small()
	o.RingBytes = 8 << 20
	d := l.open(o)
	defer d.Close(true)
	sw := learn(d, l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev), l.port(d, "br0", datapath.PortInternal))
	sw.mu.Lock()
	sw.noFlows = true
	sw.mu.Unlock()
	l.in("h1", "ping -c1 10.0.0.2")
	for _, to := range []string{"h2 10.0.0.2", "h2 fd00::2", " 10.0.0.254"} {
		host, addr, _ := strings.Cut(to, " ")
		recv, send := filepath.Join(t.TempDir(), "recv"), filepath.Join(t.TempDir(), "send")
		data := strings.Repeat("0123456789abcdef", 1<<18) // 4 MB
		if err := os.WriteFile(send, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		py := func(code string) string { return "python3 -c '" + code + "'" }
		fam := "socket.AF_INET"
		if contains(addr, ":") {
			fam = "socket.AF_INET6"
		}
		server := py(fmt.Sprintf(`
import socket
s=socket.socket(%s); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("%s",7777)); s.listen(); c,_=s.accept()
f=open("%s","wb")
while True:
  b=c.recv(1<<20)
  if not b: break
  f.write(b)`, fam, addr, recv))
		var cmd *exec.Cmd
		if host == "" {
			cmd = exec.Command("sh", "-c", server)
		} else {
			cmd = exec.Command("ip", "netns", "exec", l.name+host, "sh", "-c", server)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		l.in("h1", "timeout 60 "+py(fmt.Sprintf(`
import socket
s=socket.socket(%s); s.connect(("%s",7777)); s.sendall(open("%s","rb").read()); s.close()`, fam, addr, send)))
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(recv)
		if err != nil || string(got) != data {
			t.Fatalf("to %s: received %d bytes of %d: %v", addr, len(got), len(data), err)
		}
	}
	sw.check(t)
	st, err := d.Stats()
	if err != nil {
		t.Fatal(err)
	}
	sw.mu.Lock()
	defer sw.mu.Unlock()
	t.Logf("%+v, %d GSO packets up, the longest of %d bytes", st, sw.gso, sw.biggest)
	if sw.gso == 0 || sw.biggest < 20000 {
		t.Errorf("%d GSO packets came up, the longest of %d bytes", sw.gso, sw.biggest)
	}
}

// TestLists runs lists that a test run cannot show: copies with changes between, recirculation.
func TestLists(t *testing.T) {
	l := newLab(t)
	for i, h := range []string{"h1", "h2", "h3"} {
		l.host(h, i+1)
		l.in(h, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
	}
	d := l.open(small())
	defer d.Close(true)
	p1, p2, p3 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev), l.port(d, "h3", datapath.PortNetdev)
	in := func(id uint64, acts ...odp.Action) {
		t.Helper()
		f := &datapath.Flow{Actions: acts}
		f.Match.Set(flow.InPort, uint64(p1))
		f.Match.Set(flow.EthType, 0x800)
		f.Match.Set(flow.RecircID, id)
		if _, err := d.FlowPut(f); err != nil {
			t.Fatal(err)
		}
	}
	set := func(id flow.FieldID, v ...byte) odp.Action {
		return odp.Set{Fields: []odp.FieldSet{{Field: id, Value: v}}}
	}
	fds := map[string]int{}
	for h := range l.hosts {
		fd := l.packetSocket(h)
		defer unix.Close(fd)
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
			t.Fatal(err)
		}
		fds[h] = fd
	}
	recv := func(h string) []byte {
		t.Helper()
		b := make([]byte, 2048)
		for {
			n, err := unix.Read(fds[h], b)
			if err != nil {
				dumpState(t, d)
				t.Fatalf("%s: %v", h, err)
			}
			// The hosts themselves may say something too.
			if n > 34 && b[12] == 8 && b[13] == 0 && b[23] == 17 {
				return b[:n]
			}
		}
	}
	in(0, odp.Output{Port: p2}, set(flow.IPv4Dst, 10, 9, 9, 9), odp.Output{Port: p3}, set(flow.UDPDst, 0x12, 0x34),
		odp.Hash{Basis: 1}, odp.Recirc{ID: 7})
	in(7, set(flow.NwTTL, 9), odp.Output{Port: p2}, odp.Clone{Actions: []odp.Action{odp.Output{Port: p3}, odp.Output{Port: p1}}})
	if _, err := unix.Write(fds["h1"], udp(100, 200)); err != nil {
		t.Fatal(err)
	}
	want := udp(100, 200)
	check := func(h string, dst [4]byte, port uint16, ttl byte) {
		t.Helper()
		got := recv(h)
		if [4]byte(got[30:34]) != dst || uint16(got[36])<<8|uint16(got[37]) != port || got[22] != ttl || string(got[38:]) != string(want[38:]) {
			t.Errorf("%s got % x", h, got)
		}
	}
	check("h2", [4]byte{10, 0, 0, 2}, 200, 64)
	check("h3", [4]byte{10, 9, 9, 9}, 200, 64)
	check("h2", [4]byte{10, 9, 9, 9}, 0x1234, 9)
	check("h3", [4]byte{10, 9, 9, 9}, 0x1234, 9)
	check("h1", [4]byte{10, 9, 9, 9}, 0x1234, 9)

	// Lists that the programs cannot run are run in user space.
	var key flow.Key
	key.Set(flow.InPort, uint64(p1))
	packet.Extract(want, &key)
	long := append(want, make([]byte, 40)...)
	err := d.Execute(&datapath.Packet{Data: long}, &key, []odp.Action{
		odp.Clone{Actions: []odp.Action{set(flow.IPv4Dst, 10, 8, 8, 8), odp.Output{Port: p2}}},
		odp.Trunc{MaxLen: uint32(len(want))}, odp.Output{Port: p3},
	})
	if err != nil {
		t.Fatal(err)
	}
	want = long
	check("h2", [4]byte{10, 8, 8, 8}, 200, 64)
	want = want[:46]
	check("h3", [4]byte{10, 0, 0, 2}, 200, 64)
	if err := d.Execute(&datapath.Packet{Data: long}, &key, []odp.Action{odp.PopEth{}, odp.Output{Port: p2}}); !errors.Is(err, datapath.ErrUnsupported) {
		t.Errorf("output without Ethernet header: %v", err)
	}
}

func TestUpcallRate(t *testing.T) {
	l := newLab(t)
	o := small()
	o.UpcallRate, o.UpcallBurst = 1, 10
	d := l.open(o)
	defer d.Close(true)
	n := l.port(d, "lo", datapath.PortNetdev)
	for range 100 {
		if _, err := d.TestRun(n, udp(1, 2), 0, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	drops, err := d.Drops()
	if err != nil {
		t.Fatal(err)
	}
	var limited uint64
	for _, dr := range drops {
		if dr.Reason == "upcall_rate_limit" && dr.Port == n {
			limited += dr.Packets
		}
	}
	st, _ := d.Stats()
	if limited < 85 || st.Missed < 100 || st.Lost < limited {
		t.Errorf("%d of %d packets limited, %+v", limited, 100, st)
	}
}

// loss is the packets that a ping lost.
func loss(out string) int {
	m := regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`).FindStringSubmatch(out)
	if m == nil {
		return -1
	}
	a, _ := strconv.Atoi(m[1])
	b, _ := strconv.Atoi(m[2])
	return a - b
}

// TestRestart closes and opens the datapath under traffic of installed flows.
func TestRestart(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		t.Run(fmt.Sprintf("clsact=%v", clsact), func(t *testing.T) {
			l := newLab(t)
			l.host("h1", 1)
			l.host("h2", 2)
			l.host("h3", 3)
			l.in("h1", "ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev e0")
			l.in("h2", "ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev e0")
			o := small()
			o.PinDir, o.clsact = l.pins(), clsact
			d := l.open(o)
			if _, err := Open(context.Background(), o); err == nil || !contains(err.Error(), "in use") {
				t.Fatalf("second instance: %v", err)
			}
			p3 := l.port(d, "h3", datapath.PortNetdev)
			p1, p2 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev)
			put := func(d *Datapath, in, out odp.Port) datapath.FlowRef {
				f := &datapath.Flow{Actions: []odp.Action{odp.Set{Fields: []odp.FieldSet{{Field: flow.PktMark, Value: []byte{0, 0, 0, 3}}}}, odp.Output{Port: out}}}
				f.Match.Set(flow.InPort, uint64(in))
				f.Match.Set(flow.EthType, 0x800)
				ref, err := d.FlowPut(f)
				if err != nil {
					t.Fatal(err)
				}
				return ref
			}
			put(d, p1, p2)
			put(d, p2, p1)
			put(d, p3, p1)

			ping := exec.Command("ip", "netns", "exec", l.name+"h1", "ping", "-i", "0.002", "-c", "1500", "10.0.0.2")
			var out strings.Builder
			ping.Stdout = &out
			if err := ping.Start(); err != nil {
				t.Fatal(err)
			}
			for range 8 {
				if err := d.Close(false); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond)
				d = l.open(o)
				ps, err := d.Ports()
				if err != nil || len(ps) != 3 || ps[1].Number != p1 || ps[1].Name != "h1" || ps[1].Type != "system" {
					t.Fatalf("adopted ports %+v, %v", ps, err)
				}
			}
			ping.Wait()
			if n := loss(out.String()); n != 0 {
				t.Errorf("lost %d: %s", n, out.String())
			}
			n, packets := 0, uint64(0)
			d.FlowDump(func(_ datapath.FlowRef, f *datapath.Flow, st datapath.FlowStats) bool {
				n++
				packets += st.Packets
				if len(f.Actions) != 2 || f.Match.Mask.Get(flow.EthType) != 0xffff {
					t.Errorf("adopted flow %+v", f)
				}
				return true
			})
			if n != 3 || packets != 3000 {
				t.Errorf("%d flows, %d packets after restarts", n, packets)
			}
			before, err := d.PortStats(p1)
			if err != nil {
				t.Fatal(err)
			}
			if n := l.port(d, "h1", datapath.PortNetdev); n != p1 {
				t.Errorf("adopted h1 is port %d, was %d", n, p1)
			}
			if after, err := d.PortStats(p1); err != nil || after.RxPackets < before.RxPackets || before.RxPackets < 1500 {
				t.Errorf("adopted h1 counted %+v, then %+v, %v", before, after, err)
			}
			if _, err := d.PortAdd(datapath.PortSpec{Name: "h1", Number: odp.PortNone}); err == nil {
				t.Error("h1 added twice")
			}
			// A device of the same name that was made anew, as a tap whose owner died.
			l.sh("ip link del h3; ip link add h3 type veth peer name h3p; ip link set h3 up")
			if n := l.port(d, "h3", datapath.PortInternal); n != p3 {
				t.Errorf("h3 made anew is port %d, was %d", n, p3)
			}

			// A device that goes away while nobody runs, and another layout.
			d.Close(false)
			l.sh("ip link del h3")
			o.MaxFlows *= 2
			d = l.open(o)
			ps, _ := d.Ports()
			if len(ps) != 2 || ps[0].Number != p1 || ps[1].Number != p2 {
				t.Errorf("ports in another layout: %+v", ps)
			}
			put(d, p1, p2)
			put(d, p2, p1)
			l.in("h1", "ping -c3 -i0.05 -W1 10.0.0.2")
			if ents, _ := os.ReadDir(o.PinDir); len(ents) != 1 {
				t.Errorf("pin directory has %v", ents)
			}
			if err := d.Close(true); err != nil {
				t.Error(err)
			}
			l.clean(t, "h1", "h2")
			if _, err := os.Stat(o.PinDir); err == nil {
				t.Error("pin directory is still there")
			}
		})
	}
}

// clean wants no trace of us at devices, and no device of ours.
func (l *lab) clean(t *testing.T, devs ...string) {
	t.Helper()
	for _, dev := range devs {
		if out := l.sh("bpftool net show dev " + dev + "; tc qdisc show dev " + dev + " clsact"); regexp.MustCompile(`ingress|egress|clsact|id \d+`).MatchString(out) {
			t.Errorf("left at %s: %s", dev, out)
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, dev := range links {
		if strings.HasPrefix(dev.Attrs().Name, "ovs-in-") {
			t.Errorf("device %s is left", dev.Attrs().Name)
		}
	}
}
