/* SPDX-License-Identifier: Apache-2.0 */
/* Sending up: a record of the ring with the key, the offload state and the whole packet. */
#pragma once

#include "ctx.h"

/* The packet is copied in pieces: a part of a ring record is reachable with a constant size
 * only (and bpf_dynptr_copy, which would do it at once, is younger than the kernels we serve). */
#define CHUNK_BIG 4096
#define CHUNK_SMALL 256
#define CHUNKS_BIG (UPCALL_MAX / CHUNK_BIG + 1)
#define CHUNKS_SMALL (CHUNK_BIG / CHUNK_SMALL)

/* One packet's worth from the port's bucket of this CPU. */
static __always_inline int upcall_allowed(__u32 in_port)
{
	struct port *p = port_get(in_port);
	struct port_counts *pc = port_counts_get(cpu_get(), in_port);
	__u64 now, burst, add;

	if (!p || !p->upcall_rate)
		return 1;
	now = bpf_jiffies64();
	burst = (__u64)p->upcall_burst << 16;
	if (now != pc->token_time) {
		add = now - pc->token_time;
		if (add > 1 << 20)
			add = 1 << 20;
		pc->tokens += add * p->upcall_rate;
		if (pc->tokens > burst)
			pc->tokens = burst;
		pc->token_time = now;
	}
	if (pc->tokens < 1 << 16)
		return 0;
	pc->tokens -= 1 << 16;
	return 1;
}

#define BFD_PORT 3784

/* Whether the packet is one of BFD that came in by a port with a session. What else goes up must not hold it up, nor have it
 * dropped: its path would be taken for down. */
static __always_inline int watches(union ctx *c)
{
	struct port *p = port_get(c->s.in_port);
	struct flow_key *k = &c->key;

	return p && p->watched && c->s.kind <= UPCALL_SLOW_PATH && k->eth_type == bpf_htons(ETH_P_IP) && k->nw_proto == IPPROTO_UDP &&
	       k->tp_dst == bpf_htons(BFD_PORT);
}

/* Whether the checksum is still to be finished. */
static __always_inline int csum_partial(struct __sk_buff *skb)
{
	struct sk_buff *k = (void *)skb;

	return BPF_CORE_READ_BITFIELD_PROBED(k, ip_summed) == CHECKSUM_PARTIAL;
}

/* SKB_GSO_* of a packet, 0 for one that is not segmented later. */
static __always_inline __u32 gso_type(struct __sk_buff *skb)
{
	struct sk_buff *k = (void *)skb;
	struct skb_shared_info *sh;

	if (!skb->gso_size)
		return 0;
	sh = (void *)BPF_CORE_READ(k, head) + BPF_CORE_READ(k, end);
	return BPF_CORE_READ(sh, gso_type);
}

/* What a virtio_net_hdr needs, read from the kernel's own sk_buff. The program's context is
 * that sk_buff; reading it as memory works on every kernel. */
static __always_inline void offload_state(struct __sk_buff *skb, struct upcall_rec *u)
{
	struct sk_buff *k = (void *)skb;
	unsigned char *head = BPF_CORE_READ(k, head);

	u->gso_size = skb->gso_size;
	u->gso_type = gso_type(skb);
	if (csum_partial(skb)) {
		u->csum_partial = 1;
		u->csum_start = BPF_CORE_READ(k, csum_start) - (BPF_CORE_READ(k, data) - head);
		u->csum_offset = BPF_CORE_READ(k, csum_offset);
	}
}

/* Returns 0, or why the packet could not go up. */
static __always_inline int send_up(struct __sk_buff *skb, union ctx *c)
{
	__u32 len = skb->len, off = 0, size, ring, bucket;
	struct bpf_dynptr rec;
	struct upcall_rec *u;
	void *map, *to;

	ring = c->s.kind == UPCALL_ALG ? UPCALL_RING_ALG : bpf_get_smp_processor_id() % n_rings;
	/* Packets of tunnels that have no way do not take the place of misses. */
	bucket = c->s.kind == UPCALL_NEXT_HOP || c->s.kind == UPCALL_TOO_BIG ? c->s.cookie & 0xffff : c->s.in_port;
	if (watches(c))
		ring = UPCALL_RING_WATCH;
	else if (!upcall_allowed(bucket))
		return DROP_UPCALL_RATE;
	if (len > UPCALL_MAX)
		return DROP_UPCALL_SIZE;
	/* What is cut off takes part in an unfinished checksum; then the agent cuts. */
	if (c->s.trunc && c->s.trunc < len && !csum_partial(skb))
		len = c->s.trunc < 14 ? 14 : c->s.trunc;
	map = bpf_map_lookup_elem(&rings, &ring);
	if (!map)
		return DROP_UPCALL_RING;
	size = sizeof(*u) + (len / CHUNK_SMALL + 1) * CHUNK_SMALL;
	if (bpf_ringbuf_reserve_dynptr(map, size, 0, &rec)) {
		bpf_ringbuf_discard_dynptr(&rec, 0);
		return DROP_UPCALL_RING;
	}
	u = bpf_dynptr_data(&rec, 0, sizeof(*u));
	if (!u)
		goto fail;
	/* Not memset: the key is copied below. */
	u->len = len;
	u->cut = c->s.trunc;
	u->kind = c->s.kind;
	u->cookie = c->s.cookie;
	u->in_port = c->s.in_port;
	u->csum_start = u->csum_offset = u->csum_partial = 0;
	u->vlan_tci = u->vlan_tpid = 0;
	if (skb->vlan_present) {
		u->vlan_tci = skb->vlan_tci;
		u->vlan_tpid = bpf_ntohs(skb->vlan_proto);
	}
	if (c->s.kind == UPCALL_ALG) {
		__u32 zero = 0;
		struct ct_note *note = bpf_map_lookup_elem(&alg_notes, &zero);

		if (!note)
			goto fail;
		u->note = *note;
	}
	offload_state(skb, u);
	for (int i = 0; i < FLOW_KEY_WORDS; i++)
		((__u64 *)&u->key)[i] = c->w[i];

	for (int i = 0; i < CHUNKS_BIG; i++) {
		if (off + CHUNK_BIG > len)
			break;
		to = bpf_dynptr_data(&rec, sizeof(*u) + off, CHUNK_BIG);
		if (!to || bpf_skb_load_bytes(skb, off, to, CHUNK_BIG))
			goto fail;
		off += CHUNK_BIG;
	}
	if (off < len) {
		/* The odd bytes, then whole pieces. Written so that all verifiers see 1 to CHUNK_SMALL. */
		__u32 n = ((len - off - 1) & (CHUNK_SMALL - 1)) + 1;

		to = bpf_dynptr_data(&rec, sizeof(*u) + off, CHUNK_SMALL);
		if (!to || bpf_skb_load_bytes(skb, off, to, n))
			goto fail;
		off += n;
	}
	for (int i = 0; i < CHUNKS_SMALL; i++) {
		if (off >= len)
			break;
		to = bpf_dynptr_data(&rec, sizeof(*u) + off, CHUNK_SMALL);
		if (!to || bpf_skb_load_bytes(skb, off, to, CHUNK_SMALL))
			goto fail;
		off += CHUNK_SMALL;
	}
	bpf_ringbuf_submit_dynptr(&rec, 0);
	return 0;
fail:
	bpf_ringbuf_discard_dynptr(&rec, 0);
	return DROP_INTERNAL;
}
