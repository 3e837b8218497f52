package ebpf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
)

const (
	maxNextHops  = 1 << 14
	maxUnderlays = 1 << 12 // addresses
)

var (
	_ datapath.Underlayer       = (*Datapath)(nil)
	_ datapath.TunnelPortRanger = (*Datapath)(nil)
)

// addrWords is an address as the programs' keys have it: IPv4 mapped into IPv6.
func addrWords(a netip.Addr) [2]uint64 {
	b := a.As16()
	return [2]uint64{le.Uint64(b[:]), le.Uint64(b[8:])}
}

// SetNextHop implements datapath.Underlayer.
func (d *Datapath) SetNextHop(h datapath.NextHop) error {
	if !h.Dst.IsValid() || h.Src.IsValid() && h.Src.Is4() != h.Dst.Is4() {
		return fmt.Errorf("next hop of %v from %v: addresses do not fit", h.Dst, h.Src)
	}
	v := bpf.DatapathNextHop{Ifindex: uint32(h.Ifindex), Mtu: uint32(max(h.MTU, 0))}
	if h.Src.IsValid() {
		v.Src = addrWords(h.Src)
	}
	copy(v.Eth[:6], h.DstMAC[:])
	copy(v.Eth[6:], h.SrcMAC[:])
	if h.Ifindex != 0 && (h.DstMAC != [6]byte{} || h.Local) {
		v.Resolved = 1
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return errClosed
	}
	if err := d.coll.Maps["next_hops"].Put(bpf.DatapathNextHopKey{Dst: addrWords(h.Dst), Mark: h.Mark}, v); err != nil {
		return fmt.Errorf("next hop of %v: %w", h.Dst, err)
	}
	return nil
}

// DelNextHop implements datapath.Underlayer. One that is not there is no error.
func (d *Datapath) DelNextHop(dst netip.Addr, mark uint32) error {
	if !dst.IsValid() {
		return nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return errClosed
	}
	err := d.coll.Maps["next_hops"].Delete(bpf.DatapathNextHopKey{Dst: addrWords(dst), Mark: mark})
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("next hop of %v: %w", dst, err)
	}
	return nil
}

// SetUnderlay implements datapath.Underlayer. A device that fails does not keep the others from it.
func (d *Datapath) SetUnderlay(devices []datapath.UnderlayDevice) error {
	want := map[bpf.DatapathUnderlayAddr]bool{}
	used := map[int]bool{}
	for _, dev := range devices {
		for _, a := range dev.Addresses {
			if dev.Ifindex > 0 && a.IsValid() {
				want[bpf.DatapathUnderlayAddr{Addr: addrWords(a), Ifindex: uint32(dev.Ifindex)}] = true
				used[dev.Ifindex] = true
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	m := d.coll.Maps["underlays"]
	var errs []error
	for a := range want {
		if err := m.Put(a, uint32(1)); err != nil {
			errs = append(errs, fmt.Errorf("underlay address of device %d: %w", a.Ifindex, err))
		}
	}
	for ifindex := range used {
		if _, ok := d.underlays[ifindex]; !ok {
			if err := d.underlayAdd(ifindex); err != nil {
				errs = append(errs, err)
			}
		}
	}
	old, err := d.underlayAddrs()
	errs = append(errs, err)
	for _, a := range old {
		if want[a] {
			continue
		}
		if err := m.Delete(a); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("underlay address of device %d: %w", a.Ifindex, err))
		}
	}
	for ifindex, h := range d.underlays {
		if used[ifindex] {
			continue
		}
		delete(d.underlays, ifindex)
		if err := h.detach(); err != nil {
			errs = append(errs, fmt.Errorf("underlay device %d: %w", ifindex, err))
		}
	}
	return errors.Join(errs...)
}

func (d *Datapath) underlayAdd(ifindex int) error {
	h, err := d.attach(hook{ifindex: ifindex, underlay: true}, d.coll.Programs["underlay"])
	if err != nil {
		h.close()
		return fmt.Errorf("underlay device %d: %w", ifindex, err)
	}
	d.underlays[ifindex] = h
	return nil
}

func (d *Datapath) underlayAddrs() (out []bpf.DatapathUnderlayAddr, err error) {
	it := d.coll.Maps["underlays"].Iterate()
	var a bpf.DatapathUnderlayAddr
	var v uint32
	for it.Next(&a, &v) {
		out = append(out, a)
	}
	if err := it.Err(); err != nil {
		return out, fmt.Errorf("read underlay addresses: %w", err)
	}
	return out, nil
}

// adoptUnderlays puts the new programs at the devices of an earlier instance. Those that are gone are left out.
func (d *Datapath) adoptUnderlays() error {
	addrs, err := d.underlayAddrs()
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if _, ok := d.underlays[int(a.Ifindex)]; ok {
			continue
		}
		if err := d.underlayAdd(int(a.Ifindex)); err != nil && deviceGone(int(a.Ifindex)) {
			if err := d.coll.Maps["underlays"].Delete(a); err != nil {
				return fmt.Errorf("forget underlay device %d: %w", a.Ifindex, err)
			}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// SetTunnelPorts implements datapath.TunnelPortRanger.
func (d *Datapath) SetTunnelPorts(first, last uint16) error {
	if first == 0 || first > last {
		return fmt.Errorf("tunnel source ports %d to %d: no such range", first, last)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	d.table.config.at[0].TunnelPorts = uint32(first) | uint32(last)<<16
	return nil
}

func deviceGone(ifindex int) bool {
	_, err := net.InterfaceByIndex(ifindex)
	return err != nil
}
