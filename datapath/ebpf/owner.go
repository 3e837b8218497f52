package ebpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Symbolic links in a pin directory, the only thing on a bpffs that can hold a text: whose it is.
const (
	ownerRunDir = "owner_rundir" // run directory
	ownerNetns  = "owner_netns"  // inode of the network namespace
	ownerMntns  = "owner_mntns"  // inode of the mount namespace, in which the run directory is
)

// Claim makes a pin directory for the agent of a run directory, in the calling thread's namespaces, and notes in it whose it is,
// so that the next agent on this host can tell when nobody comes back for it.
func Claim(pinDir, runDir string) error {
	runDir, err := filepath.Abs(runDir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(pinDir, 0o700); err != nil {
		return fmt.Errorf("make pin directory: %w", err)
	}
	if !isBPFFS(pinDir) {
		return fmt.Errorf("pin directory %s is not on a bpffs", pinDir)
	}
	notes := map[string]string{ownerRunDir: runDir}
	for name, ns := range map[string]string{ownerNetns: "net", ownerMntns: "mnt"} {
		ino, err := inode("/proc/thread-self/ns/" + ns)
		if err != nil {
			return fmt.Errorf("namespace of this thread: %w", err)
		}
		notes[name] = strconv.FormatUint(ino, 10)
	}
	for name, text := range notes {
		path := filepath.Join(pinDir, name)
		if old, err := os.Readlink(path); err == nil && old == text {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("note the owner of pins: %w", err)
		}
		if err := os.Symlink(text, path); err != nil {
			return fmt.Errorf("note the owner of pins: %w", err)
		}
	}
	return nil
}

func inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// Stale is a pin directory that was removed.
type Stale struct{ Dir, Reason string }

// RemoveStale removes the pin directories in base of instances that are dead and that nobody can come back for: nobody holds
// them, and either their run directory is gone, or their network namespace with all their devices. When in doubt a
// directory stays: its instance may be stopped, and forwarding. Errors name what could not be removed, or is not ours.
func RemoveStale(base string) (removed []Stale, err error) {
	ents, err := os.ReadDir(base)
	if err != nil {
		return nil, fmt.Errorf("list pin directories: %w", err)
	}
	var errs []error
	for _, e := range ents {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(base, e.Name())
		reason, err := removeIfStale(dir)
		switch {
		case err != nil:
			errs = append(errs, err)
		case reason != "":
			removed = append(removed, Stale{dir, reason})
		}
	}
	return removed, errors.Join(errs...)
}

func removeIfStale(dir string) (reason string, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return "", fmt.Errorf("open pin directory: %w", err)
	}
	defer f.Close()
	// The lock is only tried where it seems that nobody is there: an instance that starts would find its directory in use.
	if stale(dir) == "" || unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return "", nil // its instance lives, or may come back
	}
	if reason = stale(dir); reason == "" {
		return "", nil
	}
	if err := checkOurs(dir); err != nil {
		return "", fmt.Errorf("pins of a dead instance (%s) stay: %w", reason, err)
	}
	return reason, removeTree(dir)
}

// stale says why nobody comes back for a pin directory, "" if somebody may.
func stale(dir string) string {
	runDir, err := os.Readlink(filepath.Join(dir, ownerRunDir))
	if err != nil || !filepath.IsAbs(runDir) {
		return ""
	}
	// A path means nothing outside its mount namespace.
	here, err := inode("/proc/thread-self/ns/mnt")
	if note, nerr := os.Readlink(filepath.Join(dir, ownerMntns)); err == nil && nerr == nil && note == strconv.FormatUint(here, 10) {
		if _, err := os.Lstat(runDir); errors.Is(err, os.ErrNotExist) {
			return fmt.Sprintf("its run directory %s does not exist any more", runDir)
		}
	}
	note, err := os.Readlink(filepath.Join(dir, ownerNetns))
	if err != nil {
		return ""
	}
	if ino, err := strconv.ParseUint(note, 10, 64); err == nil && !namespaceInUse(ino) && allDetached(dir) {
		return fmt.Sprintf("its network namespace (of %s) is gone with all devices", runDir)
	}
	return ""
}

// namespaceInUse reports whether a process or a mounted name has a network namespace. Open files may hold one too: therefore
// allDetached has the last word.
func namespaceInUse(ino uint64) bool {
	for _, pattern := range []string{"/proc/[0-9]*/ns/net", "/run/netns/*"} {
		paths, _ := filepath.Glob(pattern)
		for _, p := range paths {
			if got, err := inode(p); err == nil && got == ino {
				return true
			}
		}
	}
	return false
}

// allDetached reports whether an instance had links, and the devices of all are gone.
func allDetached(dir string) bool {
	paths, _ := filepath.Glob(filepath.Join(dir, "v*", "link_*"))
	for _, p := range paths {
		l, err := link.LoadPinnedLink(p, nil)
		if err != nil {
			return false
		}
		info, err := l.Info()
		l.Close()
		if err != nil || info.TCX() == nil || info.TCX().Ifindex != 0 {
			return false
		}
	}
	return len(paths) > 0
}

var (
	layoutName = regexp.MustCompile(`^(v\d+_[0-9a-f]{16}|next)$`)
	pinName    = regexp.MustCompile(`^(ring_[0-9]+|map_\w+|progs_\d+|link_\d+_(ingress|egress|underlay))$`)
)

// checkOurs refuses a pin directory in which somebody has put something that is not ours.
func checkOurs(dir string) error {
	ents, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read pin directory: %w", err)
	}
	for _, e := range ents {
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "owner_") && e.Type()&os.ModeSymlink != 0:
		case layoutName.MatchString(e.Name()) && e.IsDir():
			if err := checkLayout(path); err != nil {
				return err
			}
		default:
			return notOurs(path)
		}
	}
	return nil
}

// checkLayout does so for the directory of one layout.
func checkLayout(dir string) error {
	ents, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read pin directory: %w", err)
	}
	for _, e := range ents {
		if !pinName.MatchString(e.Name()) || !e.Type().IsRegular() {
			return notOurs(filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

func notOurs(path string) error {
	return fmt.Errorf("%s is not a pin of this program: remove it", path)
}
