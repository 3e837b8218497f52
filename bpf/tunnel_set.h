/* SPDX-License-Identifier: Apache-2.0 */
/* The set action of tunnels, and copies that go out of native ones. */
#pragma once

#include "tunnel.h"

#define SET_TUNNEL_TURN 5 /* actions of one program */

/* Where in the key a data word of ACT_SET_TUNNEL belongs. IPv4 has no words of IPv6 addresses. */
static __always_inline __u32 tunnel_word(__u32 i, int ipv6)
{
	if (i < 2)
		return KW_TUN_ID + i;
	if (i < 4)
		return KW_TUN_FLAGS + i - 2;
	if (!ipv6)
		return KW_TUN_OPTS + i - 4;
	return i < 8 ? KW_TUN_IPV6_SRC + i - 4 : KW_TUN_OPTS + i - 8;
}

/* Writes the tunnel of the key, all of it. */
static __always_inline void set_tunnel_words(union ctx *c, struct act a)
{
	__u32 block = a.c, at = 1;
	struct act_block *b;

	tunnel_clear(c);
	for (__u32 i = 0; i < TUNNEL_WORDS; i++) {
		if (i >= a.b)
			break;
		b = bpf_map_lookup_elem(&acts, &block);
		if (!b)
			break;
		if (at == ACT_WORDS) {
			block = act_of(b, 0).c;
			at = 1;
			b = bpf_map_lookup_elem(&acts, &block);
			if (!b)
				break;
		}
		c->w[tunnel_word(i, a.a) & 127] = b->w[at & (ACT_WORDS - 1)];
		at++;
	}
	c->s.meta |= META_TUNNEL;
}

/* Goes on from an action that sets a tunnel or sends a copy out of a native one. Where packets are flooded these take turns, so
 * some are done here before the interpreter goes on. */
static __always_inline int run_set_tunnel(struct __sk_buff *skb, union ctx *c)
{
	for (int i = 0; i < SET_TUNNEL_TURN; i++) {
		__u32 pc;
		struct act_block *b = act_here(c, &pc);
		struct port *p;
		struct act a;

		if (!b)
			return drop(c, DROP_INTERNAL);
		a = act_of(b, pc);
		switch (a.op) {
		case ACT_JUMP:
			c->s.block = a.c;
			c->s.pc = 0;
			continue;
		case ACT_SET_TUNNEL:
			set_tunnel_words(c, a);
			c->s.pc = pc + 1;
			continue;
		case ACT_OUTPUT:
			p = port_get(a.c);
			if (!p || !p->tunnel)
				break;
			run_copy(skb, c, 0, a.c + 1);
			c->s.pc = pc + 1;
			continue;
		}
		return go(skb, c, PROG_ACTIONS);
	}
	return go(skb, c, PROG_SET_TUNNEL);
}
