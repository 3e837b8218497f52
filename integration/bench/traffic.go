package main

import (
	"fmt"
	"strings"
)

// The packets of each kind have a network of their own as source, and OpenFlow rules that read as
// much of them as the kind is to have megaflows.
const (
	netFlows  = 80 // a megaflow per pair of ports, all of one mask
	netShapes = 81 // 16 masks
	netSetUp  = 82 // a megaflow per source address and port
)

const shapes = 16

// ruleText are the rules, in the syntax of ovs-ofctl. A move into a register reads its source and
// changes nothing in the packet.
func ruleText() string {
	read := func(fields ...string) string {
		var acts []string
		for i, f := range fields {
			acts = append(acts, fmt.Sprintf("move:%s->NXM_NX_REG%d[0..%d]", f, i, width[f]-1))
		}
		return strings.Join(append(acts, "output:2"), ",")
	}
	lines := []string{"priority=0,actions=NORMAL"}
	rule := func(src, acts string) {
		lines = append(lines, fmt.Sprintf("priority=10,udp,in_port=1,nw_src=%s,actions=%s", src, acts))
	}
	rule(fmt.Sprintf("10.%d.0.0/16", netFlows), read(udpSrc, udpDst))
	rule(fmt.Sprintf("10.%d.0.0/16", netSetUp), read(ipSrc, udpSrc))
	for k := range shapes {
		fields := []string{udpSrc}
		for bit, f := range []string{udpDst, ipDst, ipTOS, ipTTL} {
			if k>>bit&1 != 0 {
				fields = append(fields, f)
			}
		}
		rule(fmt.Sprintf("10.%d.%d.0/24", netShapes, k), read(fields...))
	}
	return strings.Join(lines, "\n") + "\n"
}

const (
	udpSrc = "NXM_OF_UDP_SRC[]"
	udpDst = "NXM_OF_UDP_DST[]"
	ipSrc  = "NXM_OF_IP_SRC[]"
	ipDst  = "NXM_OF_IP_DST[]"
	ipTOS  = "NXM_OF_IP_TOS[]"
	ipTTL  = "NXM_NX_IP_TTL[]"
)

var width = map[string]int{udpSrc: 16, udpDst: 16, ipSrc: 32, ipDst: 32, ipTOS: 8, ipTTL: 8}

const (
	minPort = 1024
	perPort = 60000 // source ports in use
)

func flowOf(i int) header {
	return header{src: [4]byte{10, netFlows, 0, 1}, srcPort: uint16(minPort + i%perPort), dstPort: firstPort, ttl: 64}
}

func shapeOf(i int) header {
	return header{src: [4]byte{10, netShapes, byte(i % shapes), 1}, srcPort: uint16(minPort + i%perPort), dstPort: firstPort, ttl: 64}
}

func setUpOf(i int) header {
	return header{src: [4]byte{10, netSetUp, byte(i / perPort), 1}, srcPort: uint16(minPort + i%perPort), dstPort: stampPort, ttl: 64}
}
