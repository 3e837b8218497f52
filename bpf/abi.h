/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs and the agent share: the memory of the maps. The agent's view is generated
 * from these types (bpf2go -type), so a change here is a change of LAYOUT_VERSION. */
#pragma once

#include "kernel.h"
#include "flow_key.h"
#include "ct_abi.h"

#define LAYOUT_VERSION 6

#define PORT_NONE 0xffffffffu
#define IFNAMSIZ 16

/* ---- ports ---- */

enum port_kind { PORT_NETDEV, PORT_INTERNAL, PORT_TUNNEL };

/* What a native tunnel port builds, in port.tunnel; 0: it is none. */
enum tunnel_kind { TUNNEL_VXLAN = 1, TUNNEL_GENEVE, TUNNEL_GRE };
#define TUNNEL_KIND 0xff
#define TUNNEL_GBP 0x100 /* VXLAN with the group based policy extension */
#define TUNNEL_DEVICE 0x200 /* a device of the kernel does it */

/* A datapath port; its number is its index. ifindex 0: no such port, or one of tunnels. */
struct port {
	__u32 ifindex;
	__u16 kind;
	__u16 tunnel;       /* enum tunnel_kind and flags; 0: no native tunnel */
	__u32 upcall_rate;  /* packets per jiffy * 2^16 and CPU that may go up, 0: no limit */
	__u32 upcall_burst; /* packets */
	char name[IFNAMSIZ];
	char type[IFNAMSIZ];
	__u8 peer_mac[6]; /* of a veth's other end in another namespace */
	__be16 tunnel_port; /* UDP port of a native tunnel */
	__u32 peer_len; /* longest frame that it takes; 0: there is none. With TUNNEL_DEVICE: ifindex of the device */
	__u32 watched; /* its BFD packets go up by a ring of their own */
};

/* Entry of the table from ifindex to port: open addressing, PORT_PROBES places from ifindex on. */
#define PORT_PROBES 8
struct port_index {
	__u32 ifindex;
	__u32 port; /* with PORT_POLICED: no packet is looked up before its policer has let it pass */
};
#define PORT_POLICED 0x80000000u

/* Why a packet was dropped. Below DROP_DATAPATH: odp.DropReason of a translation. */
enum drop_reason {
	DROP_DATAPATH = 32,
	DROP_UPCALL_RING = DROP_DATAPATH, /* ring buffer full */
	DROP_UPCALL_RATE,                 /* port above its rate */
	DROP_UPCALL_SIZE,                 /* longer than an upcall can be */
	DROP_HEADERS,                     /* more headers than the parser follows */
	DROP_PULL,                        /* headers could not be made linear */
	DROP_OUTPUT_PORT,                 /* output to a port that is gone */
	DROP_OUTPUT_CLONE,                /* copy for an output failed */
	DROP_ACTION,                      /* an action failed on this packet */
	DROP_RECIRC_LIMIT,
	DROP_NESTING, /* bridges through bridges, deeper than NEST_MAX */
	DROP_INTERNAL, /* a map or program is missing, or too many programs for one packet */
	DROP_METER,
	DROP_CONNTRACK, /* no room for a connection, or no free tuple */
	DROP_TUNNEL,     /* no tunnel can be built of the key */
	DROP_TUNNEL_MTU, /* longer than the way of a tunnel allows */
	DROP_TUNNEL_ECN, /* met congestion outside, and cannot say so inside (RFC 6040) */
	DROP_POLICING,   /* the port is above its ingress policing rate */
	DROP_MAX,
};

/* Of one port on one CPU: what packets need is one cache line. */
struct port_counts {
	__u64 rx_packets, rx_bytes, tx_packets, tx_bytes, rx_dropped, tx_dropped;
	__u64 tokens; /* token bucket of upcalls, packets * 2^16 */
	__u64 token_time; /* jiffies of its last filling */
};

struct port_drops {
	__u64 drops[DROP_MAX];
};

/* ---- megaflows ---- */

/* Words in the longest mask: all without the tunnel's options, and two of these. */
#define SLOT_WORDS (KW_TUN_OPTS + 2)

/* A megaflow. Dead slots are skipped; the words of a slot change only while it is dead and a
 * grace period after its death. What a dense subtable needs are two cache lines side by side, all in little memory: with many
 * flows, time goes into fetching lines and translating addresses.
 *
 * Most flows are of one CPU: the first that hits a slot owns the counters in it. Others count in flow_stats, and say so. */
