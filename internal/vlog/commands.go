package vlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Registrar takes commands; *unixctl.Server is one.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, h func(ctx context.Context, args []string, reply func(text string, err error)))
	RegisterHidden(name string, minArgs, maxArgs int, h func(ctx context.Context, args []string, reply func(text string, err error)))
}

// anyNumber of arguments.
const anyNumber = int(^uint(0) >> 1)

// RegisterCommands adds the vlog/ commands.
func (l *Log) RegisterCommands(r Registrar) {
	add := func(name, usage string, maxArgs int, run func(args []string) (string, error)) {
		r.Register(name, usage, 0, maxArgs, func(_ context.Context, args []string, reply func(string, error)) { reply(run(args)) })
	}
	add("vlog/set", "{spec | PATTERN:destination:pattern}", anyNumber, func(args []string) (string, error) { return "", l.SetAll(args...) })
	add("vlog/list", "", 0, func([]string) (string, error) { return l.List(), nil })
	add("vlog/list-pattern", "", 0, func([]string) (string, error) { return l.ListPatterns(), nil })
	add("vlog/reopen", "", 0, func([]string) (string, error) { return "", l.Reopen() })
	add("vlog/close", "", 0, func([]string) (string, error) { l.CloseFile(); return "", nil })
	add("vlog/enable-rate-limit", "[module]...", anyNumber, func(args []string) (string, error) { return "", l.SetRateLimits(true, args...) })
	add("vlog/disable-rate-limit", "[module]...", anyNumber, func(args []string) (string, error) { return "", l.SetRateLimits(false, args...) })
	r.RegisterHidden("vlog/message", 1, anyNumber, func(_ context.Context, args []string, reply func(string, error)) {
		l.Module("vlog").Info(strings.Join(args, " "))
		reply("", nil)
	})
}

// List is the text of vlog/list: each module's level per destination.
func (l *Log) List() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	b.WriteString("                 console    syslog    file\n")
	b.WriteString("                 -------    ------    ------\n")
	for _, n := range slices.Sorted(maps.Keys(l.modules)) {
		m := l.modules[n]
		fmt.Fprintf(&b, "%-16s  %4s       %4s       %4s\n", n, m.levels[Console], m.levels[Syslog], m.levels[File])
	}
	return b.String()
}

// ListPatterns is the text of vlog/list-pattern.
func (l *Log) ListPatterns() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	b.WriteString("         prefix                            format\n")
	b.WriteString("         ------                            ------\n")
	for d := range numDestinations {
		prefix := "none"
		if d == Syslog && l.syslog.shown != "" {
			prefix = l.syslog.shown
		}
		fmt.Fprintf(&b, "%-7s  %-32s  %s\n", d, prefix, l.patterns[d].text)
	}
	return b.String()
}
