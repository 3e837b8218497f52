/* SPDX-License-Identifier: Apache-2.0 */
/* The few kernel types and constants that the programs need. Only the members named here are
 * used; their offsets are relocated at load time, so no full vmlinux.h is wanted. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_core_read.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* Verdicts; the same numbers at a tcx link and at a clsact filter. */
#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2
#define TC_ACT_REDIRECT 7

#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_8021Q 0x8100
#define ETH_P_RARP 0x8035
#define ETH_P_IPV6 0x86dd
#define ETH_P_MPLS_UC 0x8847
#define ETH_P_MPLS_MC 0x8848
#define ETH_P_8021AD 0x88a8

#define IPPROTO_HOPOPTS 0
#define IPPROTO_ICMP 1
#define IPPROTO_IGMP 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_GRE 47
#define IPPROTO_AH 51
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60
#define IPPROTO_SCTP 132

/* Younger than the headers that we compile with, Linux 6.3. */
#define ADJ_ROOM_DECAP_L3_IPV4 (1ull << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ull << 8)

/* Errors of helpers. */
#define EINVAL 22
#define EALREADY 114
#define ENOTSUPP 524

/* skb_shared_info.gso_type */
#define SKB_GSO_GRE (1 << 6)
#define SKB_GSO_GRE_CSUM (1 << 7)
#define SKB_GSO_UDP_TUNNEL (1 << 10)
#define SKB_GSO_UDP_TUNNEL_CSUM (1 << 11)
#define SKB_GSO_UDP_L4 (1 << 17)

#define CHECKSUM_UNNECESSARY 1
#define CHECKSUM_PARTIAL 3

struct sk_buff {
	unsigned char *head;
	unsigned char *data;
	unsigned int end;
	__u16 csum_start;
	__u16 csum_offset;
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

struct skb_shared_info {
	unsigned short gso_size;
	unsigned int gso_type;
} __attribute__((preserve_access_index));
