package ofctrl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// TestOfctlGroups drives groups with the stock ovs-ofctl in each version.
func TestOfctlGroups(t *testing.T) {
	for _, v := range allVersions {
		t.Run(v, func(t *testing.T) {
			b := newBench(t, false, nil)
			b.SetFailMode(true)
			ofctl := func(args ...string) string { return b.ofctl(append([]string{"-O", v}, args...)...) }
			quiet := func(args ...string) {
				t.Helper()
				if out := ofctl(args...); out != "" {
					t.Errorf("%v:\n%s", args, out)
				}
			}
			reply := func(what string) string {
				if v == "OpenFlow10" {
					return "NXST_" + what + " reply:"
				}
				return "OFPST_" + what + " reply (OF" + v[8:9] + "." + v[9:] + "):"
			}
			ids := v == "OpenFlow10" || v == "OpenFlow15" // buckets have them there
			dump := func(want ...string) {
				t.Helper()
				for i := range want {
					if !ids {
						for _, id := range []string{"bucket_id:0,", "bucket_id:1,", "bucket_id:2,", "bucket_id:7,", "selection_method=hash,", "selection_method=dp_hash,", "fields(ip_src,ip_dst),"} {
							want[i] = strings.ReplaceAll(want[i], id, "")
						}
					}
				}
				got := ofctl("dump-groups", "BR")
				if d := cmp.Diff(strings.Join(append([]string{reply("GROUP_DESC")}, want...), "\n"), got); d != "" {
					t.Errorf("groups (-want +got):\n%s", d)
				}
			}
			refused := func(want string, args ...string) {
				t.Helper()
				if out := ofctl(args...); !strings.Contains(out, want) {
					t.Errorf("%v: no %s in:\n%s", args, want, out)
				}
			}
			dump()
			quiet("add-group", "BR", "group_id=2,type=all,bucket=actions=output:1,bucket=actions=output:2")
			quiet("add-group", "BR", "group_id=1,type=select,bucket=weight:3,actions=output:1,bucket=weight:1,watch_port:2,actions=output:2")
			quiet("add-group", "BR", "group_id=3,type=indirect,bucket=actions=group:2")
			quiet("add-group", "BR", "group_id=4,type=ff,bucket=watch_port:1,actions=output:1,bucket=watch_group:2,actions=output:2")
			all := []string{
				" group_id=1,type=select,bucket=bucket_id:0,weight:3,actions=output:1,bucket=bucket_id:1,watch_port:2,actions=output:2",
				" group_id=2,type=all,bucket=bucket_id:0,actions=output:1,bucket=bucket_id:1,actions=output:2",
				" group_id=3,type=indirect,bucket=bucket_id:0,actions=group:2",
				" group_id=4,type=ff,bucket=bucket_id:0,watch_port:1,actions=output:1,bucket=bucket_id:1,watch_group:2,actions=output:2",
			}
			dump(all...)
			refused("OFPGMFC_GROUP_EXISTS", "add-group", "BR", "group_id=2,type=all,bucket=actions=output:1")
			refused("OFPGMFC_UNKNOWN_GROUP", "mod-group", "BR", "group_id=9,type=all,bucket=actions=output:1")
			refused("OFPGMFC_LOOP", "mod-group", "BR", "group_id=2,type=all,bucket=actions=group:3")
			refused("OFPBAC_BAD_OUT_GROUP", "add-flow", "BR", "actions=group:9")
			refused("OFPBAC_BAD_OUT_GROUP", "packet-out", "BR", "in_port=controller packet=ffffffffffff0200000000010800 actions=group:9")
			dump(all...)
			quiet("mod-group", "BR", "group_id=2,type=all,bucket=actions=output:LOCAL")
			all[1] = " group_id=2,type=all,bucket=bucket_id:0,actions=LOCAL"
			dump(all...)

			quiet("add-flow", "BR", "in_port=1,actions=group:2")
			quiet("add-flow", "BR", "in_port=2,actions=group:1")
			if v > "OpenFlow10" {
				quiet("add-flow", "BR", "in_port=3,actions=write_actions(group:2)")
			} else {
				quiet("add-flow", "BR", "in_port=3,actions=clone(group:2)")
			}
			duration := ""
			if got, want := ofctl("dump-group-stats", "BR", "group_id=2"), reply("GROUP")+"\n group_id=2,"+duration+"ref_count=2,packet_count=0,byte_count=0,bucket0:packet_count=0,byte_count=0"; clean(strings.ReplaceAll(dropDuration(got), "  ", " ")) != want {
				t.Errorf("counters:\n%s\nwant\n%s", got, want)
			}
			quiet("del-groups", "BR", "group_id=2")
			if got := ofctl("--no-stats", "dump-flows", "BR"); !strings.HasSuffix(got, "in_port=2 actions=group:1") || strings.Contains(got, "group:2") {
				t.Errorf("flows after the deletion of a group:\n%s", got)
			}
			dump(all[0], all[2], all[3])
			quiet("del-groups", "BR")
			dump()
			if ids {
				quiet("add-group", "BR", "group_id=5,type=select,selection_method=hash,fields(ip_src,ip_dst),bucket=bucket_id:1,weight:1,actions=output:1")
				quiet("insert-buckets", "BR", "group_id=5,command_bucket_id=first,bucket=bucket_id:7,weight:2,actions=output:2")
				quiet("insert-buckets", "BR", "group_id=5,command_bucket_id=7,bucket=bucket_id:2,weight:2,actions=drop")
				got := ofctl("dump-groups", "BR")
				for _, want := range []string{
					"group_id=5,type=select,selection_method=hash,", "fields(ip_src,ip_dst)",
					"bucket=bucket_id:7,weight:2,actions=output:2,bucket=bucket_id:2,weight:2,actions=drop,bucket=bucket_id:1,actions=output:1",
				} {
					if !strings.Contains(got, want) {
						t.Errorf("no %s in:\n%s", want, got)
					}
				}
				refused("OFPGMFC_BUCKET_EXISTS", "insert-buckets", "BR", "group_id=5,command_bucket_id=first,bucket=bucket_id:7,weight:2,actions=output:2")
				refused("OFPGMFC_UNKNOWN_BUCKET", "remove-buckets", "BR", "group_id=5,command_bucket_id=9")
				quiet("remove-buckets", "BR", "group_id=5,command_bucket_id=last")
				if got := ofctl("dump-groups", "BR", "5"); strings.Contains(got, "bucket_id:1") || !strings.Contains(got, "bucket_id:2") {
					t.Errorf("after a removal:\n%s", got)
				}
				if got := ofctl("dump-groups", "BR", "6"); got != reply("GROUP_DESC") {
					t.Errorf("no group:\n%s", got)
				}
			}
			quiet("--may-create", "mod-group", "BR", "group_id=8,type=all,bucket=actions=output:1")
		})
	}
}

