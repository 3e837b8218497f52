package main

import (
	"context"

	"github.com/ovs-bpf/ovs-bpf/bridge"
	"github.com/ovs-bpf/ovs-bpf/internal/unixctl"
)

// registerIdle adds the commands that the daemon has while the database's lock is not its own: there are no bridges then, which
// is what those that name one are told. The stock daemon has more of them; those of ours come with the lock.
func registerIdle(s *unixctl.Server) {
	noBridge := func(_ context.Context, args []string, reply func(string, error)) {
		if len(args) > 0 {
			reply("", bridge.ErrUnknownBridge)
			return
		}
		reply("", nil)
	}
	s.Register("bridge/dump-flows", "[--offload-stats] bridge", 1, 2, noBridge)
	s.Register("bridge/reconnect", "[bridge]", 0, 1, noBridge)
}
