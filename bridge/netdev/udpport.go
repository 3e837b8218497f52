package netdev

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ReserveUDP keeps a UDP port for tunnels that programs build, until it is closed: nobody else can listen there, whose packets the
// programs would take. What they leave to the host is dropped. The error is *OpenError in the name of the tunnels' port, and
// wraps EADDRINUSE when somebody has the UDP port.
func (l *Linux) ReserveUDP(name string, port uint16) (io.Closer, error) {
	f, err := l.bindUDP(port)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &OpenError{name, err, portHint(port)}
	} else if err != nil {
		return nil, &OpenError{name, err, ""}
	}
	return f, nil
}

func portHint(port uint16) string { return fmt.Sprintf("UDP port %d", port) }

// bindUDP binds a socket to a port of all addresses, which fails when there is another of any address.
func (l *Linux) bindUDP(port uint16) (f *os.File, err error) {
	err = l.ns.do(func() error {
		err := errors.ErrUnsupported
		for _, addr := range []unix.Sockaddr{&unix.SockaddrInet6{Port: int(port)}, &unix.SockaddrInet4{Port: int(port)}} {
			if f, err = bindUDP(addr); !errors.Is(err, syscall.EAFNOSUPPORT) {
				break // else there is no IPv6
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reserve UDP port %d: %w", port, err)
	}
	return f, nil
}

func bindUDP(addr unix.Sockaddr) (*os.File, error) {
	family := unix.AF_INET
	if _, ok := addr.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "udp")
	if family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) // IPv4, too
	}
	if err == nil {
		// A filter that passes nothing: nobody reads.
		none := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &none})
	}
	if err == nil {
		err = unix.Bind(fd, addr)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
