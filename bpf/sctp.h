/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of SCTP. Its CRC32c is over the whole packet, but linear: it changes by the CRC of
 * what changed, followed by as many zero bytes as the packet has from there on. A wrong
 * one so stays wrong. */
#pragma once

#include "copy.h"
#include "upcall.h"

/* A CRC32c register after n zero bytes. */
static __always_inline __u32 crc32c_zeros(__u32 crc, __u32 n)
{
	for (__u32 i = 0; i < 16; i++) {
		__u32 out = 0;

		if (!(n >> i & 1))
			continue;
		for (__u32 bit = 0; bit < 32; bit++)
			out ^= crc32c_shift[i & 15][bit & 31] & -(crc >> bit & 1);
		crc = out;
	}
	return crc;
}

/* Bytes from the L4 header to the end of the IP packet. */
static __always_inline __u32 l4_len(struct __sk_buff *skb, const union ctx *c)
{
	__u32 l3 = c->s.l3 & L3_MAX, end;
	__be16 len;

	if (c->key.eth_type == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, l3 + 2, &len, 2))
			return 0;
		end = l3 + bpf_ntohs(len);
	} else {
		if (bpf_skb_load_bytes(skb, l3 + 4, &len, 2))
			return 0;
		end = l3 + sizeof(struct ipv6_hdr) + bpf_ntohs(len);
	}
	return end - c->s.l4;
}

static __always_inline int set_sctp(struct __sk_buff *skb, const union ctx *c, const struct act_block *b, __u32 pc)
{
	__u32 l4 = c->s.l4 & L4_MAX, old, new, len;
	__u32 *h;

	if (!l4 || c->s.nw_proto != IPPROTO_SCTP)
		return 0;
	len = l4_len(skb, c);
	h = header_at(skb, l4, 12);
	if (!h)
		return 0;
	old = h[0];
	new = masked32(old, DATA(b, pc, 1));
	if (old == new)
		return 0;
	h[0] = new;
	if (!csum_partial(skb)) {
		__u32 diff = crc32c_zeros(old ^ new, len);

		h = header_at(skb, l4, 12);
		if (h)
			h[2] ^= diff;
	}
	return 0;
}

static __always_inline int run_sctp(struct __sk_buff *skb, union ctx *c)
{
	__u32 pc;
	struct act_block *b = act_here(c, &pc);

	if (!b)
		return drop(c, DROP_INTERNAL);
	c->s.pc = pc + 2;
	c->s.changed = 1;
	return set_sctp(skb, c, b, pc);
}