#define DENSE_WORDS 7
struct flow_slot {
	__u32 sub;   /* subtable + 1, 0: dead */
	__u32 owner; /* CPU + 1 that counts here, 0: none yet */
	__u64 act;   /* the first action; the list starts in the block of the same number */
	__u64 packets, bytes, used;
	__u32 tcp_flags;
	__u32 spread; /* flow_stats of this slot are not empty */
	__u64 key[DENSE_WORDS]; /* the masked words of the subtable, in its order */
	__u64 reserved[3];
};

/* The words of a slot behind those, if the subtable is not dense. */
struct key_tail {
	__u64 key[SLOT_WORDS - DENSE_WORDS];
};

struct flow_stats {
	__u64 packets;
	__u64 bytes;
	__u64 used; /* jiffies */
	__u64 tcp_flags;
};

/* A mask: words[i] of the key, with mask[i]. Unused places have mask 0. Most masks have only words at the beginning of the
 * key; these have all of them, in order, so that no index is needed. */
struct subtable {
	__u16 words;
	__u16 dense; /* the first DENSE_WORDS of the key, whatever their masks are */
	__u32 seed;
	__u64 mask[SLOT_WORDS];
	__u8 idx[(SLOT_WORDS + 7) / 8 * 8];
	__u64 reserved[19]; /* a power of two is reached without multiplication */
};

/* Entry: slot << 32 | signature; signature 0: empty. overflow counts the entries that would
 * be here but are in the other bucket of their hash. */
#define BUCKET_WAYS 7
struct bucket {
	__u64 entry[BUCKET_WAYS];
	__u64 overflow;
};

/* Subtables in the order of search. Two of them; config.order is the one in force. */
#define MASKS_MAX 256
struct order {
	__u32 n;
	__u32 reserved;
	__u16 id[MASKS_MAX];
};

struct dp_config {
	__u32 layout;
	__u32 order;
	__u64 hash_mul[SLOT_WORDS]; /* the multipliers that the pinned tables were hashed with */
	__u64 jiffies, ktime;       /* written by the clock program: one moment in both clocks */
	__u32 inject_ifindex;       /* the device that copies with lists of their own go through */
	__u32 tunnel_ports;         /* outer UDP source ports: first, last << 16 */
};

/* Mask cache: the subtable (+ 1) in which packets of a hash were found last. */
#define CACHE_BITS 15

/* What the last tracked packet of a hash met on this CPU: where to look first. */
struct hint {
	__u64 ref;  /* the connection: CT_REF */
	__u32 slot; /* the megaflow behind ct */
	__u32 pad;
};
#define HINT_BITS 13 /* of each CPU */

/* ---- actions ---- */

/* Lists are words in blocks of ACT_WORDS. An action is one word and its data words, all in
 * one block; ACT_JUMP continues in another. */
#define ACT_WORDS 8

enum act_op {
	ACT_END,        /* a: 0: the list is empty, which counts as a drop */
	ACT_OUTPUT,     /* c: port */
	ACT_USERSPACE,  /* a: kind, c: cookie */
	ACT_SET_ETH,    /* dst value, mask, src value, mask; a: 1: only where there is no VLAN header */
	ACT_SET_IPV4,   /* src value and mask, dst, {tos value, mask, ttl value, mask} */
	ACT_SET_IPV6,   /* {label value and mask}; a, b: see set.h */
	ACT_SET_IPV6_ADDR, /* a: 0 src, 1 dst; value (2), mask (2) */
	ACT_SET_PORTS,  /* a: protocol; {src value, mask, dst value, mask} */
	ACT_SET_MARK,   /* value and mask */
	ACT_SET_PRIORITY,
	ACT_PUSH_VLAN,  /* b: TCI, c: TPID, both host order */
	ACT_POP_VLAN,
	ACT_DROP,       /* a: odp.DropReason */
	ACT_RECIRC,     /* c: id */
	ACT_HASH,       /* a: 1 symmetric, c: basis */
	ACT_JUMP,       /* c: block */
	ACT_SET_ARP,    /* op, spa, tpa */
	ACT_SET_ARP_HW, /* a: 0 sha, 1 tha; value, mask */
	ACT_SET_ICMP,   /* type and code */
	ACT_CLONE,      /* c: block of a list that runs on a copy */
	ACT_SAMPLE,     /* c: block; the probability; a: 1: on the packet itself, which may end there */
	ACT_CHECK_LEN,  /* b: length; {block if longer, block if not}; a: as ACT_SAMPLE */
	ACT_TRUNC,      /* c: bytes of the output or (a: 1) upcall behind it */
	ACT_METER,      /* c: id */
	ACT_PUSH_MPLS,  /* b: Ethertype, host order; c: entry, network order */
	ACT_POP_MPLS,   /* b: Ethertype, host order */
	ACT_SET_MPLS,   /* {entry value, mask} */
	ACT_SET_SCTP,   /* as ACT_SET_PORTS */
	ACT_SET_ND_TARGET, /* value (2), mask (2) */
	ACT_SET_ND,     /* b: option type and (high byte) its mask; {reserved value, mask}, source
			   address value, mask, target address value, mask */
	ACT_CT,         /* a: CT_*, b: zone, c: policy; {mark value, mask}, {block of the label, block of the
			   translation}; these blocks have data behind an ACT_END: label value (2) and mask (2), and
			   what CT_NAT_* says with two addresses (2 each) */
	ACT_CT_CLEAR,
	ACT_CT_HELPED,  /* a: CT_HELPED_*, b: port, c: slot; {generation, how much longer it is}, {seq, space of the ct_note} */
	ACT_SET_TUNNEL, /* a: 1: with IPv6 addresses; b: data words; c: block that they are in, seven behind an ACT_JUMP to
			   the next seven or an ACT_END: see tunnel_word() */
	ACT_MAX,
};

