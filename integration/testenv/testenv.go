// Package testenv makes the surroundings of an integration test: network namespaces with hosts
// in them, one ovs-bpfd with its own run directory, and the stock OVS tools pointed at it. All names are
// unique, so that tests run in parallel with others; everything is removed at the end.
package testenv

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Env is one switch in a network namespace of its own.
type Env struct {
	*Daemon
	hosts int
}

// New makes an Env and starts the agent with the embedded database.
func New(t testing.TB, args ...string) *Env {
	t.Helper()
	e := Prepare(t, args...)
	e.Start()
	return e
}

// Prepare makes an Env without starting the agent.
func Prepare(t testing.TB, args ...string) *Env {
	t.Helper()
	e := &Env{Daemon: newDaemon(t, args)}
	e.NS = e.ID + "-sw"
	e.addNS(e.NS)
	e.endWithTest()
	return e
}

// Beside makes another Env in the namespace of e without starting its agent.
func Beside(t testing.TB, e *Env) *Env {
	t.Helper()
	other := &Env{Daemon: newDaemon(t, nil)}
	other.NS = e.NS
	other.endWithTest()
	return other
}

func (e *Env) addNS(ns string) {
	e.t.Helper()
	e.Run("ip", "netns", "add", ns)
	e.t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	e.In(ns, "ip", "link", "set", "lo", "up")
}

// In runs a command that must succeed in a namespace.
func (e *Env) In(ns, name string, args ...string) string {
	e.t.Helper()
	return e.Run("nsenter", append([]string{"--net=/run/netns/" + ns, name}, args...)...)
}

// Host is a namespace with one interface eth0 whose peer is a port of the switch's namespace.
type Host struct {
	Env  *Env
	NS   string
	Port string // device in the switch's namespace
}

// AddHost makes a host; addrs are added to eth0. The port is not added to any bridge.
func (e *Env) AddHost(addrs ...string) *Host {
	e.t.Helper()
	e.hosts++
	h := &Host{Env: e, NS: fmt.Sprintf("%s-h%d", e.ID, e.hosts), Port: "p" + strconv.Itoa(e.hosts)}
	e.addNS(h.NS)
	e.Run("ip", "link", "add", h.Port, "netns", e.NS, "type", "veth", "peer", "name", "eth0", "netns", h.NS)
	e.In(e.NS, "ip", "link", "set", h.Port, "up")
	h.Run("ip", "link", "set", "eth0", "up")
	for _, a := range addrs {
		h.Run("ip", "addr", "add", a, "dev", "eth0", "nodad")
	}
	return h
}

// Run runs a command on the host.
func (h *Host) Run(name string, args ...string) string {
	h.Env.t.Helper()
	return h.Env.In(h.NS, name, args...)
}

// Background starts a command on the host.
func (h *Host) Background(name string, args ...string) func() string {
	h.Env.t.Helper()
	return h.Env.Background(h.NS, name, args...)
}

// MAC is the address of eth0.
func (h *Host) MAC() string {
	h.Env.t.Helper()
	return h.Env.Link(h.NS, "eth0").Address
}

// Link is what "ip link" says of a device.
type Link struct {
	Index     int    `json:"ifindex"`
	Name      string `json:"ifname"`
	Address   string `json:"address"`
	MTU       int    `json:"mtu"`
	Flags     []string
	Promisc   int `json:"promiscuity"`
	OperState string
}

// Links are the devices of a namespace by name. (/sys/class/net would show those of the test process.)
func (e *Env) Links(ns string) map[string]Link {
	e.t.Helper()
	var list []Link
	if err := json.Unmarshal([]byte(e.In(ns, "ip", "-d", "-j", "link", "show")), &list); err != nil {
		e.t.Fatal(err)
	}
	m := map[string]Link{}
	for _, l := range list {
		m[l.Name] = l
	}
	return m
}

// Link is one device, which must exist.
func (e *Env) Link(ns, name string) Link {
	e.t.Helper()
	l, ok := e.Links(ns)[name]
	if !ok {
		e.t.Fatalf("no device %s in %s", name, ns)
	}
	return l
}

// Ping sends n packets of size bytes (payload) and wants every answer.
func (h *Host) Ping(dst string, size, n int) {
	h.Env.t.Helper()
	out := h.Run("ping", "-n", "-c", strconv.Itoa(n), "-i", "0.05", "-W", "3", "-s", strconv.Itoa(size), dst)
	if !strings.Contains(out, " 0% packet loss") {
		h.Env.t.Fatalf("ping %s: %s", dst, out)
	}
}

// Reach waits until the first ping is answered.
func (h *Host) Reach(dst string) {
	h.Env.t.Helper()
	h.Env.Eventually("ping "+dst, func() error {
		_, err := h.Env.try("nsenter", "--net=/run/netns/"+h.NS, "ping", "-n", "-c", "1", "-W", "1", dst)
		return err
	})
}

// NoReach wants that no ping is answered.
func (h *Host) NoReach(dst string) {
	h.Env.t.Helper()
	if out, code := h.Env.Try("nsenter", "--net=/run/netns/"+h.NS, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", dst); code == 0 {
		h.Env.t.Fatalf("ping %s was answered: %s", dst, out)
	}
}
