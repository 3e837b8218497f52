package ovsdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// defaultPort is OVSDB's (IANA).
const defaultPort = "6640"

// maxSunPath is the longest name of a unix socket that fits sockaddr_un, without the final NUL.
const maxSunPath = 107

// remote is where a server listens, in the syntax of ovsdb(7).
type remote struct {
	text    string // as the user wrote it
	network string // "unix" or "tcp"
	address string // absolute path, or host:port
	tls     *tls.Config
}

// parseRemotes reads a list of remotes, separated by commas.
func parseRemotes(text string, config *tls.Config) ([]remote, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("no remote is given; for example unix:/run/openvswitch/db.sock")
	}
	var list []remote
	for _, part := range strings.Split(text, ",") {
		r, err := parseRemote(strings.TrimSpace(part), config)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func parseRemote(text string, config *tls.Config) (remote, error) {
	bad := func(format string, args ...any) (remote, error) {
		return remote{}, fmt.Errorf("remote %q: %w", text, fmt.Errorf(format, args...))
	}
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok {
		return bad("not of the form unix:PATH, tcp:HOST[:PORT] or ssl:HOST[:PORT]")
	}
	r := remote{text: text}
	switch scheme {
	case "unix":
		if rest == "" {
			return bad("the socket's name is missing")
		}
		path, err := filepath.Abs(rest)
		if err != nil {
			return bad("%w", err)
		}
		r.network, r.address = "unix", path
	case "tcp", "ssl":
		address, err := hostPort(rest)
		if err != nil {
			return bad("%w", err)
		}
		r.network, r.address = "tcp", address
		if scheme == "ssl" {
			if config == nil {
				return bad("ssl needs a private key, a certificate and a CA certificate, and none are configured")
			}
			r.tls = config
		}
	case "ptcp", "pssl", "punix":
		return bad("passive remotes are not supported: the switch connects to the database")
	default:
		return bad("unknown connection method %q: want unix, tcp or ssl", scheme)
	}
	return r, nil
}

// hostPort reads HOST[:PORT], with brackets around an IPv6 address.
func hostPort(text string) (string, error) {
	host, port := text, defaultPort
	if strings.HasPrefix(text, "[") {
		inside, after, ok := strings.Cut(text[1:], "]")
		if !ok || (after != "" && after[0] != ':') {
			return "", errors.New("malformed address in brackets")
		}
		host = inside
		if after != "" {
			port = after[1:]
		}
	} else if h, p, ok := strings.Cut(text, ":"); ok {
		if strings.Contains(p, ":") {
			return "", errors.New("an IPv6 address needs brackets")
		}
		host, port = h, p
	}
	if host == "" {
		return "", errors.New("the host is missing")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("bad port number %q: want 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// dial connects.
func (r remote) dial(ctx context.Context) (net.Conn, error) {
	address, release, err := r.reach()
	if err != nil {
		return nil, err
	}
	defer release()
	if r.tls != nil {
		return (&tls.Dialer{Config: r.tls}).DialContext(ctx, r.network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, r.network, address)
}

// reach is an address that can be connected to until release is called. Names of sockets that are too long
// for sockaddr_un are reached through a descriptor of their directory.
func (r remote) reach() (address string, release func(), err error) {
	if r.network != "unix" || len(r.address) <= maxSunPath {
		return r.address, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(r.address))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(r.address)), func() { dir.Close() }, nil
}

// endpoint is what libovsdb wants to read for an address of reach.
func (r remote) endpoint(address string) string {
	switch {
	case r.network == "unix":
		return (&url.URL{Scheme: "unix", Path: address}).String()
	case r.tls != nil:
		return "ssl:" + address
	}
	return "tcp:" + address
}
