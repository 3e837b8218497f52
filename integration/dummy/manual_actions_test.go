package dummy

// actionsManual are the examples of ovs-actions(7), and an instance of each of its syntax lines, in its order.
var actionsManual = []manualExample{
	// Inconsistencies
	{name: "inconsistencies OpenFlow 1.0 allows", run: `
		-O OpenFlow10 add-flow br0 arp,actions=mod_nw_tos:12
		-O OpenFlow10 add-flow br0 dl_vlan=0xffff,actions=strip_vlan
		-O OpenFlow10 add-flow br0 priority=1,actions=mod_nw_src:1.2.3.4,2`, anyMask: true},
	{name: "inconsistencies OpenFlow 1.1 refuses", run: `
		-O OpenFlow11 add-flow br0 arp,actions=mod_nw_tos:12
		-O OpenFlow11 add-flow br0 dl_vlan=0xffff,actions=strip_vlan
		-O OpenFlow11 add-flow br0 actions=mod_nw_src:1.2.3.4`},
	{name: "a flow of 1.1 told to 1.0", run: `
		-O OpenFlow11 add-flow br0 dl_vlan=0xffff,actions=push_vlan:0x8100,mod_vlan_vid:9,2
		-O OpenFlow10 dump-flows br0`},
	{name: "enqueue told to 1.1", run: `
		-O OpenFlow10 add-flow br0 actions=enqueue:2:7,3
		-O OpenFlow11 dump-flows br0`},
	// Field and port specifications
	{name: "subfields", run: `
		add-flow br0 dl_vlan=10,actions=load:5->vlan_tci[13..15],load:1->reg0[0],move:vlan_tci[13]->reg1[3],load:0x1003->vlan_tci[],2
		add-flow br0 tcp,actions=load:5->NXM_OF_ETH_DST[0..3],load:6->OXM_OF_ETH_DST[40..47],2`},
	{name: "port names", run: `
		add-flow br0 priority=1,tcp,actions=p2,"p3"
		add-flow br0 priority=1,udp,actions=in_port,local
		add-flow br0 priority=1,tcp6,actions=normal
		add-flow br0 priority=1,icmp,actions=flood
		add-flow br0 priority=1,arp,actions=all,controller
		--no-names add-flow br0 priority=0,actions=p2
		add-flow br0 priority=0,actions=table
		add-flow br0 priority=0,actions=none
		-OOpenFlow15 add-flow br0 priority=0,actions=unset
		--names dump-flows br0`},
	{name: "ports by number", run: `
		add-flow br0 priority=1,tcp,actions=65528
		add-flow br0 priority=1,udp,actions=65530
		-OOpenFlow13 add-flow br0 priority=1,tcp6,actions=output:0xfffffffb
		-OOpenFlow13 add-flow br0 priority=1,icmp,actions=output:4294967292`},
	// output
	{name: "output", run: `
		add-flow br0 tcp,actions=2
		add-flow br0 udp,actions=output:3
		add-flow br0 icmp,actions=load:4->reg0[0..15],output:reg0[0..15]
		add-flow br0 arp,actions=load:5->NXM_NX_REG1[],output:NXM_NX_REG1[],output:1
		add-flow br0 mpls,actions=output:234
		add-flow br0 ipv6,actions=load:1->reg1[],output:reg1`},
	{name: "output truncated", run: `
		add-flow br0 tcp,actions=output(port=2,max_len=40),3
		add-flow br0 udp,actions=output(port=local,max_len=64),output(port=2,max_len=20)
		add-flow br0 arp,actions=output(port=2,max_len=13)
		add-flow br0 arp,actions=output(port=flood,max_len=64)`},
	{name: "output to the input port", run: `
		add-flow br0 in_port=2,actions=in_port
		add-flow br0 in_port=3,actions=all,in_port
		add-flow br0 actions=2,3,4,5,6,in_port`,
		in: []string{manualPackets[0], received("p2", manualPackets[0]), received("p3", manualPackets[4])}},
	{name: "output to a port that may be the input port", run: `
		add-flow br0 in_port=2,actions=load:0->in_port,2
		add-flow br0 in_port=3,actions=push:in_port,load:0->in_port,2,3,4,5,6,pop:in_port,in_port
		add-flow br0 actions=load:0->in_port,2,3,4,5,6`,
		in: []string{manualPackets[0], received("p2", manualPackets[0]), received("p3", manualPackets[4])}},
	// controller
	{name: "controller", run: `
		add-flow br0 tcp,actions=controller,2
		add-flow br0 udp,actions=controller:64,2
		add-flow br0 icmp,actions=controller(max_len=0,reason=invalid_ttl,id=7),2
		add-flow br0 arp,actions=controller(userdata=01.02.03.04),2
		add-flow br0 tcp6,actions=controller(reason=packet_out,userdata=0102,pause),2
		add-flow br0 mpls,actions=controller(pause),2`},
	{name: "reasons of controller", run: `
		add-flow br0 priority=1,actions=controller(reason=no_match)
		add-flow br0 priority=2,actions=controller(reason=action)
		add-flow br0 priority=3,actions=controller(reason=action_set,userdata=01)
		add-flow br0 priority=4,actions=controller(reason=group,max_len=9)
		add-flow br0 priority=5,actions=controller(reason=nonsense)`},
	{name: "enqueue", run: `
		add-flow br0 tcp,actions=enqueue(2,1)
		add-flow br0 udp,actions=enqueue:3:7
		add-flow br0 arp,actions=enqueue(in_port,2),enqueue(local,4294967294)
		add-flow br0 icmp,actions=enqueue(flood,2)
		-OOpenFlow13 add-flow br0 icmp,actions=enqueue(2,3),3`},
	// bundle
	{name: "bundle by Ethernet source", run: `add-flow br0 actions=bundle(eth_src,0,hrw,ofport,members:4,8)`},
	{name: "bundle", run: `
		add-flow br0 tcp,actions=bundle(symmetric_l4,5,active_backup,ofport,members:9,2,3)
		add-flow br0 udp,actions=bundle_load(symmetric_l3l4+udp,5,hrw,ofport,reg0[0..15],members:2,3,4),output:reg0[0..15]
		add-flow br0 tcp6,actions=bundle(nw_dst,0,hrw,ofport,members:2,3)
		add-flow br0 arp,actions=bundle(eth_src,0,hrw,ofport,slaves:2,3)`},
	// group
	{name: "group", run: `
		-OOpenFlow13 add-group br0 group_id=1,type=all,bucket=mod_dl_src:00:00:00:00:00:01,output:2,bucket=output:3
		-OOpenFlow13 add-group br0 group_id=4294967040,type=indirect,bucket=resubmit(,1)
		-OOpenFlow13 add-flow br0 tcp,actions=group:1,4
		-OOpenFlow10 add-flow br0 udp,actions=group:4294967040,4
		-OOpenFlow13 add-flow br0 table=1,actions=push:reg0,5,exit,6
		-OOpenFlow13 add-flow br0 arp,actions=group:77
		-OOpenFlow13 add-flow br0 arp,actions=group:4294967041
		-OOpenFlow13 del-groups br0 group_id=77`},
	{name: "a deleted group takes its flows with it", run: `
		-OOpenFlow13 add-group br0 group_id=1,type=all,bucket=output:2
		-OOpenFlow13 add-flow br0 tcp,actions=group:1,4
		-OOpenFlow13 add-flow br0 udp,actions=4
		-OOpenFlow13 del-groups br0 group_id=1`},
	{name: "a value out of a select bucket", run: `
		-OOpenFlow15 add-group br0 group_id=1,type=select,selection_method=hash,bucket=resubmit(,1)
		-OOpenFlow15 add-flow br0 actions=group:1,pop:reg0[0..15],output:reg0[0..15]
		-OOpenFlow15 add-flow br0 table=1,actions=load:3->reg1,push:reg1[0..15]`, anyMask: true},
	{name: "select groups", run: `
		-OOpenFlow15 add-group br0 group_id=1,type=select,selection_method=hash,bucket=weight=0,output:2
		-OOpenFlow15 add-group br0 group_id=2,type=select,selection_method=hash,bucket=weight=3,output:2,bucket=output:3,bucket=weight=65535,output:4,bucket=bucket_id=77,weight=60000,output:5
		-OOpenFlow15 add-group br0 group_id=3,type=select,selection_method=hash,selection_method_param=0x123456789,fields(ip_src=255.255.255.0,eth_dst,tcp_dst),bucket=output:2,bucket=output:3,bucket=output:4,bucket=output:5
		-OOpenFlow15 add-flow br0 actions=group:1,group:2,group:3`, anyMask: true}, // OVS's are of ICMP's type, too
	// encapsulation
	{name: "strip_vlan, push_vlan", run: `
		-OOpenFlow11 add-flow br0 dl_vlan=10,actions=strip_vlan,2
		-OOpenFlow13 add-flow br0 dl_vlan=11,actions=pop_vlan,2
		-OOpenFlow13 add-flow br0 tcp,actions=pop_vlan,2
		-OOpenFlow13 add-flow br0 tcp,actions=push_vlan:0x8100,set_field:4099->vlan_vid,2,pop_vlan,3
		-OOpenFlow13 add-flow br0 udp,actions=push_vlan:0x88a8,2
		-OOpenFlow13 add-flow br0 arp,actions=push_vlan:0x9100`},
	{name: "push_mpls, pop_mpls", run: `
		-OOpenFlow13 add-flow br0 tcp,actions=push_mpls:0x8847,2
		-OOpenFlow10 add-flow br0 udp,actions=push_mpls:0x8848,2
		-OOpenFlow13 add-flow br0 ipv6,actions=push_mpls:0x8847,push_mpls:0x8847,2
		-OOpenFlow13 add-flow br0 arp,actions=push_mpls:0x8847,2
		-OOpenFlow13 add-flow br0 mpls,mpls_bos=0,actions=pop_mpls:0x8847,2
		-OOpenFlow13 add-flow br0 mpls,mpls_bos=1,actions=pop_mpls:0x0800,2
		-OOpenFlow13 add-flow br0 icmp,actions=push_mpls:0x0800,2`},
	{name: "too many MPLS labels", run: `
		-OOpenFlow13 add-flow br0 mpls,actions=2,push_mpls:0x8847,3,push_mpls:0x8847,4,push_mpls:0x8847,5`, anyMask: true},
	{name: "encap and decap NSH", run: `
		-OOpenFlow13 add-flow br0 tcp,actions=encap(nsh(md_type=1)),2
		-OOpenFlow13 add-flow br0 udp,actions=encap(nsh(md_type=2,tlv(0x1000,10,0x12345678))),2`,
		refused: "NXBAC_BAD_HEADER_TYPE"},
	{name: "encap and decap Ethernet", run: `
		-OOpenFlow13 add-flow br0 tcp,actions=decap,encap(ethernet),set_field:00:00:00:00:00:01->eth_dst,2
		-OOpenFlow13 add-flow br0 udp,actions=encap(ethernet),2
		-OOpenFlow13 add-flow br0 icmp,actions=2,decap,3`, anyMask: true},
	{name: "encap and decap MPLS", run: `
		-OOpenFlow13 add-flow br0 tcp,actions=encap(mpls),encap(ethernet),2
		-OOpenFlow13 add-flow br0 udp,actions=encap(mpls_mc),encap(ethernet),2`, refused: "NXBAC_BAD_HEADER_TYPE"},
	// field modification
	{name: "the Ethernet source", run: `
		add-flow br0 priority=1,tcp,actions=set_field:00:11:22:33:44:55->eth_src,2
		add-flow br0 priority=1,udp,actions=load:0x001122334455->eth_src,2
		add-flow br0 priority=1,arp,actions=load:0x001122334455->OXM_OF_ETH_SRC[],2`},
	{name: "the multicast bit", run: `
		add-flow br0 priority=1,tcp,actions=set_field:01:00:00:00:00:00/01:00:00:00:00:00->eth_dst,2
		-OOpenFlow15 add-flow br0 priority=1,udp,actions=set_field:01:00:00:00:00:00/01:00:00:00:00:00->eth_dst,2
		add-flow br0 priority=1,arp,actions=load:1->eth_dst[40],2`, no10: true}, // it forgets the mask
	{name: "a destination that the packet lacks", run: `
		-OOpenFlow13 add-flow br0 actions=set_field:1.2.3.4->nw_dst,2
		-OOpenFlow13 add-flow br0 actions=write_actions(set_field:1.2.3.4->nw_dst,output:2)`},
	{name: "move", run: `
		add-flow br0 priority=1,tcp,actions=load:0x2a->reg0,move:reg0[0..5]->reg1[26..31],move:reg1[26..31]->eth_src[0..5],2
		add-flow br0 priority=1,udp,actions=load:0x1007->reg0[0..15],move:reg0[0..15]->vlan_tci,2
		-OOpenFlow15 add-flow br0 priority=1,icmp,actions=move:eth_src[]->eth_dst[],2
		add-flow br0 priority=1,arp,actions=move:eth_src[0..3]->eth_dst,2`},
	{name: "mod_dl_src, mod_dl_dst", run: `
		add-flow br0 tcp,actions=mod_dl_src:00:11:22:33:44:55,mod_dl_dst:66:77:88:99:aa:bb,2
		-OOpenFlow13 add-flow br0 udp,actions=mod_dl_src:00:11:22:33:44:55,mod_dl_dst:66:77:88:99:aa:bb,2`},
	{name: "mod_nw_src, mod_nw_dst, mod_nw_tos, mod_nw_ecn", run: `
		add-flow br0 tcp,actions=mod_nw_src:1.2.3.4,mod_nw_dst:5.6.7.8,mod_nw_tos:12,mod_nw_ecn:3,2
		-OOpenFlow11 add-flow br0 udp,actions=mod_nw_src:1.2.3.4,mod_nw_dst:5.6.7.8,mod_nw_tos:12,mod_nw_ecn:3,2
		-OOpenFlow13 add-flow br0 icmp,actions=mod_nw_src:1.2.3.4,mod_nw_dst:5.6.7.8,mod_nw_tos:12,mod_nw_ecn:3,2
		-OOpenFlow13 add-flow br0 ipv6,actions=mod_nw_tos:12,mod_nw_ecn:3,2
		-OOpenFlow13 add-flow br0 actions=pop_mpls:0x0800,mod_nw_dst:5.6.7.8
		-OOpenFlow13 add-flow br0 mpls,mpls_bos=1,actions=pop_mpls:0x0800,mod_nw_dst:5.6.7.8,2
		add-flow br0 tcp,actions=mod_nw_tos:13
		add-flow br0 tcp,actions=mod_nw_ecn:4`, anyMask: true},
	{name: "mod_tp_src, mod_tp_dst", run: `
		add-flow br0 tcp,actions=mod_tp_src:1,mod_tp_dst:65535,2
		-OOpenFlow13 add-flow br0 udp,actions=mod_tp_src:0,mod_tp_dst:2,2
		-OOpenFlow13 add-flow br0 tcp6,actions=mod_tp_src:3,mod_tp_dst:4,2
		-OOpenFlow13 add-flow br0 sctp,actions=mod_tp_src:3,mod_tp_dst:4,2
		-OOpenFlow13 add-flow br0 icmp,actions=mod_tp_src:3`},
	{name: "dec_ttl, mod_nw_ttl", run: `
		add-flow br0 tcp,actions=dec_ttl,2
		add-flow br0 udp,actions=2,dec_ttl(1,2,3),3
		-OOpenFlow13 add-flow br0 tcp6,actions=dec_ttl,dec_ttl,2
		-OOpenFlow13 add-flow br0 icmp,actions=mod_nw_ttl:1,dec_ttl,2
		-OOpenFlow13 add-flow br0 arp,actions=dec_ttl`},
	{name: "dec_ttl ends its level only", run: `
		add-flow br0 actions=resubmit(,1),3
		add-flow br0 table=1,udp,actions=dec_ttl,2
		add-flow br0 table=1,tcp,actions=dec_ttl,2`},
	{name: "MPLS fields", run: `
		-OOpenFlow10 add-flow br0 mpls,mpls_bos=1,actions=set_mpls_label:0x12345,set_mpls_tc:7,set_mpls_ttl:9,dec_mpls_ttl,2
		-OOpenFlow11 add-flow br0 mpls,mpls_label=7,actions=set_mpls_label:3,set_mpls_tc:1,set_mpls_ttl:1,2,dec_mpls_ttl,3
		-OOpenFlow13 add-flow br0 mpls,mpls_bos=0,actions=set_mpls_label:3,set_mpls_tc:1,set_mpls_ttl:1,2,dec_mpls_ttl,3
		-OOpenFlow13 add-flow br0 tcp,actions=push_mpls:0x8847,set_mpls_label:1048575,dec_mpls_ttl,2
		-OOpenFlow13 add-flow br0 udp,actions=set_mpls_label:1`},
	{name: "NSH TTL", run: `
		-OOpenFlow13 add-flow br0 packet_type=(1,0x894f),actions=dec_nsh_ttl,2`, refused: "OFPBAC_BAD_TYPE"},
	{name: "check_pkt_larger", run: `
		add-flow br0 tcp,actions=check_pkt_larger(1500)->reg0[0],check_pkt_larger(8000)->reg9[10],resubmit(,1)
		add-flow br0 udp,actions=check_pkt_larger(40)->reg0[0],resubmit(,1)
		add-flow br0 arp,actions=check_pkt_larger(40)->reg0[0..1]
		add-flow br0 table=1,reg0=0/1,actions=2
		add-flow br0 table=1,reg0=1/1,actions=3`},
	{name: "delete_field", run: `
		add-tlv-map br0 {class=0xffff,type=0,len=4}->tun_metadata0
		add-flow br0 tcp,actions=set_field:7->tun_metadata0,delete_field:tun_metadata0,2
		add-flow br0 udp,actions=delete_field:tun_metadata1,2
		add-flow br0 arp,actions=delete_field:eth_src`, later: "tunnels: issue 6"},
	// metadata
	{name: "set_tunnel", run: `
		add-flow br0 tcp,actions=set_tunnel:0x1234,2
		add-flow br0 udp,actions=set_tunnel64:0x123456789abcdef0,resubmit(,1)
		-OOpenFlow13 add-flow br0 icmp,actions=set_tunnel:77,resubmit(,1)
		-OOpenFlow13 add-flow br0 arp,actions=set_tunnel:0x100000000,resubmit(,1)
		-OOpenFlow13 add-flow br0 table=1,tun_id=0x123456789abcdef0,actions=3
		-OOpenFlow13 add-flow br0 table=1,tun_id=77,actions=4
		-OOpenFlow13 add-flow br0 table=1,tun_id=0x100000000,actions=5`, anyMask: true},
	{name: "set_queue, pop_queue", run: `
		add-flow br0 tcp,actions=set_queue:3,2,pop_queue,3
		-OOpenFlow13 add-flow br0 udp,actions=set_queue:4294967294,2,pop_queue,3`},
	// firewalling
	{name: "a firewall by ct", run: `
		add-flow br0 table=0,priority=1,action=drop
		add-flow br0 table=0,priority=10,arp,action=normal
		add-flow br0 table=0,priority=100,ip,ct_state=-trk,action=ct(table=1)
		add-flow br0 table=1,in_port=1,ip,ct_state=+trk+new,action=ct(commit),2
		add-flow br0 table=1,in_port=1,ip,ct_state=+trk+est,action=2
		add-flow br0 table=1,in_port=2,ip,ct_state=+trk+new,action=drop
		add-flow br0 table=1,in_port=2,ip,ct_state=+trk+est,action=1`, anyMask: true}, // ARP has its fields in the stock daemon's
	{name: "ct", run: `
		add-flow br0 tcp,actions=ct(commit,zone=reg0[0..15],exec(set_field:1->ct_mark,set_field:0x10/0xf0->ct_label,move:reg1->ct_mark)),2
		add-flow br0 udp,actions=ct(zone=7,table=1),3
		add-flow br0 icmp,actions=ct(commit,force,zone=5),2
		add-flow br0 arp,actions=ct(commit)
		add-flow br0 table=1,udp,ct_state=+trk,ct_zone=7,actions=resubmit(,2,ct),ct_clear,resubmit(,2)
		add-flow br0 table=2,ct_state=+trk,actions=4
		add-flow br0 table=2,ct_state=-trk,actions=5`, in: manualPackets[:4]},
	{name: "ct with alg", run: `
		add-flow br0 tcp6,actions=ct(commit,alg=ftp),2
		add-flow br0 udp6,actions=ct(commit,alg=tftp),2`},
	{name: "nat", run: `
		add-flow br0 tcp,actions=ct(commit,nat(src=10.0.0.240-10.0.0.250:1024-65535,random),table=1)
		add-flow br0 udp,actions=ct(commit,nat(dst=10.0.0.9:80,hash,persistent),table=1)
		add-flow br0 tcp6,actions=ct(commit,nat(src=[fe80::10-fe80::20]:1000-2000),table=1)
		add-flow br0 udp6,actions=ct(commit,nat(dst=fe80::99),table=1)
		add-flow br0 icmp,actions=ct(nat,table=1)
		add-flow br0 sctp,actions=ct(commit,nat(src=0.0.0.0),table=1)
		add-flow br0 priority=7,ip,actions=ct(commit,nat(src=1.1.1.1,random,hash))
		add-flow br0 table=1,actions=2`, later: "the datapath chooses addresses and ports at random; NAT is compared in datapath/conntrack"},
	{name: "learn with prerequisites", run: `
		add-flow br0 'udp, actions=learn(dl_type=0x800, nw_proto=17, udp_dst=udp_src)'
		add-flow br0 'tcp, actions=learn(dl_type=0x800, nw_proto=17, udp_dst=udp_src)'
		add-flow br0 'udp, actions=learn(udp_dst=udp_src)'`, anyMask: true},
	{name: "learn", run: `
		add-flow br0 tcp,actions=learn(table=1,idle_timeout=5,hard_timeout=60,priority=7,cookie=0x12,send_flow_rem,eth_type=0x800,nw_proto=6,eth_dst=eth_src,tcp_src=tcp_dst,load:eth_src->reg0..15[],output:in_port)
		add-flow br0 tcp,actions=learn(table=1,idle_timeout=5,hard_timeout=60,priority=7,cookie=0x12,send_flow_rem,eth_type=0x800,nw_proto=6,eth_dst=eth_src,tcp_src=tcp_dst,load:5->reg0[0..15],output:in_port),2
		add-flow br0 udp,actions=learn(table=2,delete_learned,limit=1,result_dst=reg0[0],cookie=5,eth_src,load:eth_dst[0..15]->reg1[16..31]),output:reg0
		add-flow br0 icmp,actions=learn(fin_idle_timeout=3,fin_hard_timeout=10,dl_type=0x800,nw_proto=6,ip_src=ip_dst),3
		add-flow br0 arp,actions=learn(table=3,vlan_tci[0..11],eth_dst=eth_src,output:in_port),flood`, anyMask: true},
	{name: "fin_timeout", run: `
		add-flow br0 tcp,idle_timeout=60,actions=fin_timeout(idle_timeout=5,hard_timeout=10),2
		-OOpenFlow13 add-flow br0 udp,actions=fin_timeout(idle_timeout=5)`},
	// control flow
	{name: "resubmit", run: `
		add-flow br0 priority=9,in_port=1,tcp,actions=resubmit:2,4
		add-flow br0 priority=9,in_port=2,tcp,actions=3
		add-flow br0 udp,actions=resubmit(,1),4
		add-flow br0 icmp,actions=resubmit(2,1),resubmit(in_port,1)
		add-flow br0 arp,actions=resubmit(3),5
		add-flow br0 table=1,in_port=1,actions=5
		add-flow br0 table=1,in_port=2,actions=6
		add-flow br0 tcp6,ct_state=+trk-inv,actions=resubmit(,1,ct)
		add-flow br0 tcp6,actions=resubmit(,1,ct)`},
	{name: "resubmit for ever", run: `add-flow br0 tcp,actions=2,resubmit(,0),3`, anyMask: true},
	{name: "clone", run: `
		add-flow br0 tcp,actions=clone(load:7->reg0,push:reg0,mod_dl_src:00:00:00:00:00:01,2),resubmit(,1),3
		add-flow br0 udp,actions=clone(clone(dec_ttl,2),3),4
		add-flow br0 table=1,reg0=0,actions=4`},
	{name: "push, pop", run: `
		add-flow br0 tcp,actions=load:0x2a->reg2,push:reg2[0..5],pop:NXM_NX_REG3[0..5],move:reg3[0..5]->eth_src[0..5],2
		add-flow br0 udp,actions=push:NXM_NX_REG2[0..5],push:eth_src,pop:eth_dst,pop:reg2[0..5],2
		add-flow br0 arp,actions=push:eth_src,push:eth_dst,pop:eth_src,pop:eth_dst,2
		add-flow br0 icmp,actions=2,pop:reg2[0..5],3`},
	{name: "exit", run: `
		-OOpenFlow13 add-flow br0 tcp,actions=resubmit(,1),3
		-OOpenFlow13 add-flow br0 udp,actions=write_actions(output:4),resubmit(,1),3
		-OOpenFlow13 add-flow br0 table=1,actions=2,exit,5`},
	{name: "multipath", run: `
		add-flow br0 tcp,actions=multipath(eth_src,50,modulo_n,4,0,reg0[0..7]),output:reg0
		add-flow br0 udp,actions=multipath(symmetric_l3l4+udp,1024,hrw,5,0,NXM_NX_REG0[0..15]),output:reg0
		add-flow br0 icmp,actions=multipath(symmetric_l3,0,iter_hash,4,9,reg0[]),output:reg0
		add-flow br0 tcp6,actions=multipath(nw_src,0,hash_threshold,4,0,reg0[]),output:reg0
		add-flow br0 arp,actions=multipath(eth_src,50,modulo_n,4,0,reg0[0])`},
	// others
	{name: "note", run: `
		add-flow br0 tcp,actions=note:00.11.22.33.44.55.66.77,2
		add-flow br0 udp,actions=2,note:ff`},
	{name: "conjunction", run: `
		add-flow br0 tcp,tcp_dst=80,actions=conjunction(7,1/2),note:01
		add-flow br0 ip,nw_src=10.0.0.1,actions=conjunction(7,2/2)
		add-flow br0 udp,actions=conjunction(7,1/1)
		add-flow br0 udp,actions=conjunction(7,1/2),2
		add-flow br0 conj_id=7,actions=2`},
	{name: "sample", run: `
		add-flow br0 tcp,actions=sample(probability=65535,collector_set_id=1,obs_domain_id=2,obs_point_id=3),2
		add-flow br0 udp,actions=sample(probability=12345,collector_set_id=123,sampling_port=2,egress),2
		add-flow br0 arp,actions=sample(probability=1,sampling_port=1,ingress),2
		add-flow br0 icmp,actions=sample(probability=0,collector_set_id=1)`},
	// instructions
	{name: "instructions in order", run: `
		-OOpenFlow13 add-meter br0 meter=1,pktps,bands=type=drop,rate=1000
		-OOpenFlow13 add-flow br0 tcp,actions=meter:1,2,clear_actions,write_actions(output:3),write_metadata:0x55/0xff,goto_table:1
		-OOpenFlow13 add-flow br0 udp,actions=write_metadata:0x123456789abcdef0,goto_table:1
		-OOpenFlow13 add-flow br0 icmp,actions=goto_table:1,2
		-OOpenFlow13 add-flow br0 icmp,actions=write_metadata:1,2
		-OOpenFlow13 add-flow br0 table=1,icmp,actions=goto_table:1
		-OOpenFlow13 add-flow br0 table=1,metadata=0x55,actions=4
		-OOpenFlow13 add-flow br0 table=1,metadata=0x123456789abcdef0,actions=5`},
	{name: "the order of the action set", run: `
		-OOpenFlow13 add-flow br0 tcp,actions=write_actions(output:2,set_field:00:00:00:00:00:09->eth_src,dec_ttl,push_vlan:0x8100,set_field:4105->vlan_vid),goto_table:1
		-OOpenFlow13 add-flow br0 table=1,actions=write_actions(output:3,mod_nw_tos:12)`},
	{name: "clear_actions", run: `
		-OOpenFlow13 add-flow br0 actions=write_actions(output:2),goto_table:1
		-OOpenFlow13 add-flow br0 table=1,tcp,actions=clear_actions
		-OOpenFlow13 add-flow br0 table=1,udp,actions=clear_actions,write_actions(output:4)
		-OOpenFlow13 add-flow br0 table=1,priority=0,actions=drop`},
	{name: "meter as action", run: `
		-OOpenFlow15 add-meter br0 meter=1,pktps,bands=type=drop,rate=1000
		-OOpenFlow15 add-flow br0 tcp,actions=meter:1,2
		-OOpenFlow15 add-flow br0 udp,actions=2,meter:1,3
		-OOpenFlow15 add-flow br0 udp,actions=write_actions(meter:1,output:2)
		-OOpenFlow15 add-flow br0 udp,actions=meter:9`},
}
