package ofctrl

import (
	"context"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// What a switch without queues and tunnel options answers to those who ask for
// them: what it could hold, and that there is nothing. Tools and ovn-controller ask as a matter
// of course.

const ()

// actionTypes are the OpenFlow 1.1+ actions of the switch, a bitmap of 1<<type: output,
// set_mpls_ttl and dec, push and pop VLAN and MPLS, set_queue, group, set and dec IP TTL, set_field.
const actionTypes = 1<<0 | 1<<15 | 1<<16 | 1<<17 | 1<<18 | 1<<19 | 1<<20 | 1<<21 | 1<<22 | 1<<23 | 1<<24 | 1<<25

// actionTypes10 and actionTypes11 are those of OpenFlow 1.0 (all of them) and 1.1, which have no set_field but an action for each
// field: VLAN, Ethernet, IP, ports and from 1.1 on MPLS label and traffic class.
const (
	actionTypes10 = 1<<12 - 1
	actionTypes11 = actionTypes&^(1<<25) | (1<<11 - 1) | 1<<13 | 1<<14
)

// none answers a multipart request for what the switch has none of.
func (c *conn) none(ctx context.Context, xid uint32, m openflow.MultipartBody) error {
	switch m := m.(type) {
	case *openflow.RawMultipart:
		if m.Type == mpVendor {
			return openflow.BadExperimenter
		}
	}
	return openflow.BadMultipart
}

// mpVendor is the multipart type of experimenters.
const mpVendor = 0xffff

// unsupported is the error for a message that is well-formed and not done yet.
func unsupported(v openflow.Version, m openflow.Message) error {
	switch m := m.(type) {
	case *openflow.CTFlush:
		return openflow.BadExperimenterType
	case *openflow.Raw:
		if m.Vendor != 0 {
			return openflow.BadExperimenterType
		}
	}
	return openflow.BadType
}
