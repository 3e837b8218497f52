/* SPDX-License-Identifier: Apache-2.0 */
/* The ct action: conntrack/track.go. What only the first packets of connections need, translation and ICMP errors are in
 * programs of their own (ct_new.h, ct_nat.h, ct_error.h). */
#pragma once

#include "ct_tcp.h"

#define CT_REPORT_MAX 511 /* bytes of the packet in an ICMP error that are read and rewritten */

/* What goes from one of the programs to the next. */
struct ct_scratch {
	struct ct_tuple tuple;  /* of the packet; of an ICMP error that of the packet which it is about, reversed */
	struct ct_tuple out;    /* what a translated packet looks like; a new connection's candidate */
	struct ct_segment seg;  /* of TCP */
	__u32 flags, zone, policy;
	__u32 label_block, nat_block;
	__u64 mark; /* value and mask */
	__u32 state, was;
	__u32 done; /* what is translated */
	__u32 end;  /* of the IP packet */
	__u32 retries, alg; /* ALG_*: the helper that is to see the packet; ALG_SKEWED: what it acknowledges is adjusted */
	__u32 frag, later, frag_id; /* of fragments: nw_frag; it has no transport header */
	__u32 inner_len, inner4, inner_proto; /* of the packet in an ICMP error */
	/* A new connection. */
	__u32 slot, gen;
	__u32 hash, probe;
	__u32 start, stride, size;
	__u16 low, to_dst;
	struct act_block set; /* an action that translates */
	/* Of connections that announce others, or are announced. */
	__u32 reply;
	__u32 expected;         /* 1: announced, 2: of the end that began the master */
	struct ct_conn master;  /* who announced it, */
	__u32 parent, parent_gen; /* and its slot */
	struct ct_alg more;     /* of the new one */
	struct ct_skew skew;
	__u8 packet[CT_REPORT_MAX + 65]; /* in an ICMP error */
};

MAP(BPF_MAP_TYPE_PERCPU_ARRAY, ct_scratches, 1, struct ct_scratch, 0);

static __always_inline struct ct_scratch *ct_scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ct_scratches, &zero);
}

static __always_inline int ct_is_icmp(const struct ct_tuple *t)
{
	return (t->family == 4 && t->proto == IPPROTO_ICMP) || (t->family == 6 && t->proto == IPPROTO_ICMPV6);
}

static __always_inline int ct_has_ports(const struct ct_tuple *t)
{
	return t->proto == IPPROTO_TCP || t->proto == IPPROTO_UDP || t->proto == IPPROTO_SCTP;
}

/* As header_at(); the pointer is read where it is used, else the compiler carries it from branch to branch as a number of 32
 * bits, which it is no more for the verifier then. */
static __always_inline void *ct_header(struct __sk_buff *skb, __u32 off, __u32 len)
{
	void *h = (void *)(long)*(volatile __u32 *)&skb->data + off;

	return h + len > (void *)(long)*(volatile __u32 *)&skb->data_end ? NULL : h;
}

/* An IPv4 address as tuples have it, in the second word. */
static __always_inline __u64 ct_mapped(__be32 a) { return (__u64)a << 32 | 0xffff0000u; }

/* Whether messages of an ICMP type have an identifier, and whether one begins a connection. */
static __always_inline int ct_icmp_query(__u8 family, __u8 type)
{
	if (family == 6)
		return type == 128 || type == 129;
	return type == 8 || type == 0 || (type >= 13 && type <= 16);
}

static __always_inline int ct_icmp_asks(__u8 family, __u8 type)
{
	return family == 6 ? type == 128 : type == 8 || type == 13 || type == 15;
}

