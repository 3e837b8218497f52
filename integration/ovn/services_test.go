package ovn

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// What ovn-controller answers in the place of servers: packets pause in the switch, and resume as answers.
func TestServices(t *testing.T) {
	onOneAndTwo(t, services)
}

func services(w *network) {
	w.NB("ls-add", "ls1", "--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11 fd01::11",
		"--", "lsp-add", "ls1", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:01:00:02 10.1.0.12 fd01::12",
		"--", "lr-add", "lr0", "--", "lrp-add", "lr0", "lr0-ls1", "02:00:00:00:00:01", "10.1.0.1/24", "fd01::1/64",
		"--", "lsp-add", "ls1", "ls1-lr0", "--", "lsp-set-type", "ls1-lr0", "router", "--", "lsp-set-addresses", "ls1-lr0", "router",
		"--", "lsp-set-options", "ls1-lr0", "router-port=lr0-ls1")
	w.NB("lsp-add", "ls1", "p3", "--", "lsp-set-addresses", "p3", "02:00:00:01:00:03 10.1.0.13",
		"--", "set", "logical_switch", "ls1", "other_config:mcast_snoop=true", "other_config:mcast_querier=false")
	options := w.NB("create", "dhcp_options", "cidr=10.1.0.0/24", "options:server_id=10.1.0.1", "options:server_mac=02:00:00:00:00:01",
		"options:lease_time=3600", "options:router=10.1.0.1", "options:mtu=1400")
	w.NB("lsp-set-dhcpv4-options", "p1", options)
	w.NB("lsp-set-dhcpv6-options", "p1", w.NB("create", "dhcp_options", `cidr="fd01::/64"`, `options:server_id="02:00:00:00:00:01"`))
	w.NB("add", "logical_switch", "ls1", "dns_records", w.NB("create", "dns", "records:vm2.ovn.test=10.1.0.12 fd01::12"))
	w.NB("set", "logical_router_port", "lr0-ls1", "ipv6_ra_configs:address_mode=slaac", "ipv6_ra_configs:mtu=1400")
	h1 := w.vm("p1", "02:00:00:01:00:01", "", "", "", "")
	h2 := w.vm("p2", "02:00:00:01:00:02", "10.1.0.12/24", "", "", "")
	w.installed(h1, h2)

	dhcp(w, h1)
	dhcp6(w, h1)
	h1.Run("ip", "addr", "add", "10.1.0.11/24", "dev", "eth0")
	h1.Run("ip", "route", "add", "default", "via", "10.1.0.1")
	w.reach("with the address of DHCP", h1.Host, h2.ip4)
	dns(w, h1.Host)
	advertised(w, h1)
	h3 := w.vm("p3", "02:00:00:01:00:03", "10.1.0.13/24", "", "", "")
	w.installed(h3)
	snooped(w, h1, h2, h3, "239.1.2.3")
	snooped(w, h1, h2, h3, "ff15::123")
}

