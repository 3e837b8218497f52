/* SPDX-License-Identifier: Apache-2.0 */
/* Members of neighbour discovery messages. */
#pragma once

#include "sctp.h"

#define ND_LEN 24 /* without options */

/* Writes n bytes at an even offset of the message and keeps its checksum. */
static __always_inline int nd_write(struct __sk_buff *skb, __u32 l4, __u32 off, void *old, void *new,
				    const __u32 n)
{
	__s64 diff = bpf_csum_diff(old, n, new, n, 0);

	if (bpf_l4_csum_replace(skb, l4 + 2, 0, diff, 0))
		return -1;
	return bpf_skb_store_bytes(skb, l4 + off, new, n, 0) ? -1 : 0;
}

static __always_inline int set_nd_target(struct __sk_buff *skb, union ctx *c, struct act_block *b,
					 __u32 pc, __u32 len)
{
	__u32 l4 = c->s.l4 & L4_MAX;
	__u64 old[2], new[2];

	if (len < ND_LEN || bpf_skb_load_bytes(skb, l4 + 8, old, 16))
		return 0;
	/* As the key has it: zero when the options are void. */
	new[0] = masked(c->key.nd_target[0], DATA(b, pc, 1), DATA(b, pc, 3));
	new[1] = masked(c->key.nd_target[1], DATA(b, pc, 2), DATA(b, pc, 4));
	if (new[0] == c->key.nd_target[0] && new[1] == c->key.nd_target[1])
		return 0;
	return nd_write(skb, l4, 8, old, new, 16);
}

/* A link-layer address in an option; the two bytes in front of it are type and length. */
static __always_inline int set_nd_option(struct __sk_buff *skb, __u32 l4, __u32 off, __u64 value, __u64 mask)
{
	__u64 old, new;

	if (bpf_skb_load_bytes(skb, l4 + off, &old, 8))
		return -1;
	new = masked(old, value << 16, mask << 16);
	return old == new ? 0 : nd_write(skb, l4, off, &old, &new, 8);
}

static __always_inline int set_nd(struct __sk_buff *skb, union ctx *c, struct act_block *b, __u32 pc,
				  __u32 len)
{
	__u32 l4 = c->s.l4 & L4_MAX, old, new, at = ND_LEN, sll = 0, tll = 0, first;
	struct act a = act_of(b, pc);
	__u64 w = DATA(b, pc, 1);
	int err = 0;

	if (bpf_skb_load_bytes(skb, l4 + 4, &old, 4))
		return 0;
	new = masked32(old, w);
	if (old != new)
		err = nd_write(skb, l4, 4, &old, &new, 4);
	if (!c->key.nd_options_type || !(c->key.nd_target[0] | c->key.nd_target[1]))
		return err; /* no such option, or void ones */
	for (int i = 0; i < ND_OPT_MAX; i++) {
		struct nd_opt opt;

		if (at + 8 > len || bpf_skb_load_bytes(skb, l4 + at, &opt, 8))
			break;
		if (!opt.len || at + opt.len * 8 > len)
			break;
		if (opt.len == 1 && opt.type == 1)
			sll = at;
		if (opt.len == 1 && opt.type == 2)
			tll = at;
		at = (at + opt.len * 8) & L4_MAX;
	}
	if (sll && DATA(b, pc, 3))
		err |= set_nd_option(skb, l4, sll, DATA(b, pc, 2), DATA(b, pc, 3));
	if (tll && DATA(b, pc, 5))
		err |= set_nd_option(skb, l4, tll, DATA(b, pc, 4), DATA(b, pc, 5));
	first = sll && (!tll || sll < tll) ? sll : tll;
	if (first && a.b >> 8) {
		__u64 o, n;

		if (bpf_skb_load_bytes(skb, l4 + first, &o, 8))
			return -1;
		n = masked(o, a.b & 0xff, a.b >> 8);
		if (o != n)
			err |= nd_write(skb, l4, first, &o, &n, 8);
	}
	return err;
}

/* The key must say what the packet says. */
static __always_inline int run_nd(struct __sk_buff *skb, union ctx *c)
{
	__u32 pc, len;
	struct act_block *b = act_here(c, &pc);
	const struct flow_key *k = &c->key;
	int target, err;

	if (!b)
		return drop(c, DROP_INTERNAL);
	target = (act_of(b, pc).op & ~ACT_LAST) == ACT_SET_ND_TARGET;
	c->s.pc = pc + (target ? 5 : 6);
	if (!c->s.l4 || c->s.nw_proto != IPPROTO_ICMPV6 || k->eth_type != bpf_htons(ETH_P_IPV6) || k->tp_dst ||
	    (k->tp_src != bpf_htons(135) && k->tp_src != bpf_htons(136)))
		return 0;
	len = l4_len(skb, c);
	err = target ? set_nd_target(skb, c, b, pc, len) : set_nd(skb, c, b, pc, len);
	if (err)
		return drop(c, DROP_ACTION);
	c->s.changed = 1;
	return 0;
}
