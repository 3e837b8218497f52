package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestLimitsTakenAway removes zone limits from the database while no agent runs: the next one takes them away, and leaves
// those that were set by command.
func TestLimitsTakenAway(t *testing.T) {
	t.Parallel()
	e := testenv.Prepare(t)
	schema, err := filepath.Abs("../schemas/vswitch.ovsschema") // the stock tools' is older
	if err != nil {
		t.Fatal(err)
	}
	e.ExternalDatabase(schema)
	e.Start()
	addBridge(e)
	e.Appctl("dpctl/ct-set-limits", "zone=5,limit=50")
	e.Vsctl("--", "--id=@m", "create", "Datapath", "datapath_version=0", "--", "set", "Open_vSwitch", ".", "datapaths:bpf=@m")
	update := func(table, uuid, columns string) {
		t.Helper()
		e.Run("ovsdb-client", "transact", "unix:"+filepath.Join(e.Dir, "db.sock"),
			fmt.Sprintf(`["Open_vSwitch",{"op":"update","table":%q,"where":[["_uuid","==",["uuid",%q]]],"row":{%s}}]`, table, uuid, columns))
	}
	dp := strings.TrimSpace(e.Vsctl("--bare", "--columns=_uuid", "list", "Datapath"))
	for _, zone := range []string{"1", "2", "65535"} {
		e.Vsctl("--", "--id=@z", "create", "CT_Zone", "external_ids:a=b", "--", "set", "Datapath", dp, "ct_zones:"+zone+"=@z")
		update("CT_Zone", strings.TrimSpace(e.Vsctl("get", "Datapath", dp, "ct_zones:"+zone)), `"limit":1`+zone[:1])
	}
	update("Datapath", dp, `"ct_zone_default_limit":7`)
	limits := func(when, want string) {
		t.Helper()
		e.Eventually(when, func() error {
			got := strings.Fields(e.Appctl("dpctl/ct-get-limits"))
			if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
				return fmt.Errorf("(-want +got):\n%s", diff)
			}
			return nil
		})
	}
	limits("the database has limits", "default limit=7 zone=1,limit=11,count=0 zone=2,limit=12,count=0 zone=5,limit=50,count=0 zone=65535,limit=16,count=0")
	e.Kill()
	e.Vsctl("--no-wait", "remove", "Datapath", dp, "ct_zones", "1", "--", "remove", "Datapath", dp, "ct_zones", "65535")
	e.Start()
	limits("two are taken away", "default limit=7 zone=2,limit=12,count=0 zone=5,limit=50,count=0")
	e.Kill()
	e.Vsctl("--no-wait", "remove", "Datapath", dp, "ct_zones", "2")
	update("Datapath", dp, `"ct_zone_default_limit":["set",[]]`)
	e.Start()
	limits("all are taken away", "default limit=0 zone=5,limit=50,count=0")
	e.Kill()
	e.Start()
	limits("one by command stays", "default limit=0 zone=5,limit=50,count=0")
}