// dhcp wants an offer and an acknowledgement, as the options say.
func dhcp(w *network, h *vm) {
	w.t.Helper()
	x := listen(w.t, h.Host)
	for _, step := range []struct{ ask, answer layers.DHCPMsgType }{
		{layers.DHCPMsgTypeDiscover, layers.DHCPMsgTypeOffer}, {layers.DHCPMsgTypeRequest, layers.DHCPMsgTypeAck},
	} {
		ask := &layers.DHCPv4{Operation: layers.DHCPOpRequest, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: 0x1234, ClientHWAddr: mac(h.mac),
			Options: layers.DHCPOptions{
				layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(step.ask)}),
				layers.NewDHCPOption(layers.DHCPOptParamsRequest, []byte{byte(layers.DHCPOptRouter), byte(layers.DHCPOptInterfaceMTU)}),
			}}
		if step.ask == layers.DHCPMsgTypeRequest {
			ask.Options = append(ask.Options, layers.NewDHCPOption(layers.DHCPOptRequestIP, []byte{10, 1, 0, 11}))
		}
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ask); err != nil {
			w.t.Fatal(err)
		}
		x.send(datagram(h.mac, broadcast, "0.0.0.0", "255.255.255.255", 68, 67, b.Bytes())...)
		p := x.find(func(p gopacket.Packet) bool { return p.Layer(layers.LayerTypeDHCPv4) != nil })
		if p == nil {
			w.t.Errorf("no answer to DHCP %s", step.ask)
			return
		}
		answer := p.Layer(layers.LayerTypeDHCPv4).(*layers.DHCPv4)
		got := map[string]string{
			"address": answer.YourClientIP.String(),
			"from":    p.NetworkLayer().NetworkFlow().Src().String() + " " + p.LinkLayer().LinkFlow().Src().String(),
		}
		for _, o := range answer.Options {
			got[o.Type.String()] = fmt.Sprintf("%x", o.Data)
		}
		delete(got, layers.DHCPOptEnd.String())
		delete(got, layers.DHCPOptPad.String())
		want := map[string]string{
			"address": "10.1.0.11", "from": "10.1.0.1 02:00:00:00:00:01",
			layers.DHCPOptMessageType.String():  fmt.Sprintf("%02x", byte(step.answer)),
			layers.DHCPOptServerID.String():     "0a010001",
			layers.DHCPOptLeaseTime.String():    "00000e10",
			layers.DHCPOptRouter.String():       "0a010001",
			layers.DHCPOptInterfaceMTU.String(): "0578",
			layers.DHCPOptSubnetMask.String():   "ffffff00",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Errorf("the answer to DHCP %s, want (-), got (+):\n%s", step.ask, diff)
		}
		if n := p.ErrorLayer(); n != nil {
			w.t.Errorf("the answer to DHCP %s: %v", step.ask, n.Error())
		}
	}
}

// dns wants answers from a name server that does not exist.
func dns(w *network, h *testenv.Host) {
	w.t.Helper()
	var got []netip.Addr
	inside(w.t, h, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for _, kind := range []layers.DNSType{layers.DNSTypeA, layers.DNSTypeAAAA} {
			c, err := (&net.Dialer{}).DialContext(ctx, "udp", "8.8.8.8:53")
			if err != nil {
				return err
			}
			defer c.Close()
			ask := &layers.DNS{ID: 7, RD: true, Questions: []layers.DNSQuestion{{Name: []byte("vm2.ovn.test"), Type: kind, Class: layers.DNSClassIN}}}
			b := gopacket.NewSerializeBuffer()
			if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ask); err != nil {
				return err
			}
			if _, err := c.Write(b.Bytes()); err != nil {
				return err
			}
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			in := make([]byte, 1500)
			n, err := c.Read(in)
			if err != nil {
				return fmt.Errorf("no answer for %s: %w", kind, err)
			}
			var answer layers.DNS
			if err := answer.DecodeFromBytes(in[:n], gopacket.NilDecodeFeedback); err != nil {
				return err
			}
			for _, a := range answer.Answers {
				ip, _ := netip.AddrFromSlice(a.IP)
				got = append(got, ip.Unmap())
			}
		}
		return nil
	})
	want := []netip.Addr{netip.MustParseAddr("10.1.0.12"), netip.MustParseAddr("fd01::12")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		w.t.Errorf("DNS, want (-), got (+):\n%s", diff)
	}
}