#define BLOCK_NONE 0xffffffffu /* an empty list */

#define ACT_LAST 0x80 /* in op: nothing follows, so the packet itself may go */

struct act {
	__u8 op;
	__u8 a;
	__u16 b;
	__u32 c;
};

struct act_block {
	__u64 w[ACT_WORDS];
};

/* ---- meters ---- */

/* A token bucket per band. Tokens are bits or thousandths of a packet. */
#define METER_BANDS 8
struct meter_band {
	__u64 rate; /* tokens per millisecond */
	__u64 size; /* of the bucket */
	__s64 tokens;
	__u64 packets, bytes; /* dropped */
};

struct dp_meter {
	__u32 bands; /* 0: there is no such meter, all pass */
	__u32 pktps; /* tokens are of packets */
	__u64 time;  /* ktime of the last filling, in steps of a millisecond */
	__u64 since; /* ktime of its making */
	__u64 packets, bytes;
	struct meter_band band[METER_BANDS];
};

/* Ingress policing of a port: a packet needs room in both buckets, of bits and of packets. size 0: no limit. */
#define POLICER_BITS 0
#define POLICER_PACKETS 1
struct policer {
	__u64 time; /* as of dp_meter */
	struct meter_band band[2];
};

#define CT_WORDS (KW_MPLS_LSE0 - KW_CT_STATE)
#define TUNNEL_WORDS (FLOW_KEY_WORDS - KW_TUN_ID)

/* A packet that the agent injects carries the number of this record in its mark. */
struct inject_rec {
	__u32 busy;
	__u32 in_port;
	__u32 block;
	__u32 mark;
	__u32 priority;
	__u32 recirc_id;
	__u32 dp_hash;
	__u32 tracked; /* ct has the key's words from KW_CT_STATE on */
	__u64 ct[CT_WORDS];
	__u64 tunnel[TUNNEL_WORDS];
	__u32 tunneled; /* tunnel has the key's words from KW_TUN_ID on */
	__u32 pad;
};
#define INJECT_MAGIC 0x0b5f0000u /* in the mark's high half, against stray packets of the host */
#define INJECT_LANES 64
#define INJECT_COPY (INJECT_MAGIC | 0xffffu) /* a copy; its state is in the ctx of its nesting level */

/* ---- native tunnels ---- */

/* IPv4 addresses are mapped ones (RFC 4291 section 2.5.5.2). */
struct next_hop_key {
	__be64 dst[2];
	__u32 mark;
	__u32 pad;
};

/* How a packet of a tunnel leaves the host. */
struct next_hop {
	__be64 src[2];
	__u32 ifindex;
	__u32 mtu; /* bytes of the outer IP packet, 0: not known */
	__u8 eth[12]; /* destination and source */
	__u32 resolved; /* eth is valid */
};

/* An address of a device of the host on which packets of tunnels arrive. */
struct underlay_addr {
	__be64 addr[2];
	__u32 ifindex;
	__u32 pad;
};

