package openflow

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// otherErrors are the cases where we answer a damaged message differently from ovs-ofctl 3.1 ("" is no
// error), each with its reason.
var otherErrors = map[[2]string]string{
	{"OFPBAC_BAD_SET_LEN", "OFPBAC_BAD_SET_TYPE"}:           "set_field of an unknown field: stock's answer depends on a hash collision",
	{"OFPBAC_BAD_SET_TYPE", "OFPBAC_BAD_SET_LEN"}:           "set_field of a known field with a length of 0, or a mask bit without mask",
	{"OFPBAC_BAD_VENDOR_TYPE", ""}:                          "stock writes dec_nsh_ttl before 1.3 but does not read it",
	{"OFPBAC_BAD_VENDOR_TYPE", "OFPBAC_MATCH_INCONSISTENT"}: "the same",
	{"OFPBAC_BAD_VENDOR_TYPE", "OFPFMFC_BAD_FLAGS"}:         "the same",
	{"OFPBAC_BAD_VENDOR_TYPE", "OFPBAC_BAD_LEN"}:            "the same, and sample4, which 3.1 does not know",
	{"", "OFPFMFC_BAD_COMMAND"}:                             "the tool reads the table in 1.0's command without having agreed on it",
	{"", "OFPBAC_BAD_ARGUMENT"}:                             "stock forgets what it found wrong in bundle_load",
	{"OFPBAC_BAD_LEN", "OFPBAC_BAD_VENDOR_TYPE"}:            "debug actions are for OVS's own tests",
	{"", "OFPBFC_BAD_FLAGS"}:                                "the tool prints what its switch refuses",
	{"", "OFPBFC_BAD_TYPE"}:                                 "the tool prints what its switch refuses",
	{"", "OFPBAC_BAD_SET_LEN"}:                              "the tool does not look at offsets of learn, and has no TLV table",
	{"", "OFPBPC_BAD_TYPE"}:                                 "an unknown filter of ct flush: to ignore it would flush too much",
	{"", "OFPGMFC_INVALID_GROUP"}:                           "the tool does not look at the group's number",
	{"OFPGMFC_BAD_BUCKET", "OFPGMFC_INVALID_GROUP"}:         "the same",
	{"OFPBAC_BAD_SET_TYPE", "OFPBAC_BAD_ARGUMENT"}:          "learn spec that is nothing but reserved bits",
	{"", "OFPBAC_BAD_SET_TYPE"}:                             "stock forgets what it found wrong in bundle_load",
	{"", "OFPMOFC_BAD_COMMAND"}:                             "the tool prints what its switch refuses",
	{"OFPBAC_BAD_SET_ARGUMENT", "OFPBAC_BAD_ARGUMENT"}:      "nat with two things wrong",
	{"OFPBPC_BAD_VALUE", ""}:                                "ct flush with one IPv4 and one IPv6 address: fits no connection",
	{"OFPBAC_MATCH_INCONSISTENT", ""}:                       "conntrack tuple of another protocol: fits no packet",
	{"NXBAC_UNKNOWN_ED_PROP", ""}:                           "properties of encap are kept as they are",
	{"NXBAC_BAD_ED_PROP", ""}:                               "properties of encap are kept as they are",
	{"NXBAC_MUST_BE_ZERO", ""}:                              "padding in learn",
	{"OFPBMC_BAD_LEN", "OFPBMC_BAD_FIELD"}:                  "masked field of an odd length",
	{"OFPBRC_BAD_TYPE", "OFPBPC_BAD_TYPE"}:                  "unknown table property",
	{"OFPBAC_BAD_SET_LEN", "OFPBAC_BAD_ARGUMENT"}:           "learn of no bits",
	{"OFPBAC_BAD_ARGUMENT", "OFPBAC_BAD_SET_LEN"}:           "learn of too many bits",
	{"OFPBPC_BAD_EXP_TYPE", "OFPBPC_BAD_EXPERIMENTER"}:      "group property of an unknown experimenter",
	{"OFPBIC_BAD_LEN", "OFPBIC_UNKNOWN_INST"}:               "1.5 has no meter instruction",
	{"OFPBAC_BAD_ARGUMENT", ""}:                             "ct in a group bucket, which has no match to look at",
}

// Damaged messages get the error that the stock tool finds in them.
func TestStockRefusesTheSame(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var file bytes.Buffer
	var ours []string
	var sent [][]byte
	for _, r := range loadRecorded(t) {
		bundle := r.msg[1] == 34 || r.msg[1] == 4 && be32(r.msg[12:]) == 2301
		if !r.st.Client || r.st.FlowModTableID || bundle || len(r.msg) > 250 {
			continue // the tool knows neither the agreement on tables nor what a bundle may hold
		}
		first := 8
		if r.msg[1] == typeExperimenter {
			first = 16
		}
		for range 6 {
			if len(r.msg) <= first {
				break
			}
			b := bytes.Clone(r.msg)
			i := first + rnd.IntN(len(b)-first)
			b[i] = []byte{0, 0xff, b[i] ^ 1, b[i] + 1, b[i] ^ 1<<rnd.IntN(8), byte(rnd.UintN(256))}[rnd.IntN(6)]
			_, _, _, err := Decode(b, r.st)
			name := ""
			var e Err
			if errors.As(err, &e) {
				name = e.Error()
			}
			// An echo request behind each message says in the output where its text ends.
			file.Write(b)
			file.Write([]byte{1, 2, 0, 8, 0x77, byte(len(ours) >> 16), byte(len(ours) >> 8), byte(len(ours))})
			ours, sent = append(ours, name), append(sent, b)
		}
	}
	path := filepath.Join(t.TempDir(), "damaged")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ovs-ofctl", "ofp-parse", path).Output()
	if err != nil {
		t.Fatal("ovs-ofctl ofp-parse:", err)
	}
	echo := regexp.MustCompile(`OFPT_ECHO_REQUEST \(xid=0x77([0-9a-f]{6})\)`)
	failure := regexp.MustCompile(`\*\*\*decode error: (\w+)\*\*\*`)
	same, from := 0, 0
	for _, at := range echo.FindAllSubmatchIndex(out, -1) {
		i, err := strconv.ParseInt(string(out[at[2]:at[3]]), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		stock := ""
		if m := failure.FindSubmatch(out[from:at[0]]); m != nil {
			stock = string(m[1])
		}
		from = at[1]
		switch {
		case stock == ours[i]:
			same++
		case otherErrors[[2]string{stock, ours[i]}] == "":
			t.Errorf("stock says %q, we say %q to %x", stock, ours[i], sent[i])
		}
	}
	if same < len(ours)*98/100 || len(ours) < 5000 {
		t.Errorf("only %d of %d answers are the same", same, len(ours))
	}
}
