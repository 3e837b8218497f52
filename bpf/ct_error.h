/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors: they are related to the connection of the packet which they carry, and that packet is translated back:
 * conntrack/parse.go (report) and translate.go (rewriteInner). */
#pragma once

#include "ct_frag.h"
#include "ct_nat.h"

#define CT_CARRIED 8      /* bytes behind its IP header that are there at least */

/* Finds the protocol and the L4 header of the packet in s->packet, and leaves them in memory: the verifier forgets by which
 * way they were found. */
static __always_inline int ct_inner_l4(struct ct_scratch *s, __u32 len)
{
	volatile __u32 *at = &s->inner4, *proto = &s->inner_proto;
	const __u8 *p = s->packet;

	if (s->tuple.family == 4) {
		__u32 n = (p[0] & 15) * 4;

		if (len < sizeof(struct ipv4_hdr) || p[0] >> 4 != 4)
			return -1;
		*proto = p[9];
		*at = n;
		return n < sizeof(struct ipv4_hdr) || n > len || *(__be16 *)(p + 6) & bpf_htons(0x1fff) ? -1 : 0;
	}
	if (len < sizeof(struct ipv6_hdr) || p[0] >> 4 != 6)
		return -1;
	*proto = p[6];
	*at = sizeof(struct ipv6_hdr);
	for (int i = 0; i < IPV6_EXT_MAX; i++) {
		__u32 here = *at, type = *proto, n = 8;
		const __u8 *ext = p + (here & CT_REPORT_MAX);

		if (!is_ipv6_ext(type))
			return 0;
		if (here + 8 > len)
			return -1;
		if (type == IPPROTO_FRAGMENT) {
			if (*(__be16 *)(ext + 2) & bpf_htons(0xfff8))
				return -1;
		} else if (type == IPPROTO_AH) {
			n = (ext[1] + 2) * 4;
		} else {
			n = (ext[1] + 1) * 8;
		}
		*proto = ext[0];
		*at = here + n;
		if (here + n > len)
			return -1;
	}
	return is_ipv6_ext(*proto) ? -1 : 0;
}

/* Reads the packet that the error is about, len bytes of it, and makes the tuple that of its reverse. */
static __always_inline int ct_report(struct ct_scratch *s, __u32 len)
{
	const __u8 *p = s->packet, *h;
	struct ct_tuple *t = &s->out;
	__u32 l4;

	if (ct_inner_l4(s, len))
		return -1;
	l4 = *(volatile __u32 *)&s->inner4;
	t->zone = s->zone;
	t->family = s->tuple.family;
	t->proto = s->inner_proto;
	t->sport = t->dport = 0;
	if (t->family == 4) {
		t->src[0] = t->dst[0] = 0;
		t->src[1] = ct_mapped(*(__be32 *)(p + 12));
		t->dst[1] = ct_mapped(*(__be32 *)(p + 16));
	} else {
		t->src[0] = *(__u64 *)(p + 8);
		t->src[1] = *(__u64 *)(p + 16);
		t->dst[0] = *(__u64 *)(p + 24);
		t->dst[1] = *(__u64 *)(p + 32);
	}
	/* An error goes to who sent the packet. */
	if (t->src[0] != s->tuple.dst[0] || t->src[1] != s->tuple.dst[1])
		return -1;
	h = p + (l4 & CT_REPORT_MAX);
	if (ct_has_ports(t)) {
		if (l4 + CT_CARRIED > len)
			return -1;
		t->sport = bpf_ntohs(*(__be16 *)h);
		t->dport = bpf_ntohs(*(__be16 *)(h + 2));
	} else if (ct_is_icmp(t)) {
		if (l4 + CT_CARRIED > len || !ct_icmp_query(t->family, h[0]) || h[1])
			return -1;
		t->sport = bpf_ntohs(*(__be16 *)(h + 4));
		t->dport = (__u16)h[0] << 8;
	}
	ct_reverse(&s->tuple, t);
	return 0;
}

/* A checksum after a word it covers has changed (RFC 1624). */
static __always_inline __u16 ct_sum(__u16 sum, __u32 old, __u32 new)
{
	__u32 s = (__u16)~sum + (__u16)~old + (__u16)new;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return ~s;
}

