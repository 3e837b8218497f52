package integration

import (
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// slowController serves OpenFlow 1.0 on a socket: a while after a switch has connected, it sets up flows between ports 1
// and 2, one after the other.
func slowController(t *testing.T, path string, delay time.Duration) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.Write([]byte{1, 0, 0, 8, 0, 0, 0, 1}) // hello
				for _, ports := range [][2]uint16{{1, 2}, {2, 1}} {
					time.AfterFunc(delay*time.Duration(ports[0]), func() { c.Write(flowMod10(ports[0], ports[1])) })
				}
				for head := make([]byte, 8); ; {
					if _, err := io.ReadFull(c, head); err != nil {
						return
					}
					body := make([]byte, max(int(binary.BigEndian.Uint16(head[2:]))-8, 0))
					if _, err := io.ReadFull(c, body); err != nil {
						return
					}
					if head[1] == 2 { // echo request
						head[1] = 3
						c.Write(append(head[:8:8], body...))
					}
				}
			}()
		}
	}()
}

// flowMod10 is an OpenFlow 1.0 message that adds a flow from one port to another.
func flowMod10(from, to uint16) []byte {
	b := make([]byte, 80)
	b[0], b[1] = 1, 14
	be := binary.BigEndian
	be.PutUint16(b[2:], uint16(len(b)))
	be.PutUint32(b[8:], 0x3fffff&^1) // all wildcards but in_port
	be.PutUint16(b[12:], from)
	be.PutUint16(b[62:], 100)        // priority
	be.PutUint32(b[64:], 0xffffffff) // no buffer
	be.PutUint16(b[68:], 0xffff)     // out_port: none
	be.PutUint16(b[74:], 8)          // output
	be.PutUint16(b[76:], to)
	return b
}

// TestRestartWithController kills the agent of a bridge whose flows a controller takes seconds to set up again: what was
// forwarded before is forwarded all the time, and then by the new flows.
func TestRestartWithController(t *testing.T) {
	t.Parallel()
	e := testenv.Prepare(t)
	e.ExternalDatabase()
	e.Start()
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	socket := filepath.Join(e.Dir, "controller.sock")
	slowController(t, socket, 1500*time.Millisecond)
	e.Vsctl("set-fail-mode", "br0", "secure", "--", "set-controller", "br0", "unix:"+socket)
	a.Reach("10.1.1.2")
	a.Run("ip", "neigh", "replace", "10.1.1.2", "lladdr", b.MAC(), "dev", "eth0", "nud", "permanent")
	b.Run("ip", "neigh", "replace", "10.1.1.1", "lladdr", a.MAC(), "dev", "eth0", "nud", "permanent")
	ping := e.Background(a.NS, "ping", "-n", "-i", "0.005", "10.1.1.2")
	a.Ping("10.1.1.2", 56, 3)
	e.Kill()
	e.Start()
	log := func() string { return e.Run("cat", filepath.Join(e.Dir, "ovs-vswitchd.log")) }
	e.Eventually("the hold ends", func() error {
		if !strings.Contains(log(), "revalidated now: controllers have set up their flows") {
			return io.EOF
		}
		return nil
	})
	e.Appctl("revalidator/wait")
	a.Ping("10.1.1.2", 56, 3)
	if sent, lost := lostPings(t, ping()); lost != 0 || sent < 200 {
		t.Errorf("%d of %d pings lost", lost, sent)
	}
	// Whoever the controller no longer lets through is not let through.
	e.Ofctl("del-flows", "br0", "in_port=1")
	e.Appctl("revalidator/wait")
	a.NoReach("10.1.1.2")
}
