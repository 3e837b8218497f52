package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// series is one figure, per forwarder and round.
type series struct {
	Name  string `json:"name"`
	Unit  string `json:"unit"`
	Lower bool   `json:"lower_is_better"`
}

// metric measures one or more series.
type metric struct {
	name    string
	series  []series
	ctl     bool // only for forwarders that rules can be given to
	ct      bool // only for those that track connections
	tunnel  bool // only for those that build tunnels
	measure func(context.Context, *options, *bed) ([]float64, error)
}

// The CPUs that the ends of the traffic are on; the second is 0 where there is but one.
const cpuTX = 0

func metrics() []metric {
	pps := func(name string, n int, flow func(int) header) metric {
		return metric{name: name, series: []series{{name, "packets/s", false}}, measure: func(ctx context.Context, o *options, b *bed) ([]float64, error) {
			rate, err := packets(o, b, n, flow)
			if b.ctl != nil { // its megaflows would keep a daemon busy while the next forwarder is measured
				err = errors.Join(err, b.ctl.purge(ctx))
			}
			return rate, err
		}}
	}
	tunnels := func(name string, t tunnel, parts ...metric) (list []metric) {
		for _, m := range parts {
			m.tunnel, m.measure = true, tunneled(t, m.measure)
			m.name = name + " " + m.name
			m.series = slices.Clone(m.series)
			for i := range m.series {
				m.series[i].Name = name + " " + m.series[i].Name
			}
			list = append(list, m)
		}
		return list
	}
	stream := metric{name: "stream", series: []series{{"stream", "bit/s", false}}, measure: iperf("-l", "128K")}
	delay := metric{name: "latency", series: []series{{"RTT p50", "us", true}, {"RTT p99", "us", true}}, measure: latency}
	list := []metric{
		pps("1 flow", 1, flowOf),
		pps("1,000 flows", 1000, flowOf),
		pps("16 masks", 1000, shapeOf),
		pps("60,000 flows", 60000, flowOf),
		{name: "TCP stream", series: []series{{"TCP stream", "bit/s", false}}, measure: iperf("-l", "128K")},
		{name: "TCP small", series: []series{{"TCP small", "bit/s", false}}, measure: iperf("-l", "512", "-N")},
		{name: "latency", series: []series{{"RTT p50", "us", true}, {"RTT p99", "us", true}}, measure: latency},
		{name: "set-up", ctl: true, series: []series{{"set-up rate", "flows/s", false}, {"set-up lost", "fraction", true}}, measure: setUp},
		{name: "set-up latency", ctl: true, series: []series{{"set-up p50", "us", true}, {"set-up p99", "us", true}}, measure: setUpLatency},
		{name: "explosion", ctl: true, series: []series{{"explosion", "share", false}}, measure: explosion},
		{name: "connections", ct: true, series: []series{{"connections", "conns/s", false}}, measure: tracked(true, connections)},
		{name: "tracked stream", ct: true, series: []series{{"tracked stream", "bit/s", false}}, measure: tracked(false, iperf("-l", "128K"))},
		{name: "tracked packets", ct: true, series: []series{{"tracked packets", "packets/s", false}}, measure: tracked(false, trackedPackets)},
		{name: "SYN flood", ct: true, series: []series{{"SYN flood", "share", false}}, measure: tracked(false, synFlood)},
		{name: "scale", ctl: true, series: []series{
			{"first bundle", "s", true}, {"first bundle CPU", "s", true}, {"second bundle", "s", true}, {"second bundle CPU", "s", true}, {"rule memory", "bytes", true}, {"translation", "us", true},
		}, measure: scale},
		{name: "OVN start", ctl: true, series: []series{
			{"OVN start", "s", true}, {"OVN start CPU", "s", true}, {"OVN memory", "bytes", true}, {"OVN at rest", "% of a CPU", true},
		}, measure: ovnStart},
	}
	return slices.Concat(list,
		tunnels("VXLAN", tunnel{typ: "vxlan"}, stream, pps("packets", 1, flowOf), delay),
		tunnels("Geneve", tunnel{typ: "geneve"}, stream, pps("packets", 1, flowOf), delay),
		tunnels("VXLAN device", tunnel{typ: "vxlan", device: true}, stream),
		tunnels("VXLAN wire", tunnel{typ: "vxlan", wire: true}, stream),
		tunnels("Geneve wire", tunnel{typ: "geneve", wire: true}, stream))
}