/* A checksum after the n words at p become others. */
static __always_inline __u16 ct_sum_words(__u16 old, const __u16 *p, const __u16 *words, const int n)
{
	__u32 sum = (__u16)~old;

#pragma unroll
	for (int i = 0; i < n; i++)
		sum += (__u16)~p[i] + words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Brings the checksum at an offset of the packet in the error up to date; it is itself covered by that of the error. */
static __always_inline void ct_fix(struct ct_scratch *s, __u32 at, const __u16 *p, const __u16 *words, const int n,
				   __u16 *outer)
{
	__u16 *sum = (void *)(s->packet + (at & CT_REPORT_MAX)), old = *sum;

	*sum = ct_sum_words(old, p, words, n);
	*outer = ct_sum(*outer, old, *sum);
}

/* Writes n words at an offset of the packet in the error, and brings the checksums at two other offsets (0: none) up to
 * date. Without a change nothing is written: checksums have two zeros. */
static __always_inline void ct_replace(struct ct_scratch *s, __u32 at, const __u16 *words, const int n, __u32 sum1,
				       __u32 sum2, __u16 *outer)
{
	__u16 *p = (void *)(s->packet + (at & CT_REPORT_MAX)), differ = 0;

#pragma unroll
	for (int i = 0; i < n; i++)
		differ |= p[i] ^ words[i];
	if (!differ)
		return;
	if (sum1)
		ct_fix(s, sum1, p, words, n, outer);
	if (sum2)
		ct_fix(s, sum2, p, words, n, outer);
	*outer = ct_sum_words(*outer, p, words, n);
#pragma unroll
	for (int i = 0; i < n; i++)
		p[i] = words[i];
}

/* Gives the packet in the error the tuple s->out. */
static __always_inline int ct_rewrite_inner(struct __sk_buff *skb, union ctx *c, struct ct_scratch *s)
{
	__u32 l4 = c->s.l4 & L4_MAX, sum = 0, start = l4 + 8, len = s->inner_len, inner4 = s->inner4;
	struct ct_tuple *t = &s->out;
	__u16 outer, words[2];

	if (bpf_skb_load_bytes(skb, l4 + 2, &outer, 2))
		return -1;
	if (t->proto == IPPROTO_TCP && len >= inner4 + 18)
		sum = inner4 + 16;
	else if (t->proto == IPPROTO_UDP && *(__u16 *)(s->packet + ((inner4 + 6) & CT_REPORT_MAX)))
		sum = inner4 + 6;
	else if (ct_is_icmp(t))
		sum = inner4 + 2;
	if (t->family == 4) {
		__u64 a = t->src[1] >> 32 | t->dst[1] >> 32 << 32;

		ct_replace(s, 12, (void *)&a, 4, 10, ct_is_icmp(t) ? 0 : sum, &outer);
	} else {
		ct_replace(s, 8, (void *)t->src, 16, sum, 0, &outer);
	}
	words[0] = bpf_htons(t->sport);
	words[1] = bpf_htons(t->dport);
	if (ct_is_icmp(t))
		ct_replace(s, inner4 + 4, words, 1, sum, 0, &outer);
	else if (ct_has_ports(t))
		ct_replace(s, inner4, words, 2, sum, 0, &outer);
	if (bpf_skb_store_bytes(skb, start, s->packet, ct_bounded(len, CT_REPORT_MAX), 0))
		return -1;
	return bpf_skb_store_bytes(skb, l4 + 2, &outer, 2, 0);
}

static __always_inline int run_ct_error(struct __sk_buff *skb, union ctx *c)
{
	__u32 start = (c->s.l4 & L4_MAX) + 8, len;
	struct ct_scratch *s = ct_scratch_get();
	struct ct_found f = {};
	__u32 alg;
	int nat;

	if (!s)
		return drop(c, DROP_INTERNAL);
	len = s->end - start;
	if (s->end <= start)
		return ct_invalid(skb, c, s, NULL);
	if (len > CT_REPORT_MAX)
		len = CT_REPORT_MAX;
	s->inner_len = len;
	if (bpf_skb_load_bytes(skb, start, s->packet, ct_bounded(len, CT_REPORT_MAX)) || ct_report(s, len))
		return ct_invalid(skb, c, s, NULL);
	if (s->frag && !ct_frag_allowed(c, s, 1))
		return ct_invalid(skb, c, s, NULL);
	if (!ct_lookup(s, bpf_jiffies64(), &f))
		return ct_invalid(skb, c, s, &s->tuple);
	if (!f.conn || !ct_lock(f.conn))
		return drop(c, DROP_INTERNAL);
	if (f.conn->gen != f.gen) {
		ct_unlock(f.conn);
		return ct_invalid(skb, c, s, &s->tuple);
	}
	s->state = s->was | CS_REL | (f.reply ? CS_RPL : 0);
	nat = ct_translates(s, f.conn, f.reply);
	alg = f.conn->alg;
	if (!(alg & ALG_RELATED))
		ct_mark(s, f.conn);
	ct_write(c, s, f.conn);
	ct_unlock(f.conn);
	if (alg & ALG_RELATED)
		ct_write_parent(f.slot, f.gen);
	return nat ? go(skb, c, PROG_CT_REWRITE) : ct_next(skb, c);
}

static __always_inline int run_ct_rewrite(struct __sk_buff *skb, union ctx *c)
{
	struct ct_scratch *s = ct_scratch_get();

	if (!s)
		return drop(c, DROP_INTERNAL);
	if (ct_rewrite_inner(skb, c, s))
		return drop(c, DROP_ACTION);
	/* Of the error itself only the side that is translated: it may come from a router. */
	ct_reverse(&s->tuple, &s->out);
	if (s->tuple.family == 4) {
		if (s->done == CS_SRC)
			s->tuple.dst[1] = ct_mapped(c->key.ipv4_dst);
		else
			s->tuple.src[1] = ct_mapped(c->key.ipv4_src);
	} else if (s->done == CS_SRC) {
		s->tuple.dst[0] = c->key.ipv6_dst[0];
		s->tuple.dst[1] = c->key.ipv6_dst[1];
	} else {
		s->tuple.src[0] = c->key.ipv6_src[0];
		s->tuple.src[1] = c->key.ipv6_src[1];
	}
	if (ct_set_addresses(skb, c, &s->set, &s->tuple))
		return drop(c, DROP_ACTION);
	return ct_next(skb, c);
}
