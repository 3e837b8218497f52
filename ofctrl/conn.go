package ofctrl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// missSendLen is the default of connections that the switch made: packet-ins are welcome there.
const missSendLen = 128

// conn is one OpenFlow connection.
type conn struct {
	sw     *Switch
	remote *remote
	nc     net.Conn
	// accepted: it came in; otherwise the switch made it. service: it is not relied on, and asks for what it wants to hear.
	accepted, service bool
	version           openflow.Version
	out               *queue
	cancel            context.CancelCauseFunc
	paced             chan struct{} // a pacer has packets
	heard             atomic.Int64  // when bytes came in last, Unix nanoseconds: read by the probe

	// Guarded by sw.mu.
	role         openflow.Role
	async        asyncMasks
	missSendLen  uint16
	format       openflow.PacketInFormat
	controllerID uint16
	bundles      map[uint32]*bundle // by id
	pacers       [2]pacer           // of packet-ins: misses, actions
	snoops       map[*queue]struct{}

	// The reader's own.
	state   openflow.State // of decoding
	tlv     *table.TLV     // that state has the layout of
	request []byte         // that is being handled
	partial *partial       // of a multipart request; nil: none

	snooping atomic.Bool // snoops are there
	nxm      atomic.Bool // NXT_SET_FLOW_FORMAT: set by the reader, read by the writer

	monitors monitors // guarded by Options.Mu
	// monitorsPaused is whether they are paused, for the writer.
	monitorsPaused atomic.Bool
}

func newConn(s *Switch, r *remote, nc net.Conn, accepted bool) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &conn{
		sw: s, remote: r, nc: nc, accepted: accepted, service: r.service(), out: newQueue(), role: openflow.RoleEqual,
		paced: make(chan struct{}, 1), state: openflow.State{Memory: new(openflow.Memory)},
	}
	if !c.service {
		c.missSendLen = missSendLen
	}
	return c
}

// close ends the connection; its goroutines end soon after. It does not wait.
func (c *conn) close(why string) { c.cancel(errors.New(why)) }

// run serves the connection and returns why it ended, nil for the peer's orderly end.
func (c *conn) run(ctx context.Context) error {
	ctx, c.cancel = context.WithCancelCause(ctx)
	defer c.cancel(nil)
	defer c.nc.Close()
	stop := context.AfterFunc(ctx, func() { c.nc.Close() })
	defer stop()

	r := bufio.NewReaderSize(c.nc, 1<<16)
	if err := c.handshake(r); err != nil {
		return c.ended(ctx, err)
	}
	c.register()
	defer c.unregister()

	done := make(chan struct{}, 3)
	go func() {
		c.write(ctx)
		done <- struct{}{}
	}()
	go func() {
		c.watch(ctx)
		done <- struct{}{}
	}()
	go func() {
		c.pace(ctx)
		done <- struct{}{}
	}()
	err := c.serve(ctx, r)
	if err == nil || errors.Is(err, io.EOF) {
		err = nil
	}
	err = c.ended(ctx, err)
	c.cancel(err)
	for range cap(done) {
		<-done
	}
	return err
}

// ended prefers the reason that was given to cancel to the read error that came of it.
func (c *conn) ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// register makes the connection known and announces it.
func (c *conn) register() {
	s := c.sw
	s.mu.Lock()
	if !c.remote.config.NoAsync {
		c.async = defaultAsync(c.version)
	}
	s.conns[c] = struct{}{}
	if !c.accepted {
		c.remote.conn = c
		c.remote.state = "ACTIVE"
		c.remote.since = s.o.Clock.Now()
		c.remote.lastError = ""
	}
	s.noteConnected()
	if s.versions&(1<<c.version) == 0 {
		c.close("protocols of the bridge changed")
	}
	s.mu.Unlock()
	if !c.accepted {
		s.log.Infof("%s: connected", c.remote.name)
	}
	s.count("rconn_connected", 1)
	s.checkFailOpen()
	s.checkMisses()
	s.changed()
}

func (c *conn) unregister() {
	s := c.sw
	c.endMonitors()
	s.mu.Lock()
	delete(s.conns, c)
	if !c.accepted {
		c.remote.conn = nil
		c.remote.until = s.o.Clock.Now()
	}
	s.noteConnected()
	s.mu.Unlock()
	s.checkMisses()
	s.changed()
}

// handshake exchanges HELLOs and chooses the version.
func (c *conn) handshake(r *bufio.Reader) error {
	s := c.sw
	s.mu.Lock()
	ours := s.versions
	probe := c.remote.probe()
	s.mu.Unlock()
	highest := openflow.Version(bits.Len32(ours) - 1)
	hello := &openflow.Hello{Versions: ours}
	if ours == 1<<(highest+1)-2 {
		hello.Versions = 0 // all up to the highest, which the header says
	}
	if err := c.writeNow(highest, 0, hello); err != nil {
		return err
	}
	if probe > 0 {
		timer := c.sw.o.Clock.After(probe)
		done := make(chan struct{})
		defer close(done)
		s.wg.Go(func() {
			select {
			case <-done:
			case <-timer:
				c.close("no HELLO came")
			}
		})
	}
	b, err := openflow.ReadMessage(r, 0)
	if err != nil {
		return err
	}
	xid, _, m, err := openflow.Decode(b, nil)
	if b[1] != typeHello {
		return fmt.Errorf("received message of type %d instead of HELLO, disconnecting", b[1])
	}
	h, ok := m.(*openflow.Hello)
	if err != nil || !ok {
		return fmt.Errorf("received bad HELLO: %w", err)
	}
	theirs := h.Versions
	if theirs == 0 {
		theirs = 1<<min(uint32(b[0])+1, 31) - 2
	}
	common := ours & theirs
	if common == 0 {
		text := fmt.Sprintf("We support versions %#x, you support versions %#x, no common versions.", ours, theirs)
		v := openflow.Version(bits.TrailingZeros32(ours))
		_ = c.writeNow(v, xid, &openflow.Error{Err: openflow.HelloIncompatible, Data: []byte(text)})
		return fmt.Errorf("version negotiation failed (we support versions %#x, peer supports versions %#x)", ours, theirs)
	}
	c.version = openflow.Version(bits.Len32(common) - 1)
	return nil
}

