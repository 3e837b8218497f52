package dummy

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/internal/tlsfiles"
	"github.com/ovs-bpf/ovs-bpf/internal/tlsfiles/tlstest"
)

// keys makes the files of a peer, readable by an agent that is not root.
func (s *sim) keys(a *tlstest.Authority, name string) tlsfiles.Files {
	s.t.Helper()
	key, cert := a.Issue(s.Dir, name)
	ca := filepath.Join(s.Dir, name+"-ca.pem")
	b, err := os.ReadFile(a.File)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(ca, b, 0o644); err != nil {
		s.t.Fatal(err)
	}
	return tlsfiles.Files{PrivateKey: key, Certificate: cert, CACert: ca}
}

// secured is ovs-ofctl with the files.
func (s *sim) secured(f tlsfiles.Files, args ...string) (string, error) {
	s.t.Helper()
	out, code := s.Try("ovs-ofctl", append([]string{"-p", f.PrivateKey, "-c", f.Certificate, "-C", f.CACert, "-t", "5"}, args...)...)
	if code != 0 {
		return out, errors.New(out)
	}
	return out, nil
}

// The stock ovs-ofctl connects by TLS, both sides verified; the SSL row and its files can be replaced under way.
func TestPSSL(t *testing.T) {
	t.Parallel()
	s := start(t, 1, "fail_mode=secure")
	ours, theirs := tlstest.New(t, "ours"), tlstest.New(t, "theirs")
	agent, tool, stranger := s.keys(ours, "agent"), s.keys(ours, "tool"), s.keys(theirs, "stranger")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	s.Vsctl("set-ssl", agent.PrivateKey, agent.Certificate, agent.CACert, "--", "set-controller", "br0", "pssl:"+port+":127.0.0.1")
	target := "ssl:127.0.0.1:" + port
	s.Eventually("TLS connections", func() error {
		out, err := s.secured(tool, "show", target)
		if err == nil && !strings.Contains(out, "OFPT_FEATURES_REPLY") {
			return errors.New(out)
		}
		return err
	})
	stranger.CACert = tool.CACert // it trusts us
	if out, err := s.secured(stranger, "show", target); err == nil {
		t.Errorf("a stranger is served: %s", out)
	}

	// Another authority, in the same files.
	other := s.keys(theirs, "agent")
	stranger.CACert = other.CACert
	s.Eventually("the new files are in use", func() error { _, err := s.secured(stranger, "show", target); return err })
	if out, err := s.secured(tool, "show", target); err == nil {
		t.Errorf("one of the old authority is served: %s", out)
	}

	// Other files, by the row.
	again := s.keys(ours, "again")
	s.Vsctl("set-ssl", again.PrivateKey, again.Certificate, again.CACert)
	s.Eventually("the new row is in force", func() error { _, err := s.secured(tool, "show", target); return err })

	// Without a row there is nothing to serve with.
	s.Vsctl("del-ssl")
	s.Eventually("no TLS without files", func() error {
		if _, err := s.secured(tool, "show", target); err == nil {
			return errors.New("it is served")
		}
		return nil
	})
}

