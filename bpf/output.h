/* SPDX-License-Identifier: Apache-2.0 */
/* Sending to a port. */
#pragma once

#include "ctx.h"

static __always_inline void count_tx(struct cpu *cpu, __u32 port, __u32 len)
{
	struct port_counts *pc = port_counts_get(cpu, port);

	pc->tx_packets++;
	pc->tx_bytes += len;
}

/* Whether the packet may go to the other end of a veth at once. The kernel then skips what a
 * device does on receipt: it takes the frame for the host whatever its address is, believes
 * skb->protocol, looks at no length, and leaves the mark on. It can only be done at ingress. */
static __always_inline int peer_takes(struct __sk_buff *skb, const union ctx *c, const struct port *p, __u32 len)
{
	void *data = (void *)(long)skb->data;
	const __u16 *eth = data;
	__u16 proto;

	if (!p->peer_len || c->s.sender || len != skb->len)
		return 0;
	if (data + 14 > (void *)(long)skb->data_end)
		return 0;
	proto = skb->protocol;
	if (eth[6] != proto || (proto != bpf_htons(ETH_P_IP) && proto != bpf_htons(ETH_P_IPV6)))
		return 0;
	if (*(const __u32 *)eth != *(const __u32 *)p->peer_mac || eth[2] != *(const __u16 *)(p->peer_mac + 4))
		return 0;
	return skb->len <= p->peer_len || skb->gso_size;
}

/* The packet itself leaves; nothing can be done with it afterwards. To an internal port it
 * goes as received by that device: the kernel takes the packet type from the destination
 * address anew. */
static __always_inline int output_last(struct __sk_buff *skb, union ctx *c, struct cpu *cpu, __u32 port, __u32 len)
{
	struct port *p = port_get(port);

	if (!p || !p->ifindex) {
		if (p && p->tunnel) {
			c->s.tunnel = port + 1;
			return go(skb, c, PROG_TUNNEL_OUT);
		}
		return drop(c, DROP_OUTPUT_PORT);
	}
	count_tx(cpu, port, len);
	c->s.out_port = port;
	if (peer_takes(skb, c, p, len)) {
		skb->mark = 0; /* as a packet's that changes its namespace */
		return bpf_redirect_peer(p->ifindex, 0);
	}
	return bpf_redirect(p->ifindex, p->kind == PORT_INTERNAL ? BPF_F_INGRESS : 0);
}

/* A copy of the packet as it is now. The copy may run a program of ours before the call
 * returns, so it must not use this level's state. Returns whether the port is a native tunnel, which changes its copies. */
static __always_inline int output_copy(struct __sk_buff *skb, union ctx *c, __u32 port)
{
	struct port *p = port_get(port);
	struct cpu *cpu = cpu_get();
	__u32 len = frame_len(skb);
	long err;

	if (!p || !p->ifindex) {
		if (p && p->tunnel)
			return 1;
		lose(c->s.in_port, DROP_OUTPUT_PORT);
		return 0;
	}
	cpu->nest++;
	err = bpf_clone_redirect(skb, p->ifindex, p->kind == PORT_INTERNAL ? BPF_F_INGRESS : 0);
	cpu->nest--;
	if (err) {
		port_counts_get(cpu, port)->tx_dropped++;
		lose(c->s.in_port, DROP_OUTPUT_CLONE);
		return 0;
	}
	count_tx(cpu, port, len);
	c->s.sent++;
	return 0;
}
