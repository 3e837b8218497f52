package dummy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// versionFlows are flows whose form differs between OpenFlow versions.
var versionFlows = []string{
	"in_port=1,actions=mod_vlan_vid:5,output:2",
	"in_port=1,vlan_tci=0,actions=mod_vlan_vid:5,mod_vlan_pcp:3,output:2",
	"in_port=1,vlan_tci=0,actions=mod_vlan_pcp:3,mod_vlan_vid:5,output:2",
	"dl_vlan=9,actions=mod_vlan_vid:5,mod_vlan_pcp:5,output:2",
	"dl_vlan=9,actions=set_vlan_vid:5,set_vlan_pcp:5,output:2",
	"dl_vlan=9,actions=set_field:0x1005->vlan_vid,set_field:5->vlan_pcp,output:2",
	"dl_vlan=9,actions=strip_vlan,mod_vlan_vid:7,output:2",
	"dl_vlan=9,actions=clone(mod_vlan_vid:7,2),pop_vlan,clone(mod_vlan_vid:7,2)",
	"vlan_tci=0,actions=push_vlan:0x8100,set_field:0x1005->vlan_vid,output:2",
	"vlan_tci=0,actions=push_vlan:0x88a8,mod_vlan_vid:5,mod_vlan_pcp:2,output:2",
	"vlan_tci=0x1000/0x1000,actions=mod_vlan_pcp:2,output:2",
	"ip,nw_tos=32,nw_ecn=1,actions=mod_nw_tos:32,mod_nw_ecn:1,output:2",
	"ip,actions=set_field:8->ip_dscp,set_field:1->ip_ecn,output:2",
	"ip,actions=set_field:32->nw_tos,load:0x20->NXM_OF_IP_TOS[],load:0x8->OXM_OF_IP_DSCP[],load:0x8->NXM_OF_IP_TOS[2..7],output:2",
	"ipv6,actions=mod_nw_tos:32,set_field:5->ipv6_label,set_field:fe80::1->ipv6_src,load:5->NXM_NX_IPV6_DST[64..127],2",
	"ip,actions=mod_nw_src:1.2.3.4,set_field:5.6.7.8->nw_dst,load:0x0102->NXM_OF_IP_DST[]",
	"actions=mod_dl_src:00:00:00:00:00:01,set_field:00:00:00:00:00:02->dl_dst,load:1->NXM_OF_ETH_SRC[],2",
	"tcp,tp_src=7,actions=mod_tp_src:1,set_field:2->tcp_dst,2",
	"udp,tp_dst=7,actions=mod_tp_src:1,set_field:2->udp_dst,load:1->OXM_OF_UDP_SRC[],2",
	"sctp,tp_src=7,actions=mod_tp_src:1,set_field:2->sctp_dst,2",
	"tcp6,tp_src=7,actions=mod_tp_src:1,2",
	"icmp,icmp_type=3,icmp_code=1,actions=set_field:1->icmp_type,set_field:2->icmp_code,2",
	"icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,actions=set_field:fe80::1->nd_target,set_field:00:00:00:00:00:01->nd_sll,2",
	"arp,arp_op=1,nw_src=1.2.3.4,actions=set_field:2->arp_op,set_field:1.2.3.4->arp_spa,set_field:00:00:00:00:00:01->arp_sha,2",
	"ip,actions=mod_nw_ttl:5,set_field:6->nw_ttl,dec_ttl,dec_ttl(1,2),2",
	"mpls,mpls_label=5,actions=set_mpls_label(5),set_mpls_tc(3),set_mpls_ttl(9),dec_mpls_ttl,2",
	"mpls,actions=set_field:5->mpls_label,set_field:3->mpls_tc,load:5->OXM_OF_MPLS_LABEL[],pop_mpls:0x800,2",
	"ip,actions=push_mpls:0x8847,set_mpls_label(7),2",
	"actions=enqueue(2,3),set_queue:3,2,pop_queue",
	"actions=set_tunnel:5,set_tunnel64:6,set_tunnel:0x1ffffffff,set_field:5->tun_id,load:5->NXM_NX_TUN_ID[0..31],2",
	"actions=set_field:5->reg0,set_field:0x30/0xf0->reg1,set_field:5->xreg3,set_field:5->xxreg3,load:5->OXM_OF_PKT_REG1[],2",
	"metadata=5/0xff,actions=set_field:5->metadata,set_field:5/0xff->metadata,load:5->OXM_OF_METADATA[],2",
	"actions=write_metadata:5", "actions=goto_table:3",
	"actions=clear_actions,write_actions(set_field:00:00:00:00:00:01->eth_src,output:2),goto_table:3",
	"dl_vlan=5,actions=move:vlan_vid[0..11]->reg0[0..11],move:vlan_tci->reg1[0..15],push:reg0[0..3],pop:eth_src[0..3],2",
	"actions=output:NXM_NX_REG0[0..15],output:xreg0[0..15],output:xxreg0[0..15],output(port=2,max_len=100)",
	"actions=resubmit:2,resubmit(,3),resubmit(2,3),resubmit(in_port,3)",
	"actions=controller,controller(max_len=50,reason=no_match),controller(userdata=01.02.03,pause)",
	"tcp,actions=ct(commit,zone=5,exec(set_field:1->ct_mark,set_field:5->ct_label,move:NXM_NX_REG0[]->NXM_NX_CT_MARK[]))",
	"tcp,ct_state=+trk,ct_mark=5/0xf,actions=ct(commit,nat(src=1.2.3.4-1.2.3.9:5-10,random,persistent),alg=ftp),clone(set_field:1.2.3.4->ip_src,2),3",
	"actions=check_pkt_larger(100)->reg0[0],multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[]),bundle_load(eth_src,0,active_backup,ofport,reg0,members:2,3)",
	"tcp,actions=learn(table=1,idle_timeout=10,NXM_OF_ETH_SRC[],NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[],load:5->NXM_NX_REG0[0..15])",
	"actions=set_field:3->in_port,load:3->NXM_OF_IN_PORT[],2",
	"in_port=65534,send_flow_rem,no_packet_counts,no_byte_counts,reset_counts,actions=2",
	"in_port=65533,idle_timeout=10,hard_timeout=20,importance=5,actions=2",
}

