package bridge

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ovs-bpf/ovs-bpf/bridge/mac"
	"github.com/ovs-bpf/ovs-bpf/internal/tlsfiles"
	"github.com/ovs-bpf/ovs-bpf/ofctrl"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// newBridge makes a bridge without ports. Its OpenFlow switch serves as soon as it is configured: what a controller
// said before would be flushed by the fail mode.
func (a *Agent) newBridge(row *ovsdb.Bridge) *Bridge {
	b := &Bridge{
		agent: a, name: row.Name, uuid: uuid.New(), log: a.log, row: row,
		ports: map[string]*port{}, ifaces: map[string]*iface{}, numbers: newOFPorts(),
		macs:   mac.New[bundleID](a.o.Clock),
		tables: table.New(table.Options{Clock: a.o.Clock, Mu: &a.mu}),
		warned: map[string]string{},
	}
	b.configs.bits = map[openflow.PortNo]uint32{}
	b.view.Store(&view{})
	b.exporters.Store(&exporters{})
	b.sw = ofctrl.New(ofctrl.Options{
		Bridge: b.name, RunDir: a.o.RunDir, Mu: &a.mu, Tables: b.tables, Meters: a.meters, Conntrack: a.conns, Host: b, Log: a.o.Log("rconn"), Clock: a.o.Clock,
		TLS: func() tlsfiles.Files { return *a.tls.Load() }, AnySocketPath: a.o.AnyControllerPath, Count: a.count, Changed: a.statusChanged, Features: a.translator.Features, IPFIX: b.ipfixStats,
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(a.ctx))
	b.ctx = ctx
	finished := make(chan struct{})
	b.serve = sync.OnceFunc(func() {
		go func() {
			defer close(finished)
			if err := b.sw.Run(ctx); err != nil {
				b.log.Errorf("bridge %s: OpenFlow: %v", b.name, err)
			}
		}()
		<-b.sw.Listening() // who hears that the bridge is there connects at once
	})
	a.byUUID.Store([16]byte(b.uuid), b)
	b.stop = func() {
		a.byUUID.Delete([16]byte(b.uuid))
		cancel()
		b.serve() // it ends at once when it has not begun
		<-finished
	}
	b.log.Infof("bridge %s: created", b.name)
	return b
}

// destroy removes a bridge with everything that it made.
func (b *Bridge) destroy() {
	for _, i := range b.sortedIfaces() {
		i.remove()
	}
	b.ifaces = map[string]*iface{}
	b.halt(false)
	b.sw.DeleteMeters() // the datapath's are for all bridges
	b.log.Infof("bridge %s: deleted", b.name)
}

// halt stops the bridge's OpenFlow switch; with cleanup its devices and datapath ports are removed, otherwise
// they stay for the next run.
func (b *Bridge) halt(cleanup bool) {
	if cleanup {
		for _, i := range b.sortedIfaces() {
			i.remove()
		}
	}
	b.stop()
	b.closeSampling()
}

// failMode is Bridge.fail_mode with its default.
func (b *Bridge) failMode() string {
	if b.row.FailMode == "secure" {
		return "secure"
	}
	return "standalone"
}

// versions are the values of Bridge.protocols.
var versions = map[string]openflow.Version{
	"OpenFlow10": openflow.V10, "OpenFlow11": openflow.V11, "OpenFlow12": openflow.V12,
	"OpenFlow13": openflow.V13, "OpenFlow14": openflow.V14, "OpenFlow15": openflow.V15,
}

// protocols is the bitmap of versions that a bridge may speak: all by default.
func protocols(names []string) uint32 {
	var bits uint32
	for _, n := range names {
		if v, ok := versions[n]; ok {
			bits |= 1 << v
		}
	}
	if bits == 0 {
		for _, v := range versions {
			bits |= 1 << v
		}
	}
	return bits
}

// configureSwitch gives the OpenFlow switch its part of the configuration.
func (b *Bridge) configureSwitch(s *ovsdb.Snapshot) {
	defer b.serve()
	b.sw.SetProtocols(protocols(b.row.Protocols))
	b.sw.SetFailMode(b.failMode() == "secure")
	b.sw.SetDescription(b.row.OtherConfig["dp-desc"], b.row.OtherConfig["dp-sn"])
	b.configureTables()
	keep := map[openflow.PortNo]bool{}
	for _, i := range b.ifaces {
		keep[i.ofport] = true
	}
	b.configs.forget(keep)
	if restoring(s) {
		// Controllers are held back until the flows have been restored.
		b.sw.Restoring(true)
		b.sw.SetControllers(nil)
		return
	}
	var list []ofctrl.ControllerConfig
	for _, c := range b.row.Controllers {
		list = append(list, b.controller(c))
	}
	b.sw.SetControllers(list)
	b.sw.Restoring(false)
}

// controller is a Controller row for the OpenFlow switch.
func (b *Bridge) controller(c *ovsdb.Controller) ofctrl.ControllerConfig {
	milliseconds := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	number := func(p *int) int {
		if p == nil {
			return 0
		}
		return *p
	}
	cc := ofctrl.ControllerConfig{
		Target: b.target(c.Target), MaxBackoff: milliseconds(number(c.MaxBackoff)),
		NoAsync:   c.EnableAsyncMessages != nil && !*c.EnableAsyncMessages,
		QueueSize: number(c.ControllerQueueSize), RateLimit: number(c.ControllerRateLimit), Burst: number(c.ControllerBurstLimit),
	}
	if cc.QueueSize == 0 {
		cc.QueueSize, _ = strconv.Atoi(b.row.OtherConfig["controller-queue-size"])
	}
	if c.InactivityProbe != nil {
		cc.InactivityProbe = new(milliseconds(*c.InactivityProbe))
	}
	if c.Type != "" {
		cc.Service = new(c.Type == "service")
	}
	if n, err := strconv.ParseUint(c.OtherConfig["dscp"], 10, 8); err == nil && n < 64 {
		cc.DSCP = new(uint8(n))
	}
	return cc
}

// target makes a relative unix socket name one in the run directory.
func (b *Bridge) target(t string) string {
	for _, scheme := range []string{"unix:", "punix:"} {
		if path, ok := strings.CutPrefix(t, scheme); ok && !filepath.IsAbs(path) {
			return scheme + filepath.Join(b.agent.o.RunDir, path)
		}
	}
	return t
}

// controllerStatus adds the state of a bridge's controllers.
func (b *Bridge) controllerStatus(st *ovsdb.Status) {
	byTarget := map[string]ofctrl.ControllerStatus{}
	for _, c := range b.sw.Status() {
		byTarget[c.Target] = c
	}
	for _, row := range b.row.Controllers {
		c, ok := byTarget[b.target(row.Target)]
		if !ok {
			continue
		}
		st.Controllers[row.UUID] = ovsdb.ControllerStatus{IsConnected: c.Connected, Role: c.Role, Status: c.Status}
	}
}

// statusChanged asks for the status to be written soon: a controller came or went, or the way of a tunnel changed.
func (a *Agent) statusChanged() {
	select {
	case a.dirty <- struct{}{}:
	default:
	}
}

// Memory adds the amounts of memory/show.
func (a *Agent) Memory(add func(name string, n uint64)) {
	a.do(a.ctx, func() {
		ports, rules := 0, 0
		for _, b := range a.bridges {
			ports += len(b.ifaces)
			rules += b.allRules()
		}
		add("ports", uint64(ports))
		add("rules", uint64(rules))
	})
	add("udpif keys", uint64(a.engine.FlowCount()))
	if a.meters != nil {
		add("meters", uint64(a.meters.Len()))
	}
}

// tlsFiles are the files of TLS connections: those of the SSL row when there is one, else of the command line.
func (a *Agent) tlsFiles(s *ovsdb.Snapshot) *tlsfiles.Files {
	f := a.o.TLS
	if r := s.SSL; r != nil {
		f.PrivateKey, f.Certificate, f.CACert, f.Bootstrap = r.PrivateKey, r.Certificate, r.CACert, r.BootstrapCACert
	}
	return &f
}
