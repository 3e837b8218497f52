package underlay

import "sync"

// Changes collects what changed on a host until it is looked at. It never makes the one who reports wait, and
// holds no more than there are neighbours, and some errors.
type Changes struct {
	mu        sync.Mutex
	routes    bool
	neighbors map[NeighborKey]Neighbor
	tooBig    map[TooBig]struct{}
	lost      bool
	err       error
	wake      chan struct{}
}

// changed is what Changes held.
type changed struct {
	Routes    bool // routes or addresses have changed, and are to be listed anew
	Neighbors map[NeighborKey]Neighbor
	TooBig    map[TooBig]struct{}
	Lost      bool  // changes have been lost: everything is to be listed anew
	Err       error // the host cannot be watched any more
}

// NewChanges makes an empty collection.
func NewChanges() *Changes { return &Changes{wake: make(chan struct{}, 1)} }

// Ready has a value when something has been reported since the last look.
func (c *Changes) Ready() <-chan struct{} { return c.wake }

func (c *Changes) report(f func()) {
	c.mu.Lock()
	f()
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// SetRoutes reports that routes or addresses have changed.
func (c *Changes) SetRoutes() { c.report(func() { c.routes = true }) }

// SetNeighbor reports a neighbour's new state; one that is gone has no MAC.
func (c *Changes) SetNeighbor(n Neighbor) {
	c.report(func() {
		if c.neighbors == nil {
			c.neighbors = map[NeighborKey]Neighbor{}
		}
		c.neighbors[n.NeighborKey] = n
	})
}

// maxTooBig bounds how many ICMP errors wait; of the same kind there are many.
const maxTooBig = 1024

// SetTooBig reports an ICMP error.
func (c *Changes) SetTooBig(t TooBig) {
	c.report(func() {
		if c.tooBig == nil {
			c.tooBig = map[TooBig]struct{}{}
		}
		if len(c.tooBig) < maxTooBig {
			c.tooBig[t] = struct{}{}
		}
	})
}

// SetLost reports that changes were lost.
func (c *Changes) SetLost() { c.report(func() { c.lost = true }) }

// SetErr reports the end.
func (c *Changes) SetErr(err error) { c.report(func() { c.err = err }) }

// take empties the collection.
func (c *Changes) take() changed {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := changed{c.routes, c.neighbors, c.tooBig, c.lost, c.err}
	c.routes, c.neighbors, c.tooBig, c.lost = false, nil, nil, false
	return t
}
