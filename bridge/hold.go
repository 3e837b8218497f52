package bridge

import (
	"slices"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

const (
	// holdMax is how long after the start controllers have the time to fill the tables.
	holdMax = 30 * time.Second
	// holdQuiet is how many maintenances without a change tell that the tables are filled.
	holdQuiet = 2
)

// hold keeps megaflows of an earlier run while controllers fill the tables again: with empty tables the traffic of every
// bridge with controllers would stop. So would that of a secure bridge without any, whose flows come over its service socket, as
// ovn-controller's do. It ends when each of these bridges is connected to its controllers if it has some, has flows, and nothing has
// changed for a while, or after holdMax.
type hold struct {
	until    time.Time
	versions map[*Bridge]uint64
	quiet    int
}

// beginHold looks at the first configuration. With flow-restore-wait no flow is looked at before the tables are filled.
func (a *Agent) beginHold(s *ovsdb.Snapshot) {
	n := a.engine.FlowCount()
	if n == 0 || restoring(s) || !slices.ContainsFunc(s.Bridges, filled) {
		return
	}
	a.hold = &hold{until: a.o.Clock.Now().Add(holdMax), versions: map[*Bridge]uint64{}}
	a.engine.HoldAdopted(true)
	a.log.Infof("%d megaflows of an earlier run stay until controllers have set up their flows", n)
}

// filled reports whether a bridge's flows come from elsewhere.
func filled(b *ovsdb.Bridge) bool { return len(b.Controllers) > 0 || b.FailMode == "secure" }

// followHold ends the hold when its time has come.
func (a *Agent) followHold() {
	if a.hold == nil {
		return
	}
	reason := "controllers have set up their flows"
	if a.o.Clock.Now().After(a.hold.until) {
		reason = "controllers have had " + holdMax.String()
	} else if a.hold.step(a.bridges) < holdQuiet {
		return
	}
	a.hold = nil
	a.engine.HoldAdopted(false)
	a.log.Infof("megaflows of an earlier run are revalidated now: %s", reason)
}

// step looks at all bridges whose flows come from elsewhere and returns how often in a row nothing has changed.
func (h *hold) step(bridges map[string]*Bridge) int {
	h.quiet++
	for _, b := range bridges {
		if !filled(b.row) {
			continue
		}
		connected := len(b.row.Controllers) == 0 || slices.ContainsFunc(b.sw.Status(), func(c ofctrl.ControllerStatus) bool { return c.Connected })
		v := b.tablesVersion()
		if !connected || v != h.versions[b] || b.ruleCount() == 0 {
			h.quiet = 0
		}
		h.versions[b] = v
	}
	return h.quiet
}

// tablesVersion changes with every change of the bridge's flow tables.
func (b *Bridge) tablesVersion() uint64 {
	b.agent.mu.RLock()
	defer b.agent.mu.RUnlock()
	var sum uint64
	for id := range table.Visible {
		sum += b.tables.Version(uint8(id)).Version()
	}
	return sum
}
