package ebpf

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// stopFilling has no time go by for a port's buckets.
func stopFilling(d *Datapath, n odp.Port) { d.policers.at[n].Time = math.MaxUint64 / 2 }

// Random tables and packets, with limits on some of the ports: both datapaths drop the same packets, and count them.
func TestDifferentialPolicing(t *testing.T) {
	x := newDiffer(t)
	policed := 0
	for n := range 60 {
		r := rand.New(rand.NewPCG(*diffSeed, uint64(n)))
		g := &diffGen{r: r, ports: x.ports, made: map[string]int{}, accept: func(f *datapath.Flow) error {
			ref, err := x.d.FlowPut(f)
			if err == nil {
				_, err = x.d.FlowDel(ref)
			}
			return err
		}}
		c := g.make(diffBatch)
		for i := range c.packets {
			c.packets[i].wait = 0 // time stands still
		}
		x.policing = map[odp.Port]datapath.Policing{}
		for _, p := range x.ports {
			if err := x.d.PortPolice(p, datapath.Policing{}); err != nil {
				t.Fatal(err)
			}
			if r.IntN(3) == 0 {
				continue
			}
			x.policing[p] = datapath.Policing{Rate: 1, Burst: 1 + r.Uint32N(20), PacketRate: r.Uint32N(2)}
			if err := x.d.PortPolice(p, x.policing[p]); err != nil {
				t.Fatal(err)
			}
			stopFilling(x.d, p)
		}
		before, err := x.d.Ports()
		if err != nil {
			t.Fatal(err)
		}
		err = x.run(c)
		if err != nil && !errors.Is(err, errLimit) {
			t.Fatalf("case %d of seed %d: %v\n%v\n%s", n, *diffSeed, err, x.policing, c)
		}
		after, err := x.d.Ports()
		if err != nil {
			t.Fatal(err)
		}
		for i := range after {
			policed += int(after[i].Stats.RxPoliced - before[i].Stats.RxPoliced)
		}
	}
	t.Logf("%d of %d packets dropped", policed, x.did.pairs)
	if policed < x.did.pairs/20 || policed > x.did.pairs*3/4 {
		t.Error("the proof proves little")
	}
}

func TestPolicing(t *testing.T) {
	l := newLab(t)
	o := small()
	o.PinDir = l.pins()
	d := l.open(o)
	l.host("h1", 1)
	p := l.port(d, "h1", datapath.PortNetdev)
	frame := make([]byte, 1000)
	copy(frame, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5})

	// send says how many of n packets are dropped, as the port and the drops have it.
	send := func(n int) uint64 {
		t.Helper()
		count := func() (policed uint64) {
			st, err := d.PortStats(p)
			if err != nil {
				t.Fatal(err)
			}
			drops, err := d.Drops()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range drops {
				if r.Port == p && r.Reason == "ingress_policing" {
					policed = r.Packets
				}
			}
			if st.RxPoliced != policed {
				t.Errorf("the port has dropped %d, the reason counts %d", st.RxPoliced, policed)
			}
			return policed
		}
		before := count()
		if _, err := d.TestRun(p, frame, 0, 0, n); err != nil {
			t.Fatal(err)
		}
		return count() - before
	}
	set := func(c datapath.Policing) {
		t.Helper()
		if err := d.PortPolice(p, c); err != nil {
			t.Fatal(err)
		}
		if c.On() {
			stopFilling(d, p)
		}
	}
	for _, x := range []struct {
		name    string
		limits  datapath.Policing
		dropped uint64 // of 20,000 packets of 8,000 bits
	}{
		{"none", datapath.Policing{}, 0},
		{"bits", datapath.Policing{Rate: 1, Burst: 80}, 20000 - 10},
		{"the default burst of bits", datapath.Policing{Rate: 1}, 20000 - 1000},
		{"packets", datapath.Policing{PacketRate: 1, PacketBurst: 2}, 20000 - 2000},
		{"the default burst of packets", datapath.Policing{PacketRate: 1}, 20000 - 16000},
		{"both, bits are fewer", datapath.Policing{Rate: 1, Burst: 8000, PacketRate: 1, PacketBurst: 3}, 20000 - 1000},
		{"both, packets are fewer", datapath.Policing{Rate: 1, Burst: 80000, PacketRate: 1, PacketBurst: 3}, 20000 - 3000},
		{"a burst without a rate", datapath.Policing{Burst: 1, PacketBurst: 1}, 0},
		{"the highest", datapath.Policing{Rate: math.MaxUint32, Burst: math.MaxUint32, PacketRate: math.MaxUint32, PacketBurst: math.MaxUint32}, 0},
	} {
		set(x.limits)
		if n := send(20000); n != x.dropped {
			t.Errorf("%s: %d packets dropped, want %d", x.name, n, x.dropped)
		}
	}

	// The same again leaves the bucket, another fills it, time fills it up to its size.
	set(datapath.Policing{Rate: 1, Burst: 80})
	send(10)
	set(datapath.Policing{Rate: 1, Burst: 80})
	if n := send(1); n != 1 {
		t.Error("setting the same limits has filled the bucket")
	}
	d.policers.at[p].Time = 0
	if n := send(1); n != 0 {
		t.Error("time has not filled the bucket")
	}
	stopFilling(d, p)
	if n := send(20); n != 20-9 {
		t.Errorf("of a bucket that an hour has filled, %d of 20 packets were dropped, want 11", n)
	}
	set(datapath.Policing{Rate: 1, Burst: 160})
	if n := send(21); n != 1 {
		t.Errorf("of 21 packets %d were dropped for a larger burst, want 1", n)
	}

	// It goes on without the agent, and the next one finds it as it was.
	if err := d.Close(false); err != nil {
		t.Fatal(err)
	}
	d = l.open(o)
	defer func() { d.Close(true) }()
	if again := l.port(d, "h1", datapath.PortNetdev); again != p {
		t.Fatalf("port %d is %d now", p, again)
	}
	if n := send(3); n != 3 {
		t.Error("the limit has not outlived a restart")
	}
	set(datapath.Policing{Rate: 1, Burst: 160})
	if n := send(3); n != 3 {
		t.Error("setting the same limits after a restart has filled the bucket")
	}
	set(datapath.Policing{})
	if n := send(1000); n != 0 {
		t.Errorf("%d packets dropped without a limit", n)
	}
	set(datapath.Policing{Rate: 1, Burst: 8})
	if err := d.PortDel(p); err != nil {
		t.Fatal(err)
	}
	p = l.port(d, "h1", datapath.PortNetdev)
	if n := send(1000); n != 0 {
		t.Errorf("%d packets dropped of a new port", n)
	}
	if got, want := fmt.Sprint(d.PortPolice(99, datapath.Policing{Rate: 1})), "policing of port 99: no such port"; !cmp.Equal(got, want) {
		t.Errorf("a port that is not there: %s", got)
	}
}
