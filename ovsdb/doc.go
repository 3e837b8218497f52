// Package ovsdb is the daemon's side of the Open_vSwitch database (RFC 7047, ovs-vswitchd.conf.db(5)): the desired
// configuration comes down as one immutable Snapshot, the status goes up as one Status.
//
// A Client keeps two connections to the server. One is libovsdb's: it monitors the columns that the switch
// reads, as far as the server has them. The other is a plain JSON-RPC session that holds the OVSDB lock
// "ovs_vswitchd" and sends the status; every transaction asserts the lock, so an instance that has lost it
// cannot write. When either ends both are made again, for ever, and the status is written in full.
//
// Embedded supervises an ovsdb-server of its own for hosts that run none.
package ovsdb
