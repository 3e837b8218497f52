/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments: the first one's ports are remembered for those that follow, which have none: conntrack/fragment.go. */
#pragma once

#include "ct.h"

/* More than may be remembered: what two CPUs remember at a time may have lost its place in the ring. */
#define CT_FRAGMENTS 8192

struct ct_frag_key {
	__u64 src[2], dst[2];
	__u32 id;
	__u16 zone;
	__u8 proto, family;
};

struct ct_frag {
	__u64 expires; /* jiffies */
	__u16 sport, dport;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CT_FRAGMENTS);
	__type(key, struct ct_frag_key);
	__type(value, struct ct_frag);
} ct_fragments SEC(".maps");

/* What is remembered, in the order in which it was seen; the oldest gives way. */
MAP(BPF_MAP_TYPE_ARRAY, ct_fragment_ring, CT_FRAGMENTS_MAX, struct ct_frag_key, BPF_F_MMAPABLE);
MAP(BPF_MAP_TYPE_ARRAY, ct_fragment_tables, 1, struct ct_frag_table, BPF_F_MMAPABLE);

static __always_inline struct ct_frag_table *ct_frag_table_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ct_fragment_tables, &zero);
}

static __always_inline __u32 ct_version(const struct ct_scratch *s) { return s->tuple.family == 6; }

/* Whether the settings let a fragment be tracked; more stand behind it. */
static __always_inline int ct_frag_allowed(const union ctx *c, const struct ct_scratch *s, __u32 more)
{
	struct ct_frag_table *t = ct_frag_table_get();
	__u32 v = ct_version(s);

	if (!t || t->disabled[v])
		return 0;
	if (!more || s->end - (c->s.l3 & L3_MAX) >= t->min[v])
		return 1;
	__sync_fetch_and_add(&t->stats[v].small, 1);
	return 0;
}

/* Reads the identification of a fragmented packet, whether this is not its last one, and the protocol of a later fragment, which
 * the key does not have. */
static __always_inline int ct_fragment_id(struct __sk_buff *skb, const union ctx *c, struct ct_scratch *s, __u32 *more)
{
	volatile __u32 *at = &s->inner4, *proto = &s->inner_proto;
	__u32 l3 = c->s.l3 & L3_MAX;

	if (c->key.eth_type == bpf_htons(ETH_P_IP)) {
		__be16 id[2];

		if (bpf_skb_load_bytes(skb, l3 + 4, id, 4))
			return -1;
		s->frag_id = bpf_ntohs(id[0]);
		*more = id[1] & bpf_htons(0x2000);
		s->inner_proto = c->key.nw_proto;
		return 0;
	}
	if (bpf_skb_load_bytes(skb, l3 + 6, s->packet, 1))
		return -1;
	*proto = s->packet[0];
	*at = l3 + sizeof(struct ipv6_hdr);
	for (int i = 0; i < IPV6_EXT_MAX; i++) {
		__u32 here = *at & POS_MAX, type = *proto;
		__u8 *h = s->packet;

		if (!is_ipv6_ext(type) || bpf_skb_load_bytes(skb, here, h, 8))
			return -1;
		*proto = h[0];
		if (type == IPPROTO_FRAGMENT) {
			s->frag_id = bpf_ntohl(*(__be32 *)(h + 4));
			*more = !s->later || h[3] & 1;
			return 0;
		}
		if (type == IPPROTO_AH)
			*at = here + (h[1] + 2) * 4;
		else
			*at = here + (h[1] + 1) * 8;
	}
	return -1;
}

/* Forgets a packet; 0: somebody else did. */
static __always_inline int ct_frag_drop(struct ct_frag_table *t, const struct ct_frag_key *k, __u64 now)
{
	struct ct_frag_stats *n = &t->stats[k->family == 6];
	struct ct_frag *f = bpf_map_lookup_elem(&ct_fragments, k);
	int expired;

	if (!f)
		return 0;
	expired = (__s64)(f->expires - now) <= 0;
	if (bpf_map_delete_elem(&ct_fragments, k))
		return 0;
	__sync_fetch_and_add(expired ? &n->expired : &n->purged, 1);
	return 1;
}

/* Remembers the ports of a first fragment. */
static __always_inline int ct_frag_remember(struct ct_frag_table *t, const struct ct_scratch *s, const struct ct_frag_key *k)
{
	__u64 now = bpf_jiffies64();
	struct ct_frag new = { .sport = s->tuple.sport, .dport = s->tuple.dport };
	struct ct_frag *f = bpf_map_lookup_elem(&ct_fragments, k);
	struct ct_frag_key *place;
	__u32 at, max = t->max;

	if (!max)
		return -1;
	if (!f || ((__s64)(f->expires - now) <= 0 && ct_frag_drop(t, k, now))) {
		at = __sync_fetch_and_add(&t->next, 1) % max;
		place = bpf_map_lookup_elem(&ct_fragment_ring, &at);
		if (!place)
			return -1;
		if (place->family) {
			struct ct_frag_key old = *place;

			ct_frag_drop(t, &old, now);
		}
		*place = *k;
	}
	new.expires = now + ct_timeout(0, CT_FRAGMENT);
	return bpf_map_update_elem(&ct_fragments, k, &new, BPF_ANY);
}

static __always_inline int run_ct_fragment(struct __sk_buff *skb, union ctx *c)
{
	struct ct_frag_table *t = ct_frag_table_get();
	struct ct_scratch *s = ct_scratch_get();
	struct ct_frag_key k = {};
	struct ct_frag_stats *n;
	struct ct_frag *f;
	__u32 more = 0;

	if (!s || !t)
		return drop(c, DROP_INTERNAL);
	if (ct_fragment_id(skb, c, s, &more) || !ct_frag_allowed(c, s, more))
		return ct_invalid(skb, c, s, NULL);
	if (s->later)
		s->tuple.proto = s->inner_proto;
	k.src[0] = s->tuple.src[0];
	k.src[1] = s->tuple.src[1];
	k.dst[0] = s->tuple.dst[0];
	k.dst[1] = s->tuple.dst[1];
	k.id = s->frag_id;
	k.zone = s->zone;
	k.proto = s->tuple.proto;
	k.family = s->tuple.family;
	n = &t->stats[ct_version(s)];
	if (s->later) {
		f = bpf_map_lookup_elem(&ct_fragments, &k);
		if (!f || (__s64)(f->expires - bpf_jiffies64()) <= 0)
			return ct_invalid(skb, c, s, NULL);
		s->tuple.sport = f->sport;
		s->tuple.dport = f->dport;
		if (!more)
			__sync_fetch_and_add(&n->completed, 1);
	} else if (ct_frag_remember(t, s, &k)) {
		return ct_invalid(skb, c, s, NULL);
	}
	__sync_fetch_and_add(&n->accepted, 1);
	return go(skb, c, PROG_CT_AGAIN);
}
