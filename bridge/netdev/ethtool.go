package netdev

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PortFeatures are OpenFlow's port features (ofp_port_features of 1.1 and later).
type PortFeatures uint32

// Port features.
const (
	Feature10MHD PortFeatures = 1 << iota
	Feature10MFD
	Feature100MHD
	Feature100MFD
	Feature1GHD
	Feature1GFD
	Feature10GFD
	Feature40GFD
	Feature100GFD
	Feature1TFD
	FeatureOther
	FeatureCopper
	FeatureFiber
	FeatureAutoneg
	FeaturePause
	FeaturePauseAsym
)

// MaxSpeed is the highest rate among features in kbit/s, OpenFlow's unit; 0 when there is none.
func (f PortFeatures) MaxSpeed() uint32 {
	for _, r := range []struct {
		bits PortFeatures
		kbps uint32
	}{
		{Feature1TFD, 1_000_000_000}, {Feature100GFD, 100_000_000}, {Feature40GFD, 40_000_000}, {Feature10GFD, 10_000_000},
		{Feature1GHD | Feature1GFD, 1_000_000}, {Feature100MHD | Feature100MFD, 100_000}, {Feature10MHD | Feature10MFD, 10_000},
	} {
		if f&r.bits != 0 {
			return r.kbps
		}
	}
	return 0
}

// linkModeFeatures are the features that ethtool's link modes (ETHTOOL_LINK_MODE_*_BIT, by
// number) stand for; modes of a rate that OpenFlow has no bit for are FeatureOther.
var linkModeFeatures = [...]PortFeatures{
	0: Feature10MHD, 1: Feature10MFD, 2: Feature100MHD, 3: Feature100MFD,
	4: Feature1GHD, 5: Feature1GFD, 6: FeatureAutoneg, 7: FeatureCopper, 10: FeatureFiber,
	12: Feature10GFD, 13: FeaturePause, 14: FeaturePauseAsym, 15: FeatureOther,
	17: Feature1GFD, 18: Feature10GFD, 19: Feature10GFD, 20: Feature10GFD,
	21: FeatureOther, 22: FeatureOther,
	23: Feature40GFD, 24: Feature40GFD, 25: Feature40GFD, 26: Feature40GFD,
	27: FeatureOther, 28: FeatureOther, 29: FeatureOther, 30: FeatureOther,
	31: FeatureOther, 32: FeatureOther, 33: FeatureOther, 34: FeatureOther, 35: FeatureOther,
	36: Feature100GFD, 37: Feature100GFD, 38: Feature100GFD, 39: Feature100GFD,
	40: FeatureOther, 41: Feature1GFD, 42: Feature10GFD, 43: Feature10GFD, 44: Feature10GFD,
	45: Feature10GFD, 46: Feature10GFD, 47: FeatureOther, 48: FeatureOther,
	52: FeatureOther, 53: FeatureOther, 54: FeatureOther, 55: FeatureOther, 56: FeatureOther,
	57: Feature100GFD, 58: Feature100GFD, 59: Feature100GFD, 60: Feature100GFD,
	61: Feature100GFD, 62: FeatureOther, 63: FeatureOther, 64: FeatureOther, 65: FeatureOther,
	66: FeatureOther, 67: Feature100MFD, 68: Feature1GFD,
	69: FeatureOther, 70: FeatureOther, 71: FeatureOther, 72: FeatureOther, 73: FeatureOther,
	74: 0, // FEC_LLRS, like 49 to 51 not a rate
}

// linkSettings is struct ethtool_link_settings with room for the three bitmaps behind it.
type linkSettings struct {
	cmd                                       uint32
	speed                                     uint32 // Mbit/s
	duplex, port, phy, autoneg                uint8
	mdio, mdix, mdixCtrl                      uint8
	words                                     int8 // 32-bit words per bitmap
	transceiver, masterCfg, masterState, rate uint8
	_                                         [7]uint32
	modes                                     [3 * 127]uint32 // supported, advertising, peer
}

