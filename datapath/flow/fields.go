package flow

// FieldID names a match field. Its row in Fields says everything else.
type FieldID uint16

// The match fields, in the order of ovs-fields(7).
const (
	DPHash FieldID = iota
	RecircID
	PacketType
	ConjID
	TunID
	TunSrc
	TunDst
	TunIPv6Src
	TunIPv6Dst
	TunFlags
	TunTTL
	TunTOS
	TunGBPID
	TunGBPFlags
	TunErspanIdx
	TunErspanVer
	TunErspanDir
	TunErspanHwid
	TunGtpuFlags
	TunGtpuMsgtype
	TunMetadata0
	TunMetadata1
	TunMetadata2
	TunMetadata3
	TunMetadata4
	TunMetadata5
	TunMetadata6
	TunMetadata7
	TunMetadata8
	TunMetadata9
	TunMetadata10
	TunMetadata11
	TunMetadata12
	TunMetadata13
	TunMetadata14
	TunMetadata15
	TunMetadata16
	TunMetadata17
	TunMetadata18
	TunMetadata19
	TunMetadata20
	TunMetadata21
	TunMetadata22
	TunMetadata23
	TunMetadata24
	TunMetadata25
	TunMetadata26
	TunMetadata27
	TunMetadata28
	TunMetadata29
	TunMetadata30
	TunMetadata31
	TunMetadata32
	TunMetadata33
	TunMetadata34
	TunMetadata35
	TunMetadata36
	TunMetadata37
	TunMetadata38
	TunMetadata39
	TunMetadata40
	TunMetadata41
	TunMetadata42
	TunMetadata43
	TunMetadata44
	TunMetadata45
	TunMetadata46
	TunMetadata47
	TunMetadata48
	TunMetadata49
	TunMetadata50
	TunMetadata51
	TunMetadata52
	TunMetadata53
	TunMetadata54
	TunMetadata55
	TunMetadata56
	TunMetadata57
	TunMetadata58
	TunMetadata59
	TunMetadata60
	TunMetadata61
	TunMetadata62
	TunMetadata63
	Metadata
	InPort
	InPortOXM
	ActsetOutput
	SkbPriority
	PktMark
	CTState
	CTZone
	CTMark
	CTLabel
	CTNwProto
	CTNwSrc
	CTNwDst
	CTIPv6Src
	CTIPv6Dst
	CTTPSrc
	CTTPDst
	Reg0
	Reg1
	Reg2
	Reg3
	Reg4
	Reg5
	Reg6
	Reg7
	Reg8
	Reg9
	Reg10
	Reg11
	Reg12
	Reg13
	Reg14
	Reg15
	Reg16
	Reg17
	Reg18
	Reg19
	Reg20
	Reg21
	Reg22
	Reg23
	Reg24
	Reg25
	Reg26
	Reg27
	Reg28
	Reg29
	Reg30
	Reg31
	Xreg0
	Xreg1
	Xreg2
	Xreg3
	Xreg4
	Xreg5
	Xreg6
	Xreg7
	Xreg8
	Xreg9
	Xreg10
	Xreg11
	Xreg12
	Xreg13
	Xreg14
	Xreg15
	Xxreg0
	Xxreg1
	Xxreg2
	Xxreg3
	Xxreg4
	Xxreg5
	Xxreg6
	Xxreg7
	EthSrc
	EthDst
	EthType
	VLANTCI
	DlVLAN
	VLANVID
	DlVLANPCP
	VLANPCP
	MPLSLabel
	MPLSTC
	MPLSBoS
	MPLSTTL
	IPv4Src
	IPv4Dst
	IPv6Src
	IPv6Dst
	IPv6Label
	NwProto
	NwTOS
	IPDSCP
	NwECN
	NwTTL
	IPFrag
	ARPOp
	ARPSPA
	ARPTPA
	ARPSHA
	ARPTHA
	TCPSrc
	TCPDst
	TCPFlags
	UDPSrc
	UDPDst
	SCTPSrc
	SCTPDst
	ICMPType
	ICMPCode
	ICMPv6Type
	ICMPv6Code
	NDTarget
	NDSLL
	NDTLL
	NDReserved
	NDOptionsType
	NSHFlags
	NSHMdtype
	NSHNp
	NSHSPI
	NSHSI
	NSHC1
	NSHC2
	NSHC3
	NSHC4
	NSHTTL
	VLANTPID
	VLANTCI2
	VLANTPID2
	MPLSLSE0
	MPLSLSE1
	MPLSLSE2
	TunAllFlags
	TunTPSrc
	TunTPDst
	TunOptsLen
	NumFields
)

