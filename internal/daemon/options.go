package daemon

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Options is the command line of ovs-vswitchd, file names made absolute.
type Options struct {
	Dirs Dirs

	Database     string // remote to connect to, "" with Embedded
	Embedded     bool   // --db embedded: the daemon serves the database itself
	EmbeddedFile string // the file that keeps it

	Detach           bool
	Monitor          bool
	Pidfile          string // "" for none
	OverwritePidfile bool
	NoChdir          bool
	User             string // U[:G], "" to stay
	SelfConfinement  bool   // controllers' unix sockets only in the run directory
	Unixctl          string // control socket, "none" for none, "" for the default name

	Verbose      []string // specifications for vlog in order; "" is -v alone: everything at DBG
	LogFile      string   // "" for none
	SyslogMethod string
	SyslogTarget string

	Mlockall      bool
	HwRawIOAccess bool
	MaxConns      int // connections that are tracked, at most; 0: the datapath's default
	TLS           TLS

	Dummy              Dummy
	DisableSystem      bool
	DisableSystemRoute bool
	DummyNUMA          string

	Help    bool // print Help and exit 0
	Version bool // print Version and exit 0
}

// TLS is the identity and the settings of ssl: connections, as file names and OpenSSL's words.
type TLS struct {
	PrivateKey, Certificate, CACert string
	BootstrapCACert                 bool // CACert is written by the first connection if it is missing
	PeerCACert                      string
	Protocols, Ciphers              string
	CipherSuites, ServerName        string
}

// Dummy is how much of the datapath and the devices is simulated.
type Dummy int

// The levels of --enable-dummy.
const (
	DummyNone     Dummy = iota
	DummyEnabled        // types "dummy" are there
	DummySystem         // they take the place of "system"
	DummyOverride       // they take the place of every type
)

// Parse reads the command line without the program's name. Its errors are OVS's and getopt's texts, to be
// printed behind the program's name before an exit with code 1.
func Parse(args []string, dirs Dirs) (*Options, error) {
	o := &Options{Dirs: dirs, SelfConfinement: true}
	words, err := getopt(args, o.table())
	if err != nil || o.Help || o.Version {
		return o, err
	}
	switch {
	case len(words) > 1:
		return o, errors.New("at most one non-option argument accepted; use --help for usage")
	case len(words) == 1 && o.Embedded:
		return o, fmt.Errorf("--db embedded serves the database itself; it cannot connect to %s as well", words[0])
	case len(words) == 1:
		o.Database = words[0]
	case !o.Embedded:
		o.Database = "unix:" + dirs.RunFile("db.sock")
	}
	return o, nil
}

