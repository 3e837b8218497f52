package dummy

// fieldsManual are the examples of ovs-fields(7) in its order. TestFieldsLikeStock does each field.
var fieldsManual = []manualExample{
	{name: "exact, masked and wildcarded", run: `
		add-flow br0 priority=3,ip,nw_src=10.0.0.1,actions=2
		add-flow br0 priority=2,ip,nw_src=10.0.0.0/255.255.0.0,actions=3
		add-flow br0 priority=2,ip,nw_src=10.1.0.0/16,actions=3
		add-flow br0 priority=1,ip,nw_src=*,actions=4
		add-flow br0 nw_src=*,actions=4`},
	{name: "a range", run: `
		add-flow br0 tcp,tp_src=0x03e8/0xfff8,actions=2
		add-flow br0 tcp,tp_src=0x03f0/0xfff0,actions=2
		add-flow br0 tcp,tp_src=0x0400/0xfe00,actions=2
		add-flow br0 tcp,tp_src=0x0600/0xff00,actions=2
		add-flow br0 tcp,tp_src=0x0700/0xff80,actions=2
		add-flow br0 tcp,tp_src=0x0780/0xffc0,actions=2
		add-flow br0 tcp,tp_src=0x07c0/0xfff0,actions=2`},
	{name: "an inequality", run: `
		add-flow br0 priority=2,tcp,tcp_dst=80,actions=drop
		add-flow br0 priority=1,tcp,actions=2`},
	{name: "keywords", run: `
		add-flow br0 priority=1,eth,actions=2
		add-flow br0 priority=2,ip,actions=3
		add-flow br0 priority=3,tcp,actions=4
		add-flow br0 priority=3,udp,actions=5
		add-flow br0 priority=2,ipv6,actions=6
		add-flow br0 priority=3,tcp6,actions=2,3
		add-flow br0 priority=3,icmp,actions=2,4
		add-flow br0 priority=3,icmp6,actions=2,5
		add-flow br0 priority=3,arp,actions=2,6
		add-flow br0 priority=3,rarp,actions=3,4
		add-flow br0 priority=3,mpls,actions=3,5
		add-flow br0 priority=3,mplsm,actions=3,6
		add-flow br0 priority=3,sctp,actions=4,5
		add-flow br0 priority=3,udp6,actions=4,6
		add-flow br0 priority=3,sctp6,actions=4,2,3`},
	{name: "sets by flows", run: `
		add-flow br0 priority=2,ip,ip_src=10.0.0.1,actions=controller
		add-flow br0 priority=2,ip,ip_src=10.0.0.4,actions=controller
		add-flow br0 priority=1,ip,ip_dst=10.0.0.9,actions=controller`},
	{name: "a conjunctive flow", run: `
		add-flow br0 'conj_id=1234 actions=controller'
		add-flow br0 'ip,ip_src=10.0.0.1 actions=conjunction(1234, 1/2)'
		add-flow br0 'ip,ip_src=10.0.0.4 actions=conjunction(1234, 1/2)'
		add-flow br0 'ip,ip_src=10.0.0.6 actions=conjunction(1234, 1/2)'
		add-flow br0 'ip,ip_src=10.0.0.7 actions=conjunction(1234, 1/2)'
		add-flow br0 'ip,ip_dst=10.0.0.2 actions=conjunction(1234, 2/2)'
		add-flow br0 'ip,ip_dst=10.0.0.5 actions=conjunction(1234, 2/2)'
		add-flow br0 'ip,ip_dst=10.0.0.7 actions=conjunction(1234, 2/2)'
		add-flow br0 'ip,ip_dst=10.0.0.8 actions=conjunction(1234, 2/2)'`},
	{name: "a conjunctive flow with prerequisites", run: `
		-OOpenFlow13 add-flow br0 'conj_id=1234,ip actions=mod_nw_src:1.2.3.4,2'
		-OOpenFlow13 add-flow br0 'conj_id=1235,tcp,tcp_dst=80 actions=mod_nw_src:1.2.3.4,controller,3'
		-OOpenFlow13 add-flow br0 'conj_id=1236 actions=mod_nw_src:1.2.3.4'
		add-flow br0 'ip,ip_src=10.0.0.1 actions=conjunction(1234, 1/2)'
		add-flow br0 'ip,ip_dst=10.0.0.2 actions=conjunction(1234, 2/2)'
		add-flow br0 'priority=9,ip,ip_src=10.0.0.1 actions=conjunction(1235, 1/2)'
		add-flow br0 'priority=9,ip,ip_dst=10.0.0.2 actions=conjunction(1235, 2/2)'`, anyMask: true},
	{name: "tunnel flows", run: `
		add-flow br0 in_port=2,actions=1
		add-flow br0 'in_port=1 actions=set_tunnel:5001,set_field:192.168.1.1->tun_dst,3'
		add-flow br0 'in_port=3,tun_src=192.168.1.1,tun_id=5001 actions=1'`, later: "tunnels: issue 6"},
	{name: "tunnel flags", run: `
		add-flow br0 tun_flags=+oam,actions=2
		add-flow br0 tun_flags=-oam,actions=3`, anyMask: true},
	{name: "tunnel options", run: `
		add-tlv-map br0 {class=0xffff,type=0,len=4}->tun_metadata0
		add-flow br0 tun_metadata0=1234,actions=controller
		add-flow br0 priority=1,tun_metadata0=0,actions=2
		add-flow br0 tun_metadata1=1,actions=2
		add-tlv-map br0 {class=0xffff,type=1,len=8}->tun_metadata1,{class=0x102,type=0,len=124}->tun_metadata63
		add-tlv-map br0 {class=0xffff,type=2,len=4}->tun_metadata0
		del-tlv-map br0 {class=0xffff,type=1,len=8}->tun_metadata1
		dump-tlv-map br0`, anyMask: true},
	{name: "the ingress port", run: `
		add-flow br0 in_port=1,actions=1
		add-flow br0 in_port=2,actions=drop
		add-flow br0 in_port=3,actions=1,2,3,4
		add-flow br0 in_port=4,actions=1,2,3,4,in_port`,
		in: []string{manualPackets[0], received("p2", manualPackets[0]), received("p3", manualPackets[0]), received("p4", manualPackets[0])}},
	{name: "the ingress port cleared and restored", run: `
		add-flow br0 in_port=1,actions=load:0->NXM_OF_IN_PORT[],output:1
		add-flow br0 in_port=2,actions=push:NXM_OF_IN_PORT[],load:0->NXM_OF_IN_PORT[],output:2,pop:NXM_OF_IN_PORT[],output:2,3
		add-flow br0 in_port=3,actions=clone(load:0->NXM_OF_IN_PORT[],output:3),output:3,4`,
		in: []string{manualPackets[0], received("p2", manualPackets[0]), received("p3", manualPackets[0])}},
	{name: "conntrack state", run: `
		add-flow br0 tcp,ct_state=+trk-new,actions=2
		add-flow br0 tcp,ct_state=-trk,actions=ct(table=1)
		add-flow br0 table=1,ip,ct_state=+new+trk,actions=3
		add-flow br0 table=1,ip,ct_state=0x22/0x3f,actions=4`},
	{name: "multicast and unicast", run: `
		add-flow br0 dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=2
		add-flow br0 dl_dst=00:00:00:00:00:00/01:00:00:00:00:00,actions=3
		add-flow br0 priority=1,dl_dst=*,actions=4
		add-flow br0 priority=7,dl_dst=fe:ff:ff:ff:ff:ff/fe:ff:ff:ff:ff:ff,actions=5`},
	{name: "vlan_tci", run: `
		add-flow br0 priority=1,vlan_tci=0,actions=2
		add-flow br0 priority=2,vlan_tci=0x1000/0x1000,actions=3
		add-flow br0 priority=3,vlan_tci=0xf123,actions=4
		add-flow br0 priority=4,vlan_tci=0x1123/0x1fff,actions=4
		add-flow br0 priority=5,vlan_tci=0x5000/0xf000,actions=4
		add-flow br0 priority=6,vlan_tci=0/0xfff,arp,actions=5
		add-flow br0 priority=7,vlan_tci=0x5000/0xe000,arp,actions=6
		add-flow br0 priority=8,vlan_tci=0/0xefff,udp,actions=6`},
	{name: "dl_vlan of no tag", run: `
		-OOpenFlow10 add-flow br0 dl_vlan=0xffff,actions=2
		-OOpenFlow10 add-flow br0 dl_vlan=10,dl_vlan_pcp=3,actions=3
		-OOpenFlow10 add-flow br0 priority=1,dl_vlan_pcp=3,actions=4`},
	{name: "a stack of labels", run: `
		-OOpenFlow13 add-flow br0 'table=0, dl_type=0x8847, mpls_bos=0, actions=pop_mpls:0x8847, goto_table:1'
		-OOpenFlow13 add-flow br0 'table=0, dl_type=0x8847, mpls_bos=1, actions=goto_table:1'
		-OOpenFlow13 add-flow br0 'table=1, dl_type=0x8847, mpls_bos=1, actions=pop_mpls:0x0800, goto_table:2'
		-OOpenFlow13 add-flow br0 table=2,ip,nw_dst=10.0.0.2,actions=2`, anyMask: true},
	{name: "fragments", run: `
		add-flow br0 priority=1,ip,ip_frag=no,actions=2
		add-flow br0 priority=2,ip,ip_frag=yes,actions=3
		add-flow br0 priority=3,ip,ip_frag=first,actions=4
		add-flow br0 priority=4,ip,ip_frag=later,actions=5
		add-flow br0 priority=0,ip,ip_frag=not_later,actions=6`,
		in: []string{manualPackets[0],
			"p1 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=1,ttl=64,frag=first),udp(src=7,dst=80)",
			"p1 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=1,ttl=64,frag=later)"}},
	{name: "TCP flags", run: `
		add-flow br0 priority=2,tcp,tcp_flags=+syn-ack,actions=2
		add-flow br0 priority=1,tcp,tcp_flags=+[200],actions=3
		add-flow br0 priority=3,tcp6,tcp_flags=0x10/0x12,actions=4`},
}
