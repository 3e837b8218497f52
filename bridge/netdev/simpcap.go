package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// pcapSnapLen is the header's limit of packet sizes, OVS's number. Larger packets are written whole all the same.
const pcapSnapLen = 1518

// capture writes packets to files in pcap form (magic a1b2c3d4, version 2.4, Ethernet).
type capture struct {
	clock clock.Clock
	rx    *os.File
	tx    *os.File
}

// openCapture opens the files that options name, to be appended to.
func openCapture(options map[string]string, c clock.Clock) (capture, error) {
	p := capture{clock: c}
	var errs []error
	open := func(key string) *os.File {
		if options[key] == "" {
			return nil
		}
		f, err := openPcap(options[key])
		if err != nil {
			errs = append(errs, fmt.Errorf("options:%s: %w", key, err))
			return nil
		}
		return f
	}
	if both := open("pcap"); both != nil {
		p.rx, p.tx = both, both
	} else {
		p.rx, p.tx = open("rxq_pcap"), open("tx_pcap")
	}
	return p, errors.Join(errs...)
}

func openPcap(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil && end == 0 {
		var h []byte
		h = binary.LittleEndian.AppendUint32(h, 0xa1b2c3d4)
		h = binary.LittleEndian.AppendUint16(h, 2)
		h = binary.LittleEndian.AppendUint16(h, 4)
		h = append(h, make([]byte, 8)...) // time zone, accuracy
		h = binary.LittleEndian.AppendUint32(h, pcapSnapLen)
		h = binary.LittleEndian.AppendUint32(h, 1) // LINKTYPE_ETHERNET
		_, err = f.Write(h)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (p *capture) received(frame []byte) { p.write(&p.rx, frame) }
func (p *capture) sent(frame []byte)     { p.write(&p.tx, frame) }

// write appends a packet. A file that cannot be written is given up: half of a record would spoil it.
func (p *capture) write(f **os.File, frame []byte) {
	if *f == nil {
		return
	}
	now := p.clock.Now()
	b := make([]byte, 0, 16+len(frame))
	b = binary.LittleEndian.AppendUint32(b, uint32(now.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(now.Nanosecond()/int(time.Microsecond)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	if _, err := (*f).Write(append(b, frame...)); err != nil {
		_ = (*f).Close()
		*f = nil
	}
}

func (p *capture) close() {
	for _, f := range []*os.File{p.rx, p.tx} {
		if f != nil {
			_ = f.Close() // the second time when both are one
		}
	}
	p.rx, p.tx = nil, nil
}
