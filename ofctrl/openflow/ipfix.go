package openflow

// IPFIXRequest asks for the counters of IPFIX exporters (NXST_IPFIX_BRIDGE, with Flow NXST_IPFIX_FLOW): the bridge's own, or
// those of its collector sets.
type IPFIXRequest struct{ Flow bool }

// IPFIXReply answers it.
type IPFIXReply struct {
	Flow  bool
	Stats []IPFIXStats
}

// IPFIXStats are the counters of an exporter.
type IPFIXStats struct {
	Flows, Current                 uint64 // cached ever, and now
	Packets, IPv4, IPv6            uint64 // sampled
	Errors, IPv4Errors, IPv6Errors uint64 // sampled packets of protocols that are not known
	Sent, NotSent                  uint64 // messages
	CollectorSet                   uint32
}

const (
	nxIPFIXBridge = 3
	nxIPFIXFlow   = 4
	ipfixStatsLen = 88
)

func (*IPFIXRequest) ofMultipart() {}
func (*IPFIXReply) ofMultipart()   {}

func ipfixSubtype(flow bool) uint32 {
	if flow {
		return nxIPFIXFlow
	}
	return nxIPFIXBridge
}

func decodeIPFIXRequest(flow bool) func(*decoder) (MultipartBody, error) {
	return func(*decoder) (MultipartBody, error) { return &IPFIXRequest{flow}, nil }
}

func decodeIPFIXReply(flow bool) func(*decoder) (MultipartBody, error) {
	return func(d *decoder) (MultipartBody, error) {
		m := &IPFIXReply{Flow: flow}
		for b := d.body; len(b) >= ipfixStatsLen; b = b[ipfixStatsLen:] {
			var s IPFIXStats
			for i, c := range s.counters() {
				*c = be64(b[8*i:])
			}
			s.CollectorSet = be32(b[80:])
			m.Stats = append(m.Stats, s)
		}
		return m, nil
	}
}

// counters are those of 64 bits in the order of the wire.
func (s *IPFIXStats) counters() [10]*uint64 {
	return [10]*uint64{&s.Flows, &s.Current, &s.Packets, &s.IPv4, &s.IPv6, &s.Errors, &s.IPv4Errors, &s.IPv6Errors, &s.Sent, &s.NotSent}
}

func (m *IPFIXReply) put(e *encoder, more bool) {
	e.beginExpMultipart(true, more, nx, ipfixSubtype(m.Flow))
	for i := range m.Stats {
		for _, c := range m.Stats[i].counters() {
			e.u64(*c)
		}
		e.u32(m.Stats[i].CollectorSet, 0)
	}
}
