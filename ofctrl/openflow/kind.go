package openflow

// decoder reads one message. body is what stands behind the message's headers.
type decoder struct {
	v    Version
	xid  uint32
	st   *State
	body []byte
	acts actionDecoder // here so that it need not be allocated
}

// kind is one row of the message tables: which versions have the number, how long the body may be, and
// who reads it. Bodies are min bytes, and more in multiples of more (0: not more).
type kind struct {
	num       uint32
	lo, hi    Version
	min, more int
	decode    func(*decoder) (Message, error)
}

// Numbers of the message types with the versions that have them (OpenFlow 1.0 to 1.5).
const (
	typeHello   = 0
	typeStats10 = 16
	typeStats11 = 18
)

// messageKinds are the OFPT messages.
var messageKinds = []kind{
	{1, V10, V15, 4, 1, decodeError},
	{2, V10, V15, 0, 1, func(d *decoder) (Message, error) { return &EchoRequest{clone(d.body)}, nil }},
	{3, V10, V15, 0, 1, func(d *decoder) (Message, error) { return &EchoReply{clone(d.body)}, nil }},
	{5, V10, V15, 0, 0, func(*decoder) (Message, error) { return &FeaturesRequest{}, nil }},
	{6, V10, V10, 24, 48, decodeFeaturesReply},
	{6, V11, V12, 24, 64, decodeFeaturesReply},
	{6, V13, V15, 24, 0, decodeFeaturesReply},
	{7, V10, V15, 0, 0, func(*decoder) (Message, error) { return &GetConfigRequest{}, nil }},
	{8, V10, V15, 4, 0, func(d *decoder) (Message, error) { return &GetConfigReply{be16(d.body), be16(d.body[2:])}, nil }},
	{9, V10, V15, 4, 0, decodeSetConfig},
	{10, V10, V10, 10, 1, decodePacketIn10},
	{10, V11, V11, 16, 1, decodePacketIn11},
	{10, V12, V12, 8, 1, decodePacketIn12},
	{10, V13, V15, 16, 1, decodePacketIn12},
	{11, V10, V10, 80, 0, decodeFlowRemoved10},
	{11, V11, V14, 40, 8, decodeFlowRemoved11},
	{11, V15, V15, 16, 8, decodeFlowRemoved15},
	{12, V10, V10, 56, 0, decodePortStatus},
	{12, V11, V13, 72, 0, decodePortStatus},
	{12, V14, V15, 48, 8, decodePortStatus},
	{13, V10, V10, 8, 1, decodePacketOut},
	{13, V11, V14, 16, 1, decodePacketOut},
	{13, V15, V15, 8, 1, decodePacketOut},
	{14, V10, V10, 64, 8, decodeFlowMod10},
	{14, V11, V15, 40, 8, decodeFlowMod11},
	{15, V10, V10, 24, 0, decodePortMod},
	{16, V11, V13, 32, 0, decodePortMod},
	{16, V14, V15, 24, 8, decodePortMod},
	{15, V11, V14, 8, 8, decodeGroupMod11},
	{15, V15, V15, 16, 8, decodeGroupMod15},
	{17, V11, V13, 8, 0, decodeTableMod},
	{17, V14, V15, 8, 8, decodeTableMod},
	{18, V10, V10, 0, 0, func(*decoder) (Message, error) { return &BarrierRequest{}, nil }},
	{20, V11, V15, 0, 0, func(*decoder) (Message, error) { return &BarrierRequest{}, nil }},
	{19, V10, V10, 0, 0, func(*decoder) (Message, error) { return &BarrierReply{}, nil }},
	{21, V11, V15, 0, 0, func(*decoder) (Message, error) { return &BarrierReply{}, nil }},
	{20, V10, V10, 4, 0, decodeQueueConfigRequest},
	{22, V11, V13, 8, 0, decodeQueueConfigRequest},
	{21, V10, V10, 8, 8, decodeQueueConfigReply},
	{23, V11, V13, 8, 8, decodeQueueConfigReply},
	{24, V12, V15, 16, 0, decodeRoleRequest},
	{25, V12, V15, 16, 0, decodeRoleReply},
	{26, V13, V15, 0, 0, func(*decoder) (Message, error) { return &GetAsyncRequest{}, nil }},
	{27, V13, V13, 24, 0, decodeGetAsyncReply},
	{27, V14, V15, 0, 8, decodeGetAsyncReply},
	{28, V13, V13, 24, 0, decodeSetAsync},
	{28, V14, V15, 0, 8, decodeSetAsync},
	{29, V13, V15, 8, 8, decodeMeterMod},
	{30, V14, V15, 16, 8, decodeRoleStatus},
	{31, V14, V15, 16, 8, decodeTableStatus},
	{32, V14, V15, 8, 8, decodeRequestForward},
	{33, V14, V15, 8, 8, decodeBundleControl},
	{34, V14, V15, 8, 1, decodeBundleAdd},
}

