/* SPDX-License-Identifier: Apache-2.0 */
/* New connections, and the choice of what they are translated to: conntrack/nat.go. Between CPUs the index decides:
 * a tuple is entered only if nobody has it. */
#pragma once

#include "ct_expected.h"

#define CT_MAX_ADDRS 4
#define CT_MAX_PORTS 256
#define CT_ALLOC_WORDS 4096 /* words of ct_used that are looked at for a free slot */
#define CT_EVICT_SLOTS 256  /* slots of which one without reply gives way */
#define CT_EVICT_MOST 1024  /* slots that are looked at for the first one */
#define CT_MAX_OVER 8       /* CPUs that are above the maximum for the moment of an eviction */
#define CT_RETRIES 2

static __always_inline __u32 ct_hash32(__u32 h)
{
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	return h ^ h >> 16;
}

static __always_inline __u32 ct_hash_word(__u32 h, __u32 w)
{
	h = (h ^ w) * 0x01000193;
	return h ^ h >> 15;
}

static __always_inline __u32 ct_hash(const struct ct_tuple *t, int persistent)
{
	const __be32 *src = (const void *)t->src, *dst = (const void *)t->dst;
	__u32 h = 0x811c9dc5;

	for (int i = 0; i < 4; i++) {
		h = ct_hash_word(h, bpf_ntohl(src[i]));
		if (!persistent)
			h = ct_hash_word(h, bpf_ntohl(dst[i]));
	}
	if (!persistent) {
		h = ct_hash_word(h, (__u32)t->sport << 16 | t->dport);
		h = ct_hash_word(h, t->proto);
	}
	return ct_hash32(h);
}

/* The number of the lowest bit. */
static __always_inline __u32 ct_lowest(__u64 w)
{
	w = (w & -w) - 1;
	w -= w >> 1 & 0x5555555555555555ull;
	w = (w & 0x3333333333333333ull) + (w >> 2 & 0x3333333333333333ull);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return w * 0x0101010101010101ull >> 56;
}

struct ct_search {
	__u32 start, slot;
	__u32 gen, found;
	__u64 oldest;
};

static long ct_alloc_one(__u32 i, struct ct_search *x)
{
	__u32 at = (x->start + i) & (ct_words - 1), bit;
	__u64 *w = bpf_map_lookup_elem(&ct_used, &at), v;

	if (!w)
		return 1;
	v = ~*(volatile __u64 *)w;
	if (!v)
		return 0;
	bit = ct_lowest(v) & 63;
	if (__sync_fetch_and_or(w, 1ull << bit) >> bit & 1)
		return 0; /* another CPU was faster */
	x->slot = at * 64 + bit;
	x->found = 1;
	return 1;
}

static long ct_evict_one(__u32 i, struct ct_search *x)
{
	__u32 slot = (x->start + i) & (ct_words * 64 - 1);
	struct ct_conn *n = bpf_map_lookup_elem(&ct_conns, &slot);

	if (x->found && i >= CT_EVICT_SLOTS)
		return 1;
	if (!n || !n->used || n->replied || (x->found && (__s64)(n->expires - x->oldest) >= 0))
		return 0;
	x->found = 1;
	x->slot = slot;
	x->gen = n->gen;
	x->oldest = n->expires;
	return 0;
}

/* Makes room by a connection without reply, one that was silent for long. */
static __always_inline int ct_evict(__u64 now)
{
	struct ct_search x = { .start = bpf_get_prandom_u32() };
	struct ct_counts *n = ct_counts_get();

	bpf_loop(CT_EVICT_MOST, ct_evict_one, &x, 0);
	if (!x.found || !ct_remove(x.slot, x.gen))
		return 0;
	if (n && (__s64)(x.oldest - now) > 0)
		n->displaced++;
	return 1;
}

/* Takes a place in the zone and a slot; else counts why not. */
static __always_inline int ct_room(struct ct_scratch *s, __u64 now)
{
	struct ct_search x = { .start = s->hash };
	struct ct_table *t = ct_table_get();
	struct ct_counts *counts = ct_counts_get();
	__u32 zone = s->zone, limit, n;
	struct ct_zone *z = bpf_map_lookup_elem(&ct_zones, &zone);

	if (!t || !z || !counts)
		return -1;
	limit = z->limit ? z->limit - 1 : t->limit;
	n = __sync_fetch_and_add(&z->count, 1);
	if (limit && n >= limit) {
		__sync_fetch_and_add(&z->count, -1);
		counts->zone_full++;
		return -1;
	}
	n = __sync_fetch_and_add(&t->count, 1);
	if (n < t->max || (n - t->max < CT_MAX_OVER && ct_evict(now))) {
		bpf_loop(ct_words < CT_ALLOC_WORDS ? ct_words : CT_ALLOC_WORDS, ct_alloc_one, &x, 0);
		if (x.found) {
			s->slot = x.slot;
			return 0;
		}
	}
	ct_count_down(zone);
	counts->full++;
	return -1;
}

