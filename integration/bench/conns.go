package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	connPort    = 8100
	connThreads = 4 // at each end; each has one connection at a time
	request     = 64
)

// connections is how many short TCP connections a second there are: connect, a request, a response, close. Their source must be
// translated.
func connections(ctx context.Context, o *options, b *bed) ([]float64, error) {
	if _, err := b.in(ctx, b.hosts[0], "sysctl", "-qw", "net.ipv4.tcp_tw_reuse=1", "net.ipv4.ip_local_port_range=1024 65535"); err != nil {
		return nil, err
	}
	listener := -1
	if err := on(place{ns: b.hosts[1], cpu: -1}, func() (err error) {
		listener, err = listen(hostIP[1], connPort)
		return err
	}); err != nil {
		return nil, err
	}
	var stop atomic.Bool
	var servers, clients sync.WaitGroup
	var served, made [connThreads]error
	for i := range connThreads {
		servers.Go(func() {
			served[i] = on(place{ns: b.hosts[1], cpu: o.cpuRX, fifo: o.fifo}, func() error { return serve(listener, &stop) })
		})
	}
	var n atomic.Int64
	start := time.Now()
	for i := range connThreads {
		clients.Go(func() {
			made[i] = on(place{ns: b.hosts[0], cpu: cpuTX, fifo: o.fifo}, func() error {
				for time.Since(start) < o.time || n.Load() == 0 {
					if err := exchange(); err != nil {
						return err
					}
					n.Add(1)
				}
				return nil
			})
		})
	}
	clients.Wait()
	took := time.Since(start)
	stop.Store(true)
	servers.Wait()
	unix.Close(listener)
	if err := errors.Join(append(made[:], served[:]...)...); err != nil {
		return nil, err
	}
	return []float64{float64(n.Load()) / took.Seconds()}, nil
}

func address(ip string, port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: port, Addr: [4]byte(net.ParseIP(ip).To4())}
}

// listen is a socket whose accept ends after a while, so that servers see when to stop.
func listen(ip string, port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50000}),
		unix.Bind(fd, address(ip, port)), unix.Listen(fd, 128),
	); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set up listener: %w", err)
	}
	return fd, nil
}

// serve answers requests, one connection after the other. The clients close first: a translated source comes back soon as that of
// another client, whom a server that remembers the connection (TIME_WAIT) would not let in.
func serve(listener int, stop *atomic.Bool) error {
	buf := make([]byte, request)
	for !stop.Load() {
		fd, from, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		a, ok := from.(*unix.SockaddrInet4)
		if !ok || net.IP(a.Addr[:]).String() != snatAddr {
			unix.Close(fd)
			return fmt.Errorf("the client is %v: the bench is wrong", from)
		}
		echo(fd, buf)
		unix.Close(fd)
	}
	return nil
}

// echo sends back what comes until the client closes.
func echo(fd int, buf []byte) {
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}) // not the listener's
	for {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		if _, err := unix.Write(fd, buf[:n]); err != nil {
			return
		}
	}
}

// exchange is one connection of the client.
func exchange() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		return fmt.Errorf("set up socket: %w", err)
	}
	if err := unix.Connect(fd, address(hostIP[1], connPort)); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	buf := make([]byte, request)
	if _, err := unix.Write(fd, buf); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	for got := 0; got < request; {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR): // a limit of time makes it so
			continue
		case err != nil:
			return fmt.Errorf("receive response: %w", err)
		case n == 0:
			return fmt.Errorf("%d bytes of the response", got)
		}
		got += n
	}
	return nil
}