// warmWindow is how many packets of new flows are on the way at once.
const warmWindow = 128

// packets is how many packets of n flows a second arrive, when one CPU sends as many as it can. All
// flows are known before.
func packets(o *options, b *bed, n int, flow func(int) header) ([]float64, error) {
	fr := frames(n, flow)
	if err := on(place{ns: b.hosts[0], cpu: -1}, func() error {
		s, err := newSender(hostDevice, fr)
		if err != nil {
			return err
		}
		defer s.close()
		_, err = s.once(b.sink, warmWindow)
		return err
	}); err != nil {
		return nil, err
	}
	return flood(o, b, fr)
}

// flood is how many packets a second of those in fr arrive, when one CPU sends as many as it can.
func flood(o *options, b *bed, fr []byte) ([]float64, error) {
	var rate float64
	err := on(place{ns: b.hosts[0], cpu: cpuTX, fifo: o.fifo}, func() error {
		s, err := newSender(hostDevice, fr)
		if err != nil {
			return err
		}
		defer s.close()
		base := b.sink.received()
		t, err := s.flood(o.time)
		if err != nil {
			return err
		}
		time.Sleep(settle)
		rate = float64(b.sink.received()-base) / t.Seconds()
		return nil
	})
	return []float64{rate}, err
}

// settle is how long packets that are still queued have to arrive.
const settle = 50 * time.Millisecond

// iperf measures one TCP stream from host 0 to host 1, in received bits per second.
func iperf(args ...string) func(context.Context, *options, *bed) ([]float64, error) {
	return func(ctx context.Context, o *options, b *bed) ([]float64, error) {
		line := place{ns: b.hosts[1], cpu: o.cpuRX, fifo: o.fifo}.command("iperf3", "-s", "-1")
		server := exec.Command(line[0], line[1:]...)
		if err := server.Start(); err != nil {
			return nil, err
		}
		defer func() {
			server.Process.Kill()
			server.Wait()
		}()
		for range 200 {
			out, err := b.in(ctx, b.hosts[1], "ss", "-Hltn")
			if err != nil {
				return nil, err
			}
			if strings.Contains(out, ":5201") {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		args := append([]string{"iperf3", "-J", "-c", hostIP[1]}, args...)
		if o.tcpBytes > 0 {
			args = append(args, "-n", strconv.Itoa(o.tcpBytes))
		} else {
			args = append(args, "-t", "1")
		}
		line = place{ns: b.hosts[0], cpu: cpuTX, fifo: o.fifo}.command(args...)
		out, err := run(ctx, nil, line[0], line[1:]...)
		if err != nil {
			return nil, err
		}
		var r struct {
			End struct {
				Sum struct {
					Rate float64 `json:"bits_per_second"`
				} `json:"sum_received"`
			}
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			return nil, fmt.Errorf("iperf3: %w", err)
		}
		if r.End.Sum.Rate == 0 {
			return nil, errors.New("iperf3 moved nothing")
		}
		return []float64{r.End.Sum.Rate}, nil
	}
}

const (
	echoPort = 7100
	// A percentile needs some answers, however slow they are.
	enough   = 100
	patience = 10 * time.Second
)

// latency is the time of a request of 64 bytes and its response over UDP, both ends on one CPU.
func latency(_ context.Context, o *options, b *bed) ([]float64, error) {
	var stop atomic.Bool
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- on(place{ns: b.hosts[1], cpu: cpuTX, fifo: o.fifo}, func() error {
			fd, err := udpSocket(hostIP[1], hostIP[0], echoPort)
			close(ready)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			buf := make([]byte, 2048)
			for !stop.Load() {
				if n, err := unix.Read(fd, buf); err == nil {
					unix.Write(fd, buf[:n])
				}
			}
			return nil
		})
	}()
	<-ready
	var took []float64
	err := on(place{ns: b.hosts[0], cpu: cpuTX, fifo: o.fifo}, func() error {
		fd, err := udpSocket(hostIP[0], hostIP[1], echoPort)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		buf := make([]byte, 64)
		for end := monotonic() + uint64(o.time); ; {
			t := monotonic()
			if t > end && (len(took) >= enough || t > end+uint64(patience)) {
				return nil
			}
			if _, err := unix.Write(fd, buf); err != nil {
				return fmt.Errorf("send request: %w", err)
			}
			if _, err := unix.Read(fd, buf); err == nil {
				took = append(took, float64(monotonic()-t))
			}
		}
	})
	stop.Store(true)
	if err := errors.Join(err, <-done); err != nil {
		return nil, err
	}
	return percentiles(took)
}

// udpSocket is a connected socket in the namespace of the calling thread; reads end after a while.
func udpSocket(from, to string, port int) (int, error) {
	addr := func(s string) *unix.SockaddrInet4 {
		a := &unix.SockaddrInet4{Port: port}
		fmt.Sscanf(s, "%d.%d.%d.%d", &a.Addr[0], &a.Addr[1], &a.Addr[2], &a.Addr[3])
		return a
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := errors.Join(
		unix.Bind(fd, addr(from)), unix.Connect(fd, addr(to)),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100000}),
	); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set up socket: %w", err)
	}
	return fd, nil
}