// writeNow writes a message before the writer runs.
func (c *conn) writeNow(v openflow.Version, xid uint32, m openflow.Message) error {
	b, err := openflow.Encode(v, xid, m)
	if err != nil {
		return err
	}
	_, err = c.nc.Write(b)
	return err
}

// write sends what is queued until the connection ends.
func (c *conn) write(ctx context.Context) {
	w := bufio.NewWriterSize(c.nc, 1<<16)
	for {
		items, err := c.out.take(ctx)
		if err != nil {
			return
		}
		for _, i := range items {
			b := i.bytes
			if i.msg != nil {
				// One that this version cannot say is not sent.
				b, _ = c.encode(0, i.msg)
			}
			c.snoop(b)
			if _, err = w.Write(b); err != nil {
				break
			}
			c.out.written(i)
		}
		if err == nil {
			err = w.Flush()
		}
		if err == nil && c.monitorsPaused.Load() && c.out.waitingUpdates() == 0 {
			err = c.resumeMonitors()
		}
		if err != nil {
			c.cancel(fmt.Errorf("send: %w", err))
			return
		}
	}
}

// watch probes a silent peer with an echo request and gives it up when it stays silent.
func (c *conn) watch(ctx context.Context) {
	clk := c.sw.o.Clock
	c.heard.Store(clk.Now().UnixNano())
	var probed int64 // what heard was when the peer was probed; 0: not
	for {
		c.sw.mu.Lock()
		probe := c.remote.probe()
		c.sw.mu.Unlock()
		wait := probe
		heard := c.heard.Load()
		silent := time.Duration(clk.Now().UnixNano() - heard)
		switch {
		case probe <= 0:
			wait = time.Minute // the setting may change
		case silent < probe:
			probed = 0
			wait = probe - silent
		case probed != heard:
			probed = heard
			_ = c.out.notice(&openflow.EchoRequest{})
		default:
			why := fmt.Sprintf("no response to inactivity probe after %g seconds, disconnecting", probe.Seconds())
			if !c.accepted {
				c.sw.log.Errorf("%s: %s", c.remote.name, why)
			}
			c.close(why)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-clk.After(wait):
		}
	}
}

// serve handles messages until the connection ends.
func (c *conn) serve(ctx context.Context, r *bufio.Reader) error {
	for {
		b, err := openflow.ReadMessage(r, 0)
		if err != nil {
			return err
		}
		c.heard.Store(c.sw.o.Clock.Now().UnixNano())
		c.sw.count("ofproto_recv_openflow", 1)
		c.request = b
		c.snoop(b)
		c.useTLV()
		xid, v, m, err := openflow.Decode(b, &c.state)
		switch {
		case v != c.version && b[1] > typeEchoReply:
			err = openflow.BadVersion // whatever is wrong besides
		case err == nil:
			err = c.handle(ctx, xid, m)
		}
		if err == nil {
			continue
		}
		var lost *lostError
		if errors.As(err, &lost) {
			return lost.err
		}
		if b[1] == typeError {
			continue // never answer an error with one
		}
		kind := errorKind(err)
		if c.sw.news.allow(c.sw.o.Clock.Now()) {
			c.sw.log.Infof("%s: sending %v error reply to message of type %d: %v", c.remote.name, kind, b[1], err)
		}
		reply, err := openflow.Encode(c.errorVersion(v), xid, replyError(kind, b))
		if err != nil {
			return err
		}
		if err := c.out.reply(ctx, reply); err != nil {
			return err
		}
	}
}

// errorVersion is the version of the error for a request: the request's own if there is such a one.
func (c *conn) errorVersion(v openflow.Version) openflow.Version {
	if v < openflow.V10 || v > openflow.V15 {
		return c.version
	}
	return v
}

// lostError says that the connection is at its end, rather than a request wrong.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }

// send queues a reply.
func (c *conn) send(ctx context.Context, xid uint32, m openflow.Message) error {
	b, err := c.encode(xid, m)
	if err != nil {
		return err
	}
	return c.sendBytes(ctx, b)
}

func (c *conn) encode(xid uint32, m openflow.Message) ([]byte, error) {
	return openflow.Append(nil, c.version, xid, m, &openflow.State{NXM: c.nxm.Load(), TLV: c.sw.o.Tables.TLV().Layout()})
}

func (c *conn) sendBytes(ctx context.Context, b []byte) error {
	if err := c.out.reply(ctx, b); err != nil {
		return &lostError{err}
	}
	return nil
}
