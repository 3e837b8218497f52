package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ovsLib runs the shell functions that ovs-ctl starts, watches and stops ovs-vswitchd with.
const ovsLib = `
. /usr/share/openvswitch/scripts/ovs-lib
say() { "$@" >/dev/null; echo "$1 $?"; }
say start_daemon -5 "" ovs-vswitchd unix:$rundir/db.sock -vconsole:emer -vsyslog:err -vfile:info --mlockall
say daemon_is_running ovs-vswitchd
say daemon_status ovs-vswitchd
say start_daemon -5 "" ovs-vswitchd 2>/dev/null
say stop_daemon ovs-vswitchd
say daemon_is_running ovs-vswitchd
`

func TestOVSLib(t *testing.T) {
	for _, monitor := range []string{"yes", "no"} {
		w := newWorld(t)
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		sbin := t.TempDir()
		if err := os.Symlink(exe, filepath.Join(sbin, Program)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", ovsLib)
		cmd.Env = append(w.command("serve").Env, "MONITOR="+monitor, "PATH="+sbin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		want := "start_daemon 0\ndaemon_is_running 0\ndaemon_status 0\nstart_daemon 1\nstop_daemon 0\ndaemon_is_running 1\n"
		if diff := cmp.Diff(want, string(out)); diff != "" {
			t.Errorf("monitor %s: %s\n%s", monitor, diff, w.log())
		}
		// The end was asked for by "exit": no signal, nothing left but the log.
		if got := strings.Join(w.left(), " "); got != "ovs-vswitchd.log" || strings.Contains(w.log(), "terminating") {
			t.Errorf("monitor %s: left %s\n%s", monitor, got, w.log())
		}
	}
}