// percentiles are the median and the 99th percentile of nanoseconds, in microseconds.
func percentiles(ns []float64) ([]float64, error) {
	if len(ns) < 10 {
		return nil, fmt.Errorf("only %d packets came back", len(ns))
	}
	slices.Sort(ns)
	return []float64{ns[len(ns)/2] / 1e3, ns[len(ns)*99/100] / 1e3}, nil
}

// setUpWindow is how many packets, each of a new flow, are on the way while set-ups are counted.
const setUpWindow = 128

// setUp is how many packets a second get through when each needs a megaflow of its own, which must be
// installed in the end.
func setUp(ctx context.Context, o *options, b *bed) ([]float64, error) {
	if err := b.ctl.purge(ctx); err != nil {
		return nil, err
	}
	before, err := b.ctl.megaflows(ctx)
	if err != nil {
		return nil, err
	}
	fr := frames(o.setUps, setUpOf)
	var p pass
	if err := on(place{ns: b.hosts[0], cpu: -1}, func() error {
		s, err := newSender(hostDevice, fr)
		if err != nil {
			return err
		}
		defer s.close()
		p, err = s.once(b.sink, setUpWindow)
		return err
	}); err != nil {
		return nil, err
	}
	after, err := b.ctl.megaflows(ctx)
	if err != nil {
		return nil, err
	}
	if n := after - before; n < p.delivered*99/100 || n > o.setUps+purged {
		return nil, fmt.Errorf("%d megaflows for %d packets that arrived of %d: the bench is wrong", n, p.delivered, o.setUps)
	}
	if err := b.ctl.purge(ctx); err != nil {
		return nil, err
	}
	return []float64{float64(p.delivered) / p.elapsed.Seconds(), float64(p.lost) / float64(o.setUps)}, nil
}

// setUpRate is the load, in new flows per second, under which the first packets' latency is taken.
const setUpRate = 10000

// setUpLatency is how long the first packet of a flow is on its way, one way, at a steady load of such.
func setUpLatency(ctx context.Context, o *options, b *bed) ([]float64, error) {
	if err := b.ctl.purge(ctx); err != nil {
		return nil, err
	}
	fr := frames(min(o.setUps, setUpRate/2), setUpOf)
	var took []float64
	if err := on(place{ns: b.hosts[0], cpu: -1}, func() error {
		s, err := newSender(hostDevice, fr)
		if err != nil {
			return err
		}
		defer s.close()
		took, err = s.paced(b.sink, setUpRate)
		return err
	}); err != nil {
		return nil, err
	}
	if err := b.ctl.purge(ctx); err != nil {
		return nil, err
	}
	return percentiles(took)
}