/* Enters the reply tuple that s->out makes, unless somebody has it. */
static __noinline int ct_enter_reply(void)
{
	struct ct_scratch *s = ct_scratch_get();
	struct ct_found f = {};
	struct ct_conn *n;
	__u64 ref;
	__u32 slot;

	if (!s)
		return 0;
	slot = s->slot;
	n = bpf_map_lookup_elem(&ct_conns, &slot);
	if (!n)
		return 0;
	ct_reverse(&n->reply, &s->out);
	if (ct_same(&n->reply, &s->tuple))
		return 1;
	ref = CT_REF(slot, s->gen, 1);
	if (!bpf_map_update_elem(&ct_index, &n->reply, &ref, BPF_NOEXIST))
		return 1;
	/* Whose time is over makes way. */
	if (ct_find(&n->reply, bpf_jiffies64(), &f))
		return 0;
	return !bpf_map_update_elem(&ct_index, &n->reply, &ref, BPF_NOEXIST);
}

static long ct_probe_one(__u32 i, __u32 *done)
{
	struct ct_scratch *s = ct_scratch_get();
	__u32 ofs;
	__u16 port;

	if (!s || !s->size)
		return 1;
	ofs = s->start + i;
	if (s->size > CT_MAX_PORTS && i >= CT_MAX_PORTS / 2)
		ofs = s->start + i * s->stride;
	port = s->low + ofs % s->size;
	if (s->to_dst)
		s->out.dport = port;
	else
		s->out.sport = port;
	*done = ct_enter_reply();
	return *done;
}

static __noinline int ct_probe(__u32 to_dst, __u32 start, __u32 low, __u32 high)
{
	struct ct_scratch *s = ct_scratch_get();
	__u32 done = 0, size;

	if (!s)
		return 0;
	size = (__u16)(high - low) + 1;
	s->size = size;
	s->low = low;
	s->to_dst = to_dst;
	s->start = start % size;
	s->stride = 2 * (ct_hash32(s->start) % size) + 1;
	bpf_loop(size < CT_MAX_PORTS ? size : CT_MAX_PORTS, ct_probe_one, &done, 0);
	return done;
}

/* The i-th address to try; 0: there is none. */
static __always_inline int ct_address(struct ct_scratch *s, const struct act_block *b, __u32 i)
{
	__u64 how = b->w[1], low_high = b->w[2], low = b->w[3], high_high = b->w[4], high = b->w[5];
	__u64 last, ofs, sum, *a = s->flags & CT_DST && !(s->flags & CT_SRC) ? s->out.dst : s->out.src;

	if (!CT_NAT_FAMILY(how))
		return i == 0;
	if (CT_NAT_FAMILY(how) != s->tuple.family)
		return 0;
	if (!(how & CT_NAT_MAX) || low_high > high_high || (low_high == high_high && low >= high)) {
		high_high = low_high;
		high = low;
	}
	last = low_high == high_high ? high - low : ~0ull;
	if (i > last)
		return 0;
	ofs = (__u64)s->hash << 32 | s->hash;
	if (last != ~0ull)
		ofs = ((__u64)s->hash % (last + 1) + i) % (last + 1);
	else
		ofs += i;
	sum = low + ofs;
	a[0] = bpf_cpu_to_be64(low_high + (sum < low));
	a[1] = bpf_cpu_to_be64(sum);
	return 1;
}

static __always_inline __u32 ct_start(const struct ct_scratch *s, __u64 how)
{
	return how & CT_NAT_RANDOM ? bpf_get_prandom_u32() : ct_hash(&s->tuple, 0);
}

/* Finds ports with which the addresses in s->out are free. */
static __always_inline int ct_choose_port(struct ct_scratch *s, __u64 how)
{
	__u32 min = CT_NAT_MIN_PORT(how), max = CT_NAT_MAX_PORT(how), start, port = s->tuple.sport;
	int dst = s->flags & CT_DST && !(s->flags & CT_SRC), src = !!(s->flags & CT_SRC);
	int ports = ct_has_ports(&s->tuple), icmp = ct_is_icmp(&s->tuple);

	if (max < min)
		max = min;
	if (!ports && !icmp)
		return ct_enter_reply();
	if (dst && min && ports) {
		if (ct_probe(1, ct_start(s, how), min, max))
			return 1;
	} else if (dst || !min) {
		if (ct_enter_reply())
			return 1;
	}
	if (src && min)
		return ct_probe(0, ct_start(s, how), min, max);
	if (icmp) {
		min = 0;
		max = 65535;
	} else if (port < 512) {
		min = 1;
		max = 511;
	} else if (port < 1024) {
		min = 512;
		max = 1023;
	} else {
		min = 1024;
		max = 65535;
	}
	start = how & CT_NAT_RANDOM ? bpf_get_prandom_u32() : port - min;
	return ct_probe(0, start, min, max);
}

