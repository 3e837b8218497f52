package netdev

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// QoS is how a device is to send: a row of QoS with its queues.
type QoS struct {
	Type    string            // "linux-htb", ...
	Options map[string]string // QoS.other_config
	Queues  map[uint32]map[string]string
}

// QoSNoop is the type of QoS that leaves the device's qdisc to others.
const QoSNoop = "linux-noop"

// MaxQueues is how many queues a device may have: their numbers, plus one, are minor numbers of classes.
const MaxQueues = 0xf000

// Option is a setting that is in force.
type Option struct{ Key, Value string }

// Queue is a queue that a device has.
type Queue struct {
	ID      uint32
	Options []Option
}

// QueueStats are a queue's counters.
type QueueStats struct {
	Queue                   uint32
	Packets, Bytes, Dropped uint64
}

// Shaper is a Device whose root qdisc can be set. It leaves alone what others set.
type Shaper interface {
	// QoSTypes are the types that SetQoS knows.
	QoSTypes() []string
	// SetQoS has the device send as q says; nil: as it did before. What is in force already is not touched. If it
	// fails for q itself, what was in force stays, and if the kernel refuses it, the device has its default qdisc.
	SetQoS(q *QoS) error
	// QoS says what SetQoS has put in force: type "" if nothing. Queues are in order.
	QoS() (typ string, options []Option, queues []Queue)
	// QueueStats reads the counters of the queues, in order.
	QueueStats() ([]QueueStats, error)
}

var _ Shaper = (*linuxDevice)(nil)

// Handles of OVS's qdiscs and classes: queue n has 1:n+1 under 1:fffe, as has a packet's priority that selects it.
const (
	rootHandle   = 1 << 16
	rootClass    = rootHandle | 0xfffe
	defaultClass = 1 // minor number: queue 0
)

func queueClass(n uint32) uint32 { return rootHandle | (n + 1) }

// sender is what a discipline must know of the device.
type sender struct {
	mtu   uint64
	speed uint64 // bytes/s
}

// discipline is a type of QoS.
type discipline struct {
	kernel string // kind of the qdisc
	root   func(s sender, o *options) (attr []byte, shown []Option)
	// limit is the rate of all queues, bytes/s; class encodes that of one, or of all. They are nil when there are no queues.
	limit func(s sender, o *options) uint64
	class func(s sender, c class) []byte
	queue func(s sender, o *options, limit uint64) (class, []Option)
}

// class are the settings of a class: rates in bytes/s, burst in bytes.
type class struct {
	min, max, burst uint64
	priority        uint32
}

var disciplines = map[string]*discipline{
	"linux-htb":      {kernel: "htb", root: htbRoot, limit: maxRate, class: htbClass, queue: htbQueue},
	"linux-hfsc":     {kernel: "hfsc", root: hfscRoot, limit: maxRate, class: hfscClass, queue: hfscQueue},
	"linux-sfq":      {kernel: "sfq", root: sfqRoot},
	"linux-codel":    {kernel: "codel", root: codelRoot},
	"linux-fq_codel": {kernel: "fq_codel", root: fqCodelRoot},
	"linux-netem":    {kernel: "netem", root: netemRoot},
}

// shaping is what a device has in force: the messages of its qdisc and classes, and what they mean.
type shaping struct {
	typ     string
	kernel  string
	root    []byte
	classes map[uint32][]byte // by handle
	options []Option
	queues  []Queue
}

// QoSTypes implements Shaper.
func (d *linuxDevice) QoSTypes() []string {
	return append(slices.Sorted(maps.Keys(disciplines)), QoSNoop)
}

// QoS implements Shaper.
func (d *linuxDevice) QoS() (string, []Option, []Queue) {
	if d.shaping == nil {
		return "", nil, nil
	}
	return d.shaping.typ, d.shaping.options, d.shaping.queues
}

