/* SPDX-License-Identifier: Apache-2.0 */
/* From the key to the megaflow: a cache that names the subtable to try, then all of them in
 * order of recent hits, each with a hash of its own in the one table of buckets. A cache of flows
 * would save one flow a few nanoseconds and cost many flows more: they push each other out. */
#pragma once

#include "ctx.h"

#define SEARCH_TURN 16 /* subtables tried by one program; then the next goes on */
#define SLOT_NONE 0xffffffffu

/* Multilinear hash: each word has a random odd multiplier of this instance. The steps do not
 * depend on each other, so they overlap in the CPU. */
static __always_inline __u64 hash_finish(__u64 h)
{
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

static __always_inline __u64 masked_hash(const union ctx *c, const struct subtable *st, const int n)
{
	__u64 h = st->seed;

#pragma unroll
	for (int i = 0; i < n; i++)
		h += (c->w[st->idx[i] & 127] & st->mask[i]) * hash_mul[i];
	return hash_finish(h);
}

static __always_inline __u64 masked_diff(const union ctx *c, const struct subtable *st,
					 const struct flow_slot *slot, const int n)
{
	__u64 d = 0;

#pragma unroll
	for (int i = 0; i < n; i++)
		d |= (c->w[st->idx[i] & 127] & st->mask[i]) ^ slot->key[i];
	return d;
}

/* Classes of mask length, so that the loops over words are straight code. What six words need of a slot is in
 * one cache line. */
static __always_inline __u64 subtable_hash(const union ctx *c, const struct subtable *st)
{
	if (st->words <= 6)
		return masked_hash(c, st, 6);
	if (st->words <= 8)
		return masked_hash(c, st, 8);
	if (st->words <= 12)
		return masked_hash(c, st, 12);
	return masked_hash(c, st, SLOT_WORDS);
}

static __always_inline int slot_matches(const union ctx *c, const struct subtable *st,
					const struct flow_slot *slot)
{
	if (st->words <= 6)
		return !masked_diff(c, st, slot, 6);
	if (st->words <= 8)
		return !masked_diff(c, st, slot, 8);
	if (st->words <= 12)
		return !masked_diff(c, st, slot, 12);
	return !masked_diff(c, st, slot, SLOT_WORDS);
}

/* The hash of the words that most packets differ in. */
static __always_inline __u32 cache_hash(const union ctx *c)
{
	__u64 h = c->w[KW_IN_PORT] * 0x9e3779b97f4a7c15ull + c->w[KW_ETH_DST] * 0xc2b2ae3d27d4eb4full +
		  c->w[KW_ETH_SRC] * 0x165667b19e3779f9ull + c->w[KW_IPV4_SRC] * 0xff51afd7ed558ccdull +
		  c->w[KW_NW_PROTO] * 0x27d4eb2f165667c5ull + c->w[KW_TP_SRC] * 0xc4ceb9fe1a85ec53ull;

	if (c->s.dirty) {
		h += c->w[KW_IPV6_SRC + 1] * 0x85ebca77c2b2ae63ull;
		h += c->w[KW_IPV6_DST + 1] * 0x94d049bb133111ebull;
	}
	return hash_finish(h) >> 32;
}

static __always_inline __u32 bucket_find(const struct bucket *b, __u32 sig)
{
	__u64 found = 0;

#pragma unroll
	for (int i = 0; i < BUCKET_WAYS; i++) {
		__u64 e = b->entry[i];

		if ((__u32)e == sig)
			found = e;
	}
	/* The agent never puts two entries of one signature into a bucket. */
	return found ? found >> 32 : SLOT_NONE;
}

static __always_inline __u32 subtable_find(const union ctx *c, __u32 id)
{
	struct subtable *st = bpf_map_lookup_elem(&subtables, &id);
	__u32 sig, at;
	__u64 h;

	if (!st)
		return SLOT_NONE;
	h = subtable_hash(c, st);
	sig = (__u32)(h >> 32) | 1;
	at = (__u32)h & bucket_mask;
	for (int turn = 0; turn < 2; turn++) {
		struct bucket *b = bpf_map_lookup_elem(&buckets, &at);
		struct flow_slot *slot;
		__u32 n;

		if (!b)
			return SLOT_NONE;
		n = bucket_find(b, sig);
		if (n != SLOT_NONE) {
			slot = bpf_map_lookup_elem(&slots, &n);
			if (slot && slot->sub == id + 1 && slot_matches(c, st, slot))
				return n;
		}
		if (!b->overflow)
			return SLOT_NONE;
		at = (at ^ sig * 0x5bd1e995u) & bucket_mask;
	}
	return SLOT_NONE;
}

/* The slot of this packet if it is in the subtable that the cache names; SLOT_NONE. */
static __always_inline __u32 cache_lookup(union ctx *c)
{
	__u32 zero = 0, at = cache_hash(c) % CACHE_SIZE, id;
	struct mask_cache *m = bpf_map_lookup_elem(&cache, &zero);

	c->s.hash = at;
	if (!m)
		return SLOT_NONE;
	id = m->sub[at];
	return id ? subtable_find(c, id - 1) : SLOT_NONE;
}

static __always_inline void cache_store(const union ctx *c, __u32 id)
{
	__u32 zero = 0;
	struct mask_cache *m = bpf_map_lookup_elem(&cache, &zero);

	/* The last id has no number here, and is searched for. */
	if (m)
		m->sub[c->s.hash % CACHE_SIZE] = id + 1;
}

enum search_result { SEARCH_HIT, SEARCH_MISS, SEARCH_MORE };

/* Tries the next subtables from c->s.search on. */
static __always_inline int search(union ctx *c, struct totals *t, __u32 *result)
{
	__u32 zero = 0, which, pos = c->s.search, n;
	struct dp_config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct order *o;

	if (!cfg)
		return SEARCH_MISS;
	which = cfg->order;
	o = bpf_map_lookup_elem(&orders, &which);
	if (!o)
		return SEARCH_MISS;
	for (int i = 0; i < SEARCH_TURN; i++, pos++) {
		__u32 id;

		if (pos >= o->n)
			return SEARCH_MISS;
		id = o->id[pos & (MASKS_MAX - 1)];
		t->mask_hit++;
		n = subtable_find(c, id);
		if (n != SLOT_NONE) {
			__u64 *hits = bpf_map_lookup_elem(&sub_hits, &id);

			if (hits)
				++*hits;
			cache_store(c, id);
			*result = n;
			return SEARCH_HIT;
		}
	}
	c->s.search = pos;
	return SEARCH_MORE;
}