const (
	ethtoolGLinkSettings = 0x4c
	duplexHalf           = 0
	duplexFull           = 1
	portTP, portFibre    = 0, 3
	portDA               = 5 // direct attach copper
	autonegEnable        = 1
)

// ethtool asks a device's driver through the ioctl socket fd. A driver that does not answer a
// question leaves its part empty; only the device's absence is an error.
func ethtool(fd int, name string) (Ethtool, error) {
	var e Ethtool
	drv, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	switch {
	case err == nil:
		e.Driver = cstring(drv.Driver[:])
		e.DriverVersion = cstring(drv.Version[:])
		e.Firmware = cstring(drv.Fw_version[:])
	case isGone(err):
		return e, fmt.Errorf("%s: driver information: %w", name, err)
	}
	var s linkSettings
	s.cmd = ethtoolGLinkSettings
	if err := ethtoolIoctl(fd, name, &s); err != nil {
		if isGone(err) {
			return e, fmt.Errorf("%s: link settings: %w", name, err)
		}
		return e, nil
	}
	// The first answer only says, as a negative number, how many words a bitmap has.
	words := -int(s.words)
	if words <= 0 || words > 127 {
		return e, nil
	}
	s = linkSettings{cmd: ethtoolGLinkSettings, words: int8(words)}
	if err := ethtoolIoctl(fd, name, &s); err != nil {
		return e, nil
	}
	e.settle(&s, words)
	return e, nil
}

func ethtoolIoctl(fd int, name string, s *linkSettings) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	// struct ifreq is the name and a union; a pointer goes where the union is.
	req := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(s)}
	copy(req.name[:], ifr.Name())
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL,
		uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return errno
	}
	return nil
}

// settle turns link settings into speed, duplex and features.
func (e *Ethtool) settle(s *linkSettings, words int) {
	e.Supported = features(s.modes[:words])
	e.Advertised = features(s.modes[words : 2*words])
	e.Peer = features(s.modes[2*words : 3*words])
	if s.speed != 0 && s.speed != ^uint32(0) {
		e.Speed = uint64(s.speed) * 1_000_000
	}
	switch s.duplex {
	case duplexHalf:
		e.Duplex = DuplexHalf
	case duplexFull:
		e.Duplex = DuplexFull
	}
	e.Current = speedFeature(s.speed, e.Duplex)
	switch s.port {
	case portTP, portDA:
		e.Current |= FeatureCopper
	case portFibre:
		e.Current |= FeatureFiber
	}
	if s.autoneg == autonegEnable {
		e.Current |= FeatureAutoneg
	}
}

// speedFeature is the feature of a rate in Mbit/s.
func speedFeature(mbps uint32, d Duplex) PortFeatures {
	half := d == DuplexHalf
	switch {
	case mbps == 0 || mbps == ^uint32(0):
		return 0
	case mbps == 10 && half:
		return Feature10MHD
	case mbps == 10:
		return Feature10MFD
	case mbps == 100 && half:
		return Feature100MHD
	case mbps == 100:
		return Feature100MFD
	case mbps == 1000 && half:
		return Feature1GHD
	case mbps == 1000:
		return Feature1GFD
	case mbps == 10000:
		return Feature10GFD
	case mbps == 40000:
		return Feature40GFD
	case mbps == 100000:
		return Feature100GFD
	case mbps == 1000000:
		return Feature1TFD
	}
	return FeatureOther
}

// features turns a bitmap of link modes into port features. A mode newer than the table is a
// rate of its own: FeatureOther.
func features(bitmap []uint32) PortFeatures {
	var f PortFeatures
	for w, word := range bitmap {
		for bit := range 32 {
			if word>>bit&1 == 0 {
				continue
			}
			if n := 32*w + bit; n < len(linkModeFeatures) {
				f |= linkModeFeatures[n]
			} else {
				f |= FeatureOther
			}
		}
	}
	return f
}
