package ebpf

import (
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

func TestTraffic(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	d := l.open(small())
	defer d.Close(true)
	p1, p2 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev)
	sw := learn(d, p1, p2)
	defer func() {
		if t.Failed() {
			dumpState(t, d)
		}
		sw.check(t)
	}()
	for _, size := range []string{"56", "1400", "3200"} {
		l.in("h1", "ping -c3 -i0.05 -W1 -s "+size+" 10.0.0.2")
		l.in("h1", "ping -6 -c3 -i0.05 -W1 -s "+size+" fd00::2")
	}
	l.start("h2", "iperf3", "-s")
	time.Sleep(300 * time.Millisecond)
	t.Log(l.in("h1", "iperf3 -c 10.0.0.2 -t 2 | tail -4"))
	t.Log(l.in("h1", "iperf3 -R -c 10.0.0.2 -t 1 | tail -4"))
}
