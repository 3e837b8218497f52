package ipfix

import (
	"encoding/binary"
	"time"
)

const (
	version    = 10 // of IPFIX
	headerLen  = 16
	setHeader  = 4
	maxMessage = 1400 // octets: below any path's MTU, as UDP must not be fragmented (RFC 7011 section 10.3.3)

	templateSet        = 2
	optionsTemplateSet = 3
)

// message is one that grows by sets of records.
type message struct {
	b   []byte
	set int // where the open set begins
}

// newMessage begins a message. seq counts the records of the domain that were sent before.
func newMessage(export time.Time, seq, domain uint32) *message {
	m := &message{b: make([]byte, 0, maxMessage)}
	m.b = binary.BigEndian.AppendUint16(m.b, version)
	m.b = append(m.b, 0, 0)
	for _, v := range [...]uint32{uint32(export.Unix()), seq, domain} {
		m.b = binary.BigEndian.AppendUint32(m.b, v)
	}
	return m
}

// begin opens a set.
func (m *message) begin(id uint16) {
	m.set = len(m.b)
	m.b = binary.BigEndian.AppendUint16(m.b, id)
	m.b = append(m.b, 0, 0)
}

// end closes the set.
func (m *message) end() {
	binary.BigEndian.PutUint16(m.b[m.set+2:], uint16(len(m.b)-m.set))
}

// bytes is the message when it is whole.
func (m *message) bytes() []byte {
	binary.BigEndian.PutUint16(m.b[2:], uint16(len(m.b)))
	return m.b
}

// appendTemplate appends a template record.
func appendTemplate(b []byte, id uint16, list []element) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(list)))
	return appendElements(b, list)
}

func appendElements(b []byte, list []element) []byte {
	for _, e := range list {
		id := e.id
		if e.vmware {
			id |= 1 << 15
		}
		b = binary.BigEndian.AppendUint16(b, id)
		b = binary.BigEndian.AppendUint16(b, e.size)
		if e.vmware {
			b = binary.BigEndian.AppendUint32(b, enterprise)
		}
	}
	return b
}

// templates are the messages that define all records of an observation domain.
func templates(export time.Time, seq, domain uint32, virtual bool) (list [][]byte) {
	var m *message
	for _, s := range shapes {
		record := appendTemplate(nil, s.template(), s.elements(virtual))
		if m != nil && len(m.b)+len(record) > maxMessage {
			m.end()
			list, m = append(list, m.bytes()), nil
		}
		if m == nil {
			m = newMessage(export, seq, domain)
			m.begin(templateSet)
		}
		m.b = append(m.b, record...)
	}
	m.end()
	return append(list, m.bytes())
}

// statMessages define and are what an exporting process tells of itself: how many packets it could not send. The process is no
// observation domain, which RFC 7011 section 3.1 calls domain 0.
func statMessages(export time.Time, seq, process uint32, notSent uint64) [][]byte {
	t := newMessage(export, seq, 0)
	t.begin(optionsTemplateSet)
	t.b = binary.BigEndian.AppendUint16(t.b, statTemplate)
	t.b = binary.BigEndian.AppendUint16(t.b, uint16(len(statElements)))
	t.b = binary.BigEndian.AppendUint16(t.b, 1) // the scope's elements
	t.b = appendElements(t.b, statElements)
	t.end()
	d := newMessage(export, seq, 0)
	d.begin(statTemplate)
	d.b = binary.BigEndian.AppendUint32(d.b, process)
	d.b = binary.BigEndian.AppendUint64(d.b, notSent)
	d.end()
	return [][]byte{t.bytes(), d.bytes()}
}
