package openflow

// multipartKind is one row of the multipart tables; see kind.
type multipartKind struct {
	num       uint32
	lo, hi    Version
	min, more int
	decode    func(*decoder) (MultipartBody, error)
}

// Classes of multipart messages: standard and Nicira's, requests and replies.
const (
	mpRequest = iota
	mpReply
	mpNXRequest
	mpNXReply
	mpONFRequest
	mpONFReply
	mpClasses
)

const mpVendor = 0xffff

// multipartKinds are the statistics of OpenFlow and Nicira.
var multipartKinds = [mpClasses][]multipartKind{
	mpRequest: {
		{0, V10, V15, 0, 0, func(*decoder) (MultipartBody, error) { return &DescRequest{}, nil }},
		{1, V10, V10, 44, 0, decodeFlowRequest10(false)},
		{1, V11, V15, 32, 8, decodeFlowRequest11(false)},
		{2, V10, V10, 44, 0, decodeFlowRequest10(true)},
		{2, V11, V15, 32, 8, decodeFlowRequest11(true)},
		{3, V10, V15, 0, 0, func(*decoder) (MultipartBody, error) { return &TableRequest{}, nil }},
		{4, V10, V15, 8, 0, decodePortStatsRequest},
		{5, V10, V15, 8, 0, decodeQueueRequest},
		{6, V11, V15, 8, 0, decodeGroupStatsRequest},
		{7, V11, V14, 0, 0, func(*decoder) (MultipartBody, error) { return &GroupDescRequest{ID: GroupAll}, nil }},
		{7, V15, V15, 8, 0, decodeGroupDescRequest},
		{8, V12, V15, 0, 0, func(*decoder) (MultipartBody, error) { return &GroupFeaturesRequest{}, nil }},
		{9, V13, V15, 8, 0, func(d *decoder) (MultipartBody, error) { return &MeterStatsRequest{be32(d.body)}, nil }},
		{10, V13, V15, 8, 0, func(d *decoder) (MultipartBody, error) { return &MeterConfigRequest{be32(d.body)}, nil }},
		{11, V13, V15, 0, 0, func(*decoder) (MultipartBody, error) { return &MeterFeaturesRequest{}, nil }},
		{12, V13, V15, 0, 8, decodeTableFeaturesRequest},
		{13, V10, V14, 0, 0, func(*decoder) (MultipartBody, error) { return &PortDescRequest{PortAny}, nil }},
		{13, V15, V15, 8, 0, decodePortDescRequest15},
		{14, V14, V15, 0, 0, func(*decoder) (MultipartBody, error) { return &TableDescRequest{}, nil }},
		{15, V14, V15, 8, 0, decodeQueueDescRequest},
		{16, V14, V15, 0, 8, decodeFlowMonitorRequest},
	},
	mpReply: {
		{0, V10, V15, 1056, 0, decodeDescReply},
		{1, V10, V15, 0, 1, decodeFlowReply},
		{2, V10, V14, 24, 0, decodeAggregateReply},
		{2, V15, V15, 0, 1, decodeAggregateReply15},
		{3, V10, V10, 0, 64, decodeTableReply},
		{3, V11, V11, 0, 88, decodeTableReply},
		{3, V12, V12, 0, 128, decodeTableReply},
		{3, V13, V15, 0, 24, decodeTableReply},
		{4, V10, V12, 0, 104, decodePortStats},
		{4, V13, V13, 0, 112, decodePortStats},
		{4, V14, V15, 0, 8, decodePortStats14},
		{5, V10, V12, 0, 32, decodeQueueStats},
		{5, V13, V13, 0, 40, decodeQueueStats},
		{5, V14, V15, 0, 8, decodeQueueStats14},
		{6, V11, V15, 0, 8, decodeGroupStatsReply},
		{7, V11, V15, 0, 8, decodeGroupDescReply},
		{8, V12, V15, 40, 0, decodeGroupFeatures},
		{9, V13, V15, 0, 8, decodeMeterStats},
		{10, V13, V15, 0, 8, decodeMeterConfig},
		{11, V13, V15, 16, 0, decodeMeterFeatures},
		{12, V13, V15, 0, 8, decodeTableFeaturesReply},
		{13, V10, V10, 0, 48, decodePortDescReply},
		{13, V11, V13, 0, 64, decodePortDescReply},
		{13, V14, V15, 0, 8, decodePortDescReply},
		{14, V14, V15, 0, 8, decodeTableDesc},
		{15, V14, V15, 0, 8, decodeQueueDescReply},
		{16, V14, V15, 0, 8, decodeFlowMonitorReply},
	},
	mpNXRequest: {
		{0, V10, V10, 8, 8, decodeNXFlowRequest(false)},
		{1, V10, V10, 8, 8, decodeNXFlowRequest(true)},
		{2, V10, V12, 0, 8, decodeFlowMonitorRequest},
		{nxIPFIXBridge, V10, V15, 0, 0, decodeIPFIXRequest(false)},
		{nxIPFIXFlow, V10, V15, 0, 0, decodeIPFIXRequest(true)},
		{7, V10, V10, 8, 0, decodeGroupStatsRequest},
		{8, V10, V10, 8, 0, decodeGroupDescRequest},
		{9, V10, V11, 0, 0, func(*decoder) (MultipartBody, error) { return &GroupFeaturesRequest{}, nil }},
	},
	mpNXReply: {
		{0, V10, V10, 0, 1, decodeNXFlowReply},
		{1, V10, V10, 24, 0, decodeNXAggregateReply},
		{2, V10, V12, 0, 8, decodeFlowMonitorReply},
		{nxIPFIXBridge, V10, V15, 0, ipfixStatsLen, decodeIPFIXReply(false)},
		{nxIPFIXFlow, V10, V15, 0, ipfixStatsLen, decodeIPFIXReply(true)},
		{7, V10, V10, 0, 8, decodeGroupStatsReply},
		{8, V10, V10, 0, 8, decodeGroupDescReply},
		{9, V10, V11, 40, 0, decodeGroupFeatures},
	},
	mpONFRequest: {{1870, V13, V13, 0, 8, decodeFlowMonitorRequest}},
	mpONFReply:   {{1870, V13, V13, 0, 8, decodeFlowMonitorReply}},
}

