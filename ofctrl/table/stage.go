package table

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Stages of a lookup: a subtable without a rule for the packet's metadata is left before its
// Ethernet header is read, and so on.
const (
	stageMetadata = iota
	stageL2
	stageL3
	stageL4
	numStages
)

// stageOf is the stage of each word of a key. A word with members of several stages has the
// latest of them.
var stageOf = func() (st [flow.Words]int) {
	at := map[string]int{
		"eth_dst": stageL2, "eth_type": stageL2, "eth_src": stageL2, "vlan_tci": stageL2, "vlan_tpid": stageL2,
		"vlan_tci2": stageL2, "vlan_tpid2": stageL2, "mpls_lse0": stageL2, "mpls_lse1": stageL2, "mpls_lse2": stageL2,
		"ipv4_src": stageL3, "ipv4_dst": stageL3, "ipv6_src": stageL3, "ipv6_dst": stageL3, "ipv6_label": stageL3,
		"nw_proto": stageL3, "nw_tos": stageL3, "nw_ttl": stageL3, "nw_frag": stageL3,
		"nsh_flags": stageL3, "nsh_ttl": stageL3, "nsh_mdtype": stageL3, "nsh_np": stageL3, "nsh_path": stageL3,
		"nsh_c1": stageL3, "nsh_c2": stageL3, "nsh_c3": stageL3, "nsh_c4": stageL3,
		"tp_src": stageL4, "tp_dst": stageL4, "tcp_flags": stageL4, "nd_target": stageL4, "arp_sha": stageL4,
		"arp_tha": stageL4, "nd_options_type": stageL4, "nd_reserved": stageL4,
	}
	for _, m := range flow.Layout {
		for w := m.Off / 8; w <= (m.Off+m.Size-1)/8; w++ {
			st[w] = max(st[w], at[m.Name])
		}
	}
	return st
}()
