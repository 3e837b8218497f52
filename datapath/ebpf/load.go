package ebpf

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bpf"
)

// layoutVersion changes with the meaning of what is pinned (bpf/abi.h LAYOUT_VERSION).
const layoutVersion = 6

const hintBits = 13 // bpf/abi.h HINT_BITS

const laneBlocks = maxBlocks * maxLanes // action blocks of the injector, at the end

// sized returns the programs and maps with the sizes that the options ask for.
func (d *Datapath) sized() (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadDatapath()
	if err != nil {
		return nil, fmt.Errorf("read programs: %w", err)
	}
	o := &d.opts
	columns := min(d.cpus, o.statColumns)
	stride := statStride(columns)
	// A table that is less full takes more cache and more pages, and is slower for it.
	buckets := pow2(o.MaxFlows * 8 / 7 / bucketWays)
	index := pow2(o.MaxPorts * 4)
	slots := pow2(o.MaxFlows)
	cpus := pow2(d.cpus)
	for name, n := range map[string]uint32{
		"acts":      slots + slots/4 + laneBlocks,
		"port_drop": uint32(o.MaxPorts) + 1, // the entry behind the last port is for drops without a port
		"meters":    MaxMeters,
		// Both tuples of each connection, and as many as two CPUs each may be making meanwhile.
		"ct_index":  uint32(2*o.MaxConns + 64*d.cpus),
		"ct_conns":  pow2(max(o.MaxConns, 64)),
		"ct_used":   pow2(max(o.MaxConns, 64)) / 64,
		"ct_algs":   pow2(max(o.MaxConns, 64)) / 4,
		"next_hops": maxNextHops,
		"underlays": maxUnderlays,
		"tunnels":   uint32(o.MaxPorts),
		"policers":  uint32(o.MaxPorts),
	} {
		spec.Maps[name].MaxEntries = n
	}
	for name, n := range map[string]uint32{
		"ports":     pow2(o.MaxPorts),
		"port_idx":  index,
		"slots":     slots,
		"key_tails": slots,
		"stats":     slots * uint32(stride),
		"buckets":   buckets,
		"subtables": DefaultMaxMasks,
		"orders":    2,
		"hints":     cpus << hintBits,
	} {
		spec.Maps[tableName(name)].ValueSize *= n
	}
	spec.Maps[tableName("cpus")].ValueSize = (cpus + 1) * uint32(cpuSize(o.MaxPorts)) // the last is ours
	for name, m := range spec.Maps {
		if !strings.HasPrefix(name, tablePrefix) {
			continue
		}
		// One value that both sides map into memory.
		m.Flags |= unix.BPF_F_MMAPABLE
		m.Key, m.Value, m.Contents = nil, nil, nil
	}
	spec.Maps["rings"].InnerMap.MaxEntries = uint32(o.RingBytes)
	atomics := uint32(0)
	if d.cpus > columns {
		atomics = 1
	}
	for name, v := range map[string]any{
		"bucket_mask": buckets - 1, "port_index_mask": index - 1, "max_ports": uint32(o.MaxPorts),
		"stat_columns": uint32(columns), "stat_stride": uint32(stride), "stat_atomic": atomics,
		"stat_mask": slots*uint32(stride) - 1, "port_mask": pow2(o.MaxPorts) - 1, "slot_mask": slots - 1, "cpu_mask": cpus - 1, "hint_mask": cpus<<hintBits - 1, "cpu_size": uint32(cpuSize(o.MaxPorts)),
		"max_calls": uint32(o.maxCalls), "n_rings": uint32(o.Handlers), "crc32c_shift": crcShift(), "ct_words": pow2(max(o.MaxConns, 64)) / 64,
	} {
		if err := spec.Variables[name].Set(v); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	return spec, nil
}

// crcShift says what 2^i zero bytes behind it do to each bit of a CRC32c register.
func crcShift() (m [16][32]uint32) {
	const castagnoli = 0x82f63b78
	for bit := range 32 {
		v := uint32(1) << bit
		for range 8 {
			v = v>>1 ^ castagnoli&-(v&1)
		}
		m[0][bit] = v
	}
	for i := 1; i < len(m); i++ {
		for bit := range 32 {
			v := m[i-1][bit]
			for from := range 32 {
				m[i][bit] ^= m[i-1][from] & -(v >> from & 1)
			}
		}
	}
	return m
}

// statStride is how many counters a slot has besides its own: columns of CPUs, and the last for us.
func statStride(columns int) int { return int(pow2(columns + 1)) }

const tablePrefix = ".data."

// tableName is what the map of a table is called (bpf/maps.h, TABLE).
func tableName(name string) string { return tablePrefix + name }

// fresh are the maps that every load makes anew: the programs' own.
func fresh(name string) bool {
	return name == "progs" || name == tableName("hints") || name[0] == '.' && !strings.HasPrefix(name, tablePrefix)
}

// layout names what is pinned: the same name, the same maps.
func layout(spec *ebpf.CollectionSpec) string {
	h := fnv.New64a()
	names := make([]string, 0, len(spec.Maps))
	for name := range spec.Maps {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if m := spec.Maps[name]; !fresh(name) {
			fmt.Fprintf(h, "%s %d %d %d %d\n", name, m.Type, m.ValueSize, m.MaxEntries, m.Flags)
		}
	}
	fmt.Fprint(h, spec.Maps["rings"].InnerMap.MaxEntries)
	return fmt.Sprintf("v%d_%016x", layoutVersion, h.Sum64())
}

// load makes or adopts the maps and loads the programs over them.
func (d *Datapath) load() error {
	spec, err := d.sized()
	if err != nil {
		return err
	}
	var maps map[string]*ebpf.Map
	if d.pins != nil {
		d.pins.layout = layout(spec)
		if maps, err = d.pins.loadMaps(spec); err != nil {
			return err
		}
		defer func() { closeMaps(maps) }()
	}
	replaced := maps
	if d.pins != nil && maps == nil {
		replaced = d.pins.loadConns(spec)
		defer closeMaps(replaced)
	}
	var mul [slotWords]uint64
	if maps != nil {
		// The rest takes a while: what comes up meanwhile is kept for the handler.
		if err := d.discard(maps["rings"]); err != nil {
			return err
		}
		var cfg bpf.DatapathDpConfig
		if err := maps["config"].Lookup(uint32(0), &cfg); err != nil {
			return fmt.Errorf("read pinned config: %w", err)
		}
		mul = cfg.HashMul
	} else {
		for i := range mul {
			mul[i] = rand.Uint64() | 1
		}
	}
	if err := spec.Variables["hash_mul"].Set(mul); err != nil {
		return fmt.Errorf("set hash_mul: %w", err)
	}
	d.coll, err = ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replaced})
	if err != nil {
		return fmt.Errorf("load programs (needs Linux 6.1 and CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON): %w", err)
	}
	for name, at := range map[string]bpf.DatapathProgIndex{
		"actions": bpf.DatapathProgIndexPROG_ACTIONS, "again": bpf.DatapathProgIndexPROG_AGAIN,
		"upcall": bpf.DatapathProgIndexPROG_UPCALL, "more": bpf.DatapathProgIndexPROG_MORE,
		"hash": bpf.DatapathProgIndexPROG_HASH, "copy": bpf.DatapathProgIndexPROG_COPY,
		"meter": bpf.DatapathProgIndexPROG_METER, "mpls": bpf.DatapathProgIndexPROG_MPLS,
		"sctp": bpf.DatapathProgIndexPROG_SCTP, "nd": bpf.DatapathProgIndexPROG_ND,
		"lookup": bpf.DatapathProgIndexPROG_LOOKUP, "ct": bpf.DatapathProgIndexPROG_CT,
		"ct_prepare": bpf.DatapathProgIndexPROG_CT_PREPARE, "ct_again": bpf.DatapathProgIndexPROG_CT_AGAIN,
		"ct_new": bpf.DatapathProgIndexPROG_CT_NEW, "ct_nat": bpf.DatapathProgIndexPROG_CT_NAT,
		"ct_fragment": bpf.DatapathProgIndexPROG_CT_FRAGMENT,
		"ct_error":    bpf.DatapathProgIndexPROG_CT_ERROR, "ct_rewrite": bpf.DatapathProgIndexPROG_CT_REWRITE,
		"ct_adjust": bpf.DatapathProgIndexPROG_CT_ADJUST, "ct_expect_new": bpf.DatapathProgIndexPROG_CT_EXPECT,
		"ct_help": bpf.DatapathProgIndexPROG_CT_HELP, "ct_helped": bpf.DatapathProgIndexPROG_CT_HELPED, "ct_plain": bpf.DatapathProgIndexPROG_CT_PLAIN,
		"set_tunnel": bpf.DatapathProgIndexPROG_SET_TUNNEL, "tunnel_out": bpf.DatapathProgIndexPROG_TUNNEL_OUT,
		"tunnel_prepare": bpf.DatapathProgIndexPROG_TUNNEL_PREPARE, "tunnel_send": bpf.DatapathProgIndexPROG_TUNNEL_SEND,
		"tunnel_in": bpf.DatapathProgIndexPROG_TUNNEL_IN, "tunnel_ecn": bpf.DatapathProgIndexPROG_TUNNEL_ECN,
		"tunnel_device_out": bpf.DatapathProgIndexPROG_TUNNEL_DEVICE,
		"police":            bpf.DatapathProgIndexPROG_POLICE,
	} {
		if err := d.coll.Maps["progs"].Put(uint32(at), d.coll.Programs[name]); err != nil {
			return fmt.Errorf("enter program %s: %w", name, err)
		}
	}
	if err := d.mapMemory(); err != nil {
		return err
	}
	if err := d.readClocks(); err != nil {
		return err
	}
	d.table.policies = &d.conns
	if err := d.conns.open(d, replaced == nil); err != nil {
		return err
	}
	if maps == nil {
		d.table.config.at[0].Layout = layoutVersion
		d.table.config.at[0].HashMul = mul
	}
	if err := d.table.open(d.opts.MaxFlows, d.opts.MaxMasks, d.opts.PortMasks, statStride(min(d.cpus, d.opts.statColumns)), laneBlocks); err != nil {
		return fmt.Errorf("flow tables are damaged: %w", err)
	}
	if d.pins != nil && maps == nil {
		return d.pins.pinMaps(d.coll.Maps)
	}
	return nil
}

