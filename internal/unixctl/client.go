package unixctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// CommandError is the daemon's refusal of a command, without the final newline.
type CommandError struct{ Text string }

func (e *CommandError) Error() string { return e.Text }

// maxReply bounds what Call reads: dumps of a full flow table are tens of megabytes.
const maxReply = 1 << 30

// Call runs one command on the daemon whose control socket is at path and gives its text. A *CommandError
// is the daemon's own answer; any other error is about reaching it.
func Call(ctx context.Context, path, cmd string, args ...string) (string, error) {
	c, err := Dial(ctx, path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if args == nil {
		args = []string{}
	}
	req, err := json.Marshal(map[string]any{"method": cmd, "params": args, "id": 0})
	if err != nil {
		return "", err
	}
	if _, err := c.Write(req); err != nil {
		return "", fmt.Errorf("%s: send: %w", path, err)
	}
	var r struct {
		Result *string `json:"result"`
		Error  *string `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(c, maxReply)).Decode(&r); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("%s: %s: %w", path, cmd, err)
	}
	switch {
	case r.Error != nil:
		return "", &CommandError{trimNewline(*r.Error)}
	case r.Result == nil:
		return "", fmt.Errorf("%s: %s: %w", path, cmd, errors.New("reply without a result"))
	}
	return *r.Result, nil
}

func trimNewline(s string) string {
	if n := len(s); n > 0 && s[n-1] == '\n' {
		return s[:n-1]
	}
	return s
}
