/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to headers. The packet's head is writable (the kernel sees to that for programs
 * that write it directly, also after a copy was sent). L4 checksums go through the helpers, which
 * know unfinished (CHECKSUM_PARTIAL) and hardware (CHECKSUM_COMPLETE) sums. A field of a header that the
 * packet does not have is ignored. */
#pragma once

#include "parse.h"

#define L3_MAX 0x7f   /* bounds of ctx.l3 and ctx.l4 for the verifier, above what parsing gives */
#define L4_MAX 0x7fff

/* A data word of the action at pc. */
#define DATA(b, pc, n) ((b)->w[((pc) + (n)) & (ACT_WORDS - 1)])

/* Header at offset off of the linear packet, or NULL. */
static __always_inline void *header_at(struct __sk_buff *skb, __u32 off, __u32 len)
{
	void *h = (void *)(long)skb->data + off;

	return h + len > (void *)(long)skb->data_end ? NULL : h;
}

static __always_inline __u64 masked(__u64 old, __u64 value, __u64 mask)
{
	return (old & ~mask) | value;
}

/* value and mask of 32 bits in one word. */
static __always_inline __u32 masked32(__u32 old, __u64 w)
{
	return (old & ~(__u32)(w >> 32)) | (__u32)w;
}

static __always_inline __u16 csum_replace4(__u16 check, __u32 from, __u32 to)
{
	__u32 s = (__u16)~check;

	s += (__u16)~from + (__u16)(~from >> 16) + (__u16)to + (to >> 16);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return ~s;
}

/* Where the L4 checksum is and how it must be replaced; 0: none that covers addresses. */
static __always_inline __u32 l4_check(const union ctx *c, __u64 *flags)
{
	__u32 l4 = c->s.l4 & L4_MAX;

	*flags = 0;
	if (!l4)
		return 0;
	switch (c->s.nw_proto) {
	case IPPROTO_TCP:
		return l4 + 16;
	case IPPROTO_UDP:
		*flags = BPF_F_MARK_MANGLED_0;
		return l4 + 6;
	case IPPROTO_ICMPV6:
		return l4 + 2;
	}
	return 0;
}

static __always_inline int set_eth(struct __sk_buff *skb, const struct act_block *b, __u32 pc,
				   int untagged)
{
	__u64 *dst = header_at(skb, 0, 14), *src;

	if (!dst)
		return -1;
	if (untagged) {
		__be16 type = ((__be16 *)dst)[6];

		if (skb->vlan_present || is_vlan(type) || bpf_ntohs(type) < ETH_TYPE_MIN)
			return 0;
	}
	/* Six bytes each; the masks of the two behind them are zero. */
	src = (void *)dst + 6;
	*dst = masked(*dst, DATA(b, pc, 1), DATA(b, pc, 2));
	*src = masked(*src, DATA(b, pc, 3), DATA(b, pc, 4));
	return 0;
}

static __always_inline int set_ipv4(struct __sk_buff *skb, const union ctx *c,
				    const struct act_block *b, __u32 pc)
{
	__u32 l3 = c->s.l3 & L3_MAX, check, old_src, old_dst, src, dst, old, new;
	struct ipv4_hdr *ip = header_at(skb, l3, sizeof(*ip));
	__u64 w = DATA(b, pc, 3), flags;

	if (!ip || !l3)
		return 0;
	old_src = ip->src;
	old_dst = ip->dst;
	src = masked32(old_src, DATA(b, pc, 1));
	dst = masked32(old_dst, DATA(b, pc, 2));
	check = l4_check(c, &flags);
	if (check && c->s.nw_proto != IPPROTO_ICMPV6) {
		flags |= BPF_F_PSEUDO_HDR | 4;
		if (src != old_src && bpf_l4_csum_replace(skb, check, old_src, src, flags))
			return -1;
		if (dst != old_dst && bpf_l4_csum_replace(skb, check, old_dst, dst, flags))
			return -1;
		ip = header_at(skb, l3, sizeof(*ip));
		if (!ip)
			return -1;
	}
	ip->src = src;
	ip->dst = dst;
	ip->check = csum_replace4(ip->check, old_src, src);
	ip->check = csum_replace4(ip->check, old_dst, dst);
	if (w) {
		/* tos and ttl are each one byte of a 16-bit word of the sum. */
		old = (__u32)ip->tos << 8 | (__u32)ip->ttl << 16;
		ip->tos = masked(ip->tos, w & 0xff, w >> 8 & 0xff);
		ip->ttl = masked(ip->ttl, w >> 16 & 0xff, w >> 24 & 0xff);
		new = (__u32)ip->tos << 8 | (__u32)ip->ttl << 16;
		ip->check = csum_replace4(ip->check, old, new);
	}
	return 0;
}

