package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

const (
	transactTimeout = 30 * time.Second
	retryInterval   = 100 * time.Millisecond
)

// Errors of RFC 7047 that a transaction may get although nothing is wrong with it.
const (
	codeTimedOut = "timed out"
	codeNotOwner = "not owner"
)

// Errors that are a value's fault, not the database's, and how many rows may have them before the whole is given up.
const (
	codeConstraint = "constraint violation"
	codeSyntax     = "syntax error"
	maxRefused     = 64
)

// Write brings the database's status columns to st, in one transaction of the columns that differ from the last
// Write; the first one on a connection writes all. While the database is away or another instance holds the
// lock it waits. It returns nil when everything is written, ctx's error when that ends first, and an
// error that names the rows when the server refuses values; those rows are left out and the rest is written.
func (c *Client) Write(ctx context.Context, st *Status) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	for {
		l, err := c.writable(ctx)
		if err != nil {
			return err
		}
		if c.written.link != l {
			c.written = written{link: l, status: &Status{}, all: true}
		}
		datapaths := l.replica.datapaths()
		t := transaction{server: l.schema, rewrite: maps.Clone(c.written.rewrite)}
		if t.rewrite == nil {
			t.rewrite = map[string]bool{}
		}
		for typ, uuid := range datapaths {
			if c.written.datapaths[typ] != uuid {
				t.rewrite[uuid] = true // made since the last time
			}
		}
		t.diff(c.written.status, st, c.written.all, datapaths)
		rewrite, errs, err := c.commit(ctx, l, &t)
		switch {
		case err == nil:
			c.written = written{link: l, status: st, datapaths: datapaths, rewrite: rewrite}
			return errors.Join(errs...)
		case ctx.Err() != nil:
			c.written = written{}
			return ctx.Err()
		case errors.Is(err, errRetry):
			c.count("txn_try_again", 1)
			if err := c.sleep(ctx, retryInterval); err != nil {
				return err
			}
		default:
			// Not knowing what is written, all is written next time.
			c.written = written{}
			c.count("txn_error", 1)
			return errors.Join(append(errs, err)...)
		}
	}
}

// written is what is known of the database's status columns.
type written struct {
	link      *link
	status    *Status
	all       bool // nothing is known
	datapaths map[string]string
	rewrite   map[string]bool // rows that the server refused
}

// errRetry says that a transaction has failed for a passing reason.
var errRetry = errors.New("try again")

// commit sends a transaction; without the rows that the server refuses, which it returns with the reasons.
func (c *Client) commit(ctx context.Context, l *link, t *transaction) (map[string]bool, []error, error) {
	var errs []error
	rewrite := map[string]bool{}
	for {
		if len(t.ops) == 0 {
			c.count("txn_unchanged", 1)
			return rewrite, errs, nil
		}
		deadline, cancel := context.WithTimeout(ctx, transactTimeout)
		_, err := l.session.transact(deadline, t.json())
		cancel()
		var op *opError
		switch {
		case err == nil:
			c.count("txn_success", 1)
			return rewrite, errs, nil
		case errors.As(err, &op) && (op.Code == codeTimedOut || op.Code == codeNotOwner):
			return nil, nil, errRetry
		case errors.As(err, &op) && (op.Code == codeConstraint || op.Code == codeSyntax) &&
			op.index >= 1 && op.index <= len(t.ops) && len(errs) < maxRefused:
			bad := t.ops[op.index-1] // the first operation asserts the lock
			errs = append(errs, fmt.Errorf("%v: %w", &bad, err))
			rewrite[bad.uuid] = true
			t.ops = append(t.ops[:op.index-1], t.ops[op.index:]...)
			c.count("txn_error", 1)
		case errors.As(err, &op):
			return nil, errs, err
		default:
			// The connection is gone, or of no use: the next one will do.
			l.session.fail(err)
			<-l.session.done
			return nil, nil, errRetry
		}
	}
}

// writable waits for a connection whose lock is ours.
func (c *Client) writable(ctx context.Context) (*link, error) {
	for {
		l, lock, changed := c.current()
		if l != nil && lock == LockHeld {
			return l, nil
		}
		select {
		case <-changed:
		case <-c.stopped:
			return nil, errClientClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-c.clock.After(d):
		return nil
	case <-c.stopped:
		return errClientClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
