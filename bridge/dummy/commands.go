package dummy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Registrar takes commands; *unixctl.Server is one.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, h func(ctx context.Context, args []string, reply func(text string, err error)))
}

// Bridges are what stands on the datapath; *bridge.Agent is one.
type Bridges interface {
	// Renumber gives the device's datapath port another number.
	Renumber(ctx context.Context, device string, no odp.Port) error
	// Settle does now what timers that are due would have done soon.
	Settle(ctx context.Context)
}

// Errors in OVS's words.
var (
	errNoDevice  = errors.New("no such dummy netdev")
	errUnknown   = errors.New("Unknown Dummy Interface") //lint:ignore ST1005 OVS's words
	errState     = errors.New("Invalid Admin State")     //lint:ignore ST1005 OVS's words
	errQueue     = errors.New("bad rx queue id.")        //lint:ignore ST1005 OVS's words
	errDatapath  = errors.New("unknown datapath or not a dummy")
	errPort      = errors.New("unknown port")
	errNumber    = errors.New("bad port number")
	errPortInUse = errors.New("port number already in use")
)

// RegisterCommands adds netdev-dummy/* and dpif-dummy/*.
func (d *Datapath) RegisterCommands(r Registrar, b Bridges) {
	sync := func(f func(ctx context.Context, args []string) (string, error)) func(context.Context, []string, func(string, error)) {
		return func(ctx context.Context, args []string, reply func(string, error)) { reply(f(ctx, args)) }
	}
	r.Register("netdev-dummy/receive", "name [--qid queue_id] packet|flow [--len packet_len]", 2, 1<<16, sync(d.receiveFrames))
	r.Register("netdev-dummy/set-admin-state", "[netdev] up|down", 1, 2, sync(d.setAdminState))
	r.Register("netdev-dummy/conn-state", "[netdev]", 0, 1, sync(d.connState))
	r.Register("netdev-dummy/ip4addr", "[netdev] ipaddr/mask-prefix-len", 2, 2, sync(d.addAddr4))
	r.Register("netdev-dummy/ip6addr", "[netdev] ip6addr", 2, 2, sync(d.addAddr6))
	r.Register("dpif-dummy/change-port-number", "dp port new-number", 3, 3, sync(func(ctx context.Context, args []string) (string, error) {
		return "", d.changePortNumber(ctx, b, args)
	}))
}

// receiveFrames has frames arrive at a device, one after the other, each handled to the end. The port of a tunnel has no
// device: frames arrive there as if they had been decapsulated, with the tunnel that the flow says.
func (d *Datapath) receiveFrames(_ context.Context, args []string) (string, error) {
	arrive, ok := d.arrivals(args[0])
	if !ok {
		return "", errNoDevice
	}
	args = args[1:]
	if args[0] == "--qid" {
		if len(args) < 2 {
			return "", errQueue
		}
		if n, err := strconv.Atoi(args[1]); err != nil || n != 0 {
			return "", errQueue // a device has one queue
		}
		args = args[2:]
	}
	for len(args) > 0 {
		text, size := args[0], 0
		args = args[1:]
		if len(args) >= 2 && args[0] == "--len" {
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 1 || n > maxFrame {
				return "", fmt.Errorf("--len %s: a frame has 1 to %d octets", args[1], maxFrame)
			}
			size, args = n, args[2:]
		}
		frame, key, err := parseFrame(text, size, d.portByName)
		if err != nil {
			return "", err
		}
		if err := arrive(frame, key); err != nil {
			return "", err
		}
	}
	return "", nil
}

// arrivals is what has frames arrive at a device or the port of a tunnel.
func (d *Datapath) arrivals(name string) (func(frame []byte, key *flow.Key) error, bool) {
	if dev, ok := d.devices.Device(name); ok {
		return func(frame []byte, key *flow.Key) error { return d.arrive(dev, frame, key) }, true
	}
	ports, _ := d.Ports() // of a soft datapath it never fails
	for _, p := range ports {
		if p.Name == name && p.Kind == datapath.PortTunnel {
			return func(frame []byte, key *flow.Key) error { return d.receive(p.Number, frame, key) }, true
		}
	}
	return nil, false
}

// arrive has a device receive a frame with metadata.
func (d *Datapath) arrive(dev *netdev.SimDevice, frame []byte, key *flow.Key) error {
	var failed error
	err := dev.ReceiveBy(frame, func(frame []byte) {
		if no, ok := d.portByName(dev.Name()); ok {
			failed = d.receive(no, frame, key)
		}
	})
	return errors.Join(err, failed)
}

func (d *Datapath) setAdminState(_ context.Context, args []string) (string, error) {
	var up bool
	switch args[len(args)-1] {
	case "up":
		up = true
	case "down":
	default:
		return "", errState
	}
	list := d.devices.Devices()
	if len(args) > 1 {
		dev, ok := d.devices.Device(args[0])
		if !ok {
			return "", errUnknown
		}
		list = []*netdev.SimDevice{dev}
	}
	for _, dev := range list {
		if err := dev.SetUp(up); err != nil {
			return "", err
		}
	}
	return "OK", nil
}

// connState shows the connections that options:stream makes.
func (d *Datapath) connState(_ context.Context, args []string) (string, error) {
	if len(args) > 0 {
		state := "unknown"
		if dev, ok := d.devices.Device(args[0]); ok {
			state = dev.ConnState()
		}
		return fmt.Sprintf("%s: %s\n", args[0], state), nil
	}
	var s strings.Builder
	for _, dev := range d.devices.Devices() {
		if state := dev.ConnState(); state != "unknown" {
			fmt.Fprintf(&s, "%s: %s\n", dev.Name(), state)
		}
	}
	return s.String(), nil
}

func (d *Datapath) addAddr4(_ context.Context, args []string) (string, error) {
	return d.addAddr(args, "invalid IP address", netip.Addr.Is4)
}

func (d *Datapath) addAddr6(_ context.Context, args []string) (string, error) {
	return d.addAddr(args, "invalid IPv6 address", netip.Addr.Is6)
}

func (d *Datapath) addAddr(args []string, invalid string, right func(netip.Addr) bool) (string, error) {
	dev, ok := d.devices.Device(args[0])
	if !ok {
		return "", errUnknown
	}
	text := args[1]
	if a, err := netip.ParseAddr(text); err == nil {
		text = netip.PrefixFrom(a, a.BitLen()).String() // a host's
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || !right(p.Addr()) {
		return "", fmt.Errorf("%s: %s", args[1], invalid)
	}
	dev.AddAddr(p)
	return "OK", nil
}

func (d *Datapath) changePortNumber(ctx context.Context, b Bridges, args []string) error {
	if args[0] != Name {
		return errDatapath
	}
	if _, ok := d.portByName(args[1]); !ok || args[1] == Name {
		return errPort
	}
	n, err := strconv.ParseUint(args[2], 0, 16)
	if err != nil || n == 0 {
		return errNumber
	}
	if _, taken := d.portName(odp.Port(n)); taken {
		return errPortInUse
	}
	return b.Renumber(ctx, args[1], odp.Port(n))
}
