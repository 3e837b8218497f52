package ofctrl

import (
	"context"
	"fmt"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

const (
	// maxBundles is how many bundles a connection may have open.
	maxBundles = 64
	// maxBundleMessages is how many messages a bundle may hold: some times what the tables do.
	maxBundleMessages = 4 * table.MaxEntries
	// bundleIdle is how long a bundle may go without a message (bundle-idle-timeout in OVS).
	bundleIdle = 10 * time.Second
)

// Types of BundleControl (ofp_bundle_ctrl_type); the reply to each is the next number.
const (
	bundleOpen    = 0
	bundleClose   = 2
	bundleCommit  = 4
	bundleDiscard = 6
)

// bundleAtomic is OFPBF_ATOMIC. All our bundles are ordered and, but for port mods, atomic,
// whether or not they ask for it.
const bundleAtomic = 1

// bundle is messages that take effect together. Those of a connection are guarded by sw.mu.
type bundle struct {
	flags  uint16
	closed bool
	used   time.Time
	open   []byte // the message that made it, for errors
	// messages are as they came, in their BUNDLE_ADD_MESSAGE: decoded they would take ten times the
	// memory.
	messages [][]byte
}

// bundleControl opens, closes, commits or discards a bundle. As in OVS, a bundle that is used
// wrongly is gone.
func (c *conn) bundleControl(ctx context.Context, xid uint32, m *openflow.BundleControl) error {
	var err error
	switch m.Type {
	case bundleOpen:
		err = c.openBundle(m.ID, m.Flags)
	case bundleClose:
		err = c.closeBundle(m.ID, m.Flags)
	case bundleCommit:
		var b *bundle
		if b, err = c.takeBundle(m.ID); err == nil {
			err = c.commit(ctx, b, m.Flags)
		}
	case bundleDiscard:
		_, err = c.takeBundle(m.ID)
	default:
		err = openflow.BundleBadType
	}
	if err != nil {
		return fmt.Errorf("bundle %#x: %w", m.ID, err)
	}
	return c.send(ctx, xid, &openflow.BundleControl{ID: m.ID, Type: m.Type + 1})
}

func (c *conn) openBundle(id uint32, flags uint16) error {
	c.sw.mu.Lock()
	defer c.sw.mu.Unlock()
	if c.bundles[id] != nil {
		delete(c.bundles, id)
		return openflow.BundleBadID
	}
	_, err := c.newBundle(id, flags)
	return err
}

// newBundle makes a bundle; sw.mu is held.
func (c *conn) newBundle(id uint32, flags uint16) (*bundle, error) {
	if len(c.bundles) >= maxBundles {
		return nil, openflow.BundleOutOfBundles
	}
	b := &bundle{flags: flags, used: c.sw.o.Clock.Now(), open: c.request}
	if c.bundles == nil {
		c.bundles = make(map[uint32]*bundle)
	}
	c.bundles[id] = b
	return b, nil
}

func (c *conn) closeBundle(id uint32, flags uint16) error {
	c.sw.mu.Lock()
	defer c.sw.mu.Unlock()
	b, err := c.usableBundle(id, flags)
	if err != nil {
		return err
	}
	b.closed = true
	b.used = c.sw.o.Clock.Now()
	return nil
}

// usableBundle finds a bundle that is open; sw.mu is held.
func (c *conn) usableBundle(id uint32, flags uint16) (*bundle, error) {
	b := c.bundles[id]
	switch {
	case b == nil:
		return nil, openflow.BundleBadID
	case b.closed:
		delete(c.bundles, id)
		return nil, openflow.BundleClosed
	case b.flags != flags:
		delete(c.bundles, id)
		return nil, openflow.BundleBadFlags
	}
	return b, nil
}

// takeBundle takes a bundle out of the connection's.
func (c *conn) takeBundle(id uint32) (*bundle, error) {
	c.sw.mu.Lock()
	defer c.sw.mu.Unlock()
	b := c.bundles[id]
	if b == nil {
		return nil, openflow.BundleBadID
	}
	delete(c.bundles, id)
	return b, nil
}

// bundleAdd keeps a message for the commit, in a new bundle if there is none with the id. What
// can be checked without the tables is checked now.
func (c *conn) bundleAdd(m *openflow.BundleAdd) error {
	if err := c.bundleable(m.Message); err != nil {
		return fmt.Errorf("bundle %#x: %w", m.ID, err)
	}
	c.sw.mu.Lock()
	defer c.sw.mu.Unlock()
	b, err := c.usableBundle(m.ID, m.Flags)
	if err == openflow.BundleBadID {
		b, err = c.newBundle(m.ID, m.Flags)
	}
	if err == nil && len(b.messages) >= maxBundleMessages {
		delete(c.bundles, m.ID)
		err = openflow.BundleMsgTooMany
	}
	if err != nil {
		return fmt.Errorf("bundle %#x: %w", m.ID, err)
	}
	b.messages = append(b.messages, c.request)
	b.used = c.sw.o.Clock.Now()
	return nil
}

// bundleable checks a message for a bundle.
func (c *conn) bundleable(m openflow.Message) error {
	switch m := m.(type) {
	case *openflow.FlowMod:
		return c.acceptFlowMod(m)
	case *openflow.GroupMod:
		return checkBuckets(m)
	case *openflow.PacketOut:
		return c.checkPacketOut(m)
	case *openflow.PortMod:
		return nil
	}
	return openflow.BundleMsgUnsup
}

// commit does the messages of a bundle. When one fails nothing is done, and the peer gets that
// message's error before the one that this returns. Port mods and packet-outs are done in their
// order, after all changes of tables.
func (c *conn) commit(ctx context.Context, b *bundle, flags uint16) error {
	if b.flags != flags {
		return openflow.BundleBadFlags
	}
	for _, raw := range b.messages {
		if err := c.checkPortMod(b, raw); err != nil {
			return c.messageFailed(ctx, raw, err)
		}
	}
	s := c.sw
	var bad []byte // the message that failed
	var gone []table.Removed
	s.o.Mu.Lock()
	c.useTLV() // which cannot change as long as the lock is held
	err := s.o.Tables.Atomically(func() error {
		for _, raw := range b.messages {
			s.o.Tables.Cause(messageXID(raw))
			removed, err := c.changeTables(raw)
			if err != nil {
				bad = raw
				return err
			}
			gone = append(gone, removed...)
		}
		return nil
	})
	s.o.Tables.Cause(0)
	if err == nil {
		s.announce(gone, c)
	}
	s.o.Mu.Unlock()
	if err != nil {
		return c.messageFailed(ctx, bad, err)
	}
	s.o.Host.TablesChanged()
	for _, raw := range b.messages {
		if err := c.finish(raw); err != nil {
			if err := c.sendError(ctx, raw, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// Message types of bundles that commit tells apart.
const (
	typePacketOut = 13
	typePortMod   = 16
	typeGroupMod  = 15
	typeVendor    = 4 // also of a group mod in OpenFlow 1.0
)

// message decodes a message of a bundle again. That fails only when what its bytes mean has changed
// since it was added.
func (c *conn) message(raw []byte) (openflow.Message, error) {
	_, _, m, err := openflow.Decode(raw, &c.state)
	if err != nil {
		return nil, err
	}
	return m.(*openflow.BundleAdd).Message, nil
}

// bundledType is the type of the message in a BUNDLE_ADD_MESSAGE.
func (c *conn) bundledType(raw []byte) byte {
	at := openflow.HeaderLen + 8
	if c.version < openflow.V14 { // an extension
		at += 8
	}
	return raw[at+1]
}

func (c *conn) checkPortMod(b *bundle, raw []byte) error {
	if c.bundledType(raw) != typePortMod {
		return nil
	}
	if b.flags&bundleAtomic != 0 {
		return fmt.Errorf("port mod in an atomic bundle: %w", openflow.BundleMsgFailed)
	}
	m, err := c.message(raw)
	if err != nil {
		return err
	}
	_, err = c.checkPort(m.(*openflow.PortMod))
	return err
}

// changeTables does a message that is about tables; the lock of the tables is held.
func (c *conn) changeTables(raw []byte) ([]table.Removed, error) {
	if typ := c.bundledType(raw); typ == typePacketOut || typ == typePortMod {
		return nil, nil
	}
	m, err := c.message(raw)
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *openflow.FlowMod:
		if err := c.prepareFlowMod(m); err != nil {
			return nil, err
		}
		return c.sw.o.Tables.Apply(m)
	case *openflow.GroupMod:
		return c.sw.o.Tables.ApplyGroup(m)
	}
	return nil, openflow.BundleMsgUnsup
}

// finish does a message that is not about tables, and tells of a group mod.
func (c *conn) finish(raw []byte) error {
	switch c.bundledType(raw) {
	case typePacketOut, typePortMod:
	case typeGroupMod, typeVendor:
		if !c.sw.forwards(c) {
			return nil
		}
	default:
		return nil
	}
	m, err := c.message(raw)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *openflow.PortMod:
		return c.portMod(m)
	case *openflow.PacketOut:
		return c.packetOut(m)
	case *openflow.GroupMod:
		c.sw.forward(c, messageXID(raw), m)
	}
	return nil
}

// messageFailed sends the error of a message of a bundle and returns that of the commit.
func (c *conn) messageFailed(ctx context.Context, raw []byte, why error) error {
	if err := c.sendError(ctx, raw, why); err != nil {
		return err
	}
	return fmt.Errorf("%w: %v", openflow.BundleMsgFailed, why)
}

// sendError sends the error of a message of a bundle.
func (c *conn) sendError(ctx context.Context, raw []byte, why error) error {
	return c.send(ctx, messageXID(raw), replyError(errorKind(why), raw))
}

// expireBundles ends the bundles that nobody used for bundleIdle.
func (s *Switch) expireBundles() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Clock.Now()
	for c := range s.conns {
		for id, b := range c.bundles {
			if now.Sub(b.used) < bundleIdle {
				continue
			}
			delete(c.bundles, id)
			reply, err := c.encode(messageXID(b.open), replyError(openflow.BundleTimeout, b.open))
			if err == nil {
				c.out.push(reply)
			}
		}
	}
}
