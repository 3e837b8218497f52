/* SPDX-License-Identifier: Apache-2.0 */
/* The connections: an index from tuples to slots, and slots. Only programs change them, so that no death of the agent
 * leaves one half done. */
#pragma once

#include "ct_expect.h"

const volatile __u32 ct_words = 1; /* of ct_used, a power of two */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_tuple);
	__type(value, __u64); /* CT_REF */
} ct_index SEC(".maps");

MAP(BPF_MAP_TYPE_ARRAY, ct_conns, 1, struct ct_conn, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, ct_used, 1, __u64, BPF_F_MMAPABLE); /* a bit per slot */
MAP(BPF_MAP_TYPE_ARRAY, ct_zones, CT_ZONES, struct ct_zone, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, ct_held_limits, 1, struct ct_held, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, ct_policies, CT_POLICIES, struct ct_policy, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, ct_jobs, 1, struct ct_job, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, ct_count, 1, struct ct_counts, 0);

/* What the index says: slot, generation, and 1 for the tuple of answers. */
#define CT_REF(slot, gen, reply) ((__u64)((gen) << 1 | (reply)) << 32 | (slot))

/* How often a CPU tries to get a lock: longer than anybody holds one. */
#define CT_SPINS 64

static __always_inline int ct_lock(struct ct_conn *n)
{
	for (int i = 0; i < CT_SPINS; i++)
		if (!__sync_val_compare_and_swap(&n->lock, 0, 1))
			return 1;
	return 0;
}

static __always_inline void ct_unlock(struct ct_conn *n) { __sync_lock_test_and_set(&n->lock, 0); }

static __always_inline struct ct_counts *ct_counts_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ct_count, &zero);
}

static __always_inline int ct_same(const struct ct_tuple *a, const struct ct_tuple *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

static __always_inline int ct_expired(const struct ct_conn *n, __u64 now)
{
	return (__s64)(n->expires - now) <= 0;
}

/* Gives a slot back. */
static __always_inline void ct_free(__u32 slot)
{
	__u32 at = slot / 64;
	__u64 *w = bpf_map_lookup_elem(&ct_used, &at);

	if (w)
		__sync_fetch_and_and(w, ~(1ull << (slot & 63)));
}

static __always_inline void ct_count_down(__u32 zone)
{
	struct ct_zone *z = bpf_map_lookup_elem(&ct_zones, &zone);
	struct ct_table *t = ct_table_get();

	if (z)
		__sync_fetch_and_add(&z->count, -1);
	if (t)
		__sync_fetch_and_add(&t->count, -1);
}

/* Removes a connection; 0: somebody else does or did. */
static __noinline int ct_remove(__u32 slot, __u32 gen)
{
	struct ct_conn *n = bpf_map_lookup_elem(&ct_conns, &slot);
	int ours;

	if (!n || !ct_lock(n))
		return 0;
	ours = n->gen == gen && n->used;
	if (ours) {
		n->gen = (gen + 1) & CT_GEN_MASK;
		n->used = 0;
	}
	ct_unlock(n);
	if (!ours)
		return 0;
	if (n->alg) {
		ct_forget(slot);
		n->alg = 0;
	}
	bpf_map_delete_elem(&ct_index, &n->orig);
	/* A tuple that is both ways' may be another's by now. */
	if (!ct_same(&n->orig, &n->reply))
		bpf_map_delete_elem(&ct_index, &n->reply);
	ct_count_down(n->orig.zone);
	ct_free(slot);
	return 1;
}

/* A connection as the index has it. */
struct ct_found {
	struct ct_conn *conn;
	__u32 slot, gen, reply;
};

static __always_inline int ct_find(const struct ct_tuple *k, __u64 now, struct ct_found *f)
{
	__u64 *ref = bpf_map_lookup_elem(&ct_index, k), v;
	struct ct_conn *n;

	if (!ref)
		return 0;
	v = *ref;
	f->slot = v;
	f->gen = v >> 33;
	f->reply = v >> 32 & 1;
	n = bpf_map_lookup_elem(&ct_conns, &f->slot);
	if (!n || n->gen != f->gen)
		return 0;
	if (ct_expired(n, now)) {
		ct_remove(f->slot, f->gen);
		return 0;
	}
	f->conn = n;
	return 1;
}

static long ct_job_one(__u32 i, struct ct_job **arg)
{
	__u32 zero = 0;
	struct ct_job *j = bpf_map_lookup_elem(&ct_jobs, &zero);

	if (!j || i >= CT_JOB_MAX)
		return 1;
	if (ct_remove(j->at[i].slot, j->at[i].gen))
		j->removed++;
	return 0;
}

/* Not attached: run by the agent, which sweeps and flushes so. */
SEC("tc")
int ct_remover(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct ct_job *j = bpf_map_lookup_elem(&ct_jobs, &zero);

	if (j) {
		j->removed = 0;
		bpf_loop(j->n, ct_job_one, NULL, 0);
	}
	return 0;
}