/* The first eight bytes of the header: traffic class, label and hop limit in them. */
static __always_inline int set_ipv6(struct __sk_buff *skb, const union ctx *c,
				    const struct act_block *b, __u32 pc)
{
	__u32 l3 = c->s.l3 & L3_MAX;
	__u64 *ip = header_at(skb, l3, 8), new;

	if (!ip || !l3)
		return 0;
	new = masked(*ip, DATA(b, pc, 1), DATA(b, pc, 2));
	/* No checksum covers them, but a hardware sum of the packet does. */
	return bpf_skb_store_bytes(skb, l3, &new, sizeof(new), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int set_ipv6_addr(struct __sk_buff *skb, const union ctx *c,
					 const struct act_block *b, __u32 pc, int is_dst)
{
	__u32 l3 = c->s.l3 & L3_MAX, check, off = l3 + (is_dst ? 24 : 8);
	__u64 *addr = header_at(skb, off, 16), old[2], new[2], flags;

	if (!addr || !l3)
		return 0;
	old[0] = addr[0];
	old[1] = addr[1];
	new[0] = masked(old[0], DATA(b, pc, 1), DATA(b, pc, 3));
	new[1] = masked(old[1], DATA(b, pc, 2), DATA(b, pc, 4));
	check = l4_check(c, &flags);
	/* With a routing header the sum is over the final destination, which is in there. */
	if (check && !(is_dst && c->s.routed)) {
		__s64 diff = bpf_csum_diff((__be32 *)old, 16, (__be32 *)new, 16, 0);

		if (bpf_l4_csum_replace(skb, check, 0, diff, flags | BPF_F_PSEUDO_HDR))
			return -1;
	}
	addr = header_at(skb, off, 16);
	if (!addr)
		return -1;
	addr[0] = new[0];
	addr[1] = new[1];
	return 0;
}

static __always_inline int set_ports(struct __sk_buff *skb, const union ctx *c,
				     const struct act_block *b, __u32 pc)
{
	__u32 l4 = c->s.l4 & L4_MAX, check, old, new;
	__u32 *ports = header_at(skb, l4, 4);
	__u64 flags;

	check = l4_check(c, &flags);
	if (!ports || !check || c->s.nw_proto == IPPROTO_ICMPV6)
		return 0;
	old = *ports;
	new = masked32(old, DATA(b, pc, 1));
	if (bpf_l4_csum_replace(skb, check, old, new, flags | 4))
		return -1;
	ports = header_at(skb, l4, 4);
	if (!ports)
		return -1;
	*ports = new;
	return 0;
}

/* Type and code, of ICMP and ICMPv6. */
static __always_inline int set_icmp(struct __sk_buff *skb, const union ctx *c,
				    const struct act_block *b, __u32 pc)
{
	__u32 l4 = c->s.l4 & L4_MAX;
	__u16 *h = header_at(skb, l4, 4), old, new;

	if (!h || !l4)
		return 0;
	old = *h;
	new = masked32(old, DATA(b, pc, 1));
	if (bpf_l4_csum_replace(skb, l4 + 2, old, new, 2))
		return -1;
	h = header_at(skb, l4, 4);
	if (!h)
		return -1;
	*h = new;
	return 0;
}

static __always_inline int set_arp(struct __sk_buff *skb, const union ctx *c,
				   const struct act_block *b, __u32 pc)
{
	__u32 l3 = c->s.l3 & L3_MAX, v;
	struct arp_eth *arp = header_at(skb, l3, sizeof(*arp));

	if (!arp || !l3)
		return 0;
	arp->op = masked32(arp->op, DATA(b, pc, 1));
	__builtin_memcpy(&v, arp->spa, 4);
	v = masked32(v, DATA(b, pc, 2));
	__builtin_memcpy(arp->spa, &v, 4);
	__builtin_memcpy(&v, arp->tpa, 4);
	v = masked32(v, DATA(b, pc, 3));
	__builtin_memcpy(arp->tpa, &v, 4);
	return 0;
}

static __always_inline int set_arp_hw(struct __sk_buff *skb, const union ctx *c,
				      const struct act_block *b, __u32 pc, int target)
{
	__u32 l3 = c->s.l3 & L3_MAX;
	/* Six bytes of address; the masks of the two behind them are zero. */
	__u64 *hw = header_at(skb, l3 + (target ? 18 : 8), 8);

	if (!hw || !l3)
		return 0;
	*hw = masked(*hw, DATA(b, pc, 1), DATA(b, pc, 2));
	return 0;
}

/* Cuts the packet to a length that counts a tag in the metadata. */
static __always_inline int truncate(struct __sk_buff *skb, __u32 len)
{
	if (skb->vlan_present)
		len = len > 4 ? len - 4 : 0;
	if (len < 14)
		len = 14;
	return skb->len > len ? bpf_skb_change_tail(skb, len, 0) : 0;
}

/* Tags in the packet's bytes move the headers behind them; one in the metadata does not. */
static __always_inline int push_vlan(struct __sk_buff *skb, union ctx *c, __u16 tci, __u16 tpid)
{
	__u32 len = skb->len;

	if (bpf_skb_vlan_push(skb, bpf_htons(tpid), tci & ~VLAN_PRESENT))
		return -1;
	if (c->s.l3)
		c->s.l3 += skb->len - len;
	if (c->s.l4)
		c->s.l4 += skb->len - len;
	return 0;
}

static __always_inline int pop_vlan(struct __sk_buff *skb, union ctx *c)
{
	__u32 len = skb->len;

	if (bpf_skb_vlan_pop(skb))
		return -1;
	if (c->s.l3)
		c->s.l3 -= len - skb->len;
	if (c->s.l4)
		c->s.l4 -= len - skb->len;
	return 0;
}
