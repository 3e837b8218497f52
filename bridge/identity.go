package bridge

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
)

// member is a port that may lend its MAC to the bridge.
type member struct {
	name string
	mac  net.HardwareAddr
}

// bridgeMAC chooses the MAC of the LOCAL port (ovs-vswitchd.conf.db(5), Bridge
// other_config:hwaddr): the configured one, else the lowest suitable MAC among the ports, else one
// made from the row's UUID, so that it is the same after a restart.
func bridgeMAC(hwaddr, uuid string, members []member) (net.HardwareAddr, error) {
	var bad error
	if hwaddr != "" {
		mac, err := net.ParseMAC(hwaddr)
		switch {
		case err != nil || len(mac) != 6:
			bad = fmt.Errorf("other_config:hwaddr %q is not an Ethernet address like 02:00:00:00:00:01", hwaddr)
		case mac[0]&1 != 0 || isZero(mac):
			bad = fmt.Errorf("other_config:hwaddr %q: the address must be unicast and not zero", hwaddr)
		default:
			return mac, nil
		}
	}
	var best net.HardwareAddr
	for _, m := range members {
		// Locally administered addresses are not globally unique; reserved ones are no host's.
		if len(m.mac) != 6 || m.mac[0]&1 != 0 || m.mac[0]&2 != 0 || isZero(m.mac) || reservedMAC(m.mac) {
			continue
		}
		if best == nil || bytes.Compare(m.mac, best) < 0 {
			best = m.mac
		}
	}
	if best == nil {
		h := sha1.Sum([]byte("bridge:" + uuid))
		best = h[:6]
		best[0] = best[0]&^1 | 2
	}
	return best, bad
}

func isZero(mac net.HardwareAddr) bool {
	return bytes.Equal(mac, make([]byte, len(mac)))
}

// reservedMAC reports whether a destination is never forwarded by NORMAL unless forward-bpdu is
// set: the IEEE 802.1D link-local block and the Extreme and Cisco protocol addresses.
func reservedMAC(mac []byte) bool {
	switch {
	case bytes.HasPrefix(mac, []byte{0x01, 0x80, 0xc2, 0x00, 0x00}):
		return mac[5] <= 0x0f
	case bytes.HasPrefix(mac, []byte{0x00, 0xe0, 0x2b, 0x00, 0x00}): // EDP, EAPS
		return mac[5] == 0x00 || mac[5] == 0x04 || mac[5] == 0x06
	case bytes.HasPrefix(mac, []byte{0x01, 0x00, 0x0c}):
		rest := binary.BigEndian.Uint32([]byte{0, mac[3], mac[4], mac[5]})
		switch rest {
		case 0x000000, 0xcccccc, 0xcccccd, 0xcdcdcd: // ISL, CDP/VTP, PVST+, STP uplink fast
			return true
		}
		return rest >= 0xccccc0 && rest <= 0xccccc7 // CFM
	}
	return false
}

// datapathID is the 64-bit OpenFlow identity: other_config:datapath-id (16 hex digits, or with
// 0x), else the bridge's MAC.
func datapathID(config string, mac net.HardwareAddr) (uint64, error) {
	var bad error
	if config != "" {
		digits := strings.TrimPrefix(config, "0x")
		id, err := strconv.ParseUint(digits, 16, 64)
		if err == nil && id != 0 && (len(digits) == 16 || digits != config) {
			return id, nil
		}
		bad = fmt.Errorf("other_config:datapath-id %q is not 16 hex digits (or 0x and fewer), not all zero", config)
	}
	return macUint(mac), bad
}

func macUint(mac net.HardwareAddr) uint64 {
	var b [8]byte
	copy(b[8-len(mac):], mac)
	return binary.BigEndian.Uint64(b[:])
}

// parseMAC reads a unicast Ethernet address.
func parseMAC(s string) (netdev.MAC, error) {
	var mac netdev.MAC
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 || hw[0]&1 != 0 || isZero(hw) {
		return mac, fmt.Errorf("mac %q is not a unicast Ethernet address like 02:00:00:00:00:01", s)
	}
	copy(mac[:], hw)
	return mac, nil
}
