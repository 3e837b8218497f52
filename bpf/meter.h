/* SPDX-License-Identifier: Apache-2.0 */
/* Meters: token buckets that all CPUs share, kept by atomic operations and no lock. The agent's
 * slow path does the same in the same memory. */
#pragma once

#include "copy.h"

#define MS 1000000ull

/* Milliseconds that buckets are to be filled for, since *time. One CPU gets them. */
static __always_inline __u64 fill_time(__u64 *time)
{
	__u64 now = bpf_ktime_get_ns(), last = *time, ms;

	if (now < last + MS)
		return 0;
	ms = (now - last) / MS;
	if (__sync_val_compare_and_swap(time, last, last + ms * MS) != last)
		return 0;
	return ms > 1u << 31 ? 1u << 31 : ms;
}

static __always_inline void bucket_fill(struct meter_band *b, __u64 ms)
{
	__s64 add = ms * b->rate, room = b->size - b->tokens;

	if (add > room)
		add = room;
	if (add > 0)
		__sync_fetch_and_add(&b->tokens, add);
}

/* Takes all or nothing. */
static __always_inline int bucket_take(struct meter_band *b, __s64 volume)
{
	if (b->tokens < volume)
		return 0;
	if (__sync_fetch_and_add(&b->tokens, -volume) >= volume)
		return 1;
	__sync_fetch_and_add(&b->tokens, volume);
	return 0;
}

static __always_inline void bucket_exceeded(struct meter_band *b, __u64 size)
{
	__sync_fetch_and_add(&b->packets, 1);
	__sync_fetch_and_add(&b->bytes, size);
}

static __always_inline int meter_passes(struct __sk_buff *skb, __u32 id)
{
	struct dp_meter *m = bpf_map_lookup_elem(&meters, &id);
	__u64 ms, size = frame_len(skb), highest = 0;
	__s64 volume;
	int exceeded = -1;
	__u32 bands;

	if (!m || !m->bands)
		return 1;
	bands = m->bands;
	volume = m->pktps ? 1000 : size * 8;
	__sync_fetch_and_add(&m->packets, 1);
	__sync_fetch_and_add(&m->bytes, size);
	ms = fill_time(&m->time);
	for (int i = 0; i < METER_BANDS; i++) {
		struct meter_band *b = &m->band[i];

		if (i >= bands)
			break;
		if (ms)
			bucket_fill(b, ms);
		if (bucket_take(b, volume))
			continue;
		/* Of the bands that are exceeded, the one of the highest rate drops. */
		if (exceeded < 0 || b->rate > highest) {
			exceeded = i;
			highest = b->rate;
		}
	}
	if (exceeded < 0)
		return 1;
	bucket_exceeded(&m->band[exceeded & (METER_BANDS - 1)], size);
	return 0;
}

static __always_inline int run_meter(struct __sk_buff *skb, union ctx *c)
{
	__u32 pc;
	struct act_block *b = act_here(c, &pc);

	if (!b)
		return drop(c, DROP_INTERNAL);
	if (!meter_passes(skb, act_of(b, pc).c))
		return drop(c, DROP_METER);
	c->s.pc = pc + 1;
	return go(skb, c, PROG_ACTIONS);
}