// Fields is the one table of match fields: name, OXM/NXM identities, width, where the
// value is kept in a Key, prerequisites and text form (ovs-fields(7), OpenFlow 1.5 section 7.2.3).
var Fields = [NumFields]Field{
	DPHash:         {ID: DPHash, Name: "dp_hash", Alias: "", Bytes: 4, Bits: 32, Off: 132, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_DP_HASH", 0xffff, 0, 0x2320, 4, 0}, {"NXM_NX_DP_HASH", 0x1, 35, 0, 4, 0}}},
	RecircID:       {ID: RecircID, Name: "recirc_id", Alias: "", Bytes: 4, Bits: 32, Off: 4, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNone, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_RECIRC_ID", 0x1, 36, 0, 4, 0}}},
	PacketType:     {ID: PacketType, Name: "packet_type", Alias: "", Bytes: 4, Bits: 32, Off: 148, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNone, Format: FormatPacketType, OXM: []OXM{{"OXM_OF_PACKET_TYPE", 0x8000, 44, 0, 4, 6}}},
	ConjID:         {ID: ConjID, Name: "conj_id", Alias: "", Bytes: 4, Bits: 32, Off: 688, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNone, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_CONJ_ID", 0x1, 37, 0, 4, 0}}},
	TunID:          {ID: TunID, Name: "tun_id", Alias: "tunnel_id", Bytes: 8, Bits: 64, Off: 232, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_ID", 0x1, 16, 0, 8, 0}, {"OXM_OF_TUNNEL_ID", 0x8000, 38, 0, 8, 4}}},
	TunSrc:         {ID: TunSrc, Name: "tun_src", Alias: "", Bytes: 4, Bits: 32, Off: 240, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatIPv4, OXM: []OXM{{"NXM_NX_TUN_IPV4_SRC", 0x1, 31, 0, 4, 0}}},
	TunDst:         {ID: TunDst, Name: "tun_dst", Alias: "", Bytes: 4, Bits: 32, Off: 244, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatIPv4, OXM: []OXM{{"NXM_NX_TUN_IPV4_DST", 0x1, 32, 0, 4, 0}}},
	TunIPv6Src:     {ID: TunIPv6Src, Name: "tun_ipv6_src", Alias: "", Bytes: 16, Bits: 128, Off: 248, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatIPv6, OXM: []OXM{{"NXM_NX_TUN_IPV6_SRC", 0x1, 109, 0, 16, 0}}},
	TunIPv6Dst:     {ID: TunIPv6Dst, Name: "tun_ipv6_dst", Alias: "", Bytes: 16, Bits: 128, Off: 264, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatIPv6, OXM: []OXM{{"NXM_NX_TUN_IPV6_DST", 0x1, 110, 0, 16, 0}}},
	TunFlags:       {ID: TunFlags, Name: "tun_flags", Alias: "", Bytes: 2, Bits: 1, Off: 280, Size: 2, Shift: 0, StoreMask: 0x1, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatTunnelFlags, OXM: []OXM{{"NXM_NX_TUN_FLAGS", 0x1, 104, 0, 2, 0}}},
	TunTTL:         {ID: TunTTL, Name: "tun_ttl", Alias: "", Bytes: 1, Bits: 8, Off: 283, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNone, Format: FormatDecimal, OXM: []OXM{}},
	TunTOS:         {ID: TunTOS, Name: "tun_tos", Alias: "", Bytes: 1, Bits: 8, Off: 282, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNone, Format: FormatDecimal, OXM: []OXM{}},
	TunGBPID:       {ID: TunGBPID, Name: "tun_gbp_id", Alias: "", Bytes: 2, Bits: 16, Off: 288, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_TUN_GBP_ID", 0x1, 38, 0, 2, 0}}},
	TunGBPFlags:    {ID: TunGBPFlags, Name: "tun_gbp_flags", Alias: "", Bytes: 1, Bits: 8, Off: 290, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_GBP_FLAGS", 0x1, 39, 0, 1, 0}}},
	TunErspanIdx:   {ID: TunErspanIdx, Name: "tun_erspan_idx", Alias: "", Bytes: 4, Bits: 20, Off: 720, Size: 4, Shift: 0, StoreMask: 0xfffff, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_ERSPAN_IDX", 0xffff, 11, 0x2320, 4, 0}}},
	TunErspanVer:   {ID: TunErspanVer, Name: "tun_erspan_ver", Alias: "", Bytes: 1, Bits: 4, Off: 724, Size: 1, Shift: 0, StoreMask: 0xf, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatDecimal, OXM: []OXM{{"NXOXM_ET_ERSPAN_VER", 0xffff, 12, 0x2320, 1, 0}}},
	TunErspanDir:   {ID: TunErspanDir, Name: "tun_erspan_dir", Alias: "", Bytes: 1, Bits: 1, Off: 725, Size: 1, Shift: 0, StoreMask: 0x1, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatDecimal, OXM: []OXM{{"NXOXM_ET_ERSPAN_DIR", 0xffff, 13, 0x2320, 1, 0}}},
	TunErspanHwid:  {ID: TunErspanHwid, Name: "tun_erspan_hwid", Alias: "", Bytes: 1, Bits: 6, Off: 726, Size: 1, Shift: 0, StoreMask: 0x3f, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_ERSPAN_HWID", 0xffff, 14, 0x2320, 1, 0}}},
	TunGtpuFlags:   {ID: TunGtpuFlags, Name: "tun_gtpu_flags", Alias: "", Bytes: 1, Bits: 8, Off: 727, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_GTPU_FLAGS", 0xffff, 15, 0x2320, 1, 0}}},
	TunGtpuMsgtype: {ID: TunGtpuMsgtype, Name: "tun_gtpu_msgtype", Alias: "", Bytes: 1, Bits: 8, Off: 728, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatDecimal, OXM: []OXM{{"NXOXM_ET_GTPU_MSGTYPE", 0xffff, 16, 0x2320, 1, 0}}},
	TunMetadata0:   {ID: TunMetadata0, Name: "tun_metadata0", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA0", 0x1, 40, 0, 124, 0}}},
	TunMetadata1:   {ID: TunMetadata1, Name: "tun_metadata1", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA1", 0x1, 41, 0, 124, 0}}},
	TunMetadata2:   {ID: TunMetadata2, Name: "tun_metadata2", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA2", 0x1, 42, 0, 124, 0}}},
	TunMetadata3:   {ID: TunMetadata3, Name: "tun_metadata3", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA3", 0x1, 43, 0, 124, 0}}},
	TunMetadata4:   {ID: TunMetadata4, Name: "tun_metadata4", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA4", 0x1, 44, 0, 124, 0}}},
	TunMetadata5:   {ID: TunMetadata5, Name: "tun_metadata5", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA5", 0x1, 45, 0, 124, 0}}},
	TunMetadata6:   {ID: TunMetadata6, Name: "tun_metadata6", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA6", 0x1, 46, 0, 124, 0}}},
	TunMetadata7:   {ID: TunMetadata7, Name: "tun_metadata7", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA7", 0x1, 47, 0, 124, 0}}},
	TunMetadata8:   {ID: TunMetadata8, Name: "tun_metadata8", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA8", 0x1, 48, 0, 124, 0}}},
	TunMetadata9:   {ID: TunMetadata9, Name: "tun_metadata9", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA9", 0x1, 49, 0, 124, 0}}},
	TunMetadata10:  {ID: TunMetadata10, Name: "tun_metadata10", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA10", 0x1, 50, 0, 124, 0}}},
	TunMetadata11:  {ID: TunMetadata11, Name: "tun_metadata11", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA11", 0x1, 51, 0, 124, 0}}},
	TunMetadata12:  {ID: TunMetadata12, Name: "tun_metadata12", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA12", 0x1, 52, 0, 124, 0}}},
	TunMetadata13:  {ID: TunMetadata13, Name: "tun_metadata13", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA13", 0x1, 53, 0, 124, 0}}},
	TunMetadata14:  {ID: TunMetadata14, Name: "tun_metadata14", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA14", 0x1, 54, 0, 124, 0}}},
	TunMetadata15:  {ID: TunMetadata15, Name: "tun_metadata15", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA15", 0x1, 55, 0, 124, 0}}},
	TunMetadata16:  {ID: TunMetadata16, Name: "tun_metadata16", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA16", 0x1, 56, 0, 124, 0}}},
	TunMetadata17:  {ID: TunMetadata17, Name: "tun_metadata17", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA17", 0x1, 57, 0, 124, 0}}},
	TunMetadata18:  {ID: TunMetadata18, Name: "tun_metadata18", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA18", 0x1, 58, 0, 124, 0}}},
	TunMetadata19:  {ID: TunMetadata19, Name: "tun_metadata19", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA19", 0x1, 59, 0, 124, 0}}},
	TunMetadata20:  {ID: TunMetadata20, Name: "tun_metadata20", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA20", 0x1, 60, 0, 124, 0}}},
	TunMetadata21:  {ID: TunMetadata21, Name: "tun_metadata21", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA21", 0x1, 61, 0, 124, 0}}},
	TunMetadata22:  {ID: TunMetadata22, Name: "tun_metadata22", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA22", 0x1, 62, 0, 124, 0}}},
	TunMetadata23:  {ID: TunMetadata23, Name: "tun_metadata23", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA23", 0x1, 63, 0, 124, 0}}},
	TunMetadata24:  {ID: TunMetadata24, Name: "tun_metadata24", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA24", 0x1, 64, 0, 124, 0}}},
	TunMetadata25:  {ID: TunMetadata25, Name: "tun_metadata25", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA25", 0x1, 65, 0, 124, 0}}},
	TunMetadata26:  {ID: TunMetadata26, Name: "tun_metadata26", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA26", 0x1, 66, 0, 124, 0}}},
	TunMetadata27:  {ID: TunMetadata27, Name: "tun_metadata27", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA27", 0x1, 67, 0, 124, 0}}},
	TunMetadata28:  {ID: TunMetadata28, Name: "tun_metadata28", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA28", 0x1, 68, 0, 124, 0}}},
	TunMetadata29:  {ID: TunMetadata29, Name: "tun_metadata29", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA29", 0x1, 69, 0, 124, 0}}},
	TunMetadata30:  {ID: TunMetadata30, Name: "tun_metadata30", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA30", 0x1, 70, 0, 124, 0}}},
	TunMetadata31:  {ID: TunMetadata31, Name: "tun_metadata31", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA31", 0x1, 71, 0, 124, 0}}},
	TunMetadata32:  {ID: TunMetadata32, Name: "tun_metadata32", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA32", 0x1, 72, 0, 124, 0}}},
	TunMetadata33:  {ID: TunMetadata33, Name: "tun_metadata33", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA33", 0x1, 73, 0, 124, 0}}},
	TunMetadata34:  {ID: TunMetadata34, Name: "tun_metadata34", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA34", 0x1, 74, 0, 124, 0}}},
	TunMetadata35:  {ID: TunMetadata35, Name: "tun_metadata35", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA35", 0x1, 75, 0, 124, 0}}},
	TunMetadata36:  {ID: TunMetadata36, Name: "tun_metadata36", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA36", 0x1, 76, 0, 124, 0}}},
	TunMetadata37:  {ID: TunMetadata37, Name: "tun_metadata37", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA37", 0x1, 77, 0, 124, 0}}},
	TunMetadata38:  {ID: TunMetadata38, Name: "tun_metadata38", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA38", 0x1, 78, 0, 124, 0}}},
	TunMetadata39:  {ID: TunMetadata39, Name: "tun_metadata39", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA39", 0x1, 79, 0, 124, 0}}},
	TunMetadata40:  {ID: TunMetadata40, Name: "tun_metadata40", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA40", 0x1, 80, 0, 124, 0}}},
	TunMetadata41:  {ID: TunMetadata41, Name: "tun_metadata41", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA41", 0x1, 81, 0, 124, 0}}},
	TunMetadata42:  {ID: TunMetadata42, Name: "tun_metadata42", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA42", 0x1, 82, 0, 124, 0}}},
	TunMetadata43:  {ID: TunMetadata43, Name: "tun_metadata43", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA43", 0x1, 83, 0, 124, 0}}},
	TunMetadata44:  {ID: TunMetadata44, Name: "tun_metadata44", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA44", 0x1, 84, 0, 124, 0}}},
	TunMetadata45:  {ID: TunMetadata45, Name: "tun_metadata45", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA45", 0x1, 85, 0, 124, 0}}},
	TunMetadata46:  {ID: TunMetadata46, Name: "tun_metadata46", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA46", 0x1, 86, 0, 124, 0}}},
	TunMetadata47:  {ID: TunMetadata47, Name: "tun_metadata47", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA47", 0x1, 87, 0, 124, 0}}},
	TunMetadata48:  {ID: TunMetadata48, Name: "tun_metadata48", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA48", 0x1, 88, 0, 124, 0}}},
	TunMetadata49:  {ID: TunMetadata49, Name: "tun_metadata49", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA49", 0x1, 89, 0, 124, 0}}},
	TunMetadata50:  {ID: TunMetadata50, Name: "tun_metadata50", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA50", 0x1, 90, 0, 124, 0}}},
	TunMetadata51:  {ID: TunMetadata51, Name: "tun_metadata51", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA51", 0x1, 91, 0, 124, 0}}},
	TunMetadata52:  {ID: TunMetadata52, Name: "tun_metadata52", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA52", 0x1, 92, 0, 124, 0}}},
	TunMetadata53:  {ID: TunMetadata53, Name: "tun_metadata53", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA53", 0x1, 93, 0, 124, 0}}},
	TunMetadata54:  {ID: TunMetadata54, Name: "tun_metadata54", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA54", 0x1, 94, 0, 124, 0}}},
	TunMetadata55:  {ID: TunMetadata55, Name: "tun_metadata55", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA55", 0x1, 95, 0, 124, 0}}},
	TunMetadata56:  {ID: TunMetadata56, Name: "tun_metadata56", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA56", 0x1, 96, 0, 124, 0}}},
	TunMetadata57:  {ID: TunMetadata57, Name: "tun_metadata57", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA57", 0x1, 97, 0, 124, 0}}},
	TunMetadata58:  {ID: TunMetadata58, Name: "tun_metadata58", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA58", 0x1, 98, 0, 124, 0}}},
	TunMetadata59:  {ID: TunMetadata59, Name: "tun_metadata59", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA59", 0x1, 99, 0, 124, 0}}},
	TunMetadata60:  {ID: TunMetadata60, Name: "tun_metadata60", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA60", 0x1, 100, 0, 124, 0}}},
	TunMetadata61:  {ID: TunMetadata61, Name: "tun_metadata61", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA61", 0x1, 101, 0, 124, 0}}},
	TunMetadata62:  {ID: TunMetadata62, Name: "tun_metadata62", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA62", 0x1, 102, 0, 124, 0}}},
	TunMetadata63:  {ID: TunMetadata63, Name: "tun_metadata63", Alias: "", Bytes: 124, Bits: 992, Off: -1, Size: 124, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_TUN_METADATA63", 0x1, 103, 0, 124, 0}}},
	Metadata:       {ID: Metadata, Name: "metadata", Alias: "", Bytes: 8, Bits: 64, Off: 552, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_METADATA", 0x8000, 2, 0, 8, 3}}},
	InPort:         {ID: InPort, Name: "in_port", Alias: "", Bytes: 2, Bits: 16, Off: 0, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: true, Prereq: PrereqNone, Format: FormatPort10, OXM: []OXM{{"NXM_OF_IN_PORT", 0x0, 0, 0, 2, 0}}},
	InPortOXM:      {ID: InPortOXM, Name: "in_port_oxm", Alias: "", Bytes: 4, Bits: 32, Off: 0, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: true, Prereq: PrereqNone, Format: FormatPort, OXM: []OXM{{"OXM_OF_IN_PORT", 0x8000, 0, 0, 4, 3}}},
	ActsetOutput:   {ID: ActsetOutput, Name: "actset_output", Alias: "", Bytes: 4, Bits: 32, Off: 692, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNone, Format: FormatPort, OXM: []OXM{{"ONFOXM_ET_ACTSET_OUTPUT", 0xffff, 43, 0x4f4e4600, 4, 4}, {"OXM_OF_ACTSET_OUTPUT", 0x8000, 43, 0, 4, 6}}},
	SkbPriority:    {ID: SkbPriority, Name: "skb_priority", Alias: "", Bytes: 4, Bits: 32, Off: 56, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	PktMark:        {ID: PktMark, Name: "pkt_mark", Alias: "", Bytes: 4, Bits: 32, Off: 60, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_PKT_MARK", 0x1, 33, 0, 4, 0}}},
	CTState:        {ID: CTState, Name: "ct_state", Alias: "", Bytes: 4, Bits: 32, Off: 136, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatCTState, OXM: []OXM{{"NXM_NX_CT_STATE", 0x1, 105, 0, 4, 0}}},
	CTZone:         {ID: CTZone, Name: "ct_zone", Alias: "", Bytes: 2, Bits: 16, Off: 140, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_CT_ZONE", 0x1, 106, 0, 2, 0}}},
	CTMark:         {ID: CTMark, Name: "ct_mark", Alias: "", Bytes: 4, Bits: 32, Off: 144, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_CT_MARK", 0x1, 107, 0, 4, 0}}},
	CTLabel:        {ID: CTLabel, Name: "ct_label", Alias: "", Bytes: 16, Bits: 128, Off: 152, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_CT_LABEL", 0x1, 108, 0, 16, 0}}},
	CTNwProto:      {ID: CTNwProto, Name: "ct_nw_proto", Alias: "", Bytes: 1, Bits: 8, Off: 142, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqCT, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_CT_NW_PROTO", 0x1, 119, 0, 1, 0}}},
	CTNwSrc:        {ID: CTNwSrc, Name: "ct_nw_src", Alias: "", Bytes: 4, Bits: 32, Off: 168, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqCT, Format: FormatIPv4, OXM: []OXM{{"NXM_NX_CT_NW_SRC", 0x1, 120, 0, 4, 0}}},
	CTNwDst:        {ID: CTNwDst, Name: "ct_nw_dst", Alias: "", Bytes: 4, Bits: 32, Off: 172, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqCT, Format: FormatIPv4, OXM: []OXM{{"NXM_NX_CT_NW_DST", 0x1, 121, 0, 4, 0}}},
	CTIPv6Src:      {ID: CTIPv6Src, Name: "ct_ipv6_src", Alias: "", Bytes: 16, Bits: 128, Off: 184, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqCT, Format: FormatIPv6, OXM: []OXM{{"NXM_NX_CT_IPV6_SRC", 0x1, 122, 0, 16, 0}}},
	CTIPv6Dst:      {ID: CTIPv6Dst, Name: "ct_ipv6_dst", Alias: "", Bytes: 16, Bits: 128, Off: 200, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqCT, Format: FormatIPv6, OXM: []OXM{{"NXM_NX_CT_IPV6_DST", 0x1, 123, 0, 16, 0}}},
	CTTPSrc:        {ID: CTTPSrc, Name: "ct_tp_src", Alias: "", Bytes: 2, Bits: 16, Off: 176, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqCT, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_CT_TP_SRC", 0x1, 124, 0, 2, 0}}},
	CTTPDst:        {ID: CTTPDst, Name: "ct_tp_dst", Alias: "", Bytes: 2, Bits: 16, Off: 178, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqCT, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_CT_TP_DST", 0x1, 125, 0, 2, 0}}},
	Reg0:           {ID: Reg0, Name: "reg0", Alias: "", Bytes: 4, Bits: 32, Off: 560, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG0", 0x1, 0, 0, 4, 0}}},
	Reg1:           {ID: Reg1, Name: "reg1", Alias: "", Bytes: 4, Bits: 32, Off: 564, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG1", 0x1, 1, 0, 4, 0}}},
	Reg2:           {ID: Reg2, Name: "reg2", Alias: "", Bytes: 4, Bits: 32, Off: 568, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG2", 0x1, 2, 0, 4, 0}}},
	Reg3:           {ID: Reg3, Name: "reg3", Alias: "", Bytes: 4, Bits: 32, Off: 572, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG3", 0x1, 3, 0, 4, 0}}},
	Reg4:           {ID: Reg4, Name: "reg4", Alias: "", Bytes: 4, Bits: 32, Off: 576, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG4", 0x1, 4, 0, 4, 0}}},
	Reg5:           {ID: Reg5, Name: "reg5", Alias: "", Bytes: 4, Bits: 32, Off: 580, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG5", 0x1, 5, 0, 4, 0}}},
	Reg6:           {ID: Reg6, Name: "reg6", Alias: "", Bytes: 4, Bits: 32, Off: 584, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG6", 0x1, 6, 0, 4, 0}}},
	Reg7:           {ID: Reg7, Name: "reg7", Alias: "", Bytes: 4, Bits: 32, Off: 588, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG7", 0x1, 7, 0, 4, 0}}},
	Reg8:           {ID: Reg8, Name: "reg8", Alias: "", Bytes: 4, Bits: 32, Off: 592, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG8", 0x1, 8, 0, 4, 0}}},
	Reg9:           {ID: Reg9, Name: "reg9", Alias: "", Bytes: 4, Bits: 32, Off: 596, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG9", 0x1, 9, 0, 4, 0}}},
	Reg10:          {ID: Reg10, Name: "reg10", Alias: "", Bytes: 4, Bits: 32, Off: 600, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG10", 0x1, 10, 0, 4, 0}}},
	Reg11:          {ID: Reg11, Name: "reg11", Alias: "", Bytes: 4, Bits: 32, Off: 604, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG11", 0x1, 11, 0, 4, 0}}},
	Reg12:          {ID: Reg12, Name: "reg12", Alias: "", Bytes: 4, Bits: 32, Off: 608, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG12", 0x1, 12, 0, 4, 0}}},
	Reg13:          {ID: Reg13, Name: "reg13", Alias: "", Bytes: 4, Bits: 32, Off: 612, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG13", 0x1, 13, 0, 4, 0}}},
	Reg14:          {ID: Reg14, Name: "reg14", Alias: "", Bytes: 4, Bits: 32, Off: 616, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG14", 0x1, 14, 0, 4, 0}}},
	Reg15:          {ID: Reg15, Name: "reg15", Alias: "", Bytes: 4, Bits: 32, Off: 620, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_REG15", 0x1, 15, 0, 4, 0}}},
	Reg16:          {ID: Reg16, Name: "reg16", Alias: "", Bytes: 4, Bits: 32, Off: 624, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG16", 0xffff, 17, 0x2320, 4, 0}}},
	Reg17:          {ID: Reg17, Name: "reg17", Alias: "", Bytes: 4, Bits: 32, Off: 628, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG17", 0xffff, 18, 0x2320, 4, 0}}},
	Reg18:          {ID: Reg18, Name: "reg18", Alias: "", Bytes: 4, Bits: 32, Off: 632, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG18", 0xffff, 19, 0x2320, 4, 0}}},
	Reg19:          {ID: Reg19, Name: "reg19", Alias: "", Bytes: 4, Bits: 32, Off: 636, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG19", 0xffff, 20, 0x2320, 4, 0}}},
	Reg20:          {ID: Reg20, Name: "reg20", Alias: "", Bytes: 4, Bits: 32, Off: 640, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG20", 0xffff, 21, 0x2320, 4, 0}}},
	Reg21:          {ID: Reg21, Name: "reg21", Alias: "", Bytes: 4, Bits: 32, Off: 644, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG21", 0xffff, 22, 0x2320, 4, 0}}},
	Reg22:          {ID: Reg22, Name: "reg22", Alias: "", Bytes: 4, Bits: 32, Off: 648, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG22", 0xffff, 23, 0x2320, 4, 0}}},
	Reg23:          {ID: Reg23, Name: "reg23", Alias: "", Bytes: 4, Bits: 32, Off: 652, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG23", 0xffff, 24, 0x2320, 4, 0}}},
	Reg24:          {ID: Reg24, Name: "reg24", Alias: "", Bytes: 4, Bits: 32, Off: 656, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG24", 0xffff, 25, 0x2320, 4, 0}}},
	Reg25:          {ID: Reg25, Name: "reg25", Alias: "", Bytes: 4, Bits: 32, Off: 660, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG25", 0xffff, 26, 0x2320, 4, 0}}},
	Reg26:          {ID: Reg26, Name: "reg26", Alias: "", Bytes: 4, Bits: 32, Off: 664, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG26", 0xffff, 27, 0x2320, 4, 0}}},
	Reg27:          {ID: Reg27, Name: "reg27", Alias: "", Bytes: 4, Bits: 32, Off: 668, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG27", 0xffff, 28, 0x2320, 4, 0}}},
	Reg28:          {ID: Reg28, Name: "reg28", Alias: "", Bytes: 4, Bits: 32, Off: 672, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG28", 0xffff, 29, 0x2320, 4, 0}}},
	Reg29:          {ID: Reg29, Name: "reg29", Alias: "", Bytes: 4, Bits: 32, Off: 676, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG29", 0xffff, 30, 0x2320, 4, 0}}},
	Reg30:          {ID: Reg30, Name: "reg30", Alias: "", Bytes: 4, Bits: 32, Off: 680, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG30", 0xffff, 31, 0x2320, 4, 0}}},
	Reg31:          {ID: Reg31, Name: "reg31", Alias: "", Bytes: 4, Bits: 32, Off: 684, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_REG31", 0xffff, 32, 0x2320, 4, 0}}},
	Xreg0:          {ID: Xreg0, Name: "xreg0", Alias: "", Bytes: 8, Bits: 64, Off: 560, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG0", 0x8001, 0, 0, 8, 4}}},
	Xreg1:          {ID: Xreg1, Name: "xreg1", Alias: "", Bytes: 8, Bits: 64, Off: 568, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG1", 0x8001, 1, 0, 8, 4}}},
	Xreg2:          {ID: Xreg2, Name: "xreg2", Alias: "", Bytes: 8, Bits: 64, Off: 576, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG2", 0x8001, 2, 0, 8, 4}}},
	Xreg3:          {ID: Xreg3, Name: "xreg3", Alias: "", Bytes: 8, Bits: 64, Off: 584, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG3", 0x8001, 3, 0, 8, 4}}},
	Xreg4:          {ID: Xreg4, Name: "xreg4", Alias: "", Bytes: 8, Bits: 64, Off: 592, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG4", 0x8001, 4, 0, 8, 4}}},
	Xreg5:          {ID: Xreg5, Name: "xreg5", Alias: "", Bytes: 8, Bits: 64, Off: 600, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG5", 0x8001, 5, 0, 8, 4}}},
	Xreg6:          {ID: Xreg6, Name: "xreg6", Alias: "", Bytes: 8, Bits: 64, Off: 608, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG6", 0x8001, 6, 0, 8, 4}}},
	Xreg7:          {ID: Xreg7, Name: "xreg7", Alias: "", Bytes: 8, Bits: 64, Off: 616, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG7", 0x8001, 7, 0, 8, 4}}},
	Xreg8:          {ID: Xreg8, Name: "xreg8", Alias: "", Bytes: 8, Bits: 64, Off: 624, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG8", 0x8001, 8, 0, 8, 4}}},
	Xreg9:          {ID: Xreg9, Name: "xreg9", Alias: "", Bytes: 8, Bits: 64, Off: 632, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG9", 0x8001, 9, 0, 8, 4}}},
	Xreg10:         {ID: Xreg10, Name: "xreg10", Alias: "", Bytes: 8, Bits: 64, Off: 640, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG10", 0x8001, 10, 0, 8, 4}}},
	Xreg11:         {ID: Xreg11, Name: "xreg11", Alias: "", Bytes: 8, Bits: 64, Off: 648, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG11", 0x8001, 11, 0, 8, 4}}},
	Xreg12:         {ID: Xreg12, Name: "xreg12", Alias: "", Bytes: 8, Bits: 64, Off: 656, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG12", 0x8001, 12, 0, 8, 4}}},
	Xreg13:         {ID: Xreg13, Name: "xreg13", Alias: "", Bytes: 8, Bits: 64, Off: 664, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG13", 0x8001, 13, 0, 8, 4}}},
	Xreg14:         {ID: Xreg14, Name: "xreg14", Alias: "", Bytes: 8, Bits: 64, Off: 672, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG14", 0x8001, 14, 0, 8, 4}}},
	Xreg15:         {ID: Xreg15, Name: "xreg15", Alias: "", Bytes: 8, Bits: 64, Off: 680, Size: 8, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"OXM_OF_PKT_REG15", 0x8001, 15, 0, 8, 4}}},
	Xxreg0:         {ID: Xxreg0, Name: "xxreg0", Alias: "", Bytes: 16, Bits: 128, Off: 560, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_XXREG0", 0x1, 111, 0, 16, 0}}},
	Xxreg1:         {ID: Xxreg1, Name: "xxreg1", Alias: "", Bytes: 16, Bits: 128, Off: 576, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_XXREG1", 0x1, 112, 0, 16, 0}}},
	Xxreg2:         {ID: Xxreg2, Name: "xxreg2", Alias: "", Bytes: 16, Bits: 128, Off: 592, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_XXREG2", 0x1, 113, 0, 16, 0}}},
	Xxreg3:         {ID: Xxreg3, Name: "xxreg3", Alias: "", Bytes: 16, Bits: 128, Off: 608, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXM_NX_XXREG3", 0x1, 114, 0, 16, 0}}},
	Xxreg4:         {ID: Xxreg4, Name: "xxreg4", Alias: "", Bytes: 16, Bits: 128, Off: 624, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_XXREG4", 0xffff, 33, 0x2320, 16, 0}}},
	Xxreg5:         {ID: Xxreg5, Name: "xxreg5", Alias: "", Bytes: 16, Bits: 128, Off: 640, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_XXREG5", 0xffff, 34, 0x2320, 16, 0}}},
	Xxreg6:         {ID: Xxreg6, Name: "xxreg6", Alias: "", Bytes: 16, Bits: 128, Off: 656, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_XXREG6", 0xffff, 35, 0x2320, 16, 0}}},
	Xxreg7:         {ID: Xxreg7, Name: "xxreg7", Alias: "", Bytes: 16, Bits: 128, Off: 672, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{{"NXOXM_ET_XXREG7", 0xffff, 36, 0x2320, 16, 0}}},
	EthSrc:         {ID: EthSrc, Name: "eth_src", Alias: "dl_src", Bytes: 6, Bits: 48, Off: 16, Size: 6, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqEthernet, Format: FormatEthernet, OXM: []OXM{{"NXM_OF_ETH_SRC", 0x0, 2, 0, 6, 0}, {"OXM_OF_ETH_SRC", 0x8000, 4, 0, 6, 3}}},
	EthDst:         {ID: EthDst, Name: "eth_dst", Alias: "dl_dst", Bytes: 6, Bits: 48, Off: 8, Size: 6, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqEthernet, Format: FormatEthernet, OXM: []OXM{{"NXM_OF_ETH_DST", 0x0, 1, 0, 6, 0}, {"OXM_OF_ETH_DST", 0x8000, 3, 0, 6, 3}}},
	EthType:        {ID: EthType, Name: "eth_type", Alias: "dl_type", Bytes: 2, Bits: 16, Off: 14, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqEthernet, Format: FormatHex, OXM: []OXM{{"NXM_OF_ETH_TYPE", 0x0, 3, 0, 2, 0}, {"OXM_OF_ETH_TYPE", 0x8000, 5, 0, 2, 3}}},
	VLANTCI:        {ID: VLANTCI, Name: "vlan_tci", Alias: "", Bytes: 2, Bits: 16, Off: 22, Size: 2, Shift: 0, StoreMask: 0xffff, Maskable: true, Writable: true, Prereq: PrereqEthernet, Format: FormatHex, OXM: []OXM{{"NXM_OF_VLAN_TCI", 0x0, 4, 0, 2, 0}}},
	DlVLAN:         {ID: DlVLAN, Name: "dl_vlan", Alias: "", Bytes: 2, Bits: 12, Off: 22, Size: 2, Shift: 0, StoreMask: 0xfff, Maskable: false, Writable: true, Prereq: PrereqEthernet, Format: FormatDecimal, OXM: []OXM{}},
	VLANVID:        {ID: VLANVID, Name: "vlan_vid", Alias: "", Bytes: 2, Bits: 12, Off: 22, Size: 2, Shift: 0, StoreMask: 0x1fff, Maskable: true, Writable: true, Prereq: PrereqEthernet, Format: FormatDecimal, OXM: []OXM{{"OXM_OF_VLAN_VID", 0x8000, 6, 0, 2, 3}}},
	DlVLANPCP:      {ID: DlVLANPCP, Name: "dl_vlan_pcp", Alias: "", Bytes: 1, Bits: 3, Off: 22, Size: 2, Shift: 13, StoreMask: 0x7, Maskable: false, Writable: true, Prereq: PrereqEthernet, Format: FormatDecimal, OXM: []OXM{}},
	VLANPCP:        {ID: VLANPCP, Name: "vlan_pcp", Alias: "", Bytes: 1, Bits: 3, Off: 22, Size: 2, Shift: 13, StoreMask: 0x7, Maskable: false, Writable: true, Prereq: PrereqVLAN, Format: FormatDecimal, OXM: []OXM{{"OXM_OF_VLAN_PCP", 0x8000, 7, 0, 1, 3}}},
	MPLSLabel:      {ID: MPLSLabel, Name: "mpls_label", Alias: "", Bytes: 4, Bits: 20, Off: 216, Size: 4, Shift: 12, StoreMask: 0xfffff, Maskable: false, Writable: true, Prereq: PrereqMPLS, Format: FormatDecimal, OXM: []OXM{{"OXM_OF_MPLS_LABEL", 0x8000, 34, 0, 4, 3}}},
	MPLSTC:         {ID: MPLSTC, Name: "mpls_tc", Alias: "", Bytes: 1, Bits: 3, Off: 216, Size: 4, Shift: 9, StoreMask: 0x7, Maskable: false, Writable: true, Prereq: PrereqMPLS, Format: FormatDecimal, OXM: []OXM{{"OXM_OF_MPLS_TC", 0x8000, 35, 0, 1, 3}}},
	MPLSBoS:        {ID: MPLSBoS, Name: "mpls_bos", Alias: "", Bytes: 1, Bits: 1, Off: 216, Size: 4, Shift: 8, StoreMask: 0x1, Maskable: false, Writable: false, Prereq: PrereqMPLS, Format: FormatDecimal, OXM: []OXM{{"OXM_OF_MPLS_BOS", 0x8000, 36, 0, 1, 4}}},
	MPLSTTL:        {ID: MPLSTTL, Name: "mpls_ttl", Alias: "", Bytes: 1, Bits: 8, Off: 216, Size: 4, Shift: 0, StoreMask: 0xff, Maskable: false, Writable: true, Prereq: PrereqMPLS, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_MPLS_TTL", 0x1, 30, 0, 1, 0}}},
	IPv4Src:        {ID: IPv4Src, Name: "ip_src", Alias: "nw_src", Bytes: 4, Bits: 32, Off: 32, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqIPv4, Format: FormatIPv4, OXM: []OXM{{"NXM_OF_IP_SRC", 0x0, 7, 0, 4, 0}, {"OXM_OF_IPV4_SRC", 0x8000, 11, 0, 4, 3}}},
	IPv4Dst:        {ID: IPv4Dst, Name: "ip_dst", Alias: "nw_dst", Bytes: 4, Bits: 32, Off: 36, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqIPv4, Format: FormatIPv4, OXM: []OXM{{"NXM_OF_IP_DST", 0x0, 8, 0, 4, 0}, {"OXM_OF_IPV4_DST", 0x8000, 12, 0, 4, 3}}},
	IPv6Src:        {ID: IPv6Src, Name: "ipv6_src", Alias: "", Bytes: 16, Bits: 128, Off: 64, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqIPv6, Format: FormatIPv6, OXM: []OXM{{"NXM_NX_IPV6_SRC", 0x1, 19, 0, 16, 0}, {"OXM_OF_IPV6_SRC", 0x8000, 26, 0, 16, 3}}},
	IPv6Dst:        {ID: IPv6Dst, Name: "ipv6_dst", Alias: "", Bytes: 16, Bits: 128, Off: 80, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqIPv6, Format: FormatIPv6, OXM: []OXM{{"NXM_NX_IPV6_DST", 0x1, 20, 0, 16, 0}, {"OXM_OF_IPV6_DST", 0x8000, 27, 0, 16, 3}}},
	IPv6Label:      {ID: IPv6Label, Name: "ipv6_label", Alias: "", Bytes: 4, Bits: 20, Off: 44, Size: 4, Shift: 0, StoreMask: 0xfffff, Maskable: true, Writable: true, Prereq: PrereqIPv6, Format: FormatHex, OXM: []OXM{{"NXM_NX_IPV6_LABEL", 0x1, 27, 0, 4, 0}, {"OXM_OF_IPV6_FLABEL", 0x8000, 28, 0, 4, 3}}},
	NwProto:        {ID: NwProto, Name: "nw_proto", Alias: "ip_proto", Bytes: 1, Bits: 8, Off: 40, Size: 1, Shift: 0, StoreMask: 0xff, Maskable: false, Writable: false, Prereq: PrereqIP, Format: FormatDecimal, OXM: []OXM{{"NXM_OF_IP_PROTO", 0x0, 6, 0, 1, 0}, {"OXM_OF_IP_PROTO", 0x8000, 10, 0, 1, 3}}},
	NwTOS:          {ID: NwTOS, Name: "nw_tos", Alias: "", Bytes: 1, Bits: 8, Off: 41, Size: 1, Shift: 0, StoreMask: 0xfc, Maskable: false, Writable: true, Prereq: PrereqIP, Format: FormatDecimal, OXM: []OXM{{"NXM_OF_IP_TOS", 0x0, 5, 0, 1, 0}}},
	IPDSCP:         {ID: IPDSCP, Name: "ip_dscp", Alias: "", Bytes: 1, Bits: 6, Off: 41, Size: 1, Shift: 2, StoreMask: 0x3f, Maskable: false, Writable: true, Prereq: PrereqIP, Format: FormatDecimal, OXM: []OXM{{"OXM_OF_IP_DSCP", 0x8000, 8, 0, 1, 3}}},
	NwECN:          {ID: NwECN, Name: "nw_ecn", Alias: "ip_ecn", Bytes: 1, Bits: 2, Off: 41, Size: 1, Shift: 0, StoreMask: 0x3, Maskable: false, Writable: true, Prereq: PrereqIP, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_IP_ECN", 0x1, 28, 0, 1, 0}, {"OXM_OF_IP_ECN", 0x8000, 9, 0, 1, 3}}},
	NwTTL:          {ID: NwTTL, Name: "nw_ttl", Alias: "", Bytes: 1, Bits: 8, Off: 42, Size: 1, Shift: 0, StoreMask: 0xff, Maskable: false, Writable: true, Prereq: PrereqIP, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_IP_TTL", 0x1, 29, 0, 1, 0}}},
	IPFrag:         {ID: IPFrag, Name: "ip_frag", Alias: "nw_frag", Bytes: 1, Bits: 2, Off: 43, Size: 1, Shift: 0, StoreMask: 0x3, Maskable: true, Writable: false, Prereq: PrereqIP, Format: FormatFrag, OXM: []OXM{{"NXM_NX_IP_FRAG", 0x1, 26, 0, 1, 0}}},
	ARPOp:          {ID: ARPOp, Name: "arp_op", Alias: "", Bytes: 2, Bits: 16, Off: 40, Size: 1, Shift: 0, StoreMask: 0xff, Maskable: false, Writable: true, Prereq: PrereqARP, Format: FormatDecimal, OXM: []OXM{{"NXM_OF_ARP_OP", 0x0, 15, 0, 2, 0}, {"OXM_OF_ARP_OP", 0x8000, 21, 0, 2, 3}}},
	ARPSPA:         {ID: ARPSPA, Name: "arp_spa", Alias: "", Bytes: 4, Bits: 32, Off: 32, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqARP, Format: FormatIPv4, OXM: []OXM{{"NXM_OF_ARP_SPA", 0x0, 16, 0, 4, 0}, {"OXM_OF_ARP_SPA", 0x8000, 22, 0, 4, 3}}},
	ARPTPA:         {ID: ARPTPA, Name: "arp_tpa", Alias: "", Bytes: 4, Bits: 32, Off: 36, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqARP, Format: FormatIPv4, OXM: []OXM{{"NXM_OF_ARP_TPA", 0x0, 17, 0, 4, 0}, {"OXM_OF_ARP_TPA", 0x8000, 23, 0, 4, 3}}},
	ARPSHA:         {ID: ARPSHA, Name: "arp_sha", Alias: "", Bytes: 6, Bits: 48, Off: 112, Size: 6, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqARP, Format: FormatEthernet, OXM: []OXM{{"NXM_NX_ARP_SHA", 0x1, 17, 0, 6, 0}, {"OXM_OF_ARP_SHA", 0x8000, 24, 0, 6, 3}}},
	ARPTHA:         {ID: ARPTHA, Name: "arp_tha", Alias: "", Bytes: 6, Bits: 48, Off: 120, Size: 6, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqARP, Format: FormatEthernet, OXM: []OXM{{"NXM_NX_ARP_THA", 0x1, 18, 0, 6, 0}, {"OXM_OF_ARP_THA", 0x8000, 25, 0, 6, 3}}},
	TCPSrc:         {ID: TCPSrc, Name: "tcp_src", Alias: "tp_src", Bytes: 2, Bits: 16, Off: 48, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqTCP, Format: FormatDecimal, OXM: []OXM{{"NXM_OF_TCP_SRC", 0x0, 9, 0, 2, 0}, {"OXM_OF_TCP_SRC", 0x8000, 13, 0, 2, 3}}},
	TCPDst:         {ID: TCPDst, Name: "tcp_dst", Alias: "tp_dst", Bytes: 2, Bits: 16, Off: 50, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqTCP, Format: FormatDecimal, OXM: []OXM{{"NXM_OF_TCP_DST", 0x0, 10, 0, 2, 0}, {"OXM_OF_TCP_DST", 0x8000, 14, 0, 2, 3}}},
	TCPFlags:       {ID: TCPFlags, Name: "tcp_flags", Alias: "", Bytes: 2, Bits: 12, Off: 52, Size: 2, Shift: 0, StoreMask: 0xfff, Maskable: true, Writable: false, Prereq: PrereqTCP, Format: FormatTCPFlags, OXM: []OXM{{"NXM_NX_TCP_FLAGS", 0x1, 34, 0, 2, 0}, {"ONFOXM_ET_TCP_FLAGS", 0xffff, 42, 0x4f4e4600, 2, 4}, {"OXM_OF_TCP_FLAGS", 0x8000, 42, 0, 2, 6}}},
	UDPSrc:         {ID: UDPSrc, Name: "udp_src", Alias: "", Bytes: 2, Bits: 16, Off: 48, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqUDP, Format: FormatDecimal, OXM: []OXM{{"NXM_OF_UDP_SRC", 0x0, 11, 0, 2, 0}, {"OXM_OF_UDP_SRC", 0x8000, 15, 0, 2, 3}}},
	UDPDst:         {ID: UDPDst, Name: "udp_dst", Alias: "", Bytes: 2, Bits: 16, Off: 50, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqUDP, Format: FormatDecimal, OXM: []OXM{{"NXM_OF_UDP_DST", 0x0, 12, 0, 2, 0}, {"OXM_OF_UDP_DST", 0x8000, 16, 0, 2, 3}}},
	SCTPSrc:        {ID: SCTPSrc, Name: "sctp_src", Alias: "", Bytes: 2, Bits: 16, Off: 48, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqSCTP, Format: FormatDecimal, OXM: []OXM{{"OXM_OF_SCTP_SRC", 0x8000, 17, 0, 2, 3}}},
	SCTPDst:        {ID: SCTPDst, Name: "sctp_dst", Alias: "", Bytes: 2, Bits: 16, Off: 50, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqSCTP, Format: FormatDecimal, OXM: []OXM{{"OXM_OF_SCTP_DST", 0x8000, 18, 0, 2, 3}}},
	ICMPType:       {ID: ICMPType, Name: "icmp_type", Alias: "", Bytes: 1, Bits: 8, Off: 48, Size: 2, Shift: 0, StoreMask: 0xff, Maskable: false, Writable: true, Prereq: PrereqICMPv4, Format: FormatDecimal, OXM: []OXM{{"NXM_OF_ICMP_TYPE", 0x0, 13, 0, 1, 0}, {"OXM_OF_ICMPV4_TYPE", 0x8000, 19, 0, 1, 3}}},
	ICMPCode:       {ID: ICMPCode, Name: "icmp_code", Alias: "", Bytes: 1, Bits: 8, Off: 50, Size: 2, Shift: 0, StoreMask: 0xff, Maskable: false, Writable: true, Prereq: PrereqICMPv4, Format: FormatDecimal, OXM: []OXM{{"NXM_OF_ICMP_CODE", 0x0, 14, 0, 1, 0}, {"OXM_OF_ICMPV4_CODE", 0x8000, 20, 0, 1, 3}}},
	ICMPv6Type:     {ID: ICMPv6Type, Name: "icmpv6_type", Alias: "", Bytes: 1, Bits: 8, Off: 48, Size: 2, Shift: 0, StoreMask: 0xff, Maskable: false, Writable: true, Prereq: PrereqICMPv6, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_ICMPV6_TYPE", 0x1, 21, 0, 1, 0}, {"OXM_OF_ICMPV6_TYPE", 0x8000, 29, 0, 1, 3}}},
	ICMPv6Code:     {ID: ICMPv6Code, Name: "icmpv6_code", Alias: "", Bytes: 1, Bits: 8, Off: 50, Size: 2, Shift: 0, StoreMask: 0xff, Maskable: false, Writable: true, Prereq: PrereqICMPv6, Format: FormatDecimal, OXM: []OXM{{"NXM_NX_ICMPV6_CODE", 0x1, 22, 0, 1, 0}, {"OXM_OF_ICMPV6_CODE", 0x8000, 30, 0, 1, 3}}},
	NDTarget:       {ID: NDTarget, Name: "nd_target", Alias: "", Bytes: 16, Bits: 128, Off: 96, Size: 16, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqND, Format: FormatIPv6, OXM: []OXM{{"NXM_NX_ND_TARGET", 0x1, 23, 0, 16, 0}, {"OXM_OF_IPV6_ND_TARGET", 0x8000, 31, 0, 16, 3}}},
	NDSLL:          {ID: NDSLL, Name: "nd_sll", Alias: "", Bytes: 6, Bits: 48, Off: 112, Size: 6, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNDSolicit, Format: FormatEthernet, OXM: []OXM{{"NXM_NX_ND_SLL", 0x1, 24, 0, 6, 0}, {"OXM_OF_IPV6_ND_SLL", 0x8000, 32, 0, 6, 3}}},
	NDTLL:          {ID: NDTLL, Name: "nd_tll", Alias: "", Bytes: 6, Bits: 48, Off: 120, Size: 6, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNDAdvert, Format: FormatEthernet, OXM: []OXM{{"NXM_NX_ND_TLL", 0x1, 25, 0, 6, 0}, {"OXM_OF_IPV6_ND_TLL", 0x8000, 33, 0, 6, 3}}},
	NDReserved:     {ID: NDReserved, Name: "nd_reserved", Alias: "", Bytes: 4, Bits: 32, Off: 128, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: true, Prereq: PrereqND, Format: FormatDecimal, OXM: []OXM{{"ERICOXM_OF_ICMPV6_ND_RESERVED", 0x1000, 1, 0, 4, 0}}},
	NDOptionsType:  {ID: NDOptionsType, Name: "nd_options_type", Alias: "", Bytes: 1, Bits: 8, Off: 118, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: true, Prereq: PrereqND, Format: FormatDecimal, OXM: []OXM{{"ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE", 0x1000, 2, 0, 1, 0}}},
	NSHFlags:       {ID: NSHFlags, Name: "nsh_flags", Alias: "", Bytes: 1, Bits: 8, Off: 696, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNSH, Format: FormatDecimal, OXM: []OXM{{"NXOXM_NSH_FLAGS", 0xffff, 1, 0x5ad650, 1, 0}}},
	NSHMdtype:      {ID: NSHMdtype, Name: "nsh_mdtype", Alias: "", Bytes: 1, Bits: 8, Off: 698, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNSH, Format: FormatDecimal, OXM: []OXM{{"NXOXM_NSH_MDTYPE", 0xffff, 2, 0x5ad650, 1, 0}}},
	NSHNp:          {ID: NSHNp, Name: "nsh_np", Alias: "", Bytes: 1, Bits: 8, Off: 699, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: false, Prereq: PrereqNSH, Format: FormatDecimal, OXM: []OXM{{"NXOXM_NSH_NP", 0xffff, 3, 0x5ad650, 1, 0}}},
	NSHSPI:         {ID: NSHSPI, Name: "nsh_spi", Alias: "nsp", Bytes: 4, Bits: 24, Off: 700, Size: 4, Shift: 8, StoreMask: 0xffffff, Maskable: false, Writable: true, Prereq: PrereqNSH, Format: FormatHex, OXM: []OXM{{"NXOXM_NSH_SPI", 0xffff, 4, 0x5ad650, 4, 0}}},
	NSHSI:          {ID: NSHSI, Name: "nsh_si", Alias: "nsi", Bytes: 1, Bits: 8, Off: 700, Size: 4, Shift: 0, StoreMask: 0xff, Maskable: false, Writable: true, Prereq: PrereqNSH, Format: FormatDecimal, OXM: []OXM{{"NXOXM_NSH_SI", 0xffff, 5, 0x5ad650, 1, 0}}},
	NSHC1:          {ID: NSHC1, Name: "nsh_c1", Alias: "nshc1", Bytes: 4, Bits: 32, Off: 704, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNSH, Format: FormatHex, OXM: []OXM{{"NXOXM_NSH_C1", 0xffff, 6, 0x5ad650, 4, 0}}},
	NSHC2:          {ID: NSHC2, Name: "nsh_c2", Alias: "nshc2", Bytes: 4, Bits: 32, Off: 708, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNSH, Format: FormatHex, OXM: []OXM{{"NXOXM_NSH_C2", 0xffff, 7, 0x5ad650, 4, 0}}},
	NSHC3:          {ID: NSHC3, Name: "nsh_c3", Alias: "nshc3", Bytes: 4, Bits: 32, Off: 712, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNSH, Format: FormatHex, OXM: []OXM{{"NXOXM_NSH_C3", 0xffff, 8, 0x5ad650, 4, 0}}},
	NSHC4:          {ID: NSHC4, Name: "nsh_c4", Alias: "nshc4", Bytes: 4, Bits: 32, Off: 716, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: true, Prereq: PrereqNSH, Format: FormatHex, OXM: []OXM{{"NXOXM_NSH_C4", 0xffff, 9, 0x5ad650, 4, 0}}},
	NSHTTL:         {ID: NSHTTL, Name: "nsh_ttl", Alias: "", Bytes: 1, Bits: 8, Off: 697, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: false, Writable: true, Prereq: PrereqNSH, Format: FormatDecimal, OXM: []OXM{{"NXOXM_NSH_TTL", 0xffff, 10, 0x5ad650, 1, 0}}},
	VLANTPID:       {ID: VLANTPID, Name: "vlan_tpid", Alias: "", Bytes: 2, Bits: 16, Off: 24, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	VLANTCI2:       {ID: VLANTCI2, Name: "vlan_tci2", Alias: "", Bytes: 2, Bits: 16, Off: 26, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	VLANTPID2:      {ID: VLANTPID2, Name: "vlan_tpid2", Alias: "", Bytes: 2, Bits: 16, Off: 28, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	MPLSLSE0:       {ID: MPLSLSE0, Name: "mpls_lse0", Alias: "", Bytes: 4, Bits: 32, Off: 216, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	MPLSLSE1:       {ID: MPLSLSE1, Name: "mpls_lse1", Alias: "", Bytes: 4, Bits: 32, Off: 220, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	MPLSLSE2:       {ID: MPLSLSE2, Name: "mpls_lse2", Alias: "", Bytes: 4, Bits: 32, Off: 224, Size: 4, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	TunAllFlags:    {ID: TunAllFlags, Name: "tun_all_flags", Alias: "", Bytes: 2, Bits: 16, Off: 280, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	TunTPSrc:       {ID: TunTPSrc, Name: "tun_tp_src", Alias: "", Bytes: 2, Bits: 16, Off: 284, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	TunTPDst:       {ID: TunTPDst, Name: "tun_tp_dst", Alias: "", Bytes: 2, Bits: 16, Off: 286, Size: 2, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
	TunOptsLen:     {ID: TunOptsLen, Name: "tun_opts_len", Alias: "", Bytes: 1, Bits: 8, Off: 291, Size: 1, Shift: 0, StoreMask: 0x0, Maskable: true, Writable: false, Prereq: PrereqNone, Format: FormatHex, OXM: []OXM{}},
}
