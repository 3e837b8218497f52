package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// format is where things are in the maps of a layout version, in bytes.
type format struct {
	slot, counts, key, keyWords, tail  int // counts 0: none in the slot
	subtable, wordsLen, mask, maskIdx  int
	port, portCounts, cpuHead, cpuPort int // portCounts: per-CPU map's value; 0: in the CPU records, from cpuHead on
	inject                             int // in the configuration: the device for copies
}

// formats are those that flows are taken over from.
var formats = map[int]format{
	3: {slot: 192, key: 16, keyWords: 22, subtable: 208, wordsLen: 4, mask: 32, maskIdx: 8, port: 64, portCounts: 416, inject: 200},
	4: {slot: 128, counts: 16, key: 48, keyWords: 7, tail: 128, subtable: 256, wordsLen: 2, mask: 8, maskIdx: 184, port: 64, cpuHead: portsOffset, cpuPort: 64, inject: 200},
	5: {slot: 128, counts: 16, key: 48, keyWords: 7, tail: 256, subtable: 512, wordsLen: 2, mask: 8, maskIdx: 320, port: 64, cpuHead: portsOffset, cpuPort: 64, inject: 336},
	6: {slot: 128, counts: 16, key: 48, keyWords: 7, tail: 256, subtable: 512, wordsLen: 2, mask: 8, maskIdx: 320, port: 64, cpuHead: portsOffset, cpuPort: 64, inject: 336},
}

// foreign is what an earlier instance with maps of another layout has left, in memory.
type foreign struct {
	format
	ports, slots, tails, subtables, acts, stats, orders, config, cpus rows
	portStat                                                          *ebpf.Map
	inOrder                                                           map[int]bool // subtables in force
	// carried are the flows that are ours now.
	carried map[uint32]uint32 // old slot to entry
}

// rows are the elements of an array in memory.
type rows struct {
	raw  []byte
	size int
}

func (r rows) n() int {
	if r.size == 0 {
		return 0
	}
	return len(r.raw) / r.size
}

// at is element i; nil if there is none.
func (r rows) at(i int) []byte {
	if i < 0 || i >= r.n() {
		return nil
	}
	return r.raw[i*r.size : (i+1)*r.size]
}

// openRows maps a pinned array of elements, or a table of them, into memory. size 0: the map's own.
func openRows(dir, name string, size int) (r rows, err error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, "map_"+name), nil)
	if err != nil {
		return r, err
	}
	defer m.Close()
	r.size = size
	if size == 0 {
		r.size = int(m.ValueSize())
	}
	total := int(m.ValueSize()) * int(m.MaxEntries())
	if r.size%8 != 0 || m.MaxEntries() > 1 && r.size != int(m.ValueSize()) || total%r.size != 0 {
		return r, fmt.Errorf("map %s: elements of %d bytes, expected %d", name, m.ValueSize(), size)
	}
	page := os.Getpagesize()
	raw, err := unix.Mmap(m.FD(), 0, (total+page-1)/page*page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return r, fmt.Errorf("map %s into memory: %w", name, err)
	}
	r.raw = raw[:total]
	return r, nil
}

func (r *rows) close() {
	if r.raw != nil {
		unix.Munmap(r.raw[:cap(r.raw)])
		r.raw = nil
	}
}

