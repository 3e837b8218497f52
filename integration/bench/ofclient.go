package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// ofClient is an OpenFlow 1.5 connection to a bridge.
type ofClient struct {
	nc net.Conn
	r  *bufio.Reader
}

// answerTimeout bounds how long a switch may take to do what it was asked.
const answerTimeout = 2 * time.Minute

func dialSwitch(ctx context.Context, path string) (*ofClient, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	for try := 0; err != nil; try++ { // the bridge is there, its socket may come a moment later
		if ctx.Err() != nil || try == 200 {
			return nil, err
		}
		time.Sleep(50 * time.Millisecond)
		nc, err = d.DialContext(ctx, "unix", path)
	}
	c := &ofClient{nc, bufio.NewReaderSize(nc, 1<<16)}
	hello, err := openflow.Encode(openflow.V15, 1, &openflow.Hello{})
	if err == nil {
		_, err = nc.Write(hello)
	}
	if err == nil {
		_, err = openflow.ReadMessage(c.r, 0)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c *ofClient) close() { c.nc.Close() }

// ask sends messages, of which only the last one is answered, and returns the answer and how long that took.
func (c *ofClient) ask(messages []byte) (openflow.Message, time.Duration, error) {
	start := time.Now()
	if err := c.nc.SetDeadline(start.Add(answerTimeout)); err != nil {
		return nil, 0, err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.nc.Write(messages)
		sent <- err
	}()
	for {
		b, err := openflow.ReadMessage(c.r, 0)
		if err != nil {
			return nil, 0, err
		}
		took := time.Since(start)
		_, _, m, err := openflow.Decode(b, nil)
		if err != nil {
			return nil, 0, err
		}
		switch m := m.(type) {
		case *openflow.EchoRequest:
			continue // the answer comes soon
		case *openflow.Error:
			return nil, 0, fmt.Errorf("the switch answers %v to %x", m.Err, m.Data)
		}
		return m, took, <-sent
	}
}
