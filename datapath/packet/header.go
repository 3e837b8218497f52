package packet

// Ethertypes (IEEE 802 numbers).
const (
	EthTypeIPv4          = 0x0800
	EthTypeARP           = 0x0806
	EthTypeRARP          = 0x8035
	EthTypeVLAN          = 0x8100 // 802.1Q
	EthTypeQinQ          = 0x88a8 // 802.1ad
	EthTypeIPv6          = 0x86dd
	EthTypeMPLS          = 0x8847
	EthTypeMPLSMulticast = 0x8848
	EthTypeTEB           = 0x6558 // transparent Ethernet bridging
	// EthTypeNone stands in a key for a frame without Ethertype (802.2 without SNAP); it is
	// OFP_DL_TYPE_NOT_ETH_TYPE of OpenFlow 1.0.
	EthTypeNone = 0x05ff
	// ethTypeMin is the lowest Ethertype; what is below is an 802.3 length.
	ethTypeMin = 0x0600
)

// IP protocol numbers (IANA).
const (
	ProtoICMP     = 1
	ProtoIGMP     = 2
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoICMPv6   = 58
	ProtoSCTP     = 132
	ProtoUDPLite  = 136
	protoHopOpts  = 0
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoDstOpts  = 60
)

// Lengths of headers in bytes.
const (
	EthLen    = 14
	VLANLen   = 4
	MPLSLen   = 4
	ARPLen    = 28
	IPv4Len   = 20 // without options
	IPv6Len   = 40
	TCPLen    = 20 // without options
	UDPLen    = 8
	SCTPLen   = 12
	ICMPLen   = 8
	IGMPLen   = 8
	ICMPv6Len = 8 // with the four bytes that depend on the type
	llcLen    = 8 // LLC with SNAP
	ndLen     = 24
)

// MaxVLANs and MaxMPLS are how many headers of a kind a key can hold.
const (
	MaxVLANs = 2
	MaxMPLS  = 3
)

// ICMPv6 types of neighbour discovery (RFC 4861).
const (
	ndSolicit      = 135
	ndAdvert       = 136
	ndOptSourceLLA = 1
	ndOptTargetLLA = 2
)

// Byte offsets of the members of a flow.Key that packets fill; a test holds them to flow.Layout.
const (
	keyEthDst     = 8
	keyEthType    = 14
	keyEthSrc     = 16
	keyVLANTCI    = 22
	keyVLANTPID   = 24
	keyVLANTCI2   = 26
	keyVLANTPID2  = 28
	keyIPv4Src    = 32
	keyIPv4Dst    = 36
	keyNwProto    = 40
	keyNwTOS      = 41
	keyNwTTL      = 42
	keyNwFrag     = 43
	keyIPv6Label  = 44
	keyTPSrc      = 48
	keyTPDst      = 50
	keyTCPFlags   = 52
	keyIPv6Src    = 64
	keyIPv6Dst    = 80
	keyNDTarget   = 96
	keyARPSHA     = 112
	keyNDOptType  = 118
	keyARPTHA     = 120
	keyNDReserved = 128
	keyPacketType = 148
	keyMPLSLSE0   = 216
)

// isVLAN reports whether an Ethertype starts a VLAN header.
func isVLAN(t uint16) bool { return t == EthTypeVLAN || t == EthTypeQinQ }

// IsMPLS reports whether an Ethertype starts an MPLS label stack.
func IsMPLS(t uint16) bool { return t == EthTypeMPLS || t == EthTypeMPLSMulticast }
