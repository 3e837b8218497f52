package integration

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// dialOF connects to a bridge's management socket.
func dialOF(t *testing.T, e *testenv.Env, bridge string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(e.Dir, bridge+".mgmt"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// sendOF writes bytes in hexadecimal, spaces ignored.
func sendOF(t *testing.T, c net.Conn, text string) {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// readOF reads one OpenFlow message.
func readOF(c net.Conn) ([]byte, error) {
	h := make([]byte, 8)
	if _, err := io.ReadFull(c, h); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(h[2:]))
	if n < 8 {
		return nil, fmt.Errorf("message of %d bytes", n)
	}
	b := append(h, make([]byte, n-8)...)
	_, err := io.ReadFull(c, b[8:])
	return b, err
}

// readOFXid reads up to the message with a transaction id.
func readOFXid(t *testing.T, c net.Conn, xid uint32) []byte {
	t.Helper()
	for {
		m, err := readOF(c)
		if err != nil {
			t.Fatalf("xid %#x: %v", xid, err)
		}
		if binary.BigEndian.Uint32(m[4:]) == xid {
			return m
		}
	}
}

// TestMalformedOpenFlow sends what no controller should: each gets the error that the stock switch gives, and the
// connection goes on.
func TestMalformedOpenFlow(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	addBridge(e)
	c := dialOF(t, e, "br0")
	sendOF(t, c, "0400 0008 00000001") // HELLO, OpenFlow 1.3
	for _, x := range []struct {
		name, message string
		typ, code     uint16
	}{
		{"unknown type", "0463 0008 00000011", 1, 1},                                                                                                 // OFPBRC_BAD_TYPE
		{"unknown multipart", "0412 0010 00000012 0fff 0000 00000000", 1, 2},                                                                         // OFPBRC_BAD_STAT
		{"unknown experimenter", "0404 0010 00000013 12345678 00000000", 1, 3},                                                                       // OFPBRC_BAD_EXPERIMENTER
		{"unknown Nicira message", "0404 0010 00000014 00002320 00ffffff", 1, 4},                                                                     // OFPBRC_BAD_SUBTYPE
		{"short flow mod", "040e 0010 00000015 0000000000000000", 1, 6},                                                                              // OFPBRC_BAD_LEN
		{"short packet-out", "040d 000c 00000016 ffffffff", 1, 6},                                                                                    // OFPBRC_BAD_LEN
		{"other version", "0114 0008 00000017", 1, 0},                                                                                                // OFPBRC_BAD_VERSION
		{"buffer", flowMod(0x18, "00000005", "0001 0004 00000000"), 1, 8},                                                                            // OFPBRC_BUFFER_UNKNOWN
		{"command", strings.Replace(flowMod(0x19, "ffffffff", "0001 0004 00000000"), "00 00 0000 0000 8000", "00 09 0000 0000 8000", 1), 5, 6},       // OFPFMFC_BAD_COMMAND
		{"match type", flowMod(0x1a, "ffffffff", "0002 0004 00000000"), 4, 0},                                                                        // OFPBMC_BAD_TYPE
		{"match length", flowMod(0x1b, "ffffffff", "0001 0050 00000000"), 4, 1},                                                                      // OFPBMC_BAD_LEN
		{"unknown field", flowMod(0x1c, "ffffffff", "0001 000c 8000 fe04 00000000 00000000"), 4, 6},                                                  // OFPBMC_BAD_FIELD
		{"prerequisites", flowMod(0x1d, "ffffffff", "0001 000a 8000 1c02 0050 000000000000"), 4, 9},                                                  // OFPBMC_BAD_PREREQ
		{"value under the mask", flowMod(0x1e, "ffffffff", "0001 0010 8000 0508 0000000000000000"), 4, 6},                                            // no masked metadata of 8 bytes
		{"field twice", flowMod(0x1f, "ffffffff", "0001 0014 8000 0004 00000001 8000 0004 00000001 00000000"), 4, 10},                                // OFPBMC_DUP_FIELD
		{"instruction", flowMod(0x20, "ffffffff", "0001 0004 00000000 0063 0008 00000000"), 3, 0},                                                    // OFPBIC_UNKNOWN_INST
		{"instruction length", flowMod(0x21, "ffffffff", "0001 0004 00000000 0001 0007 00000000"), 3, 7},                                             // OFPBIC_BAD_LEN
		{"goto back", flowMod(0x22, "ffffffff", "0001 0004 00000000 0001 0008 00000000"), 3, 2},                                                      // OFPBIC_BAD_TABLE_ID
		{"action", flowMod(0x23, "ffffffff", "0001 0004 00000000 0004 0010 00000000 7777 0008 00000000"), 2, 0},                                      // OFPBAC_BAD_TYPE
		{"action length", flowMod(0x24, "ffffffff", "0001 0004 00000000 0004 0010 00000000 0000 0008 00000000"), 2, 1},                               // OFPBAC_BAD_LEN
		{"output port", flowMod(0x25, "ffffffff", "0001 0004 00000000 0004 0018 00000000 0000 0010 ffffff01 0000 000000000000"), 2, 4},               // OFPBAC_BAD_OUT_PORT
		{"set field prerequisites", flowMod(0x26, "ffffffff", "0001 0004 00000000 0004 0018 00000000 0019 0010 8000 1c02 0050 000000000000"), 2, 10}, // OFPBAC_MATCH_INCONSISTENT
		{"group", flowMod(0x27, "ffffffff", "0001 0004 00000000 0004 0010 00000000 0016 0008 00000005"), 2, 9},                                       // OFPBAC_BAD_OUT_GROUP
		{"port mod", "0410 0028 00000028 00000063 00000000 000000000000 0000 00000000 00000000 00000000 00000000", 7, 0},                             // OFPPMFC_BAD_PORT
		{"role", "0418 0018 00000029 00000009 00000000 0000000000000000", 11, 2},                                                                     // OFPRRFC_BAD_ROLE
	} {
		sendOF(t, c, x.message)
		raw, err := hex.DecodeString(strings.ReplaceAll(x.message, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		m := readOFXid(t, c, binary.BigEndian.Uint32(raw[4:]))
		if m[1] != 1 || len(m) < 12 {
			t.Errorf("%s: answer %x, want an error", x.name, m)
			continue
		}
		if typ, code := binary.BigEndian.Uint16(m[8:]), binary.BigEndian.Uint16(m[10:]); typ != x.typ || code != x.code {
			t.Errorf("%s: error %d/%d, want %d/%d", x.name, typ, code, x.typ, x.code)
		}
	}
	sendOF(t, c, "0402 0008 00000077")
	if m := readOFXid(t, c, 0x77); m[1] != 3 {
		t.Errorf("echo reply is %x", m)
	}
	// Where the next message begins is not known any more: that ends the connection, and only it.
	for _, x := range []string{"0402 0004 00000078", "0900 0004 00000079"} {
		bad := dialOF(t, e, "br0")
		sendOF(t, bad, x)
		for {
			if _, err := readOF(bad); err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					t.Errorf("%s: the connection stays", x)
				}
				break
			}
		}
	}
	if out := e.Ofctl("dump-flows", "br0"); strings.Count(out, "cookie=") != 1 {
		t.Errorf("flows after all that: %s", out)
	}
}

// flowMod is a flow mod of OpenFlow 1.3 with the match and instructions that follow.
func flowMod(xid uint32, buffer, rest string) string {
	rest = strings.ReplaceAll(rest, " ", "")
	return fmt.Sprintf("040e %04x %08x 0000000000000000 0000000000000000 00 00 0000 0000 8000 %s ffffffff ffffffff 0000 0000 %s",
		48+len(rest)/2, xid, buffer, rest)
}
