package bridge

import (
	"strings"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// restoreReminder is how often the log says that flow-restore-wait is still set: whoever set it may have died, and the
// switch does little without being told.
const restoreReminder = time.Minute

// restore is the state of other_config:flow-restore-wait (ovs-vswitchd.conf.db(5)): while it is set, what the datapath
// forwards stays as it is, no packet is taken from it, nothing expires, and no controller is connected, so that ovs-ctl
// can restore the OpenFlow tables first.
type restore struct {
	since time.Time // zero: it is not set
	told  time.Time
}

// restoring reports whether the snapshot has flow-restore-wait set.
func restoring(s *ovsdb.Snapshot) bool {
	return strings.EqualFold(s.OtherConfig["flow-restore-wait"], "true")
}

// followRestore logs that the wait begins or ends.
func (a *Agent) followRestore(waiting bool) {
	now := a.o.Clock.Now()
	switch {
	case waiting && a.restore.since.IsZero():
		a.restore = restore{since: now, told: now}
		a.log.Infof("flow-restore-wait is set: until the flows are restored, controllers wait and packets without megaflow are dropped; "+
			"%d megaflows of an earlier run go on forwarding", a.engine.FlowCount())
	case !waiting && !a.restore.since.IsZero():
		a.log.Infof("flow-restore-wait has been removed after %v: normal work begins", now.Sub(a.restore.since).Round(time.Millisecond))
		a.restore = restore{}
	}
}

// remindOfRestore warns of a wait that lasts for long.
func (a *Agent) remindOfRestore() {
	now := a.o.Clock.Now()
	if a.restore.since.IsZero() || now.Sub(a.restore.told) < restoreReminder {
		return
	}
	a.restore.told = now
	a.log.Warnf("flow-restore-wait has been set for %v: no controller is connected and packets without megaflow are dropped "+
		"(\"ovs-vsctl remove Open_vSwitch . other_config flow-restore-wait\" ends it)", now.Sub(a.restore.since).Round(time.Second))
}
