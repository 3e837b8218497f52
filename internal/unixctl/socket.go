package unixctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxPath is the longest name that fits sockaddr_un with its final NUL.
const maxPath = 107

// Listen makes a unix stream listener at path with mode 0770 less the umask. A socket that is there already
// is replaced: the caller's lock (the pidfile) decides who may own the name. Any other kind of file is
// refused. The socket file is the caller's to remove.
func Listen(path string) (*net.UnixListener, error) {
	switch st, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case st.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s exists and is not a socket", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove stale socket: %w", err)
		}
	}
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	// The mode is put on the socket before it gets its name, so that it is never wider for a moment.
	cfg := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		var chmod error
		err := rc.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o770) })
		return errors.Join(err, chmod)
	}}
	l, err := cfg.Listen(context.Background(), "unix", short)
	if err != nil {
		return nil, named(path, err)
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false) // it would remove the short name
	return ul, nil
}

// Dial connects to the unix stream socket at path, whatever the length of its name.
func Dial(ctx context.Context, path string) (*net.UnixConn, error) {
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", short)
	if err != nil {
		return nil, named(path, err)
	}
	return c.(*net.UnixConn), nil
}

// shorten gives another name of path that fits a socket address, good until release.
func shorten(path string) (short string, release func(), err error) {
	if len(path) <= maxPath {
		return path, func() {}, nil
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &fs.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	return "/proc/self/fd/" + strconv.Itoa(fd) + "/" + filepath.Base(path), func() { _ = unix.Close(fd) }, nil
}

// named puts the real name in an error of package net.
func named(path string, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return &fs.PathError{Op: op.Op, Path: path, Err: op.Err}
	}
	return err
}
