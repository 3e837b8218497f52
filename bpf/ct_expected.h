/* SPDX-License-Identifier: Apache-2.0 */
/* New connections that another one has announced, and helpers of new ones: conntrack/expect.go and helper.go. */
#pragma once

#include "ct.h"

/* The helper that the action asks for, if it is one for the protocol. */
static __always_inline __u8 ct_helper(const struct ct_scratch *s)
{
	__u32 h = CT_HELPER(s->policy);

	if (s->tuple.proto == IPPROTO_TCP)
		return h & ALG_FTP;
	if (s->tuple.proto == IPPROTO_UDP)
		return h & ALG_TFTP;
	return 0;
}

/* Whether an announcement is in force: it is one of the last, and its master lives. */
static __always_inline int ct_in_force(const struct ct_expectation *e, __u64 now)
{
	struct ct_table *t = ct_table_get();
	__u32 slot = e->slot;
	struct ct_conn *n = bpf_map_lookup_elem(&ct_conns, &slot);

	return t && n && t->announced - e->number <= CT_EXPECTATIONS && n->gen == e->gen && n->used && !ct_expired(n, now);
}

/* Finds who has announced the connection; s->master is that one then. */
static __noinline int ct_expected(__u64 now)
{
	struct ct_scratch *s = ct_scratch_get();
	struct ct_expectation *e;
	struct ct_conn *n;
	__u32 slot, gen;
	int ours;

	if (!s)
		return 0;
	s->out = s->tuple;
	s->out.sport = 0;
	e = bpf_map_lookup_elem(&ct_expects, &s->out);
	if (!e || !ct_in_force(e, now))
		return 0;
	slot = e->slot;
	gen = e->gen;
	n = bpf_map_lookup_elem(&ct_conns, &slot);
	if (!n || !ct_lock(n))
		return 0;
	ours = n->gen == gen;
	s->master = *n;
	ct_unlock(n);
	if (!ours)
		return 0;
	s->parent = slot;
	s->parent_gen = gen;
	s->expected = e->active ? 2 : 1;
	return 1;
}

/* A new connection that is announced is related, and if it is translated at all, it is like its master. */
static __always_inline void ct_expect(struct ct_scratch *s, __u64 now)
{
	const struct ct_tuple *t;
	const __u64 *a;
	int active, src;

	if (!ct_expected(now))
		return;
	s->state |= CS_REL;
	if (!(s->flags & CT_NAT))
		return;
	active = s->expected == 2;
	src = (s->master.nat == CS_DST) == active;
	t = active ? &s->master.orig : &s->master.reply;
	a = src ? t->dst : t->src;
	s->flags = (s->flags & ~(CT_SRC | CT_DST)) | (src ? CT_SRC : CT_DST);
	s->set.w[1] = (__u64)t->family << 32;
	s->set.w[2] = bpf_be64_to_cpu(a[0]);
	s->set.w[3] = bpf_be64_to_cpu(a[1]);
}

/* Gives a new connection what it has from its master. */
static __always_inline int ct_inherit(struct ct_scratch *s, struct ct_conn *n, __u32 slot)
{
	n->mark = s->master.mark;
	n->label[0] = s->master.label[0];
	n->label[1] = s->master.label[1];
	n->alg |= ALG_RELATED;
	__builtin_memset(&s->more, 0, sizeof(s->more));
	s->more.gen = s->gen;
	s->more.parent = s->master.orig;
	return bpf_map_update_elem(&ct_algs, &slot, &s->more, BPF_ANY) ? -1 : 0;
}

/* For one that is given up. */
static __always_inline void ct_disinherit(const struct ct_scratch *s, struct ct_conn *n, __u32 slot)
{
	if (s->expected)
		bpf_map_delete_elem(&ct_algs, &slot);
	n->alg = 0;
}
