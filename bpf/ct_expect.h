/* SPDX-License-Identifier: Apache-2.0 */
/* What connections have announced, and what else only such connections have: conntrack/expect.go. */
#pragma once

#include "copy.h"

MAP(BPF_MAP_TYPE_ARRAY, ct_tables, 1, struct ct_table, BPF_F_MMAPABLE);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* slot */
	__type(value, struct ct_alg);
} ct_algs SEC(".maps");

/* Twice as many as count, for CPUs that take the same places at once. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * CT_EXPECTATIONS);
	__type(key, struct ct_tuple);
	__type(value, struct ct_expectation);
} ct_expects SEC(".maps");

/* The last announcements, by number. */
MAP(BPF_MAP_TYPE_ARRAY, ct_announces, CT_EXPECTATIONS, struct ct_tuple, 0);

static __always_inline struct ct_table *ct_table_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ct_tables, &zero);
}

/* Removes the announcement of that number, if it is still there. */
static __always_inline void ct_retract(__u32 number)
{
	__u32 at = number % CT_EXPECTATIONS;
	struct ct_tuple *k = bpf_map_lookup_elem(&ct_announces, &at);
	struct ct_expectation *e;

	if (!k)
		return;
	e = bpf_map_lookup_elem(&ct_expects, k);
	if (e && e->number == number)
		bpf_map_delete_elem(&ct_expects, k);
}

/* With a connection goes what it has announced. */
static __always_inline void ct_forget(__u32 slot)
{
	struct ct_alg *a = bpf_map_lookup_elem(&ct_algs, &slot);

	if (!a)
		return;
	if (a->announced)
		ct_retract(a->announced - 1);
	bpf_map_delete_elem(&ct_algs, &slot);
}
