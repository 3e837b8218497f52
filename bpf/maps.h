/* SPDX-License-Identifier: Apache-2.0 */
/* The maps. Sizes given as 1 are set by the loader from its options. Those with
 * BPF_F_MMAPABLE are written and read by the agent through memory. */
#pragma once

#include "abi.h"

/* Rewritten by the loader. */
const volatile __u32 bucket_mask = 0;    /* number of buckets - 1 */
const volatile __u32 port_index_mask = 0;
const volatile __u32 stat_columns = 1;   /* columns of flow_stats that CPUs use */
const volatile __u32 stat_stride = 1;    /* entries per slot; the agent has a column of its own */
const volatile __u32 stat_atomic = 0;    /* more CPUs than columns */
const volatile __u32 max_ports = 1;
const volatile __u32 n_rings = 1;
const volatile __u64 hash_mul[SLOT_WORDS] = {};
const volatile __u32 crc32c_shift[16][32] = {}; /* what 2^i zero bytes do to each bit of a CRC32c */

/* Rare work is in programs of its own, entered at constant indices. */
enum prog_index {
	PROG_ACTIONS, PROG_AGAIN, PROG_UPCALL, PROG_MORE, PROG_HASH, PROG_COPY, PROG_METER, PROG_MPLS,
	PROG_SCTP, PROG_ND, PROG_MAX
};

/* Keeps types in the BTF that no map has, for the agent's generated view. */
const volatile union {
	struct upcall_rec upcall;
	struct act act;
	enum act_op op;
	enum drop_reason reason;
	enum port_kind kind;
	enum prog_index prog;
} abi_types = {};

#define MAP(TYPE, NAME, SIZE, VALUE, FLAGS)        \
	struct {                                   \
		__uint(type, TYPE);                \
		__uint(max_entries, SIZE);         \
		__uint(map_flags, FLAGS);          \
		__type(key, __u32);                \
		__type(value, VALUE);              \
	} NAME SEC(".maps")

MAP(BPF_MAP_TYPE_ARRAY, config, 1, struct dp_config, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, ports, 1, struct port, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, port_idx, 1, struct port_index, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, slots, 1, struct flow_slot, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, acts, 1, struct act_block, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, stats, 1, struct flow_stats, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, buckets, 1, struct bucket, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, subtables, MASKS_MAX, struct subtable, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, orders, 2, struct order, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, injects, INJECT_LANES, struct inject_rec, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, meters, 1, struct dp_meter, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, port_stat, 1, struct port_stats, 0); /* the last entry: no port */
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, cache, 1, struct mask_cache, 0);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, sub_hits, MASKS_MAX, __u64, 0);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, total, 1, struct totals, 0);
/* How many copies deep this CPU is: a program of ours may run inside bpf_clone_redirect of
 * another (a bridge on top of a bridge). */
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, nest, 1, __u32, 0);

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, UPCALL_RINGS);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

/* Every load of the programs has an array of its own, filled before a link is updated. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, PROG_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} progs SEC(".maps");