// SetQoS implements Shaper.
func (d *linuxDevice) SetQoS(q *QoS) error {
	if q == nil {
		return d.unshape(true)
	}
	if q.Type == QoSNoop {
		err := d.unshape(false)
		d.leftover = false // another's by now
		return err
	}
	now, err := d.plan(q)
	if err != nil {
		return fmt.Errorf("QoS %s: %w", q.Type, err)
	}
	if err := d.shape(now); err != nil {
		d.shaping, d.leftover = nil, true // how far it came is not known
		return fmt.Errorf("QoS %s: %w", q.Type, err)
	}
	d.shaping, d.leftover = now, false
	return nil
}

// plan computes what q asks for.
func (d *linuxDevice) plan(q *QoS) (*shaping, error) {
	t := disciplines[q.Type]
	if t == nil {
		return nil, fmt.Errorf("no such type (this switch has %v)", d.QoSTypes())
	}
	info, err := d.Info()
	if err != nil {
		return nil, err
	}
	s := sender{mtu: uint64(info.MTU), speed: defaultSpeed / 8}
	if e, err := d.Ethtool(); err == nil && e.Speed != 0 {
		s.speed = e.Speed / 8
	}
	p := &shaping{typ: q.Type, kernel: t.kernel, classes: map[uint32][]byte{}}
	o := &options{values: q.Options}
	p.root, p.options = t.root(s, o)
	if t.class == nil {
		if len(q.Queues) > 0 {
			return nil, errors.New("this type has no queues")
		}
		return p, o.err()
	}
	limit := t.limit(s, o)
	p.options = append(p.options, bits("max-rate", limit))
	p.classes[rootClass] = t.class(s, class{min: limit, max: limit})
	queues := maps.Clone(q.Queues)
	if queues == nil {
		queues = map[uint32]map[string]string{}
	}
	if queues[0] == nil {
		queues[0] = nil // the one of packets that select none
	}
	errs := []error{o.err()}
	for _, id := range slices.Sorted(maps.Keys(queues)) {
		if id >= MaxQueues {
			errs = append(errs, fmt.Errorf("queue %d: numbers are below %d", id, MaxQueues))
			continue
		}
		o := &options{values: queues[id]}
		c, shown := t.queue(s, o, limit)
		if err := o.err(); err != nil {
			errs = append(errs, fmt.Errorf("queue %d: %w", id, err))
		}
		p.classes[queueClass(id)] = t.class(s, c)
		p.queues = append(p.queues, Queue{id, shown})
	}
	return p, errors.Join(errs...)
}

// shape makes the kernel's qdisc what now says, with no more changes than it takes.
func (d *linuxDevice) shape(now *shaping) error {
	was := d.shaping
	if was == nil || was.kernel != now.kernel {
		var err error
		if was, err = d.install(now); err != nil {
			return err
		}
	}
	if !bytes.Equal(was.root, now.root) {
		if err := d.l.rtnl.setQdisc(d.ifindex, rootHandle, now.kernel, now.root, 0); err != nil {
			return fmt.Errorf("change qdisc: %w", err)
		}
	}
	// The first is the root's: the others are below it.
	for _, h := range slices.Backward(slices.Sorted(maps.Keys(now.classes))) {
		if old, ok := was.classes[h]; ok && bytes.Equal(old, now.classes[h]) {
			continue
		}
		parent := uint32(rootClass)
		if h == rootClass {
			parent = rootHandle
		}
		if err := d.l.rtnl.setClass(d.ifindex, h, parent, now.kernel, now.classes[h]); err != nil {
			return fmt.Errorf("set class 1:%x: %w", h&0xffff, err)
		}
	}
	for h := range was.classes {
		if _, ok := now.classes[h]; !ok {
			if err := d.l.rtnl.delClass(d.ifindex, h); err != nil {
				return fmt.Errorf("delete class 1:%x: %w", h&0xffff, err)
			}
		}
	}
	return nil
}

