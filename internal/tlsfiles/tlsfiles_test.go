package tlsfiles

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/internal/tlsfiles/tlstest"
)

// issue makes the files of a peer of an authority.
func issue(a *tlstest.Authority, dir, name string) Files {
	key, cert := a.Issue(dir, name)
	return Files{PrivateKey: key, Certificate: cert, CACert: a.File}
}

// connect connects a client with a server and returns what each of them says.
func connect(t *testing.T, client, server Files) (clientErr, serverErr error) {
	t.Helper()
	cc, err := Client(func() Files { return client })
	if err != nil {
		t.Fatal(err)
	}
	sc, err := Server(func() Files { return server })
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer nc.Close()
		c := tls.Server(nc, sc)
		if err = c.Handshake(); err == nil {
			_, err = c.Write([]byte("x"))
		}
		done <- err
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := tls.Client(nc, cc)
	if clientErr = c.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(c, make([]byte, 1))
	}
	nc.Close()
	return clientErr, <-done
}

func TestVerified(t *testing.T) {
	ours, theirs := tlstest.New(t, "ours"), tlstest.New(t, "theirs")
	dir := t.TempDir()
	client, server, stranger := issue(ours, dir, "client"), issue(ours, dir, "server"), issue(theirs, dir, "stranger")
	if c, s := connect(t, client, server); c != nil || s != nil {
		t.Errorf("two of one authority: %v, %v", c, s)
	}
	if c, _ := connect(t, client, stranger); c == nil || !strings.Contains(c.Error(), "certificate of the peer") {
		t.Errorf("a server of another authority: %v", c)
	}
	stranger.CACert = ours.File // it trusts us
	if _, s := connect(t, stranger, server); s == nil || !strings.Contains(s.Error(), "certificate of the peer") {
		t.Errorf("a client of another authority: %v", s)
	}

	// Files are read again for each connection.
	client2 := issue(theirs, dir, "client") // in place
	client2.CACert = ours.File
	if _, s := connect(t, client, server); s == nil {
		t.Error("the replaced certificate is not in use")
	}
	both, err := os.ReadFile(theirs.File)
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(ours.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ours.File, append(old, both...), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, s := connect(t, client, server); c != nil || s != nil {
		t.Errorf("with both authorities in the file: %v, %v", c, s)
	}
}

func TestBootstrap(t *testing.T) {
	ours := tlstest.New(t, "ours")
	dir := t.TempDir()
	client, server := issue(ours, dir, "client"), issue(ours, dir, "server")
	client.CACert, client.Bootstrap = filepath.Join(dir, "new-ca.pem"), true
	if c, _ := connect(t, client, server); c == nil || !strings.Contains(c.Error(), "self-signed") {
		t.Errorf("from a peer that does not send its authority: %v", c)
	}
	if _, err := os.Stat(client.CACert); !errors.Is(err, os.ErrNotExist) {
		t.Error("the file is there")
	}
	server.PeerCACert = ours.File
	if c, _ := connect(t, client, server); !errors.Is(c, ErrBootstrapped) {
		t.Errorf("the first connection: %v", c)
	}
	if c, s := connect(t, client, server); c != nil || s != nil {
		t.Errorf("the next connection: %v, %v", c, s)
	}
	stranger := issue(tlstest.New(t, "theirs"), dir, "stranger")
	stranger.CACert = ours.File
	if c, _ := connect(t, client, stranger); c == nil {
		t.Error("a stranger is trusted")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".ca-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	good := issue(tlstest.New(t, "ours"), dir, "x")
	for _, tt := range []struct {
		change func(*Files)
		want   string
	}{
		{func(*Files) {}, ""},
		{func(f *Files) { f.PrivateKey = "" }, "private key must be configured"},
		{func(f *Files) { f.Certificate = "" }, "certificate must be configured"},
		{func(f *Files) { f.CACert = "" }, "CA certificate must be configured"},
		{func(f *Files) { f.Certificate = "/none" }, "/none"},
		{func(f *Files) { f.PrivateKey = f.Certificate }, "key pair of"},
	} {
		f := good
		tt.change(&f)
		if err := f.Check(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", f, err, tt.want)
		}
	}
}

func TestProtocols(t *testing.T) {
	for _, tt := range []struct {
		text     string
		min, max uint16
		err      bool
	}{
		{"", tls.VersionTLS12, tls.VersionTLS13, false},
		{"TLSv1.2", tls.VersionTLS12, tls.VersionTLS12, false},
		{"TLSv1.3", tls.VersionTLS13, tls.VersionTLS13, false},
		{"TLSv1.2,TLSv1.3", tls.VersionTLS12, tls.VersionTLS13, false},
		{"TLSv1.2+", tls.VersionTLS12, tls.VersionTLS13, false},
		{"TLSv1.1", 0, 0, true},
		{"SSLv3", 0, 0, true},
	} {
		c, err := Client(func() Files { return Files{Protocols: tt.text} })
		if (err != nil) != tt.err || err == nil && (c.MinVersion != tt.min || c.MaxVersion != tt.max) {
			t.Errorf("%q: %+v, %v", tt.text, c, err)
		}
	}
}