// advertised wants that the host makes an address of what the router advertises.
func advertised(w *network, h *vm) {
	w.t.Helper()
	h.Run("ip", "link", "set", "eth0", "down")
	h.Run("ip", "link", "set", "eth0", "up")
	w.NB("lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11 fd01::ff:fe01:1")
	// While an address is tentative others are taken as source, which the router has to ask for first.
	w.first.Eventually("an address of router advertisements", func() error {
		if out := h.Run("ip", "-6", "addr", "show", "dev", "eth0"); !strings.Contains(out, "fd01::ff:fe01:1/64") || strings.Contains(out, "tentative") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	w.Sync() // the router knows the address
	w.reach("the router that advertises", h.Host, "fd01::1")
}

// snooped wants that multicast reaches only those who joined the group.
func snooped(w *network, from, member, other *vm, group string) {
	w.t.Helper()
	ip := net.ParseIP(group)
	text, protocol, src, to := "to members of "+group, "udp4", "10.1.0.11", "01:00:5e:01:02:03"
	if ip.To4() == nil {
		protocol, src, to = "udp6", "fd01::ff:fe01:1", "33:33:00:00:01:23"
	}
	inside(w.t, member.Host, func() error {
		dev, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		c, err := net.ListenMulticastUDP(protocol, dev, &net.UDPAddr{IP: ip, Port: 5555})
		if err != nil {
			return err
		}
		w.t.Cleanup(func() { c.Close() })
		return nil
	})
	w.first.Eventually("a snooped group", func() error {
		if out := w.SB("--bare", "--columns=address", "list", "igmp_group"); !strings.Contains(out, group) {
			return fmt.Errorf("groups: %q", out)
		}
		return nil
	})
	w.Sync()
	tx, rx, stray := listen(w.t, from.Host), listen(w.t, member.Host), listen(w.t, other.Host)
	tx.send(datagram(from.mac, to, src, group, 5555, 5555, []byte(text))...)
	if rx.find(carries(text)) == nil {
		w.t.Errorf("%s: nothing reaches a member", text)
	}
	w.reach("after multicast", from.Host, other.ip4)
	w.none(stray, carries(text), "multicast reaches one who did not join")
}

// dhcp6 wants an advertisement and a reply with the address of the port.
func dhcp6(w *network, h *vm) {
	w.t.Helper()
	x := listen(w.t, h.Host)
	duid := append([]byte{0, 3, 0, 1}, mac(h.mac)...)
	var server layers.DHCPv6Option
	for _, step := range []struct{ ask, answer layers.DHCPv6MsgType }{
		{layers.DHCPv6MsgTypeSolicit, layers.DHCPv6MsgTypeAdvertise}, {layers.DHCPv6MsgTypeRequest, layers.DHCPv6MsgTypeReply},
	} {
		ask := &layers.DHCPv6{MsgType: step.ask, TransactionID: []byte{1, 2, 3}, Options: layers.DHCPv6Options{
			layers.NewDHCPv6Option(layers.DHCPv6OptClientID, duid), layers.NewDHCPv6Option(layers.DHCPv6OptIANA, []byte{0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0}),
		}}
		if step.ask == layers.DHCPv6MsgTypeRequest {
			ask.Options = append(ask.Options, server)
		}
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ask); err != nil {
			w.t.Fatal(err)
		}
		x.send(datagram(h.mac, "33:33:00:01:00:02", "fe80::ff:fe01:1", "ff02::1:2", 546, 547, b.Bytes())...)
		p := x.find(func(p gopacket.Packet) bool { return p.Layer(layers.LayerTypeDHCPv6) != nil })
		if p == nil {
			w.t.Errorf("no answer to DHCPv6 %s", step.ask)
			return
		}
		answer := p.Layer(layers.LayerTypeDHCPv6).(*layers.DHCPv6)
		var address string
		for _, o := range answer.Options {
			switch {
			case o.Code == layers.DHCPv6OptServerID:
				server = o
			case o.Code == layers.DHCPv6OptIANA && len(o.Data) >= 12+4+16: // behind it the option of an address
				address = net.IP(o.Data[16:32]).String()
			}
		}
		if answer.MsgType != step.answer || address != "fd01::11" || len(server.Data) == 0 {
			w.t.Errorf("the answer to DHCPv6 %s: %s of %q by %x", step.ask, answer.MsgType, address, server.Data)
		}
	}
}
