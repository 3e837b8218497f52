/* SPDX-License-Identifier: Apache-2.0 */
/* From the packet to the key, as OVS's flow extraction does it: a header that is cut off or
 * malformed ends the parsing, and leaves zeroes for what it would have given. */
#pragma once

#include "ctx.h"

#define IPV6_EXT_MAX 8   /* extension headers that are followed */
#define ND_OPT_MAX 12    /* options of a neighbour discovery message */
#define VLAN_MAX 2
#define POS_MAX 0x7fff   /* above all that these limits allow */
#define MPLS_MAX 3
#define MPLS_LEN 4
#define PULL_MAX 2048 /* bytes of headers that are made linear */

#define VLAN_PRESENT 0x1000
#define ETH_TYPE_MIN 0x600
#define ETH_TYPE_NONE 0x5ff /* the eth_type of frames that have none */
#define FRAG_ANY 1
#define FRAG_LATER 2

enum parse_result {
	PARSE_OK,
	PARSE_PULL,  /* the headers are longer than the linear part of the packet */
	PARSE_LIMIT, /* too many headers */
};

struct vlan_tag {
	__be16 tci;
	__be16 proto; /* of what follows */
};

struct llc_snap {
	__u8 dsap, ssap, cntl, org[3];
	__be16 type;
};

struct arp_eth {
	__be16 hrd, pro;
	__u8 hln, pln;
	__be16 op;
	__u8 sha[6], spa[4], tha[6], tpa[4];
};

struct ipv4_hdr {
	__u8 ver_ihl, tos;
	__be16 tot_len, id, frag_off;
	__u8 ttl, proto;
	__be16 check;
	__be32 src, dst;
};

struct ipv6_hdr {
	__be32 ver_tc_label;
	__be16 plen;
	__u8 nexthdr, hlim;
	__be64 src[2], dst[2];
};

struct tcp_hdr {
	__be16 src, dst;
	__be32 seq, ack;
	__be16 ctl, window, check, urg;
};

struct icmp6_nd {
	__u8 type, code;
	__be16 check;
	__be32 reserved;
	__be64 target[2];
};

struct nd_opt {
	__u8 type, len;
	__u8 mac[6];
};

/* Where parsing is: pos from the start of the frame, left is what the packet has from there
 * by its own lengths; beyond end nothing can be read here. */
struct cursor {
	void *data, *end;
	__u64 pos, left;
};

/* The header at the cursor, n bytes of which must be readable. Packets whose headers are
 * not linear are pulled and parsed again. */
#define HEADER(cur, n)                                          \
	({                                                      \
		void *h_ = (cur)->data + (cur)->pos;            \
		if (h_ + (n) > (cur)->end)                      \
			return PARSE_PULL;                      \
		h_;                                             \
	})

static __always_inline void advance(struct cursor *cur, __u32 n)
{
	cur->pos += n;
	cur->left -= n;
	/* Else the compiler computes one from the other, beyond what old verifiers follow. */
	barrier_var(cur->pos);
}

/* Takes the cursor through memory, so that the verifier forgets which way it came: else each
 * turn of a loop multiplies the states of the ones before. */
static __always_inline void forget(struct cursor *cur, union ctx *c)
{
	*(volatile __u32 *)&c->s.pos = cur->pos;
	*(volatile __u32 *)&c->s.left = cur->left;
	cur->pos = *(volatile __u32 *)&c->s.pos & POS_MAX;
	cur->left = *(volatile __u32 *)&c->s.left;
}

