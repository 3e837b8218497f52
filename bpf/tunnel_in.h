/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that come out of native tunnels: tunnel/decap.go. What is not one of ours goes to the host as it is. */
#pragma once

#include "tunnel.h"

#define NOT_OURS TC_ACT_UNSPEC
#define IN_PULL 128 /* bytes made linear to look at the outer headers */
#define IN_MAX (UDP_LEN + GENEVE_LEN + OPTS_MAX + ETH_LEN + 4 * TAGS_IN + 2)

/* The port of a tunnel: PORT_NONE. */
static __always_inline __u32 tunnel_port(__u32 key)
{
	__u32 *port = bpf_map_lookup_elem(&tunnels, &key);

	return port ? *port : PORT_NONE;
}

/* Looks whether a packet is for a native tunnel: every packet of the device comes through here. */
static __always_inline int run_underlay(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct tunnel_scratch *s;
	__u32 l4 = ETH_LEN + 20, port, len = skb->len;
	struct ipv6_hdr *ip6;
	struct ipv4_hdr *ip;
	union ctx *c;
	__be16 type;
	__u8 proto;

	if (data + ETH_LEN + 40 + 8 > end) {
		if (len < ETH_LEN + 20 + 8)
			return NOT_OURS;
		if (len > IN_PULL)
			len = IN_PULL;
		if (bpf_skb_pull_data(skb, len))
			return NOT_OURS;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (data + ETH_LEN + 20 + 8 > end)
			return NOT_OURS;
	}
	if (skb->vlan_present)
		return NOT_OURS;
	type = *(__be16 *)(data + 12);
	ip = data + ETH_LEN;
	ip6 = data + ETH_LEN;
	if (type == bpf_htons(ETH_P_IP)) {
		proto = ip->proto;
		l4 = ETH_LEN + (ip->ver_ihl & 15) * 4;
		if (ip->frag_off & bpf_htons(0x3fff))
			return NOT_OURS;
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		if ((void *)(ip6 + 1) > end)
			return NOT_OURS;
		proto = ip6->nexthdr;
		l4 = ETH_LEN + 40;
	} else {
		return NOT_OURS;
	}
	if (proto == IPPROTO_UDP) {
		__be16 *udp = data + l4;

		if ((void *)udp + 4 > end)
			return NOT_OURS;
		port = tunnel_port(TUNNEL_UDP((__u32)bpf_ntohs(udp[1])));
	} else if (proto == IPPROTO_GRE) {
		port = PORT_NONE;
		if (type == bpf_htons(ETH_P_IPV6))
			port = tunnel_port(TUNNEL_GRE_OVER(6));
		if (port == PORT_NONE)
			port = tunnel_port(TUNNEL_GRE_OVER(4));
	} else {
		return NOT_OURS;
	}
	if (port >= max_ports)
		return NOT_OURS;

	s = tunnel_scratch_get();
	c = ctx_get();
	if (!s || !c)
		return NOT_OURS;
	s->local.ifindex = skb->ifindex;
	s->local.pad = 0;
	if (type == bpf_htons(ETH_P_IP)) {
		s->local.addr[0] = 0;
		s->local.addr[1] = mapped(ip->dst);
	} else {
		if ((void *)(ip6 + 1) > end)
			return NOT_OURS;
		s->local.addr[0] = ip6->dst[0];
		s->local.addr[1] = ip6->dst[1];
	}
	if (!bpf_map_lookup_elem(&underlays, &s->local))
		return NOT_OURS;
	c->s.tunnel = port + 1;
	c->s.outer = l4;
	c->s.in_port = port;
	bpf_tail_call(skb, &progs, PROG_TUNNEL_IN);
	return NOT_OURS;
}

/* Whether the kernel or the device has checked the outer checksum, or the packet never was on a wire. */
static __always_inline int checked(struct __sk_buff *skb)
{
	struct sk_buff *k = (void *)skb;
	__u32 summed = BPF_CORE_READ_BITFIELD_PROBED(k, ip_summed);

	return skb->gso_size || summed == CHECKSUM_PARTIAL || summed == CHECKSUM_UNNECESSARY;
}

/* Whether the bytes of the packet from off on have a right checksum; sum is what it covers besides. */
static __always_inline int sum_right(struct __sk_buff *skb, struct tunnel_scratch *s, __u32 off, __u32 len, __u64 sum)
{
	return checked(skb) || (!sum_packet(skb, s, off, len, &sum) && fold(sum) == 0xffff);
}

