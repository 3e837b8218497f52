// Package ipfix exports flow records of sampled packets by IPFIX (RFC 7011) over UDP: an exporter caches flows, and sends them
// with their templates to its collectors. The records are those of OVS, element for element.
package ipfix

// element is an information element: one of IANA's registry, or with vmware set of VMware's (ovs-vswitchd.conf.db(5), IPFIX).
type element struct {
	id, size uint16
	vmware   bool
}

const (
	variable   = 0xffff // as size: one octet of length comes before the value
	enterprise = 6876   // VMware's number
)

// The groups of elements that make a record, in their order. What identifies the flow comes first.
var (
	keyElements = []element{
		{id: 138, size: 4},                   // observationPointId
		{id: 61, size: 1},                    // flowDirection
		{id: 56, size: 6}, {id: 80, size: 6}, // sourceMacAddress, destinationMacAddress
		{id: 256, size: 2},                    // ethernetType
		{id: 240, size: 1},                    // ethernetHeaderLength
		{id: 10, size: 4}, {id: 368, size: 4}, // ingressInterface, ingressInterfaceType
		{id: 82, size: variable}, {id: 83, size: variable}, // interfaceName, interfaceDescription
	}
	egressElements = []element{
		{id: 14, size: 4}, {id: 369, size: 4}, // egressInterface, egressInterfaceType
		{id: 82, size: variable}, {id: 83, size: variable},
	}
	vlanElements = []element{{id: 58, size: 2}, {id: 243, size: 2}, {id: 244, size: 1}} // vlanId, dot1qVlanId, dot1qPriority
	ipElements   = []element{
		{id: 60, size: 1}, {id: 192, size: 1}, {id: 4, size: 1}, // ipVersion, ipTTL, protocolIdentifier
		{id: 195, size: 1}, {id: 196, size: 1}, {id: 5, size: 1}, // ipDiffServCodePoint, ipPrecedence, ipClassOfService
	}
	ipv4Elements      = []element{{id: 8, size: 4}, {id: 12, size: 4}}                       // sourceIPv4Address, destinationIPv4Address
	ipv6Elements      = []element{{id: 27, size: 16}, {id: 28, size: 16}, {id: 31, size: 4}} // the same of IPv6, flowLabelIPv6
	transportElements = []element{{id: 7, size: 2}, {id: 11, size: 2}}                       // sourceTransportPort, destinationTransportPort
	icmpv4Elements    = []element{{id: 176, size: 1}, {id: 177, size: 1}}                    // icmpTypeIPv4, icmpCodeIPv4
	icmpv6Elements    = []element{{id: 178, size: 1}, {id: 179, size: 1}}                    // icmpTypeIPv6, icmpCodeIPv6
	tunnelElements    = []element{
		{893, 4, true}, {894, 4, true}, // tunnelSourceIPv4Address, tunnelDestinationIPv4Address
		{895, 1, true},                 // tunnelProtocolIdentifier
		{896, 2, true}, {897, 2, true}, // tunnelSourceTransportPort, tunnelDestinationTransportPort
		{891, 1, true}, {892, variable, true}, // tunnelType, tunnelKey
	}
	virtualElements = []element{{898, variable, true}} // virtualObsID

	countElements = []element{
		{id: 158, size: 4}, {id: 159, size: 4}, // flowStartDeltaMicroseconds, flowEndDeltaMicroseconds
		{id: 133, size: 8}, {id: 135, size: 8}, // droppedPacketDeltaCount, droppedPacketTotalCount
		{id: 2, size: 8}, {id: 86, size: 8}, // packetDeltaCount, packetTotalCount
		{id: 354, size: 8}, {id: 355, size: 8}, {id: 356, size: 8}, // ingressUnicast-, ingressMulticast-, ingressBroadcastPacketTotalCount
		{id: 357, size: 8}, {id: 358, size: 8}, // egressUnicast-, egressBroadcastPacketTotalCount
		{id: 19, size: 8}, {id: 174, size: 8}, // postMCastPacketDeltaCount, postMCastPacketTotalCount
		{id: 352, size: 8}, {id: 353, size: 8}, // layer2OctetDeltaCount, layer2OctetTotalCount
		{id: 136, size: 1}, // flowEndReason
	}
	ipCountElements = []element{
		{id: 132, size: 8}, {id: 134, size: 8}, // droppedOctetDeltaCount, droppedOctetTotalCount
		{id: 1, size: 8}, {id: 85, size: 8}, // octetDeltaCount, octetTotalCount
		{id: 198, size: 8}, {id: 199, size: 8}, // octetDeltaSumOfSquares, octetTotalSumOfSquares
		{id: 25, size: 8}, {id: 26, size: 8}, // minimumIpTotalLength, maximumIpTotalLength
		{id: 20, size: 8}, {id: 175, size: 8}, // postMCastOctetDeltaCount, postMCastOctetTotalCount
	}
	tcpCountElements = []element{ // totals of segments with a flag
		{id: 222, size: 8}, {id: 219, size: 8}, {id: 221, size: 8}, // tcpAckTotalCount, tcpFinTotalCount, tcpPshTotalCount
		{id: 220, size: 8}, {id: 218, size: 8}, {id: 223, size: 8}, // tcpRstTotalCount, tcpSynTotalCount, tcpUrgTotalCount
	}

	// statElements are what the exporting process tells of itself; the first is the scope.
	statElements = []element{{id: 144, size: 4}, {id: 167, size: 8}} // exportingProcessId, notSentPacketTotalCount
)

