package daemon

import (
	"fmt"
	"path/filepath"
	"runtime/debug"
)

// OVSVersion is the release of Open vSwitch whose behaviour and text this daemon has: scripts compare it.
const OVSVersion = "3.7.0"

// Version is what --version and the version command say: the first line is in the form that scripts of
// Open vSwitch parse, the second says what it really is.
func Version() string {
	own := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		own = info.Main.Version
	}
	return fmt.Sprintf("%s (Open vSwitch) %s\novs-bpf %s\n", Program, OVSVersion, own)
}

// Help is what --help says.
func Help(d Dirs) string {
	return fmt.Sprintf(`%[1]s: Open vSwitch daemon with an eBPF datapath
usage: %[1]s [OPTIONS] [DATABASE]
where DATABASE is where ovsdb-server listens
      (default: "unix:%[2]s"):
  unix:FILE               Unix domain socket FILE
  tcp:HOST:PORT           TCP
  ssl:HOST:PORT           TLS
or, without an ovsdb-server of your own:
  --db=embedded[:FILE]    serve the database on that socket
                          and keep it in FILE (default: %[3]s)

TLS (all needed for ssl:):
  -p, --private-key=FILE  private key
  -c, --certificate=FILE  certificate of the private key
  -C, --ca-cert=FILE      certificates that peers must be signed by
  --bootstrap-ca-cert=FILE  the same; written by the first peer if missing
  --peer-ca-cert=FILE     certificate to send to peers
  --ssl-protocols=PROTOS  protocols to allow
  --ssl-ciphers=CIPHERS   cipher suites up to TLS 1.2
  --ssl-ciphersuites=SUITES  cipher suites of TLS 1.3
  --ssl-server-name=NAME  name to ask servers for

Process:
  --detach                run in the background
  --monitor               restart the daemon when it crashes
  --user=USER[:GROUP]     run as USER, with the capabilities that are needed
  --no-chdir              do not change directory to '/'
  --pidfile[=FILE]        write a pidfile (default: %[4]s)
  --overwrite-pidfile     start even if the pidfile is in use
  --no-self-confinement   controllers may be unix sockets anywhere
  --mlockall              lock memory
  --hw-rawio-access       keep the capability for raw I/O

Logging:
  -vSPEC, --verbose=SPEC  set levels: MODULE:DESTINATION:LEVEL in any order
  -v, --verbose           log everything
  --log-file[=FILE]       log to FILE (default: %[5]s)
  --syslog-method=(libc|unix:FILE|udp:IP:PORT|null)
                          how to reach the system's logger
  --syslog-target=HOST:PORT  also send to a remote logger by UDP

Datapath:
  --ct-maxconns=N         track up to N connections, 1 to 1000000
                          (default: 262144; see dpctl/ct-set-maxconns)

Simulation:
  --enable-dummy          simulate: without root, bridges of datapath_type
                          dummy on simulated devices, others are refused
  --enable-dummy=system   the same for datapath_type system and its devices
  --enable-dummy=override  the same for every datapath_type
  --disable-system        refuse bridges of datapath_type system
  --disable-system-route  do not use the system's routes
  --dummy-numa=LIST       pretend a layout of NUMA nodes

Other:
  --unixctl=SOCKET        control socket, or "none"
                          (default: %[6]s)
  -h, --help              this text
  -V, --version           the version
`, Program, d.RunFile("db.sock"), filepath.Join(d.DB, "conf.db"), d.RunFile(Program+".pid"),
		filepath.Join(d.Log, Program+".log"), d.RunFile(Program+".PID.ctl"))
}
