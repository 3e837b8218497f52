/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter of action lists. */
#pragma once

#include "hint.h"
#include "output.h"
#include "set.h"

#define ACTIONS_TURN 8 /* actions, jumps counted, until the program enters itself again */

static __always_inline int recirculate(struct __sk_buff *skb, union ctx *c, __u32 id)
{
	if (++c->s.recircs > RECIRC_MAX)
		return drop(c, DROP_RECIRC_LIMIT);
	c->key.recirc_id = bpf_htonl(id);
	c->s.injected = 0;
	/* Without changes the key is right. */
	if (!c->s.changed)
		return go(skb, c, PROG_LOOKUP);
	return go(skb, c, PROG_AGAIN);
}

/* Runs the list from c->s.block and c->s.pc on. */
static __always_inline int run_actions(struct __sk_buff *skb, union ctx *c)
{
	__u32 block = c->s.block, pc = c->s.pc;

	for (int i = 0; i < ACTIONS_TURN; i++) {
		struct act_block *b = bpf_map_lookup_elem(&acts, &block);
		struct act a;
		int err = 0, words = 1;

		if (!b)
			return drop(c, DROP_INTERNAL);
		pc &= ACT_WORDS - 1;
		a = *(struct act *)&b->w[pc];
		switch (a.op & ~ACT_LAST) {
		case ACT_END:
			return a.a ? end(c) : drop(c, 0);
		case ACT_DROP:
			return drop(c, a.a);
		case ACT_OUTPUT:
			if (a.op & ACT_LAST)
				return output_last(skb, c, cpu_get(), a.c, frame_len(skb));
			if (output_copy(skb, c, a.c)) {
				c->s.block = block;
				c->s.pc = pc;
				return go(skb, c, PROG_SET_TUNNEL);
			}
			break;
		case ACT_USERSPACE:
			c->s.kind = a.a;
			c->s.cookie = a.c;
			c->s.last = a.op & ACT_LAST;
			c->s.block = block;
			c->s.pc = pc + 1;
			return go(skb, c, PROG_UPCALL);
		case ACT_RECIRC:
			return recirculate(skb, c, a.c);
		case ACT_JUMP:
			block = a.c;
			pc = 0;
			continue;
		case ACT_HASH:
			c->s.kind = a.a;
			c->s.cookie = a.c;
			c->s.block = block;
			c->s.pc = pc + 1;
			return go(skb, c, PROG_HASH);
		case ACT_TRUNC:
			if (a.a) {
				c->s.trunc = a.c;
				break;
			}
			err = truncate(skb, a.c);
			break;
		case ACT_CLONE:
		case ACT_SAMPLE:
		case ACT_CHECK_LEN:
			c->s.block = block;
			c->s.pc = pc;
			return go(skb, c, PROG_COPY);
		case ACT_METER:
			c->s.block = block;
			c->s.pc = pc;
			return go(skb, c, PROG_METER);
		case ACT_PUSH_MPLS:
		case ACT_POP_MPLS:
		case ACT_SET_MPLS:
			c->s.block = block;
			c->s.pc = pc;
			return go(skb, c, PROG_MPLS);
		case ACT_SET_SCTP:
			c->s.block = block;
			c->s.pc = pc;
			return go(skb, c, PROG_SCTP);
		case ACT_SET_ND_TARGET:
		case ACT_SET_ND:
			c->s.block = block;
			c->s.pc = pc;
			return go(skb, c, PROG_ND);
		case ACT_CT:
			c->s.block = block;
			c->s.pc = pc;
			return go(skb, c, PROG_CT);
		case ACT_CT_HELPED:
			c->s.block = block;
			c->s.pc = pc;
			return go(skb, c, PROG_CT_HELPED);
		case ACT_SET_TUNNEL:
			c->s.block = block;
			c->s.pc = pc;
			return go(skb, c, PROG_SET_TUNNEL);
		case ACT_CT_CLEAR:
			ct_clear(c);
			break;
		case ACT_SET_ETH:
			err = set_eth(skb, b, pc, a.a);
			words = 5;
			break;
		case ACT_SET_IPV4:
			err = set_ipv4(skb, c, b, pc);
			words = 4;
			break;
		case ACT_SET_IPV6:
			err = set_ipv6(skb, c, b, pc);
			words = 3;
			break;
		case ACT_SET_IPV6_ADDR:
			err = set_ipv6_addr(skb, c, b, pc, a.a);
			words = 5;
			break;
		case ACT_SET_PORTS:
			err = set_ports(skb, c, b, pc);
			words = 2;
			break;
		case ACT_SET_ICMP:
			err = set_icmp(skb, c, b, pc);
			words = 2;
			break;
		case ACT_SET_ARP:
			err = set_arp(skb, c, b, pc);
			words = 4;
			break;
		case ACT_SET_ARP_HW:
			err = set_arp_hw(skb, c, b, pc, a.a);
			words = 3;
			break;
		case ACT_SET_MARK:
			skb->mark = masked32(skb->mark, DATA(b, pc, 1));
			words = 2;
			break;
		case ACT_SET_PRIORITY:
			skb->priority = masked32(skb->priority, DATA(b, pc, 1));
			words = 2;
			break;
		case ACT_PUSH_VLAN:
			err = push_vlan(skb, c, a.b, a.c);
			c->s.changed = 1;
			break;
		case ACT_POP_VLAN:
			err = pop_vlan(skb, c);
			c->s.changed = 1;
			break;
		default:
			err = -1;
		}
		if (err)
			return drop(c, DROP_ACTION);
		/* All that have data words change the packet. */
		if (words > 1)
			c->s.changed = 1;
		pc += words;
	}
	c->s.block = block;
	c->s.pc = pc;
	return go(skb, c, PROG_ACTIONS);
}

