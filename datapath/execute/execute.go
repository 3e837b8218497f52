// Package execute runs datapath actions on a packet in user space. It is what datapath/soft
// forwards with, and what another datapath uses for packets that it cannot run itself.
package execute

import (
	"fmt"
	"math/rand/v2"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Sink receives what actions do with a packet. Packet and key are only valid during the call,
// and a sink does not change them.
type Sink interface {
	// Output sends the packet to a port.
	Output(odp.Port, *packet.Packet)
	// Upcall sends the packet up on behalf of an action.
	Upcall(*packet.Packet, *flow.Key, *odp.Userspace)
	// Recirculate looks the packet up again; recirc_id is in the key. Of this call's packet and
	// key the sink may take possession.
	Recirculate(*packet.Packet, *flow.Key)
	// Meter reports whether the packet passes a meter.
	Meter(id uint32, p *packet.Packet) bool
	// Drop says that the packet ends here for a reason of translation.
	Drop(odp.DropReason)
}

// KeySink is a Sink that is told the key of what is sent, too: the tunnel that a packet goes into is in there.
type KeySink interface {
	// OutputKey is called in the place of Output.
	OutputKey(odp.Port, *packet.Packet, *flow.Key)
}

// Tracker tracks the connection of a packet, as a ct action says; *conntrack.Table is one. It changes packet and
// key alike, and reports whether the packet goes on; it counts one that does not.
type Tracker interface {
	Track(*packet.Packet, *flow.Key, *odp.CT) (pass bool)
}

// Executor runs actions.
type Executor struct {
	Sink Sink
	// Tracker runs ct actions; nil: they are not supported.
	Tracker Tracker
	// Rand decides samples; nil means math/rand.
	Rand func() uint32
}

// Run executes actions in order on a packet and its key, both of which it changes: the key
// always says what the packet says. An action that it cannot do ends the list with
// datapath.ErrUnsupported; what went before has been done.
func (e *Executor) Run(p *packet.Packet, key *flow.Key, actions []odp.Action) error {
	if len(actions) == 0 {
		e.Sink.Drop(odp.DropNone)
		return nil
	}
	return e.run(p, key, actions)
}

func (e *Executor) run(p *packet.Packet, key *flow.Key, actions []odp.Action) error {
	limit := 0 // bytes of the next output; 0: all
	for i := range actions {
		last := i == len(actions)-1
		switch a := actions[i].(type) {
		case odp.Output:
			if s, ok := e.Sink.(KeySink); ok {
				s.OutputKey(a.Port, cut(p, limit), key)
			} else {
				e.Sink.Output(a.Port, cut(p, limit))
			}
			limit = 0
		case odp.Userspace:
			e.Sink.Upcall(cut(p, limit), key, &a)
			limit = 0
		case odp.Trunc:
			limit = int(min(a.MaxLen, 1<<30))
		case odp.Set:
			set(p, key, &a)
		case odp.PushVLAN:
			packet.PushVLAN(p, key, a.TPID, a.TCI)
		case odp.PopVLAN:
			packet.PopVLAN(p, key)
		case odp.PushMPLS:
			packet.PushMPLS(p, key, a.LSE, a.EthType)
		case odp.PopMPLS:
			packet.PopMPLS(p, key, a.EthType)
		case odp.PushEth:
			packet.PushEth(p, key, a.Src, a.Dst)
		case odp.PopEth:
			packet.PopEth(p, key)
		case odp.Hash:
			key.Set(flow.DPHash, uint64(Hash(key, a)))
		case odp.Recirc:
			if last {
				key.Set(flow.RecircID, uint64(a.ID))
				e.Sink.Recirculate(p, key)
				return nil
			}
			k := *key
			k.Set(flow.RecircID, uint64(a.ID))
			e.Sink.Recirculate(p.Clone(), &k)
		case odp.Meter:
			if !e.Sink.Meter(a.ID, p) {
				return nil
			}
		case odp.Clone:
			if err := e.nested(p, key, a.Actions, last); err != nil {
				return err
			}
		case odp.Sample:
			if e.sampled(a.Probability) {
				if err := e.nested(p, key, a.Actions, last); err != nil {
					return err
				}
			}
		case odp.CheckPktLen:
			branch := a.LessEqual
			if p.MaxLen() > int(a.Len) {
				branch = a.Greater
			}
			if err := e.nested(p, key, branch, last); err != nil {
				return err
			}
		case odp.CT:
			if e.Tracker == nil {
				return fmt.Errorf("%T: %w", a, datapath.ErrUnsupported)
			}
			if !e.Tracker.Track(p, key, &a) {
				return nil
			}
		case odp.CTClear:
			conntrack.Clear(key)
		case odp.Drop:
			e.Sink.Drop(a.Reason)
			return nil
		default:
			return fmt.Errorf("%T: %w", a, datapath.ErrUnsupported)
		}
	}
	return nil
}

// nested runs a list whose changes the actions behind it must not see; with none behind it
// needs no copy.
func (e *Executor) nested(p *packet.Packet, key *flow.Key, actions []odp.Action, last bool) error {
	if len(actions) == 0 {
		return nil
	}
	if last {
		return e.run(p, key, actions)
	}
	k := *key
	return e.run(p.Clone(), &k, actions)
}

func (e *Executor) sampled(probability uint32) bool {
	if probability == 1<<32-1 {
		return true
	}
	if e.Rand != nil {
		return e.Rand() < probability
	}
	return rand.Uint32() < probability
}

// cut is the packet as the next output sees it.
func cut(p *packet.Packet, limit int) *packet.Packet {
	if limit == 0 || len(p.Data) <= max(limit, packet.EthLen) {
		return p
	}
	c := p.Clone()
	c.Truncate(limit)
	return c
}

// set writes fields of one header or of the metadata.
func set(p *packet.Packet, key *flow.Key, s *odp.Set) {
	header := false
	for i, f := range s.Fields {
		switch kindOf(f.Field) {
		case kindTunnel:
			// A tunnel is always written as a whole.
			if i == 0 {
				clearTunnel(key)
				putTunOpts(key, s.TunOpts)
			}
		case kindHeader:
			header = true
		}
		key.SetMasked(f.Field, f.Value, f.Mask)
	}
	if header {
		packet.Commit(p, key)
		packet.Reextract(p.Data, key)
	}
}

type kind uint8

const (
	kindMetadata kind = iota
	kindTunnel
	kindHeader
)

func kindOf(id flow.FieldID) kind {
	switch {
	case id >= flow.TunID && id <= flow.TunMetadata63, id >= flow.TunAllFlags && id <= flow.TunOptsLen:
		return kindTunnel
	case id >= flow.EthSrc && id <= flow.NDOptionsType, id >= flow.MPLSLSE0 && id <= flow.MPLSLSE2:
		return kindHeader
	}
	return kindMetadata
}

// Geneve options are in the key behind their length, which ends at a word.
var (
	tunFrom  = flow.TunID.Info().Off
	tunLen   = flow.TunOptsLen.Info().Off
	tunOpts  = (tunLen/8 + 1) * 8
	tunBytes = flow.DPWords * 8
)

func clearTunnel(key *flow.Key) { clear(key.Bytes()[tunFrom:tunBytes]) }

func putTunOpts(key *flow.Key, opts []byte) {
	n := copy(key.Bytes()[tunOpts:tunBytes], opts[:min(len(opts), 252)])
	key.Bytes()[tunLen] = byte(n)
}

// Supported reports, as an error, the first action that Run cannot do; tracker: it has a Tracker.
func Supported(actions []odp.Action, tracker bool) error {
	for _, a := range actions {
		var lists [2][]odp.Action
		switch a := a.(type) {
		case odp.Output, odp.Userspace, odp.Trunc, odp.Set, odp.PushVLAN, odp.PopVLAN, odp.PushMPLS, odp.PopMPLS,
			odp.PushEth, odp.PopEth, odp.Hash, odp.Recirc, odp.Meter, odp.CTClear, odp.Drop:
		case odp.CT:
			if !tracker {
				return fmt.Errorf("%T: %w", a, datapath.ErrUnsupported)
			}
			if !conntrack.KnowsHelper(a.Helper) {
				return fmt.Errorf("ct(helper=%s): %w", a.Helper, datapath.ErrUnsupported)
			}
		case odp.Clone:
			lists[0] = a.Actions
		case odp.Sample:
			lists[0] = a.Actions
		case odp.CheckPktLen:
			lists = [2][]odp.Action{a.Greater, a.LessEqual}
		default:
			return fmt.Errorf("%T: %w", a, datapath.ErrUnsupported)
		}
		for _, l := range lists {
			if err := Supported(l, tracker); err != nil {
				return err
			}
		}
	}
	return nil
}
