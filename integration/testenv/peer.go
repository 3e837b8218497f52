package testenv

// Peer makes another switch in a network namespace of its own, for devices between it and e: one of ours, or the stock daemon with
// its userspace datapath (datapath_type=netdev).
func (e *Env) Peer(stock bool) *Env {
	e.t.Helper()
	if !stock {
		return New(e.t)
	}
	p := &Env{Daemon: newDaemon(e.t, nil)}
	p.IsStock = true
	p.NS = p.ID + "-sw"
	p.addNS(p.NS)
	p.endWithTest()
	p.ExternalDatabase()
	p.launch("ovs-vswitchd", []string{"--disable-system", "--disable-system-route", "--no-chdir", "--pidfile", "--log-file", "-vconsole:off"})
	return p
}