/* Counts a packet of a flow that another CPU owns. */
static __always_inline void count_elsewhere(struct flow_slot *slot, __u32 n, __u32 cpu, __u32 len, __u32 flags)
{
	struct flow_stats *st;

	if (cpu >= stat_columns)
		cpu %= stat_columns;
	st = AT(stats, (n * stat_stride + cpu) & stat_mask);
	if (!slot->spread)
		slot->spread = 1;
	if (stat_atomic) {
		__sync_fetch_and_add(&st->packets, 1);
		__sync_fetch_and_add(&st->bytes, len);
	} else {
		st->packets++;
		st->bytes += len;
	}
	st->used = bpf_jiffies64();
	st->tcp_flags |= flags;
}

/* Counts the hit and starts the flow's actions. Most lists are one output. */
static __always_inline int hit(struct __sk_buff *skb, union ctx *c, struct cpu *cpu, __u32 n, __u32 len)
{
	struct flow_slot *slot = AT(slots, n & slot_mask);
	__u32 id = cpu->id, owner = slot->owner;
	__u32 flags = bpf_ntohs(c->key.tcp_flags);
	struct act a;

	if (!owner && !__sync_val_compare_and_swap(&slot->owner, 0, id))
		owner = id;
	if (owner == id) {
		slot->packets++;
		slot->bytes += len;
		slot->used = bpf_jiffies64();
		if (flags)
			slot->tcp_flags |= flags;
	} else {
		count_elsewhere(slot, n & slot_mask, id - 1, len, flags);
	}

	a = *(struct act *)&slot->act;
	if (a.op == (ACT_OUTPUT | ACT_LAST))
		return output_last(skb, c, cpu, a.c, len);
	c->s.block = n;
	c->s.pc = 0;
	if (a.op == ACT_CT)
		return go(skb, c, PROG_CT_PLAIN);
	return go(skb, c, PROG_ACTIONS);
}

static __always_inline int miss(struct __sk_buff *skb, union ctx *c, struct cpu *cpu)
{
	cpu->total.missed++;
	c->s.kind = c->s.cookie = 0;
	c->s.last = 1;
	return go(skb, c, PROG_UPCALL);
}

static __always_inline int search_on(struct __sk_buff *skb, union ctx *c, struct cpu *cpu, const int wide)
{
	__u32 n = 0;

	switch (search(c, cpu, &n, wide)) {
	case SEARCH_HIT:
		cpu->total.hit++;
		if (wide)
			hint_store(c, n);
		return hit(skb, c, cpu, n, frame_len(skb));
	case SEARCH_MORE:
		if (c->s.calls <= max_calls)
			return go(skb, c, PROG_MORE);
	}
	return miss(skb, c, cpu);
}

/* Finds the flow of a parsed packet and does what it says. */
static __always_inline int classify(struct __sk_buff *skb, union ctx *c, struct cpu *cpu, __u32 len, const int wide)
{
	__u32 n = SLOT_NONE;

	if (wide && c->s.hint)
		n = hint_find(c, hint_get(c));
	if (n != SLOT_NONE) {
		c->s.hint = 0;
		cpu->total.cache_hit++;
		return hit(skb, c, cpu, n, len);
	}
	n = cache_lookup(c, cpu, wide);
	if (!wide && n == SLOT_WIDE)
		return go(skb, c, PROG_LOOKUP);
	if (n != SLOT_NONE) {
		cpu->total.cache_hit++;
		if (wide)
			hint_store(c, n);
		return hit(skb, c, cpu, n, len);
	}
	c->s.search = 0;
	return search_on(skb, c, cpu, wide);
}

/* Looks up a packet that came through other programs. When too few of them are left for what may follow, the agent goes on
 * with it, as with a miss. */
static __always_inline int classify_again(struct __sk_buff *skb, union ctx *c, struct cpu *cpu, const int wide)
{
	if (c->s.calls > max_calls)
		return miss(skb, c, cpu);
	return classify(skb, c, cpu, frame_len(skb), wide);
}