// nxKinds are Nicira's extension messages, by subtype.
var nxKinds = []kind{
	{10, V10, V15, 4, 0, decodeNXRoleRequest},
	{11, V10, V15, 4, 0, decodeNXRoleReply},
	{12, V10, V10, 4, 0, func(d *decoder) (Message, error) { return &SetFlowFormat{be32(d.body)}, nil }},
	{13, V10, V15, 32, 8, decodeNXFlowMod},
	{14, V10, V15, 40, 8, decodeNXFlowRemoved},
	{15, V10, V15, 8, 0, func(d *decoder) (Message, error) { return &FlowModTableID{d.body[0] != 0}, nil }},
	{16, V10, V15, 4, 0, decodeSetPacketInFormat},
	{17, V10, V15, 24, 1, decodeNXPacketIn},
	{18, V10, V15, 0, 0, func(*decoder) (Message, error) { return &FlowAge{}, nil }},
	{19, V10, V15, 24, 0, decodeNXSetAsync},
	{20, V10, V15, 8, 0, func(d *decoder) (Message, error) { return &SetControllerID{be16(d.body[6:])}, nil }},
	{21, V10, V12, 4, 0, decodeFlowMonitorCancel},
	{22, V10, V12, 0, 0, decodePaused},
	{23, V10, V12, 0, 0, decodeResumed},
	{24, V10, V15, 8, 8, decodeTLVTableMod},
	{25, V10, V15, 0, 0, func(*decoder) (Message, error) { return &TLVTableRequest{}, nil }},
	{26, V10, V15, 16, 8, decodeTLVTableReply},
	{27, V10, V13, 0, 8, decodeNXSetAsync2},
	{28, V10, V15, 0, 8, decodeResume},
	{29, V10, V15, 8, 0, func(d *decoder) (Message, error) { return &CTFlushZone{be16(d.body[6:])}, nil }},
	{30, V10, V15, 0, 8, decodeNXPacketIn2},
	{31, V10, V10, 16, 8, decodeGroupMod15},
	{32, V10, V15, 8, 8, decodeCTFlush},
	{132, V10, V12, 8, 8, decodeRequestForward},
}

// onfKinds are ONF's extension messages: parts of 1.4 for 1.3.
var onfKinds = []kind{
	{1870, V13, V13, 4, 0, decodeFlowMonitorCancel},
	{1871, V13, V13, 0, 0, decodePaused},
	{1872, V13, V13, 0, 0, decodeResumed},
	{1911, V13, V13, 16, 8, decodeRoleStatus},
	{2300, V13, V13, 8, 8, decodeBundleControl},
	{2301, V13, V13, 8, 1, decodeBundleAdd},
	{2350, V13, V13, 8, 8, decodeRequestForward},
}

type kindKey struct {
	v   Version
	num uint32
}

// messageTypes is how many numbers of message types there are.
const messageTypes = 35

func indexTypes(rows []kind) (t [V15 + 1][messageTypes]*kind) {
	for i := range rows {
		for v := rows[i].lo; v <= rows[i].hi; v++ {
			t[v][rows[i].num] = &rows[i]
		}
	}
	return t
}

func indexKinds(rows []kind) map[kindKey]*kind {
	m := make(map[kindKey]*kind, 6*len(rows))
	for i := range rows {
		for v := rows[i].lo; v <= rows[i].hi; v++ {
			m[kindKey{v, rows[i].num}] = &rows[i]
		}
	}
	return m
}

// The tables by version and number. They are filled at start because their functions reach Decode,
// and so themselves, through bundles.
var (
	messageIndex      [V15 + 1][messageTypes]*kind
	nxIndex, onfIndex map[kindKey]*kind
)

func init() {
	messageIndex, nxIndex, onfIndex = indexTypes(messageKinds), indexKinds(nxKinds), indexKinds(onfKinds)
	multipartIndex = indexMultiparts()
}

func lengthOK(n, min, more int) bool {
	if more == 0 {
		return n == min
	}
	return n >= min && (n-min)%more == 0
}

// message reads the body of a message of the type.
func (d *decoder) message(typ uint8) (Message, error) {
	var k *kind
	switch {
	case typ == typeHello:
		return decodeHello(d)
	case typ == typeExperimenter:
		if len(d.body) < 8 {
			return nil, bad(BadLen, "experimenter message with a body of %d bytes", len(d.body))
		}
		vendor, sub := be32(d.body), be32(d.body[4:])
		switch vendor {
		case nx:
			k = nxIndex[kindKey{d.v, sub}]
		case onf:
			k = onfIndex[kindKey{d.v, sub}]
		default:
			return nil, bad(BadExperimenter, "experimenter 0x%08x", vendor)
		}
		if k == nil {
			return nil, bad(BadExperimenterType, "experimenter 0x%08x message %d", vendor, sub)
		}
		d.body = d.body[8:]
	case d.v == V10 && (typ == typeStats10 || typ == typeStats10+1),
		d.v > V10 && (typ == typeStats11 || typ == typeStats11+1):
		return d.multipart(typ&1 == 0)
	default:
		if typ < messageTypes {
			k = messageIndex[d.v][typ]
		}
		if k == nil {
			return nil, bad(BadType, "message type %d", typ)
		}
	}
	if !lengthOK(len(d.body), k.min, k.more) {
		return nil, bad(BadLen, "message type %d with a body of %d bytes", typ, len(d.body))
	}
	return k.decode(d)
}

func decodePaused(*decoder) (Message, error)  { return &FlowMonitorPaused{}, nil }
func decodeResumed(*decoder) (Message, error) { return &FlowMonitorResumed{}, nil }