// openForeign opens the maps in the directory of another layout.
func openForeign(dir string) (_ *foreign, err error) {
	var version int
	if _, err := fmt.Sscanf(filepath.Base(dir), "v%d_", &version); err != nil {
		return nil, fmt.Errorf("%s names no layout", dir)
	}
	ft, ok := formats[version]
	if !ok {
		return nil, fmt.Errorf("layout %d is not known", version)
	}
	f := &foreign{format: ft, carried: map[uint32]uint32{}}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	for _, m := range []struct {
		to   *rows
		name string
		size int
	}{
		{&f.ports, "ports", ft.port}, {&f.slots, "slots", ft.slot}, {&f.subtables, "subtables", ft.subtable},
		{&f.acts, "acts", blockWords * 8}, {&f.stats, "stats", 32}, {&f.orders, "orders", 0}, {&f.config, "config", 0},
		{&f.tails, "key_tails", ft.tail}, {&f.cpus, "cpus", 0},
	} {
		if m.name == "key_tails" && ft.tail == 0 || m.name == "cpus" && ft.cpuHead == 0 {
			continue
		}
		if *m.to, err = openRows(dir, m.name, m.size); err != nil {
			return nil, err
		}
	}
	if f.orders.n() == 1 { // a table of two
		f.orders.size /= 2
	}
	f.inOrder = map[int]bool{}
	if o := f.orders.at(int(ne.Uint32(f.config.at(0)[4:]) & 1)); len(o) >= 8 {
		ids := o[8:]
		for i := range min(int(ne.Uint32(o)), len(ids)/2) {
			f.inOrder[int(ne.Uint16(ids[2*i:]))] = true
		}
	}
	if ft.portCounts != 0 {
		if f.portStat, err = ebpf.LoadPinnedMap(filepath.Join(dir, "map_port_stat"), nil); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *foreign) close() {
	for _, r := range []*rows{&f.ports, &f.slots, &f.tails, &f.subtables, &f.acts, &f.stats, &f.orders, &f.config, &f.cpus} {
		r.close()
	}
	if f.portStat != nil {
		f.portStat.Close()
	}
}

var ne = binary.NativeEndian

// match reads the match of a slot; false if it is dead or damaged.
func (f *foreign) match(slot int, m *flow.Match) bool {
	s := f.slots.at(slot)
	sub := int(ne.Uint32(s))
	st := f.subtables.at(sub - 1)
	if sub == 0 || st == nil || !f.inOrder[sub-1] {
		return false
	}
	words := int(ne.Uint16(st))
	if f.wordsLen == 4 {
		words = int(ne.Uint32(st))
	}
	if words > slotWords {
		return false
	}
	*m = flow.Match{}
	for i := range words {
		idx := int(st[f.maskIdx+i])
		if idx >= flow.DPWords {
			return false
		}
		m.Mask[idx] = ne.Uint64(st[f.mask+8*i:])
		if i < f.keyWords {
			m.Key[idx] = ne.Uint64(s[f.key+8*i:])
		} else if t := f.tails.at(slot); t != nil {
			m.Key[idx] = ne.Uint64(t[8*(i-f.keyWords):])
		} else {
			return false
		}
	}
	return true
}

func (f *foreign) block(n uint32) *[blockWords]uint64 {
	b := f.acts.at(int(n))
	if b == nil {
		return nil
	}
	var w [blockWords]uint64
	for i := range w {
		w[i] = ne.Uint64(b[8*i:])
	}
	return &w
}

// flowStats are what a slot has counted until now; Used is in jiffies.
func (f *foreign) flowStats(slot int) (st datapath.FlowStats) {
	add := func(b []byte) {
		st.Packets += ne.Uint64(b)
		st.Bytes += ne.Uint64(b[8:])
		st.Used = max(st.Used, int64(ne.Uint64(b[16:])))
		st.TCPFlags |= uint16(ne.Uint32(b[24:]))
	}
	if f.counts != 0 {
		add(f.slots.at(slot)[f.counts:])
	}
	stride := f.stats.n() / f.slots.n()
	for i := range stride {
		add(f.stats.at(slot*stride + i))
	}
	return st
}

// carryFlows installs the flows of another layout in ours. They count from zero until credit.
func (d *Datapath) carryFlows(f *foreign) {
	for slot := range f.slots.n() {
		var fl datapath.Flow
		if !f.match(slot, &fl.Match) {
			continue
		}
		ethType := ethTypeOf(&fl.Match.Key, &fl.Match.Mask)
		actions, _, err := decodeWith(uint32(slot), f.block, ethType, &d.conns)
		if err != nil {
			continue
		}
		fl.Actions = actions
		w, err := compileWith(actions, ethType, &d.conns)
		if err != nil {
			continue
		}
		// What finds no room comes up again.
		if ref, err := d.table.put(&fl, w); err == nil {
			f.carried[uint32(slot)] = uint32(ref)
		}
	}
}

// credit adds what the old programs have counted, which run no more.
func (d *Datapath) credit(f *foreign) {
	for slot, e := range f.carried {
		d.table.add(d.table.entries[e].slot, f.flowStats(int(slot)))
	}
	own := d.cpuMem.n - 1
	for n := range d.ports {
		c := d.cpuMem.port(own, n)
		for i, to := range []*uint64{&c.RxPackets, &c.RxBytes, &c.TxPackets, &c.TxBytes, &c.RxDropped, &c.TxDropped} {
			*to += f.portCount(int(n), i)
		}
	}
}

// portCount is one of the six counters that all layouts begin with, over all CPUs.
func (f *foreign) portCount(port, counter int) (sum uint64) {
	if f.portStat != nil {
		var per [][]byte
		if f.portStat.Lookup(uint32(port), &per) != nil {
			return 0
		}
		for _, b := range per {
			if len(b) >= 48 {
				sum += ne.Uint64(b[8*counter:])
			}
		}
		return sum
	}
	size := f.cpuHead + f.ports.n()*f.cpuPort
	for at := f.cpuHead + port*f.cpuPort + 8*counter; at+8 <= len(f.cpus.raw); at += size {
		sum += ne.Uint64(f.cpus.raw[at:])
	}
	return sum
}

// adoptForeign takes over from an instance of another layout what forwards: ports under their numbers and
// flows. The old programs go on until ours are in their places; then finish takes what they counted. What
// cannot be read is left: those devices come as new ports, and their flows as misses.
func (d *Datapath) adoptForeign() (finish func() error) {
	for _, dir := range d.pins.others() {
		f, err := openForeign(dir)
		if err != nil {
			continue
		}
		for n := range min(f.ports.n(), len(d.portMem.at)) {
			var rec bpf.DatapathPort
			if _, err := binary.Decode(f.ports.at(n), ne, &rec); err != nil || rec.Ifindex == 0 {
				continue
			}
			if at, err := d.indexPlace(rec.Ifindex); err == nil {
				d.portMem.at[n] = rec
				d.portIndex.at[at] = bpf.DatapathPortIndex{Port: uint32(n), Ifindex: rec.Ifindex}
			}
		}
		_ = d.adoptPorts()
		if len(d.ports) == 0 {
			f.close()
			continue
		}
		d.carryFlows(f)
		d.carryMeters(dir)
		return func() error {
			defer f.close()
			if err := d.grace.wait(); err != nil {
				return err
			}
			d.credit(f)
			return f.removeTap(d.opts.Name + d.opts.PinDir)
		}
	}
	return func() error { return nil }
}

// carryMeters copies the meters; their records are the same in all layouts.
func (d *Datapath) carryMeters(dir string) {
	old, err := openRows(dir, "meters", 0)
	if err != nil {
		return
	}
	defer old.close()
	for i := range min(old.n(), len(d.meters.at)) {
		var m bpf.DatapathDpMeter
		if n, err := binary.Decode(old.at(i), ne, &m); err == nil && n == old.size {
			d.meters.at[i] = m
		}
	}
}

// removeTap removes the device of the old programs' copies, which ours do not share: state goes through it that each
// has in its own maps.
func (f *foreign) removeTap(instance string) error {
	c := f.config.at(0)
	if len(c) < f.inject+4 {
		return nil
	}
	dev, err := netlink.LinkByIndex(int(ne.Uint32(c[f.inject:])))
	if err != nil || dev.Type() != "tuntap" || !strings.HasPrefix(dev.Attrs().Alias+" ", injectAlias+instance+" ") {
		return nil // gone, or somebody else's by now
	}
	if err := netlink.LinkDel(dev); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove tap %s: %w", dev.Attrs().Name, err)
	}
	return nil
}
