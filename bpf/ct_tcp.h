/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a TCP connection and its windows: conntrack/tcp.go. */
#pragma once

#include "ct_table.h"

enum ct_tcp_state {
	CT_CLOSED = 0,
	CT_SYN_SENT = 2,
	CT_ESTABLISHED = 4,
	CT_CLOSING = 7,
	CT_FIN_WAIT_2 = 9,
	CT_TIME_WAIT = 10,
};

enum ct_timer {
	CT_TCP_FIRST, CT_TCP_OPENING, CT_TCP_ESTAB, CT_TCP_FIRST_FIN, CT_TCP_FIN, CT_TCP_CLOSE,
	CT_UDP_FIRST, CT_UDP_SINGLE, CT_UDP_MULTIPLE, CT_ICMP_FIRST, CT_ICMP_REPLY,
	CT_OTHER_FIRST, CT_OTHER_SINGLE, CT_OTHER_MULTIPLE,
	CT_FRAGMENT, /* what is remembered of a fragmented packet */
};

/* Of those that are nearly valid the connection does not live longer. CT_BYPASSED: valid, as windows are not checked. */
enum ct_verdict { CT_VALID, CT_VALID_NEW, CT_NEARLY, CT_NEARLY_NEW, CT_INVALID, CT_RENEWS, CT_BYPASSED };

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_PSH 8
#define TCP_ACK 16
#define TCP_URG 32

#define SCALE_MASK 0x0f
#define SCALE_OFFERED 0x80
#define SCALE_UNKNOWN 0x40
#define MAX_SCALE 14

#define ACK_SLACK (0xffff + 1500)

struct ct_segment {
	__u32 seq, ack, window, length;
	__u8 flags, scale;
	__u16 pad;
};

static __always_inline int before(__u32 a, __u32 b) { return (__s32)(a - b) < 0; }

static __always_inline __u32 ct_max(__u32 a, __u32 b) { return a > b ? a : b; }

static __always_inline __u32 ct_space(const struct ct_segment *g)
{
	return g->length + !!(g->flags & TCP_SYN) + !!(g->flags & TCP_FIN);
}

static __always_inline int ct_bogus(const struct ct_segment *g)
{
	__u8 f = g->flags;

	if ((f & TCP_SYN) && (f & (TCP_RST | TCP_FIN)))
		return 1;
	if (!(f & (TCP_SYN | TCP_ACK | TCP_RST)))
		return 1;
	return !(f & TCP_ACK) && (f & (TCP_FIN | TCP_PSH | TCP_URG));
}

static __always_inline int ct_tcp_opens(const struct ct_segment *g)
{
	return !ct_bogus(g) && (g->flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK);
}

static __always_inline __u32 unscaled(__u32 window, __u8 scale)
{
	__u32 s = scale & SCALE_MASK;

	return (window + (1u << s) - 1) >> s;
}

static __always_inline void ct_tcp_open(struct ct_conn *n, const struct ct_segment *g)
{
	struct ct_peer *src = &n->tcp[0], *dst = &n->tcp[1];

	src->end = g->seq;
	src->limit = g->seq + ct_space(g) + 1;
	src->window = ct_max(g->window, 1);
	src->state = CT_SYN_SENT;
	dst->end = 0;
	dst->limit = 1;
	dst->window = 1;
	dst->state = CT_CLOSED;
	if (g->flags & TCP_SYN) {
		src->scale = g->scale;
		dst->scale = 0;
		src->window = unscaled(src->window, src->scale);
	} else {
		src->scale = dst->scale = SCALE_UNKNOWN;
	}
	n->timer = CT_TCP_FIRST;
}

static __always_inline __u8 ct_tcp_timer(__u8 a, __u8 b)
{
	__u8 low = a < b ? a : b, high = a < b ? b : a;

	if (low >= CT_FIN_WAIT_2)
		return CT_TCP_CLOSE;
	if (low >= CT_CLOSING)
		return CT_TCP_FIN;
	if (low < CT_ESTABLISHED)
		return CT_TCP_OPENING;
	return high >= CT_CLOSING ? CT_TCP_FIRST_FIN : CT_TCP_ESTAB;
}

/* Whether octets seq to end fit into what the receiver has offered, and what they acknowledge was sent: skew is how far that is behind. */
static __always_inline int ct_in_windows(const struct ct_peer *src, const struct ct_peer *dst, __u32 seq, __u32 end, __s64 skew,
					 __u8 sws, __u8 dws)
{
	__u32 window = dst->window << dws;

	return !before(src->limit, end) && !before(seq, src->end - window) && skew >= -ACK_SLACK && skew <= (__s64)ACK_SLACK << sws;
}

static __always_inline void ct_move_windows(struct ct_peer *src, struct ct_peer *dst, __u32 end, __u32 ack, __u32 win, __u8 sws)
{
	src->window = ct_max(src->window, win);
	if (before(src->end, end))
		src->end = end;
	if (!before(ack + (win << sws), dst->limit))
		dst->limit = ack + ct_max(win << sws, 1);
}