static __always_inline int ct_icmp_reports(__u8 family, __u8 type)
{
	if (family == 6)
		return type >= 1 && type <= 4;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static __always_inline __u8 ct_icmp_answer(__u8 family, __u8 type)
{
	if (family == 6)
		return type == 128 || type == 129 ? type ^ 1 : type;
	switch (type) {
	case 8:
		return 0;
	case 0:
		return 8;
	case 13:
	case 14:
		return 27 - type;
	case 15:
	case 16:
		return 31 - type;
	}
	return type;
}

static __always_inline void ct_reverse(struct ct_tuple *r, const struct ct_tuple *t)
{
	r->src[0] = t->dst[0];
	r->src[1] = t->dst[1];
	r->dst[0] = t->src[0];
	r->dst[1] = t->src[1];
	r->zone = t->zone;
	r->proto = t->proto;
	r->family = t->family;
	if (ct_is_icmp(t)) {
		r->sport = t->sport;
		r->dport = (__u16)ct_icmp_answer(t->family, t->dport >> 8) << 8 | (t->dport & 0xff);
	} else {
		r->sport = t->dport;
		r->dport = t->sport;
	}
}

/* A length of which all verifiers see that it is 1 to max + 1, as it is. */
static __always_inline __u32 ct_bounded(__u32 len, __u32 max)
{
	len = (len - 1) & max;
	barrier_var(len);
	return len + 1;
}

/* One TCP option, at s->inner4 of the s->inner_len bytes of them; sets the window scale. */
static long ct_option(__u32 i, void *unused)
{
	struct ct_scratch *s = ct_scratch_get();
	__u32 at, len;
	__u8 n;

	if (!s)
		return 1;
	at = s->inner4;
	len = s->inner_len;
	if (at >= len)
		return 1;
	switch (s->packet[at & 0x3f]) {
	case 0:
		return 1;
	case 1:
		s->inner4 = at + 1;
		return 0;
	}
	if (at + 2 > len)
		return 1;
	n = s->packet[(at + 1) & 0x3f];
	if (n < 2 || at + n > len)
		return 1;
	if (s->packet[at & 0x3f] == 3 && n == 3) {
		n = s->packet[(at + 2) & 0x3f];
		s->seg.scale = (n > MAX_SCALE ? MAX_SCALE : n) | SCALE_OFFERED;
		return 1;
	}
	s->inner4 = at + n;
	return 0;
}

/* Finds the window scale option of a SYN, the options of which are linear or not. */
static __always_inline void ct_options(struct __sk_buff *skb, struct ct_scratch *s, __u32 l4, __u32 len)
{
	if (len <= sizeof(struct tcp_hdr))
		return;
	s->inner4 = 0;
	s->inner_len = len - sizeof(struct tcp_hdr);
	if (!bpf_skb_load_bytes(skb, l4 + sizeof(struct tcp_hdr), s->packet, ct_bounded(len - sizeof(struct tcp_hdr), 0x3f)))
		bpf_loop(40, ct_option, NULL, 0);
}

enum ct_parsed { CT_TRACKED, CT_UNTRACKABLE, CT_REPORT };

/* Reads the packet as far as tracking needs it. Its key is right. */
static __always_inline int ct_parse(struct __sk_buff *skb, union ctx *c, struct ct_scratch *s)
{
	struct ct_tuple *t = &s->tuple;
	__u32 l3 = c->s.l3 & L3_MAX, l4 = c->s.l4 & L4_MAX, end, len;
	struct tcp_hdr *tcp;
	__u8 *h;

	if (!l3)
		return CT_UNTRACKABLE;
	s->frag = c->key.nw_frag;
	s->later = s->frag & FRAG_LATER;
	t->zone = s->zone;
	t->sport = t->dport = 0;
	t->proto = c->key.nw_proto;
	if (c->key.eth_type == bpf_htons(ETH_P_IP)) {
		struct ipv4_hdr *ip = ct_header(skb, l3, sizeof(*ip));

		if (!ip || ip->ver_ihl >> 4 != 4)
			return CT_UNTRACKABLE;
		end = bpf_ntohs(ip->tot_len);
		end = end ? l3 + end : skb->len;
		t->family = 4;
		t->src[0] = t->dst[0] = 0;
		t->src[1] = ct_mapped(c->key.ipv4_src);
		t->dst[1] = ct_mapped(c->key.ipv4_dst);
	} else if (c->key.eth_type == bpf_htons(ETH_P_IPV6)) {
		struct ipv6_hdr *ip = ct_header(skb, l3, sizeof(*ip));

		/* Extension headers that are cut off leave no protocol. */
		if (!ip || *(__u8 *)ip >> 4 != 6 || !t->proto)
			return CT_UNTRACKABLE;
		end = bpf_ntohs(ip->plen);
		end = end || !skb->gso_size ? l3 + sizeof(*ip) + end : skb->len;
		t->family = 6;
		t->src[0] = c->key.ipv6_src[0];
		t->src[1] = c->key.ipv6_src[1];
		t->dst[0] = c->key.ipv6_dst[0];
		t->dst[1] = c->key.ipv6_dst[1];
	} else {
		return CT_UNTRACKABLE;
	}
	s->end = end;
	if (s->later)
		return CT_TRACKED;
	switch (t->proto) {
	case IPPROTO_TCP:
		tcp = ct_header(skb, l4, sizeof(*tcp));
		if (!l4 || !tcp)
			return CT_UNTRACKABLE;
		t->sport = bpf_ntohs(tcp->src);
		t->dport = bpf_ntohs(tcp->dst);
		len = (bpf_ntohs(tcp->ctl) >> 12) * 4;
		s->seg.seq = bpf_ntohl(tcp->seq);
		s->seg.ack = bpf_ntohl(tcp->ack);
		s->seg.window = bpf_ntohs(tcp->window);
		s->seg.flags = bpf_ntohs(tcp->ctl);
		s->seg.length = end - l4 - len;
		s->seg.scale = 0;
		if (s->seg.flags & TCP_SYN)
			ct_options(skb, s, l4, len);
		return CT_TRACKED;
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		h = ct_header(skb, l4, 8);
		if (!l4 || !h)
			return CT_UNTRACKABLE;
		t->sport = bpf_ntohs(*(__be16 *)h);
		t->dport = bpf_ntohs(*(__be16 *)(h + 2));
		if (t->proto == IPPROTO_UDP && !s->frag && bpf_ntohs(*(__be16 *)(h + 4)) != end - l4)
			return CT_UNTRACKABLE;
		return CT_TRACKED;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (!ct_is_icmp(t))
			return CT_TRACKED;
		h = ct_header(skb, l4, 8);
		if (!l4 || !h)
			return CT_UNTRACKABLE;
		if (ct_icmp_query(t->family, h[0])) {
			if (h[1])
				return CT_UNTRACKABLE;
			t->sport = bpf_ntohs(*(__be16 *)(h + 4));
			t->dport = (__u16)h[0] << 8;
			return CT_TRACKED;
		}
		return ct_icmp_reports(t->family, h[0]) ? CT_REPORT : CT_UNTRACKABLE;
	}
	return CT_TRACKED;
}

/* Whether the packet may begin a connection. */
static __always_inline int ct_opens(const struct ct_scratch *s)
{
	if (s->tuple.proto == IPPROTO_TCP)
		return ct_tcp_opens(&s->seg);
	if (ct_is_icmp(&s->tuple))
		return ct_icmp_asks(s->tuple.family, s->tuple.dport >> 8);
	return 1;
}

/* Writes the key's tuple words. */
static __always_inline void ct_write_tuple(union ctx *c, const struct ct_tuple *t)
{
	struct flow_key *k = &c->key;

	k->ct_nw_proto = t->proto;
	if (t->family == 4) {
		k->ct_nw_src = t->src[1] >> 32;
		k->ct_nw_dst = t->dst[1] >> 32;
		k->ct_ipv6_src[0] = k->ct_ipv6_src[1] = k->ct_ipv6_dst[0] = k->ct_ipv6_dst[1] = 0;
	} else {
		c->w[KW_CT_NW_SRC] = 0;
		k->ct_ipv6_src[0] = t->src[0];
		k->ct_ipv6_src[1] = t->src[1];
		k->ct_ipv6_dst[0] = t->dst[0];
		k->ct_ipv6_dst[1] = t->dst[1];
	}
	c->w[KW_CT_TP_SRC] = 0;
	if (ct_is_icmp(t)) {
		k->ct_tp_src = bpf_htons(t->dport >> 8);
		k->ct_tp_dst = bpf_htons(t->dport & 0xff);
	} else {
		k->ct_tp_src = bpf_htons(t->sport);
		k->ct_tp_dst = bpf_htons(t->dport);
	}
}

/* Of a packet that no connection knows. */
static __always_inline void ct_write_none(union ctx *c, const struct ct_scratch *s, const struct ct_tuple *t)
{
	ct_clear(c);
	c->key.ct_state = bpf_htonl(s->state | CS_TRK);
	c->key.ct_zone = bpf_htons(s->zone);
	c->s.meta |= META_CT;
	if (t)
		ct_write_tuple(c, t);
}

static __always_inline void ct_write(union ctx *c, const struct ct_scratch *s, const struct ct_conn *n)
{
	c->key.ct_state = bpf_htonl(s->state | CS_TRK);
	c->key.ct_zone = bpf_htons(s->zone);
	c->key.ct_mark = bpf_htonl(n->mark);
	c->key.ct_label[0] = n->label[0];
	c->key.ct_label[1] = n->label[1];
	c->s.meta |= META_CT;
	ct_write_tuple(c, &n->orig);
}

/* What the action says of mark and label. */
static __always_inline void ct_mark(const struct ct_scratch *s, struct ct_conn *n)
{
	struct act_block *b;
	__u32 at = s->label_block;

	if (s->flags & CT_MARK)
		n->mark = masked32(n->mark, s->mark);
	if (!(s->flags & CT_LABEL))
		return;
	b = bpf_map_lookup_elem(&acts, &at);
	if (b) {
		n->label[0] = masked(n->label[0], b->w[1], b->w[3]);
		n->label[1] = masked(n->label[1], b->w[2], b->w[4]);
	}
}

/* Of a connection that was announced the key has the tuple of who did. */
static __noinline int ct_write_parent(__u32 slot, __u32 gen)
{
	struct ct_alg *a = bpf_map_lookup_elem(&ct_algs, &slot);
	union ctx *c = ctx_get();

	if (c && a && a->gen == gen)
		ct_write_tuple(c, &a->parent);
	return 0;
}

/* Goes on behind the action. Most often the packet is looked up again: its key is right, so that needs no parsing. */
static __always_inline int ct_next(struct __sk_buff *skb, union ctx *c)
{
	__u32 block = c->s.block, pc = c->s.pc;
	struct act_block *b = bpf_map_lookup_elem(&acts, &block);
	struct act a;

	if (!b)
		return drop(c, DROP_INTERNAL);
	a = *(struct act *)&b->w[pc & (ACT_WORDS - 1)];
	if (pc < ACT_WORDS && a.op == ACT_RECIRC)
		return recirculate(skb, c, a.c);
	return go(skb, c, PROG_ACTIONS);
}

/* Goes on with a packet of a connection; its helper sees it first. */
static __always_inline int ct_done(struct __sk_buff *skb, union ctx *c, const struct ct_scratch *s)
{
	return s->alg & ALG_HELPERS ? go(skb, c, PROG_CT_HELP) : ct_next(skb, c);
}

static __always_inline int ct_invalid(struct __sk_buff *skb, union ctx *c, struct ct_scratch *s, const struct ct_tuple *t)
{
	struct ct_counts *n = ct_counts_get();

	if (n)
		n->invalid++;
	s->state = CS_INV;
	ct_write_none(c, s, t);
	return ct_next(skb, c);
}

/* A packet that was translated in this zone before is found by what would answer it. */
static __always_inline int ct_lookup(struct ct_scratch *s, __u64 now, struct ct_found *f)
{
	struct ct_counts *n;

	if (s->was) {
		ct_reverse(&s->out, &s->tuple);
		if (ct_find(&s->out, now, f)) {
			f->reply ^= 1;
			return 1;
		}
		n = ct_counts_get();
		if (n)
			n->natted_miss++;
	}
	return ct_find(&s->tuple, now, f);
}

static __always_inline __u64 ct_timeout(__u32 policy, __u8 timer)
{
	struct ct_policy *t = bpf_map_lookup_elem(&ct_policies, &policy);

	return t ? t->timer[timer & (CT_TIMERS - 1)] : 0;
}

/* Whether packets of connection n are to be translated now; if so how is in s->out and s->done. */
static __always_inline int ct_translates(struct ct_scratch *s, const struct ct_conn *n, __u32 reply)
{
	if (!n->nat || !(s->flags & CT_NAT) || s->was)
		return 0;
	s->done = reply ? n->nat ^ CS_NAT : n->nat;
	s->out = reply ? n->orig : n->reply;
	s->state |= s->done;
	return 1;
}

/* Whether numbers in the packet are to be those that its receiver knows. */
static __always_inline int ct_adjusts(const struct ct_scratch *s) { return (s->flags & CT_NAT) && !s->was && !s->frag; }

/* Reads the action. */
static __always_inline int ct_begin(union ctx *c, struct ct_scratch *s)
{
	__u32 pc;
	struct act_block *b = act_here(c, &pc);
	struct act a;
	__u64 w;

	if (!b)
		return -1;
	a = act_of(b, pc);
	w = DATA(b, pc, 2);
	s->flags = a.a;
	s->zone = a.b;
	s->policy = a.c;
	s->mark = DATA(b, pc, 1);
	s->label_block = w;
	s->nat_block = w >> 32;
	s->was = bpf_ntohl(c->key.ct_state) & CS_NAT;
	if (c->key.ct_zone != bpf_htons(s->zone))
		s->was = 0;
	c->s.pc = pc + 3;
	return 0;
}

/* With the packet parsed and its action read. */
static __always_inline int ct_track(struct __sk_buff *skb, union ctx *c, struct ct_scratch *s)
{
	struct ct_table *table = ct_table_get();
	__u64 now = bpf_jiffies64();
	struct ct_found f = {};
	int verdict, nat, check;
	__u32 alg;

	if (!table)
		return drop(c, DROP_INTERNAL);
	check = !table->no_check;
	if (!ct_lookup(s, now, &f))
		goto new;
	if ((s->flags & CT_FORCE) && f.reply && !s->later) {
		ct_remove(f.slot, f.gen);
		goto new;
	}
	if (!f.conn || !ct_lock(f.conn))
		return drop(c, DROP_INTERNAL);
	if (f.conn->gen != f.gen) {
		ct_unlock(f.conn);
		goto new;
	}
	alg = f.conn->alg;
	if (alg) {
		s->slot = f.slot;
		s->gen = f.gen;
		s->reply = f.reply;
		if ((alg & ~s->alg & ALG_SKEWED) && ct_adjusts(s)) {
			ct_unlock(f.conn);
			return go(skb, c, PROG_CT_ADJUST);
		}
	}
	if (s->later)
		verdict = f.reply || f.conn->replied ? CT_NEARLY : CT_NEARLY_NEW;
	else if (s->tuple.proto == IPPROTO_TCP)
		verdict = ct_tcp(f.conn, &s->seg, f.reply, check);
	else
		verdict = ct_silent(f.conn, f.reply);
	if (verdict == CT_INVALID) {
		/* It says what connection it belongs to all the same. */
		struct ct_counts *n = ct_counts_get();

		if (n) {
			n->invalid++;
			if (ct_bogus(&s->seg))
				n->flags++;
			else
				n->sequence++;
		}
		s->state = CS_INV;
		ct_write(c, s, f.conn);
		ct_unlock(f.conn);
		if (alg & ALG_RELATED)
			ct_write_parent(f.slot, f.gen);
		return ct_next(skb, c);
	}
	if (verdict == CT_RENEWS) {
		ct_unlock(f.conn);
		ct_remove(f.slot, f.gen);
		goto new;
	}
	if (verdict == CT_BYPASSED) {
		struct ct_counts *n = ct_counts_get();

		if (n)
			n->bypass++;
		verdict = CT_VALID;
	}
	if (verdict == CT_VALID || verdict == CT_VALID_NEW) {
		f.conn->expires = now + ct_timeout(f.conn->policy, f.conn->timer);
		if (f.reply)
			f.conn->replied = 1;
	}
	s->state = s->was | (verdict == CT_VALID_NEW || verdict == CT_NEARLY_NEW ? CS_NEW : f.reply ? CS_EST | CS_RPL : CS_EST);
	s->state |= alg & ALG_RELATED;
	nat = ct_translates(s, f.conn, f.reply);
	/* What a connection has from its master stays. */
	if ((s->flags & (CT_MARK | CT_LABEL)) && !(alg & ALG_RELATED))
		ct_mark(s, f.conn);
	ct_write(c, s, f.conn);
	ct_unlock(f.conn);
	if (alg) {
		if (alg & ALG_RELATED)
			ct_write_parent(f.slot, f.gen);
		if (!s->frag)
			s->alg |= alg & ALG_HELPERS;
	}
	if (c->s.hint)
		hint_get(c)->ref = CT_REF(f.slot, f.gen, f.reply);
	return nat ? go(skb, c, PROG_CT_NAT) : ct_done(skb, c, s);
new:
	/* A later fragment is like its first one, which makes the connection. */
	if (!s->later && !ct_opens(s))
		return ct_invalid(skb, c, s, &s->tuple);
	s->state = s->was | CS_NEW;
	if ((s->flags & CT_COMMIT) && !s->later)
		return go(skb, c, PROG_CT_NEW);
	/* Its first fragment has made no connection that says how it is translated. */
	if (s->later && !s->was && (s->flags & CT_COMMIT) && (s->flags & (CT_SRC | CT_DST)))
		return drop(c, DROP_CONNTRACK);
	if (table->announced && !s->later)
		return go(skb, c, PROG_CT_EXPECT);
	ct_write_none(c, s, &s->tuple);
	return ct_next(skb, c);
}

static __always_inline int run_ct(struct __sk_buff *skb, union ctx *c)
{
	struct ct_scratch *s = ct_scratch_get();

	if (!s)
		return drop(c, DROP_INTERNAL);
	if (c->s.changed)
		return go(skb, c, PROG_CT_PREPARE);
	if (ct_begin(c, s))
		return drop(c, DROP_INTERNAL);
	s->retries = s->alg = 0;
	switch (ct_parse(skb, c, s)) {
	case CT_UNTRACKABLE:
		return ct_invalid(skb, c, s, NULL);
	case CT_REPORT:
		return go(skb, c, PROG_CT_ERROR);
	}
	if (s->frag)
		return go(skb, c, PROG_CT_FRAGMENT);
	return ct_track(skb, c, s);
}
