package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// ovnFlows are the flows that ovn-controller 26.03 gave to a chassis with two switches, two routers, load balancers,
// NAT, ACLs and the rest: one a line, as ovs-ofctl dump-flows tells them, without statistics. Those with a group, a
// meter or a tunnel option are not there: they want more than a flow mod.
//
//go:embed testdata/ovn-flows.gz
var ovnFlows []byte

// The numbers of a deployment that a copy of it has of its own.
const (
	ovnDatapaths = 16 // logical datapaths, the field metadata
	ovnPorts     = 16
)

// ovnRules are n flow mods with the shapes of ovnFlows: copies of that deployment beside each other, each with
// logical datapaths, ports, MAC and IPv4 addresses of its own, in random order, which is ovn-controller's too. All but
// one of the copies are whole.
func ovnRules(n int) (mods []*openflow.FlowMod, copies int, err error) {
	z, err := gzip.NewReader(bytes.NewReader(ovnFlows))
	if err != nil {
		return nil, 0, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, 0, err
	}
	lines := fillTables(strings.Split(strings.TrimSpace(string(text)), "\n"))
	seen := make(map[string]bool) // a flow that has none of these numbers is the same in every copy
	for ; len(mods) < n; copies++ {
		if copies > 255 {
			return nil, 0, fmt.Errorf("more than %d rules: an octet has no more values", len(mods))
		}
		for _, line := range lines {
			match, actions, _ := strings.Cut(ovnCopy(line, copies), " actions=")
			if seen[match] {
				continue
			}
			seen[match] = true
			m, err := flowMod(match, actions)
			if err != nil {
				return nil, 0, fmt.Errorf("%s: %w", line, err)
			}
			m.NewCookie = uint64(len(mods) + 1)
			mods = append(mods, m)
		}
	}
	mods = mods[:n]
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(mods), func(i, j int) { mods[i], mods[j] = mods[j], mods[i] })
	return mods, copies, nil
}

// ovnTables is how many tables have rules.
const ovnTables = 90

// fillTables has tables that the deployment does not use have the flows of tables that it does, until there are ovnTables.
func fillTables(lines []string) []string {
	byTable := map[int][]string{}
	for _, line := range lines {
		number, rest, _ := strings.Cut(strings.TrimPrefix(line, "table="), ",")
		t, _ := strconv.Atoi(number)
		byTable[t] = append(byTable[t], rest)
	}
	used := slices.Sorted(maps.Keys(byTable))
	for t := 1; len(byTable) < ovnTables; t++ {
		if byTable[t] != nil {
			continue
		}
		byTable[t] = byTable[used[len(byTable)-len(used)+1]] // behind table 0, which is classified by port
		for _, rest := range byTable[t] {
			lines = append(lines, fmt.Sprintf("table=%d,%s", t, rest))
		}
	}
	return lines
}

// What differs between copies, in a flow's text.
var (
	ovnDatapath = regexp.MustCompile(`metadata=0x([0-9a-f]+)|set_field:0x([0-9a-f]+)->metadata`)
	ovnPort     = regexp.MustCompile(`in_port=(\d+)|output:(\d+)`)
	ovnMAC      = regexp.MustCompile(`\b02:00:`)
	ovnIPv4     = regexp.MustCompile(`[=:]10\.(\d+)\.`)
	ovnIPv4Reg  = regexp.MustCompile(`\b0xa([0-9a-f]{2})([0-9a-f]{4})\b`)
)

// ovnCopy is a flow in copy k of the deployment.
func ovnCopy(line string, k int) string {
	line = addTo(ovnDatapath, line, 16, k*ovnDatapaths)
	line = addTo(ovnPort, line, 10, k*ovnPorts)
	line = ovnMAC.ReplaceAllString(line, fmt.Sprintf("02:%02x:", k))
	line = ovnIPv4.ReplaceAllStringFunc(line, func(s string) string {
		octet, _ := strconv.Atoi(s[len("=10.") : len(s)-1])
		return fmt.Sprintf("%c10.%d.", s[0], (octet+k)&0xff)
	})
	return ovnIPv4Reg.ReplaceAllStringFunc(line, func(s string) string {
		octet, _ := strconv.ParseUint(s[3:5], 16, 8)
		return fmt.Sprintf("0xa%02x%s", (int(octet)+k)&0xff, s[5:])
	})
}

// addTo adds d to the numbers that the groups of re match.
func addTo(re *regexp.Regexp, s string, base, d int) string {
	var b strings.Builder
	end := 0
	for _, at := range re.FindAllStringSubmatchIndex(s, -1) {
		for g := 2; g < len(at); g += 2 {
			if at[g] < 0 {
				continue
			}
			v, _ := strconv.ParseInt(s[at[g]:at[g+1]], base, 64)
			b.WriteString(s[end:at[g]])
			b.WriteString(strconv.FormatInt(v+int64(d), base))
			end = at[g+1]
		}
	}
	return b.String() + s[end:]
}

// flowMod makes the addition of a flow of its text, which begins with table and priority.
func flowMod(match, actions string) (*openflow.FlowMod, error) {
	m := &openflow.FlowMod{BufferID: openflow.NoBuffer, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}
	var rest []string
	for _, w := range strings.Split(match, ",") {
		var err error
		if v, ok := strings.CutPrefix(w, "table="); ok {
			_, err = fmt.Sscan(v, &m.Table)
		} else if v, ok := strings.CutPrefix(w, "priority="); ok {
			_, err = fmt.Sscan(v, &m.Priority)
		} else {
			rest = append(rest, w)
		}
		if err != nil {
			return nil, err
		}
	}
	var err error
	if m.Match, err = openflow.ParseMatch(strings.Join(rest, ","), nil, nil); err != nil {
		return nil, err
	}
	if actions != "drop" {
		m.Actions, err = openflow.ParseActions(actions, nil, nil)
	}
	return m, err
}

// ovnPacket is a packet from a logical port of copy k that goes through ovnWay tables, to another port: an ARP request
// for an address that nobody has.
func ovnPacket(k int) (openflow.PortNo, []byte) {
	arp := []byte{
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, byte(k), 0, 1, 0, 1, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1,
		2, byte(k), 0, 1, 0, 1, 10, byte(1 + k), 0, 11,
		0, 0, 0, 0, 0, 0, 10, byte(1 + k), 0, 99,
	}
	return openflow.PortNo(1 + k*ovnPorts), append(arp, make([]byte, 60-len(arp))...)
}

// ovnWay is how many tables have a rule for it, one after the other.
const ovnWay = 60
