package bridge

import (
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// traffic counts what one direction of a patch port carries. There is no device that would: translations credit it,
// as they do rules.
type traffic struct{ packets, bytes atomic.Uint64 }

var _ datapath.Credit = (*traffic)(nil)

// Credit implements datapath.Credit.
func (t *traffic) Credit(packets, bytes uint64, _ time.Time, _ uint16) {
	t.packets.Add(packets)
	t.bytes.Add(bytes)
}
