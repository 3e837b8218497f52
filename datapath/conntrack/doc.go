// Package conntrack is connection tracking in plain Go: the executable specification of the ct action
// (ovs-actions(7)), which datapath/soft runs and what an eBPF datapath is compared with.
//
// A Table holds connections by the tuples of both their directions. Track does what a ct action does to
// one packet: it finds or makes the packet's connection, moves its state on, translates addresses, and
// writes the conntrack words of the packet's flow key.
//
// States and their times are those of OVS's userspace datapath; where that lets a packet pass that could
// not be tracked or translated, the packet is dropped, as the openvswitch kernel module does. Work per
// packet is bounded, and what is kept of a connection has a fixed size, so that the same can be done in eBPF.
package conntrack
