/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments: the first one's ports are remembered for those that follow, which have none: conntrack/fragment.go. */
#pragma once

#include "ct.h"

#define CT_FRAGMENTS 4096

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
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CT_FRAGMENTS);
	__type(key, struct ct_frag_key);
	__type(value, struct ct_frag);
} ct_frags SEC(".maps");

/* Reads the identification of a fragmented packet, and the protocol of a later fragment, which the key does not have. */
static __always_inline int ct_fragment_id(struct __sk_buff *skb, const union ctx *c, struct ct_scratch *s)
{
	volatile __u32 *at = &s->inner4, *proto = &s->inner_proto;
	__u32 l3 = c->s.l3 & L3_MAX;

	if (c->key.eth_type == bpf_htons(ETH_P_IP)) {
		__be16 id;

		if (bpf_skb_load_bytes(skb, l3 + 4, &id, 2))
			return -1;
		s->frag_id = bpf_ntohs(id);
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
			return 0;
		}
		if (type == IPPROTO_AH)
			*at = here + (h[1] + 2) * 4;
		else
			*at = here + (h[1] + 1) * 8;
	}
	return -1;
}

static __always_inline int run_ct_fragment(struct __sk_buff *skb, union ctx *c)
{
	struct ct_scratch *s = ct_scratch_get();
	struct ct_frag_key k = {};
	struct ct_frag *f, new = {};

	if (!s)
		return drop(c, DROP_INTERNAL);
	if (ct_fragment_id(skb, c, s))
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
	if (s->later) {
		f = bpf_map_lookup_elem(&ct_frags, &k);
		if (!f || (__s64)(f->expires - bpf_jiffies64()) <= 0)
			return ct_invalid(skb, c, s, NULL);
		s->tuple.sport = f->sport;
		s->tuple.dport = f->dport;
	} else {
		new.expires = bpf_jiffies64() + ct_timeout(0, CT_FRAGMENT);
		new.sport = s->tuple.sport;
		new.dport = s->tuple.dport;
		bpf_map_update_elem(&ct_frags, &k, &new, BPF_ANY);
	}
	return go(skb, c, PROG_CT_AGAIN);
}
