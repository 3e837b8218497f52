package netdev

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestReserveUDP wants one of all who listen to have a port, whatever their addresses.
func TestReserveUDP(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "test")
	ip(t, "link set lo up")
	for _, addr := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(addr), Port: 4789})
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.ReserveUDP("vxlan_sys_4789", 4789)
		if want := "could not open network device vxlan_sys_4789 (Address already in use: UDP port 4789)"; !errors.Is(err, syscall.EADDRINUSE) || err.Error() != want {
			t.Errorf("used at %s: %v, want %s", addr, err, want)
		}
		other.Close()
		mine, err := l.ReserveUDP("vxlan_sys_4789", 4789)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(addr), Port: 4789}); err == nil {
			other.Close()
			t.Errorf("reserved, and %s can listen", addr)
		}
		if err := mine.Close(); err != nil {
			t.Error(err)
		}
	}
}
