package ebpf

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// TestRemoveStale looks at which pin directories are taken for a dead instance's.
func TestRemoveStale(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	dir := l.pins()
	base := filepath.Dir(dir)
	runDir := t.TempDir()
	claim := func() {
		t.Helper()
		if err := Claim(dir, runDir); err != nil {
			t.Fatal(err)
		}
	}
	stays := func(why string) {
		t.Helper()
		if removed, err := RemoveStale(base); err != nil || len(removed) != 0 {
			t.Errorf("%s: removed %v, %v", why, removed, err)
		}
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
	goes := func(why, reason string) {
		t.Helper()
		removed, err := RemoveStale(base)
		if err != nil || len(removed) != 1 || removed[0].Dir != dir || !contains(removed[0].Reason, reason) {
			t.Errorf("%s: removed %v, %v", why, removed, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", why, err)
		}
	}
	start := func() *Datapath {
		t.Helper()
		claim()
		o := small()
		o.PinDir = dir
		d := l.open(o)
		if d.ports[1] == nil {
			l.port(d, "h1", datapath.PortNetdev)
		}
		return d
	}

	d := start()
	stays("running")
	os.Remove(runDir)
	stays("running, without run directory")
	d.Close(false)
	os.Mkdir(runDir, 0o755)
	stays("stopped, and forwarding")
	os.Remove(filepath.Join(dir, ownerMntns))
	os.Symlink("1", filepath.Join(dir, ownerMntns))
	os.Remove(runDir)
	stays("the run directory is in another mount namespace")
	os.Mkdir(runDir, 0o755)
	claim()
	os.Remove(runDir)
	// Something of somebody else's is not removed, nor is what is around it.
	foreign := filepath.Join(dir, "theirs")
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Pin(foreign); err != nil {
		t.Fatal(err)
	}
	if removed, err := RemoveStale(base); err == nil || !contains(err.Error(), foreign) || len(removed) != 0 {
		t.Errorf("foreign pin: removed %v, %v", removed, err)
	}
	os.Remove(foreign)
	goes("without run directory", "run directory "+runDir+" does not exist")

	os.Mkdir(runDir, 0o755)
	start().Close(false)
	os.Remove(filepath.Join(dir, ownerNetns))
	os.Symlink("1", filepath.Join(dir, ownerNetns))
	stays("the namespace is unknown, but a device is there")
	// As when the namespace ends; the device for packets from user space goes with it.
	l.sh("ip -br link | sed 's/[@ ].*//' | grep -v '^lo$' | xargs -n1 ip link del")
	goes("without namespace and devices", "network namespace")
}

// TestForeignPins gives Open a directory with things in it that are not its own.
func TestForeignPins(t *testing.T) {
	l := newLab(t)
	o := small()
	o.PinDir = l.pins()
	d := l.open(o)
	layout := d.pins.dir()
	d.Close(false)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ours := filepath.Join(layout, "map_slots")
	for _, path := range []string{filepath.Join(o.PinDir, "theirs"), filepath.Join(layout, "theirs"), ours} {
		if path == ours {
			os.Remove(path)
		}
		if err := m.Pin(path); err != nil {
			t.Fatal(err)
		}
		if d, err := Open(context.Background(), o); err == nil {
			d.Close(false)
			t.Errorf("%s: no error", path)
		} else if !contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
		os.Remove(path)
	}
	// A map is missing: the rest is of no use.
	d = l.open(o)
	if err := d.Close(true); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(o.PinDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pin directory: %v", err)
	}
}
