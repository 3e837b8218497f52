package datapath

import "fmt"

// limitCommands set zone limits; by name, with the command of ovs-vsctl that does the same in the database.
var limitCommands = map[string]string{"dpctl/ct-set-limits": "set-zone-limit", "dpctl/ct-del-limits": "del-zone-limit"}

// HoldZoneLimits says whether conntrack zone limits come from the database: then no command changes them.
func (e *Engine) HoldZoneLimits(on bool) { e.zoneLimits.Store(on) }

// limitsHeld is the error of a command that would change what the database says.
func (e *Engine) limitsHeld(command string) error {
	if instead := limitCommands[command]; instead != "" && e.zoneLimits.Load() {
		return fmt.Errorf("ovs-vswitchd: the zone limits are set via database, use 'ovs-vsctl %s <...>' instead. (Operation not permitted)", instead)
	}
	return nil
}
