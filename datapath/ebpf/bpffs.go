package ebpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// sysBPFFS is where a bpffs usually is.
const sysBPFFS = "/sys/fs/bpf"

func isBPFFS(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.BPF_FS_MAGIC
}

// FindBPFFS returns a directory that is a bpffs: /sys/fs/bpf if it is one ("ip netns exec"
// hides it), else rundir/bpffs, which it makes and mounts if need be.
func FindBPFFS(rundir string) (string, error) {
	if isBPFFS(sysBPFFS) {
		return sysBPFFS, nil
	}
	dir := filepath.Join(rundir, "bpffs")
	if isBPFFS(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("%s is no bpffs, and no other can be made: %w", sysBPFFS, err)
	}
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=0700"); err != nil {
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("missing capability: CAP_SYS_ADMIN (to mount it): %w", err)
		}
		return "", errors.Join(fmt.Errorf("%s is no bpffs, and none can be mounted on %s: %w", sysBPFFS, dir, err), os.Remove(dir))
	}
	return dir, nil
}

// UnmountBPFFS undoes FindBPFFS: it unmounts rundir/bpffs, if that is one, once nothing is pinned there.
func UnmountBPFFS(rundir string) error {
	dir := filepath.Join(rundir, "bpffs")
	if !isBPFFS(dir) {
		return nil
	}
	pinned := false
	if err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		// The kernel itself puts maps.debug and progs.debug there; pins have no dots.
		if err == nil && !e.IsDir() && filepath.Ext(e.Name()) == "" {
			pinned = true
		}
		return nil
	}); err != nil || pinned {
		return err
	}
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return os.Remove(dir)
}
