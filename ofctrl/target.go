package ofctrl

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

// defaultPort is OpenFlow's.
const defaultPort = 6653

// target is where a controller is, or where controllers may come.
type target struct {
	network string // "tcp", "unix"
	address string // host:port, path
	passive bool
	tls     bool
}

// parseTarget reads the text form of Controller.target.
func (s *Switch) parseTarget(text string) (target, error) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok {
		return target{}, fmt.Errorf("controller %q: want TYPE:ADDRESS, as tcp:192.0.2.1:6653", text)
	}
	var t target
	var err error
	switch kind {
	case "tcp", "ssl":
		t.network, t.tls = "tcp", kind == "ssl"
		t.address, err = hostPort(rest, true)
	case "ptcp", "pssl":
		t.network, t.passive, t.tls = "tcp", true, kind == "pssl"
		port, host, _ := strings.Cut(rest, ":")
		if port == "" {
			port = strconv.Itoa(defaultPort)
		}
		if _, err = strconv.ParseUint(port, 10, 16); err != nil {
			err = fmt.Errorf("port %q is not 0 to 65535", port)
			break
		}
		t.address = net.JoinHostPort(strings.Trim(host, "[]"), port)
	case "unix", "punix":
		t.network, t.passive = "unix", kind == "punix"
		t.address, err = s.socketPath(rest, t.passive)
	default:
		err = fmt.Errorf("unknown type %q: want tcp, ssl, unix, ptcp, pssl or punix", kind)
	}
	if err != nil {
		return target{passive: t.passive}, fmt.Errorf("controller %q: %w", text, err)
	}
	return t, nil
}

// hostPort reads HOST[:PORT], HOST in brackets when it is an IPv6 address.
func hostPort(text string, needHost bool) (string, error) {
	host, port := text, strconv.Itoa(defaultPort)
	if strings.HasPrefix(text, "[") {
		end := strings.Index(text, "]")
		if end < 0 {
			return "", fmt.Errorf("address %q lacks a ]", text)
		}
		host = text[1:end]
		if rest := text[end+1:]; rest != "" {
			if rest[0] != ':' {
				return "", fmt.Errorf("address %q: want [HOST]:PORT", text)
			}
			port = rest[1:]
		}
	} else if i := strings.LastIndex(text, ":"); i >= 0 {
		if strings.Count(text, ":") > 1 {
			return "", fmt.Errorf("address %q: an IPv6 address stands in brackets", text)
		}
		host, port = text[:i], text[i+1:]
	}
	if host == "" && needHost {
		return "", errors.New("host name is missing")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// socketPath resolves and confines the path of a Unix socket: who can write the database shall
// not reach any socket of the system or overwrite any file. Connections may go to sockets in the
// run directory, listeners are made as RUNDIR/BRIDGE.NAME.
func (s *Switch) socketPath(path string, passive bool) (string, error) {
	if path == "" {
		return "", errors.New("path of the socket is missing")
	}
	run := filepath.Clean(s.o.RunDir)
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(run, full)
	}
	full = filepath.Clean(full)
	if s.o.AnySocketPath {
		return full, nil
	}
	if passive {
		if filepath.Dir(full) != run || !strings.HasPrefix(filepath.Base(full), s.o.Bridge+".") {
			return "", fmt.Errorf("not adding a socket that could overwrite another file: want punix:%s/%s.NAME, or connect to unix:%s/%s.mgmt, which is always there",
				run, s.o.Bridge, run, s.o.Bridge)
		}
		if full == filepath.Join(run, s.o.Bridge+".mgmt") || full == filepath.Join(run, s.o.Bridge+".snoop") {
			return "", errors.New("that socket is the bridge's own, which is always there")
		}
		return full, nil
	}
	if !strings.HasPrefix(full, run+"/") {
		return "", fmt.Errorf("not connecting to a socket outside of the run directory: want unix:%s/NAME", run)
	}
	return full, nil
}
