/* SPDX-License-Identifier: Apache-2.0 */
/* dp_hash of the hash action: the function of datapath/execute, FNV-1a over 32-bit words with
 * a final mix, so that a packet gets one hash wherever its actions run. */
#pragma once

#include "ctx.h"

static __always_inline __u32 hash_word(__u32 h, __u32 w)
{
	h = (h ^ w) * 0x01000193;
	return h ^ h >> 15;
}

static __always_inline __u32 hash_mix(__u32 h)
{
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	h ^= h >> 16;
	return h ? h : 1; /* 0 says that there is no hash */
}

static __always_inline __u32 ports_of(const struct flow_key *k)
{
	if (k->nw_frag || (k->nw_proto != IPPROTO_TCP && k->nw_proto != IPPROTO_UDP &&
			   k->nw_proto != IPPROTO_SCTP))
		return 0;
	return (__u32)bpf_ntohs(k->tp_src) << 16 | bpf_ntohs(k->tp_dst);
}

/* Over addresses, protocol and ports; symmetric: the same in both directions. */
static __always_inline __u32 l4_hash(const struct flow_key *k, int symmetric, __u32 basis)
{
	const __be32 *src, *dst;
	__u32 h = basis ^ 0x811c9dc5, ports = ports_of(k);
	int n = 0;

	if (k->eth_type == bpf_htons(ETH_P_IP)) {
		src = &k->ipv4_src;
		dst = &k->ipv4_dst;
		n = 1;
	} else {
		src = (const __be32 *)k->ipv6_src;
		dst = (const __be32 *)k->ipv6_dst;
		if (k->eth_type == bpf_htons(ETH_P_IPV6))
			n = 4;
	}
	for (int i = 0; i < n; i++)
		h = hash_word(h, bpf_ntohl(symmetric ? src[i] ^ dst[i] : src[i]));
	if (symmetric) {
		if (!n) {
			/* The MAC addresses are all there is. */
			const __be16 *a = (const __be16 *)k->eth_src, *b = (const __be16 *)k->eth_dst;

			h = hash_word(h, bpf_ntohs(a[0] ^ b[0]));
			h = hash_word(h, (__u32)bpf_ntohs(a[1] ^ b[1]) << 16 | bpf_ntohs(a[2] ^ b[2]));
			h = hash_word(h, bpf_ntohs(k->eth_type));
		}
		h = hash_word(h, ports >> 16 ^ (ports & 0xffff));
	} else {
		for (int i = 0; i < n; i++)
			h = hash_word(h, bpf_ntohl(dst[i]));
		h = hash_word(h, ports);
	}
	if (n)
		h = hash_word(h, k->nw_proto);
	return hash_mix(h);
}
