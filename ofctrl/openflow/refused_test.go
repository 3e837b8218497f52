package openflow

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// flowMod13 is an OpenFlow 1.3 addition in table 5 with match fields and apply_actions in hexadecimal.
func flowMod13(tb testing.TB, fields, actions string) []byte {
	f, a := unhex(tb, fields), unhex(tb, actions)
	b := unhex(tb, "040e0000 00000002 0000000000000000 0000000000000000 0500 0000 0000 0001 ffffffff ffffffff ffffffff 0000 0000 0001")
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(f)))
	b = append(b, f...)
	for (len(b)-48)%8 != 0 {
		b = append(b, 0)
	}
	if len(a) > 0 {
		b = append(b, 0, instApplyActions, byte((8+len(a))>>8), byte(8+len(a)), 0, 0, 0, 0)
		b = append(b, a...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// What is wrong with a flow mod's match or actions is answered with OVS's error.
func TestRefusedFlowMods(t *testing.T) {
	const (
		ip     = "80000a020800"
		tcp    = ip + "8000140106"
		vlan   = "80000c021005"
		output = "0000 0010 00000001 0000 000000000000"
	)
	for _, c := range []struct {
		name, fields, actions string
		want                  Err
	}{
		{"field without prerequisite", "80001c020050", output, MatchBadPrereq},
		{"field before its prerequisite", "8000140106" + ip, output, MatchBadPrereq},
		{"ports of a later fragment", tcp + "0001340103" + "80001c020050", output, MatchBadPrereq},
		{"same field twice", ip + ip, output, MatchDupField},
		{"NXM and OXM of one field", ip + "000006020800", output, MatchDupField},
		{"unknown field", "80007e0400000001", output, MatchBadField},
		{"unknown experimenter", "ffff000800001234" + "00000000", output, MatchBadField},
		{"wrong length", "80000a0108", output, MatchBadField},
		{"field cut short", "80000a02", output, MatchBadLen},
		{"experimenter cut short", "ffff0002", output, MatchBadLen},
		{"partial mask of a field that has none", "80000b040800ff00", output, MatchBadMask},
		{"bits outside of the mask", "00010108 00000001 000000f0", output, MatchBadWildcards},
		{"VLAN id too large", "80000c02ffff", output, MatchBadValue},
		{"DSCP too large", ip + "8000100140", output, MatchBadValue},
		{"tunnel option that is not mapped", "00015004 00000001", output, NXInvalidTLVField},
		{"conntrack tuple without state", ip + "0001f00401020304", output, MatchBadPrereq},

		{"delete_field of an option that is not mapped", "", "ffff 0018 00002320 0032 00015004 00000000000000000000", NXInvalidTLVField},
		{"unknown action", "", "00fe 0008 00000000", ActionBadType},
		{"unknown vendor", "", "ffff 0010 00001234 0001 000000000000", ActionBadExperimenter},
		{"unknown vendor action", "", "ffff 0010 00002320 00f0 000000000000", ActionBadExperimenterType},
		{"action length not a multiple of 8", "", "0000 000c 00000001 0000 0000 00000000", ActionBadLen},
		{"action length beyond the list", "", "0000 0020 00000001 0000 000000000000", ActionBadLen},
		{"output of the wrong length", "", "0000 0008 00000001", ActionBadLen},
		{"output to ANY", "", "0000 0010 ffffffff 0000 000000000000", ActionBadOutPort},
		{"output to UNSET", "", "0000 0010 fffffff7 0000 000000000000", ActionBadOutPort},
		{"output beyond 16 bits", "", "0000 0010 00010000 0000 000000000000", ActionBadOutPort},
		{"push_vlan of another type", "", "0011 0008 0800 0000", ActionBadArgument},
		{"pop_vlan without VLAN", "", "0012 0008 00000000", ActionMatchInconsistent},
		{"dec_ttl without IP", "", "0018 0008 00000000", ActionMatchInconsistent},
		{"set tcp_dst without TCP", ip, "0019 0010 80001c02 0050 0000 00000000", ActionMatchInconsistent},
		{"set of a read-only field", ip, "0019 0010 80001401 06 000000 00000000", ActionBadSetArgument},
		{"set in_port", "", "0019 0010 80000004 00000001 00000000", ActionBadSetArgument},
		{"set vlan_vid without VLAN", "", "0019 0010 80000c02 1005 0000 00000000", ActionMatchInconsistent},
		{"set vlan_vid without its presence bit", vlan, "0019 0010 80000c02 0005 0000 00000000", ActionBadSetArgument},
		{"set of an unknown field", "", "0019 0010 80007e04 00000001 00000000", ActionBadSetType},
		{"load beyond the field", "", "ffff 0018 00002320 0007 0647 00010004 0000000000000005", ActionBadSetLen},
		{"load of too wide a value", "", "ffff 0018 00002320 0007 0003 00010004 0000000000000010", ActionBadArgument},
		{"ct without IP", "", "ffff 0018 00002320 0023 0001 00000000 0000 ff 000000 0000", ActionMatchInconsistent},
		{"ct(force) without commit", ip, "ffff 0018 00002320 0023 0002 00000000 0000 ff 000000 0000", ActionBadArgument},
		{"nat outside of ct", ip, "ffff 0010 00002320 0024 0000 0000 0000", ActionBadArgument},
		{"output in ct", ip, "ffff 0028 00002320 0023 0001 00000000 0000 ff 000000 0000" + output, ActionBadArgument},
		{"register set in ct", ip, "ffff 0028 00002320 0023 0001 00000000 0000 ff 000000 0000 0019 0010 00010004 00000001 00000000", ActionBadSetArgument},
		{"ct_mark set outside of ct", ip, "0019 0010 0001d604 00000001 00000000", ActionBadSetArgument},
		{"conjunction of one", "", "ffff 0010 00002320 0022 00 01 00000001", NXBadConjunction},
		{"clone around a broken action", "", "ffff 0020 00002320 002a 000000000000 0000 0010 ffffffff 0000 000000000000", ActionBadOutPort},
		{"clones too deep", "", nested(maxActionDepth + 1), ActionTooMany},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantErr(t, flowMod13(t, c.fields, c.actions), c.want)
		})
	}
}

