package ebpf

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

const killEnv = "OVS_BPF_TEST_PINS"

// TestMain runs the test binary as a datapath that waits to be killed, when it is asked to.
func TestMain(m *testing.M) {
	dir := os.Getenv(killEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	o := small()
	o.PinDir = dir
	if _, err := Open(context.Background(), o); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

// TestKill kills the datapath's process time and again: no packet of its flows may be lost,
// neither while it is dead nor when the next one takes over.
func TestKill(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	l.in("h1", "ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev e0")
	l.in("h2", "ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev e0")
	o := small()
	o.PinDir = l.pins()
	d := l.open(o)
	p1, p2 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev)
	for in, out := range map[odp.Port]odp.Port{p1: p2, p2: p1} {
		// More than one action, so that the program array is needed.
		f := &datapath.Flow{Actions: []odp.Action{odp.PopVLAN{}, odp.Output{Port: out}}}
		f.Match.Set(flow.InPort, uint64(in))
		if _, err := d.FlowPut(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(false); err != nil {
		t.Fatal(err)
	}
	ping := exec.Command("ip", "netns", "exec", l.name+"h1", "ping", "-i", "0.002", "-c", "1500", "10.0.0.2")
	var out strings.Builder
	ping.Stdout = &out
	if err := ping.Start(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		child := exec.Command("/proc/self/exe")
		child.Env = append(os.Environ(), killEnv+"="+o.PinDir)
		pipe, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(pipe).ReadString('\n')
		if err := child.Process.Kill(); err != nil {
			t.Error(err)
		}
		child.Wait()
		if line != "ready\n" {
			t.Fatalf("child: %s", line)
		}
	}
	ping.Wait()
	if n := loss(out.String()); n != 0 {
		t.Errorf("lost %d: %s", n, out.String())
	}
	d = l.open(o)
	st, err := d.Stats()
	if err != nil || st.Flows != 2 || st.Missed > 50 {
		t.Errorf("%+v, %v", st, err)
	}
	if err := d.Close(true); err != nil {
		t.Error(err)
	}
	l.clean(t, "h1", "h2")
}
