/* SPDX-License-Identifier: Apache-2.0 */
/* Output to a native tunnel port: tunnel/encap.go. */
#pragma once

#include "hash.h"
#include "tunnel.h"

#define PORTS_DEFAULT (32768u | 61000u << 16)
#define DF 0x4000

struct udp_hdr {
	__be16 src, dst, len, check;
};

/* Takes the tags out of the packet, into s->tag: encapsulated they are bytes like others, but the kernel must find the
 * IP header where it segments. Returns 0 when these are all. */
static __always_inline int take_tags(struct __sk_buff *skb, struct tunnel_scratch *s)
{
	__u32 n = 0;

#pragma unroll
	for (int i = 0; i < TAGS_MAX; i++) {
		struct tag *tag = header_at(skb, ETH_LEN - 2, 4);

		if (skb->vlan_present) {
			s->tag[i].tpid = skb->vlan_proto;
			s->tag[i].tci = bpf_htons(skb->vlan_tci);
		} else if (tag && is_vlan(tag->tpid)) {
			s->tag[i] = *tag;
		} else {
			break;
		}
		if (bpf_skb_vlan_pop(skb))
			return -1;
		n++;
	}
	s->tags = n;
	return skb->vlan_present ? -1 : 0;
}

/* Makes room for n bytes in front of the IP header, as what they are, and after the Ethernet header; l2 of them are in front of
 * the inner IP header. */
static __always_inline int grow(struct __sk_buff *skb, __u32 n, __u32 l2, int ipv6, int is_gre, __u64 flags)
{
	__be16 outer = ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	__u64 encap = flags | BPF_F_ADJ_ROOM_ENCAP_L2(l2) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
	long err;

	encap |= ipv6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	encap |= is_gre ? BPF_F_ADJ_ROOM_ENCAP_L4_GRE : BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return skb->gso_size || bpf_skb_change_head(skb, n, 0) ? -1 : 0;
	err = bpf_skb_adjust_room(skb, n, BPF_ADJ_ROOM_MAC, encap);
	/* The kernel has encapsulated it before and does not know that the headers are off again. */
	if (err == -EALREADY)
		err = bpf_skb_adjust_room(skb, n, BPF_ADJ_ROOM_MAC, flags);
	else if (!err)
		return 0;
	if (err)
		return -1;
	return skb->protocol == outer ? 0 : 1;
}

/* Whether the rest of the packet's checksum is unfinished: then what it will be is known without the bytes, and *rest is
 * the sum of all from *start on. */
static __always_inline int unfinished(struct __sk_buff *skb, __u32 *start, __u64 *rest)
{
	struct sk_buff *k = (void *)skb;
	__u16 check;

	if (!csum_partial(skb))
		return 0;
	*start = BPF_CORE_READ(k, csum_start) - (BPF_CORE_READ(k, data) - BPF_CORE_READ(k, head));
	if (bpf_skb_load_bytes(skb, *start + BPF_CORE_READ(k, csum_offset), &check, 2))
		return 0;
	*rest = (__u16)~check;
	return 1;
}

/* Sum of the inner frame: Ethernet header and tags are in s->hdr. */
static __always_inline int sum_frame(struct __sk_buff *skb, struct tunnel_scratch *s, __u64 *sum)
{
	__u32 end = skb->len;
	__u64 rest = 0;

	if (unfinished(skb, &end, &rest) && (end < ETH_LEN || end > skb->len))
		return -1;
	*sum += rest;
	*sum += sum_words(s->eth, ETH_LEN);
#pragma unroll
	for (int i = 0; i < TAGS_MAX; i++)
		if (i < s->tags)
			*sum += sum_words(&s->tag[i], 4);
	return sum_packet(skb, s, ETH_LEN, end - ETH_LEN, sum);
}

