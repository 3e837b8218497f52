/* SPDX-License-Identifier: Apache-2.0 */
/* Ingress policing: what a port may receive, by two buckets of the kind that meters have. */
#pragma once

#include "meter.h"

static __always_inline int police_passes(struct __sk_buff *skb, __u32 port)
{
	struct policer *p = bpf_map_lookup_elem(&policers, &port);
	__u64 ms, size = frame_len(skb);

	if (!p)
		return 1;
	ms = fill_time(&p->time);
#pragma unroll
	for (int i = 0; i < 2; i++)
		if (ms)
			bucket_fill(&p->band[i], ms);
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct meter_band *b = &p->band[i];

		/* What the first took stays taken, as with the actions of tc(8). */
		if (b->size && !bucket_take(b, i == POLICER_PACKETS ? 1000 : size * 8)) {
			bucket_exceeded(b, size);
			return 0;
		}
	}
	return 1;
}
