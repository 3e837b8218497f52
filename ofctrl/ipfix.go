package ofctrl

import (
	"context"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// ipfixStats tells the counters of the bridge's IPFIX exporters.
func (c *conn) ipfixStats(ctx context.Context, xid uint32, req *openflow.IPFIXRequest) error {
	var list []openflow.IPFIXStats
	if c.sw.o.IPFIX != nil {
		list = c.sw.o.IPFIX(req.Flow)
	}
	if len(list) == 0 {
		return fmt.Errorf("statistics of IPFIX: %w", openflow.NXNotConfigured)
	}
	return parts(ctx, c, xid, list, func(s []openflow.IPFIXStats) openflow.MultipartBody {
		return &openflow.IPFIXReply{Flow: req.Flow, Stats: s}
	})
}
