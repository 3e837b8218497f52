package netdev

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"syscall"
	"testing"
)

// TestReserveUDP wants one of all who listen to have a port, whatever their addresses.
func TestReserveUDP(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "test")
	ip(t, "link set lo up")
	reserves := map[string]func() (io.Closer, error){
		"UDP": func() (io.Closer, error) { return l.ReserveUDP("vxlan_sys_4789", 4789) },
		"tunnel": func() (io.Closer, error) {
			return l.ReserveTunnel("vxlan_sys_4789", Tunnel{Type: "vxlan", DstPort: 4789})
		},
	}
	for _, addr := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(addr), Port: 4789})
		if err != nil {
			t.Fatal(err)
		}
		for name, reserve := range reserves {
			_, err = reserve()
			if want := "could not open network device vxlan_sys_4789 (Address already in use: UDP port 4789)"; !errors.Is(err, syscall.EADDRINUSE) || err.Error() != want {
				t.Errorf("%s, used at %s: %v, want %s", name, addr, err, want)
			}
		}
		other.Close()
		for name, reserve := range reserves {
			mine, err := reserve()
			if err != nil {
				t.Fatal(err)
			}
			if other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(addr), Port: 4789}); err == nil {
				other.Close()
				t.Errorf("%s, reserved, and %s can listen", name, addr)
			}
			if err := mine.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestReserveTunnel has two instances keep a UDP port, as when one follows the other that was killed, and the kernel's devices not.
func TestReserveTunnel(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "test")
	for _, typ := range []string{"vxlan", "geneve"} {
		reserve := func() io.Closer {
			c, err := l.ReserveTunnel("tun", Tunnel{Type: typ, DstPort: 4789})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first, second := reserve(), reserve()
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		ip(t, "link add vx0 type vxlan id 5 remote 192.0.2.9 dstport 4789")
		if err := exec.Command("ip", "link", "set", "vx0", "up").Run(); err == nil {
			t.Errorf("%s: another device has the UDP port, too", typ)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
		ip(t, "link set vx0 up")
		if _, err := l.ReserveTunnel("tun", Tunnel{Type: typ, DstPort: 4789}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s: another device's UDP port: %v", typ, err)
		}
		ip(t, "link del vx0")
	}
}
