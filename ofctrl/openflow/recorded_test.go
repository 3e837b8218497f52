package openflow

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorded is one message of testdata/recorded.bin: what ovs-ofctl, ovn-controller and ovs-vswitchd 3.1 and
// 4.0 sent. A record is the direction ('C' controller, 'S' switch), whether 1.0 flow mods carry a
// table, how long tun_metadata0 is, and the message.
type recorded struct {
	msg []byte
	st  *State
}

func loadRecorded(tb testing.TB) []recorded {
	b, err := os.ReadFile("testdata/recorded.bin")
	if err != nil {
		tb.Fatal(err)
	}
	var out []recorded
	for len(b) > 0 {
		n := int(be16(b[5:]))
		st := &State{Client: b[0] == 'C', FlowModTableID: b[1] == 1, TLV: &TLVMap{}}
		for i := range st.TLV {
			st.TLV[i].Off, st.TLV[i].Len = uint8(4*i), 4
		}
		st.TLV[0].Len = b[2]
		out = append(out, recorded{b[3 : 3+n], st})
		b = b[3+n:]
	}
	return out
}

// Every recorded message decodes, and encodes again to the same bytes.
func TestRecorded(t *testing.T) {
	kinds := map[string]int{}
	for _, r := range loadRecorded(t) {
		xid, v, m, err := Decode(r.msg, r.st)
		if err != nil {
			t.Errorf("decode: %v\n%x", err, r.msg)
			continue
		}
		out, err := Append([]byte("front"), v, xid, m, r.st)
		if err != nil {
			t.Errorf("encode %T: %v\n%x", m, err, r.msg)
			continue
		}
		if got := out[len("front"):]; !bytes.Equal(got, r.msg) {
			t.Errorf("%T\nrecorded %x\nencoded  %x", m, r.msg, got)
		}
		if _, raw := m.(*Raw); raw {
			t.Errorf("message type %d is not interpreted", r.msg[1])
		}
		kinds[messageName(m)]++
	}
	if len(kinds) < 60 {
		t.Errorf("only %d kinds of messages are recorded: %v", len(kinds), kinds)
	}
}

func messageName(m Message) string {
	switch m := m.(type) {
	case *MultipartRequest:
		return typeName(m.Body)
	case *MultipartReply:
		return typeName(m.Body)
	}
	return typeName(m)
}

// A truncated or extended message is an error or another message, but never a panic; so is every
// single changed byte.
func TestDamaged(t *testing.T) {
	for _, r := range loadRecorded(t) {
		if len(r.msg) > 200 {
			continue
		}
		b := bytes.Clone(r.msg)
		for n := range b {
			short := bytes.Clone(b[:n])
			if n >= 4 {
				short[2], short[3] = byte(n>>8), byte(n)
			}
			stable(t, short, r.st)
		}
		for i := range b {
			old := b[i]
			for _, v := range []byte{0, 0xff, old ^ 1, old + 1} {
				b[i] = v
				stable(t, b, r.st)
			}
			b[i] = old
		}
	}
}

// stable checks that what decodes encodes to something that decodes to the same.
func stable(t *testing.T, b []byte, st *State) {
	t.Helper()
	xid, v, m, err := Decode(b, st)
	if err != nil || v < V10 || v > V15 {
		return
	}
	// Two steps: the first may bring the message into the form that we write.
	one, err := Append(nil, v, xid, m, st)
	if err != nil {
		return
	}
	_, _, m2, err := Decode(one, st)
	if err != nil {
		t.Fatalf("%x decodes to %T, but its encoding %x: %v", b, m, one, err)
	}
	two, err := Append(nil, v, xid, m2, st)
	if err != nil || !bytes.Equal(one, two) {
		t.Fatalf("%x: %T is not stable: %v\n%x\n%x\n%s", b, m, err, one, two, cmp.Diff(m, m2))
	}
}

func FuzzDecode(f *testing.F) {
	st := &State{TLV: &TLVMap{{0, 4}, {4, 124}}, FlowModTableID: true}
	for _, r := range loadRecorded(f) {
		f.Add(r.msg)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 4 && len(b) <= 0xffff {
			b = bytes.Clone(b)
			b[2], b[3] = byte(len(b)>>8), byte(len(b))
		}
		stable(t, b, st)
		stable(t, b, &State{Loose: true})
	})
}

func BenchmarkDecodeFlowMod(b *testing.B) {
	msg, st := benchFlowMod(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := Decode(msg, st); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeFlowMod(b *testing.B) {
	msg, st := benchFlowMod(b)
	_, v, m, err := Decode(msg, st)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = Append(buf[:0], v, 1, m, st); err != nil {
			b.Fatal(err)
		}
	}
}

// benchFlowMod is ovn-controller's flow mod of about 150 bytes.
func benchFlowMod(b *testing.B) ([]byte, *State) {
	for _, r := range loadRecorded(b) {
		if r.msg[1] == 34 && r.msg[17] == 14 && len(r.msg) > 160 && len(r.msg) < 176 {
			return r.msg[16:], r.st
		}
	}
	b.Fatal("no flow mod of the size")
	return nil, nil
}
