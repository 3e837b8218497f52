package unixctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Handler runs one command. It calls reply exactly once, at once or later from any goroutine (later calls
// have no effect); reply never blocks. Commands of different clients run at the same time. ctx ends when
// the client goes away or the server closes. It is an alias so that packages can state the interface they
// need without importing this one.
type Handler = func(ctx context.Context, args []string, reply func(text string, err error))

// Unlimited as the maximum of Register allows any number of arguments.
const Unlimited = int(^uint(0) >> 1)

type command struct {
	usage    string
	min, max int
	json     bool
	run      Handler
}

// Register adds a command that list-commands shows, with min to max arguments. Registering a name again
// replaces the command.
func (s *Server) Register(name, usage string, minArgs, maxArgs int, h Handler) {
	s.register(name, &command{usage: usage, min: minArgs, max: maxArgs, run: h})
}

// RegisterHidden adds a command that list-commands does not show.
func (s *Server) RegisterHidden(name string, minArgs, maxArgs int, h Handler) {
	s.register(name, &command{min: minArgs, max: maxArgs, run: h, usage: hidden})
}

// RegisterJSON adds a command that answers with a JSON document when the client has asked for it by
// set-options (WantsJSON) and with text otherwise.
func (s *Server) RegisterJSON(name, usage string, minArgs, maxArgs int, h Handler) {
	s.register(name, &command{usage: usage, min: minArgs, max: maxArgs, run: h, json: true})
}

// hidden as a usage marks a command that list-commands leaves out; no usage has a NUL.
const hidden = "\x00"

func (s *Server) register(name string, c *command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands[name] = c
}

// Unregister removes a command.
func (s *Server) Unregister(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.commands, name)
}

// Text is a handler for a command whose answer is always at hand.
func Text(answer func() string) Handler {
	return func(_ context.Context, _ []string, reply func(string, error)) { reply(answer(), nil) }
}

// find is the command for a request, or the error that the client gets.
func (s *Server) find(name string, args []json.RawMessage) (*command, []string, error) {
	s.mu.Lock()
	c := s.commands[name]
	s.mu.Unlock()
	if c == nil {
		return nil, nil, fmt.Errorf(`"%s" is not a valid command (use "list-commands" to see a list of valid commands)`, name)
	}
	if len(args) < c.min {
		return nil, nil, fmt.Errorf(`"%s" command requires at least %d arguments`, name, c.min)
	}
	if len(args) > c.max {
		return nil, nil, fmt.Errorf(`"%s" command takes at most %d arguments`, name, c.max)
	}
	words := make([]string, len(args))
	for i, a := range args {
		var w *string
		if json.Unmarshal(a, &w) != nil || w == nil {
			return nil, nil, fmt.Errorf(`"%s" command has non-string argument`, name)
		}
		words[i] = *w
	}
	return c, words, nil
}

// listCommands answers list-commands.
func (s *Server) listCommands() string { return s.List("") }

// List is the text of list-commands of the commands whose names begin with prefix: names in order, padded to 23 columns,
// then the usage.
func (s *Server) List(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.commands))
	for n, c := range s.commands {
		if c.usage != hidden && strings.HasPrefix(n, prefix) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("The available commands are:\n")
	for _, n := range names {
		fmt.Fprintf(&b, "  %-23s %s\n", n, s.commands[n].usage)
	}
	return b.String()
}

type connKey struct{}

// WantsJSON says whether the client of this request has chosen JSON by set-options.
func WantsJSON(ctx context.Context) bool {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c != nil && c.json.Load()
}

// setOptions answers set-options: the output format of this connection's further commands.
func setOptions(ctx context.Context, args []string, reply func(string, error)) {
	c, _ := ctx.Value(connKey{}).(*conn)
	if c == nil {
		reply("", errors.New("set-options needs a connection"))
		return
	}
	asJSON := c.json.Load()
	for i := 0; i < len(args); i += 2 {
		switch {
		case args[i] != "--format":
			reply("", fmt.Errorf("invalid option -- %s", args[i]))
			return
		case i+1 == len(args):
			reply("", fmt.Errorf("option requires an argument -- %s", args[i]))
			return
		case args[i+1] == "json":
			asJSON = true
		case args[i+1] == "text":
			asJSON = false
		default:
			reply("", fmt.Errorf("option %s has invalid value %s", args[i], args[i+1]))
			return
		}
	}
	c.json.Store(asJSON)
	reply("", nil)
}
