package ebpf

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// deviceTx is how many packets a device of the switch says that it sent.
func deviceTx(t *testing.T, name string) uint64 {
	t.Helper()
	dev, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return dev.Attrs().Statistics.TxPackets
}

func peerOf(t *testing.T, l *lab, host string) *datapath.Peer {
	t.Helper()
	mac, err := net.ParseMAC(strings.TrimSpace(l.in(host, "cat /sys/class/net/e0/address")))
	if err != nil {
		t.Fatal(err)
	}
	return &datapath.Peer{MAC: [6]byte(mac), MTU: 1500}
}

// TestPeer sends frames to a port with a peer: its own go past the device, all others through it,
// so that the host sees them as it must.
func TestPeer(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		l := newLab(t)
		l.host("h1", 1)
		l.host("h2", 2)
		l.in("h1", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
		l.in("h2", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
		o := small()
		o.clsact = clsact
		d := l.open(o)
		defer d.Close(true)
		p1, p2 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev)
		if err := d.PortPeer(p2, peerOf(t, l, "h2")); err != nil {
			t.Fatal(err)
		}
		if err := d.PortPeer(99, nil); !errors.Is(err, datapath.ErrNoSuchPort) {
			t.Errorf("peer of no port: %v", err)
		}
		var to odp.Action = odp.Output{Port: p2}
		acts := []odp.Action{odp.Set{Fields: []odp.FieldSet{{Field: flow.PktMark, Value: []byte{0, 0, 0, 9}}}}, to}
		f := &datapath.Flow{}
		f.Match.Set(flow.InPort, uint64(p1))
		put := func(acts ...odp.Action) {
			t.Helper()
			f.Actions = acts
			if _, err := d.FlowPut(f); err != nil {
				t.Fatal(err)
			}
		}
		send, recv := l.packetSocket("h1"), l.packetSocket("h2")
		defer unix.Close(send)
		defer unix.Close(recv)
		if err := unix.SetsockoptTimeval(recv, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
			t.Fatal(err)
		}
		frame := func(dst byte, typ uint16, tags int) []byte {
			b := udp(1, 2)
			b[0], b[5] = dst&0xfe, dst
			if dst == 0xff {
				for i := range 6 {
					b[i] = 0xff
				}
			}
			b[12], b[13] = byte(typ>>8), byte(typ)
			if tags > 0 {
				b = append(b[:12:12], append([]byte{0x81, 0, 0, 5}, b[12:]...)...)
			}
			return b
		}
		for _, tc := range []struct {
			what   string
			acts   []odp.Action
			frame  []byte
			direct bool
			typ    uint8 // PACKET_* of linux/if_packet.h
		}{
			{"own address", []odp.Action{to}, frame(2, 0x800, 0), true, unix.PACKET_HOST},
			{"own address, mark set", acts, frame(2, 0x800, 0), true, unix.PACKET_HOST},
			{"foreign address", []odp.Action{to}, frame(4, 0x800, 0), false, unix.PACKET_OTHERHOST},
			{"broadcast", []odp.Action{to}, frame(0xff, 0x800, 0), false, unix.PACKET_BROADCAST},
			{"not IP", []odp.Action{to}, frame(2, 0x88b5, 0), false, unix.PACKET_HOST},
			{"tagged", []odp.Action{to}, frame(2, 0x800, 1), false, unix.PACKET_HOST},
			{"tag pushed", []odp.Action{odp.PushVLAN{TPID: 0x8100, TCI: 0x1005}, to}, frame(2, 0x800, 0), false, unix.PACKET_HOST},
			{"tag popped", []odp.Action{odp.PopVLAN{}, to}, frame(2, 0x800, 1), true, unix.PACKET_HOST},
			{"address set", []odp.Action{odp.Set{Fields: []odp.FieldSet{{Field: flow.EthDst, Value: []byte{2, 0, 0, 0, 0, 2}}}}, to}, frame(4, 0x800, 0), true, unix.PACKET_HOST},
			{"foreign address set", []odp.Action{odp.Set{Fields: []odp.FieldSet{{Field: flow.EthDst, Value: []byte{2, 0, 0, 0, 0, 9}}}}, to}, frame(2, 0x800, 0), false, unix.PACKET_OTHERHOST},
			{"too long", []odp.Action{to}, append(frame(2, 0x800, 0), make([]byte, 1500)...), false, 0xff},
			{"copy", []odp.Action{to, odp.Output{Port: p1}}, frame(2, 0x800, 0), false, unix.PACKET_HOST},
		} {
			put(tc.acts...)
			if tc.typ == 0xff {
				l.in("h1", "ip link set e0 mtu 4000")
				l.sh("ip link set h1 mtu 4000")
			}
			before := deviceTx(t, "h2")
			st0, _ := d.PortStats(p2)
			if _, err := unix.Write(send, tc.frame); err != nil {
				t.Fatal(err)
			}
			typ := uint8(0xff)
			if tc.typ == 0xff {
				if err := unix.SetsockoptTimeval(recv, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 200000}); err != nil {
					t.Fatal(err)
				}
			}
			buf := make([]byte, 4000)
			for {
				_, from, err := unix.Recvfrom(recv, buf, 0)
				if err == nil && (from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING || [6]byte(buf[6:12]) != [6]byte{2, 0, 0, 0, 0, 1}) {
					continue // the host's own
				}
				if err == nil {
					typ = from.(*unix.SockaddrLinklayer).Pkttype
				} else if tc.typ != 0xff {
					dumpState(t, d)
					t.Fatalf("%s: %v", tc.what, err)
				}
				break
			}
			if typ != tc.typ {
				t.Errorf("clsact=%v: %s: packet type %d, want %d", clsact, tc.what, typ, tc.typ)
			}
			if sent := deviceTx(t, "h2") - before; tc.typ != 0xff && (sent == 0) != tc.direct {
				t.Errorf("clsact=%v: %s: the device sent %d", clsact, tc.what, sent)
			}
			st1, _ := d.PortStats(p2)
			if st1.TxPackets != st0.TxPackets+1 {
				t.Errorf("clsact=%v: %s: %d packets counted", clsact, tc.what, st1.TxPackets-st0.TxPackets)
			}
			if tc.typ == 0xff {
				if err := unix.SetsockoptTimeval(recv, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
					t.Fatal(err)
				}
			}
		}

		// Packets from user space and of the host itself come from egress hooks, where it cannot be done.
		put(to)
		var key flow.Key
		key.Set(flow.InPort, uint64(p1))
		if err := d.Execute(&datapath.Packet{Data: frame(2, 0x800, 0)}, &key, []odp.Action{to}); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Read(recv, make([]byte, 2000)); err != nil {
			t.Errorf("packet from user space: %v", err)
		}
		if err := d.PortPeer(p2, nil); err != nil {
			t.Fatal(err)
		}
		before := deviceTx(t, "h2")
		if _, err := unix.Write(send, frame(2, 0x800, 0)); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Read(recv, make([]byte, 2000)); err != nil || deviceTx(t, "h2") != before+1 {
			t.Errorf("without peer: %v", err)
		}
	}
}