/* The frame up to HDR_L4: Ethernet and IP header. */
static __always_inline void outer_ip(struct tunnel_scratch *s, const struct flow_key *k, const struct next_hop *hop, int ipv6,
				     __u8 proto, __u32 len)
{
	__u8 *eth = s->hdr + HDR_L4 - (ipv6 ? 40 : 20) - ETH_LEN, ttl = k->tun_ttl ? k->tun_ttl : TTL_DEFAULT;
	__be16 total = len > 0xffff ? 0 : bpf_htons(len);

	__builtin_memcpy(eth, hop->eth, 12);
	*(__be16 *)(eth + 12) = ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (ipv6) {
		struct ipv6_hdr *ip = (void *)s->hdr + HDR_L4 - sizeof(*ip);
		int open = !(k->tun_ipv6_src[0] | k->tun_ipv6_src[1]);

		ip->ver_tc_label = bpf_htonl(6u << 28 | (__u32)k->tun_tos << 20);
		ip->plen = total;
		ip->nexthdr = proto;
		ip->hlim = ttl;
		ip->src[0] = open ? hop->src[0] : k->tun_ipv6_src[0];
		ip->src[1] = open ? hop->src[1] : k->tun_ipv6_src[1];
		ip->dst[0] = k->tun_ipv6_dst[0];
		ip->dst[1] = k->tun_ipv6_dst[1];
	} else {
		struct ipv4_hdr *ip = (void *)s->hdr + HDR_L4 - sizeof(*ip);

		ip->ver_ihl = 0x45;
		ip->tos = k->tun_tos;
		ip->tot_len = total;
		ip->id = 0;
		ip->frag_off = bpf_htons(DF);
		if (!(k->tun_flags & bpf_htons(TUN_DF))) {
			ip->id = bpf_get_prandom_u32();
			ip->frag_off = 0;
		}
		ip->ttl = ttl;
		ip->proto = proto;
		ip->check = 0;
		ip->src = k->tun_src ? k->tun_src : (__be32)(hop->src[1] >> 32);
		ip->dst = k->tun_dst;
		ip->check = ~fold(sum_words(ip, sizeof(*ip)));
	}
}

/* The header between UDP and the inner frame. Returns its length, 0: it cannot be built. */
static __always_inline __u32 vxlan_header(struct tunnel_scratch *s, const struct flow_key *k, int gbp)
{
	__u8 *h = s->hdr + HDR_L4 + UDP_LEN;

	*(__be32 *)h = bpf_htonl((__u32)VXLAN_VNI << 24);
	if (gbp && (k->tun_gbp_id || k->tun_gbp_flags & GBP_FLAGS)) {
		h[0] |= VXLAN_GBP;
		h[1] = k->tun_gbp_flags & GBP_FLAGS;
		*(__be16 *)(h + 2) = k->tun_gbp_id;
	}
	*(__be32 *)(h + 4) = bpf_htonl((__u32)bpf_be64_to_cpu(k->tun_id) << 8);
	return VXLAN_LEN;
}

static __always_inline __u32 geneve_header(struct tunnel_scratch *s, const union ctx *c)
{
	const struct flow_key *k = &c->key;
	__u8 *h = s->hdr + HDR_L4 + UDP_LEN, critical = 0;
	__u32 len = k->tun_opts_len;

	if (len > OPTS_MAX || len & 3)
		return 0;
	if (len) {
		__u64 *to = (__u64 *)(h + GENEVE_LEN);

#pragma unroll
		for (int i = 0; i < 4; i++)
			to[i] = c->w[KW_TUN_OPTS + i];
		if (len > 32) {
#pragma unroll
			for (int i = 4; i < (OPTS_MAX + 4) / 8; i++)
				to[i] = c->w[KW_TUN_OPTS + i];
		}
		if (!options_ok(s, HDR_L4 + UDP_LEN + GENEVE_LEN, len, &critical))
			return 0;
	}
	h[0] = len / 4;
	h[1] = (k->tun_flags & bpf_htons(TUN_OAM) ? GENEVE_OAM : 0) | (critical ? GENEVE_CRITICAL : 0);
	*(__be16 *)(h + 2) = bpf_htons(ETH_P_TEB);
	*(__be32 *)(h + 4) = bpf_htonl((__u32)bpf_be64_to_cpu(k->tun_id) << 8);
	return GENEVE_LEN + len;
}

static __always_inline __u32 gre_header(struct tunnel_scratch *s, const struct flow_key *k, int csum)
{
	__be32 *h = (__be32 *)(s->hdr + HDR_L4), key = bpf_htonl((__u32)bpf_be64_to_cpu(k->tun_id));
	int keyed = !!(k->tun_flags & bpf_htons(TUN_KEY));

	h[0] = bpf_htonl((csum ? GRE_CSUM << 16 : 0) | (keyed ? GRE_KEY << 16 : 0) | ETH_P_TEB);
	if (!csum) {
		h[1] = key;
		return keyed ? 8 : 4;
	}
	h[1] = 0;
	h[2] = key;
	return keyed ? 12 : 8;
}

