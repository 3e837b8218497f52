/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that announce others (FTP, TFTP), and those that were announced: what the programs and the agent share. */
#pragma once

/* What is to know of a connection: its helper, whether another one announced it (the bit is that of ct_state), and
 * whether its sequence numbers are shifted. */
#define ALG_FTP 1
#define ALG_TFTP 2
#define ALG_HELPERS (ALG_FTP | ALG_TFTP)
#define ALG_RELATED CS_REL
#define ALG_SKEWED 8

/* conntrack.skew. */
struct ct_skew {
	__u32 at;
	__s32 before, after;
};

/* While a message of an end is in user space, which may make it longer, all that the end sends goes there too, so that it
 * comes down in order; what comes down behind a gap is dropped, to be sent again. */
struct ct_wait {
	__u32 on;
	__u32 next; /* sequence number behind what has come down, */
	__u32 high; /* and behind what has gone up */
};

/* What only these connections have, by slot. */
struct ct_alg {
	__u32 gen;       /* of the slot; of another one: this is stale */
	__u32 announced; /* number of the connection that it has announced last + 1, 0: none */
	struct ct_skew skew[2];
	struct ct_wait wait[2];
	struct ct_tuple parent; /* who announced it */
};

/* An announced connection, by the tuple of its first packet without the source port. */
struct ct_expectation {
	__u32 slot, gen; /* of who announced it */
	__u32 number;    /* of the announcement; it counts while it is one of the last CT_EXPECTATIONS */
	__u32 active;    /* it goes to the end that began the other one */
};

#define CT_EXPECTATIONS 1024

/* What goes up with a message that may announce a connection. */
struct ct_note {
	__u32 slot, gen; /* of its connection */
	__u32 block, pc; /* where the actions go on */
	__u32 flags;     /* CT_HELPED_REPLY, CT_HELPED_NAT */
	__u32 seq, space; /* its place in the sequence */
	__u32 pad;
};

/* What comes down with it, in ACT_CT_HELPED. */
#define CT_HELPED_REPLY 1     /* it goes to the end that began the connection */
#define CT_HELPED_NAT 2       /* its connection's packets are translated here */
#define CT_HELPED_ANNOUNCES 4 /* a connection to port b */
#define CT_HELPED_ACTIVE 8    /* of the end that began this one */
#define CT_HELPED_INVALID 16
