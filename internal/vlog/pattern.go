package vlog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// record is one message on its way to the destinations.
type record struct {
	log      *Log
	time     time.Time
	module   string
	level    Level
	seq      uint64
	msg      string
	facility int
}

// pattern is a message format of ovs-appctl(8), "vlog/set PATTERN:destination:pattern", cut into pieces.
type pattern struct {
	text   string
	pieces []piece
}

type piece struct {
	literal string // for verb 0
	verb    byte
	arg     string // of %d{} and %D{}
	left    bool   // pad on the right
	zero    bool   // pad with zeros
	width   int
}

// maxWidth bounds the padding that a pattern may ask for.
const maxWidth = 4096

// parsePattern never fails: what is no conversion is shown as it is.
func parsePattern(text string) pattern {
	p := pattern{text: text}
	for s := text; s != ""; {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			p.pieces = append(p.pieces, piece{literal: s})
			break
		}
		if i > 0 {
			p.pieces = append(p.pieces, piece{literal: s[:i]})
		}
		s = s[i+1:]
		var c piece
		if strings.HasPrefix(s, "-") {
			c.left, s = true, s[1:]
		}
		if strings.HasPrefix(s, "0") {
			c.zero, s = true, s[1:]
		}
		for s != "" && s[0] >= '0' && s[0] <= '9' {
			c.width = min(c.width*10+int(s[0]-'0'), maxWidth)
			s = s[1:]
		}
		if s == "" {
			break
		}
		c.verb, s = s[0], s[1:]
		if c.verb == 'd' || c.verb == 'D' {
			c.arg = "%Y-%m-%d %H:%M:%S"
			if strings.HasPrefix(s, "{") {
				if end := strings.IndexByte(s, '}'); end > 0 {
					c.arg, s = s[1:end], s[end+1:]
				}
			}
		}
		p.pieces = append(p.pieces, c)
	}
	return p
}

// append adds the record in the pattern's form to b.
func (p pattern) append(b []byte, r *record) []byte {
	for i := range p.pieces {
		c := &p.pieces[i]
		if c.verb == 0 {
			b = append(b, c.literal...)
			continue
		}
		at := len(b)
		b = c.value(b, r)
		if pad := c.width - (len(b) - at); pad > 0 {
			b = c.pad(b, at, pad)
		}
	}
	return b
}

func (c *piece) pad(b []byte, at, n int) []byte {
	fill := byte(' ')
	if c.zero {
		fill = '0'
	}
	padding := make([]byte, n)
	for i := range padding {
		padding[i] = fill
	}
	if c.left {
		return append(b, padding...)
	}
	value := string(b[at:])
	return append(append(b[:at], padding...), value...)
}

func (c *piece) value(b []byte, r *record) []byte {
	switch c.verb {
	case 'A':
		return append(b, r.log.opts.Program...)
	case 'B':
		return strconv.AppendInt(b, int64(r.facility|r.level.severity()), 10)
	case 'c':
		return append(b, r.module...)
	case 'd':
		return appendTime(b, c.arg, r.time.Local())
	case 'D':
		return appendTime(b, c.arg, r.time.UTC())
	case 'E':
		return append(b, r.log.host...)
	case 'm':
		return append(b, r.msg...)
	case 'N':
		return strconv.AppendUint(b, r.seq, 10)
	case 'n':
		return append(b, '\n')
	case 'p':
		return append(b, r.level.String()...)
	case 'P':
		return strconv.AppendInt(b, int64(r.log.pid), 10)
	case 'r':
		return strconv.AppendInt(b, r.time.UnixMilli()-r.log.start, 10)
	case 't', 'T':
		return b // the name of the thread: a Go daemon has none to tell
	}
	return append(b, c.verb)
}

// appendTime formats t by the conversions of strftime(3) that date patterns use; each '#' is a digit of
// the fraction of the second, as in OVS.
func appendTime(b []byte, format string, t time.Time) []byte {
	fraction := fmt.Sprintf("%09d", t.Nanosecond())
	for i := 0; i < len(format); i++ {
		ch := format[i]
		switch {
		case ch == '#':
			if fraction == "" {
				b = append(b, '0')
				continue
			}
			b, fraction = append(b, fraction[0]), fraction[1:]
		case ch == '%' && i+1 < len(format):
			i++
			b = appendConversion(b, format[i], t)
		default:
			b = append(b, ch)
		}
	}
	return b
}

// Go layouts of the strftime(3) conversions in the C locale.
var layouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
	'h': "Jan", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'j': "002", 'T': "15:04:05", 'F': "2006-01-02",
	'R': "15:04", 'D': "01/02/06", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05",
	'Z': "MST", 'z': "-0700",
}

func appendConversion(b []byte, verb byte, t time.Time) []byte {
	if layout, ok := layouts[verb]; ok {
		return t.AppendFormat(b, layout)
	}
	switch verb {
	case 's':
		return strconv.AppendInt(b, t.Unix(), 10)
	case 'n':
		return append(b, '\n')
	case 't':
		return append(b, '\t')
	case '%':
		return append(b, '%')
	}
	return append(b, '%', verb)
}
