/* SPDX-License-Identifier: Apache-2.0 */
/* Translation of packets: conntrack/translate.go. The packet's headers are written as by set actions. */
#pragma once

#include "ct.h"
#include "sctp.h"

#define ALL32 0xffffffffull

/* Makes the packet's addresses those of a tuple, and the key too. */
static __always_inline int ct_set_addresses(struct __sk_buff *skb, union ctx *c, struct act_block *b,
					    const struct ct_tuple *t)
{
	if (t->family == 4) {
		b->w[1] = ALL32 << 32 | t->src[1] >> 32;
		b->w[2] = ALL32 << 32 | t->dst[1] >> 32;
		b->w[3] = 0;
		if (set_ipv4(skb, c, b, 0))
			return -1;
		c->key.ipv4_src = t->src[1] >> 32;
		c->key.ipv4_dst = t->dst[1] >> 32;
		return 0;
	}
	b->w[3] = b->w[4] = ~0ull;
	if (t->src[0] != c->key.ipv6_src[0] || t->src[1] != c->key.ipv6_src[1]) {
		b->w[1] = t->src[0];
		b->w[2] = t->src[1];
		if (set_ipv6_addr(skb, c, b, 0, 0))
			return -1;
	}
	if (t->dst[0] != c->key.ipv6_dst[0] || t->dst[1] != c->key.ipv6_dst[1]) {
		b->w[1] = t->dst[0];
		b->w[2] = t->dst[1];
		if (set_ipv6_addr(skb, c, b, 0, 1))
			return -1;
	}
	c->key.ipv6_src[0] = t->src[0];
	c->key.ipv6_src[1] = t->src[1];
	c->key.ipv6_dst[0] = t->dst[0];
	c->key.ipv6_dst[1] = t->dst[1];
	return 0;
}

static __always_inline int ct_set_ports(struct __sk_buff *skb, union ctx *c, struct ct_scratch *s,
					const struct ct_tuple *t)
{
	__u32 l4 = c->s.l4 & L4_MAX;
	__be16 *id, old, new = bpf_htons(t->sport);

	if (ct_is_icmp(t)) {
		id = ct_header(skb, l4 + 4, 2);
		if (!id)
			return -1;
		old = *id;
		if (old == new)
			return 0;
		if (bpf_l4_csum_replace(skb, l4 + 2, old, new, 2))
			return -1;
		id = ct_header(skb, l4 + 4, 2);
		if (!id)
			return -1;
		*id = new;
		return 0;
	}
	if (!ct_has_ports(t) || (c->key.tp_src == new && c->key.tp_dst == bpf_htons(t->dport)))
		return 0;
	s->set.w[1] = ALL32 << 32 | (__u32)bpf_htons(t->dport) << 16 | new;
	c->key.tp_src = new;
	c->key.tp_dst = bpf_htons(t->dport);
	return t->proto == IPPROTO_SCTP ? set_sctp(skb, c, &s->set, 0) : set_ports(skb, c, &s->set, 0);
}

static __always_inline int run_ct_nat(struct __sk_buff *skb, union ctx *c)
{
	struct ct_scratch *s = ct_scratch_get();

	if (!s)
		return drop(c, DROP_INTERNAL);
	/* From here on tuple is what the packet gets. */
	ct_reverse(&s->tuple, &s->out);
	if (ct_set_addresses(skb, c, &s->set, &s->tuple) || (!s->later && ct_set_ports(skb, c, s, &s->tuple)))
		return drop(c, DROP_ACTION);
	return ct_done(skb, c, s);
}
