// Package unixctl is the control socket that ovs-appctl talks to, and a small client for it.
//
// The protocol is JSON-RPC 1.0 (RFC 7047 section 4 describes the framing) over a unix stream socket:
// the method is the command's name, the params are its arguments as strings, the answer is a result
// string or an error string, both ending in a newline. Every package of the daemon registers its own
// commands; none of them knows about sockets.
package unixctl