// flows10 are refused in OpenFlow 1.0, where goto_table is an action; a dump of them in 1.0 is an error.
var flows10 = []string{"actions=write_metadata:5/0xff,goto_table:3", "actions=write_metadata:5,write_metadata:6", "actions=write_metadata:5,note:01"}

// dumpUnstable is what differs between two dumps of the same flows.
var dumpUnstable = regexp.MustCompile(`(duration|idle_age|hard_age)=[0-9.]+s?, | ?\(xid=0x[0-9a-f]+\)|[0-9-]+T[0-9:]+Z`)

// TestVersionsLikeStock adds flows in each version of OpenFlow and dumps them in each.
func TestVersionsLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
	}
	versions := []string{"10", "11", "12", "13", "14", "15"}
	for _, in := range versions {
		for _, s := range both {
			s.Ofctl("-OOpenFlow15", "del-flows", "br0")
		}
		added, flows := 0, versionFlows
		if in == "10" {
			flows = slices.Concat(flows, flows10)
		}
		for i, f := range flows {
			args := []string{"-OOpenFlow" + in, "add-flow", "br0", fmt.Sprintf("cookie=%d,priority=%d,", i, i+1) + f}
			want, wantCode := stock.Try("ovs-ofctl", args...)
			if strings.Contains(want, "/br0.mgmt") || wantCode != 0 && !strings.Contains(want, "OFPT_ERROR") {
				continue // ovs-ofctl itself refuses it
			}
			got, gotCode := ours.Try("ovs-ofctl", args...)
			want, got = dumpUnstable.ReplaceAllString(want, ""), dumpUnstable.ReplaceAllString(got, "")
			if gotCode != wantCode || firstOf(got, "OFPT_ERROR") != firstOf(want, "OFPT_ERROR") {
				t.Errorf("OpenFlow %s: %s: %d %s, want %d %s", in, f, gotCode, got, wantCode, want)
			}
			if wantCode == 0 {
				added++
			}
		}
		if added < len(versionFlows)/2 {
			t.Fatalf("only %d flows of %d are possible in %s", added, len(versionFlows), in)
		}
		for _, out := range versions {
			if diff := cmp.Diff(stock.dump(out), ours.dump(out)); diff != "" {
				t.Errorf("added in %s, dumped in %s (-stock +ours):\n%s", in, out, diff)
			}
		}
	}
}

// firstOf is the first line with the word.
func firstOf(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			return line
		}
	}
	return ""
}

// dump is dump-flows of a version, in order, with what went wrong.
func (s *sim) dump(version string) []string {
	s.t.Helper()
	out, code := s.Try("ovs-ofctl", "-OOpenFlow"+version, "dump-flows", "br0")
	lines := strings.Split(dumpUnstable.ReplaceAllString(out, ""), "\n")
	slices.Sort(lines)
	return append(lines, fmt.Sprint("exit code ", code))
}
