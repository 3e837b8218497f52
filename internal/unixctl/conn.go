package unixctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxRequest is the most bytes of one request: the longest arguments are packets in hexadecimal.
	maxRequest = 1 << 20
	// writeChunk bytes must be taken by the client within writeTimeout, else it is cut off.
	writeChunk   = 1 << 16
	writeTimeout = 10 * time.Second
)

var errTooLong = errors.New("request too long")

// conn is one client. It has one request under way at a time, as in OVS.
type conn struct {
	server *Server
	nc     *net.UnixConn
	json   atomic.Bool  // set-options changes it while later requests may read it
	busy   atomic.Bool  // a request is under way: read by evict
	gone   atomic.Bool  // evicted already: read by evict
	since  atomic.Int64 // end of the last request, in Unix nanoseconds: read by evict
}

func newConn(s *Server, nc *net.UnixConn) *conn {
	c := &conn{server: s, nc: nc}
	c.since.Store(time.Now().UnixNano())
	return c
}

type request struct {
	Method *string           `json:"method"`
	Params []json.RawMessage `json:"params"`
	ID     json.RawMessage   `json:"id"`
}

type result struct {
	ID     json.RawMessage `json:"id"`
	Result any             `json:"result"`
	Error  any             `json:"error"`
}

type failure struct {
	ID    json.RawMessage `json:"id"`
	Error string          `json:"error"`
}

type answer struct {
	text string
	err  error
}

// serve reads requests and answers them until the client or the server ends, or the client breaks the
// protocol: then the connection is closed, as OVS does.
func (c *conn) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithValue(ctx, connKey{}, c))
	defer cancel()
	// The end of the context ends a read that is under way, but not the writing of a reply.
	unread := context.AfterFunc(ctx, func() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) })
	defer unread()
	defer c.nc.Close()

	requests := make(chan *request)
	go func() {
		// Reads ahead by one request, so that a client that goes away while it waits for its answer is noticed.
		defer cancel()
		defer close(requests)
		in := &limitedReader{r: c.nc}
		dec := json.NewDecoder(in)
		dec.DisallowUnknownFields()
		for {
			in.left = maxRequest
			r := new(request)
			if dec.Decode(r) != nil || !r.valid() {
				return
			}
			select {
			case requests <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	for r := range requests {
		c.busy.Store(true)
		ok := c.answer(ctx, r)
		c.since.Store(time.Now().UnixNano())
		c.busy.Store(false)
		if !ok {
			cancel()
			_ = c.nc.Close()
			for range requests { // until the reader has ended
			}
			return
		}
	}
}

// valid says whether a message is a request with an id; notifications and replies are none.
func (r *request) valid() bool {
	return r.Method != nil && r.Params != nil && len(r.ID) > 0 && !bytes.Equal(r.ID, []byte("null"))
}

// answer runs one request and writes the reply. It says whether the connection is still good.
func (c *conn) answer(ctx context.Context, r *request) bool {
	cmd, args, err := c.server.find(*r.Method, r.Params)
	if err != nil {
		return c.write(failure{r.ID, line(err.Error())})
	}
	done := make(chan answer, 1)
	asJSON := c.json.Load()
	cmd.run(ctx, args, func(text string, err error) {
		select {
		case done <- answer{text, err}:
		default: // answered already
		}
	})
	var a answer
	select {
	case a = <-done:
	case <-ctx.Done():
		// The server's end may race with the reply that was given just before it (exit).
		select {
		case a = <-done:
		default:
			return false
		}
	}
	switch {
	case a.err != nil:
		return c.write(failure{r.ID, line(a.err.Error())})
	case asJSON && cmd.json && json.Valid([]byte(a.text)):
		return c.write(result{ID: r.ID, Result: json.RawMessage(a.text)})
	case asJSON:
		// The form that OVS gives to the text of commands without a JSON form.
		return c.write(result{ID: r.ID, Result: map[string]string{"reply-format": "plain", "reply": line(a.text)}})
	}
	return c.write(result{ID: r.ID, Result: line(a.text)})
}

// line ends a text that is not empty with a newline.
func line(s string) string {
	if s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}

func (c *conn) write(v any) bool {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return false
	}
	out := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	for len(out) > 0 {
		n := min(len(out), writeChunk)
		if c.nc.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
			return false
		}
		if _, err := c.nc.Write(out[:n]); err != nil {
			return false
		}
		out = out[n:]
	}
	return true
}

// limitedReader fails once a request has used up its bytes.
type limitedReader struct {
	r    io.Reader
	left int
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// pause waits a moment before accept is tried again.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
}
