package bridge

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/bridge/tunnel"
	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// vxlanKernel has devices of VXLAN alone.
type vxlanKernel struct{ tunnelMaker }

func (vxlanKernel) TunnelKind(typ string) error {
	if typ == "vxlan" {
		return nil
	}
	return fmt.Errorf("this kernel has no %s devices: %w", typ, syscall.EOPNOTSUPP)
}

func TestNativeTunnel(t *testing.T) {
	for _, c := range []struct {
		mode   string
		typ    string
		native bool // the datapath can
		want   bool
		err    string
	}{
		{"auto", "vxlan", true, true, ""},
		{"auto", "geneve", true, true, ""},
		{"native", "gre", true, true, ""},
		{"kernel", "vxlan", true, false, ""},
		{"kernel", "geneve", true, false, "other_config:tunnel-mode=kernel: this kernel has no geneve devices: operation not supported"},
		{"auto", "vxlan", false, false, ""},
		{"auto", "gre", false, false, "other_config:tunnel-mode=auto: this kernel has no gre devices: operation not supported"},
		{"native", "vxlan", false, false, "other_config:tunnel-mode=native: the datapath has no native tunnels: operation not supported"},
	} {
		k := kernelTunnels{vxlanKernel{}, c.native}
		got, err := k.Native(c.mode, datapath.TunnelSpec{Type: c.typ})
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("%s %s, native %v: %v, %q, want %v, %q", c.mode, c.typ, c.native, got, text, c.want, c.err)
		}
	}
}

func TestKernelFamily(t *testing.T) {
	for _, c := range []struct {
		typ, remote string
		wrong       bool
	}{
		{"gre", "192.0.2.1", false},
		{"gre", "2001:db8::1", true},
		{"gre", "flow", false},
		{"ip6gre", "2001:db8::1", false},
		{"ip6gre", "192.0.2.1", true},
		{"ip6gre", "flow", false},
		{"vxlan", "2001:db8::1", false},
		{"geneve", "192.0.2.1", false},
	} {
		conf, _, err := tunnel.Parse("tun", c.typ, map[string]string{"remote_ip": c.remote})
		if err != nil {
			t.Fatal(err)
		}
		if err := kernelFamily(&conf); (err != nil) != c.wrong {
			t.Errorf("%s to %s: %v", c.typ, c.remote, err)
		}
	}
}

func TestTunnelError(t *testing.T) {
	const head = "could not add network device vx to ofproto "
	for _, c := range []struct {
		err  error
		want string
	}{
		{syscall.EEXIST, "(File exists)"},
		{&netdev.OpenError{Name: "vxlan_sys_4789", Err: syscall.EADDRINUSE, Hint: "UDP port 4789"}, "(Address already in use: UDP port 4789)"},
		{&netdev.OpenError{Name: "vxlan_sys_4789", Err: syscall.EPERM}, "(Operation not permitted)"},
		{fmt.Errorf("this kernel has no geneve devices: %w", syscall.EOPNOTSUPP), "(this kernel has no geneve devices: operation not supported)"},
		{errors.New("too many ports"), "(too many ports)"},
	} {
		if got := (&tunnelError{"vx", c.err}).Error(); got != head+c.want {
			t.Errorf("%v: %q, want %q", c.err, got, head+c.want)
		}
	}
}