// install puts a qdisc at the device, or takes the one that an earlier run has put there, and says what of it is there.
func (d *linuxDevice) install(now *shaping) (*shaping, error) {
	q, err := d.l.rtnl.rootQdisc(d.ifindex)
	if err != nil {
		return nil, fmt.Errorf("read qdisc: %w", err)
	}
	found := &shaping{typ: now.typ, kernel: now.kernel, root: now.root, classes: map[uint32][]byte{}}
	if ours, handles := d.isOurs(q); q == (qdisc{now.kernel, rootHandle}) && (ours || len(now.classes) == 0) {
		for _, h := range handles {
			found.classes[h] = nil // with settings that are not known
		}
		if len(now.classes) == 0 {
			found.root = nil
		}
		return found, nil
	}
	if q.handle == rootHandle {
		// A qdisc of this handle changes its kind only by way of the default.
		if err := d.l.rtnl.delQdisc(d.ifindex); err != nil {
			return nil, fmt.Errorf("delete qdisc %s: %w", q.kind, err)
		}
	}
	err = d.l.rtnl.setQdisc(d.ifindex, rootHandle, now.kernel, now.root, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	if errors.Is(err, syscall.ENOENT) {
		return nil, fmt.Errorf("the kernel has no qdisc %s (module sch_%s): %w", now.kernel, now.kernel, err)
	}
	if err != nil {
		return nil, fmt.Errorf("add qdisc %s: %w", now.kernel, err)
	}
	return found, nil
}

// isOurs reports whether a root qdisc is of the form that OVS gives it, and lists its classes.
func (d *linuxDevice) isOurs(q qdisc) (bool, []uint32) {
	if q.handle != rootHandle {
		return false, nil
	}
	if d.shaping != nil && len(d.shaping.classes) == 0 {
		return d.shaping.kernel == q.kind, nil
	}
	var handles []uint32
	ours := false
	classes, err := d.l.rtnl.classes(d.ifindex)
	if err != nil {
		return false, nil
	}
	for _, c := range classes {
		if c.handle>>16 == rootHandle>>16 && c.handle != rootHandle { // hfsc lists itself
			handles = append(handles, c.handle)
		}
		ours = ours || c.handle == rootClass
	}
	return ours, handles
}

// unshape takes away what SetQoS has made, and with leftovers what is of its form.
func (d *linuxDevice) unshape(leftovers bool) error {
	if d.shaping == nil && !(leftovers && d.leftover) {
		return nil
	}
	q, err := d.l.rtnl.rootQdisc(d.ifindex)
	if err != nil {
		return fmt.Errorf("read qdisc: %w", err)
	}
	if ours, _ := d.isOurs(q); ours {
		if err := d.l.rtnl.delQdisc(d.ifindex); err != nil {
			return fmt.Errorf("delete qdisc %s: %w", q.kind, err)
		}
	}
	d.shaping, d.leftover = nil, false
	return nil
}

// QueueStats implements Shaper.
func (d *linuxDevice) QueueStats() ([]QueueStats, error) {
	if d.shaping == nil || len(d.shaping.queues) == 0 {
		return nil, nil
	}
	classes, err := d.l.rtnl.classes(d.ifindex)
	if err != nil {
		return nil, fmt.Errorf("device %s: read classes: %w", d.name, err)
	}
	var all []QueueStats
	for _, q := range d.shaping.queues {
		for _, c := range classes {
			if c.handle == queueClass(q.ID) {
				all = append(all, QueueStats{q.ID, c.packets, c.bytes, c.dropped})
			}
		}
	}
	return all, nil
}

// defaultSpeed is that of a device that does not tell its own, bits/s, as in OVS.
const defaultSpeed = 10_000_000_000

// options reads settings; malformed ones are kept for err.
type options struct {
	values map[string]string
	wrong  map[string]string
}

func (o *options) number(key string, def uint64) uint64 {
	text := o.values[key]
	if text == "" {
		return def
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		if o.wrong == nil {
			o.wrong = map[string]string{}
		}
		o.wrong[key] = text
		return def
	}
	return n
}

func (o *options) err() error {
	for _, key := range slices.Sorted(maps.Keys(o.wrong)) {
		return fmt.Errorf("%s is %q, no number", key, o.wrong[key])
	}
	return nil
}

// maxRate is the rate of all queues together.
func maxRate(s sender, o *options) uint64 {
	if n := o.number("max-rate", 0) / 8; n != 0 {
		return n
	}
	return s.speed
}

// bits shows a rate or size of bytes.
func bits(key string, n uint64) Option { return Option{key, strconv.FormatUint(n*8, 10)} }

func plain(key string, n uint64) Option { return Option{key, strconv.FormatUint(n, 10)} }