// TestPeerTraffic is traffic of real hosts between ports with peers and the switch's own interface.
func TestPeerTraffic(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	l.tap()
	d := l.open(small())
	defer d.Close(true)
	sw := learn(d, l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev), l.port(d, "br0", datapath.PortInternal))
	for i, h := range []string{"h1", "h2"} {
		if err := d.PortPeer(sw.ports[i], peerOf(t, l, h)); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []string{"10.0.0.2", "10.0.0.254", "fd00::2", "fd00::fe"} {
		l.in("h1", "ping -c3 -i0.05 -W1 -s 3200 "+to)
	}
	l.sh("ping -c3 -i0.05 -W1 10.0.0.1; ping -c3 -i0.05 -W1 -s 3200 fd00::2")
	l.iperfServer("h2")
	for _, args := range []string{"-c 10.0.0.2 -t 1", "-c 10.0.0.2 -t 1 -R", "-6 -c fd00::2 -t 1", "-u -b 500M -c 10.0.0.2 -t 1"} {
		if rate := l.iperf("h1", args); rate < 50e6 {
			t.Errorf("iperf3 %s: %.0f bit/s", args, rate)
		}
	}
	l.iperf("", "-c 10.0.0.2 -t 1")
	sw.check(t)
	st, err := d.PortStats(sw.ports[1])
	if dev := deviceTx(t, "h2"); err != nil || dev > st.TxPackets/2 {
		t.Errorf("the device sent %d of %d packets, %v", dev, st.TxPackets, err)
	}
}
