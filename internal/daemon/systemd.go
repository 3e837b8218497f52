package daemon

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// notifySystemd tells the service manager about the daemon's state, sd_notify(3). Without a manager that
// listens it does nothing.
func notifySystemd(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(name, "@"); ok {
		name = "\x00" + rest // an abstract socket
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "%s\nMAINPID=%d", state, os.Getpid()); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
