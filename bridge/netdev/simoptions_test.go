package netdev

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// simFrame is a frame of 15 octets that ends in n.
func simFrame(n byte) []byte {
	return append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x12, 0x34}, n)
}

func openSim(t *testing.T, s *Sim, name string) *SimDevice {
	t.Helper()
	d := mustOpen(t, s, name, Dummy).(*SimDevice)
	t.Cleanup(func() { d.Close() })
	return d
}

func TestSimCapture(t *testing.T) {
	dir := t.TempDir()
	c := clock.NewManual(time.Unix(0x01020304, 5000))
	d := openSim(t, NewSim(c), "p1")
	file := func(name string) string { return filepath.Join(dir, name) }
	configure := func(options map[string]string) {
		t.Helper()
		for range 2 { // the second time changes nothing
			if err := d.Configure(options); err != nil {
				t.Fatal(err)
			}
		}
	}
	traffic := func(in, out byte) {
		t.Helper()
		if err := d.Receive(simFrame(in)); err != nil {
			t.Fatal(err)
		}
		if err := d.Transmit(simFrame(out)); err != nil {
			t.Fatal(err)
		}
	}
	configure(map[string]string{"rxq_pcap": file("rx"), "tx_pcap": file("tx")})
	traffic(1, 2)
	configure(map[string]string{"pcap": file("both")})
	traffic(3, 4)
	configure(map[string]string{"rxq_pcap": file("rx")}) // appended to
	traffic(5, 6)
	configure(nil)
	traffic(7, 8)

	const header = "d4c3b2a1" + "0200" + "0400" + "00000000" + "00000000" + "ee050000" + "01000000"
	record := func(n byte) string {
		return "04030201" + "05000000" + "0f000000" + "0f000000" + hex.EncodeToString(simFrame(n))
	}
	for name, want := range map[string]string{
		"rx": header + record(1) + record(5), "tx": header + record(2), "both": header + record(3) + record(4),
	} {
		got, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, hex.EncodeToString(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	err := d.Configure(map[string]string{"tx_pcap": filepath.Join(dir, "no", "such")})
	if err == nil || !strings.Contains(err.Error(), "options:tx_pcap: ") {
		t.Errorf("a file that cannot be made: %v", err)
	}
	traffic(9, 9)
}

func TestSimStream(t *testing.T) {
	s := NewSim(clock.Real{})
	a, b := openSim(t, s, "a"), openSim(t, s, "b")
	socket := "unix:" + filepath.Join(t.TempDir(), "wire")
	atA, atB := make(chan []byte, 1), make(chan []byte, 1)
	a.OnReceive(func(f []byte) { atA <- f })
	b.OnReceive(func(f []byte) { atB <- f })
	if err := a.Configure(map[string]string{"pstream": "p" + socket}); err != nil {
		t.Fatal(err)
	}
	if err := b.Configure(map[string]string{"stream": socket}); err != nil {
		t.Fatal(err)
	}
	wait := func(want string) {
		t.Helper()
		for n := 0; b.ConnState() != want; n++ {
			if n > 5000 {
				t.Fatalf("the connection is %s, want %s", b.ConnState(), want)
			}
			time.Sleep(time.Millisecond)
		}
	}
	wait("connected")
	if got := a.ConnState(); got != "unknown" {
		t.Errorf("the passive end is %s", got)
	}
	b.Transmit(simFrame(1))
	if got := <-atA; !bytes.Equal(got, simFrame(1)) {
		t.Errorf("a got %x", got)
	}
	a.Transmit(simFrame(2))
	if got := <-atB; !bytes.Equal(got, simFrame(2)) {
		t.Errorf("b got %x", got)
	}
	a.Close()
	wait("disconnected")
	for _, bad := range []map[string]string{{"stream": "ssl:1.2.3.4:5"}, {"pstream": "unix:/x"}, {"stream": "unix:"}, {"pstream": "ptcp:x"}} {
		if err := b.Configure(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestSimARP(t *testing.T) {
	d := openSim(t, NewSim(clock.Real{}), "p1")
	d.AddAddr(netip.MustParsePrefix("10.0.0.9/24"))
	var got []string
	d.OnReceive(func(f []byte) { got = append(got, hex.EncodeToString(f)) })
	ask := func(op, target string) {
		b, err := hex.DecodeString("ffffffffffff" + "020000000002" + "0806" + "0001080006040" + op + "020000000002" + "0a000001" + "000000000000" + target)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Transmit(b); err != nil {
			t.Fatal(err)
		}
	}
	ask("001", "0a000008") // somebody else
	ask("002", "0a000009") // no question
	ask("001", "0a000009")
	want := []string{"020000000002" + "aa55aa550000" + "0806" + "0001080006040002" + "aa55aa550000" + "0a000009" + "020000000002" + "0a000001"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}