// table is in the order of OVS's, which the message about an ambiguous abbreviation shows.
func (o *Options) table() []option {
	flag := func(p *bool) func(string, bool) (bool, error) {
		return func(string, bool) (bool, error) { *p = true; return false, nil }
	}
	stop := func(p *bool) func(string, bool) (bool, error) {
		return func(string, bool) (bool, error) { *p = true; return true, nil }
	}
	text := func(p *string) func(string, bool) (bool, error) {
		return func(v string, _ bool) (bool, error) { *p = v; return false, nil }
	}
	file := func(p *string) func(string, bool) (bool, error) {
		return func(v string, _ bool) (bool, error) { return false, absolute(p, v) }
	}
	return []option{
		{"help", 'h', noArgument, stop(&o.Help)},
		{"version", 'V', noArgument, stop(&o.Version)},
		{"mlockall", 0, noArgument, flag(&o.Mlockall)},
		{"unixctl", 0, requiredArgument, text(&o.Unixctl)},
		{"db", 0, requiredArgument, o.setDB},
		{"detach", 0, noArgument, flag(&o.Detach)},
		{"no-self-confinement", 0, noArgument, func(string, bool) (bool, error) { o.SelfConfinement = false; return false, nil }},
		{"no-chdir", 0, noArgument, flag(&o.NoChdir)},
		{"pidfile", 0, optionalArgument, o.setPidfile},
		{"overwrite-pidfile", 0, noArgument, flag(&o.OverwritePidfile)},
		{"monitor", 0, noArgument, flag(&o.Monitor)},
		{"user", 0, requiredArgument, text(&o.User)},
		{"verbose", 'v', optionalArgument, o.addVerbose},
		{"log-file", 0, optionalArgument, o.setLogFile},
		{"syslog-method", 0, requiredArgument, text(&o.SyslogMethod)},
		{"syslog-target", 0, requiredArgument, text(&o.SyslogTarget)},
		{"private-key", 'p', requiredArgument, file(&o.TLS.PrivateKey)},
		{"certificate", 'c', requiredArgument, file(&o.TLS.Certificate)},
		{"ca-cert", 'C', requiredArgument, file(&o.TLS.CACert)},
		{"ssl-protocols", 0, requiredArgument, text(&o.TLS.Protocols)},
		{"ssl-ciphers", 0, requiredArgument, text(&o.TLS.Ciphers)},
		{"ssl-ciphersuites", 0, requiredArgument, text(&o.TLS.CipherSuites)},
		{"ssl-server-name", 0, requiredArgument, text(&o.TLS.ServerName)},
		{"peer-ca-cert", 0, requiredArgument, file(&o.TLS.PeerCACert)},
		{"bootstrap-ca-cert", 0, requiredArgument, func(v string, _ bool) (bool, error) {
			o.TLS.BootstrapCACert = true
			return false, absolute(&o.TLS.CACert, v)
		}},
		{"enable-dummy", 0, optionalArgument, o.setDummy},
		{"disable-system", 0, noArgument, flag(&o.DisableSystem)},
		{"disable-system-route", 0, noArgument, flag(&o.DisableSystemRoute)},
		{"dpdk", 0, optionalArgument, func(string, bool) (bool, error) {
			//lint:ignore ST1005 OVS's words
			return false, errors.New("Using --dpdk to configure DPDK is not supported.")
		}},
		{"dummy-numa", 0, requiredArgument, text(&o.DummyNUMA)},
		{"hw-rawio-access", 0, noArgument, flag(&o.HwRawIOAccess)},
		{"ct-maxconns", 0, requiredArgument, o.setMaxConns},
	}
}

func (o *Options) setDB(v string, _ bool) (bool, error) {
	kind, name, _ := strings.Cut(v, ":")
	if kind != "embedded" {
		return false, fmt.Errorf("--db=%s: unknown kind of database; give embedded, embedded:FILE, or a DATABASE to connect to", v)
	}
	o.Embedded = true
	if name == "" {
		o.EmbeddedFile = filepath.Join(o.Dirs.DB, "conf.db")
		return false, nil
	}
	return false, absolute(&o.EmbeddedFile, name)
}

// maxMaxConns bounds --ct-maxconns: the connections of so many are as far as tests go.
const maxMaxConns = 1000000

func (o *Options) setMaxConns(v string, _ bool) (bool, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxMaxConns {
		return false, fmt.Errorf("--ct-maxconns=%s: give a number of connections from 1 to %d", v, maxMaxConns)
	}
	o.MaxConns = n
	return false, nil
}

func (o *Options) setPidfile(v string, has bool) (bool, error) {
	if !has {
		v = Program + ".pid"
	}
	o.Pidfile = o.Dirs.RunFile(v)
	return false, nil
}

func (o *Options) addVerbose(v string, _ bool) (bool, error) {
	o.Verbose = append(o.Verbose, v)
	return false, nil
}

func (o *Options) setLogFile(v string, has bool) (bool, error) {
	if !has {
		o.LogFile = filepath.Join(o.Dirs.Log, Program+".log")
		return false, nil
	}
	return false, absolute(&o.LogFile, v)
}

func (o *Options) setDummy(v string, _ bool) (bool, error) {
	switch v {
	case "":
		o.Dummy = DummyEnabled
	case "system":
		o.Dummy = DummySystem
	case "override":
		o.Dummy = DummyOverride
	default:
		return false, fmt.Errorf("%s: unknown dummy level", v)
	}
	return false, nil
}

// absolute stores a file name so that it stays right when the working directory changes. "none" is a word
// of the TLS options, not a file.
func absolute(p *string, v string) error {
	if v == "none" || v == "" {
		*p = v
		return nil
	}
	abs, err := filepath.Abs(v)
	if err != nil {
		return fmt.Errorf("%s: %w", v, err)
	}
	*p = abs
	return nil
}
