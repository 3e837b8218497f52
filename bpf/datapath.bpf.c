//go:build ignore

// SPDX-License-Identifier: Apache-2.0
/* The programs of the datapath: one per way that a packet comes in (ingress, egress, inject),
 * and those that they continue in. All return a verdict of tc. */

#include "actions.h"
#include "ct_alg.h"
#include "ct_error.h"
#include "ct_frag.h"
#include "ct_new.h"
#include "ct_plain.h"
#include "hash.h"
#include "meter.h"
#include "mpls.h"
#include "nd.h"
#include "police.h"
#include "tunnel_device.h"
#include "tunnel_in.h"
#include "tunnel_out.h"
#include "tunnel_set.h"

/* The kernel lets only GPL-compatible programs call the helpers that read its memory. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline __u32 port_of(__u32 ifindex)
{
	const struct port_index *e = AT(port_idx, ifindex & port_index_mask);

	if (e->ifindex == ifindex)
		return e->port;
	for (int i = 1; i < PORT_PROBES; i++) {
		e = AT(port_idx, (ifindex + i) & port_index_mask);
		if (e->ifindex == ifindex)
			return e->port;
	}
	return PORT_NONE;
}

/* Looks up a packet that has just come in. */
static __always_inline int begin(struct __sk_buff *skb, union ctx *c, struct cpu *cpu, __u32 len)
{
	if (parse_plain(skb, c, len))
		return classify(skb, c, cpu, len, 0);
	switch (parse(skb, c)) {
	case PARSE_PULL:
		return go(skb, c, PROG_AGAIN);
	case PARSE_LIMIT:
		return drop(c, DROP_HEADERS);
	}
	return classify(skb, c, cpu, len, 0);
}

/* Counts a packet and makes it the one in hand; NULL: of too many at once. */
static __always_inline union ctx *take(struct __sk_buff *skb, struct cpu *cpu, __u32 port, __u32 sender, __u32 len)
{
	union ctx *c = ctx_of(cpu);
	struct port_counts *pc;

	if (!c)
		return NULL;
	pc = port_counts_get(cpu, port);
	pc->rx_packets++;
	pc->rx_bytes += len;
	pair(in_port, sender, port, sender);
	start(skb, c, port, 0, 0);
	return c;
}

/* The index names a policed port by a number that no port has. */
static __always_inline int receive_policed(struct __sk_buff *skb, __u32 port, __u32 sender)
{
	union ctx *c;

	port ^= PORT_POLICED;
	if (port >= max_ports)
		return TC_ACT_UNSPEC; /* PORT_NONE */
	c = take(skb, cpu_get(), port, sender, frame_len(skb));
	return c ? go(skb, c, PROG_POLICE) : drop_port(port, DROP_NESTING);
}

static __always_inline int receive(struct __sk_buff *skb, __u32 sender)
{
	__u32 port = port_of(skb->ifindex), len = frame_len(skb);
	struct cpu *cpu;
	union ctx *c;

	if (port >= max_ports)
		return receive_policed(skb, port, sender);
	cpu = cpu_get();
	c = take(skb, cpu, port, sender, len);
	return c ? begin(skb, c, cpu, len) : drop_port(port, DROP_NESTING);
}

/* Of a netdev port: what the device received. */
SEC("tc")
int ingress(struct __sk_buff *skb)
{
	return receive(skb, 0);
}

/* Of an internal port: what the host sends. */
SEC("tc")
int egress(struct __sk_buff *skb)
{
	return receive(skb, 1);
}

/* Of the agent's own device: packets with an action list. The mark names their record, which
 * is the agent's again when its send call returns; or it says that this is a copy, whose state
 * run_copy() has prepared. */
SEC("tc")
int inject(struct __sk_buff *skb)
{
	__u32 n = skb->mark ^ INJECT_MAGIC;
	struct inject_rec *in;
	union ctx *c;

	if (skb->mark == INJECT_COPY) {
		c = ctx_get();
		if (!c || !c->s.copy)
			return TC_ACT_SHOT;
		c->s.copy = 0;
		c->s.calls = 0;
		skb->mark = c->s.mark;
		if (c->s.tunnel)
			return go(skb, c, PROG_TUNNEL_OUT);
		return go(skb, c, PROG_ACTIONS);
	}
	if (n >= INJECT_LANES)
		return TC_ACT_SHOT; /* the host's own chatter */
	in = bpf_map_lookup_elem(&injects, &n);
	if (!in || !in->busy)
		return TC_ACT_SHOT;
	c = ctx_get();
	if (!c)
		return drop_port(in->in_port, DROP_NESTING);
	skb->mark = in->mark;
	skb->priority = in->priority;
	pair(in_port, sender, in->in_port, 1);
	start(skb, c, in->in_port, in->recirc_id, in->dp_hash);
	if (in->tracked) {
		for (int i = 0; i < CT_WORDS; i++)
			if (i != KW_CT_MARK - KW_CT_STATE)
				c->w[KW_CT_STATE + i] = in->ct[i];
		c->key.ct_mark = in->ct[KW_CT_MARK - KW_CT_STATE];
		c->s.meta |= META_CT;
	}
	if (in->tunneled) {
		for (int i = 0; i < TUNNEL_WORDS; i++)
			c->w[KW_TUN_ID + i] = in->tunnel[i];
		c->s.meta |= META_TUNNEL;
	}
	c->s.injected = 1;
	c->s.block = in->block;
	c->s.pc = 0;
	switch (parse(skb, c)) {
	case PARSE_PULL:
		return go(skb, c, PROG_AGAIN);
	case PARSE_LIMIT:
		return drop(c, DROP_HEADERS);
	}
	return go(skb, c, PROG_ACTIONS);
}

