/* SPDX-License-Identifier: Apache-2.0 */
/* Actions with lists of their own: they run on the packet itself when nothing follows, else on
 * a copy. A copy that is to be changed goes through the agent's device, whose inject program
 * finds the state of it in the ctx of its nesting level. */
#pragma once

#include "actions.h"

/* The action that a continuation was entered for; *pc is its place in the block. */
static __always_inline struct act_block *act_here(const union ctx *c, __u32 *pc)
{
	__u32 block = c->s.block;

	*pc = c->s.pc & (ACT_WORDS - 1);
	return bpf_map_lookup_elem(&acts, &block);
}

static __always_inline struct act act_of(const struct act_block *b, __u32 pc)
{
	return *(struct act *)&b->w[pc & (ACT_WORDS - 1)];
}

/* Runs a list on a copy of the packet, or sends the copy out of a native tunnel: its port + 1. */
static __always_inline void run_copy(struct __sk_buff *skb, union ctx *c, __u32 block, __u32 tunnel)
{
	__u32 zero = 0, at, mark = skb->mark;
	struct dp_config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct cpu *cpu = cpu_get();
	union ctx *copy;
	long err;

	if (!cfg)
		return;
	at = cpu->nest + 1;
	if (at >= NEST_MAX) {
		lose(c->s.in_port, DROP_NESTING);
		return;
	}
	barrier_var(at);
	copy = &cpu->ctx[at];
	copy->s = c->s;
	copy->s.block = block;
	copy->s.tunnel = tunnel;
	copy->s.pc = copy->s.sent = copy->s.injected = copy->s.trunc = 0;
	/* Zero for the words that this level did not write. */
	copy->s.dirty = 1;
	copy->s.meta = META_HASH | META_CT | META_TUNNEL;
	copy->s.sender = 1; /* as for all that leaves by an egress hook */
	copy->s.copy = 1;
	copy->s.mark = mark;
	skb->mark = INJECT_COPY;
	cpu->nest++;
	err = bpf_clone_redirect(skb, cfg->inject_ifindex, 0);
	cpu->nest--;
	skb->mark = mark;
	copy->s.copy = 0;
	if (err < 0)
		lose(c->s.in_port, DROP_OUTPUT_CLONE);
	else
		c->s.sent++;
}

/* The length that check_pkt_len compares: of a GSO packet that of its longest segment. */
static __always_inline __u32 longest(struct __sk_buff *skb, const union ctx *c)
{
	__u32 len = frame_len(skb), hdr = c->s.l4 & L4_MAX;
	__u8 off;

	if (!skb->gso_size || !hdr)
		return len;
	if (c->s.nw_proto == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, hdr + 12, &off, 1))
			return len;
		hdr += (off >> 4) * 4;
	} else {
		hdr += 8;
	}
	hdr += len - skb->len + skb->gso_size;
	return hdr < len ? hdr : len;
}

static __always_inline int run_nested(struct __sk_buff *skb, union ctx *c)
{
	__u32 pc, block;
	struct act_block *b = act_here(c, &pc);
	struct act a;
	__u64 w;

	if (!b)
		return drop(c, DROP_INTERNAL);
	a = act_of(b, pc);
	w = DATA(b, pc, 1);
	block = a.c;
	c->s.pc = pc + 1;
	switch (a.op & ~ACT_LAST) {
	case ACT_SAMPLE:
		c->s.pc++;
		if ((__u32)w != 0xffffffff && bpf_get_prandom_u32() >= (__u32)w)
			return go(skb, c, PROG_ACTIONS);
		break;
	case ACT_CHECK_LEN:
		c->s.pc++;
		block = longest(skb, c) > a.b ? (__u32)w : w >> 32;
		if (block == BLOCK_NONE)
			return a.a ? end(c) : go(skb, c, PROG_ACTIONS);
		break;
	}
	if (a.a) {
		c->s.block = block;
		c->s.pc = 0;
	} else {
		run_copy(skb, c, block, 0);
	}
	return go(skb, c, PROG_ACTIONS);
}
