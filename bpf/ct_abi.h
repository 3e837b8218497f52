/* SPDX-License-Identifier: Apache-2.0 */
/* Connection tracking: what the programs and the agent share. What it does is written in Go in datapath/conntrack;
 * names here are its names. */
#pragma once

/* A direction of a connection, as conntrack.Tuple has it: host order but for the addresses. */
struct ct_tuple {
	__u64 src[2], dst[2];
	__u16 sport, dport;
	__u16 zone;
	__u8 proto;
	__u8 family;
};

/* An end of a TCP connection. */
struct ct_peer {
	__u32 end, limit, window;
	__u8 scale, state;
	__u16 pad;
};

/* A connection is in a slot, which its lock guards but for orig and reply: they never change. Whoever finds it by the
 * index holds the lock and looks whether the slot still has the generation that the index says. */
struct ct_conn {
	__u32 lock;
	__u32 gen;
	__u64 expires; /* jiffies */
	__u32 mark;
	__u8 used; /* the index has both tuples */
	__u8 replied;
	__u8 timer;
	__u8 nat;
	__u32 policy;
	__u8 alg; /* ALG_* */
	__u8 pad[3];
	__u64 label[2];
	struct ct_peer tcp[2];
	struct ct_tuple orig, reply;
};

#define CT_GEN_MASK 0x7fffffff

struct ct_zone {
	__u32 limit; /* + 1; 0: the default */
	__u32 count;
};

#define CT_ZONES 65536

/* Which limits are of the database; for the agent only. */
struct ct_held {
	__u64 zones[CT_ZONES / 64];
	__u32 standard, pad;
};

#define CT_TIMERS 16

/* A name of ct(timeout=name), and its timeouts, which may be the default ones. */
#define CT_POLICIES 1024 /* the first has no name, and the default ones */
#define CT_POLICY_NAME 64
struct ct_policy {
	__u64 timer[CT_TIMERS]; /* jiffies, by conntrack.Timer */
	char name[CT_POLICY_NAME];
};

/* Settings, and how many connections there are. */
struct ct_table {
	__u32 max;
	__u32 no_check; /* of TCP sequence numbers */
	__u32 limit;    /* of zones without one of their own, 0: none */
	__u32 version;  /* of all this, as the agent counts it */
	__u32 announced; /* how many connections have been, ever: the number of the next one */
	__u32 messages;  /* how many have gone to the agent, ever */
	__u64 reserved[5];
	__u32 count; /* on a cache line of its own */
	__u32 pad2;
	__u64 reserved2[7];
};

struct ct_counts {
	__u64 full, zone_full, displaced, clash, invalid;
	__u64 flags, sequence, bypass, natted_miss; /* see conntrack.Counters */
};

/* What the agent wants removed: connections by slot and generation. */
#define CT_JOB_MAX 1024
struct ct_job {
	__u32 n;
	__u32 removed;
	struct {
		__u32 slot, gen;
	} at[CT_JOB_MAX];
};

/* Settings and counters of IP fragments, arrays by version: conntrack/fragsettings.go. */
#define CT_FRAGMENTS_MAX 5000
struct ct_frag_stats {
	__u64 accepted, completed, small, expired, purged;
};
struct ct_frag_table {
	__u32 version; /* of the maps of fragments, as the agent counts it; 0: not begun */
	__u32 max;
	__u32 disabled[2], min[2];
	__u32 next; /* place in the ring; it is taken modulo max */
	__u32 pad;
	struct ct_frag_stats stats[2];
};

/* Flags of ACT_CT. */
#define CT_COMMIT 1
#define CT_FORCE 2
#define CT_MARK 4
#define CT_LABEL 8
#define CT_NAT 16
#define CT_SRC 32
#define CT_DST 64

/* The policy of ACT_CT is a number and a helper (ALG_*). */
#define CT_POLICY(w) ((w) & 0xffff)
#define CT_HELPER(w) ((w) >> 16)

/* First data word of the block of a translation; then come the first and the last address as numbers, high word
 * first. */
#define CT_NAT_MIN_PORT(w) ((__u16)(w))
#define CT_NAT_MAX_PORT(w) ((__u16)((w) >> 16))
#define CT_NAT_FAMILY(w) ((w) >> 32 & 7) /* of the addresses; 0: there are none, or those that there are stay */
#define CT_NAT_PERSISTENT (1ull << 40)
#define CT_NAT_HASH (1ull << 41)
#define CT_NAT_RANDOM (1ull << 42)
#define CT_NAT_MAX (1ull << 43) /* there is a last address */
#define CT_NAT_ZERO (1ull << 44) /* 0.0.0.0 or :: was given; not for the programs */

/* ct_state. */
#define CS_NEW 1
#define CS_EST 2
#define CS_REL 4
#define CS_RPL 8
#define CS_INV 16
#define CS_TRK 32
#define CS_SRC 64
#define CS_DST 128
#define CS_NAT (CS_SRC | CS_DST)

#include "ct_alg_abi.h"
