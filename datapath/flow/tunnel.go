package flow

// Bits of tun_flags in a key. TunOAM is the one that OpenFlow can match (tun_flags=oam).
const (
	TunFlagOAM  = 1 << 0
	TunFlagDF   = 1 << 1 // do not fragment the outer packet
	TunFlagCsum = 1 << 2 // the outer packet has a checksum
	TunFlagKey  = 1 << 3 // the tunnel has a key: tun_id is valid
)