// dropDuration cuts a group's age out.
func dropDuration(s string) string {
	at := strings.Index(s, "duration=")
	if at < 0 {
		return s
	}
	return s[:at] + s[at+strings.Index(s[at:], ",")+1:]
}

// A bundle adds groups with the flows that name them, or neither.
func TestGroupsInBundles(t *testing.T) {
	for _, v := range []string{"OpenFlow13", "OpenFlow14", "OpenFlow15"} {
		b := newBench(t, false, nil)
		b.SetFailMode(true)
		file := func(lines ...string) string {
			name := filepath.Join(b.dir, "bundle")
			if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return name
		}
		state := func() string {
			return b.ofctl("-O", v, "--no-stats", "dump-flows", "BR") + b.ofctl("-O", v, "dump-groups", "BR")
		}
		if out := b.ofctl("-O", v, "bundle", "BR", file("group add group_id=1,type=all,bucket=actions=output:1", "flow add actions=group:1")); out != "" {
			t.Error(out)
		}
		before := state()
		if !strings.Contains(before, "actions=group:1") {
			t.Errorf("%s: no flow:\n%s", v, before)
		}
		out := b.ofctl("-O", v, "bundle", "BR", file("group delete", "flow add in_port=1,actions=drop", "group add group_id=2,type=all,bucket=actions=output:1", "flow add in_port=2,actions=group:1"))
		for _, want := range []string{"OFPBAC_BAD_OUT_GROUP", "OFPBFC_MSG_FAILED"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %s in:\n%s", v, want, out)
			}
		}
		if d := cmp.Diff(before, state()); d != "" {
			t.Errorf("%s: after a failure (-want +got):\n%s", v, d)
		}
	}
}

// Flows that go with their group are told of with that reason, which older versions have to ask for.
func TestGroupDeleteNotice(t *testing.T) {
	for _, v := range allVersions[3:] {
		b := newBench(t, false, nil)
		lines := b.monitor(openflow.PacketInNXT2, "-O", v)
		b.ofctl("-O", v, "add-group", "BR", "group_id=1,type=all,bucket=actions=output:1")
		b.ofctl("-O", v, "add-flow", "BR", "priority=5,in_port=1,send_flow_rem,actions=group:1")
		b.ofctl("-O", v, "del-groups", "BR", "group_id=1")
		for l := range lines {
			if strings.Contains(l, "FLOW_REMOVED") {
				if !strings.Contains(l, "priority=5,in_port=1 reason=group_delete") {
					t.Errorf("%s: %s", v, l)
				}
				break
			}
		}
	}
}