/* Takes the outer headers off: cut bytes, and of the Ethernet header that stays becomes the inner one. */
static __always_inline int shrink(struct __sk_buff *skb, struct tunnel_scratch *s, __u32 cut, __be16 type)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO, l3 = ADJ_ROOM_DECAP_L3_IPV4;
	__u32 len = skb->len - cut;
	int extended = 0;
	long err;

	if (type == bpf_htons(ETH_P_IPV6) && len >= ETH_LEN + 40)
		l3 = ADJ_ROOM_DECAP_L3_IPV6;
	err = bpf_skb_adjust_room(skb, -(__s32)cut, BPF_ADJ_ROOM_MAC, flags | l3);
	if (err == -EINVAL) /* before Linux 6.3 */
		err = bpf_skb_adjust_room(skb, -(__s32)cut, BPF_ADJ_ROOM_MAC, flags);
	if (err == -ENOTSUPP) {
		/* It leaves no less than an IP header. */
		if (len >= ETH_LEN + 40 || bpf_skb_change_tail(skb, cut + ETH_LEN + 40, 0))
			return -1;
		extended = 1;
		err = bpf_skb_adjust_room(skb, -(__s32)cut, BPF_ADJ_ROOM_MAC, flags);
	}
	if (err || bpf_skb_store_bytes(skb, 0, s->eth, ETH_LEN, 0))
		return -1;
	if (extended)
		bpf_skb_change_tail(skb, len, 0); /* else it has padding */
	if (type == skb->protocol || (type != bpf_htons(ETH_P_IP) && type != bpf_htons(ETH_P_IPV6)))
		return 0;
	return fix_protocol(skb);
}

/* Reads and checks the outer headers, without a change of the packet until all is right. Then it goes through the
 * datapath as one that the tunnel port has received. */