func (d *Datapath) mapMemory() error {
	m, t := d.coll.Maps, &d.table
	var errs [13]error
	t.config, errs[0] = mapArray[bpf.DatapathDpConfig](m["config"])
	t.slots, errs[1] = mapArray[bpf.DatapathFlowSlot](m[tableName("slots")])
	t.acts, errs[2] = mapArray[bpf.DatapathActBlock](m["acts"])
	t.stats, errs[3] = mapArray[bpf.DatapathFlowStats](m[tableName("stats")])
	t.buckets, errs[4] = mapArray[bpf.DatapathBucket](m[tableName("buckets")])
	t.subtables, errs[5] = mapArray[bpf.DatapathSubtable](m[tableName("subtables")])
	t.orders, errs[6] = mapArray[bpf.DatapathOrder](m[tableName("orders")])
	d.portMem, errs[7] = mapArray[bpf.DatapathPort](m[tableName("ports")])
	d.portIndex, errs[8] = mapArray[bpf.DatapathPortIndex](m[tableName("port_idx")])
	d.meters, errs[9] = mapArray[bpf.DatapathDpMeter](m["meters"])
	t.tails, errs[11] = mapArray[bpf.DatapathKeyTail](m[tableName("key_tails")])
	d.policers, errs[12] = mapArray[bpf.DatapathPolicer](m["policers"])
	d.cpuMem, errs[10] = mapCPUs(m[tableName("cpus")], d.opts.MaxPorts)
	return errors.Join(errs[:]...)
}

