package dummy

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// patience is how long a step of time/warp waits for those whose timers fired. Not all of them still wait.
const patience = 2 * time.Millisecond

var errMsecs = errors.New("invalid MSECS")

// RegisterTime adds time/stop and time/warp.
func RegisterTime(r Registrar, w *clock.Warp, b Bridges) {
	r.Register("time/stop", "", 0, 0, func(_ context.Context, _ []string, reply func(string, error)) {
		w.Stop()
		reply("", nil)
	})
	r.Register("time/warp", "[large_msecs] msecs", 1, 2, func(ctx context.Context, args []string, reply func(string, error)) {
		total, step, err := parseWarp(args)
		if err != nil {
			reply("", err)
			return
		}
		for total > 0 && ctx.Err() == nil {
			advance(ctx, w, min(step, total), b)
			total -= min(step, total)
		}
		reply("warped", ctx.Err())
	})
}

// advance moves the clock by one step and has everybody do what is due.
func advance(ctx context.Context, w *clock.Warp, d time.Duration, b Bridges) {
	pending := w.Advance(d)
	for start := time.Now(); pending() > 0 && time.Since(start) < patience; {
		time.Sleep(patience / 40)
	}
	b.Settle(ctx)
}

// parseWarp reads [LARGE_MSECS] MSECS: how far to go, in steps of how much.
func parseWarp(args []string) (total, step time.Duration, err error) {
	var ms [2]int64
	for i, a := range args {
		n, err := strconv.ParseInt(a, 10, 64)
		if err != nil || n < 0 || n > int64(time.Duration(1<<63-1)/time.Millisecond) {
			return 0, 0, errMsecs
		}
		ms[i] = n
	}
	total, step = time.Duration(ms[0])*time.Millisecond, time.Duration(ms[len(args)-1])*time.Millisecond
	if step == 0 {
		return 0, 0, errMsecs
	}
	if total == 0 {
		total = step
	}
	return total, step, nil
}