static __always_inline int run_tunnel_in(struct __sk_buff *skb, union ctx *c, struct tunnel_scratch *s)
{
	__u32 port = c->s.tunnel - 1, l4 = c->s.outer & L3_MAX, n, len, body, off, tags = 0, tos, kind, at, optlen = 0;
	struct port *p = port_get(port);
	struct cpu *cpu = cpu_get();
	struct port_counts *pc;
	__u64 id = 0, addr[4], pseudo, ttl, ports = 0, gbp = 0;
	__u32 flags = 0;
	__u8 *h = s->hdr + HDR_L4, crit;
	__be16 type;
	int ipv6;

	c->s.tunnel = 0;
	if (!p || !p->tunnel || port >= max_ports)
		return NOT_OURS;
	kind = p->tunnel & TUNNEL_KIND;
	/* The outer IP header, of 20 to 60 bytes, once more: from the beginning, so that it ends wherever it likes. */
	if (bpf_skb_load_bytes(skb, 12, s->hdr, 2 + 40))
		return NOT_OURS;
	ipv6 = *(__be16 *)s->hdr == bpf_htons(ETH_P_IPV6);
	if (ipv6) {
		struct ipv6_hdr *ip = (void *)s->hdr + 2;

		if (s->hdr[2] >> 4 != 6)
			return NOT_OURS;
		body = bpf_ntohs(ip->plen);
		tos = bpf_ntohl(ip->ver_tc_label) >> 20 & 0xff;
		ttl = ip->hlim;
		addr[0] = ip->src[0];
		addr[1] = ip->src[1];
		addr[2] = ip->dst[0];
		addr[3] = ip->dst[1];
		pseudo = sum_words(ip->src, 32);
	} else {
		struct ipv4_hdr *ip = (void *)s->hdr + 2;
		__u32 ihl = (ip->ver_ihl & 15) * 4;
		__u64 sum = 0;

		if (ip->ver_ihl >> 4 != 4 || ihl < 20 || sum_packet(skb, s, ETH_LEN, ihl, &sum) || fold(sum) != 0xffff)
			return NOT_OURS;
		body = bpf_ntohs(ip->tot_len);
		if (!skb->gso_size && body < ihl)
			return NOT_OURS;
		body -= ihl;
		tos = ip->tos;
		ttl = ip->ttl;
		addr[0] = (__u64)ip->dst << 32 | ip->src;
		addr[1] = addr[2] = addr[3] = 0;
		pseudo = sum_words(&ip->src, 8);
	}
	if (skb->len < l4 + 4)
		return NOT_OURS;
	len = skb->len - l4; /* of which body are the packet, and the rest padding; of GSO packets the headers do not tell */
	if (skb->gso_size)
		body = len;
	if (body > len)
		return NOT_OURS;
	n = body;
	if (n > IN_MAX)
		n = IN_MAX;
	if (n < 4)
		return NOT_OURS;
	n = ((n - 1) & 511) + 1;
	barrier_var(n);
	if (n > IN_MAX || bpf_skb_load_bytes(skb, l4, h, n))
		return NOT_OURS;

	if (kind == TUNNEL_GRE) {
		__u32 bits = bpf_ntohs(*(__be16 *)h);

		if (bits & ~(GRE_CSUM | GRE_KEY | GRE_SEQ) || *(__be16 *)(h + 2) != bpf_htons(ETH_P_TEB))
			return NOT_OURS;
		off = 4 + (bits & GRE_CSUM ? 4 : 0) + (bits & GRE_KEY ? 4 : 0) + (bits & GRE_SEQ ? 4 : 0);
		if (bits & GRE_KEY) {
			id = bpf_cpu_to_be64(bpf_ntohl(*(__be32 *)(bits & GRE_CSUM ? h + 8 : h + 4)));
			flags = TUN_KEY;
		}
		if (bits & GRE_CSUM) {
			/* What devices check is not this one. */
			if (!skb->gso_size && !sum_right(skb, s, l4, body, 0))
				return NOT_OURS;
			flags |= TUN_CSUM;
		}
	} else {
		__u32 ulen = bpf_ntohs(*(__be16 *)(h + 4));

		if (skb->gso_size)
			ulen = body;
		if (body < UDP_LEN + VXLAN_LEN || ulen < UDP_LEN + VXLAN_LEN || ulen > body)
			return NOT_OURS;
		body = ulen;
		flags = TUN_KEY;
		if (*(__u16 *)(h + 6)) {
			if (!sum_right(skb, s, l4, body, pseudo + bpf_htons(IPPROTO_UDP) + bpf_htons(ulen)))
				return NOT_OURS;
			flags |= TUN_CSUM;
		}
		ports = *(__u32 *)h;
		id = bpf_cpu_to_be64(bpf_ntohl(*(__be32 *)(h + 12)) >> 8);
		if (kind == TUNNEL_VXLAN) {
			__u8 known = p->tunnel & TUNNEL_GBP ? VXLAN_VNI | VXLAN_GBP : VXLAN_VNI;

			if (!(h[8] & VXLAN_VNI) || h[8] & ~known || h[15])
				return NOT_OURS;
			if (h[8] & VXLAN_GBP) {
				if (h[9] & ~GBP_FLAGS)
					return NOT_OURS;
				gbp = *(__be16 *)(h + 10) | (__u64)h[9] << 16;
			} else if (h[9] | h[10] | h[11]) {
				return NOT_OURS;
			}
			off = UDP_LEN + VXLAN_LEN;
		} else {
			optlen = (h[8] & 0x3f) * 4;
			if (h[8] >> 6 || *(__be16 *)(h + 10) != bpf_htons(ETH_P_TEB) || body < UDP_LEN + GENEVE_LEN + optlen)
				return NOT_OURS;
			if (optlen && !options_ok(s, HDR_L4 + UDP_LEN + GENEVE_LEN, optlen, &crit))
				return NOT_OURS;
			if (h[9] & GENEVE_OAM)
				flags |= TUN_OAM;
			off = UDP_LEN + GENEVE_LEN + optlen;
		}
	}
	if (body < off + ETH_LEN)
		return NOT_OURS;

	/* The inner Ethernet header, and tags that go into the skb. */
	barrier_var(off);
	at = (HDR_L4 + off) & HDR_MASK;
	__builtin_memcpy(s->eth, s->hdr + at, 12);
	type = *(__be16 *)(s->hdr + at + 12);
	s->tags = 0;
	if (is_vlan(type) && body >= off + ETH_LEN + 4) {
		s->tag[0] = *(struct tag *)(s->hdr + at + 12);
		type = *(__be16 *)(s->hdr + at + 16);
		tags = 1;
		if (is_vlan(type) && body >= off + ETH_LEN + 8) {
			s->tag[1] = *(struct tag *)(s->hdr + at + 16);
			type = *(__be16 *)(s->hdr + at + 20);
			tags = 2;
		}
	}
	*(__be16 *)(s->eth + 12) = type;

	/* From here on it is ours. */
	pc = port_counts_get(cpu, port);
	pc->rx_packets++;
	pc->rx_bytes += body - off;
	pair(in_port, sender, port, 0);
	start(skb, c, port, 0, 0);
	c->w[KW_TUN_ID] = id;
	c->w[KW_TUN_SRC] = ipv6 ? 0 : addr[0];
#pragma unroll
	for (int i = 0; i < 4; i++)
		c->w[KW_TUN_IPV6_SRC + i] = ipv6 ? addr[i] : 0;
	c->w[KW_TUN_FLAGS] = bpf_htons(flags) | (__u64)tos << 16 | ttl << 24 | ports << 32;
	c->w[KW_TUN_GBP_ID] = gbp | (__u64)optlen << 24;
#pragma unroll
	for (int i = 0; i < FLOW_KEY_WORDS - KW_TUN_OPTS; i++)
		c->w[KW_TUN_OPTS + i] = 0;
	c->s.meta |= META_TUNNEL;
	if (optlen) {
		__u32 left = optlen;

		for (int i = 0; i < OPTS_STEPS; i++) {
			if (i * 4 >= left)
				break;
			((__u32 *)&c->w[KW_TUN_OPTS])[i] = *(__u32 *)(h + UDP_LEN + GENEVE_LEN + 4 * i);
		}
	}
	if (len > body && bpf_skb_change_tail(skb, l4 + body, 0))
		return drop(c, DROP_ACTION);
	if (shrink(skb, s, l4 + off + 4 * tags, type))
		return drop(c, DROP_ACTION);
	if (tags > 1 && bpf_skb_vlan_push(skb, s->tag[1].tpid, bpf_ntohs(s->tag[1].tci)))
		return drop(c, DROP_ACTION);
	if (tags > 0 && bpf_skb_vlan_push(skb, s->tag[0].tpid, bpf_ntohs(s->tag[0].tci)))
		return drop(c, DROP_ACTION);
	if ((tos & ECN_MASK) == ECN_CE || (tos & ECN_MASK) == ECN_ECT1 || gso_type(skb) & SKB_GSO_UDP_L4)
		return go(skb, c, PROG_TUNNEL_ECN);
	if (parse_plain(skb, c, frame_len(skb)))
		return go(skb, c, PROG_LOOKUP);
	return go(skb, c, PROG_AGAIN);
}