// jiffies relates the kernel's jiffies to the monotonic clock.
type jiffies struct {
	tick     int64 // nanoseconds of one
	at, mono int64 // one moment in both
}

// nanoseconds on the monotonic clock; 0 stays 0, which means never.
func (j jiffies) mono64(v uint64) int64 {
	if v == 0 {
		return 0
	}
	return max(1, j.mono+(int64(v)-j.at)*j.tick)
}

// readClocks runs the clock program. The length of a jiffy is the resolution of the kernel's
// coarse clock.
func (d *Datapath) readClocks() error {
	var res unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &res); err != nil {
		return fmt.Errorf("length of a jiffy: %w", err)
	}
	if _, err := d.coll.Programs["clock"].Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
		return fmt.Errorf("run the clock program: %w", err)
	}
	cfg := &d.table.config.at[0]
	d.tick = jiffies{tick: res.Nano(), at: int64(cfg.Jiffies), mono: int64(cfg.Ktime)}
	if d.tick.tick <= 0 || d.tick.at == 0 {
		return fmt.Errorf("clock program: jiffies %d, tick of %v", cfg.Jiffies, time.Duration(d.tick.tick))
	}
	return nil
}

// perJiffy is a rate in packets per second as the programs use it: 2^16ths per jiffy.
func (d *Datapath) perJiffy(rate int) uint32 {
	if rate < 0 {
		return 0
	}
	return uint32(min(max(int64(rate)<<16*d.tick.tick/int64(time.Second), 1), 1<<31))
}

// pinned runs f on an OS thread that stays on its CPU, for what is per CPU.
func pinned(f func(cpu int) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return fmt.Errorf("read CPU affinity: %w", err)
	}
	cpu := 0
	for !old.IsSet(cpu) {
		cpu++
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("set CPU affinity: %w", err)
	}
	defer unix.SchedSetaffinity(0, &old)
	return f(cpu)
}