/* Continuations; they are entered with the state in ctx. */

SEC("tc")
int actions(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_actions(skb, c) : TC_ACT_SHOT;
}

/* Parses what could not be parsed where it was, or what was changed and recirculates. */
SEC("tc")
int again(struct __sk_buff *skb)
{
	struct cpu *cpu = cpu_get();
	union ctx *c = ctx_of(cpu);
	int r;

	if (!c)
		return TC_ACT_SHOT;
	if (pull(skb))
		return drop(c, DROP_PULL);
	parse_metadata(skb, c);
	r = parse(skb, c);
	if (r != PARSE_OK)
		return drop(c, DROP_HEADERS);
	if (c->s.injected)
		return go(skb, c, PROG_ACTIONS);
	return classify_again(skb, c, cpu, 0);
}

/* Goes on with the search behind the first SEARCH_TURN subtables. */
SEC("tc")
int more(struct __sk_buff *skb)
{
	struct cpu *cpu = cpu_get();
	union ctx *c = ctx_of(cpu);

	return c ? search_on(skb, c, cpu, 1) : TC_ACT_SHOT;
}

/* Makes the key say what actions have made of the packet. */
static __always_inline int refresh(struct __sk_buff *skb, union ctx *c)
{
	if (!c->s.changed)
		return PARSE_OK;
	parse_metadata(skb, c);
	return parse(skb, c);
}

/* Writes dp_hash, then goes on with the actions. */
SEC("tc")
int hash(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	if (!c)
		return TC_ACT_SHOT;
	if (refresh(skb, c) == PARSE_PULL)
		return drop(c, DROP_PULL);
	c->key.dp_hash = bpf_htonl(l4_hash(&c->key, c->s.kind, c->s.cookie));
	c->s.meta |= META_HASH;
	return go(skb, c, PROG_ACTIONS);
}

/* Sends the packet up, then goes on with its actions. */
SEC("tc")
int upcall(struct __sk_buff *skb)
{
	struct cpu *cpu = cpu_get();
	union ctx *c = ctx_of(cpu);
	int err;

	if (!c)
		return TC_ACT_SHOT;
	if (refresh(skb, c) == PARSE_PULL)
		return drop(c, DROP_PULL);
	err = send_up(skb, c);
	c->s.trunc = 0;
	if (err) {
		cpu->total.lost++;
		if (c->s.last)
			return drop(c, err);
		lose(c->s.in_port, err);
	}
	if (c->s.last) {
		/* It is in user space now. */
		return end(c);
	}
	c->s.sent++;
	return go(skb, c, PROG_ACTIONS);
}

/* Actions with lists of their own. */
SEC("tc")
int copy(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_nested(skb, c) : TC_ACT_SHOT;
}

SEC("tc")
int meter(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_meter(skb, c) : TC_ACT_SHOT;
}

/* A packet of a policed port, before it is looked at. */
SEC("tc")
int police(struct __sk_buff *skb)
{
	struct cpu *cpu = cpu_get();
	union ctx *c = ctx_of(cpu);

	if (!c)
		return TC_ACT_SHOT;
	return police_passes(skb, c->s.in_port) ? begin(skb, c, cpu, frame_len(skb)) : drop(c, DROP_POLICING);
}

/* These end or go on with the actions. */

SEC("tc")
int mpls(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();
	int verdict;

	if (!c)
		return TC_ACT_SHOT;
	verdict = run_mpls(skb, c);
	if (verdict)
		return verdict;
	/* Other headers are where the next actions look. */
	if (refresh(skb, c) == PARSE_PULL)
		return drop(c, DROP_PULL);
	return go(skb, c, PROG_ACTIONS);
}

SEC("tc")
int sctp(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();
	int verdict;

	if (!c)
		return TC_ACT_SHOT;
	verdict = run_sctp(skb, c);
	return verdict ? verdict : go(skb, c, PROG_ACTIONS);
}

SEC("tc")
int nd(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();
	int verdict;

	if (!c)
		return TC_ACT_SHOT;
	if (refresh(skb, c) == PARSE_PULL)
		return drop(c, DROP_PULL);
	verdict = run_nd(skb, c);
	return verdict ? verdict : go(skb, c, PROG_ACTIONS);
}

