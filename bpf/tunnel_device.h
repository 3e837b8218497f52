/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels by devices of the kernel in metadata mode: each packet carries its addresses, key and options beside it. */
#pragma once

#include "tunnel.h"

/* Younger than the headers that we compile with: Linux 6.3. */
#define TUNINFO_NO_KEY (1ull << 4)

/* Bits of bpf_tunnel_key.tunnel_flags (TUNNEL_* of linux/if_tunnel.h). */
#define INFO_CSUM 0x01
#define INFO_KEY 0x04
#define INFO_OAM 0x0200

/* What the device has found in front of a packet, as the key has it. Returns 0 when there is something. */
static __always_inline int get_tunnel(struct __sk_buff *skb, union ctx *c, __u32 tunnel)
{
	struct bpf_tunnel_key t = {};
	__u32 flags = 0, gbp = 0;
	__u64 tos, ttl;
	long len = 0;

	if (!bpf_skb_get_tunnel_key(skb, &t, sizeof(t), BPF_F_TUNINFO_FLAGS)) {
		c->w[KW_TUN_SRC] = bpf_htonl(t.remote_ipv4) | (__u64)bpf_htonl(t.local_ipv4) << 32;
	} else if (!bpf_skb_get_tunnel_key(skb, &t, sizeof(t), BPF_F_TUNINFO_FLAGS | BPF_F_TUNINFO_IPV6)) {
		c->w[KW_TUN_SRC] = 0;
#pragma unroll
		for (int i = 0; i < 2; i++) {
			c->w[KW_TUN_IPV6_SRC + i] = t.remote_ipv6[2 * i] | (__u64)t.remote_ipv6[2 * i + 1] << 32;
			c->w[KW_TUN_IPV6_DST + i] = t.local_ipv6[2 * i] | (__u64)t.local_ipv6[2 * i + 1] << 32;
		}
	} else {
		return -1;
	}
	c->s.meta |= META_TUNNEL;
	c->w[KW_TUN_ID] = bpf_cpu_to_be64(t.tunnel_id);
	if (t.tunnel_flags & bpf_htons(INFO_KEY))
		flags |= TUN_KEY;
	if (t.tunnel_flags & bpf_htons(INFO_CSUM))
		flags |= TUN_CSUM;
	if (t.tunnel_flags & bpf_htons(INFO_OAM))
		flags |= TUN_OAM;
	tos = t.tunnel_tos;
	ttl = t.tunnel_ttl;
	c->w[KW_TUN_FLAGS] = bpf_htons(flags) | tos << 16 | ttl << 24;
	if ((tunnel & TUNNEL_KIND) == TUNNEL_GENEVE) {
		len = bpf_skb_get_tunnel_opt(skb, &c->w[KW_TUN_OPTS], OPTS_MAX);
		if (len < 0)
			len = 0; /* there are none */
	} else if (tunnel & TUNNEL_GBP) {
		if (bpf_skb_get_tunnel_opt(skb, &gbp, sizeof(gbp)) != sizeof(gbp))
			gbp = 0;
	}
	/* Of the device: id, don't-learn and policy-applied flags, in this order. */
	c->w[KW_TUN_GBP_ID] = bpf_htons(gbp) | (gbp & GBP_FLAGS << 16) | (__u64)len << 24;
	return 0;
}

/* Of a tunnel's device: what it received, the outer headers off. */
static __always_inline int run_tunnel_device(struct __sk_buff *skb, __u32 port)
{
	__u32 len = frame_len(skb);
	struct cpu *cpu = cpu_get();
	struct port_counts *pc;
	union ctx *c;

	if (port >= max_ports)
		return TC_ACT_UNSPEC; /* PORT_NONE */
	c = ctx_of(cpu);
	if (!c)
		return drop_port(port, DROP_NESTING);
	pc = port_counts_get(cpu, port);
	pc->rx_packets++;
	pc->rx_bytes += len;
	pair(in_port, sender, port, 0);
	start(skb, c, port, 0, 0);
	if (get_tunnel(skb, c, AT(ports, port & port_mask)->tunnel))
		return drop(c, DROP_TUNNEL);
	if (parse_plain(skb, c, len))
		return go(skb, c, PROG_LOOKUP);
	return go(skb, c, PROG_AGAIN);
}

/* The way of the packet, as the agent knows it, to learn how long outer packets can be. */
static __always_inline struct next_hop *way(struct __sk_buff *skb, const struct flow_key *k)
{
	struct next_hop_key to = {};

	to.dst[0] = k->tun_dst ? 0 : k->tun_ipv6_dst[0];
	to.dst[1] = k->tun_dst ? mapped(k->tun_dst) : k->tun_ipv6_dst[1];
	to.mark = skb->mark;
	return bpf_map_lookup_elem(&next_hops, &to);
}

