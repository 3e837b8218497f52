package ovn

import (
	"strconv"
	"testing"
)

// geneveLen is what Geneve over IPv4 takes: Ethernet, IPv4, UDP, Geneve, and OVN's option.
const geneveLen = 14 + 20 + 8 + 8 + 8

// TestEncapsulations has the chassis speak VXLAN, and Geneve over IPv6.
func TestEncapsulations(t *testing.T) {
	for name, s := range map[string]setup{
		"vxlan":            {chassis: 2, encap: "vxlan"},
		"geneve over IPv6": {chassis: 2, six: true},
		"narrow underlay":  {chassis: 2, mtu: 1500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := s.start(t)
			defer w.end()
			r := newRouted(w)
			if s.mtu != 0 { // what is left to hosts, as DHCP would tell them
				for _, h := range []*vm{r.h1, r.h2, r.h4} {
					h.Run("ip", "link", "set", "eth0", "mtu", strconv.Itoa(s.mtu-geneveLen))
				}
				r.reach("the longest packet", r.h1.Host, r.h2.ip4, "-M", "do", "-s", strconv.Itoa(s.mtu-geneveLen-28))
			}
			for _, dst := range []string{r.h2.ip4, r.h2.ip6} {
				r.reach("a routed host", r.h1.Host, dst)
				r.reach("a routed host", r.h2.Host, r.h1.address(dst))
				r.transfer(r.h1.Host, r.h2.Host, dst)
			}
			for _, dst := range []string{r.h4.ip4, r.h4.ip6} {
				r.reach("a host of the same switch, whose address is unknown", r.h2.Host, dst)
			}
			r.transfer(r.h4.Host, r.h2.Host, r.h2.ip4)
		})
	}
}