// network and transport are the protocols of a record.
type (
	network   uint8
	transport uint8
)

const (
	noIP network = iota
	ipv4
	ipv6
	networks
)

const (
	noTransport transport = iota
	tcp
	udp
	sctp
	icmp
	transports
)

// shape is what decides about the elements of a record.
type shape struct {
	vlan           bool
	network        network
	transport      transport
	tunnel, egress bool
}

const (
	firstTemplate = 256 // RFC 7011 section 3.4.1
	statTemplate  = 462 // out of the way of the others, and OVS's number
)

// shapes are all that there are, in the order of their templates.
var shapes = func() (list []shape) {
	for _, vlan := range []bool{false, true} {
		for n := range networks {
			for t := range transports {
				if n == noIP && t != noTransport {
					continue
				}
				for _, tunnel := range []bool{false, true} {
					list = append(list, shape{vlan, n, t, tunnel, false}, shape{vlan, n, t, tunnel, true})
				}
			}
		}
	}
	return list
}()

// template is the number of a record's template: OVS's.
func (s shape) template() uint16 {
	bit := map[bool]uint16{true: 1}
	n := bit[s.vlan]
	n = n*uint16(networks) + uint16(s.network)
	n = n*uint16(transports) + uint16(s.transport)
	return firstTemplate + (n*2+bit[s.tunnel])*2 + bit[s.egress]
}

// elements are those of a record, with a virtual observation ID or without.
func (s shape) elements(virtual bool) []element {
	list := append([]element{}, keyElements...)
	add := func(on bool, more []element) {
		if on {
			list = append(list, more...)
		}
	}
	ports := s.transport == tcp || s.transport == udp || s.transport == sctp
	add(s.egress, egressElements)
	add(s.vlan, vlanElements)
	add(s.network != noIP, ipElements)
	add(s.network == ipv4, ipv4Elements)
	add(s.network == ipv6, ipv6Elements)
	add(ports, transportElements)
	add(s.transport == icmp && s.network == ipv4, icmpv4Elements)
	add(s.transport == icmp && s.network == ipv6, icmpv6Elements)
	add(s.tunnel, tunnelElements)
	add(virtual, virtualElements)
	list = append(list, countElements...)
	add(s.network != noIP, ipCountElements)
	add(s.transport == tcp, tcpCountElements)
	return list
}
