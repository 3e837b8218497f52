/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers: what packets of connections with one announce, and TCP sequence numbers of connections whose messages have become
 * longer or shorter: conntrack/helper.go and skew.go. FTP messages are read and rewritten by the agent; all else is done here. */
#pragma once

#include "ct_expected.h"

#define CT_TCP_MAX 63 /* of a TCP header there are CT_TCP_MAX + 1 bytes at most */

/* The record of a connection, made if there is none. The caller knows that the slot has that generation. */
static __always_inline struct ct_alg *ct_alg_get(struct ct_scratch *s, __u32 slot, __u32 gen)
{
	struct ct_alg *a = bpf_map_lookup_elem(&ct_algs, &slot);

	if (a && a->gen == gen)
		return a;
	__builtin_memset(&s->more, 0, sizeof(s->more));
	s->more.gen = gen;
	if (bpf_map_update_elem(&ct_algs, &slot, &s->more, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&ct_algs, &slot);
}

/* Notes that a connection announces another one, to a port of one of its ends. One that somebody else has announced already is
 * that one's. */
static __noinline int ct_announce(__u32 slot, __u32 gen, __u32 port, __u32 active)
{
	struct ct_conn *n = bpf_map_lookup_elem(&ct_conns, &slot);
	struct ct_expectation *e, new = { .slot = slot, .gen = gen, .active = !!active };
	struct ct_scratch *s = ct_scratch_get();
	struct ct_table *t = ct_table_get();
	struct ct_tuple *last;
	struct ct_alg *a;
	__u32 at;

	if (!n || !s || !t || n->gen != gen)
		return 0;
	s->out = active ? n->reply : n->orig;
	s->out.sport = 0;
	s->out.dport = port;
	e = bpf_map_lookup_elem(&ct_expects, &s->out);
	if (e && ct_in_force(e, bpf_jiffies64()))
		return 0;
	a = ct_alg_get(s, slot, gen);
	if (!a)
		return 0;
	if (a->announced)
		ct_retract(a->announced - 1);
	new.number = __sync_fetch_and_add(&t->announced, 1);
	ct_retract(new.number - CT_EXPECTATIONS);
	at = new.number % CT_EXPECTATIONS;
	last = bpf_map_lookup_elem(&ct_announces, &at);
	if (!last)
		return 0;
	*last = s->out;
	if (!bpf_map_update_elem(&ct_expects, &s->out, &new, BPF_ANY))
		a->announced = new.number + 1;
	return 0;
}

/* How far a number is shifted, as its sender has it, and as its receiver has it. */
static __always_inline __s32 ct_shift(const struct ct_skew *k, __u32 seq)
{
	return before(k->at, seq) ? k->after : k->before;
}

static __always_inline __s32 ct_unshift(const struct ct_skew *k, __u32 ack)
{
	return before(k->at, ack - k->before) ? k->after : k->before;
}

/* Reads what one end of the connection has; 0: nothing. */
static __always_inline int ct_skew_of(struct ct_scratch *s, __u32 end)
{
	__u32 slot = s->slot;
	struct ct_conn *n = bpf_map_lookup_elem(&ct_conns, &slot);
	struct ct_alg *a;
	int found = 0;

	if (!n || !ct_lock(n))
		return 0;
	a = bpf_map_lookup_elem(&ct_algs, &slot);
	if (a && a->gen == s->gen && n->gen == s->gen) {
		s->skew = a->skew[end & 1];
		found = s->skew.before || s->skew.after;
	}
	ct_unlock(n);
	return found;
}

/* Takes the shift off a number in the copy of a TCP header. */
static __always_inline void ct_less(struct ct_scratch *s, __u32 at)
{
	__u8 *p = s->packet + CT_TCP_MAX + 1 + (at & CT_TCP_MAX);
	__be32 v;

	__builtin_memcpy(&v, p, 4);
	v = bpf_htonl(bpf_ntohl(v) - ct_unshift(&s->skew, bpf_ntohl(v)));
	__builtin_memcpy(p, &v, 4);
}

#define TCP_OPT_SACK 5
#define TCP_SACK_EDGES 9 /* that fit in the options */

/* One TCP option, at s->inner4 of the s->inner_len bytes of a header: selective acknowledgements (RFC 2018). */
static long ct_less_option(__u32 i, void *unused)
{
	struct ct_scratch *s = ct_scratch_get();
	__u32 at, len, next;
	__u8 kind, n;

	if (!s)
		return 1;
	at = s->inner4;
	len = s->inner_len;
	if (at >= len)
		return 1;
	kind = s->packet[at & CT_TCP_MAX];
	if (!kind)
		return 1;
	if (kind == 1) {
		s->inner4 = at + 1;
		return 0;
	}
	if (at + 2 > len)
		return 1;
	n = s->packet[(at + 1) & CT_TCP_MAX];
	next = at + n;
	if (n < 2 || next > len)
		return 1;
	if (kind == TCP_OPT_SACK)
		for (int e = 0; e < TCP_SACK_EDGES; e++)
			if (at + 2 + 4 * e + 4 <= next)
				ct_less(s, at + 2 + 4 * e);
	s->inner4 = next;
	return 0;
}

/* Has a segment acknowledge what the other end knows to have sent. */
static __always_inline int ct_adjust_acks(struct __sk_buff *skb, struct ct_scratch *s, __u32 l4)
{
	__u64 *old = (void *)s->packet, *new = (void *)(s->packet + CT_TCP_MAX + 1), differ = 0;
	__u32 len;
	__s64 diff;

	if (bpf_skb_load_bytes(skb, l4, old, sizeof(struct tcp_hdr)))
		return -1;
	len = (s->packet[12] >> 4) * 4;
	if (len < sizeof(struct tcp_hdr) || bpf_skb_load_bytes(skb, l4, old, ct_bounded(len, CT_TCP_MAX)))
		return -1;
	__builtin_memcpy(new, old, CT_TCP_MAX + 1);
	if (s->packet[13] & TCP_ACK)
		ct_less(s, 8);
	s->inner4 = sizeof(struct tcp_hdr);
	s->inner_len = len;
	bpf_loop(40, ct_less_option, NULL, 0);
	for (int i = 0; i < (CT_TCP_MAX + 1) / 8; i++)
		differ |= old[i] ^ new[i];
	if (!differ)
		return 0;
	s->seg.ack = bpf_ntohl(*(__be32 *)((__u8 *)new + 8));
	diff = bpf_csum_diff((void *)old, CT_TCP_MAX + 1, (void *)new, CT_TCP_MAX + 1, 0);
	if (bpf_skb_store_bytes(skb, l4, new, ct_bounded(len, CT_TCP_MAX), 0))
		return -1;
	return bpf_l4_csum_replace(skb, l4 + 16, 0, diff, 0);
}

static __always_inline int run_ct_adjust(struct __sk_buff *skb, union ctx *c)
{
	struct ct_scratch *s = ct_scratch_get();

	if (!s)
		return drop(c, DROP_INTERNAL);
	s->alg |= ALG_SKEWED;
	if (ct_skew_of(s, ~s->reply) && ct_adjust_acks(skb, s, c->s.l4 & L4_MAX))
		return drop(c, DROP_ACTION);
	return go(skb, c, PROG_CT_AGAIN);
}

/* Shifts the number of a segment as s->skew says. */
static __always_inline int ct_adjust_seq(struct __sk_buff *skb, struct ct_scratch *s, __u32 l4)
{
	__be32 old, new;
	__s32 n;

	if (bpf_skb_load_bytes(skb, l4 + 4, &old, 4))
		return -1;
	n = ct_shift(&s->skew, bpf_ntohl(old));
	if (!n)
		return 0;
	new = bpf_htonl(bpf_ntohl(old) + n);
	if (bpf_l4_csum_replace(skb, l4 + 16, old, new, 4))
		return -1;
	return bpf_skb_store_bytes(skb, l4 + 4, &new, 4, 0);
}

/* Of a packet that may begin a connection which nobody commits. */
static __always_inline int run_ct_expect(struct __sk_buff *skb, union ctx *c)
{
	struct ct_scratch *s = ct_scratch_get();

	if (!s)
		return drop(c, DROP_INTERNAL);
	if (ct_expected(bpf_jiffies64())) {
		/* The master lends what it would pass on. */
		s->state |= CS_REL;
		ct_write(c, s, &s->master);
		if (s->master.alg & ALG_RELATED)
			ct_write_parent(s->parent, s->parent_gen);
	} else {
		ct_write_none(c, s, &s->tuple);
	}
	return ct_next(skb, c);
}

static __always_inline __u8 ct_upper(__u8 c) { return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c; }

/* Whether the segment's first word is that of a message which announces a connection (conntrack/ftp.go). */
static __always_inline int ct_ftp_announces(struct __sk_buff *skb, struct ct_scratch *s)
{
	__u32 len = s->seg.length, start = s->end - len, word = s->reply ? 3 : 4;
	__u8 *b = s->packet, end;

	if ((__s32)len <= (__s32)word || bpf_skb_load_bytes(skb, start, b, s->reply ? 4 : 5))
		return 0;
	if (s->reply) {
		if (b[0] != '2' || b[1] != '2' || (b[2] != '7' && b[2] != '9'))
			return 0;
		end = b[3];
	} else {
		__u8 p = ct_upper(b[0]), o = ct_upper(b[1]), r = ct_upper(b[2]), t = ct_upper(b[3]);

		if (!(p == 'P' && o == 'O' && r == 'R' && t == 'T') && !(p == 'E' && o == 'P' && r == 'R' && t == 'T'))
			return 0;
		end = b[4];
	}
	return end == ' ' || end == '-' || end == '\r' || end == '\n';
}

/* A read or write request (RFC 1350): the answer comes from another port. */
static __always_inline void ct_tftp(struct __sk_buff *skb, const union ctx *c, struct ct_scratch *s)
{
	__u32 l4 = c->s.l4 & L4_MAX, slot = s->slot;
	struct ct_conn *n = bpf_map_lookup_elem(&ct_conns, &slot);
	__be16 op;

	if (s->reply || !n || l4 + 10 > s->end || bpf_skb_load_bytes(skb, l4 + 8, &op, 2))
		return;
	if (op == bpf_htons(1) || op == bpf_htons(2))
		ct_announce(slot, s->gen, n->reply.dport, 1);
}

/* Whether a segment is to go to the agent: a message, or one behind a message that is there. Also reads how far its number is
 * shifted. -1: it cannot be told. */
static __always_inline int ct_goes_up(struct ct_scratch *s, int message)
{
	__u32 slot = s->slot, dir = s->reply & 1, space = ct_space(&s->seg), end = s->seg.seq + space;
	struct ct_conn *n = bpf_map_lookup_elem(&ct_conns, &slot);
	struct ct_alg *a;
	struct ct_wait *w;
	int up = message;

	s->skew.before = s->skew.after = 0;
	if (!n || !ct_lock(n))
		return -1;
	a = message ? ct_alg_get(s, slot, s->gen) : bpf_map_lookup_elem(&ct_algs, &slot);
	if (!a || a->gen != s->gen || n->gen != s->gen) {
		ct_unlock(n);
		return message ? -1 : 0;
	}
	s->skew = a->skew[dir];
	w = &a->wait[dir];
	if (w->on) {
		up = message || space;
		if (up && before(w->high, end))
			w->high = end;
	} else if (message) {
		w->on = 1;
		w->next = s->seg.seq;
		w->high = end;
	}
	ct_unlock(n);
	return up;
}

/* Sends the packet to the agent. */
static __always_inline int ct_send_up(struct __sk_buff *skb, union ctx *c, const struct ct_scratch *s)
{
	struct ct_table *table = ct_table_get();
	__u32 zero = 0;
	struct ct_note *note = bpf_map_lookup_elem(&alg_notes, &zero);

	if (!table || !note)
		return drop(c, DROP_INTERNAL);
	note->slot = s->slot;
	note->gen = s->gen;
	note->block = c->s.block;
	note->pc = c->s.pc;
	note->flags = (s->reply ? CT_HELPED_REPLY : 0) | (ct_adjusts(s) ? CT_HELPED_NAT : 0);
	note->seq = s->seg.seq;
	note->space = ct_space(&s->seg);
	c->s.kind = UPCALL_ALG;
	c->s.cookie = c->s.trunc = 0;
	c->s.last = 1;
	/* Before this program ends, so that the agent knows of the message when it may change the list. */
	__sync_fetch_and_add(&table->messages, 1);
	return go(skb, c, PROG_UPCALL);
}

/* Shows a helper the packet, which is translated. */
static __always_inline int run_ct_help(struct __sk_buff *skb, union ctx *c)
{
	struct ct_scratch *s = ct_scratch_get();
	int up;

	if (!s)
		return drop(c, DROP_INTERNAL);
	if (s->alg & ALG_TFTP) {
		ct_tftp(skb, c, s);
		return ct_next(skb, c);
	}
	up = ct_ftp_announces(skb, s);
	if (ct_adjusts(s))
		up = ct_goes_up(s, up);
	if (up < 0)
		return drop(c, DROP_CONNTRACK);
	if (up)
		return ct_send_up(skb, c, s);
	if (ct_adjusts(s) && ct_adjust_seq(skb, s, c->s.l4 & L4_MAX))
		return drop(c, DROP_ACTION);
	return ct_next(skb, c);
}

/* Notes that the segment with a number has become longer; nothing for one that is sent again. The caller has the lock. */
static __always_inline void ct_skew_change(struct ct_skew *k, __u32 seq, __s32 n)
{
	if (k->before != k->after && !before(k->at, seq))
		return;
	k->at = seq;
	k->before = k->after;
	k->after += n;
}

/* Notes that a segment has come down; 0: there is a gap before it. */
static __always_inline int ct_came_down(struct ct_wait *w, __u32 seq, __u32 end)
{
	if (!w->on)
		return 1;
	if (before(w->next, seq))
		return 0;
	if (before(w->next, end))
		w->next = end;
	if (!before(w->next, w->high))
		w->on = 0;
	return 1;
}

/* Does what the agent has made of a message. */
static __always_inline int run_ct_helped(struct __sk_buff *skb, union ctx *c)
{
	__u32 pc, slot, gen, seq, end, dir;
	struct act_block *b = act_here(c, &pc);
	struct ct_scratch *s = ct_scratch_get();
	struct ct_counts *counts;
	struct ct_alg *more;
	struct ct_conn *n;
	struct act a;
	__s32 grown;
	int pass;

	if (!b || !s)
		return drop(c, DROP_INTERNAL);
	a = act_of(b, pc);
	dir = a.a & CT_HELPED_REPLY;
	gen = DATA(b, pc, 1);
	grown = DATA(b, pc, 1) >> 32;
	seq = DATA(b, pc, 2);
	end = seq + (DATA(b, pc, 2) >> 32);
	slot = a.c;
	c->s.pc = pc + 3;
	n = bpf_map_lookup_elem(&ct_conns, &slot);
	if (!n || !ct_lock(n))
		return drop(c, DROP_INTERNAL);
	pass = n->gen == gen && n->used;
	if (pass && (a.a & CT_HELPED_NAT)) {
		more = ct_alg_get(s, slot, gen);
		pass = more && ct_came_down(&more->wait[dir], seq, end);
		if (pass) {
			if (grown) {
				ct_skew_change(&more->skew[dir], seq, grown);
				n->alg |= ALG_SKEWED;
			}
			s->skew = more->skew[dir];
		}
	}
	ct_unlock(n);
	/* Of a connection that is gone, or behind a gap. */
	if (!pass)
		return drop(c, DROP_CONNTRACK);
	if (a.a & CT_HELPED_ANNOUNCES)
		ct_announce(slot, gen, a.b, a.a & CT_HELPED_ACTIVE);
	if (a.a & CT_HELPED_INVALID) {
		counts = ct_counts_get();
		if (counts)
			counts->invalid++;
	}
	if ((a.a & CT_HELPED_NAT) && ct_adjust_seq(skb, s, c->s.l4 & L4_MAX))
		return drop(c, DROP_ACTION);
	return go(skb, c, PROG_ACTIONS);
}
