/* SPDX-License-Identifier: Apache-2.0 */
/* The packet in hand: state that lives from program to program, per CPU and nesting level,
 * and the counting of what becomes of it. */
#pragma once

#include "maps.h"

#define NEST_MAX 5
#define RECIRC_MAX 16

struct ctx_state {
	__u64 keywords[FLOW_KEY_WORDS]; /* struct ctx.key */
	__u32 in_port;
	__u32 l3; /* offsets from the Ethernet header; 0: there is none */
	__u32 l4;
	__u32 nw_proto; /* with l4: what is there */
	__u32 pos; /* see forget() */
	__u32 left;
	__u32 frag;
	__u32 routed; /* an IPv6 routing header has another final destination */
	__u32 block; /* next action: block and word in it */
	__u32 pc;
	__u32 search; /* subtables tried */
	__u32 hash;   /* of the flow cache */
	__u32 recircs;
	__u32 trunc;  /* upcall: bytes of the packet that go up, 0: all */
	__u32 copy;   /* this is of a copy that is on its way to the inject program, */
	__u32 mark;   /* which has this mark */
	__u32 kind; /* upcall: kind and cookie; hash: symmetric and basis */
	__u32 cookie;
	__u32 changed;   /* the packet is not what the key says */
	__u32 last;      /* upcall: nothing follows */
	__u32 injected;  /* has its actions already */
	__u32 sender;    /* somebody on this host waits for the verdict */
	__u32 sent;      /* copies that went somewhere */
	__u32 dirty;     /* l3 words from IPV6_SRC on were written for an earlier packet */
	__u32 meta;      /* so were metadata words from DP_HASH on */
	__u32 out_port;  /* for tests: where the packet went, */
	__u32 reason;    /* or why it did not */
};

/* The key's words are also reached by an index that the verifier knows to be below 128. */
union ctx {
	struct flow_key key;
	__u64 w[128];
	struct ctx_state s;
};

MAP(BPF_MAP_TYPE_PERCPU_ARRAY, ctxs, NEST_MAX, union ctx, 0);

static __always_inline union ctx *ctx_get(void)
{
	__u32 zero = 0, level;
	__u32 *n = bpf_map_lookup_elem(&nest, &zero);

	if (!n)
		return NULL;
	level = *n;
	return bpf_map_lookup_elem(&ctxs, &level);
}

static __always_inline struct port_stats *port_stats_get(__u32 port)
{
	if (port > max_ports)
		port = max_ports;
	return bpf_map_lookup_elem(&port_stat, &port);
}

static __always_inline __u32 frame_len(struct __sk_buff *skb)
{
	return skb->len + (skb->vlan_present ? 4 : 0);
}

/* Drops the packet and says why. */
static __always_inline int drop_port(__u32 port, __u32 reason)
{
	struct port_stats *ps = port_stats_get(port);

	if (ps) {
		ps->rx_dropped++;
		if (reason < DROP_MAX)
			ps->drops[reason]++;
	}
	return TC_ACT_SHOT;
}

/* The packet ends here. A sender on this host (egress of an internal port) must not hear of a
 * drop: it would take the rest of its datagram for lost and not send the other fragments, which
 * the switch, another host to it, never makes it do. tcx has no verdict for that; a redirect to no
 * device frees the packet and tells the sender that it was sent. */
static __always_inline int end(union ctx *c)
{
	return c->s.sender ? bpf_redirect(0, 0) : TC_ACT_SHOT;
}

static __always_inline int drop(union ctx *c, __u32 reason)
{
	c->s.reason = reason;
	drop_port(c->s.in_port, reason);
	return end(c);
}

/* A copy was lost, the packet itself goes on. */
static __always_inline void lose(__u32 port, __u32 reason)
{
	struct port_stats *ps = port_stats_get(port);

	if (ps && reason < DROP_MAX)
		ps->drops[reason]++;
}

static __always_inline int go(struct __sk_buff *skb, union ctx *c, __u32 prog)
{
	bpf_tail_call(skb, &progs, prog);
	return drop(c, DROP_INTERNAL);
}
