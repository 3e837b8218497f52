package daemon

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// identity is who --user makes the daemon.
type identity struct {
	uid, gid int
	groups   []int
}

// lookupUser resolves U, U:G, U: (the user's own group) or :G.
func lookupUser(spec string) (*identity, error) {
	name, group, hasGroup := strings.Cut(spec, ":")
	id := &identity{uid: os.Getuid(), gid: os.Getgid()}
	if name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			u, err = user.LookupId(name)
		}
		if err != nil {
			//lint:ignore ST1005 OVS's words
			return nil, fmt.Errorf("--user=%s: user %s not found, aborting.", spec, name)
		}
		if id.uid, err = strconv.Atoi(u.Uid); err != nil {
			return nil, fmt.Errorf("--user=%s: %w", spec, err)
		}
		if id.gid, err = strconv.Atoi(u.Gid); err != nil {
			return nil, fmt.Errorf("--user=%s: %w", spec, err)
		}
		// Supplementary groups too: the run directory often belongs to one.
		ids, err := u.GroupIds()
		if err != nil {
			return nil, fmt.Errorf("--user=%s: groups: %w", spec, err)
		}
		for _, g := range ids {
			if n, err := strconv.Atoi(g); err == nil {
				id.groups = append(id.groups, n)
			}
		}
	}
	if hasGroup && group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			g, err = user.LookupGroupId(group)
		}
		if err != nil {
			//lint:ignore ST1005 OVS's words
			return nil, fmt.Errorf("--user=%s: group %s not found, aborting.", spec, group)
		}
		if id.gid, err = strconv.Atoi(g.Gid); err != nil {
			return nil, fmt.Errorf("--user=%s: %w", spec, err)
		}
	}
	if !slices.Contains(id.groups, id.gid) {
		id.groups = append(id.groups, id.gid)
	}
	return id, nil
}

// neededCaps are the capabilities that the daemon keeps as another user.
func neededCaps(o *Options) []int {
	caps := []int{
		unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_NET_BROADCAST, // devices, links, sockets
		unix.CAP_BPF, unix.CAP_PERFMON, // programs, maps, the ring
		unix.CAP_SYS_ADMIN,    // mounting bpffs, network namespaces
		unix.CAP_SYS_RESOURCE, // limits of open files
	}
	if o.Mlockall {
		caps = append(caps, unix.CAP_IPC_LOCK)
	}
	if o.HwRawIOAccess {
		caps = append(caps, unix.CAP_SYS_RAWIO)
	}
	return caps
}

// execAs runs this program anew in place of this process, as another user that keeps the needed
// capabilities. It does not return if it succeeds. Doing it by execution gives every thread the new
// identity, which system calls on one thread of a Go process cannot.
func execAs(id *identity, o *Options, exe string, argv, env []string) error {
	handLogTo(id, o.LogFile)
	runtime.LockOSThread() // the identity below is this thread's until it becomes the process
	defer runtime.UnlockOSThread()

	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&hdr, &have[0]); err != nil {
		return fmt.Errorf("--user: capget: %w", err)
	}
	// A container may have less than the list: keep what is there, missing ones show where they are needed.
	caps := slices.DeleteFunc(neededCaps(o), func(c int) bool { return have[c/32].Permitted&(1<<(c%32)) == 0 })
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("--user: keep capabilities: %w", err)
	}
	if err := setIdentity(id); err != nil {
		return err
	}
	var want [2]unix.CapUserData
	for _, c := range caps {
		bit := uint32(1) << (c % 32)
		want[c/32].Effective |= bit
		want[c/32].Permitted |= bit
		want[c/32].Inheritable |= bit
	}
	if err := unix.Capset(&hdr, &want[0]); err != nil {
		return fmt.Errorf("--user: capset: %w", err)
	}
	for _, c := range caps {
		// The ambient set is what survives the execution of a program without file capabilities.
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(c), 0, 0); err != nil {
			return fmt.Errorf("--user: keep capability %d: %w", c, err)
		}
	}
	return fmt.Errorf("--user: exec: %w", syscall.Exec(exe, argv, env))
}

// setIdentity changes this thread only: package syscall's own functions would change all.
func setIdentity(id *identity) error {
	groups := make([]uint32, len(id.groups))
	for i, g := range id.groups {
		groups[i] = uint32(g)
	}
	if err := setGroups(groups); err != nil {
		return fmt.Errorf("--user: setgroups: %w", err)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(id.gid), uintptr(id.gid), uintptr(id.gid)); e != 0 {
		return fmt.Errorf("--user: setresgid: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(id.uid), uintptr(id.uid), uintptr(id.uid)); e != 0 {
		return fmt.Errorf("--user: setresuid: %w", e)
	}
	return nil
}

// handLogTo lets the new user write the log, which may be in a directory of root.
func handLogTo(id *identity, path string) {
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return // opening it as a log says why
	}
	if st, err := f.Stat(); err == nil && st.Mode().Type() == fs.FileMode(0) {
		_ = f.Chown(id.uid, id.gid)
	}
	_ = f.Close()
}