/* Key of a native tunnel port. */
#define TUNNEL_UDP(PORT) (IPPROTO_UDP << 16 | (PORT))
#define TUNNEL_GRE_OVER(VERSION) (IPPROTO_GRE << 16 | (VERSION))

#define UPCALL_NEXT_HOP 6 /* odp.UpcallNextHop: the cookie is the tunnel port */
#define UPCALL_TOO_BIG 7  /* odp.UpcallTooBig: and in the upper half, how long IP packets can be inside */

/* ---- upcalls ---- */

#define UPCALL_MAX 65600 /* longest packet */
#define UPCALL_RINGS 64
#define UPCALL_RING_ALG (UPCALL_RINGS - 1) /* of UPCALL_ALG, which the agent's conntrack reads */
#define UPCALL_ALG 128 /* a kind: with a ct_note */
#define UPCALL_RING_WATCH (UPCALL_RINGS - 2) /* of watched ports */
#define UPCALL_SLOW_PATH 1 /* odp.UpcallSlowPath */

struct upcall_rec {
	__u32 len;
	__u32 kind; /* 0: miss; else odp.UpcallKind */
	__u32 cookie;
	__u32 in_port;
	__u32 gso_type; /* SKB_GSO_* of the kernel */
	__u16 gso_size;
	__u16 csum_start; /* from the packet's start */
	__u16 csum_offset;
	__u16 vlan_tci;
	__u16 vlan_tpid; /* 0: no tag in the skb's metadata; host order */
	__u8 csum_partial;
	__u8 pad[5];
	struct flow_key key;
	struct ct_note note; /* of UPCALL_ALG */
	__u32 cut; /* the packet is to be cut to this, 0: not */
	__u32 headroom; /* where the agent puts the tag back */
	/* the packet */
};

/* ---- per CPU ---- */

struct totals {
	__u64 hit; /* by search */
	__u64 missed, lost, mask_hit, cache_hit;
};

/* The packet in hand: state that lives from program to program. */
struct ctx_state {
	__u64 keywords[FLOW_KEY_WORDS]; /* struct ctx.key */
	__u64 reserved;
	/* Pairs that are written as one word: see pair(). */
	__u32 l3; /* offsets from the Ethernet header; 0: there is none */
	__u32 l4;
	__u32 nw_proto; /* with l4: what is there */
	__u32 routed; /* an IPv6 routing header has another final destination */
	__u32 changed;   /* the packet is not what the key says */
	__u32 calls;     /* of other programs, so far */
	__u32 recircs;
	__u32 sent;      /* copies that went somewhere */
	__u32 injected;  /* has its actions already */
	__u32 trunc;  /* upcall: bytes of the packet that go up, 0: all */
	__u32 out_port;  /* for tests: where the packet went, */
	__u32 reason;    /* or why it did not */
	__u32 in_port;
	__u32 sender;    /* somebody on this host waits for the verdict */

	__u32 pos; /* see forget() */
	__u32 left;
	__u32 frag;
	__u32 block; /* next action: block and word in it */
	__u32 pc;
	__u32 search; /* subtables tried */
	__u32 hash;   /* of the mask cache */
	__u32 copy;   /* this is of a copy that is on its way to the inject program, */
	__u32 mark;   /* which has this mark */
	__u32 kind; /* upcall: kind and cookie; hash: symmetric and basis */
	__u32 cookie;
	__u32 last;      /* upcall: nothing follows */
	__u32 dirty;     /* l3 words from IPV6_SRC on were written for an earlier packet */
	__u32 meta;      /* so were metadata words: META_* */
	__u32 tunnel;    /* native tunnel port + 1 that the packet goes out of, or came in by */
	__u32 outer;     /* offset of what is behind the outer IP header */
	__u32 hint;      /* of a tracked packet + 1, until its next look-up */
};

/* The key's words are also reached by an index that the verifier knows to be below 128. */
union ctx {
	struct flow_key key;
	__u64 w[128];
	struct ctx_state s;
};

#define NEST_MAX 5

struct cpu {
	/* How many copies deep this CPU is: a program of ours may run inside bpf_clone_redirect of
	 * another (a bridge on top of a bridge). */
	__u32 nest;
	__u32 id; /* number of the CPU + 1 */
	struct totals total;
	__u64 reserved[2];
	union ctx ctx[NEST_MAX];
	__u64 sub_hits[MASKS_MAX]; /* of subtables, by search */
	__u8 cache[1 << CACHE_BITS];
	struct port_counts port[]; /* port_mask + 1 of them */
};
