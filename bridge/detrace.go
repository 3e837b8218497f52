package bridge

import (
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// ofprotoDetrace answers ofproto/detrace: the OpenFlow flows and groups that a datapath flow comes from, in the order in
// which its translation uses them.
func (a *Agent) ofprotoDetrace(args []string) (string, error) {
	id, err := odp.ParseUFID(args[0])
	if err != nil {
		return "", fmt.Errorf("failed to parse ufid: %w", err)
	}
	if len(args) > 1 && !strings.HasPrefix(args[1], "pmd=") {
		return "", fmt.Errorf("%s: only pmd=PMD-ID may follow the UFID", args[1])
	}
	uses, ok := a.engine.Uses(id)
	if !ok {
		return "", fmt.Errorf("%s: no such flow in the datapath", odp.FormatUFID(id))
	}
	var s strings.Builder
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, u := range uses {
		switch u := u.(type) {
		case *table.Rule:
			m := u.Match()
			fmt.Fprintf(&s, "cookie=%#x, table=%d ", u.Cookie, u.Table)
			if u.Priority != defaultPriority {
				fmt.Fprintf(&s, "priority=%d,", u.Priority)
			}
			if text := openflow.FormatMatch(&m, nil); text != "" {
				s.WriteString(text + ",")
			}
			fmt.Fprintf(&s, "actions=%s\n", openflow.FormatActions(u.Actions, nil))
		case *table.Group:
			fmt.Fprintf(&s, "group_id=%d", u.ID)
			for _, b := range u.Buckets {
				fmt.Fprintf(&s, ",bucket=bucket_id:%d,actions=%s", b.ID, openflow.FormatActions(b.Actions, nil))
			}
			s.WriteString("\n")
		}
	}
	return s.String(), nil
}