var multipartIndex [mpClasses]map[kindKey]*multipartKind

func indexMultiparts() (t [mpClasses]map[kindKey]*multipartKind) {
	for c := range t {
		t[c] = map[kindKey]*multipartKind{}
		for i := range multipartKinds[c] {
			k := &multipartKinds[c][i]
			for v := k.lo; v <= k.hi; v++ {
				t[c][kindKey{v, k.num}] = k
			}
		}
	}
	return t
}

// multipart reads a multipart request or reply from behind the message header.
func (d *decoder) multipart(request bool) (Message, error) {
	head := 4
	if d.v > V10 {
		head = 8
	}
	if len(d.body) < head {
		return nil, bad(BadLen, "multipart message with a body of %d bytes", len(d.body))
	}
	typ, more := be16(d.body), be16(d.body[2:])&1 != 0
	class, num := mpRequest, uint32(typ)
	d.body = d.body[head:]
	if typ == mpVendor {
		skip := 8
		if d.v == V10 {
			skip = 12 // the subtype is followed by padding
		}
		if len(d.body) < skip {
			return nil, bad(BadLen, "experimenter multipart message")
		}
		switch vendor := be32(d.body); vendor {
		case nx:
			class = mpNXRequest
		case onf:
			class = mpONFRequest
		default:
			return nil, bad(BadExperimenter, "multipart of experimenter 0x%08x", vendor)
		}
		num, d.body = be32(d.body[4:]), d.body[skip:]
	}
	if !request {
		class++
	}
	k := multipartIndex[class][kindKey{d.v, num}]
	switch {
	case k == nil && typ == mpVendor:
		return nil, bad(BadExperimenterType, "experimenter multipart %d", num)
	case k == nil:
		return nil, bad(BadMultipart, "multipart type %d", num)
	case !lengthOK(len(d.body), k.min, k.more):
		return nil, bad(BadLen, "multipart type %d with a body of %d bytes", num, len(d.body))
	}
	body, err := k.decode(d)
	if err != nil {
		return nil, err
	}
	if request {
		return &MultipartRequest{More: more, Body: body}, nil
	}
	return &MultipartReply{More: more, Body: body}, nil
}

// beginMultipart writes the headers of a standard multipart message.
func (e *encoder) beginMultipart(reply, more bool, typ uint16) {
	base := uint8(typeStats11)
	if e.v == V10 {
		base = typeStats10
	}
	e.begin(base + pick[uint8](reply, 1, 0))
	e.u16(typ, pick[uint16](more, 1, 0))
	if e.v > V10 {
		e.u32(0)
	}
}

// beginExpMultipart writes those of an experimenter's.
func (e *encoder) beginExpMultipart(reply, more bool, vendor, sub uint32) {
	e.beginMultipart(reply, more, mpVendor)
	e.u32(vendor, sub)
	if e.v == V10 {
		e.u32(0)
	}
}

// beginGroupMultipart writes those of group statistics, which 1.0 (and 1.1 for features) has as
// Nicira's extension.
func (e *encoder) beginGroupMultipart(reply, more bool, typ uint16, sub uint32, first Version) {
	if e.v < first {
		e.beginExpMultipart(reply, more, nx, sub)
	} else {
		e.beginMultipart(reply, more, typ)
	}
}

