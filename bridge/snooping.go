package bridge

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/bridge/mcast"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// snooping is the multicast snooping of a bridge (ovs-vswitchd.conf.db(5), Bridge, "Multicast Snooping Configuration"). Methods of nil,
// which is off, do nothing.
type snooping struct {
	table *mcast.Table[bundleID]
	// floodUnregistered: what nobody has joined goes everywhere, not only to routers.
	floodUnregistered bool
}

// portSnooping is what a port gets whoever has joined.
type portSnooping struct {
	flood   bool // all multicast but reports
	reports bool // all reports
}

func newPortSnooping(row *ovsdb.Port) portSnooping {
	return portSnooping{
		flood:   row.OtherConfig["mcast-snooping-flood"] == "true",
		reports: row.OtherConfig["mcast-snooping-flood-reports"] == "true",
	}
}

// configureSnooping turns snooping on or off, and sets its limits.
func (b *Bridge) configureSnooping() {
	if !b.row.McastSnoopingEnable {
		b.snooping = nil
		return
	}
	s := snooping{floodUnregistered: b.row.OtherConfig["mcast-snooping-disable-flood-unregistered"] != "true"}
	if b.snooping != nil {
		s.table = b.snooping.table
	} else {
		s.table = mcast.New[bundleID](b.agent.o.Clock)
	}
	s.table.SetIdle(seconds(b.row.OtherConfig["mcast-snooping-aging-time"], int(mcast.DefaultIdle.Seconds())))
	s.table.SetMax(number(b.row.OtherConfig["mcast-snooping-table-size"], mcast.DefaultMax))
	b.snooping = &s // views keep the one that they have
}

func (s *snooping) flush() {
	if s != nil {
		s.table.Flush()
	}
}

func (s *snooping) flushPort(id bundleID) {
	if s != nil {
		s.table.FlushPort(id)
	}
}

// run ages the table, and reports whether anything went.
func (s *snooping) run() bool { return s != nil && s.table.Run() }

// forgetMoved forgets who has joined at ports that are in other VLANs now.
func (b *Bridge) forgetMoved(old, now *view) {
	if old == nil || b.snooping == nil {
		return
	}
	for id, port := range now.byID {
		if was := old.byID[id]; was != nil && !was.vlan.Equal(&port.vlan) {
			b.snooping.flushPort(id)
		}
	}
}

var errNoSnooping = errors.New("multicast snooping is disabled")

// mdbShow answers mdb/show.
func (a *Agent) mdbShow(args []string) (string, error) {
	b, err := a.find(args[0])
	if err != nil {
		return "", err
	}
	if b.snooping == nil {
		return "", errNoSnooping
	}
	var s strings.Builder
	s.WriteString(" port  VLAN  GROUP                Age\n")
	v := b.view.Load()
	for _, e := range b.snooping.table.Entries() {
		port := "?"
		if out := v.byID[e.Port]; out != nil && len(out.members) > 0 {
			port = portText(out.members[0].No)
		}
		group := "querier    "
		if e.Addr.IsValid() {
			group = e.Addr.String()
		}
		fmt.Fprintf(&s, "%5s  %4d  %s         %3d\n", port, e.VLAN, group, int(e.Age.Seconds()))
	}
	return s.String(), nil
}

// mdbFlush answers mdb/flush.
func (a *Agent) mdbFlush(args []string) (string, error) {
	list, err := a.some(args)
	if err != nil {
		return "", err
	}
	for _, b := range list {
		if b.snooping == nil && len(args) > 0 {
			return "", errNoSnooping
		}
		b.snooping.flush()
	}
	a.engine.Kick()
	return "table successfully flushed", nil
}
