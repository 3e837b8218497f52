package dummy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// messageCommands make ovs-ofctl send every message and multipart request that it can, in the order of ovs-ofctl(8).
var messageCommands = strings.Split(strings.TrimSpace(`
probe br0
ping br0 9
benchmark br0 9 3
show br0
dump-tables br0
dump-table-features br0
dump-table-desc br0
mod-table br0 0 drop
mod-table br0 1 continue
mod-table br0 2 controller
mod-table br0 3 name:three
mod-table br0 4 evict
mod-table br0 5 noevict
mod-table br0 6 vacancy:20,80
mod-table br0 6 novacancy
dump-table-desc br0
dump-ports br0
dump-ports br0 1
dump-ports br0 77
dump-ports-desc br0
dump-ports-desc br0 2
dump-ports-desc br0 77
mod-port br0 2 no-flood
mod-port br0 3 no-forward
mod-port br0 4 no-receive
mod-port br0 5 no-packet-in
mod-port br0 6 down
mod-port br0 6 up
mod-port br0 6 no-stp
mod-port br0 LOCAL no-flood
mod-port br0 77 no-flood
dump-ports-desc br0
mod-port br0 2 flood
mod-port br0 3 forward
mod-port br0 4 receive
mod-port br0 5 packet-in
mod-port br0 LOCAL flood
get-frags br0
set-frags br0 drop
set-frags br0 nx-match
set-frags br0 reassemble
set-frags br0 normal
get-frags br0
add-flow br0 table=1,priority=7,tcp,actions=2
add-flow br0 table=0,cookie=5,idle_timeout=60,actions=resubmit(,1)
mod-flows br0 tcp,actions=3
dump-flows br0
dump-flows br0 tcp,out_port=3
dump-aggregate br0
dump-aggregate br0 table=1
queue-stats br0 77
queue-stats br0 1 1
queue-get-config br0 77
dump-ipfix-bridge br0
dump-ipfix-flow br0
ct-flush-zone br0 5
ct-flush br0
ct-flush br0 zone=5
ct-flush br0 zone=5 ct_nw_src=10.1.1.1,ct_nw_dst=10.1.1.2,ct_nw_proto=1,icmp_type=8,icmp_code=0,icmp_id=10
ct-flush br0 ct_ipv6_src=fc00::1,ct_ipv6_dst=fc00::2,ct_nw_proto=6,ct_tp_src=1,ct_tp_dst=2
ct-flush br0 '' ct_nw_src=10.1.1.1,ct_nw_proto=17
add-group br0 group_id=1,type=all,bucket=output:2,bucket=output:3
add-group br0 group_id=1,type=all,bucket=output:2
mod-group br0 group_id=1,type=all,bucket=output:4
--may-create mod-group br0 group_id=2,type=indirect,bucket=output:4
insert-buckets br0 group_id=1,command_bucket_id=last,bucket=bucket_id=7,output:5
remove-buckets br0 group_id=1,command_bucket_id=7
dump-groups br0
dump-groups br0 1
dump-group-stats br0
dump-group-stats br0 1
dump-group-features br0
del-groups br0 group_id=2
del-groups br0
add-meter br0 meter=1,pktps,bands=type=drop,rate=3
mod-meter br0 meter=1,kbps,bands=type=drop,rate=9
dump-meters br0
dump-meter br0 meter=1
meter-stats br0
meter-features br0
del-meters br0
--bundle add-flow br0 table=2,arp,actions=2
--bundle del-flows br0 table=2
packet-out br0 in_port=1,packet=505400000001505400000002080000000000,actions=output:2
del-flows br0 tcp
--strict del-flows br0 priority=1,arp
del-flows br0
`), "\n")

// variableOfMessages are round-trip times, and addresses that devices choose. (Queues are not compared: the stock daemon's
// simulated devices have a queue 0, as no other device has that is not configured.)
var variableOfMessages = regexp.MustCompile(`addr:\S+|time=[0-9.]+ ms|Finished in.*|[0-9.]+ ?(ms|s|bytes/s)\b|[rt]x pkts=.*|(duration|lookup|matched)[=: ]+[0-9.?]+`)

// onlyStock are statistics that only its simulated devices have, and a warning of ovs-ofctl about an OpenFlow 1.1 table
// statistic that the stock daemon gets wrong.
var onlyStock = regexp.MustCompile(`CUSTOM Statistics|^[rt]x_(custom_packets|q0)|bad table miss config`)

// TestMessagesLikeStock has ovs-ofctl send every message it can in every OpenFlow version: the stock daemon and ours
// must answer alike.
func TestMessagesLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := manualPair(t)
	answer := func(s *sim, line string) string {
		var lines []string
		for _, l := range strings.Split(variableOfMessages.ReplaceAllString(s.ofctlAnswer(line, ""), ""), "\n") {
			if l = strings.TrimSpace(l); l != "" && !onlyStock.MatchString(l) {
				lines = append(lines, l)
			}
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	for _, v := range []string{"10", "11", "12", "13", "14", "15"} {
		for _, command := range messageCommands {
			line := "-OOpenFlow" + v + " " + command
			if diff := cmp.Diff(answer(stock, line), answer(ours, line)); diff != "" {
				t.Errorf("ovs-ofctl %s (-stock +ours):\n%s", line, diff)
			}
		}
	}
}