static __always_inline __be16 source_port(const struct flow_key *k)
{
	__u32 zero = 0, range = PORTS_DEFAULT, first;
	struct dp_config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (cfg && cfg->tunnel_ports)
		range = cfg->tunnel_ports;
	first = range & 0xffff;
	return bpf_htons(first + ((__u64)l4_hash(k, 1, 0) * ((range >> 16) - first + 1) >> 32));
}

/* Sum of what the UDP checksum covers besides header and payload. */
static __always_inline __u64 pseudo_sum(const struct tunnel_scratch *s, int ipv6, __u32 len)
{
	__u64 sum = bpf_htons(IPPROTO_UDP) + bpf_htonl(len);

	if (ipv6)
		return sum + sum_words(s->hdr + HDR_L4 - 32, 32);
	return sum + sum_words(s->hdr + HDR_L4 - 8, 8);
}

/* Whether the kernel would segment the packet as one of the tunnel that it came out of. That stands in it for good, and is no harm
 * where it comes into one of the same kind. The agent sends what it gets as a new packet. */
static __always_inline int stale_gso(struct __sk_buff *skb, __u32 kind)
{
	__u32 other = SKB_GSO_GRE_CSUM | SKB_GSO_UDP_TUNNEL_CSUM | (kind == TUNNEL_GRE ? SKB_GSO_UDP_TUNNEL : SKB_GSO_GRE);

	return gso_type(skb) & other;
}

/* Puts the outer headers together, then goes on with run_tunnel_send(). */
static __always_inline int run_tunnel_out(struct __sk_buff *skb, union ctx *c, struct tunnel_scratch *s)
{
	__u32 n = c->s.tunnel - 1, frame = frame_len(skb), l4, seg, kind;
	struct flow_key *k = &c->key;
	struct port *p = port_get(n);
	int ipv6 = !k->tun_dst, csum = !!(k->tun_flags & bpf_htons(TUN_CSUM));
	struct next_hop *hop;

	if (p && p->tunnel & TUNNEL_DEVICE)
		return go(skb, c, PROG_TUNNEL_DEVICE);
	if (c->s.changed)
		return go(skb, c, PROG_TUNNEL_PREPARE);
	c->s.tunnel = 0;
	if (!p || !p->tunnel)
		return drop(c, DROP_OUTPUT_PORT);
	kind = p->tunnel & TUNNEL_KIND;
	s->hop.dst[0] = ipv6 ? k->tun_ipv6_dst[0] : 0;
	s->hop.dst[1] = ipv6 ? k->tun_ipv6_dst[1] : mapped(k->tun_dst);
	s->hop.mark = skb->mark;
	s->hop.pad = 0;
	if (!(s->hop.dst[0] | s->hop.dst[1]))
		return drop(c, DROP_TUNNEL);
	hop = bpf_map_lookup_elem(&next_hops, &s->hop);
	if (!hop || !hop->resolved || stale_gso(skb, kind)) {
		c->s.kind = UPCALL_NEXT_HOP;
		c->s.cookie = n;
		c->s.last = 1;
		return go(skb, c, PROG_UPCALL);
	}
	if (!(hop->src[0] | hop->src[1]) && !(ipv6 ? k->tun_ipv6_src[0] | k->tun_ipv6_src[1] : k->tun_src))
		return drop(c, DROP_TUNNEL);
	/* A checksum over the segments of a GSO packet would need a mark in it that programs cannot set. */
	if (skb->gso_size)
		csum = 0;

	switch (kind) {
	case TUNNEL_VXLAN:
		l4 = UDP_LEN + vxlan_header(s, k, p->tunnel & TUNNEL_GBP);
		break;
	case TUNNEL_GENEVE:
		l4 = geneve_header(s, c);
		if (!l4)
			return drop(c, DROP_TUNNEL);
		l4 += UDP_LEN;
		break;
	case TUNNEL_GRE:
		l4 = gre_header(s, k, csum);
		break;
	default:
		return drop(c, DROP_TUNNEL);
	}

	/* Segments that would be too long are made shorter, where that can be done. */
	s->flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	seg = longest(skb, c) + l4 + (ipv6 ? 40 : 20);
	if (hop->mtu && seg > hop->mtu) {
		if (!skb->gso_size || c->s.nw_proto != IPPROTO_TCP || skb->gso_size < 2 * HDR_MASK)
			return too_big(skb, c, n, hop, l4 + (ipv6 ? 40 : 20));
		s->flags = 0;
	}
	outer_ip(s, k, hop, ipv6, kind == TUNNEL_GRE ? IPPROTO_GRE : IPPROTO_UDP, ipv6 ? frame + l4 : frame + l4 + 20);
	if (kind != TUNNEL_GRE) {
		struct udp_hdr *udp = (void *)s->hdr + HDR_L4;
		__u32 len = frame + l4;

		udp->src = source_port(k);
		udp->dst = k->tun_tp_dst ? k->tun_tp_dst : p->tunnel_port;
		udp->len = len > 0xffff ? 0 : bpf_htons(len);
		udp->check = 0;
	}
	s->port = n;
	s->frame = frame;
	s->ifindex = hop->ifindex;
	s->l4 = l4;
	s->ipv6 = ipv6;
	s->gre = kind == TUNNEL_GRE;
	s->csum = csum;
	return go(skb, c, PROG_TUNNEL_SEND);
}

