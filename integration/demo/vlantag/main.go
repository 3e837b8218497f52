// Command vlantag tags a device's traffic with one VLAN until it is ended: vlantag DEVICE VID.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/ovs-bpf/ovs-bpf/integration/vlantag"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vlantag:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: vlantag DEVICE VID")
	}
	vid, err := strconv.ParseUint(os.Args[2], 10, 12)
	if err != nil {
		return fmt.Errorf("VID %q: %w", os.Args[2], err)
	}
	tag, err := vlantag.Attach(os.Args[1], vlantag.Tag{TPID: 0x8100, VID: uint16(vid)})
	if err != nil {
		return err
	}
	defer tag.Close()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	return nil
}
