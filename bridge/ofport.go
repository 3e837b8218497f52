package bridge

import "github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"

// maxOFPort is the highest number that a port other than LOCAL gets (ovs-vswitchd.conf.db(5),
// Interface ofport_request).
const maxOFPort = 65279

// ofports hands out OpenFlow port numbers of one bridge. Numbers of ports that went away are
// reused as late as possible, because flows and controllers may still mean the old port.
type ofports struct {
	used map[openflow.PortNo]string // number -> interface name
	last openflow.PortNo
}

func newOFPorts() *ofports {
	return &ofports{used: map[openflow.PortNo]string{openflow.PortLocal: ""}}
}

// claim takes number n for an interface, if it is valid and free or already its own.
func (o *ofports) claim(n openflow.PortNo, name string) bool {
	if n < 1 || n > maxOFPort {
		return false
	}
	if owner, ok := o.used[n]; ok {
		return owner == name
	}
	o.used[n] = name
	return true
}

// allocate takes the next free number; false when there is none.
func (o *ofports) allocate(name string) (openflow.PortNo, bool) {
	for range maxOFPort {
		o.last++
		if o.last > maxOFPort {
			o.last = 1
		}
		if _, taken := o.used[o.last]; !taken {
			o.used[o.last] = name
			return o.last, true
		}
	}
	return 0, false
}

// release gives a number back.
func (o *ofports) release(n openflow.PortNo) {
	if n != openflow.PortLocal {
		delete(o.used, n)
	}
}
