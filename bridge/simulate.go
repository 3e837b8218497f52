package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

var errEnding = errors.New("the daemon is ending")

// Renumber gives a device's datapath port another number, for dpif-dummy/change-port-number.
func (a *Agent) Renumber(ctx context.Context, device string, no odp.Port) error {
	err := errEnding
	a.do(ctx, func() { err = a.renumber(device, no) })
	return err
}

func (a *Agent) renumber(device string, no odp.Port) error {
	i := a.ifaceByName(device)
	if i == nil || i.odp == odp.PortNone {
		return fmt.Errorf("no interface %s in the datapath", device)
	}
	old := i.odp
	i.releaseDatapath()
	got, err := a.o.Datapath.PortAdd(i.portSpec(i.info, no))
	if err != nil {
		var again error
		if got, again = a.o.Datapath.PortAdd(i.portSpec(i.info, old)); again != nil {
			i.vanished()
			return errors.Join(err, again)
		}
	}
	i.odp = got
	a.publish()
	a.engine.Kick()
	return err
}

// Settle does now what timers that are due would have done soon: it credits statistics, expires flows and MACs, and
// has the megaflows follow. For time/warp: when it answers, its step has had its effect.
func (a *Agent) Settle(ctx context.Context) {
	a.monitor.runDue()
	serving := false
	if !a.do(ctx, func() { serving = a.serving }) || !serving || a.engine.Revalidate(ctx) != nil {
		return
	}
	if a.do(ctx, func() {
		a.followLiveness()
		for _, b := range a.bridges {
			b.sw.Expire()
			b.macs.Run()
		}
	}) {
		_ = a.engine.Revalidate(ctx) // fails only when the daemon or the client goes
	}
}
