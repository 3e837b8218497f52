package odp

import (
	"fmt"
	"strconv"
	"strings"
)

// Sampled is what Userspace actions that sample packets for IPFIX say, for the text form.
type Sampled struct {
	OutputPort Port // PortNone: not sampled at an output
	// Of flow samples:
	Probability         uint16 // of 65535
	CollectorSet        uint32
	ObsDomain, ObsPoint uint32
	Direction           SampleDirection
}

// SampleDirection is what a sample action says of it.
type SampleDirection uint8

// What it may say.
const (
	SampleDefault SampleDirection = iota
	SampleIngress
	SampleEgress
)

// sampledText is the inner part of userspace(...) of a flow sample or of IPFIX of a bridge.
func sampledText(a *Userspace, port func(Port) string) string {
	s := &a.Sampled
	out := strconv.FormatUint(uint64(s.OutputPort), 10)
	if s.OutputPort != PortNone {
		out = port(s.OutputPort)
	}
	if a.Kind == UpcallIPFIX {
		return fmt.Sprintf("ipfix(output_port=%s)", out)
	}
	return fmt.Sprintf("flow_sample(probability=%d,collector_set_id=%d,obs_domain_id=%d,obs_point_id=%d,output_port=%s%s)",
		s.Probability, s.CollectorSet, s.ObsDomain, s.ObsPoint, out, [...]string{"", ",ingress", ",egress"}[s.Direction])
}

// parseSampled reads what sampledText writes.
func parseSampled(name, args string, a *Userspace) error {
	s := Sampled{OutputPort: PortNone}
	a.Kind = map[string]UpcallKind{"flow_sample": UpcallFlowSample, "ipfix": UpcallIPFIX}[name]
	for rest, suffix := range map[string]SampleDirection{",ingress": SampleIngress, ",egress": SampleEgress} {
		if inner, ok := strings.CutSuffix(args, rest); ok && a.Kind == UpcallFlowSample {
			args, s.Direction = inner, suffix
		}
	}
	list, err := pairs(args)
	if err != nil {
		return err
	}
	for _, kv := range list {
		bits := 32
		if kv[0] == "probability" {
			bits = 16
		}
		v, err := number(kv[1], bits)
		if err != nil {
			return fmt.Errorf("%s: %w", kv[0], err)
		}
		switch {
		case kv[0] == "output_port":
			s.OutputPort = Port(v)
		case a.Kind != UpcallFlowSample:
			return fmt.Errorf("%s has no part %q: %w", name, kv[0], errSyntax)
		case kv[0] == "probability":
			s.Probability = uint16(v)
		case kv[0] == "collector_set_id":
			s.CollectorSet = uint32(v)
		case kv[0] == "obs_domain_id":
			s.ObsDomain = uint32(v)
		case kv[0] == "obs_point_id":
			s.ObsPoint = uint32(v)
		default:
			return fmt.Errorf("%s has no part %q: %w", name, kv[0], errSyntax)
		}
	}
	a.Sampled = s
	return nil
}
