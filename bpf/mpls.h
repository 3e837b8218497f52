/* SPDX-License-Identifier: Apache-2.0 */
/* Label stack entries: behind the VLAN headers. */
#pragma once

#include "copy.h"

/* Where the last Ethertype is, behind the tags that the packet has in its bytes; 0: cut off. */
static __always_inline __u32 type_offset(struct __sk_buff *skb, __be16 *type)
{
	if (bpf_skb_load_bytes(skb, 12, type, 2))
		return 0;
	if (!is_vlan(*type))
		return 12;
	if (bpf_skb_load_bytes(skb, 16, type, 2))
		return 0;
	if (!is_vlan(*type))
		return 16;
	return bpf_skb_load_bytes(skb, 20, type, 2) ? 0 : 20;
}

static __always_inline int is_mpls(__be16 type)
{
	return type == bpf_htons(ETH_P_MPLS_UC) || type == bpf_htons(ETH_P_MPLS_MC);
}

static __always_inline int push_mpls(struct __sk_buff *skb, __be16 type, __be32 lse)
{
	__be16 old;
	__u32 off = type_offset(skb, &old);
	__u16 *h;
	__u32 *from;

	/* A frame without Ethertype cannot say that labels follow. */
	if (!off || bpf_ntohs(old) < ETH_TYPE_MIN)
		return 0;
	/* Room is made in front, so that skb->protocol stays and GSO packets can be segmented. */
	if (bpf_skb_change_head(skb, MPLS_LEN, 0))
		return -1;
	from = header_at(skb, 0, 16);
	if (!from)
		return -1;
	from[0] = from[1];
	from[1] = from[2];
	from[2] = from[3];
	for (__u32 i = 3; i < 5; i++) {
		if (off <= i * 4)
			break;
		from = header_at(skb, i * 4, 8);
		if (!from)
			return -1;
		from[0] = from[1];
	}
	h = header_at(skb, off, 6);
	if (!h)
		return -1;
	h[0] = type;
	h[1] = lse;
	h[2] = lse >> 16;
	return 0;
}

/* Takes the outer tag off; returns whether there was one. */
static __always_inline int take_tag(struct __sk_buff *skb, struct vlan_tag *tag)
{
	struct {
		__be16 tpid, tci;
	} *h;

	if (skb->vlan_present) {
		tag->proto = skb->vlan_proto;
		tag->tci = skb->vlan_tci;
	} else {
		h = header_at(skb, 12, 4);
		if (!h || !is_vlan(h->tpid))
			return 0;
		tag->proto = h->tpid;
		tag->tci = bpf_ntohs(h->tci);
	}
	return !bpf_skb_vlan_pop(skb);
}

/* No helper takes bytes out behind the Ethernet header of a packet that is not IP, but one takes
 * out a VLAN header. A tag in the packet's bytes in front of the entry makes the kernel look for
 * one; the entry and the type behind it are made to look like another one. The packet's own tags come back
 * with all their bits. */
static __always_inline int pop_mpls(struct __sk_buff *skb, __be16 type)
{
	struct vlan_tag tags[VLAN_MAX] = {};
	__be16 *h;
	int n = 0, err = 0;

	if (take_tag(skb, &tags[0])) {
		n = 1;
		if (take_tag(skb, &tags[1]))
			n = 2;
	}
	h = header_at(skb, 0, 18);
	if (h && is_mpls(h[6])) {
		err = bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 0);
		err |= bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 0);
		h = header_at(skb, 0, 22);
		if (err || !h)
			return -1;
		h[8] = bpf_htons(ETH_P_8021Q);
		h[9] = 0;
		h[10] = type;
		err = bpf_skb_vlan_pop(skb);
		err |= bpf_skb_vlan_pop(skb);
		err |= bpf_skb_vlan_pop(skb);
	}
	if (n > 1)
		err |= bpf_skb_vlan_push(skb, tags[1].proto, tags[1].tci);
	if (n > 0)
		err |= bpf_skb_vlan_push(skb, tags[0].proto, tags[0].tci);
	return err;
}

static __always_inline int set_mpls(struct __sk_buff *skb, __u64 w)
{
	__be16 type;
	__u32 off = type_offset(skb, &type), lse;
	__u16 *h;

	if (!off || !is_mpls(type))
		return 0;
	h = header_at(skb, off, 6);
	if (!h)
		return 0;
	lse = masked32(h[1] | (__u32)h[2] << 16, w);
	h[1] = lse;
	h[2] = lse >> 16;
	return 0;
}

static __always_inline int run_mpls(struct __sk_buff *skb, union ctx *c)
{
	__u32 pc;
	struct act_block *b = act_here(c, &pc);
	struct act a;
	int err = 0;

	if (!b)
		return drop(c, DROP_INTERNAL);
	a = act_of(b, pc);
	c->s.pc = pc + 1;
	switch (a.op & ~ACT_LAST) {
	case ACT_PUSH_MPLS:
		err = push_mpls(skb, bpf_htons(a.b), a.c);
		break;
	case ACT_POP_MPLS:
		err = pop_mpls(skb, bpf_htons(a.b));
		break;
	case ACT_SET_MPLS:
		err = set_mpls(skb, DATA(b, pc, 1));
		c->s.pc++;
		break;
	}
	if (err)
		return drop(c, DROP_ACTION);
	c->s.changed = 1;
	return 0;
}
