package coverage

import (
	"context"
	"errors"
	"strconv"
)

// Registrar takes commands; *unixctl.Server is one.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, h func(ctx context.Context, args []string, reply func(text string, err error)))
}

// errNoCounter is OVS's answer to coverage/read-counter.
//
//lint:ignore ST1005 shown by ovs-appctl
var errNoCounter = errors.New("No such counter")

// RegisterCommands adds coverage/show and coverage/read-counter.
func (r *Registry) RegisterCommands(to Registrar) {
	to.Register("coverage/show", "", 0, 0, func(_ context.Context, _ []string, reply func(string, error)) { reply(r.Show(), nil) })
	to.Register("coverage/read-counter", "COUNTER", 1, 1, func(_ context.Context, args []string, reply func(string, error)) {
		n, ok := r.Total(args[0])
		if !ok {
			reply("", errNoCounter)
			return
		}
		reply(strconv.FormatUint(n, 10), nil)
	})
}

// RegisterCommands adds memory/show.
func (m *Memory) RegisterCommands(to Registrar) {
	to.Register("memory/show", "", 0, 0, func(_ context.Context, _ []string, reply func(string, error)) { reply(m.Show(), nil) })
}
