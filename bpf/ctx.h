/* SPDX-License-Identifier: Apache-2.0 */
/* The packet in hand: state that lives from program to program, per CPU and nesting level,
 * and the counting of what becomes of it. */
#pragma once

#include "maps.h"

#define RECIRC_MAX 16

#define META_HASH 1
#define META_CT 2
#define META_TUNNEL 4

static __always_inline struct cpu *cpu_get(void)
{
	void *c = cpus;

	barrier_var(c);
	c += (__u64)(bpf_get_smp_processor_id() & cpu_mask) * cpu_size;
	barrier_var(c);
	return c;
}

static __always_inline union ctx *ctx_of(struct cpu *cpu)
{
	__u32 level = cpu->nest;
	union ctx *c;

	if (level >= NEST_MAX)
		return NULL;
	barrier_var(level); /* else it is used before it is looked at, which verifiers refuse */
	c = &cpu->ctx[level];
	barrier_var(c);
	return c;
}

static __always_inline union ctx *ctx_get(void) { return ctx_of(cpu_get()); }

/* Of a port below max_ports. That is said once more in a way that every verifier follows. */
static __always_inline struct port_counts *port_counts_get(struct cpu *cpu, __u32 port)
{
	struct port_counts *pc = &cpu->port[port & port_mask];

	barrier_var(pc);
	return pc;
}

static __always_inline struct port *port_get(__u32 port)
{
	return port < max_ports ? AT(ports, port & port_mask) : NULL;
}

/* Writes a word where the compiler knows only smaller pieces. */
static __always_inline void store(void *at, __u64 v) { *(volatile __u64 *)at = v; }

/* Two neighbours of struct ctx_state. */
#define pair(FIRST, SECOND, A, B)                                                        \
	({                                                                               \
		_Static_assert(__builtin_offsetof(struct ctx_state, SECOND) ==           \
			       __builtin_offsetof(struct ctx_state, FIRST) + 4, "pair"); \
		store(&c->s.FIRST, (__u64)(B) << 32 | (__u32)(A));                       \
	})

static __always_inline __u32 frame_len(struct __sk_buff *skb)
{
	return skb->len + (skb->vlan_present ? 4 : 0);
}

/* Of the last port: drops without a port. */
static __always_inline void count_drop(__u32 port, __u32 reason)
{
	struct port_drops *d;

	if (port > max_ports)
		port = max_ports;
	d = bpf_map_lookup_elem(&port_drop, &port);
	if (d && reason < DROP_MAX)
		d->drops[reason]++;
}

/* Drops the packet and says why. */
static __always_inline int drop_port(__u32 port, __u32 reason)
{
	if (port < max_ports)
		port_counts_get(cpu_get(), port)->rx_dropped++;
	count_drop(port, reason);
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
static __always_inline void lose(__u32 port, __u32 reason) { count_drop(port, reason); }

/* Goes on in another program. The kernel makes a plain jump of a call whose index is a constant in its place, so the compiler must
 * not make one call of several. */
static __always_inline int go(struct __sk_buff *skb, union ctx *c, const __u32 prog)
{
	c->s.calls++;
	asm volatile("r1 = %[ctx]\n\t"
		     "r2 = %[map]\n\t"
		     "r3 = %[prog]\n\t"
		     "call %[tail_call]"
		     :
		     : [ctx] "r"(skb), [map] "r"(&progs), [prog] "i"(prog), [tail_call] "i"(BPF_FUNC_tail_call)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
	return drop(c, DROP_INTERNAL);
}

/* The packet is untracked. */
static __always_inline void ct_clear(union ctx *c)
{
#pragma unroll
	for (int i = KW_CT_STATE; i < KW_MPLS_LSE0; i++)
		if (i != KW_CT_MARK)
			c->w[i] = 0;
	c->key.ct_mark = 0;
	c->s.meta &= ~META_CT;
}

/* The packet has no tunnel. */
static __always_inline void tunnel_clear(union ctx *c)
{
#pragma unroll
	for (int i = KW_TUN_ID; i < FLOW_KEY_WORDS; i++)
		c->w[i] = 0;
	c->s.meta &= ~META_TUNNEL;
}