// nested is n clones in each other.
func nested(n int) string {
	var b strings.Builder
	for i := n; i > 0; i-- {
		b.WriteString("ffff")
		b.WriteString(hex16(16 * i))
		b.WriteString("00002320002a000000000000")
	}
	return b.String()
}

func hex16(n int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[n>>12&15], digits[n>>8&15], digits[n>>4&15], digits[n&15]})
}

func wantErr(t *testing.T, b []byte, want Err) {
	t.Helper()
	_, _, m, err := Decode(b, nil)
	var got Err
	if !errors.As(err, &got) {
		t.Fatalf("%x decodes to %+v with error %v, want %v", b, m, err, want)
	}
	if got != want {
		t.Fatalf("%v, want %v\n%x", err, want, b)
	}
}

// Instructions of 1.3.
func TestRefusedInstructions(t *testing.T) {
	for _, c := range []struct {
		name, insts string
		want        Err
	}{
		{"unknown", "0009 0008 00000000", InstUnknown},
		{"experimenter", "ffff 0008 00001234", InstBadExperimenter},
		{"length 4", "0001 0004 00000000", InstBadLen},
		{"goto of 16 bytes", "0001 0010 06000000 0000000000000000", InstBadLen},
		{"twice", "0005 0008 00000000 0005 0008 00000000", InstDup},
		{"goto backwards", "0001 0008 04000000", InstBadTableID},
		{"goto itself", "0001 0008 05000000", InstBadTableID},
		{"goto all tables", "0001 0008 ff000000", InstBadTableID},
		{"resubmit in write_actions", "0003 0018 00000000 ffff 0010 00002320 000e fff8 02 000000", ActionBadType},
		{"meter 0", "0006 0008 00000000", MeterModInvalidMeter},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := append(flowMod13(t, "", ""), unhex(t, c.insts)...)
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			wantErr(t, b, c.want)
		})
	}
}