func (e *encoder) multipartRequest(m *MultipartRequest) error {
	begin := func(typ uint16) { e.beginMultipart(false, m.More, typ) }
	switch b := m.Body.(type) {
	case *DescRequest:
		begin(0)
	case *FlowRequest:
		return b.put(e, m.More)
	case *TableRequest:
		begin(3)
	case *PortStatsRequest:
		begin(4)
		if e.v == V10 {
			e.u16(b.Port.to10(), 0, 0, 0)
		} else {
			e.u32(uint32(b.Port), 0)
		}
	case *QueueRequest:
		begin(5)
		e.portQueue(b.Port, b.Queue)
	case *GroupStatsRequest:
		e.beginGroupMultipart(false, m.More, 6, 7, V11)
		e.u32(b.ID, 0)
	case *GroupDescRequest:
		e.beginGroupMultipart(false, m.More, 7, 8, V11)
		if e.v == V10 || e.v == V15 {
			e.u32(b.ID, 0)
		}
	case *GroupFeaturesRequest:
		e.beginGroupMultipart(false, m.More, 8, 9, V12)
	case *MeterStatsRequest:
		begin(9)
		e.u32(b.ID, 0)
	case *MeterConfigRequest:
		begin(10)
		e.u32(b.ID, 0)
	case *MeterFeaturesRequest:
		begin(11)
	case *PortDescRequest:
		begin(13)
		if e.v == V15 {
			e.u32(uint32(b.Port), 0)
		}
	case *TableDescRequest:
		begin(14)
	case *QueueDescRequest:
		begin(15)
		e.u32(uint32(b.Port), b.Queue)
	case *TableFeaturesRequest:
		begin(12)
		return e.tableFeatures(b.Tables)
	case *FlowMonitorRequest:
		return b.put(e, m.More)
	case *IPFIXRequest:
		e.beginExpMultipart(false, m.More, nx, ipfixSubtype(b.Flow))
	case *RawMultipart:
		e.rawMultipart(b, false, m.More)
	default:
		return bad(BadMultipart, "request %T", m.Body)
	}
	return nil
}

func (e *encoder) multipartReply(m *MultipartReply) error {
	begin := func(typ uint16) { e.beginMultipart(true, m.More, typ) }
	switch b := m.Body.(type) {
	case *DescReply:
		begin(0)
		b.put(e)
	case *FlowReply:
		return b.put(e, m.More)
	case *AggregateReply:
		return b.put(e, m.More)
	case *TableReply:
		begin(3)
		for i := range b.Tables {
			b.Tables[i].put(e)
		}
	case *PortStatsReply:
		begin(4)
		for i := range b.Ports {
			if err := b.Ports[i].put(e); err != nil {
				return err
			}
		}
	case *QueueReply:
		begin(5)
		for i := range b.Queues {
			b.Queues[i].put(e)
		}
	case *GroupStatsReply:
		e.beginGroupMultipart(true, m.More, 6, 7, V11)
		return b.put(e)
	case *GroupDescReply:
		e.beginGroupMultipart(true, m.More, 7, 8, V11)
		return b.put(e)
	case *GroupFeaturesReply:
		e.beginGroupMultipart(true, m.More, 8, 9, V12)
		b.put(e)
	case *MeterStatsReply:
		begin(9)
		return b.put(e)
	case *MeterConfigReply:
		begin(10)
		return b.put(e)
	case *MeterFeaturesReply:
		begin(11)
		e.u32(b.MaxMeter, b.BandTypes, b.Capabilities)
		e.u8(b.MaxBands, b.MaxColor, 0, 0)
	case *PortDescReply:
		begin(13)
		for i := range b.Ports {
			e.port(&b.Ports[i])
		}
	case *TableDescReply:
		begin(14)
		return b.put(e)
	case *QueueDescReply:
		begin(15)
		return b.put(e)
	case *TableFeaturesReply:
		begin(12)
		return e.tableFeatures(b.Tables)
	case *FlowMonitorReply:
		return b.put(e, m.More)
	case *IPFIXReply:
		b.put(e, m.More)
	case *RawMultipart:
		e.rawMultipart(b, true, m.More)
	default:
		return bad(BadMultipart, "reply %T", m.Body)
	}
	return nil
}

func (e *encoder) rawMultipart(b *RawMultipart, reply, more bool) {
	if b.Type == mpVendor {
		e.beginExpMultipart(reply, more, b.Vendor, b.Subtype)
	} else {
		e.beginMultipart(reply, more, b.Type)
	}
	e.bytes(b.Body)
}

func decodeDescReply(d *decoder) (MultipartBody, error) {
	b := d.body
	return &DescReply{
		Manufacturer: cstring(b[:256]), Hardware: cstring(b[256:512]), Software: cstring(b[512:768]),
		Serial: cstring(b[768:800]), Datapath: cstring(b[800:1056]),
	}, nil
}

func (m *DescReply) put(e *encoder) {
	e.text(m.Manufacturer, 256)
	e.text(m.Hardware, 256)
	e.text(m.Software, 256)
	e.text(m.Serial, 32)
	e.text(m.Datapath, 256)
}

func decodePortDescRequest15(d *decoder) (MultipartBody, error) {
	p, err := outPort11(be32(d.body))
	return &PortDescRequest{p}, err
}

func decodePortDescReply(d *decoder) (MultipartBody, error) {
	ports, err := decodePorts(d.v, d.body)
	return &PortDescReply{ports}, err
}
