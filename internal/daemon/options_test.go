package daemon

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var testDirs = dirs(func(name string) string {
	return map[string]string{"OVS_RUNDIR": "/run/x", "OVS_LOGDIR": "/log/x", "OVS_SYSCONFDIR": "/conf"}[name]
})

func TestDirs(t *testing.T) {
	want := Dirs{Run: "/run/x", Log: "/log/x", DB: "/conf/openvswitch", Sysconf: "/conf", PkgData: "/usr/share/openvswitch", Bin: "/usr/bin"}
	if diff := cmp.Diff(want, testDirs); diff != "" {
		t.Error(diff)
	}
	want = Dirs{Run: "/var/run/openvswitch", Log: "/var/log/openvswitch", DB: "/etc/openvswitch", Sysconf: "/etc",
		PkgData: "/usr/share/openvswitch", Bin: "/usr/bin"}
	if diff := cmp.Diff(want, dirs(func(string) string { return "" })); diff != "" {
		t.Error(diff)
	}
}

func TestParse(t *testing.T) {
	base := func(change func(*Options)) Options {
		o := Options{Dirs: testDirs, Database: "unix:/run/x/db.sock", SelfConfinement: true}
		if change != nil {
			change(&o)
		}
		return o
	}
	for _, tc := range []struct {
		name string
		args string // words separated by blanks
		want Options
	}{
		{"nothing", "", base(nil)},
		{"the words of ovs-ctl", "unix:/db -vconsole:emer -vsyslog:err -vfile:info --mlockall --no-chdir --log-file=/l --pidfile=/p --detach --monitor",
			base(func(o *Options) {
				o.Database, o.Verbose = "unix:/db", []string{"console:emer", "syslog:err", "file:info"}
				o.Mlockall, o.NoChdir, o.LogFile, o.Pidfile, o.Detach, o.Monitor = true, true, "/l", "/p", true, true
			})},
		{"defaults of optional values", "--pidfile --log-file -v --verbose --enable-dummy",
			base(func(o *Options) {
				o.Pidfile, o.LogFile = "/run/x/ovs-vswitchd.pid", "/log/x/ovs-vswitchd.log"
				o.Verbose, o.Dummy = []string{"", ""}, DummyEnabled
			})},
		{"optional values are attached", "--pidfile a", base(func(o *Options) { o.Pidfile, o.Database = "/run/x/ovs-vswitchd.pid", "a" })},
		{"relative names", "--pidfile=p --unixctl u", base(func(o *Options) { o.Pidfile, o.Unixctl = "/run/x/p", "u" })},
		{"abbreviations", "--detac --pid=/p --no-c --unix=none --mon", base(func(o *Options) {
			o.Detach, o.Pidfile, o.NoChdir, o.Unixctl, o.Monitor = true, "/p", true, "none", true
		})},
		{"exact name beats abbreviation", "--disable-system", base(func(o *Options) { o.DisableSystem = true })},
		{"values in the next word", "--unixctl -- --user u -p /k -c /c -C /a", base(func(o *Options) {
			o.Unixctl, o.User, o.TLS = "--", "u", TLS{PrivateKey: "/k", Certificate: "/c", CACert: "/a"}
		})},
		{"attached short values", "-p/k -vbridge:dbg", base(func(o *Options) {
			o.TLS.PrivateKey, o.Verbose = "/k", []string{"bridge:dbg"}
		})},
		{"end of options", "--detach -- --x", base(func(o *Options) { o.Detach, o.Database = true, "--x" })},
		{"words and options mixed", "tcp:1.2.3.4:6640 --detach", base(func(o *Options) { o.Detach, o.Database = true, "tcp:1.2.3.4:6640" })},
		{"a dash is a word", "-", base(func(o *Options) { o.Database = "-" })},
		{"TLS", "--ssl-protocols=TLSv1.2 --ssl-ciphers=HIGH --ssl-ciphersuites=S --ssl-server-name=N --peer-ca-cert=/q --bootstrap-ca-cert=/b",
			base(func(o *Options) {
				o.TLS = TLS{Protocols: "TLSv1.2", Ciphers: "HIGH", CipherSuites: "S", ServerName: "N", PeerCACert: "/q", CACert: "/b", BootstrapCACert: true}
			})},
		{"simulation", "--enable-dummy=override --disable-system-route --dummy-numa=0,1", base(func(o *Options) {
			o.Dummy, o.DisableSystemRoute, o.DummyNUMA = DummyOverride, true, "0,1"
		})},
		{"the rest", "--overwrite-pidfile --no-self-confinement --syslog-method=null --syslog-target=h:1 --hw-rawio-access --enable-dummy=system",
			base(func(o *Options) {
				o.OverwritePidfile, o.SelfConfinement, o.SyslogMethod, o.SyslogTarget = true, false, "null", "h:1"
				o.HwRawIOAccess, o.Dummy = true, DummySystem
			})},
		{"connections", "--ct-maxconns=1000000", base(func(o *Options) { o.MaxConns = 1000000 })},
		{"embedded database", "--db embedded", base(func(o *Options) {
			o.Database, o.Embedded, o.EmbeddedFile = "", true, "/conf/openvswitch/conf.db"
		})},
		{"embedded database in a file", "--db=embedded:/f.db", base(func(o *Options) { o.Database, o.Embedded, o.EmbeddedFile = "", true, "/f.db" })},
		{"help ends all", "-h --bogus", Options{Dirs: testDirs, SelfConfinement: true, Help: true}},
		{"clustered", "-Vh", Options{Dirs: testDirs, SelfConfinement: true, Version: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse(strings.Fields(tc.args), testDirs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestParseErrors has the texts of ovs-vswitchd 3.1.0 on glibc.
func TestParseErrors(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"--bogus", "unrecognized option '--bogus'"},
		{"--bogus=1", "unrecognized option '--bogus'"},
		{"-Z", "invalid option -- 'Z'"},
		{"-hZ", ""},
		{"a b", "at most one non-option argument accepted; use --help for usage"},
		{"--v", "option '--v' is ambiguous; possibilities: '--version' '--verbose'"},
		{"--no", "option '--no' is ambiguous; possibilities: '--no-self-confinement' '--no-chdir'"},
		{"--unixctl", "option '--unixctl' requires an argument"},
		{"--dummy-n", "option '--dummy-numa' requires an argument"},
		{"-p", "option requires an argument -- 'p'"},
		{"--detach=3", "option '--detach' doesn't allow an argument"},
		{"--mlock=2", "option '--mlockall' doesn't allow an argument"},
		{"--enable-dummy=zz", "zz: unknown dummy level"},
		{"--ct-maxconns=1000001", "--ct-maxconns=1000001: give a number of connections from 1 to 1000000"},
		{"--ct-maxconns=x", "--ct-maxconns=x: give a number of connections from 1 to 1000000"},
		{"--dpdk", "Using --dpdk to configure DPDK is not supported."},
		{"--db=x", "--db=x: unknown kind of database; give embedded, embedded:FILE, or a DATABASE to connect to"},
		{"--db=embedded unix:x", "--db embedded serves the database itself; it cannot connect to unix:x as well"},
	} {
		_, err := Parse(strings.Fields(tc.args), testDirs)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.args, got, tc.want)
		}
	}
}

func TestAnyCommandLine(t *testing.T) {
	words := []string{"-", "--", "--=", "-v", "-vx", "-p", "--p", "--pidfile", "--pidfile=", "--db", "embedded", "-hV", "--log-file=", "é", "", "-é"}
	rapid.Check(t, func(rt *rapid.T) {
		_, _ = Parse(rapid.SliceOf(rapid.SampledFrom(words)).Draw(rt, "args"), testDirs)
	})
}

// TestHelpNamesEveryOption keeps the help true; --dpdk is refused and so not offered.
func TestHelpNamesEveryOption(t *testing.T) {
	help := Help(testDirs)
	for _, o := range new(Options).table() {
		if o.long != "dpdk" && !strings.Contains(help, "--"+o.long) {
			t.Errorf("--%s is missing", o.long)
		}
	}
}

func TestVersion(t *testing.T) {
	line, own, _ := strings.Cut(Version(), "\n")
	if line != "ovs-vswitchd (Open vSwitch) 3.7.0" || !strings.HasPrefix(own, "ovs-bpf ") {
		t.Errorf("%q %q", line, own)
	}
}