/* Writes the checksum of UDP or GRE; sum is that of the inner frame. The headers are a multiple of 4 long. */
static __always_inline int outer_sum(struct tunnel_scratch *s, __u64 sum)
{
	__u32 len = s->l4 & (HDR_MASK & ~3u);
	__s64 part;
	__u16 check;

	if (!s->gre)
		sum += pseudo_sum(s, s->ipv6, s->frame + s->l4);
	barrier_var(len);
	part = bpf_csum_diff(NULL, 0, (__be32 *)(s->hdr + HDR_L4), len, fold(sum));
	if (part < 0)
		return -1;
	check = ~fold((__u32)part);
	if (s->gre)
		*(__u16 *)(s->hdr + HDR_L4 + 4) = check;
	else
		*(__u16 *)(s->hdr + HDR_L4 + 6) = check ? check : 0xffff;
	return 0;
}

/* Puts the headers in front of the packet, and sends it. */
static __always_inline int run_tunnel_send(struct __sk_buff *skb, union ctx *c, struct tunnel_scratch *s)
{
	__u32 total = s->l4 + ETH_LEN, inner = HDR_L4 + s->l4;
	__u64 sum = 0;
	__u8 *at;
	int fix;

	if (take_tags(skb, s) || bpf_skb_load_bytes(skb, 0, s->eth, ETH_LEN))
		return drop(c, DROP_ACTION);
	if (s->csum && (sum_frame(skb, s, &sum) || outer_sum(s, sum)))
		return drop(c, DROP_ACTION);

	/* The tags stand between addresses and type. */
	barrier_var(inner);
	at = s->hdr + (inner & HDR_MASK);
	__builtin_memcpy(at, s->eth, 12);
	at += 12;
#pragma unroll
	for (int i = 0; i < TAGS_MAX; i++) {
		if (i >= s->tags)
			break;
		*(__u32 *)at = *(__u32 *)&s->tag[i];
		at += 4;
		total += 4;
	}
	*(__u16 *)at = *(__u16 *)(s->eth + 12);

	total += s->ipv6 ? ETH_LEN + 40 : ETH_LEN + 20;
	fix = grow(skb, total - ETH_LEN, ETH_LEN + 4 * s->tags, s->ipv6, s->gre, s->flags);
	if (fix < 0)
		return drop(c, DROP_ACTION);
	total = (total - 1) & HDR_MASK; /* as all verifiers see it: 1 to HDR_MASK + 1 */
	barrier_var(total);
	total++;
	if (bpf_skb_store_bytes(skb, 0, s->hdr + (s->ipv6 ? HDR_L4 - ETH_LEN - 40 : HDR_L4 - ETH_LEN - 20), total, 0))
		return drop(c, DROP_ACTION);
	if (fix && fix_protocol(skb))
		return drop(c, DROP_ACTION);
	count_tx(cpu_get(), s->port, s->frame);
	c->s.out_port = s->port;
	return bpf_redirect(s->ifindex, 0);
}
