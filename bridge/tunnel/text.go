package tunnel

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Text is a match as OVS's log and ofproto/list-tunnels write it. All ports carry Ethernet: legacy_l2.
func (m Match) Text() string {
	ends := "flow->flow"
	switch {
	case !m.RemoteFlow:
		ends = addressText(m.Local) + "->" + addressText(m.Remote)
	case !m.LocalFlow:
		ends = addressText(m.Local) + "->flow"
	}
	return fmt.Sprintf("%s, key=%s, legacy_l2, dp port=%d", ends, keyText(m.Key, m.KeyFlow), m.Port)
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return "::"
	}
	return a.String()
}

func keyText(key uint64, flow bool) string {
	switch {
	case flow:
		return "flow"
	case key == 0:
		return "0"
	}
	return fmt.Sprintf("%#x", key)
}

// Text is a tunnel as ofproto/list-tunnels writes it, behind its name.
func (c *Config) Text(port odp.Port) string {
	s := c.Type + ": " + c.Match(port).Text()
	if c.HasKey != c.HasInKey || c.KeyFlow != c.InKeyFlow || c.Key != c.InKey {
		out := "none"
		if c.HasKey {
			out = keyText(c.Key, c.KeyFlow)
		}
		s += ", out_key=" + out
	}
	if c.InheritTTL {
		s += ", ttl=inherit"
	} else {
		s += fmt.Sprintf(", ttl=%d", c.TTL)
	}
	if c.InheritTOS {
		s += ", tos=inherit"
	} else if c.TOS != 0 {
		s += fmt.Sprintf(", tos=%#x", c.TOS)
	}
	if !c.DF {
		s += ", df=false"
	}
	if c.Csum {
		s += ", csum=true"
	}
	return s
}

// Options are the options that are in force and not the default, as dpif/show writes them.
func (c *Config) Options() map[string]string {
	o := map[string]string{}
	address := func(key string, a netip.Addr, flow bool) {
		if flow {
			o[key] = "flow"
		} else if a.IsValid() {
			o[key] = a.String()
		}
	}
	address("remote_ip", c.Remote, c.RemoteFlow)
	address("local_ip", c.Local, c.LocalFlow)
	in, out := decimal(c.InKey, c.InKeyFlow), decimal(c.Key, c.KeyFlow)
	if c.HasInKey && c.HasKey && in == out {
		o["key"] = in
	} else {
		if c.HasInKey {
			o["in_key"] = in
		}
		if c.HasKey {
			o["out_key"] = out
		}
	}
	switch {
	case c.InheritTTL:
		o["ttl"] = "inherit"
	case c.TTL != defaultTTL:
		o["ttl"] = strconv.Itoa(int(c.TTL))
	}
	switch {
	case c.InheritTOS:
		o["tos"] = "inherit"
	case c.TOS != 0:
		o["tos"] = fmt.Sprintf("%#x", c.TOS)
	}
	if c.DstPort != kinds[c.Type].port {
		o["dst_port"] = strconv.Itoa(int(c.DstPort))
	}
	if c.Csum {
		o["csum"] = "true"
	}
	if !c.DF {
		o["df_default"] = "false"
	}
	if c.SetMark {
		o["egress_pkt_mark"] = strconv.FormatUint(uint64(c.Mark), 10)
	}
	return o
}

func decimal(key uint64, flow bool) string {
	if flow {
		return "flow"
	}
	return strconv.FormatUint(key, 10)
}
