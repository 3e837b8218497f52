// Package packet reads and writes packets: it extracts a flow.Key from bytes, rewrites headers
// in place with their checksums, pushes and pops tags, finishes checksums and segments GSO
// packets, and composes packets from a key. It never reads beyond the data it is given.
package packet
