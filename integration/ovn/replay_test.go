package ovn

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// A session is what an ovn-controller and the stock ovs-vswitchd said to each other: testdata/NAME.cap.gz, with the dumps of the
// stock switch at some moments in testdata/NAME-{flows,groups,meters,tlv}-MOMENT.txt.gz.
type session struct {
	name    string
	moments []moment
}

// A moment of a session is before the first message after a mark of testdata/*.marks.txt, or before the first bundle that
// deletes more flows than it adds; no mark: the end.
type moment struct{ name, mark string }

const firstDeletion = "first deletion"

var (
	endOnly = []moment{{"end", ""}}
	// The dump was made before a port was unplugged.
	l2 = []moment{{"end", firstDeletion}, {"after it", ""}}
	// The dumps named end were made between the restart of ovn-controller and its exit.
	full     = []moment{{"start", "traffic-start"}, {"after-traffic", "traffic-end"}, {"end", "exit-start"}}
	sessions = []session{
		{"l2-old", l2}, {"l2-new", l2}, {"extras-old", endOnly},
		// It has actions that the ovs-ofctl of Debian 12 cannot show: there is nothing to compare but the errors.
		{"extras-new", endOnly},
		{"full-old-hv1", full}, {"full-old-gw1", full}, {"full-new-hv1", full}, {"full-new-gw1", full},
	}
)

// Every recorded session, said again to our switch, leaves the flows, groups, meters and TLV map that it left in the stock one,
// and no message is answered by an error that the stock switch did not give.
func TestReplay(t *testing.T) {
	for _, s := range sessions {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d := testenv.Simulated(t)
			d.Vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=dummy", "fail_mode=secure")
			r := newReplay(t, d, "testdata/"+s.name+".cap.gz")
			for _, m := range s.moments {
				until := int64(1<<63 - 1)
				switch m.mark {
				case "":
				case firstDeletion:
					until = r.firstDeletion()
				default:
					until = mark(t, s.name, m.mark)
				}
				r.until(until)
				for _, what := range []struct{ file, dump string }{
					{"flows", "dump-flows"}, {"groups", "dump-groups"}, {"meters", "dump-meters"}, {"tlv", "dump-tlv-map"},
				} {
					name := fmt.Sprintf("testdata/%s-%s-%s.txt.gz", s.name, what.file, m.name)
					b, err := os.Open(name)
					if os.IsNotExist(err) {
						continue // of short sessions only the flows are there
					}
					if err != nil {
						t.Fatal(err)
					}
					want := content(unzip(t, b))
					got := content(d.Ofctl("-O", "OpenFlow15", what.dump, "br-int"))
					if len(want) == 0 && what.file == "flows" {
						t.Fatalf("%s has no flows", name)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s at %s, stock (-), ours (+):\n%s", what.file, m.name, diff)
					}
				}
			}
			r.close()
		})
	}
}

