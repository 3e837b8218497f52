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

// budget is how many instructions the verifier may look at in one program; its limit is a
// million, and older kernels look at more than newer ones.
const budget = 300000

func TestBudget(t *testing.T) {
	l := newLab(t)
	d := l.open(small())
	defer d.Close(true)
	for name, p := range d.coll.Programs {
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		n, ok := info.VerifiedInstructions()
		t.Logf("%-8s %d", name, n)
		if !ok || n > budget {
			t.Errorf("%s: the verifier looked at %d instructions", name, n)
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	o := small()
	o.PinDir = l.pins()
	fds := func() int {
		ents, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(ents)
	}
	l.open(o).Close(true)
	before := fds()
	for range 5 {
		d := l.open(o)
		for range 20 {
			if err := d.PortDel(l.port(d, "h1", datapath.PortNetdev)); err != nil {
				t.Fatal(err)
			}
		}
		l.port(d, "h1", datapath.PortNetdev)
		if err := d.Close(true); err != nil {
			t.Fatal(err)
		}
	}
	if after := fds(); after != before {
		t.Errorf("%d descriptors, were %d", after, before)
	}
	l.clean(t, "h1")
	if _, err := os.Stat(o.PinDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pin directory: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	l := newLab(t)
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"pins elsewhere": {func(o *Options) { o.PinDir = t.TempDir() }, "not on a bpffs"},
		"masks":          {func(o *Options) { o.MaxMasks = 1000 }, "1000 masks: at most 256"},
		"ring":           {func(o *Options) { o.RingBytes = 300000 }, "power of two"},
	} {
		o := small()
		tc.change(&o)
		d, err := Open(context.Background(), o)
		if err == nil {
			d.Close(true)
		}
		if err == nil || !contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	d := l.open(small())
	defer d.Close(true)
	if _, err := d.PortAdd(datapath.PortSpec{Name: "nodev"}); err == nil || !contains(err.Error(), "port nodev: ") {
		t.Errorf("missing device: %v", err)
	}
}

func TestFindBPFFS(t *testing.T) {
	dir := t.TempDir()
	mounted := filepath.Join(dir, "bpffs")
	t.Cleanup(func() { unmount(mounted) })
	got, err := FindBPFFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got != sysBPFFS && got != mounted {
		t.Errorf("found %s", got)
	}
	if !isBPFFS(got) {
		t.Errorf("%s is no bpffs", got)
	}
	if again, err := FindBPFFS(dir); again != got || err != nil {
		t.Errorf("then %s, %v", again, err)
	}

	// What is pinned keeps it, the kernel's own files do not.
	if got == mounted {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := m.Pin(filepath.Join(got, "pin")); err != nil {
			t.Fatal(err)
		}
		if err := UnmountBPFFS(dir); err != nil || !isBPFFS(got) {
			t.Errorf("unmounted with a pin in it: %v", err)
		}
		if err := m.Unpin(); err != nil {
			t.Fatal(err)
		}
	}
	if err := UnmountBPFFS(dir); err != nil || isBPFFS(mounted) {
		t.Errorf("not unmounted: %v", err)
	}
}