static __always_inline int is_vlan(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

static __always_inline int mac_is_zero(const __u8 *m)
{
	return !(m[0] | m[1] | m[2] | m[3] | m[4] | m[5]);
}

static __always_inline int parse_nd(struct cursor *cur, union ctx *c)
{
	struct flow_key *k = &c->key;
	struct icmp6_nd *nd;
	int invalid = 0;

	nd = HEADER(cur, 8);
	k->nd_reserved = nd->reserved;
	advance(cur, 8);
	if (cur->left < 16)
		return PARSE_OK;
	nd = HEADER(cur, 16) - 8;
	k->nd_target[0] = nd->target[0];
	k->nd_target[1] = nd->target[1];
	advance(cur, 16);

	for (int i = 0; i < ND_OPT_MAX; i++) {
		struct nd_opt *opt;
		__u32 len;

		forget(cur, c);
		if (cur->left < 8)
			return PARSE_OK;
		opt = HEADER(cur, 8);
		len = opt->len * 8;
		if (!len || len > cur->left)
			return PARSE_OK;
		if (len == 8 && (opt->type == 1 || opt->type == 2)) {
			__u8 *mac = opt->type == 1 ? k->arp_sha : k->arp_tha;

			/* The same option twice makes all of them void. */
			if (!mac_is_zero(mac)) {
				invalid = 1;
				break;
			}
			__builtin_memcpy(mac, opt->mac, 6);
			if (!k->nd_options_type)
				k->nd_options_type = opt->type;
		}
		advance(cur, len);
	}
	if (invalid) {
		k->nd_target[0] = k->nd_target[1] = 0;
		__builtin_memset(k->arp_sha, 0, 6);
		__builtin_memset(k->arp_tha, 0, 6);
		return PARSE_OK;
	}
	return cur->left < 8 ? PARSE_OK : PARSE_LIMIT;
}

/* The words of the key are put together in registers and written whole: read back a moment later, a word that
 * was written in pieces makes the CPU wait. All is little-endian here. */
static __always_inline int parse_l4(struct cursor *cur, union ctx *c, __u8 proto)
{
	struct flow_key *k = &c->key;

	if (proto == IPPROTO_TCP) {
		struct tcp_hdr *tcp;
		__u32 len;

		if (cur->left < sizeof(*tcp))
			return PARSE_OK;
		tcp = HEADER(cur, sizeof(*tcp));
		len = (bpf_ntohs(tcp->ctl) >> 12) * 4;
		if (len < sizeof(*tcp) || cur->left < len)
			return PARSE_OK;
		store(&c->w[KW_TP_SRC], *(__u32 *)tcp | (__u64)(tcp->ctl & bpf_htons(0x0fff)) << 32);
	} else if (proto == IPPROTO_UDP || proto == IPPROTO_SCTP) {
		__u32 *ports;

		if (cur->left < (proto == IPPROTO_UDP ? 8 : 12))
			return PARSE_OK;
		ports = HEADER(cur, 8);
		store(&c->w[KW_TP_SRC], *ports);
	} else if (proto == IPPROTO_ICMP || proto == IPPROTO_IGMP || proto == IPPROTO_ICMPV6) {
		__u8 *h;

		if (cur->left < 8)
			return PARSE_OK;
		h = HEADER(cur, 8);
		store(&c->w[KW_TP_SRC], (__u32)h[0] << 8 | (__u32)h[1] << 24);
		if (proto == IPPROTO_ICMPV6 && k->eth_type == bpf_htons(ETH_P_IPV6) && !h[1] &&
		    (h[0] == 135 || h[0] == 136)) {
			c->s.l4 = cur->pos;
			c->s.nw_proto = proto;
			return parse_nd(cur, c);
		}
	} else {
		return PARSE_OK;
	}
	c->s.l4 = cur->pos;
	c->s.nw_proto = proto;
	return PARSE_OK;
}

static __always_inline void store_nw(union ctx *c, __u64 proto, __u64 tos, __u64 ttl, __u64 frag, __u64 label)
{
	store(&c->w[KW_NW_PROTO], proto | tos << 8 | ttl << 16 | frag << 24 | label << 32);
}

static __always_inline int parse_ipv4(struct __sk_buff *skb, struct cursor *cur, union ctx *c)
{
	__u32 ihl, tot_len, frag = 0;
	struct ipv4_hdr *ip;
	__u8 proto;

	if (cur->left < sizeof(*ip))
		return PARSE_OK;
	ip = HEADER(cur, sizeof(*ip));
	ihl = (ip->ver_ihl & 15) * 4;
	tot_len = bpf_ntohs(ip->tot_len);
	/* Packets above 64 KB (BIG TCP) have no length of their own. */
	if (!tot_len && skb->gso_size)
		tot_len = cur->left;
	if (ihl < sizeof(*ip) || cur->left < ihl || tot_len > cur->left || ihl > tot_len)
		return PARSE_OK;
	cur->left = tot_len; /* what follows is padding */

	c->s.l3 = cur->pos;
	store(&c->w[KW_IPV4_SRC], *(__u64 *)&ip->src);
	if (ip->frag_off & bpf_htons(0x3fff)) {
		frag = FRAG_ANY;
		if (ip->frag_off & bpf_htons(0x1fff))
			frag |= FRAG_LATER;
	}
	proto = ip->proto;
	store_nw(c, proto, ip->tos, ip->ttl, frag, 0);
	advance(cur, ihl);
	return frag & FRAG_LATER ? PARSE_OK : parse_l4(cur, c, proto);
}

static __always_inline int is_ipv6_ext(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_AH || proto == IPPROTO_FRAGMENT;
}

enum ext_result { EXT_DONE, EXT_CUT, EXT_PULL, EXT_LIMIT };

/* Follows extension headers from *proto on; c->s.frag becomes nw_frag. As in OVS the
 * protocol of a later fragment is 44. */
static __always_inline int parse_ipv6_ext(struct cursor *cur, union ctx *c, __u8 *proto)
{
	volatile __u32 *next = &c->s.nw_proto;

	c->s.frag = 0;
	*next = *proto;
	for (int i = 0; i < IPV6_EXT_MAX; i++) {
		__u8 *ext, p = *next;
		__u32 len;

		forget(cur, c);
		*proto = p;
		if (!is_ipv6_ext(p)) {
			c->s.nw_proto = 0;
			return EXT_DONE;
		}
		if (cur->left < 8)
			return EXT_CUT;
		ext = cur->data + cur->pos;
		if ((void *)ext + 8 > cur->end)
			return EXT_PULL;
		if (p == IPPROTO_FRAGMENT) {
			__be16 off = *(__be16 *)(ext + 2);

			len = 8;
			if (off) {
				c->s.frag = FRAG_ANY;
				if (off & bpf_htons(0xfff8)) {
					c->s.frag = FRAG_ANY | FRAG_LATER;
					c->s.nw_proto = 0;
					return EXT_DONE;
				}
			}
		} else if (p == IPPROTO_AH) {
			len = (ext[1] + 2) * 4;
		} else {
			if (p == IPPROTO_ROUTING && ext[3])
				c->s.routed = 1;
			len = (ext[1] + 1) * 8;
		}
		*next = ext[0];
		if (len > cur->left)
			return EXT_CUT;
		advance(cur, len);
	}
	*proto = *next;
	c->s.nw_proto = 0;
	return is_ipv6_ext(*proto) ? EXT_LIMIT : EXT_DONE;
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct cursor *cur, union ctx *c)
{
	struct flow_key *k = &c->key;
	struct ipv6_hdr *ip;
	__u32 plen, frag = 0;
	__be32 first;
	__u8 proto, hlim;

	if (cur->left < sizeof(*ip))
		return PARSE_OK;
	ip = HEADER(cur, sizeof(*ip));
	plen = bpf_ntohs(ip->plen);
	if (!plen && skb->gso_size)
		plen = cur->left - sizeof(*ip);
	if (plen + sizeof(*ip) > cur->left)
		return PARSE_OK;

	c->s.dirty = 1;
	c->s.l3 = cur->pos;
	k->ipv6_src[0] = ip->src[0];
	k->ipv6_src[1] = ip->src[1];
	k->ipv6_dst[0] = ip->dst[0];
	k->ipv6_dst[1] = ip->dst[1];
	first = ip->ver_tc_label;
	hlim = ip->hlim;
	proto = ip->nexthdr;
	advance(cur, sizeof(*ip));
	cur->left = plen;

	if (is_ipv6_ext(proto)) {
		int r = parse_ipv6_ext(cur, c, &proto);

		if (r != EXT_DONE)
			return r == EXT_LIMIT ? PARSE_LIMIT : r == EXT_PULL ? PARSE_PULL : PARSE_OK;
		frag = c->s.frag;
	}
	store_nw(c, proto, bpf_ntohl(first) >> 20 & 0xff, hlim, frag, first & bpf_htonl(0xfffff));
	return frag & FRAG_LATER ? PARSE_OK : parse_l4(cur, c, proto);
}

static __always_inline int parse_arp(struct cursor *cur, union ctx *c)
{
	struct flow_key *k = &c->key;
	struct arp_eth *arp;

	if (cur->left < sizeof(*arp))
		return PARSE_OK;
	arp = HEADER(cur, sizeof(*arp));
	if (arp->hrd != bpf_htons(1) || arp->pro != bpf_htons(ETH_P_IP) || arp->hln != 6 || arp->pln != 4)
		return PARSE_OK;
	c->s.dirty = 1;
	c->s.l3 = cur->pos;
	__builtin_memcpy(&k->ipv4_src, arp->spa, 4);
	__builtin_memcpy(&k->ipv4_dst, arp->tpa, 4);
	__builtin_memcpy(k->arp_sha, arp->sha, 6);
	__builtin_memcpy(k->arp_tha, arp->tha, 6);
	if (bpf_ntohs(arp->op) <= 0xff)
		k->nw_proto = bpf_ntohs(arp->op);
	return PARSE_OK;
}

static __always_inline int parse_mpls(struct cursor *cur, union ctx *c)
{
	struct flow_key *k = &c->key;
	__be32 *lse = &k->mpls_lse0;

	c->s.dirty = 1;
	for (int i = 0; i < MPLS_MAX; i++) {
		__be32 *h;

		if (cur->left < 4)
			return PARSE_OK;
		h = HEADER(cur, 4);
		lse[i] = *h;
		if (*h & bpf_htonl(0x100))
			return PARSE_OK;
		advance(cur, 4);
	}
	return PARSE_OK;
}

/* Metadata that actions can change. */
static __always_inline void parse_metadata(struct __sk_buff *skb, union ctx *c)
{
	store(&c->w[KW_SKB_PRIORITY], bpf_htonl(skb->priority) | (__u64)bpf_htonl(skb->mark) << 32);
}

/* Metadata words of a packet that was not here before. */
static __always_inline void start(struct __sk_buff *skb, union ctx *c, __u32 in_port, __u32 recirc_id,
				  __u32 dp_hash)
{
	store(&c->w[KW_IN_PORT], bpf_htonl(in_port) | (__u64)bpf_htonl(recirc_id) << 32);
	parse_metadata(skb, c);
	if (c->s.meta | dp_hash) {
		if (c->s.meta & META_CT)
			ct_clear(c);
		if (c->s.meta & META_TUNNEL)
			tunnel_clear(c);
		c->key.dp_hash = bpf_htonl(dp_hash);
		c->s.meta = dp_hash ? META_HASH : 0;
	}
	c->s.calls = 0;
	pair(recircs, sent, 0, 0);
	pair(injected, trunc, 0, 0);
	pair(out_port, reason, PORT_NONE, DROP_MAX);
}

/* Makes the packet's headers linear; an error of the helper. */
static __always_inline long pull(struct __sk_buff *skb)
{
	__u32 len = skb->len;

	if (len > PULL_MAX)
		len = PULL_MAX;
	return (__u64)skb->data + len > (__u64)skb->data_end ? bpf_skb_pull_data(skb, len) : 0;
}

#define MAC_BITS 48
#define MAC_MASK ((1ull << MAC_BITS) - 1)

/* Writes all words of the key but the metadata. */
static __always_inline int parse(struct __sk_buff *skb, union ctx *c)
{
	struct cursor cur = {
		.data = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
		.left = skb->len,
	};
	__u64 dst, src, type, vlan = 0, tci = 0;
	struct vlan_tag *tag;
	__u64 *eth;

	store(&c->w[KW_IPV4_SRC], 0);
	store(&c->w[KW_NW_PROTO], 0);
	store(&c->w[KW_TP_SRC], 0);
	if (c->s.dirty) {
#pragma unroll
		for (int i = KW_IPV6_SRC; i < KW_ND_RESERVED; i++)
			store(&c->w[i], 0);
		c->key.nd_reserved = 0;
		c->w[KW_MPLS_LSE0] = c->w[KW_MPLS_LSE2] = 0;
		c->s.dirty = 0;
	}
	pair(l3, l4, 0, 0);
	pair(nw_proto, routed, 0, 0);
	c->s.changed = 0;

	eth = HEADER(&cur, 14);
	dst = eth[0] & MAC_MASK;
	src = *(__u64 *)((void *)eth + 6);
	type = src >> MAC_BITS;
	src &= MAC_MASK;
	advance(&cur, 14);

	/* The outermost tag may be in the skb's metadata. */
	if (skb->vlan_present) {
		vlan = (__u16)skb->vlan_proto;
		tci = bpf_htons(skb->vlan_tci | VLAN_PRESENT);
	}
	if (is_vlan(type)) {
		for (int i = 0; i < VLAN_MAX; i++) {
			/* A tag must be followed by a type. */
			if (vlan >> 16 || !is_vlan(type) || cur.left < 4)
				break;
			tag = HEADER(&cur, 4);
			if (!tci) {
				vlan = type;
				tci = tag->tci | bpf_htons(VLAN_PRESENT);
			} else {
				vlan |= (__u64)(tag->tci | bpf_htons(VLAN_PRESENT)) << 16 | type << 32;
			}
			type = tag->proto;
			advance(&cur, 4);
		}
	}
	store(&c->w[KW_ETH_SRC], src | tci << MAC_BITS);
	store(&c->w[KW_VLAN_TPID], vlan);
	if (bpf_ntohs(type) < ETH_TYPE_MIN) {
		struct llc_snap *llc;

		type = bpf_htons(ETH_TYPE_NONE);
		if (cur.left >= sizeof(*llc)) {
			llc = HEADER(&cur, sizeof(*llc));
			if (llc->dsap == 0xaa && llc->ssap == 0xaa && llc->cntl == 3 && !llc->org[0] &&
			    !llc->org[1] && !llc->org[2]) {
				if (bpf_ntohs(llc->type) >= ETH_TYPE_MIN)
					type = llc->type;
				advance(&cur, sizeof(*llc));
			}
		}
	}
	store(&c->w[KW_ETH_DST], dst | type << MAC_BITS);

	if (type == bpf_htons(ETH_P_IP))
		return parse_ipv4(skb, &cur, c);
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(skb, &cur, c);
	if (type == bpf_htons(ETH_P_ARP) || type == bpf_htons(ETH_P_RARP))
		return parse_arp(&cur, c);
	if (type == bpf_htons(ETH_P_MPLS_UC) || type == bpf_htons(ETH_P_MPLS_MC))
		return parse_mpls(&cur, c);
	return PARSE_OK;
}

#define PLAIN_L3 14
#define PLAIN_L4 (PLAIN_L3 + 20)

/* As parse(), of what most packets are: untagged IPv4 without options, whole, UDP or TCP. Straight code of a third of
 * the instructions. frame is the length with a tag in the metadata. Returns whether the packet is such a one; if not, nothing has been written. */
static __always_inline int parse_plain(struct __sk_buff *skb, union ctx *c, __u32 frame)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 tot_len, len = skb->len;
	__u64 src, ports;
	struct ipv4_hdr *ip = data + PLAIN_L3;
	struct tcp_hdr *tcp = data + PLAIN_L4;
	__u64 proto;

	if ((void *)tcp + 8 > end || frame != len || c->s.dirty)
		return 0;
	src = *(__u64 *)(data + 6);
	if (src >> MAC_BITS != bpf_htons(ETH_P_IP) || (ip->ver_ihl & 15) != 5 || ip->frag_off & bpf_htons(0x3fff))
		return 0;
	/* At least a UDP header in it, and not longer than the packet. */
	tot_len = bpf_ntohs(ip->tot_len);
	if (tot_len - 28 > len - (PLAIN_L3 + 28))
		return 0;
	proto = ip->proto;
	ports = *(__u32 *)tcp;
	if (proto == IPPROTO_TCP) {
		__u32 hdr;

		if ((void *)(tcp + 1) > end)
			return 0;
		hdr = (bpf_ntohs(tcp->ctl) >> 12) * 4;
		if (hdr < sizeof(*tcp) || tot_len - 20 < hdr)
			return 0;
		ports |= (__u64)(tcp->ctl & bpf_htons(0x0fff)) << 32;
	} else if (proto != IPPROTO_UDP) {
		return 0;
	}
	store(&c->w[KW_ETH_DST], (*(__u64 *)data & MAC_MASK) | (__u64)bpf_htons(ETH_P_IP) << MAC_BITS);
	store(&c->w[KW_ETH_SRC], src & MAC_MASK);
	store(&c->w[KW_VLAN_TPID], 0);
	store(&c->w[KW_IPV4_SRC], *(__u64 *)&ip->src);
	store_nw(c, proto, ip->tos, ip->ttl, 0, 0);
	store(&c->w[KW_TP_SRC], ports);
	pair(l3, l4, PLAIN_L3, PLAIN_L4);
	pair(nw_proto, routed, proto, 0);
	c->s.changed = 0;
	return 1;
}