// mark is the time of a mark of a session.
func mark(t *testing.T, session, name string) int64 {
	t.Helper()
	file := session[:strings.LastIndexByte(session, '-')] // without the chassis
	b, err := os.ReadFile("testdata/" + file + ".marks.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		at, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if text == name {
			n, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no mark %s", name)
	return 0
}

// record is one message of a session.
type record struct {
	at         int64 // nanoseconds
	fromSwitch bool
	conn       uint8
	msg        []byte
}

// Of the OpenFlow header.
const (
	version15          = 6
	typeError          = 1
	typeExperimenter   = 4
	typeBarrierRequest = 20
	typeBarrierReply   = 21
	typeBundleControl  = 33
	typeBundleAdd      = 34
	typeFlowMod        = 14
	deleteStrict       = 4 // the command of a flow mod
)

func (r *record) kind() byte  { return r.msg[1] }
func (r *record) xid() uint32 { return binary.BigEndian.Uint32(r.msg[4:]) }

func unzip(t *testing.T, f io.ReadCloser) string {
	t.Helper()
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func records(t *testing.T, name string) []record {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	var list []record
	for b := []byte(unzip(t, f)); len(b) > 0; {
		n := binary.BigEndian.Uint32(b[12:])
		list = append(list, record{int64(binary.BigEndian.Uint64(b)), b[8] == 1, b[9], b[16 : 16+n]})
		b = b[16+n:]
	}
	return list
}

// A replay is the controller's side of a session.
type replay struct {
	t     *testing.T
	path  string
	list  []record
	stock map[string]bool // errors that the stock switch gave
	conns map[uint8]*controller
}

func newReplay(t *testing.T, d *testenv.Daemon, file string) *replay {
	r := &replay{t, filepath.Join(d.Dir, "br-int.mgmt"), records(t, file), map[string]bool{}, map[uint8]*controller{}}
	for _, x := range r.list {
		if x.fromSwitch && x.kind() == typeError {
			r.stock[errorName(x.conn, x.msg)] = true
		}
	}
	return r
}

func errorName(conn uint8, msg []byte) string {
	return fmt.Sprintf("connection %d: error %x for message %#x", conn, msg[8:12], binary.BigEndian.Uint32(msg[4:]))
}

// until says what was said before a time, and waits until it is done.
func (r *replay) until(at int64) {
	r.t.Helper()
	for len(r.list) > 0 && r.list[0].at < at {
		x := r.list[0]
		r.list = r.list[1:]
		// A continuation is the property of the switch that made it.
		if x.fromSwitch || isResume(x.msg) {
			continue
		}
		c := r.conns[x.conn]
		if c == nil {
			c = r.dial(x.conn)
			r.conns[x.conn] = c
		}
		if _, err := c.Write(x.msg); err != nil {
			r.t.Fatal(err)
		}
		// What follows on other connections was said after this was done.
		if x.kind() == typeBarrierRequest {
			c.barrier(r.t, x.xid())
		}
	}
	for _, n := range slices.Sorted(maps.Keys(r.conns)) {
		c := r.conns[n]
		msg := []byte{version15, typeBarrierRequest, 0, 8, 0xff, 0xff, 0xff, 0xff}
		if _, err := c.Write(msg); err != nil {
			r.t.Fatalf("connection %d: %v", n, err)
		}
		c.barrier(r.t, 0xffffffff)
		for _, e := range c.taken() {
			if !r.stock[errorName(n, e)] {
				r.t.Errorf("%s, which stock did not give: %x", errorName(n, e), e)
			}
		}
	}
}

func (r *replay) close() {
	for _, c := range r.conns {
		c.Close()
		<-c.done
	}
}

// firstDeletion is the time of the message that opens the first bundle with more strict deletions of flows than other messages.
func (r *replay) firstDeletion() (at int64) {
	deletions, others := 0, 0
	for _, x := range r.list {
		switch {
		case x.fromSwitch:
		case x.kind() == typeBundleControl && binary.BigEndian.Uint16(x.msg[12:]) == 0:
			at, deletions, others = x.at, 0, 0
		case x.kind() == typeBundleControl && deletions > others:
			return at
		case x.kind() == typeBundleAdd && x.msg[17] == typeFlowMod && x.msg[41] == deleteStrict:
			deletions++
		case x.kind() == typeBundleAdd:
			others++
		}
	}
	r.t.Fatal("no flow is deleted")
	return 0
}

func isResume(msg []byte) bool {
	return msg[1] == typeExperimenter && len(msg) >= 16 && binary.BigEndian.Uint64(msg[8:]) == 0x2320<<32|28
}

// A controller is one connection to the switch.
type controller struct {
	net.Conn
	barriers chan uint32
	done     chan struct{}

	mu     sync.Mutex
	errors [][]byte
}

func (r *replay) dial(n uint8) *controller {
	r.t.Helper()
	conn, err := net.Dial("unix", r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	c := &controller{Conn: conn, barriers: make(chan uint32, 1000), done: make(chan struct{})}
	go c.read()
	r.t.Cleanup(func() { conn.Close() })
	return c
}

func (c *controller) read() {
	defer close(c.done)
	in := bufio.NewReader(c)
	for {
		head, err := in.Peek(8)
		if err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(head[2:]))
		if len(msg) < 8 {
			return
		}
		if _, err := io.ReadFull(in, msg); err != nil {
			return
		}
		switch msg[1] {
		case typeError:
			c.mu.Lock()
			c.errors = append(c.errors, msg)
			c.mu.Unlock()
		case typeBarrierReply:
			c.barriers <- binary.BigEndian.Uint32(msg[4:])
		}
	}
}

func (c *controller) taken() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.errors
	c.errors = nil
	return e
}

func (c *controller) barrier(t *testing.T, xid uint32) {
	t.Helper()
	for {
		select {
		case n := <-c.barriers:
			if n == xid {
				return
			}
		case <-c.done:
			t.Fatal("the switch closed the connection")
		case <-time.After(time.Minute):
			t.Fatalf("no barrier reply to %#x", xid)
		}
	}
}

var (
	// The short dumps leave out cookies and tables of zero.
	volatile = regexp.MustCompile(`(cookie=0x0, |table=0, )|(duration|n_packets|n_bytes|idle_age|hard_age)=[^ ,]*,? ?`)
	learned  = regexp.MustCompile(`\b(idle_timeout|hard_timeout)=\d+, .*actions=`)
	spaces   = regexp.MustCompile(`\s+`)
)

// content is what a dump says that does not depend on traffic and time, a line an entry, sorted. Flows that a learn action of the
// recorded traffic made are left out.
func content(dump string) []string {
	var out []string
	for line := range strings.Lines(dump) {
		line = strings.TrimSpace(spaces.ReplaceAllString(line, " "))
		switch {
		case line == "", strings.Contains(line, " reply ("), strings.HasPrefix(line, "NXT_TLV"):
		case learned.MatchString(line), strings.Contains(line, "table=69, ") && !strings.Contains(line, "priority="):
			continue // table 69 has what load balancers' hairpin flows learned
		default:
			out = append(out, volatile.ReplaceAllString(line, ""))
		}
	}
	slices.Sort(out)
	return out
}