/* What a device puts in front of a frame. */
static __always_inline __u32 overhead(const struct flow_key *k, __u32 kind)
{
	__u32 n = k->tun_dst ? 20 : 40;

	switch (kind) {
	case TUNNEL_VXLAN:
		return n + UDP_LEN + VXLAN_LEN;
	case TUNNEL_GENEVE:
		return n + UDP_LEN + GENEVE_LEN + k->tun_opts_len;
	}
	return n + 4 + (k->tun_flags & bpf_htons(TUN_KEY) ? 4 : 0) + (k->tun_flags & bpf_htons(TUN_CSUM) ? 4 : 0);
}

/* Gives the packet to the device of a tunnel port, with what it is to put in front. */
static __always_inline int run_tunnel_device_out(struct __sk_buff *skb, union ctx *c)
{
	__u32 n = c->s.tunnel - 1, frame = frame_len(skb), len, gbp, over;
	struct bpf_tunnel_key t = {};
	struct flow_key *k = &c->key;
	struct port *p = port_get(n);
	struct next_hop *hop;
	__u64 flags = 0;

	c->s.tunnel = 0;
	if (!p || !(p->tunnel & TUNNEL_DEVICE))
		return drop(c, DROP_OUTPUT_PORT);
	/* The kernel has no way to say these. */
	if (k->tun_flags & bpf_htons(TUN_OAM))
		return drop(c, DROP_TUNNEL);
	if (k->tun_dst) {
		t.remote_ipv4 = bpf_ntohl(k->tun_dst);
		t.local_ipv4 = bpf_ntohl(k->tun_src);
	} else if (k->tun_ipv6_dst[0] | k->tun_ipv6_dst[1]) {
		flags = BPF_F_TUNINFO_IPV6;
#pragma unroll
		for (int i = 0; i < 2; i++) {
			t.remote_ipv6[2 * i] = k->tun_ipv6_dst[i];
			t.remote_ipv6[2 * i + 1] = k->tun_ipv6_dst[i] >> 32;
			t.local_ipv6[2 * i] = k->tun_ipv6_src[i];
			t.local_ipv6[2 * i + 1] = k->tun_ipv6_src[i] >> 32;
		}
	} else {
		return drop(c, DROP_TUNNEL);
	}
	/* The kernel would tell the host itself of a packet that is too long, not its sender. */
	hop = way(skb, k);
	over = overhead(k, p->tunnel & TUNNEL_KIND);
	if (hop && hop->mtu && frame + over > hop->mtu) {
		/* Of GSO packets, segments are what counts; where they begin must be known. */
		if (c->s.changed) {
			c->s.tunnel = n + 1;
			return go(skb, c, PROG_TUNNEL_PREPARE);
		}
		if (longest(skb, c) + over > hop->mtu)
			return too_big(skb, c, n, hop, over);
	}

	t.tunnel_id = bpf_be64_to_cpu(k->tun_id);
	t.tunnel_tos = k->tun_tos;
	t.tunnel_ttl = k->tun_ttl ? k->tun_ttl : TTL_DEFAULT;
	if (!(k->tun_flags & bpf_htons(TUN_CSUM)))
		flags |= BPF_F_ZERO_CSUM_TX;
	if (k->tun_flags & bpf_htons(TUN_DF))
		flags |= BPF_F_DONT_FRAGMENT;
	if ((p->tunnel & TUNNEL_KIND) == TUNNEL_GRE && !(k->tun_flags & bpf_htons(TUN_KEY)))
		flags |= TUNINFO_NO_KEY;
	if (bpf_skb_set_tunnel_key(skb, &t, sizeof(t), flags))
		return drop(c, DROP_TUNNEL);
	len = k->tun_opts_len;
	if ((p->tunnel & TUNNEL_KIND) == TUNNEL_GENEVE && len) {
		/* As all verifiers see it: 1 or more. */
		barrier_var(len);
		len = ((len - 1) & 0xff) + 1;
		if (len > OPTS_MAX || bpf_skb_set_tunnel_opt(skb, &c->w[KW_TUN_OPTS], len))
			return drop(c, DROP_TUNNEL);
	} else if (p->tunnel & TUNNEL_GBP && (k->tun_gbp_id || k->tun_gbp_flags & GBP_FLAGS)) {
		gbp = bpf_ntohs(k->tun_gbp_id) | (__u32)(k->tun_gbp_flags & GBP_FLAGS) << 16;
		if (bpf_skb_set_tunnel_opt(skb, &gbp, sizeof(gbp)))
			return drop(c, DROP_TUNNEL);
	}
	count_tx(cpu_get(), n, frame);
	c->s.out_port = n;
	return bpf_redirect(p->peer_len, 0);
}