/* Looks up what recirculates unchanged. */
SEC("tc")
int lookup(struct __sk_buff *skb)
{
	struct cpu *cpu = cpu_get();
	union ctx *c = ctx_of(cpu);

	return c ? classify_again(skb, c, cpu, 1) : TC_ACT_SHOT;
}

SEC("tc")
int ct_plain(struct __sk_buff *skb)
{
	struct cpu *cpu = cpu_get();
	union ctx *c = ctx_of(cpu);

	return c ? run_ct_plain(skb, c, cpu) : TC_ACT_SHOT;
}

SEC("tc")
int ct(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct(skb, c) : TC_ACT_SHOT;
}

/* Makes the key right before the packet is tracked. */
SEC("tc")
int ct_prepare(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	if (!c)
		return TC_ACT_SHOT;
	if (pull(skb))
		return drop(c, DROP_PULL);
	if (refresh(skb, c) == PARSE_PULL)
		return drop(c, DROP_PULL);
	return go(skb, c, PROG_CT);
}

/* Tracks a packet whose connection another CPU has made meanwhile. */
SEC("tc")
int ct_again(struct __sk_buff *skb)
{
	struct ct_scratch *s = ct_scratch_get();
	union ctx *c = ctx_get();

	return c && s ? ct_track(skb, c, s) : TC_ACT_SHOT;
}

SEC("tc")
int ct_new(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct_new(skb, c) : TC_ACT_SHOT;
}

SEC("tc")
int ct_nat(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct_nat(skb, c) : TC_ACT_SHOT;
}

SEC("tc")
int ct_fragment(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct_fragment(skb, c) : TC_ACT_SHOT;
}

SEC("tc")
int ct_error(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct_error(skb, c) : TC_ACT_SHOT;
}

SEC("tc")
int ct_rewrite(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct_rewrite(skb, c) : TC_ACT_SHOT;
}

/* Adjusts what a segment acknowledges, before it is tracked. */
SEC("tc")
int ct_adjust(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct_adjust(skb, c) : TC_ACT_SHOT;
}

SEC("tc")
int ct_expect_new(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct_expect(skb, c) : TC_ACT_SHOT;
}

SEC("tc")
int ct_help(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct_help(skb, c) : TC_ACT_SHOT;
}

SEC("tc")
int ct_helped(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_ct_helped(skb, c) : TC_ACT_SHOT;
}

/* Of a device of the host on which packets of native tunnels arrive. */
SEC("tc")
int underlay(struct __sk_buff *skb)
{
	return run_underlay(skb);
}

SEC("tc")
int tunnel_in(struct __sk_buff *skb)
{
	struct tunnel_scratch *s = tunnel_scratch_get();
	union ctx *c = ctx_get();

	return c && s ? run_tunnel_in(skb, c, s) : TC_ACT_SHOT;
}

/* Parses a packet that met congestion outside, and says so inside. */
SEC("tc")
int tunnel_ecn(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	if (!c)
		return TC_ACT_SHOT;
	if (pull(skb))
		return drop(c, DROP_PULL);
	if (parse(skb, c) != PARSE_OK)
		return drop(c, DROP_HEADERS);
	return run_tunnel_ecn(skb, c);
}

/* Sends the packet out of a native tunnel port. */
SEC("tc")
int tunnel_out(struct __sk_buff *skb)
{
	struct tunnel_scratch *s = tunnel_scratch_get();
	union ctx *c = ctx_get();

	return c && s ? run_tunnel_out(skb, c, s) : TC_ACT_SHOT;
}

/* Of a tunnel's device of the kernel. */
SEC("tc")
int tunnel_device(struct __sk_buff *skb)
{
	return run_tunnel_device(skb, port_of(skb->ifindex));
}

SEC("tc")
int tunnel_device_out(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_tunnel_device_out(skb, c) : TC_ACT_SHOT;
}

SEC("tc")
int tunnel_send(struct __sk_buff *skb)
{
	struct tunnel_scratch *s = tunnel_scratch_get();
	union ctx *c = ctx_get();

	return c && s ? run_tunnel_send(skb, c, s) : TC_ACT_SHOT;
}

/* Makes the key right before the packet goes out of a native tunnel port. */
SEC("tc")
int tunnel_prepare(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	if (!c)
		return TC_ACT_SHOT;
	if (pull(skb))
		return drop(c, DROP_PULL);
	if (refresh(skb, c) == PARSE_PULL)
		return drop(c, DROP_PULL);
	return go(skb, c, PROG_TUNNEL_OUT);
}

SEC("tc")
int set_tunnel(struct __sk_buff *skb)
{
	union ctx *c = ctx_get();

	return c ? run_set_tunnel(skb, c) : TC_ACT_SHOT;
}

/* Not attached: run by the agent to relate jiffies to the monotonic clock. */
SEC("tc")
int clock(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct dp_config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (cfg) {
		cfg->jiffies = bpf_jiffies64();
		cfg->ktime = bpf_ktime_get_ns();
	}
	return 0;
}
