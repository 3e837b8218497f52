package bridge

import (
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

func TestUnsupportedIsNamed(t *testing.T) {
	b := &ovsdb.Bridge{
		UUID:      "uuid",
		STPEnable: true, RSTPEnable: true,
		NetFlow: &ovsdb.NetFlow{}, SFlow: &ovsdb.SFlow{},
		Ports: []*ovsdb.Port{{Name: "bond0", QoS: &ovsdb.QoS{Type: "linux-htb"}, Interfaces: []*ovsdb.Interface{
			{Name: "a", Type: "patch", IngressPolicingRate: 1000},
			{Name: "b", LLDP: map[string]string{"enable": "true"}, CFMMPID: new(int)},
		}}},
	}
	text := strings.Join(unsupported(b), "\n")
	for _, want := range []string{"STP", "RSTP", "NetFlow", "sFlow", "port bond0: bonds",
		"port bond0: QoS", "interface a: ingress policing", "interface b: CFM", "interface b: LLDP"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not named in:\n%s", want, text)
		}
	}
	if got := unsupported(&ovsdb.Bridge{Ports: []*ovsdb.Port{{Interfaces: []*ovsdb.Interface{{}}}}}); len(got) != 0 {
		t.Errorf("a plain bridge is said to lack %q", got)
	}
}