static __noinline int ct_choose(__u32 i)
{
	struct ct_scratch *s = ct_scratch_get();
	struct act_block *b;
	__u32 at;

	if (!s)
		return -1;
	s->out = s->tuple;
	at = s->nat_block;
	b = s->expected ? &s->set : bpf_map_lookup_elem(&acts, &at);
	if (!b || !ct_address(s, b, i))
		return -1;
	return ct_choose_port(s, b->w[1]);
}

/* Fills the slot of a connection that nobody sees yet. */
static __always_inline void ct_fill(struct ct_scratch *s, struct ct_conn *n, __u64 now)
{
	n->policy = CT_POLICY(s->policy);
	n->alg = ct_helper(s);
	n->mark = n->replied = 0;
	n->nat = s->flags & CT_SRC ? CS_SRC : s->flags & CT_DST ? CS_DST : 0;
	n->label[0] = n->label[1] = 0;
	n->orig = s->tuple;
	__builtin_memset(n->tcp, 0, sizeof(n->tcp));
	if (s->tuple.proto == IPPROTO_TCP)
		ct_tcp_open(n, &s->seg);
	else if (s->tuple.proto == IPPROTO_UDP)
		n->timer = CT_UDP_FIRST;
	else if (ct_is_icmp(&s->tuple))
		n->timer = CT_ICMP_FIRST;
	else
		n->timer = CT_OTHER_FIRST;
	n->expires = now + ct_timeout(n->policy, n->timer);
	ct_mark(s, n);
}

static __always_inline int ct_enter(struct ct_scratch *s, struct ct_conn *n)
{
	__u64 how = 0;
	__u32 at = s->nat_block;
	struct act_block *b;
	int r;

	if (!n->nat) {
		s->out = s->tuple;
		return ct_enter_reply();
	}
	b = bpf_map_lookup_elem(&acts, &at);
	if (b && !s->expected)
		how = b->w[1];
	s->hash = ct_hash(&s->tuple, !!(how & CT_NAT_PERSISTENT));
	for (__u32 i = 0; i < CT_MAX_ADDRS; i++) {
		r = ct_choose(i);
		if (r)
			return r > 0;
	}
	return 0;
}

static __always_inline int run_ct_new(struct __sk_buff *skb, union ctx *c)
{
	struct ct_scratch *s = ct_scratch_get();
	struct ct_table *table = ct_table_get();
	__u64 now = bpf_jiffies64(), ref;
	struct ct_conn *n;
	__u32 slot, flags;

	if (!s || !table)
		return drop(c, DROP_INTERNAL);
	flags = s->flags;
	s->expected = 0;
	if (table->announced)
		ct_expect(s, now);
	s->hash = ct_hash(&s->tuple, 0);
	if (ct_room(s, now))
		return drop(c, DROP_CONNTRACK);
	slot = s->slot;
	n = bpf_map_lookup_elem(&ct_conns, &slot);
	if (!n)
		return drop(c, DROP_INTERNAL);
	s->gen = n->gen;
	ct_fill(s, n, now);
	if (s->expected && ct_inherit(s, n, slot)) {
		ct_count_down(s->zone);
		ct_free(slot);
		return drop(c, DROP_CONNTRACK);
	}
	if (!ct_enter(s, n)) {
		struct ct_counts *counts = ct_counts_get();

		if (counts)
			counts->clash++;
		ct_disinherit(s, n, slot);
		ct_count_down(s->zone);
		ct_free(slot);
		return drop(c, DROP_CONNTRACK);
	}
	ref = CT_REF(slot, s->gen, 0);
	if (bpf_map_update_elem(&ct_index, &s->tuple, &ref, BPF_NOEXIST)) {
		/* Another CPU had a packet of the same connection; or there is no memory. */
		n->gen = (s->gen + 1) & CT_GEN_MASK;
		if (!ct_same(&n->reply, &s->tuple))
			bpf_map_delete_elem(&ct_index, &n->reply);
		ct_disinherit(s, n, slot);
		ct_count_down(s->zone);
		ct_free(slot);
		s->flags = flags;
		if (s->retries++ < CT_RETRIES)
			return go(skb, c, PROG_CT_AGAIN);
		return drop(c, DROP_CONNTRACK);
	}
	n->used = 1;
	if (!s->frag) {
		s->reply = 0;
		s->alg |= n->alg & ALG_HELPERS;
	}
	if (ct_translates(s, n, 0)) {
		ct_write(c, s, n);
		if (s->expected)
			ct_write_tuple(c, &s->master.orig);
		return go(skb, c, PROG_CT_NAT);
	}
	ct_write(c, s, n);
	if (s->expected)
		ct_write_tuple(c, &s->master.orig);
	return ct_done(skb, c, s);
}
