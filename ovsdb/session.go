package ovsdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// errClosed ends calls on a session that was closed by its owner.
var errClosed = errors.New("session is closed")

// session is a JSON-RPC connection to an OVSDB server (RFC 7047 section 4). Its two goroutines are stopped by close.
type session struct {
	conn   net.Conn
	notify func(method string, params json.RawMessage) // called in order; must not block
	done   chan struct{}                               // closed when the connection has ended

	writeMu sync.Mutex // one message at a time on conn

	mu      sync.Mutex
	nextID  uint64
	pending map[string]func(json.RawMessage, error)
	err     error // why done is closed
}

// message is any of JSON-RPC 1.0's three.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

func newSession(conn net.Conn, notify func(string, json.RawMessage)) *session {
	s := &session{conn: conn, notify: notify, done: make(chan struct{}), pending: map[string]func(json.RawMessage, error){}}
	go s.read()
	return s
}

// close ends the session and waits for its reader.
func (s *session) close() {
	s.fail(errClosed)
	<-s.done
}

// fail ends the connection for a reason; the first one counts.
func (s *session) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.conn.Close()
}

func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *session) read() {
	defer close(s.done)
	dec := json.NewDecoder(s.conn)
	for {
		var m message
		if err := dec.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("connection closed by peer")
			}
			s.fail(err)
			break
		}
		s.handle(&m)
	}
	s.mu.Lock()
	pending, err := s.pending, s.err
	s.pending = nil
	s.mu.Unlock()
	for _, f := range pending {
		f(nil, err)
	}
}

func (s *session) handle(m *message) {
	switch {
	case m.Method == "echo":
		// Answered in a goroutine of its own: a server that does not read must not keep us from reading.
		reply := append(append([]byte(`{"id":`), m.ID...), `,"error":null,"result":`...)
		if m.Params == nil {
			m.Params = json.RawMessage("[]")
		}
		reply = append(append(reply, m.Params...), '}')
		go s.write(context.Background(), reply)
	case m.Method != "":
		s.notify(m.Method, m.Params)
	default:
		s.mu.Lock()
		f := s.pending[string(m.ID)]
		delete(s.pending, string(m.ID))
		s.mu.Unlock()
		if f == nil {
			return
		}
		if len(m.Error) > 0 && !bytes.Equal(m.Error, []byte("null")) {
			f(nil, fmt.Errorf("server refused the request: %s", m.Error))
			return
		}
		f(m.Result, nil)
	}
}

// writeTimeout bounds how long a server may refuse to read.
const writeTimeout = 30 * time.Second

func (s *session) write(ctx context.Context, b []byte) error {
	deadline := time.Now().Add(writeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if err := s.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if _, err := s.conn.Write(b); err != nil {
		// Half a message may be out: nothing can follow it.
		s.fail(err)
		return err
	}
	return nil
}

// send sends a request; then is called once with the answer, in the order of what the server sends.
func (s *session) send(ctx context.Context, method string, params []byte, then func(json.RawMessage, error)) {
	s.mu.Lock()
	if s.pending == nil || s.err != nil {
		err := s.err
		s.mu.Unlock()
		then(nil, err)
		return
	}
	s.nextID++
	id := strconv.FormatUint(s.nextID, 10)
	s.pending[id] = then
	s.mu.Unlock()
	b := make([]byte, 0, len(params)+64)
	b = append(append(b, `{"method":"`...), method...)
	b = append(append(b, `","params":`...), params...)
	b = append(append(append(b, `,"id":`...), id...), '}')
	// An error has ended the connection, and with it the request.
	_ = s.write(ctx, b)
}

// call sends a request and waits for its answer. When ctx ends first the answer is dropped.
func (s *session) call(ctx context.Context, method string, params []byte) (json.RawMessage, error) {
	type answer struct {
		result json.RawMessage
		err    error
	}
	got := make(chan answer, 1)
	s.send(ctx, method, params, func(r json.RawMessage, err error) { got <- answer{r, err} })
	select {
	case a := <-got:
		if a.err != nil {
			return nil, fmt.Errorf("%s: %w", method, a.err)
		}
		return a.result, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// columns are a server's tables and their columns.
type columns map[string]map[string]bool

// schema asks for what the server's database has.
func (s *session) schema(ctx context.Context) (columns, error) {
	raw, err := s.call(ctx, "get_schema", []byte(`["`+database+`"]`))
	if err != nil {
		return nil, err
	}
	var schema struct {
		Tables map[string]struct {
			Columns map[string]json.RawMessage `json:"columns"`
		} `json:"tables"`
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		return nil, fmt.Errorf("get_schema: %w", err)
	}
	if schema.Tables[database].Columns == nil {
		return nil, fmt.Errorf("get_schema: the server's schema has no table %s", database)
	}
	c := columns{}
	for name, t := range schema.Tables {
		c[name] = map[string]bool{}
		for column := range t.Columns {
			c[name][column] = true
		}
	}
	return c, nil
}

// opError is the failure of one operation of a transaction.
type opError struct {
	index  int    // of the operation; the number of operations if the commit failed
	Code   string `json:"error"` // RFC 7047 section 5.2
	Detail string `json:"details"`
}

func (e *opError) Error() string {
	if e.Detail == "" {
		return e.Code
	}
	return e.Code + ": " + e.Detail
}

// transact runs operations as one transaction. If one fails none has an effect, and the error is an *opError.
func (s *session) transact(ctx context.Context, ops [][]byte) ([]json.RawMessage, error) {
	n := len(database) + 8
	for _, op := range ops {
		n += len(op) + 1
	}
	params := append(make([]byte, 0, n), `["`+database+`"`...)
	for _, op := range ops {
		params = append(append(params, ','), op...)
	}
	raw, err := s.call(ctx, "transact", append(params, ']'))
	if err != nil {
		if ctx.Err() != nil {
			// Whether it happened is not known: start afresh.
			s.fail(fmt.Errorf("no answer to a transaction: %w", ctx.Err()))
		}
		return nil, err
	}
	var results []json.RawMessage
	if err := json.Unmarshal(raw, &results); err != nil {
		return nil, fmt.Errorf("transact: %w", err)
	}
	for i, r := range results {
		if !bytes.Contains(r, []byte(`"error"`)) {
			continue
		}
		e := opError{index: i}
		if err := json.Unmarshal(r, &e); err == nil && e.Code != "" {
			return nil, &e
		}
	}
	if len(results) < len(ops) {
		return nil, fmt.Errorf("transact: %d results for %d operations", len(results), len(ops))
	}
	return results, nil
}

// echo checks that the server answers.
func (s *session) echo(ctx context.Context) error {
	_, err := s.call(ctx, "echo", []byte("[]"))
	return err
}