// An ssl: controller gets the switch's connection; snoopers hear what is said.
func TestSSLController(t *testing.T) {
	t.Parallel()
	s := start(t, 1)
	ours := tlstest.New(t, "ours")
	agent, controller := s.keys(ours, "agent"), s.keys(ours, "controller")
	controller.PeerCACert = ours.File // for those that bootstrap
	config, err := tlsfiles.Server(func() tlsfiles.Files { return controller })
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bootstrapped := filepath.Join(s.Dir, "bootstrapped.pem")
	s.Vsctl("--bootstrap", "set-ssl", agent.PrivateKey, agent.Certificate, bootstrapped,
		"--", "set-controller", "br0", "ssl:"+l.Addr().String(), "--", "set", "controller", "br0", "max_backoff=1000", "inactivity_probe=0")
	// The clock stands still: the first connection brings the authority's certificate, backoff must go by.
	arrived := make(chan net.Conn, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// The client ends the connection by which it learned whom to trust.
			if _, err := c.Write([]byte{1, 0, 0, 8, 0, 0, 0, 1}); err == nil {
				if _, err := io.ReadFull(c, make([]byte, 8)); err == nil {
					arrived <- c
					return
				}
			}
			c.Close()
		}
	}()
	var c net.Conn
	s.Eventually("the switch connects", func() error {
		s.Appctl("time/warp", "1000")
		select {
		case c = <-arrived:
			return nil
		default:
			return errors.New("no connection yet")
		}
	})
	defer c.Close()
	if _, err := os.Stat(bootstrapped); err != nil {
		t.Errorf("bootstrapped certificate: %v", err)
	}
	s.Eventually("is_connected", func() error { return s.is("true", "controller", "br0", "is_connected") })

	stop := s.Background("", "ovs-ofctl", "snoop", "br0")
	in := bufio.NewReader(c)
	xid := uint32(100)
	s.Eventually("the snooper hears the controller", func() error {
		xid++
		msg := binary.BigEndian.AppendUint32([]byte{1, 2, 0, 8}, xid) // echo request
		if _, err := c.Write(msg); err != nil {
			t.Fatal(err)
		}
		for {
			head := make([]byte, 8)
			if _, err := io.ReadFull(in, head); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint16(head[2:]))-8); err != nil {
				t.Fatal(err)
			}
			if head[1] == 3 && binary.BigEndian.Uint32(head[4:]) == xid {
				break
			}
		}
		if xid < 110 {
			return fmt.Errorf("%d echoes", xid-100)
		}
		return nil
	})
	out := stop()
	s.contains("snoop", out, "OFPT_ECHO_REQUEST", "OFPT_ECHO_REPLY")
}

// Controller settings: no asynchronous messages, packet-ins limited.
func TestControllerSettings(t *testing.T) {
	t.Parallel()
	s := start(t, 2)
	path := filepath.Join(s.Dir, "c.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	s.Vsctl("set-fail-mode", "br0", "secure", "--", "set-controller", "br0", "unix:"+path, "--", "set", "controller", "br0",
		"inactivity_probe=0", "controller_rate_limit=100", "controller_burst_limit=25")
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte{1, 0, 0, 8, 0, 0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	packetIns := make(chan int, 1000)
	go func() {
		in := bufio.NewReader(c)
		for n := 0; ; {
			head := make([]byte, 8)
			if _, err := io.ReadFull(in, head); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint16(head[2:]))-8); err != nil {
				return
			}
			if head[1] == 10 {
				n++
				packetIns <- n
			}
		}
	}()
	s.Eventually("is_connected", func() error { return s.is("true", "controller", "br0", "is_connected") })
	s.Ofctl("add-flow", "br0", "in_port=1,actions=controller")
	var packets []string
	for range 100 {
		packets = append(packets, ping(1, 2, 0))
	}
	s.receive("p1", packets...)
	// The clock stands still: a burst goes, another waits, the rest is dropped.
	sent := 0
	got := func(n int) error {
		for len(packetIns) > 0 {
			sent = <-packetIns
		}
		if sent < n {
			return fmt.Errorf("%d packet-ins, want %d", sent, n)
		}
		return nil
	}
	s.Eventually("the burst is sent", func() error { return got(25) })
	s.Eventually("the backlog is sent", func() error { s.Appctl("time/warp", "50"); return got(50) })
	s.Eventually("all are accounted for", func() error {
		s.Appctl("time/warp", "5000")
		out := s.Vsctl("get", "controller", "br0", "status")
		for _, want := range []string{fmt.Sprintf(`packet-in-action-dropped="%d"`, 100-sent), `packet-in-action-backlog="0"`, `packet-in-miss-queued="0"`} {
			if err := got(0); err != nil || !strings.Contains(out, want) {
				return fmt.Errorf("%s lacks %s", out, want)
			}
		}
		return nil
	})
	if sent == 100 {
		t.Error("nothing was limited")
	}
}
