package ovn

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// transfer wants that many bytes of TCP pass whole, in the segments that hosts make of them, from a host to another.
func (w *network) transfer(from, to *testenv.Host, dst string) {
	w.t.Helper()
	sent := make([]byte, 16<<20)
	rand.Read(sent)
	got := make(chan []byte, 1)
	var addr netip.AddrPort
	inside(w.t, to, func() error {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(dst), 0)))
		if err != nil {
			return err
		}
		addr = l.Addr().(*net.TCPAddr).AddrPort()
		l.SetDeadline(time.Now().Add(20 * time.Second))
		go func() {
			defer l.Close()
			c, err := l.Accept()
			if err != nil {
				got <- nil
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(30 * time.Second))
			b, _ := io.ReadAll(c)
			got <- b
		}()
		return nil
	})
	inside(w.t, from, func() error {
		c, err := net.DialTimeout("tcp", addr.String(), 10*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		_, err = c.Write(sent)
		return err
	})
	if b := <-got; !bytes.Equal(b, sent) {
		w.t.Errorf("%d of %d bytes to %s arrive, or other ones", len(b), len(sent), dst)
	}
}

// direct wants that of many packets only a few leave the datapath.
func (w *network) direct(h *testenv.Host, dst string) {
	w.t.Helper()
	const packets = 500
	before := w.missed()
	h.Ping(dst, 56, 1)
	h.Run("ping", "-n", "-c", strconv.Itoa(packets), "-i", "0.002", dst)
	if n := w.missed() - before; n > packets/5 {
		w.t.Errorf("of %d packets to %s, %d left the datapath", packets, dst, n)
	}
}

var lookups = regexp.MustCompile(`lookups: hit:\d+ missed:(\d+)`)

// missed is how many packets found no megaflow.
func (w *network) missed() (sum int) {
	w.t.Helper()
	for _, c := range w.chassis {
		m := lookups.FindStringSubmatch(c.Appctl("dpctl/show"))
		if m == nil {
			w.t.Fatal("dpctl/show has no lookups")
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			w.t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// converse has a host send a byte over TCP to another and wait for the answer, again and again. What it returns ends that, and wants
// that the connection has lived until then.
func (w *network) converse(from, to *vm) (stop func()) {
	w.t.Helper()
	var l net.Listener
	inside(w.t, to.Host, func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(to.ip4, "0"))
		return err
	})
	w.t.Cleanup(func() { l.Close() })
	go func() {
		if c, err := l.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	var c net.Conn
	inside(w.t, from.Host, func() (err error) {
		c, err = net.DialTimeout("tcp", l.Addr().String(), 20*time.Second)
		return err
	})
	end, done := make(chan struct{}), make(chan error, 1)
	go func() {
		defer c.Close()
		for b := []byte{1}; ; time.Sleep(5 * time.Millisecond) {
			select {
			case <-end:
				done <- nil
				return
			default:
			}
			c.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err := c.Write(b); err != nil {
				done <- err
				return
			}
			if _, err := io.ReadFull(c, b); err != nil {
				done <- err
				return
			}
		}
	}()
	return func() {
		w.t.Helper()
		close(end)
		if err := <-done; err != nil {
			w.t.Errorf("an established connection: %v", err)
		}
	}
}

// injected wants that a packet which ovn-controller is told to inject passes the logical network.
func injected(r *routed) {
	r.t.Helper()
	rx := listen(r.t, r.h2.Host)
	r.first.Run("ovn-appctl", "-t", "ovn-controller", "inject-pkt", fmt.Sprintf(`inport == "p1" && eth.src == %s && eth.dst == 02:00:00:00:00:01 `+
		`&& ip4 && ip.ttl == 64 && ip4.src == %s && ip4.dst == %s && udp && udp.src == 1 && udp.dst == 4242`, r.h1.mac, r.h1.ip4, r.h2.ip4))
	if rx.find(to(4242)) == nil {
		r.t.Error("an injected packet does not arrive")
	}
}
