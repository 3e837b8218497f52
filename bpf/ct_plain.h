/* SPDX-License-Identifier: Apache-2.0 */
/* The ct action on what most tracked packets are: segments of established TCP connections over plain IPv4 that only move windows on. All else goes on
 * in PROG_CT, nothing of it changed. */
#pragma once

#include "ct.h"

/* Whether a tuple is the packet's: addresses as the key has them, and all behind the addresses. */
static __always_inline int ct_is(const struct ct_tuple *t, __u64 addrs, __u64 rest)
{
	const __u64 *w = (const void *)t;

	_Static_assert(__builtin_offsetof(struct ct_tuple, sport) == 32 && sizeof(struct ct_tuple) == 40, "tuple layout");
	return !(w[0] | w[2] | (w[1] ^ ct_mapped(addrs)) | (w[3] ^ ct_mapped(addrs >> 32)) | (w[4] ^ rest));
}

/* What a tuple has behind its addresses. */
static __always_inline __u64 ct_rest(__u32 ports, __u32 zone, __u64 proto, __u64 family)
{
	ports = bpf_ntohl(ports);
	return ports >> 16 | (ports & 0xffff) << 16 | (__u64)zone << 32 | proto << 48 | family << 56;
}

/* ct_tcp() of a segment without SYN, FIN and RST that acknowledges, for a connection that is established both ways;
 * whether it is in the windows. If not, nothing has changed. */
static __always_inline int ct_tcp_plain(struct ct_conn *n, const struct tcp_hdr *tcp, __u32 length, __u32 reply)
{
	struct ct_peer *src = &n->tcp[reply & 1], *dst = &n->tcp[~reply & 1];
	__u32 seq = bpf_ntohl(tcp->seq), ack = bpf_ntohl(tcp->ack), end = seq + length;
	__u8 sws = 0, dws = 0, both = src->scale & dst->scale;

	if (src->state != CT_ESTABLISHED || dst->state != CT_ESTABLISHED || (both & SCALE_UNKNOWN))
		return 0;
	if (both & SCALE_OFFERED) {
		sws = src->scale & SCALE_MASK;
		dws = dst->scale & SCALE_MASK;
	}
	if (!length)
		seq = end = src->end;
	if (!ct_in_windows(src, dst, seq, end, (__s32)(dst->end - ack), sws, dws))
		return 0;
	ct_move_windows(src, dst, end, ack, bpf_ntohs(tcp->window), sws);
	n->timer = CT_TCP_ESTAB;
	return 1;
}

/* As ct_write(). */
static __always_inline void ct_write_plain(union ctx *c, const struct ct_conn *n, __u32 zone, __u32 state)
{
	const struct ct_tuple *t = &n->orig;
	__u32 ports = bpf_htonl(*(const __u32 *)&t->sport);

	store(&c->w[KW_CT_STATE], bpf_htonl(state | CS_TRK) | (__u64)bpf_htons(zone) << 32 | (__u64)IPPROTO_TCP << 48);
	c->key.ct_mark = bpf_htonl(n->mark);
	c->key.ct_label[0] = n->label[0];
	c->key.ct_label[1] = n->label[1];
	store(&c->w[KW_CT_NW_SRC], t->src[1] >> 32 | (t->dst[1] & ~0xffffffffull));
	store(&c->w[KW_CT_TP_SRC], ports >> 16 | (__u32)(ports << 16));
#pragma unroll
	for (int i = KW_CT_IPV6_SRC; i < KW_MPLS_LSE0; i++)
		store(&c->w[i], 0);
	c->s.meta |= META_CT;
}

static __always_inline int run_ct_plain(struct __sk_buff *skb, union ctx *c, struct cpu *cpu)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv4_hdr *ip = data + PLAIN_L3;
	struct tcp_hdr *tcp = data + PLAIN_L4;
	__u32 pc, slot, gen, reply, len, ctl, state;
	struct act_block *b = act_here(c, &pc);
	__u64 now = bpf_jiffies64(), ref;
	struct ct_conn *n;
	struct hint *h;
	struct act a;

	if (!b)
		return drop(c, DROP_INTERNAL);
	a = act_of(b, pc);
	hint_begin(c, cpu, a.b);
	if (c->s.changed || c->s.l3 != PLAIN_L3 || c->s.l4 != PLAIN_L4 || c->s.nw_proto != IPPROTO_TCP ||
	    c->key.nw_frag || (void *)(tcp + 1) > end)
		goto other;
	if (c->key.eth_type != bpf_htons(ETH_P_IP) || ip->ver_ihl >> 4 != 4 || !ip->tot_len)
		goto other;
	if ((a.a & (CT_FORCE | CT_MARK | CT_LABEL)) || (c->key.ct_state & bpf_htonl(CS_NAT)))
		goto other;
	ctl = bpf_ntohs(tcp->ctl);
	if ((ctl & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) != TCP_ACK)
		goto other;
	len = bpf_ntohs(ip->tot_len) - (PLAIN_L4 - PLAIN_L3) - (ctl >> 12) * 4;

	h = hint_get(c);
	ref = h->ref;
	slot = ref;
	gen = ref >> 33;
	reply = ref >> 32 & 1;
	n = bpf_map_lookup_elem(&ct_conns, &slot);
	if (!n || !ct_is(reply ? &n->reply : &n->orig, c->w[KW_IPV4_SRC], ct_rest(c->w[KW_TP_SRC], a.b, IPPROTO_TCP, 4)))
		goto other;
	if (!ct_lock(n))
		return drop(c, DROP_INTERNAL);
	if (n->gen != gen || ct_expired(n, now) || n->alg || (n->nat && (a.a & CT_NAT)) || !ct_tcp_plain(n, tcp, len, reply)) {
		ct_unlock(n);
		goto other;
	}
	n->expires = now + ct_timeout(n->policy, CT_TCP_ESTAB);
	state = CS_EST;
	if (reply) {
		n->replied = 1;
		state |= CS_RPL;
	}
	ct_write_plain(c, n, a.b, state);
	ct_unlock(n);

	c->s.pc = pc += 3;
	a = act_of(b, pc);
	if (pc >= ACT_WORDS || a.op != ACT_RECIRC)
		return go(skb, c, PROG_ACTIONS);
	/* As recirculate(), and most often lookup too. */
	if (++c->s.recircs > RECIRC_MAX)
		return drop(c, DROP_RECIRC_LIMIT);
	c->key.recirc_id = bpf_htonl(a.c);
	c->s.injected = 0;
	if (c->s.calls <= max_calls) {
		__u32 found = hint_find(c, h);

		if (found != SLOT_NONE) {
			c->s.hint = 0;
			cpu->total.cache_hit++;
			return hit(skb, c, cpu, found, frame_len(skb));
		}
	}
	return go(skb, c, PROG_LOOKUP);
other:
	return go(skb, c, PROG_CT);
}
