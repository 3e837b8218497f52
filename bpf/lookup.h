/* SPDX-License-Identifier: Apache-2.0 */
/* From the key to the megaflow: a cache that names the subtable to try, then all of them in
 * order of recent hits, each with a hash of its own. A cache of flows would save one flow a few nanoseconds and cost many
 * flows more: they push each other out.
 */
#pragma once

#include "ctx.h"

#define SEARCH_TURN 16 /* subtables tried by one program; then the next goes on */
#define SLOT_NONE 0xffffffffu
#define SLOT_WIDE 0xfffffffeu /* the mask is too long for this program */

/* Multilinear hash: each word has a random odd multiplier of this instance. The steps do not
 * depend on each other, so they overlap in the CPU. */
static __always_inline __u64 hash_finish(__u64 h)
{
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* The masked words of a dense subtable, and their hash. */
static __always_inline __u64 dense_hash(const union ctx *c, const struct subtable *st, __u64 *m)
{
	__u64 h = st->seed;

#pragma unroll
	for (int i = 0; i < DENSE_WORDS; i++) {
		m[i] = c->w[i] & st->mask[i];
		h += m[i] * hash_mul[i];
	}
	return hash_finish(h);
}

static __always_inline int dense_matches(const __u64 *m, const struct flow_slot *slot)
{
	__u64 d = 0;

#pragma unroll
	for (int i = 0; i < DENSE_WORDS; i++)
		d |= m[i] ^ slot->key[i];
	return !d;
}

static __always_inline __u64 masked_hash(const union ctx *c, const struct subtable *st, const int n)
{
	__u64 h = st->seed;

#pragma unroll
	for (int i = 0; i < n; i++)
		h += (c->w[st->idx[i] & 127] & st->mask[i]) * hash_mul[i];
	return hash_finish(h);
}

static __always_inline int masked_matches(const union ctx *c, const struct subtable *st,
					  const struct flow_slot *slot, const struct key_tail *tail, const int n)
{
	__u64 d = 0;

#pragma unroll
	for (int i = 0; i < (n < DENSE_WORDS ? n : DENSE_WORDS); i++)
		d |= (c->w[st->idx[i] & 127] & st->mask[i]) ^ slot->key[i];
#pragma unroll
	for (int i = DENSE_WORDS; i < n; i++)
		d |= (c->w[st->idx[i] & 127] & st->mask[i]) ^ tail->key[i - DENSE_WORDS];
	return !d;
}

/* Classes of mask length, so that the loops over words are straight code. Masks of more words than WORDS_MOST are rare, and those
 * of up to WORDS_LEAST, which are in the slot, are mostly of tracked packets; only programs that are entered by a call know them:
 * ingress has no room for that. */
#define WORDS_LEAST 6
#define WORDS_FEW 8
#define WORDS_SOME 12
#define WORDS_MOST 22

static __always_inline __u64 sparse_hash(const union ctx *c, const struct subtable *st, const int wide)
{
	if (wide && st->words <= WORDS_LEAST)
		return masked_hash(c, st, WORDS_LEAST);
	if (st->words <= WORDS_FEW)
		return masked_hash(c, st, WORDS_FEW);
	if (st->words <= WORDS_SOME)
		return masked_hash(c, st, WORDS_SOME);
	if (!wide || st->words <= WORDS_MOST)
		return masked_hash(c, st, WORDS_MOST);
	return masked_hash(c, st, SLOT_WORDS);
}

static __always_inline int slot_matches(const union ctx *c, const struct subtable *st, __u32 id,
					const __u64 *m, __u32 n, const int wide)
{
	const struct flow_slot *slot = AT(slots, n);
	const struct key_tail *tail;

	if (slot->sub != id + 1)
		return 0;
	if (st->dense)
		return dense_matches(m, slot);
	if (wide && st->words <= WORDS_LEAST)
		return masked_matches(c, st, slot, NULL, WORDS_LEAST);
	tail = AT(key_tails, n);
	if (st->words <= WORDS_FEW)
		return masked_matches(c, st, slot, tail, WORDS_FEW);
	if (st->words <= WORDS_SOME)
		return masked_matches(c, st, slot, tail, WORDS_SOME);
	if (!wide || st->words <= WORDS_MOST)
		return masked_matches(c, st, slot, tail, WORDS_MOST);
	return masked_matches(c, st, slot, tail, SLOT_WORDS);
}

/* The hash of the words that most packets differ in; its upper bits are the good ones. A collision costs time only. */
static __always_inline __u32 cache_hash(const union ctx *c)
{
	__u64 h = (c->w[KW_IN_PORT] ^ c->w[KW_ETH_DST]) * 0xc2b2ae3d27d4eb4full +
		  c->w[KW_ETH_SRC] * 0x165667b19e3779f9ull + c->w[KW_IPV4_SRC] * 0xff51afd7ed558ccdull +
		  (c->w[KW_NW_PROTO] ^ c->w[KW_TP_SRC] << 24) * 0xc4ceb9fe1a85ec53ull;

	if (c->s.dirty) {
		h += c->w[KW_IPV6_SRC + 1] * 0x85ebca77c2b2ae63ull;
		h += c->w[KW_IPV6_DST + 1] * 0x94d049bb133111ebull;
	}
	return h >> (64 - CACHE_BITS);
}

/* An entry is in the way that its signature names, unless another was there first. A look-up that expects to
 * find it looks there before it reads all. */
static __always_inline __u32 bucket_find(const struct bucket *b, __u32 sig, const int expected)
{
	__u64 found = 0;

	if (expected) {
		found = b->entry[(sig >> 16) * BUCKET_WAYS >> 16];
		if ((__u32)found == sig)
			return found >> 32;
		found = 0;
	}
#pragma unroll
	for (int i = 0; i < BUCKET_WAYS; i++) {
		__u64 e = b->entry[i];

		if ((__u32)e == sig)
			found = e;
	}
	/* The agent never puts two entries of one signature into a bucket. */
	return found ? found >> 32 : SLOT_NONE;
}

/* The slot of this packet in a subtable; SLOT_NONE, SLOT_WIDE. */
static __always_inline __u32 subtable_find(const union ctx *c, __u32 id, const int expected, const int wide)
{
	const struct subtable *st;
	__u32 sig, at, n;
	__u64 m[DENSE_WORDS] = {}, h;

	barrier_var(id); /* else what the compiler knows of it spares it the mask, which old verifiers need */
	st = AT(subtables, id & (MASKS_MAX - 1));
	if (st->dense) {
		h = dense_hash(c, st, m);
	} else {
		if (!wide && st->words > WORDS_MOST)
			return SLOT_WIDE;
		h = sparse_hash(c, st, wide);
	}
	sig = (__u32)(h >> 32) | 1;
	at = (__u32)h & bucket_mask;
	for (int turn = 0; turn < 2; turn++) {
		struct bucket *b = AT(buckets, at);

		n = bucket_find(b, sig, expected);
		if (n != SLOT_NONE) {
			n &= slot_mask;
			if (slot_matches(c, st, id, m, n, wide))
				return n;
		}
		if (!b->overflow)
			return SLOT_NONE;
		at = (at ^ sig * 0x5bd1e995u) & bucket_mask;
	}
	return SLOT_NONE;
}

/* The slot of this packet if it is in the subtable that the cache names; SLOT_NONE, SLOT_WIDE. */
static __always_inline __u32 cache_lookup(union ctx *c, const struct cpu *cpu, const int wide)
{
	__u32 at = cache_hash(c), id;

	c->s.hash = at;
	id = cpu->cache[at];
	return id ? subtable_find(c, id - 1, 1, wide) : SLOT_NONE;
}

static __always_inline void cache_store(const union ctx *c, struct cpu *cpu, __u32 id)
{
	/* The last id has no number here, and is searched for. */
	if (use_cache)
		cpu->cache[c->s.hash & ((1 << CACHE_BITS) - 1)] = id + 1;
}

enum search_result { SEARCH_HIT, SEARCH_MISS, SEARCH_MORE };

/* Tries the next subtables from c->s.search on. */
static __always_inline int search(union ctx *c, struct cpu *cpu, __u32 *result, const int wide)
{
	__u32 zero = 0, pos = c->s.search, n;
	struct dp_config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct order *o;

	if (!cfg)
		return SEARCH_MISS;
	o = AT(orders, cfg->order & 1);
	for (int i = 0; i < SEARCH_TURN; i++, pos++) {
		__u32 id;

		if (pos >= o->n)
			return SEARCH_MISS;
		id = o->id[pos & (MASKS_MAX - 1)];
		n = subtable_find(c, id, 0, wide);
		if (!wide && n == SLOT_WIDE)
			break;
		cpu->total.mask_hit++;
		if (n != SLOT_NONE) {
			cpu->sub_hits[id & (MASKS_MAX - 1)]++;
			cache_store(c, cpu, id);
			*result = n;
			return SEARCH_HIT;
		}
	}
	c->s.search = pos;
	return SEARCH_MORE;
}
