package netdev

import (
	"errors"
	"net"
	"slices"
	"syscall"
	"testing"
)

var vxlan = Tunnel{Type: "vxlan", DstPort: 4789}

func mustTunnel(t *testing.T, l *Linux, name string, tun Tunnel) Info {
	t.Helper()
	i, err := l.OpenTunnel(name, tun)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestTunnel follows a device over runs: found again as long as it is what is wanted, made anew when not.
func TestTunnel(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "test")
	first := mustTunnel(t, l, "vxlan_sys_4789", vxlan)
	if !first.Up || first.Kind != "vxlan" || first.MTU < 65000 || first.Alias != l.mark {
		t.Errorf("the device is %+v", first)
	}
	again := newLinux(t, "test")
	if i := mustTunnel(t, again, "vxlan_sys_4789", vxlan); i != first {
		t.Errorf("the device of the earlier run is %+v, found is %+v", first, i)
	}
	gbp := vxlan
	gbp.GBP = true
	second := mustTunnel(t, l, "vxlan_sys_4789", gbp)
	if second.Ifindex == first.Ifindex {
		t.Error("a device without GBP is taken for one with it")
	}
	if i := mustTunnel(t, l, "vxlan_sys_4789", gbp); i != second {
		t.Errorf("found is %+v, made was %+v", i, second)
	}
	mustTunnel(t, l, "vxlan_sys_8472", Tunnel{Type: "vxlan", DstPort: 8472})
	removed, err := l.Sweep([]string{"vxlan_sys_4789"})
	if err != nil || !slices.Equal(removed, []string{"vxlan_sys_8472"}) {
		t.Errorf("Sweep: %v, %v", removed, err)
	}
	if err := l.CloseTunnel("vxlan_sys_4789"); err != nil {
		t.Error(err)
	}
	if _, err := l.Lookup("vxlan_sys_4789"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("the closed device: %v", err)
	}
	if err := l.CloseTunnel("vxlan_sys_4789"); err != nil {
		t.Errorf("closing what is gone: %v", err)
	}
}

func TestTunnelErrors(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "test")
	ip(t, "link set lo up")
	ip(t, "link add vxlan_sys_1 type vxlan external dstport 1001")
	ip(t, "link set vxlan_sys_1 up")
	udp, err := net.ListenUDP("udp", &net.UDPAddr{Port: 1003})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, c := range []struct {
		name  string
		tun   Tunnel
		want  string
		errno syscall.Errno
	}{
		{"vxlan_sys_1", Tunnel{Type: "vxlan", DstPort: 1002}, `could not open network device vxlan_sys_1 (File exists: a vxlan device that is not ours; "ip link del vxlan_sys_1" makes room)`, syscall.EEXIST},
		{"vxlan_sys_2", Tunnel{Type: "vxlan", DstPort: 1001}, "could not open network device vxlan_sys_2 (Address already in use: UDP port 1001)", syscall.EADDRINUSE},
		{"vxlan_sys_3", Tunnel{Type: "vxlan", DstPort: 1003}, "could not open network device vxlan_sys_3 (Address already in use: UDP port 1003)", syscall.EADDRINUSE},
		{"lisp_sys", Tunnel{Type: "lisp"}, `could not open network device lisp_sys (Address family not supported by protocol: type "lisp")`, syscall.EAFNOSUPPORT},
		{"a/b", vxlan, "could not open network device a/b (Invalid argument)", syscall.EINVAL},
	} {
		_, err := l.OpenTunnel(c.name, c.tun)
		if err == nil || err.Error() != c.want || !errors.Is(err, c.errno) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	for _, name := range []string{"vxlan_sys_2", "vxlan_sys_3"} {
		if i, err := l.Lookup(name); !errors.Is(err, ErrNoDevice) {
			t.Errorf("of the failure %+v is left", i)
		}
	}
	if err := l.CloseTunnel("vxlan_sys_1"); err != nil {
		t.Error(err)
	}
	if _, err := l.Lookup("vxlan_sys_1"); err != nil {
		t.Errorf("somebody else's device: %v", err)
	}
}

// TestTunnelKinds wants each kind that the kernel has made, and of the others to be told which option is missing.
func TestTunnelKinds(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "test")
	for name, tun := range map[string]Tunnel{
		"vxlan_sys_4789": vxlan, "genev_sys_6081": {Type: "geneve", DstPort: 6081}, "gre_sys": {Type: "gre"}, "ip6gre_sys": {Type: "ip6gre"},
	} {
		lack := l.TunnelKind(tun.Type)
		i, err := l.OpenTunnel(name, tun)
		if lack != nil {
			if !errors.Is(lack, syscall.EOPNOTSUPP) || !errors.Is(err, syscall.EOPNOTSUPP) {
				t.Errorf("%s: %v, but it opens with %v", tun.Type, lack, err)
			}
			t.Logf("%v; %v", lack, err)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tun.Type, err)
			continue
		}
		t.Logf("%s: MTU %d", name, i.MTU)
		if found, err := l.OpenTunnel(name, tun); err != nil || found.Ifindex != i.Ifindex {
			t.Errorf("%s: found is %+v, %v, made was %+v", tun.Type, found, err, i)
		}
	}
}
