package datapath

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// SetMegaflows says whether flows may have wildcards (upcall/enable-megaflows, disable-megaflows). Those that are
// installed are removed.
func (e *Engine) SetMegaflows(on bool) {
	e.exact.Store(!on)
	e.Purge()
}

// exactMask makes a mask that of all fields that the packet has.
func exactMask(key *flow.Key, mask *flow.Mask) {
	for i := range flow.DPWords {
		if key[i] != 0 {
			mask[i] = ^uint64(0)
		}
	}
	for _, id := range [...]flow.FieldID{flow.RecircID, flow.DPHash, flow.SkbPriority, flow.PktMark, flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel,
		flow.InPortOXM, flow.EthSrc, flow.EthDst, flow.EthType, flow.VLANTCI} {
		mask.SetExact(id)
	}
	var fields []flow.FieldID
	switch key.Get(flow.EthType) {
	case 0x0800:
		fields = []flow.FieldID{flow.IPv4Src, flow.IPv4Dst, flow.NwProto, flow.NwTOS, flow.NwECN, flow.NwTTL, flow.IPFrag}
	case 0x86dd:
		fields = []flow.FieldID{flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label, flow.NwProto, flow.NwTOS, flow.NwECN, flow.NwTTL, flow.IPFrag}
	case 0x0806, 0x8035:
		fields = []flow.FieldID{flow.ARPSPA, flow.ARPTPA, flow.ARPOp, flow.ARPSHA, flow.ARPTHA}
	}
	for _, id := range fields {
		mask.SetExact(id)
	}
	if len(fields) == 7 && key.Get(flow.IPFrag)&flow.FragLater == 0 {
		switch key.Get(flow.NwProto) {
		case 6:
			mask.SetExact(flow.TCPSrc)
			mask.SetExact(flow.TCPDst)
			mask.SetExact(flow.TCPFlags)
		case 1, 17, 58, 132: // ICMP's type and code are where ports are
			mask.SetExact(flow.TCPSrc)
			mask.SetExact(flow.TCPDst)
		}
	}
}
