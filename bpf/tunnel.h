/* SPDX-License-Identifier: Apache-2.0 */
/* Native tunnels: what building and taking off the outer headers share. What they do is written in Go in
 * datapath/tunnel; names here are its names. */
#pragma once

#include "copy.h"
#include "upcall.h"

/* Sizes are set by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct next_hop_key);
	__type(value, struct next_hop);
} next_hops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct underlay_addr);
	__type(value, __u32);
} underlays SEC(".maps");

/* From TUNNEL_UDP or TUNNEL_GRE_OVER to the port. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} tunnels SEC(".maps");

#define SUM_CHUNK 512

#define TAGS_MAX 4 /* of a packet that is encapsulated */
#define TAGS_IN 2  /* that go into the skb of one that comes out */
#define ETH_LEN 14
#define UDP_LEN 8
#define VXLAN_LEN 8
#define GENEVE_LEN 8
#define OPTS_MAX 252
#define OPTS_STEPS (OPTS_MAX / 4)

#define ETH_P_TEB 0x6558

#define VXLAN_VNI 0x08
#define VXLAN_GBP 0x80
#define GBP_FLAGS 0x48

#define GENEVE_OAM 0x80
#define GENEVE_CRITICAL 0x40
#define OPT_CRITICAL 0x80
#define OPT_WORDS 0x1f

#define GRE_CSUM 0x8000
#define GRE_KEY 0x2000
#define GRE_SEQ 0x1000

#define TUN_OAM 1 /* flow.TunFlag* */
#define TUN_DF 2
#define TUN_CSUM 4
#define TUN_KEY 8

#define TTL_DEFAULT 64

#define ECN_MASK 3
#define ECN_ECT1 1
#define ECN_ECT0 2
#define ECN_CE 3

/* Headers are put together here: the outer transport header is always at HDR_L4, so that most offsets are constants; the IP
 * header ends there. */
#define HDR_L4 64
#define HDR_MASK 511

/* As it lies in a packet, in front of the Ethertype. */
struct tag {
	__be16 tpid, tci;
};

struct tunnel_scratch {
	__u8 hdr[HDR_MASK + 1 + 64];
	__u8 chunk[SUM_CHUNK + 8];
	__u8 eth[ETH_LEN + 2]; /* of the inner frame */
	struct tag tag[TAGS_MAX];     /* the outermost first */
	struct next_hop_key hop;
	struct underlay_addr local;
	__u32 pos, left; /* through which the verifier forgets the way of a loop */
	__u32 tags;
	__u64 sum;
	/* What goes out. */
	__u32 port, ifindex;
	__u32 frame; /* its length */
	__u32 l4;    /* bytes between the outer IP header and the inner frame */
	__u8 ipv6, gre, csum;
	__u64 flags; /* of bpf_skb_adjust_room */
};

MAP(BPF_MAP_TYPE_PERCPU_ARRAY, tunnel_scratches, 1, struct tunnel_scratch, 0);

static __always_inline struct tunnel_scratch *tunnel_scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&tunnel_scratches, &zero);
}

/* An IPv4 address as the maps' keys have it, in the second word. */
static __always_inline __u64 mapped(__be32 a) { return (__u64)a << 32 | 0xffff0000u; }

static __always_inline __u16 fold(__u64 s)
{
	s = (s >> 32) + (s & 0xffffffff);
	s = (s >> 16) + (s & 0xffff);
	s = (s >> 16) + (s & 0xffff);
	s = (s >> 16) + (s & 0xffff);
	return s;
}

