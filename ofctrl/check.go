package ofctrl

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// maxPorts bounds port numbers: OpenFlow 1.0's, so that all versions can say all ports.
const maxPorts openflow.PortNo = 0xff00

// checkActions refuses what the codec cannot know to be wrong: ports that cannot be. Groups and meters are the tables'
// to check.
func checkActions(actions []openflow.Action) error {
	for _, a := range actions {
		var err error
		switch a := a.(type) {
		case openflow.Output:
			err = checkPort(a.Port)
		case openflow.OutputTrunc:
			err = checkPort(a.Port)
		case openflow.Enqueue:
			err = checkPort(a.Port)
		case openflow.Encap:
			if a.Type != 0 {
				err = fmt.Errorf("encap of packet type 0x%08x: %w", a.Type, openflow.NXActionBadHeaderType)
			}
		case openflow.DecNSHTTL:
			err = fmt.Errorf("dec_nsh_ttl: %w", openflow.ActionBadType)
		case openflow.WriteActions:
			err = checkActions(a.Actions)
		case openflow.Clone:
			err = checkActions(a.Actions)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkPort refuses what is neither a port number nor a reserved port that packets can go to.
func checkPort(p openflow.PortNo) error {
	if p < maxPorts || p >= openflow.PortInPort && p <= openflow.PortLocal {
		return nil
	}
	return fmt.Errorf("output to port %d: %w", p, openflow.ActionBadOutPort)
}
