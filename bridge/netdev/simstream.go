package netdev

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// Limits of the connections that carry packets of simulated devices.
const (
	wireQueue = 100         // packets that wait to be written to a connection; more are dropped
	wireRetry = time.Second // between attempts to connect
)

// simWire joins a simulated device to others, in this process or elsewhere: connections on which each packet follows
// its length in two octets. A nil *simWire joins it to nothing.
type simWire struct {
	dev    *SimDevice
	active bool // it connects, by options:stream
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]chan []byte
}

// openWire makes the connection that options ask for, nil when they ask for none.
func openWire(d *SimDevice, options map[string]string) (*simWire, error) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &simWire{dev: d, cancel: cancel, conns: map[net.Conn]chan []byte{}}
	switch {
	case options["pstream"] != "":
		l, err := listenWire(options["pstream"])
		if err != nil {
			cancel()
			return nil, fmt.Errorf("options:pstream: %w", err)
		}
		context.AfterFunc(ctx, func() { _ = l.Close() })
		w.wg.Go(func() { w.accept(ctx, l) })
	case options["stream"] != "":
		network, addr, err := wireTarget(options["stream"], "unix", "tcp")
		if err != nil {
			cancel()
			return nil, fmt.Errorf("options:stream: %w", err)
		}
		w.active = true
		w.wg.Go(func() { w.connect(ctx, network, addr) })
	default:
		cancel()
		return nil, nil
	}
	return w, nil
}

// wireTarget splits a target of one of the schemes given.
func wireTarget(target, unix, tcp string) (network, addr string, err error) {
	scheme, rest, _ := strings.Cut(target, ":")
	switch {
	case scheme == unix && rest != "":
		return "unix", rest, nil
	case scheme == tcp && rest != "":
		return "tcp", rest, nil
	}
	return "", "", fmt.Errorf("%q is neither %s:FILE nor %s with an address", target, unix, tcp)
}

// listenWire listens at punix:FILE or ptcp:PORT[:IP].
func listenWire(target string) (net.Listener, error) {
	network, addr, err := wireTarget(target, "punix", "ptcp")
	if err != nil {
		return nil, err
	}
	if network == "tcp" {
		port, ip, _ := strings.Cut(addr, ":")
		return net.Listen("tcp", net.JoinHostPort(strings.Trim(ip, "[]"), port))
	}
	// What an earlier run left is in the way.
	if st, err := os.Stat(addr); err == nil && st.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(addr)
	}
	return net.Listen("unix", addr)
}

func (w *simWire) accept(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wireRetry): // out of descriptors
			}
			continue
		}
		w.wg.Go(func() { w.carry(ctx, c) })
	}
}

func (w *simWire) connect(ctx context.Context, network, addr string) {
	for ctx.Err() == nil {
		var d net.Dialer
		if c, err := d.DialContext(ctx, network, addr); err == nil {
			w.carry(ctx, c)
		}
		select {
		case <-ctx.Done():
		case <-w.dev.sim.clock.After(wireRetry):
		}
	}
}

// carry moves packets over a connection until it breaks.
func (w *simWire) carry(ctx context.Context, c net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { _ = c.Close() })
	queue := make(chan []byte, wireQueue)
	w.mu.Lock()
	w.conns[c] = queue
	w.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case frame := <-queue:
				b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(frame)), uint16(len(frame)))
				if _, err := c.Write(append(b, frame...)); err != nil {
					cancel()
					return
				}
			}
		}
	})
	w.read(c)
	w.mu.Lock()
	delete(w.conns, c)
	w.mu.Unlock()
	cancel()
	writer.Wait()
}

// read has the device receive what arrives.
func (w *simWire) read(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		var size [2]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		const header = 14
		if len(frame) < header || w.dev.Receive(frame) != nil {
			return // not a packet, or no device any more
		}
	}
}

// send puts a packet on every connection. It never blocks.
func (w *simWire) send(frame []byte) {
	if w == nil || len(frame) > 1<<16-1 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, queue := range w.conns {
		select {
		case queue <- frame:
		default:
		}
	}
}

// close ends the connections and waits for their goroutines.
func (w *simWire) close() {
	if w == nil {
		return
	}
	w.cancel()
	w.wg.Wait()
}

// ConnState is the state of the connection that options:stream makes: "connected" or "disconnected"; "unknown" of a
// device without it.
func (d *SimDevice) ConnState() string {
	d.sim.mu.Lock()
	w := d.wire
	d.sim.mu.Unlock()
	if w == nil || !w.active {
		return "unknown"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.conns) > 0 {
		return "connected"
	}
	return "disconnected"
}