// Whole messages. The header is always given back.
func TestRefusedMessages(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      Err
	}{
		{"header cut short", "0402", BadLen},
		{"wrong length", "0402000c 00000077", BadLen},
		{"unknown version", "0a020008 00000077", BadVersion},
		{"unknown type", "04630008 00000077", BadType},
		{"type of a later version", "011c0008 00000077", BadType},
		{"features request with a body", "0405000c 00000077 00000000", BadLen},
		{"unknown multipart", "04120010 00000077 0063 0000 00000000", BadMultipart},
		{"unknown vendor", "04040010 00000077 00001234 00000001", BadExperimenter},
		{"unknown vendor message", "04040010 00000077 00002320 000003e7", BadExperimenterType},
		{"unknown vendor multipart", "04120018 00000077 ffff 0000 00000000 00002320 000003e7", BadExperimenterType},
		{"multipart request too long", "04120014 00000077 0000 0000 00000000 00000000", BadLen},
		{"unknown flow mod command", "040e0038 00000077 0000000000000000 0000000000000000 0009 0000 0000 0001 ffffffff ffffffff ffffffff 0000 0000 0001000400000000", FlowModBadCommand},
		{"unknown flow mod flag", "040e0038 00000077 0000000000000000 0000000000000000 0000 0000 0000 0001 ffffffff ffffffff ffffffff 0100 0000 0001000400000000", FlowModBadFlags},
		{"addition to all tables", "040e0038 00000077 0000000000000000 0000000000000000 ff00 0000 0000 0001 ffffffff ffffffff ffffffff 0000 0000 0001000400000000", FlowModBadTableID},
		{"unknown match type", "040e0038 00000077 0000000000000000 0000000000000000 0000 0000 0000 0001 ffffffff ffffffff ffffffff 0000 0000 0002000400000000", MatchBadType},
		{"packet-out actions too long", "010d0010 00000077 ffffffff fffe 0008", BadLen},
		{"packet-out from a reserved port", "010d0010 00000077 ffffffff fffb 0000", BadPort},
		{"unknown role", "04180018 00000077 00000009 00000000 0000000000000000", RoleBad},
		{"unknown packet-in format", "04040014 00000077 00002320 00000010 00000009", BadPermission},
		{"unknown config flag", "0409000c 00000077 0008 0000", SwitchConfigBadFlags},
		{"unknown group type", "060f0018 00000077 0000 0900 00000001 0000 0000 ffffffff", GroupModBadType},
		{"unknown meter command", "041d0010 00000077 0009 0000 00000001", MeterModBadCommand},
		{"two units of a meter", "041d0010 00000077 0000 0003 00000001", MeterModBadFlags},
		{"TLV of 3 bytes", "06040020 00000077 00002320 00000018 0000000000000000 ffff 00 03 0000 0000", TLVTableBadOptLen},
		{"bundle message with another xid", "06220018 00000077 00000001 0000 0003 060e0008 00000001", BundleMsgBadXID},
		{"bundle message that may not be", "06220018 00000077 00000001 0000 0003 06020008 00000077", BundleMsgUnsup},
		{"bundle in a bundle", "06220020 00000077 00000001 0000 0003 06220010 00000077 00000001 0000 0003", BundleMsgUnsup},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			wantErr(t, b, c.want)
			if xid, v, _, _ := Decode(b, nil); len(b) >= 8 && (xid != 0x77 || byte(v) != b[0]) {
				t.Errorf("header: xid 0x%x version %d", xid, v)
			}
		})
	}
}

// Every error has a name, and numbers that lead back to it in each version that has it.
func TestErrNumbers(t *testing.T) {
	for e := range errTable {
		if e == int(ErrUnknown) || e == int(NXUnsupportedPacketInFormat) {
			continue
		}
		if !strings.Contains(Err(e).Error(), "_") {
			t.Errorf("error %d is called %s", e, Err(e))
		}
		for v := V10; v <= V15; v++ {
			b, err := Encode(v, 1, &Error{Err: Err(e), Data: []byte("request")})
			if err != nil {
				t.Fatal(err)
			}
			_, _, m, err := Decode(b, nil)
			if err != nil {
				t.Fatalf("%v in version %d: %v", Err(e), v, err)
			}
			want := Err(e)
			if errTable[e].has>>(v-V10)&1 == 0 {
				want = NXUnencodable
			}
			if got := m.(*Error); got.Err != want || string(got.Data) != "request" {
				t.Errorf("%v in version %d comes back as %+v", want, v, got)
			}
		}
	}
	if typ, code, vendor := ActionBadOutPort.Wire(V13); typ != 2 || code != 4 || vendor != 0 {
		t.Errorf("OFPBAC_BAD_OUT_PORT is %d, %d, 0x%x", typ, code, vendor)
	}
}
