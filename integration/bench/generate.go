package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// header is what differs between the generator's packets.
type header struct {
	src      [4]byte
	srcPort  uint16
	dstPort  uint16
	tos, ttl uint8
}

// frames makes n packets of 64 bytes. Each has its number behind the UDP header.
func frames(n int, flow func(i int) header) []byte {
	be := binary.BigEndian
	buf := make([]byte, n*frameLen)
	for i := range n {
		h, p := flow(i), buf[i*frameLen:(i+1)*frameLen]
		copy(p, hostMAC[1])
		copy(p[6:], hostMAC[0])
		be.PutUint16(p[offEthType:], unix.ETH_P_IP)
		ip := p[14:34]
		ip[0], ip[1], ip[8], ip[9] = 0x45, h.tos, h.ttl, unix.IPPROTO_UDP
		be.PutUint16(ip[2:], frameLen-14)
		copy(ip[12:], h.src[:])
		copy(ip[16:], net.ParseIP(hostIP[1]).To4())
		be.PutUint16(ip[10:], checksum(ip))
		be.PutUint16(p[34:], h.srcPort)
		be.PutUint16(p[offDstPort:], h.dstPort)
		be.PutUint16(p[38:], frameLen-34)
		binary.NativeEndian.PutUint32(p[offSeq:], uint32(i))
	}
	return buf
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

const batch = 32

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// sender sends packets by AF_PACKET, many per system call, past the queueing discipline.
type sender struct {
	fd     int
	n      int
	iov    []unix.Iovec
	msgs   []mmsghdr
	frames []byte
}

// newSender sends packets out of a device in the namespace of the calling thread.
func newSender(device string, frames []byte) (*sender, error) {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	if err := errors.Join(
		unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: dev.Index}),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20),
	); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set up packet socket: %w", err)
	}
	n := len(frames) / frameLen
	s := &sender{fd: fd, n: n, iov: make([]unix.Iovec, n+batch), msgs: make([]mmsghdr, n+batch), frames: frames}
	for i := range s.msgs { // the first batch again at the end: every batch is in one piece
		s.iov[i] = unix.Iovec{Base: &frames[i%n*frameLen], Len: frameLen}
		s.msgs[i].hdr.Iov = &s.iov[i]
		s.msgs[i].hdr.Iovlen = 1
	}
	return s, nil
}

func (s *sender) close() { unix.Close(s.fd) }

// send sends up to k packets from i on and returns how many went out. A full queue is no error.
func (s *sender) send(i, k int) (int, error) {
	n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.msgs[i])), uintptr(k), 0, 0, 0)
	switch e {
	case 0:
		return int(n), nil
	case unix.ENOBUFS, unix.EAGAIN, unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("send: %w", e)
}

// flood sends round and round for a time, as fast as it goes, and returns the time that it took.
func (s *sender) flood(d time.Duration) (time.Duration, error) {
	start, i := time.Now(), 0
	for {
		for range 16 {
			n, err := s.send(i, batch)
			if err != nil {
				return 0, err
			}
			i = (i + n) % s.n
		}
		if t := time.Since(start); t >= d {
			return t, nil
		}
	}
}

// stalled is how long a packet may be on its way before it counts as lost.
const stalled = 200 * time.Millisecond

// pass is what became of packets that were sent once each.
type pass struct {
	delivered, lost int
	elapsed         time.Duration
}

// once sends every packet once with at most window of them on the way.
func (s *sender) once(to *sink, window int) (p pass, err error) {
	base, sent, last := to.received(), 0, 0
	start := time.Now()
	progress := start
	for {
		p.delivered = int(to.received() - base)
		if p.delivered+p.lost >= s.n {
			p.elapsed = time.Since(start)
			return p, nil
		}
		if p.delivered != last {
			last, progress = p.delivered, time.Now()
		}
		room := min(window-(sent-p.delivered-p.lost), s.n-sent, batch)
		if room > 0 {
			n, err := s.send(sent, room)
			if err != nil {
				return p, err
			}
			sent += n
			continue
		}
		if time.Since(progress) > stalled {
			p.lost = sent - p.delivered
			progress = time.Now()
			continue
		}
		nap(20 * time.Microsecond)
	}
}

// paced sends every packet once at a rate and returns how long each took to arrive, in
// nanoseconds; lost ones are missing.
func (s *sender) paced(to *sink, perSecond int) ([]float64, error) {
	sent := make([]uint64, s.n)
	to.clearStamps()
	gap := time.Second / time.Duration(perSecond)
	start := monotonic()
	for i := range s.n {
		due := start + uint64(i)*uint64(gap)
		for now := monotonic(); now < due; now = monotonic() {
			nap(time.Duration(due - now))
		}
		sent[i] = monotonic()
		if _, err := s.send(i, 1); err != nil {
			return nil, err
		}
	}
	time.Sleep(stalled)
	var took []float64
	for i, t := range sent {
		if a := to.arrival(i); a != 0 {
			took = append(took, float64(a)-float64(t))
		}
	}
	return took, nil
}

// nap sleeps on the thread itself: the scheduler of Go is too coarse for microseconds.
func nap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&ts, nil)
}

func monotonic() uint64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return uint64(ts.Nano())
}