/* Moves the connection on by a segment of one of its ends. The caller has the lock. */
static __always_inline int ct_tcp(struct ct_conn *n, const struct ct_segment *g, __u32 reply, int check)
{
	struct ct_peer *src = &n->tcp[reply & 1], *dst = &n->tcp[~reply & 1];
	__u32 seq = g->seq, ack = g->ack, win = g->window, end;
	__u8 flags = g->flags, sws = 0, dws = 0;
	int fresh = 0, in;
	__s64 skew = 0;

	if (ct_bogus(g))
		return CT_INVALID;
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		if (src->state >= CT_FIN_WAIT_2 && dst->state >= CT_FIN_WAIT_2) {
			src->state = dst->state = CT_CLOSED;
			return CT_RENEWS;
		}
		if (src->state <= CT_SYN_SENT) {
			src->state = CT_SYN_SENT;
			n->timer = CT_TCP_FIRST;
			return CT_VALID_NEW;
		}
	}
	if (!(flags & TCP_SYN)) {
		if ((src->scale & SCALE_OFFERED) && (dst->scale & SCALE_OFFERED)) {
			sws = src->scale & SCALE_MASK;
			dws = dst->scale & SCALE_MASK;
		} else if ((src->scale & SCALE_UNKNOWN) && (dst->scale & SCALE_UNKNOWN)) {
			sws = dws = MAX_SCALE;
		}
	}
	end = seq + ct_space(g);
	if (src->state < CT_SYN_SENT) {
		__u32 limit;

		if ((flags & TCP_SYN) && (dst->scale & SCALE_OFFERED)) {
			src->scale = g->scale;
			if (src->scale & SCALE_OFFERED) {
				sws = src->scale & SCALE_MASK;
				dws = dst->scale & SCALE_MASK;
				win = unscaled(win, sws);
			} else {
				dst->window <<= dst->scale & SCALE_MASK;
				dst->scale = 0;
			}
		}
		src->end = seq;
		src->state = CT_SYN_SENT;
		limit = end + ct_max(1, dst->window << (dws & SCALE_MASK));
		if (src->limit == 1 || !before(limit, src->limit)) {
			src->limit = limit;
			fresh = 1;
		}
		src->window = ct_max(src->window, win);
	}
	if (!(flags & TCP_ACK) || (!ack && (flags & (TCP_ACK | TCP_RST)) == (TCP_ACK | TCP_RST)))
		ack = dst->end;
	if (seq == end)
		seq = end = src->end;
	if (!fresh)
		skew = (__s32)(dst->end - ack);
	sws &= SCALE_MASK;
	dws &= SCALE_MASK;
	in = ct_in_windows(src, dst, seq, end, skew, sws, dws) && (!(flags & TCP_RST) || g->seq - src->end + 1 <= 2);
	if (!in && check) {
		if (!((dst->state < CT_SYN_SENT || dst->state >= CT_FIN_WAIT_2 || src->state >= CT_FIN_WAIT_2) &&
		      !before(src->limit + ACK_SLACK, end) && !before(seq, src->end - ACK_SLACK)))
			return CT_INVALID;
		flags &= ~(TCP_ACK | TCP_SYN);
	}
	ct_move_windows(src, dst, end, ack, win, sws);
	if ((flags & TCP_SYN) && src->state < CT_SYN_SENT)
		src->state = CT_SYN_SENT;
	if ((flags & TCP_FIN) && src->state < CT_CLOSING)
		src->state = CT_CLOSING;
	if (flags & TCP_ACK) {
		if (dst->state == CT_SYN_SENT)
			dst->state = CT_ESTABLISHED;
		else if (dst->state == CT_CLOSING)
			dst->state = CT_FIN_WAIT_2;
	}
	if (flags & TCP_RST)
		src->state = dst->state = CT_TIME_WAIT;
	if (!in && check)
		return CT_NEARLY;
	n->timer = ct_tcp_timer(src->state, dst->state);
	return in ? CT_VALID : CT_BYPASSED;
}

/* Connections without states of their own. */
static __always_inline int ct_silent(struct ct_conn *n, __u32 reply)
{
	__u8 t = n->timer, first = CT_OTHER_FIRST, single = CT_OTHER_SINGLE, multiple = CT_OTHER_MULTIPLE;

	if (t >= CT_UDP_FIRST && t <= CT_UDP_MULTIPLE) {
		first = CT_UDP_FIRST;
		single = CT_UDP_SINGLE;
		multiple = CT_UDP_MULTIPLE;
	} else if (t == CT_ICMP_FIRST || t == CT_ICMP_REPLY) {
		first = single = CT_ICMP_FIRST;
		multiple = CT_ICMP_REPLY;
	}
	if (reply || t == multiple) {
		n->timer = multiple;
		return CT_VALID;
	}
	if (t == first)
		n->timer = single;
	return CT_VALID_NEW;
}
