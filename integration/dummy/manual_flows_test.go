package dummy

// flowsManual are the examples of ovs-ofctl(8) and of its syntax of flows, groups, meters, packet-outs and bundles.
var flowsManual = []manualExample{
	{name: "a learning switch", run: `
		add-flow br0 'table=0 actions=learn(table=1,hard_timeout=10, NXM_OF_VLAN_TCI[0..11],output:NXM_OF_IN_PORT[]), resubmit(,1)'
		add-flow br0 'table=1 priority=0 actions=flood'`, anyMask: true},
	{name: "learn the first packet of each source", run: `
		add-flow br0 'table=0,priority=0 actions=load:3->NXM_NX_REG0[0..15],learn(table=0,priority=1,idle_timeout=10,NXM_OF_ETH_SRC[],NXM_OF_VLAN_TCI[0..11],output:NXM_NX_REG0[0..15]),output:2'`,
		anyMask: true, in: append(append([]string(nil), manualPackets[:2]...), manualPackets[0])},
	{name: "cookies", run: `
		add-flow br0 cookie=3,tcp,actions=2
		mod-flows br0 cookie=1,actions=normal
		mod-flows br0 cookie=1/-1,cookie=2,actions=3
		add-flow br0 cookie=0x55,udp,actions=2
		dump-flows br0 cookie=2/-1
		dump-aggregate br0 cookie=0x55/0xff
		del-flows br0 cookie=0x55/-1`},
	{name: "commands in a file", run: `
		add-flows br0 <file>
		--bundle add-flows br0 <file>`, file: `
			add tcp,actions=2
			udp actions=3
			modify udp,actions=4
			add arp,actions=5
			add priority=7,arp,actions=6
			modify_strict priority=7,arp,actions=2
			delete_strict priority=7,arp
			add ip,actions=3
			delete icmp`},
	{name: "a bundle that fails changes nothing", run: `
		add-flow br0 udp,actions=2
		--bundle add-flows br0 <file>`, file: `
			tcp,actions=2
			del udp
			arp,actions=group:7`},
	{name: "a bundle of everything", run: `-OOpenFlow14 bundle br0 <file>`, file: `
			flow tcp,actions=2
			flow add udp,actions=3
			flow modify udp,actions=4
			group group_id=1,type=all,bucket=output:2
			group add group_id=2,type=indirect,bucket=output:3
			group modify group_id=1,type=all,bucket=output:4
			group add_or_mod group_id=3,type=all,bucket=output:5
			flow arp,actions=group:1
			flow add priority=9,icmp,actions=drop
			flow delete_strict priority=9,icmp
			flow add priority=9,icmp,actions=2
			flow delete icmp
			group delete group_id=2
			packet-out in_port=controller,packet=505400000001505400000002080000000000,actions=output:6`},
	{name: "buckets", run: `
		-OOpenFlow15 add-group br0 group_id=1,type=all,bucket=bucket_id=1,output:2,bucket=bucket_id=2,output:3
		-OOpenFlow15 insert-buckets br0 group_id=1,command_bucket_id=first,bucket=bucket_id=3,output:4
		-OOpenFlow15 insert-buckets br0 group_id=1,command_bucket_id=last,bucket=bucket_id=4,output:5
		-OOpenFlow15 insert-buckets br0 group_id=1,command_bucket_id=2,bucket=bucket_id=5,output:6
		-OOpenFlow15 insert-buckets br0 group_id=1,command_bucket_id=77,bucket=bucket_id=9,output:6
		-OOpenFlow15 add-flow br0 tcp,actions=group:1
		-OOpenFlow15 dump-groups br0 1
		-OOpenFlow15 remove-buckets br0 group_id=1,command_bucket_id=first
		-OOpenFlow15 remove-buckets br0 group_id=1,command_bucket_id=4
		-OOpenFlow15 dump-groups br0
		-OOpenFlow15 dump-group-stats br0 group_id=1
		-OOpenFlow15 dump-group-features br0`},
	{name: "remove all buckets", run: `
		-OOpenFlow15 add-group br0 group_id=1,type=all,bucket=bucket_id=1,output:2,bucket=bucket_id=2,output:3
		-OOpenFlow15 remove-buckets br0 group_id=1,command_bucket_id=all
		-OOpenFlow15 add-flow br0 tcp,actions=group:1,4`},
	{name: "group types", run: `
		-OOpenFlow13 add-group br0 group_id=1,type=ff,bucket=watch_port:77,output:2,bucket=watch_port:3,output:3
		-OOpenFlow13 add-group br0 group_id=2,type=fast_failover,bucket=watch_group:1,output:4
		-OOpenFlow13 add-group br0 group_id=3,type=indirect,bucket=actions=output:5
		-OOpenFlow13 add-group br0 group_id=4,type=indirect,bucket=output:5,bucket=output:6
		-OOpenFlow15 add-group br0 group_id=5,type=select,selection_method=hash,fields(ip_src,ip_dst),bucket=weight:2,output:2,bucket=weight:3,output:3
		-OOpenFlow15 add-group br0 group_id=6,type=select,selection_method=dp_hash,selection_method_param=4294967296,bucket=output:2
		-OOpenFlow13 mod-group br0 group_id=3,type=indirect,bucket=output:6
		-OOpenFlow13 mod-group br0 group_id=9,type=indirect,bucket=output:6
		-OOpenFlow13 --may-create mod-group br0 group_id=9,type=indirect,bucket=output:6
		-OOpenFlow13 add-flow br0 actions=group:1,group:2,group:3,group:5,group:9
		-OOpenFlow13 del-groups br0 group_id=6
		-OOpenFlow10 dump-groups br0`, anyMask: true},
	{name: "meters", run: `
		-OOpenFlow13 add-meter br0 meter=1,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=100
		-OOpenFlow13 add-meter br0 meter=2,pktps,bands=type=drop,rate=100
		-OOpenFlow13 mod-meter br0 meter=2,pktps,burst,bands=type=drop,rate=200,burst_size=20
		-OOpenFlow13 add-flow br0 tcp,actions=meter:1,2
		-OOpenFlow13 dump-meter br0 meter=2
		-OOpenFlow13 del-meter br0 meter=2
		-OOpenFlow13 meter-features br0`},
	{name: "timeouts and flags", run: `
		add-flow br0 idle_timeout=10,hard_timeout=60,send_flow_rem,check_overlap,tcp,actions=2
		add-flow br0 check_overlap,ip,actions=3
		-OOpenFlow14 add-flow br0 importance=5,udp,actions=3
		-OOpenFlow13 add-flow br0 reset_counts,no_packet_counts,no_byte_counts,arp,actions=3
		add-flow br0 duration=5s,n_packets=3,n_bytes=77,priority=65535,icmp,actions=2
		dump-flows br0 out_port=2
		-OOpenFlow13 dump-flows br0 out_group=1
		dump-aggregate br0 out_port=3
		--no-stats --sort=priority --names dump-flows br0`},
	{name: "strict", run: `
		add-flow br0 priority=5,tcp,actions=2
		add-flow br0 priority=6,tcp,tcp_dst=80,actions=2
		--strict mod-flows br0 priority=5,tcp,actions=3
		mod-flows br0 tcp,tcp_dst=80,actions=4
		--strict del-flows br0 priority=7,tcp
		--strict mod-flows br0 priority=7,udp,actions=5`},
	{name: "replace and compare", run: `
		add-flow br0 tcp,actions=2
		add-flow br0 udp,actions=2
		diff-flows br0 <file>
		replace-flows br0 <file>
		diff-flows br0 <file>
		--readd replace-flows br0 <file>`, file: `
			tcp,actions=3
			arp,actions=4`},
	{name: "packet-out", run: `
		packet-out br0 'in_port=1 packet=505400000001505400000002080000000000 actions=output:2,in_port'
		packet-out br0 'in_port=controller, reg0=3, packet=505400000001505400000002080000000000 actions=output:reg0'
		packet-out br0 'in_port=local packet=505400000001505400000002080000000000 actions=flood'
		packet-out br0 'in_port=none packet=505400000001505400000002080000000000 actions=2'
		packet-out br0 'in_port=1 packet=505400000001505400000002080000000000'
		-OOpenFlow15 packet-out br0 'in_port=2,metadata=7 packet=505400000001505400000002080000000000 actions=resubmit(,1)'`},
	{name: "flows not in normal form", run: `
		add-flow br0 nw_dst=10.0.0.1,actions=2
		add-flow br0 tcp,nw_dst=10.0.0.1,icmp_type=3,actions=2
		add-flow br0 ip,actions=2,priority=3
		add-flow br0 tcp`},
	{name: "tables by number", run: `
		add-flow br0 table=254,actions=2
		add-flow br0 table=255,tcp,actions=2
		-OOpenFlow11 add-flow br0 udp,actions=3
		-OOpenFlow12 del-flows br0 table=255,udp
		-FNXM+table_id add-flow br0 table=3,actions=3
		-FOpenFlow10 add-flow br0 table=4,icmp,actions=3
		-FOXM-OpenFlow13 -OOpenFlow13 add-flow br0 table=5,reg0=3,actions=3
		dump-flows br0 table=3`},
}
