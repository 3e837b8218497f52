package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pidfile is the file that names the running daemon. Who holds the fcntl lock on it is alive; the kernel
// drops the lock with the process, so a file left behind is no obstacle.
type pidfile struct {
	path string
	file *os.File // kept open: closing any descriptor of it would drop the lock
}

// heldBy is the process that holds the lock on the pidfile at path, 0 if none does.
func heldBy(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%s: open: %w", path, errors.Unwrap(err))
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return 0, fmt.Errorf("%s: fcntl: %w", path, err)
	}
	if lock.Type == unix.F_UNLCK {
		return 0, nil
	}
	// A holder in another pid namespace has no number here; the file has the one that it knows itself by.
	if lock.Pid > 0 {
		return int(lock.Pid), nil
	}
	if pid := readPid(path); pid > 0 {
		return pid, nil
	}
	return 0, fmt.Errorf("%s: locked by a process that is not known here", path)
}

// readPid is the number in a pidfile, 0 if there is none.
func readPid(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// checkPidfile refuses a start while another process holds the pidfile.
func checkPidfile(path string) error {
	pid, err := heldBy(path)
	if err != nil {
		return err
	}
	if pid != 0 {
		return fmt.Errorf("%s: already running as pid %d, aborting", path, pid)
	}
	return nil
}

// claimPidfile writes and locks the pidfile for this process. The file appears under its name only when it
// is complete and locked.
func claimPidfile(path string, overwrite bool) (*pidfile, error) {
	if !overwrite {
		if err := checkPidfile(path); err != nil {
			return nil, err
		}
	}
	// A name of our own: two daemons that start at once must not write to the same file.
	tmp := fmt.Sprintf("%s.tmp%d", path, os.Getpid())
	_ = os.Remove(tmp)
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s: create failed (%w)", tmp, errors.Unwrap(err))
	}
	fail := func(what string, err error) (*pidfile, error) {
		_ = f.Close()
		_ = os.Remove(tmp)
		return nil, fmt.Errorf("%s: %s failed (%w)", path, what, err)
	}
	// 0644 whatever the umask: every user's tools read it.
	if err := f.Chmod(0o644); err != nil {
		return fail("chmod", err)
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return fail("write", err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err != nil {
		return fail("fcntl(F_SETLK)", err)
	}
	release, err := lockDir(filepath.Dir(path))
	if err != nil {
		return fail("lock", err)
	}
	defer release()
	// Under the directory's lock: between the check above and here another daemon may have come first.
	if !overwrite {
		if err := checkPidfile(path); err != nil {
			_ = f.Close()
			_ = os.Remove(tmp)
			return nil, err
		}
	}
	if err := os.Rename(tmp, path); err != nil {
		return fail("rename", err)
	}
	return &pidfile{path, f}, nil
}

// lockDir takes an advisory lock on a directory until release.
func lockDir(dir string) (release func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		_ = d.Close()
		return nil, err
	}
	return func() { _ = d.Close() }, nil
}

// remove unlinks the pidfile, unless another process has put its own in its place.
func (p *pidfile) remove() {
	mine, err := p.file.Stat()
	now, err2 := os.Lstat(p.path)
	if err == nil && err2 == nil && os.SameFile(mine, now) {
		_ = os.Remove(p.path)
	}
}
