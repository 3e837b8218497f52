package ofctrl

import (
	"bufio"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// peer is the other end of a connection, byte by byte.
type peer struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func (b *bench) dial() *peer {
	b.t.Helper()
	nc, err := net.Dial("unix", b.mgmt())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { nc.Close() })
	return newPeer(b.t, nc)
}

func newPeer(t *testing.T, nc net.Conn) *peer {
	// Only so that a broken test ends.
	_ = nc.SetDeadline(time.Now().Add(60 * time.Second))
	return &peer{t, nc, bufio.NewReader(nc)}
}

// write sends bytes given in hexadecimal.
func (p *peer) write(text string) {
	p.t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the next message in hexadecimal.
func (p *peer) read() string {
	p.t.Helper()
	b, err := openflow.ReadMessage(p.r, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

func (p *peer) expect(want string) {
	p.t.Helper()
	if got := p.read(); got != strings.ReplaceAll(want, " ", "") {
		p.t.Errorf("got %s, want %s", got, want)
	}
}

// closed checks that the switch ends the connection.
func (p *peer) closed() {
	p.t.Helper()
	if b, err := openflow.ReadMessage(p.r, 0); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(errText(err), "reset") {
		p.t.Errorf("connection is open: %x, %v", b, err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// hello opens a connection in a version.
func (p *peer) hello(version string) {
	p.t.Helper()
	p.read()
	p.write(version + "00 0008 00000001")
}

func TestNegotiation(t *testing.T) {
	for _, tt := range []struct {
		name     string
		ours     uint32
		hello    string // the switch's
		send     string
		reply    string // to an echo request, or the error
		rejected bool
	}{
		{"highest of both", 0, "06 00 0008 00000000", "04 00 0008 00000001", "04 03 0008 00000007", false},
		{"a later version than any", 0, "06 00 0008 00000000", "09 00 0008 00000001", "06 03 0008 00000007", false},
		{"bitmap", 0, "06 00 0008 00000000", "06 00 0010 00000001 0001 0008 00000012", "04 03 0008 00000007", false},
		{"bitmap behind an unknown element", 0, "06 00 0008 00000000", "06 00 0018 00000001 00ff 0005 01 000000 0001 0008 00000010", "04 03 0008 00000007", false},
		{"restricted", 1<<openflow.V10 | 1<<openflow.V13, "04 00 0010 00000000 0001 0008 00000012", "03 00 0008 00000001", "01 03 0008 00000007", false},
		{"nothing in common", 1 << openflow.V15, "06 00 0010 00000000 0001 0008 00000040", "04 00 0008 00000001", "06 01", true},
		{"nothing in common in the bitmap", 1<<openflow.V13 | 1<<openflow.V14, "05 00 0010 00000000 0001 0008 00000030", "06 00 0010 00000001 0001 0008 00000042", "04 01", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, false, nil)
			b.SetProtocols(tt.ours)
			p := b.dial()
			p.expect(tt.hello)
			p.write(tt.send)
			if tt.rejected {
				got := p.read()
				if !strings.HasPrefix(got, strings.ReplaceAll(tt.reply, " ", "")) || got[16:24] != "00000000" {
					t.Errorf("no HELLO_FAILED, INCOMPATIBLE: %s", got)
				}
				p.closed()
				return
			}
			p.write(tt.reply[:3] + "02 0008 00000007")
			p.expect(tt.reply)
		})
	}
}

func TestNoHello(t *testing.T) {
	b := newBench(t, false, nil)
	for _, bytes := range []string{
		"04 02 0008 00000007", // an echo request
		"04 00 0007 00000007", // too short to be a message
		"04 00 0000 00000007",
		"00",
		"48545450",
	} {
		p := b.dial()
		p.read()
		p.write(bytes)
		_ = p.nc.(*net.UnixConn).CloseWrite()
		p.closed()
	}
}

// TestBadMessages sends what is wrong in all manners; each gets its error with the request's xid and
// bytes, and the connection lives on.
func TestBadMessages(t *testing.T) {
	long := "04 7b 0080 00000009" + strings.Repeat("ab", 120)
	for _, tt := range []struct{ name, send, want string }{
		{"unknown type", "04 7b 0008 00000009", "04 01 0014 00000009 0001 0001 04 7b 0008 00000009"},
		{"whole request", long, "04 01 008c 00000009 0001 0001 04 7b 0080 00000009" + strings.Repeat("ab", 120)},
		{"another version", "05 05 0008 00000009", "05 01 0014 00000009 0001 0000 05 05 0008 00000009"},
		{"no version", "00 05 0008 00000009", "04 01 0014 00000009 0001 0000 00 05 0008 00000009"},
		{"reply to a switch", "04 15 0008 00000009", "04 01 0014 00000009 0001 0001 04 15 0008 00000009"},
		{"too long", "04 05 000c 00000009 00000000", "04 01 0018 00000009 0001 0006 04 05 000c 00000009 00000000"},
		{"too short", "04 0e 0010 00000009 0000000000000000", "04 01 001c 00000009 0001 0006 04 0e 0010 00000009 0000000000000000"},
		{"unknown experimenter", "04 04 0010 00000009 00123456 00000001", "04 01 001c 00000009 0001 0003 04 04 0010 00000009 00123456 00000001"},
		{"unknown Nicira message", "04 04 0010 00000009 00002320 0000fffe", "04 01 001c 00000009 0001 0004 04 04 0010 00000009 00002320 0000fffe"},
		{"unknown multipart", "04 12 0010 00000009 0077 0000 00000000", "04 01 001c 00000009 0001 0002 04 12 0010 00000009 0077 0000 00000000"},
		{"unknown experimenter multipart", "04 12 0018 00000009 ffff 0000 00000000 00123456 00000001",
			"04 01 0024 00000009 0001 0003 04 12 0018 00000009 ffff 0000 00000000 00123456 00000001"},
		{"error gets no answer", "04 01 000c 00000009 0001 0001", ""},
		{"echo", "04 02 000b 00000009 616263", "04 03 000b 00000009 616263"},
		{"barrier", "04 14 0008 00000009", "04 15 0008 00000009"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, false, nil)
			p := b.dial()
			p.hello("04")
			p.write(tt.send)
			if tt.want != "" {
				p.expect(tt.want)
			}
			p.write("04 02 0008 00000077")
			for {
				got := p.read()
				if got == "0403000800000077" {
					break
				}
				if tt.want != "" || tt.name == "error gets no answer" {
					t.Errorf("also got %s", got)
				}
			}
		})
	}
}

// A message that is cut into pieces, and many in one piece, are the same to the switch.
func TestPieces(t *testing.T) {
	b := newBench(t, false, nil)
	p := b.dial()
	p.hello("04")
	for _, piece := range []string{"04", "02", "0008", "000000", "01"} {
		p.write(piece)
	}
	p.expect("04 03 0008 00000001")
	p.write(strings.Repeat("0402000800000002", 500))
	for range 500 {
		p.expect("04 03 0008 00000002")
	}
}

// TestSlowReader: a peer that asks for much and reads nothing is not served without end, and
// nobody else waits for it.
func TestSlowReader(t *testing.T) {
	b := newBench(t, false, nil)
	slow := b.dial()
	slow.hello("04")
	// Packet-ins, too: miss_send_len 128.
	slow.write("04 09 000c 00000002 0000 0080" + "04 14 0008 00000003")
	slow.expect("04 15 0008 00000003")
	// 4 MB of echoes, which nobody reads. The writes end when the switch stops reading.
	request, _ := hex.DecodeString("0402fff800000004" + strings.Repeat("00", 0xfff8-8))
	full := make(chan struct{})
	go func() {
		defer close(full)
		for range 64 {
			if _, err := slow.nc.Write(request); err != nil {
				return
			}
		}
	}()
	packet := make([]byte, 1000)
	for range 5000 {
		b.SendPacketIn(&PacketIn{PacketIn: openflow.PacketIn{Reason: openflow.ReasonAction, Packet: packet}})
	}
	b.Switch.mu.Lock()
	var dropped uint64
	var q *queue
	for c := range b.conns {
		if c.missSendLen == 128 {
			dropped, q = c.remote.dropped, c.out
		}
	}
	b.Switch.mu.Unlock()
	if dropped == 0 {
		t.Error("no packet-in was dropped")
	}
	q.mu.Lock()
	if q.packetIns > maxPacketIns || q.replies > maxReplies {
		t.Errorf("%d packet-ins and %d bytes of replies wait", q.packetIns, q.replies)
	}
	q.mu.Unlock()
	quick := b.dial()
	quick.hello("04")
	quick.write("04 02 0008 00000005")
	quick.expect("04 03 0008 00000005")
	if out := b.ofctl("add-flow", "BR", "in_port=1,actions=drop"); out != "" {
		t.Error(out)
	}
	slow.nc.Close()
	<-full
}

// Service connections get asynchronous messages only after they have asked.
func TestServiceConnectionIsQuiet(t *testing.T) {
	b := newBench(t, false, nil)
	p := b.dial()
	p.hello("04")
	p.write("04 14 0008 00000001")
	p.expect("04 15 0008 00000001")
	b.PortStatus(0, b.host.Ports()[0])
	p.write("04 09 000c 00000002 0000 0001" + "04 14 0008 00000003")
	p.expect("04 15 0008 00000003")
	b.PortStatus(1, b.host.Ports()[0])
	if got := p.read(); !strings.HasPrefix(got, "040c00500000000001") {
		t.Errorf("got %s, want the deletion of a port only", got)
	}
}

// TestGarbage sends messages with any type and any body: each connection lives on and answers.
func TestGarbage(t *testing.T) {
	b := newBench(t, false, nil)
	rapid.Check(t, func(rt *rapid.T) {
		version := rapid.ByteRange(1, 6).Draw(rt, "version")
		p := b.dial()
		defer p.nc.Close()
		p.hello(hex.EncodeToString([]byte{version}))
		for range rapid.IntRange(1, 20).Draw(rt, "messages") {
			typ := rapid.ByteRange(1, 36).Draw(rt, "type")
			body := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 0, 0, 1, 2, 4, 8, 13, 16, 0x20, 0x23, 0x80, 0xff}), 0, 120).Draw(rt, "body")
			if len(body) >= 8 && rapid.Bool().Draw(rt, "Nicira") {
				copy(body, []byte{0, 0, 0x23, 0x20, 0, 0, 0})
				typ = 4
			}
			m := append([]byte{version, typ, 0, byte(8 + len(body)), 0, 0, 0, 9}, body...)
			if _, err := p.nc.Write(m); err != nil {
				rt.Fatal(err)
			}
		}
		echo := []byte{version, 2, 0, 8, 0, 0, 0xab, 0xcd}
		if _, err := p.nc.Write(echo); err != nil {
			rt.Fatal(err)
		}
		for {
			m, err := openflow.ReadMessage(p.r, 0)
			if err != nil {
				rt.Fatal(err)
			}
			if m[1] == typeEchoReply && m[6] == 0xab && m[7] == 0xcd {
				return
			}
		}
	})
}
