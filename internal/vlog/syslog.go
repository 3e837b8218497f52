package vlog

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// facilities of syslog(3), shifted into place for the priority.
var facilities = map[string]int{
	"user": 1 << 3, "mail": 2 << 3, "daemon": 3 << 3, "auth": 4 << 3, "syslog": 5 << 3, "lpr": 6 << 3, "news": 7 << 3,
	"uucp": 8 << 3, "clock": 9 << 3, "ftp": 11 << 3, "ntp": 12 << 3, "audit": 13 << 3, "alert": 14 << 3, "clock2": 15 << 3,
	"local0": 16 << 3, "local1": 17 << 3, "local2": 18 << 3, "local3": 19 << 3,
	"local4": 20 << 3, "local5": 21 << 3, "local6": 22 << 3, "local7": 23 << 3,
}

const (
	devLog         = "/dev/log"
	targetFacility = 16 << 3 // --syslog-target's messages are local0
	retryAfter     = time.Second
	sendTimeout    = 100 * time.Millisecond
	defaultPort    = "514"
)

// targetPattern is the form of RFC 5424, with the byte order mark that its UTF-8 text begins with.
var targetPattern = parsePattern("<%B>1 %D{%Y-%m-%dT%H:%M:%S.###Z} %E %A %P %c - \xef\xbb\xbf%m")

// syslogSink is one of the methods of --syslog-method.
type syslogSink struct {
	out *datagram // nil for the method null
	// shown is the prefix in vlog/list-pattern, prefix the one of the messages.
	shown  string
	prefix pattern
}

// libcSink speaks to the system's logger as syslog(3) of the C library does; the shown prefix is OVS's.
func libcSink() syslogSink {
	return syslogSink{
		out:    &datagram{network: "unixgram", address: devLog},
		shown:  "<%B> %D{%h %e %T} %E %A:",
		prefix: parsePattern("<%B>%d{%h %e %T} %A: "),
	}
}

func nullSink() syslogSink { return syslogSink{} }

// SetSyslogMethod obeys --syslog-method: libc, unix:FILE, udp:IP:PORT or null.
func (l *Log) SetSyslogMethod(method string) error {
	s := nullSink()
	kind, rest, _ := strings.Cut(method, ":")
	switch {
	case method == "libc":
		s = libcSink()
	case method == "null":
	case kind == "unix" && rest != "":
		s = syslogSink{out: &datagram{network: "unixgram", address: rest}, shown: "<%B>", prefix: parsePattern("<%B>")}
	case kind == "udp" && rest != "":
		if _, err := netip.ParseAddrPort(rest); err != nil {
			return fmt.Errorf("syslog method '%s': %w", method, err)
		}
		head, _, _ := strings.Cut(targetPattern.text, "%m")
		s = syslogSink{out: &datagram{network: "udp", address: rest}, shown: head, prefix: parsePattern(head)}
	default:
		return fmt.Errorf("unsupported syslog method '%s'", method)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.syslog.close()
	l.syslog = s
	return nil
}

// SetSyslogTarget also sends every syslog message by UDP to HOST[:PORT] in the form of RFC 5424.
func (l *Log) SetSyslogTarget(target string) error {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		host, port = strings.Trim(target, "[]"), defaultPort
	}
	if host == "" {
		return fmt.Errorf("syslog target '%s': no host", target)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.target != nil {
		l.target.close()
	}
	l.target = &datagram{network: "udp", address: net.JoinHostPort(host, port)}
	return nil
}

func (s *syslogSink) send(r *record, p pattern) {
	if s.out != nil {
		s.out.send(p.append(s.prefix.append(nil, r), r), r.time)
	}
}

func (s *syslogSink) close() {
	if s.out != nil {
		s.out.close()
	}
}

// datagram is a socket to a logger that may be absent or restarted: messages that cannot be delivered are
// dropped, and the connection is tried again at most once in retryAfter.
type datagram struct {
	network, address string
	conn             net.Conn
	tried            time.Time
}

func (d *datagram) send(msg []byte, now time.Time) {
	for range 2 { // the second time over a fresh socket, when the logger was restarted
		if d.conn == nil && !d.dial(now) {
			return
		}
		_ = d.conn.SetWriteDeadline(time.Now().Add(sendTimeout))
		if _, err := d.conn.Write(msg); err == nil {
			return
		}
		d.close()
	}
}

func (d *datagram) dial(now time.Time) bool {
	if !d.tried.IsZero() && now.Sub(d.tried).Abs() < retryAfter {
		return false
	}
	d.tried = now
	c, err := net.DialTimeout(d.network, d.address, sendTimeout)
	if err != nil {
		return false
	}
	d.conn = c
	return true
}

func (d *datagram) close() {
	if d.conn != nil {
		_ = d.conn.Close()
		d.conn = nil
	}
}
