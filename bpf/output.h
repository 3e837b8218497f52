/* SPDX-License-Identifier: Apache-2.0 */
/* Sending to a port. */
#pragma once

#include "ctx.h"

static __always_inline void count_tx(__u32 port, __u32 len)
{
	struct port_stats *ps = port_stats_get(port);

	if (ps) {
		ps->tx_packets++;
		ps->tx_bytes += len;
	}
}

/* The packet itself leaves; nothing can be done with it afterwards. To an internal port it
 * goes as received by that device: the kernel takes the packet type from the destination
 * address anew. */
static __always_inline int output_last(struct __sk_buff *skb, union ctx *c, __u32 port)
{
	struct port *p = bpf_map_lookup_elem(&ports, &port);

	if (!p || !p->ifindex)
		return drop(c, DROP_OUTPUT_PORT);
	count_tx(port, frame_len(skb));
	c->s.out_port = port;
	return bpf_redirect(p->ifindex, p->kind == PORT_INTERNAL ? BPF_F_INGRESS : 0);
}

/* A copy of the packet as it is now. The copy may run a program of ours before the call
 * returns, so it must not use this level's state. */
static __always_inline void output_copy(struct __sk_buff *skb, union ctx *c, __u32 port)
{
	struct port *p = bpf_map_lookup_elem(&ports, &port);
	__u32 zero = 0, *level = bpf_map_lookup_elem(&nest, &zero);
	__u32 len = frame_len(skb);
	long err;

	if (!level)
		return;
	if (!p || !p->ifindex) {
		lose(c->s.in_port, DROP_OUTPUT_PORT);
		return;
	}
	++*level;
	err = bpf_clone_redirect(skb, p->ifindex, p->kind == PORT_INTERNAL ? BPF_F_INGRESS : 0);
	--*level;
	if (err) {
		struct port_stats *ps = port_stats_get(port);

		if (ps)
			ps->tx_dropped++;
		lose(c->s.in_port, DROP_OUTPUT_CLONE);
		return;
	}
	count_tx(port, len);
	c->s.sent++;
}
