package bridge

import (
	"encoding/binary"
	"time"

	"github.com/ovs-bpf/ovs-bpf/bridge/bfd"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// protocol is the session as translations see it.
func (s *bfdSession) protocol() pipeline.Protocol {
	p := bfdProtocol{s: s, untunneled: s.config.CheckTunnelKey, traffic: s.config.ForwardingIfRx}
	if m := s.config.RemoteMAC; m != nil {
		p.mac = uint64(binary.BigEndian.Uint16(m[:]))<<32 | uint64(binary.BigEndian.Uint32(m[2:]))
	}
	if s.config.OwnIP {
		ip := s.config.SrcIP.As4()
		p.ip = uint64(binary.BigEndian.Uint32(ip[:]))
	}
	return p
}

// bfdProtocol implements pipeline.Protocol.
type bfdProtocol struct {
	s          *bfdSession
	mac, ip    uint64 // that packets must go to, 0: any
	untunneled bool   // the tunnel key must be 0
	traffic    bool
}

// Name implements pipeline.Protocol.
func (bfdProtocol) Name() string { return "bfd" }

// Takes implements pipeline.Protocol: OVS's conditions (ovs-vswitchd.conf.db(5), Interface bfd).
func (p bfdProtocol) Takes(x pipeline.Context) bool {
	return x.Get(flow.EthType) == packet.EthTypeIPv4 && x.Get(flow.NwProto) == packet.ProtoUDP && x.Get(flow.IPFrag)&flow.FragLater == 0 &&
		x.Is(flow.UDPDst, bfd.Port) &&
		(p.mac == 0 || x.Is(flow.EthDst, p.mac)) &&
		(p.ip == 0 || x.Is(flow.IPv4Dst, p.ip)) &&
		(!p.untunneled || x.Is(flow.TunID, 0))
}

// Receive implements pipeline.Protocol.
func (p bfdProtocol) Receive(pkt *datapath.Packet) { p.s.receive(pkt) }

// Traffic implements pipeline.Protocol.
func (p bfdProtocol) Traffic() datapath.Credit {
	if !p.traffic {
		return nil
	}
	return bfdTraffic{p.s}
}

// bfdTraffic tells a session of packets that its interface has received.
type bfdTraffic struct{ s *bfdSession }

// Credit implements datapath.Credit.
func (t bfdTraffic) Credit(packets, _ uint64, _ time.Time, _ uint16) {
	if packets != 0 {
		t.s.session.Data()
		t.s.bridge.agent.monitor.touch(t.s)
	}
}