/* Adds the len bytes of the packet from off on to the sum, which they continue at an even place. Returns 0 when it could. */
static __always_inline int sum_packet(struct __sk_buff *skb, struct tunnel_scratch *s, __u32 off, __u32 len, __u64 *sum)
{
	s->pos = off;
	s->left = len;
	s->sum = fold(*sum);
	for (int i = 0; i < 65536 / SUM_CHUNK; i++) {
		__u32 n = *(volatile __u32 *)&s->left;
		__s64 part;

		if (!n)
			break;
		if (n >= SUM_CHUNK) {
			n = SUM_CHUNK;
			if (bpf_skb_load_bytes(skb, *(volatile __u32 *)&s->pos, s->chunk, SUM_CHUNK))
				return -1;
			part = bpf_csum_diff(NULL, 0, (__be32 *)s->chunk, SUM_CHUNK, s->sum);
		} else {
			/* As all verifiers see it: 1 to SUM_CHUNK. */
			n = ((n - 1) & (SUM_CHUNK - 1)) + 1;
			barrier_var(n);
			*(volatile __u32 *)&s->chunk[(n & ~3u) & (SUM_CHUNK - 1)] = 0;
			if (bpf_skb_load_bytes(skb, *(volatile __u32 *)&s->pos, s->chunk, n))
				return -1;
			part = bpf_csum_diff(NULL, 0, (__be32 *)s->chunk, (n + 3) & ~3u, s->sum);
		}
		if (part < 0)
			return -1;
		s->sum = fold((__u32)part);
		s->pos += n;
		s->left -= n;
	}
	if (*(volatile __u32 *)&s->left)
		return -1;
	*sum = s->sum;
	return 0;
}

/* Adds n bytes, a multiple of 4, at a place that is a multiple of 4 or 2. */
static __always_inline __u64 sum_words(const void *p, const int n)
{
	const __u16 *w = p;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < n / 2; i++)
		sum += w[i];
	return sum;
}

/* Makes skb->protocol what the Ethertype says: the kernel does that when a tag is taken out of a packet. */
static __always_inline int fix_protocol(struct __sk_buff *skb)
{
	return bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 1) || bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 1) ||
	       bpf_skb_vlan_pop(skb) || bpf_skb_vlan_pop(skb);
}

/* Drops a packet that is longer than the way of a tunnel takes, with over bytes in front of it. The agent tells its sender how
 * long IP packets can be; the key is that of the packet, with the address that it would have come from. */
static __always_inline int too_big(struct __sk_buff *skb, union ctx *c, __u32 port, const struct next_hop *hop, __u32 over)
{
	struct flow_key *k = &c->key;
	__u32 mtu = hop->mtu;

	if (k->tun_dst && !k->tun_src) {
		k->tun_src = hop->src[1] >> 32;
	} else if (!k->tun_dst && !(k->tun_ipv6_src[0] | k->tun_ipv6_src[1])) {
		k->tun_ipv6_src[0] = hop->src[0];
		k->tun_ipv6_src[1] = hop->src[1];
	}
	over += c->s.l3 + (skb->vlan_present ? 4 : 0);
	if (!c->s.l3 || mtu <= over || mtu - over > 0xffff)
		return drop(c, DROP_TUNNEL_MTU);
	lose(c->s.in_port, DROP_TUNNEL_MTU);
	c->s.kind = UPCALL_TOO_BIG;
	c->s.cookie = (mtu - over) << 16 | port;
	c->s.last = 1;
	return go(skb, c, PROG_UPCALL);
}

/* Whether the options fill their space; those after another in s->hdr from off on. Sets whether one of them is critical. */
static __always_inline int options_ok(struct tunnel_scratch *s, __u32 off, __u32 len, __u8 *critical)
{
	__u32 crit = 0;

	s->pos = off;
	s->left = len;
	for (int i = 0; i < OPTS_STEPS; i++) {
		__u32 left = *(volatile __u32 *)&s->left, at = *(volatile __u32 *)&s->pos & HDR_MASK, n;

		if (!left)
			break;
		crit |= s->hdr[at + 2];
		n = 4 + (s->hdr[at + 3] & OPT_WORDS) * 4;
		if (n > left)
			return 0;
		s->left = left - n;
		s->pos = at + n;
	}
	*critical = !!(crit & OPT_CRITICAL);
	return 1;
}
