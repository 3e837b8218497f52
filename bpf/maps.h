/* SPDX-License-Identifier: Apache-2.0 */
/* The maps. Sizes given as 1 are set by the loader from its options. Those with
 * BPF_F_MMAPABLE are written and read by the agent through memory.
 *
 * What every packet needs is in tables: each is a map of one value, as long as the loader makes it, which programs reach by
 * address and index instead of a look-up: three instructions instead of twelve. The index must be below a bound
 * that the verifier knows, so lengths are powers of two, or products of constants. */
#pragma once

#include "abi.h"

/* Rewritten by the loader. */
const volatile __u32 bucket_mask = 0;    /* number of buckets - 1 */
const volatile __u32 port_index_mask = 0;
const volatile __u32 stat_columns = 1;   /* columns of flow_stats that CPUs use */
const volatile __u32 stat_stride = 1;    /* entries per slot; the last column is the agent's */
const volatile __u32 stat_mask = 0;      /* entries - 1 */
const volatile __u32 stat_atomic = 0;    /* more CPUs than columns */
const volatile __u32 slot_mask = 0;      /* number of slots - 1 */
const volatile __u32 cpu_mask = 0;       /* CPU records - 1 */
const volatile __u32 cpu_size = sizeof(struct cpu); /* of a record, with its ports */
const volatile __u32 use_cache = 1;      /* of subtables; 0: in benchmarks */
const volatile __u32 max_ports = 1;
const volatile __u32 max_calls = 0;      /* of programs, before the next look-up is left to the agent */
const volatile __u32 port_mask = 0;      /* records of ports - 1 */
const volatile __u32 hint_mask = 0;      /* hints - 1 */
const volatile __u32 n_rings = 1;
const volatile __u64 hash_mul[SLOT_WORDS] = {};
const volatile __u32 crc32c_shift[16][32] = {}; /* what 2^i zero bytes do to each bit of a CRC32c */

/* Rare work is in programs of its own, entered at constant indices. */
enum prog_index {
	PROG_ACTIONS, PROG_AGAIN, PROG_UPCALL, PROG_MORE, PROG_HASH, PROG_COPY, PROG_METER, PROG_MPLS,
	PROG_SCTP, PROG_ND, PROG_LOOKUP, PROG_CT, PROG_CT_PREPARE, PROG_CT_AGAIN, PROG_CT_NEW, PROG_CT_NAT, PROG_CT_FRAGMENT, PROG_CT_ERROR, PROG_CT_REWRITE,
	PROG_CT_ADJUST, PROG_CT_EXPECT, PROG_CT_HELP, PROG_CT_HELPED, PROG_CT_PLAIN,
	PROG_SET_TUNNEL, PROG_TUNNEL_OUT, PROG_TUNNEL_PREPARE, PROG_TUNNEL_SEND, PROG_TUNNEL_IN, PROG_TUNNEL_ECN, PROG_TUNNEL_DEVICE,
	PROG_POLICE,
	PROG_MAX
};

/* Keeps types in the BTF that no map has, for the agent's generated view. */
const volatile union {
	struct upcall_rec upcall;
	struct act act;
	enum act_op op;
	enum drop_reason reason;
	enum port_kind kind;
	enum tunnel_kind tunnel;
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
MAP(BPF_MAP_TYPE_ARRAY, acts, 1, struct act_block, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, injects, INJECT_LANES, struct inject_rec, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, meters, 1, struct dp_meter, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, policers, 1, struct policer, BPF_F_MMAPABLE); /* by port */
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, alg_notes, 1, struct ct_note, 0);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, port_drop, 1, struct port_drops, 0); /* the last entry: no port */

#define TABLE(NAME, VALUE) VALUE NAME[1] SEC(".data." #NAME) __attribute__((visibility("hidden")))

TABLE(cpus, struct cpu);
TABLE(ports, struct port);
TABLE(port_idx, struct port_index);
TABLE(slots, struct flow_slot);
TABLE(key_tails, struct key_tail);
TABLE(stats, struct flow_stats);
TABLE(buckets, struct bucket);
TABLE(subtables, struct subtable);
TABLE(orders, struct order);
TABLE(hints, struct hint);

/* The element of a table. The compiler must not take the table for as long as it is declared, nor compute the address
 * once more for every member. */
#define AT(NAME, INDEX)                          \
	({                                       \
		__typeof__(&NAME[0]) t_ = NAME;  \
		barrier_var(t_);                 \
		t_ += (INDEX);                   \
		barrier_var(t_);                 \
		t_;                              \
	})

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
