/* SPDX-License-Identifier: Apache-2.0 */
/* Hints: the connection and the megaflow behind ct that the last packet of the same hash, zone and recirculation met on this CPU. They only say where to
 * look first: whoever follows one compares all that a look-up would, so a hint that is old or of another packet costs time only. */
#pragma once

#include "lookup.h"

/* The hint of a packet that is tracked in a zone. Its hash is that of its last look-up without hint, hence recirc_id. */
static __always_inline void hint_begin(union ctx *c, const struct cpu *cpu, __u32 zone)
{
	__u32 h = c->s.hash * 0x9e3779b1u + c->key.recirc_id * 0x85ebca77u + zone * 0xc2b2ae3du;

	c->s.hint = ((cpu->id - 1) << HINT_BITS | h >> (32 - HINT_BITS)) + 1;
}

static __always_inline struct hint *hint_get(const union ctx *c)
{
	__u32 at = c->s.hint - 1;

	barrier_var(at);
	return AT(hints, at & hint_mask);
}

/* The slot that a hint says, if the packet is of its megaflow; else SLOT_NONE. */
static __always_inline __u32 hint_find(const union ctx *c, const struct hint *h)
{
	__u32 n = h->slot & slot_mask;
	const struct flow_slot *slot = AT(slots, n);
	const struct subtable *st;
	__u64 sub = slot->sub;
	int found = 0;

	if (!sub)
		return SLOT_NONE;
	/* A slot that is used again gets its subtable last. Nothing makes a CPU read in that order but an address that depends
	 * on what was read before. */
	asm volatile("r0 = %[sub]\n\t"
		     "r0 &= 0\n\t"
		     "%[n] += r0"
		     : [n] "+r"(n)
		     : [sub] "r"(sub)
		     : "r0");
	n &= slot_mask;
	slot = AT(slots, n);
	st = AT(subtables, (sub - 1) & (MASKS_MAX - 1));
	if (st->dense) {
		__u64 d = 0;

#pragma unroll
		for (int i = 0; i < DENSE_WORDS; i++)
			d |= (c->w[i] & st->mask[i]) ^ slot->key[i];
		found = !d;
	} else if (st->words <= WORDS_LEAST) {
		found = masked_matches(c, st, slot, NULL, WORDS_LEAST);
	} else if (st->words <= WORDS_SOME) {
		found = masked_matches(c, st, slot, AT(key_tails, n), WORDS_SOME);
	}
	return found ? n : SLOT_NONE;
}

/* After a look-up that the hint did not help. */
static __always_inline void hint_store(union ctx *c, __u32 n)
{
	if (c->s.hint)
		hint_get(c)->slot = n;
	c->s.hint = 0;
}