/* Goes on with a packet whose key is right. UDP that is segmented later is to the kernel still a tunnel's, and so no host's: the agent
 * makes a new packet of it. */
static __always_inline int arrived(struct __sk_buff *skb, union ctx *c)
{
	if (gso_type(skb) & SKB_GSO_UDP_L4)
		return miss(skb, c, cpu_get());
	return go(skb, c, PROG_LOOKUP);
}

/* Brings the ECN field of the outer header into a parsed packet (RFC 6040 section 4.2). */
static __always_inline int run_tunnel_ecn(struct __sk_buff *skb, union ctx *c)
{
	__u32 l3 = c->s.l3 & L3_MAX, outer = c->key.tun_tos & ECN_MASK, inner, to;
	__be16 type = c->key.eth_type, *head = header_at(skb, l3, 20), old;

	if (!l3 || !head || (type != bpf_htons(ETH_P_IP) && type != bpf_htons(ETH_P_IPV6)))
		return arrived(skb, c);
	old = *head;
	inner = type == bpf_htons(ETH_P_IP) ? bpf_ntohs(old) & ECN_MASK : bpf_ntohs(old) >> 4 & ECN_MASK;
	to = inner;
	if (outer == ECN_CE) {
		if (!inner)
			return drop(c, DROP_TUNNEL_ECN);
		to = ECN_CE;
	} else if (inner == ECN_ECT0) {
		to = ECN_ECT1;
	}
	if (to == inner)
		return arrived(skb, c);
	if (type == bpf_htons(ETH_P_IP)) {
		struct ipv4_hdr *ip = (void *)head;

		*head = (old & ~bpf_htons(ECN_MASK)) | bpf_htons(to);
		ip->check = csum_replace4(ip->check, old, *head);
		c->key.nw_tos = ip->tos;
	} else {
		__be16 new = (old & ~bpf_htons(ECN_MASK << 4)) | bpf_htons(to << 4);

		if (bpf_skb_store_bytes(skb, l3, &new, sizeof(new), BPF_F_RECOMPUTE_CSUM))
			return drop(c, DROP_ACTION);
		return go(skb, c, PROG_AGAIN);
	}
	return arrived(skb, c);
}
