package daemon

import (
	"os"
	"path/filepath"
)

// Dirs are the directories that all Open vSwitch programs agree on.
type Dirs struct {
	Run     string // OVS_RUNDIR: sockets and pidfiles
	Log     string // OVS_LOGDIR
	DB      string // OVS_DBDIR: conf.db
	Sysconf string // OVS_SYSCONFDIR
	PkgData string // OVS_PKGDATADIR: vswitch.ovsschema
	Bin     string // OVS_BINDIR
}

// EnvDirs gives the directories that the environment names, else Debian's.
func EnvDirs() Dirs { return dirs(os.Getenv) }

func dirs(getenv func(string) string) Dirs {
	or := func(name, def string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return def
	}
	d := Dirs{
		Run:     or("OVS_RUNDIR", "/var/run/openvswitch"),
		Log:     or("OVS_LOGDIR", "/var/log/openvswitch"),
		Sysconf: or("OVS_SYSCONFDIR", "/etc"),
		PkgData: or("OVS_PKGDATADIR", "/usr/share/openvswitch"),
		Bin:     or("OVS_BINDIR", "/usr/bin"),
	}
	d.DB = or("OVS_DBDIR", filepath.Join(d.Sysconf, "openvswitch"))
	return d
}

// RunFile is name as it is if absolute, else in the run directory.
func (d Dirs) RunFile(name string) string { return under(d.Run, name) }

func under(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
