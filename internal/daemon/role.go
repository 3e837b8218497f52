package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The roles that an execution of the program can have.
const (
	roleCommand  = ""         // what the user started
	roleUser     = "user"     // the same process after --user
	roleDetached = "detached" // leader of its own session
	roleWorker   = "worker"   // child of a monitor
)

const (
	roleVariable = "OVS_BPFD_ROLE"
	readyFD      = 3 // write end of the pipe to the process that waits for readiness
)

// takeRole reads the role of this execution and hides it from the processes that it starts. ready is the
// pipe for Ready, nil if nobody waits.
func takeRole() (role string, ready *os.File, err error) {
	role = os.Getenv(roleVariable)
	if err := os.Unsetenv(roleVariable); err != nil {
		return "", nil, err
	}
	switch role {
	case roleCommand, roleUser:
		return role, nil, nil
	case roleDetached, roleWorker:
		// Started by hand with the variable set, descriptor 3 might be anything.
		var st unix.Stat_t
		if err := unix.Fstat(readyFD, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
			return "", nil, fmt.Errorf("%s=%s is for the daemon's own use", roleVariable, role)
		}
		unix.CloseOnExec(readyFD)
		return role, os.NewFile(readyFD, "ready"), nil
	}
	return "", nil, fmt.Errorf("%s=%s is for the daemon's own use", roleVariable, role)
}

// withRole is the environment for an execution in that role.
func withRole(role string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, roleVariable+"=") {
			env = append(env, kv)
		}
	}
	return append(env, roleVariable+"="+role)
}

// child is an execution in another role that this process waits for.
type child struct {
	cmd   *exec.Cmd
	ready *os.File
}

// spawn starts this program with the same arguments in the given role and directory ("" for this one).
func spawn(role, dir string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Args = os.Args
	cmd.Dir = dir
	cmd.Env = withRole(role)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	if role == roleDetached {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return &child{cmd, r}, nil
}

// waitReady blocks until the child says that it is ready (true) or ends (false).
func (c *child) waitReady() bool {
	defer c.ready.Close()
	n, _ := c.ready.Read(make([]byte, 1))
	return n == 1
}

// wait blocks until the child ends.
func (c *child) wait() (unix.WaitStatus, error) {
	err := c.cmd.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return 0, err
	}
	return unix.WaitStatus(c.cmd.ProcessState.Sys().(syscall.WaitStatus)), nil
}
