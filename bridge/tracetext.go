package bridge

import (
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// traceText makes a translation's steps the text of ofproto/trace. It implements pipeline.Listener.
type traceText struct {
	names bool // ports by name
	root  traceNode
	open  []*traceNode     // what has begun and not ended, outermost first
	forks []pipeline.Event // copies of the packet that go on later
}

// traceNode is a step with those inside of it.
type traceNode struct {
	kind pipeline.EventKind
	text string
	subs []*traceNode
}

// Event implements pipeline.Listener.
func (t *traceText) Event(e *pipeline.Event) {
	var names openflow.PortNames
	if t.names {
		names = portNames(e.Bridge)
	}
	switch e.Kind {
	case pipeline.EventBridge:
		t.begin(e.Kind, fmt.Sprintf("bridge(%q)", e.Bridge.Name()))
	case pipeline.EventTable:
		t.begin(e.Kind, tableText(e, names))
	case pipeline.EventActionSet:
		t.begin(e.Kind, "--. Executing action set:")
	case pipeline.EventBucket:
		t.begin(e.Kind, e.Text)
	case pipeline.EventEnd:
		if n := len(t.open); n > 0 {
			t.open = t.open[:n-1]
		}
	case pipeline.EventThaw:
		n := t.add(e.Kind, "thaw")
		n.subs = append(n.subs, &traceNode{kind: e.Kind, text: e.Text})
	case pipeline.EventAction:
		if e.Action == nil {
			t.add(e.Kind, "drop")
		} else {
			t.add(e.Kind, openflow.FormatActions([]openflow.Action{e.Action}, names))
		}
	case pipeline.EventFork:
		t.forks = append(t.forks, *e)
	case pipeline.EventDetail:
		t.add(e.Kind, " -> "+e.Text)
	case pipeline.EventWarn:
		t.add(e.Kind, " >> "+e.Text)
	case pipeline.EventError:
		t.add(e.Kind, " >>>> "+e.Text+" <<<<")
	}
}

// tableText is what a look-up found.
func tableText(e *pipeline.Event, names openflow.PortNames) string {
	switch {
	case e.Text != "":
		return fmt.Sprintf("%2d. %s", e.Table, e.Text)
	case e.Rule == nil:
		return fmt.Sprintf("%2d. No match.", e.Table)
	}
	m := e.Rule.Match()
	s := fmt.Sprintf("%2d. ", e.Table)
	if text := openflow.FormatMatchTLV(&m, names, e.Bridge.Tables().TLV().Layout()); text != "" {
		s += text + ", "
	}
	s += fmt.Sprintf("priority %d", e.Rule.Priority)
	if e.Rule.Cookie != 0 {
		s += fmt.Sprintf(", cookie %#x", e.Rule.Cookie)
	}
	return s
}

func (t *traceText) add(k pipeline.EventKind, text string) *traceNode {
	parent := &t.root
	if n := len(t.open); n > 0 {
		parent = t.open[n-1]
	}
	n := &traceNode{kind: k, text: text}
	parent.subs = append(parent.subs, n)
	return n
}

func (t *traceText) begin(k pipeline.EventKind, text string) { t.open = append(t.open, t.add(k, text)) }

// write writes the text. As in OVS, what comes last inside another step is not indented further: long chains of
// tables stay at the left.
func (t *traceText) write(s *strings.Builder) { writeSteps(s, t.root.subs, 0) }

func writeSteps(s *strings.Builder, list []*traceNode, level int) {
	const indent = "    "
	for i, n := range list {
		deeper := 0
		switch n.kind {
		case pipeline.EventBridge, pipeline.EventTable, pipeline.EventActionSet, pipeline.EventThaw:
			if i+1 < len(list) {
				deeper = 1
			}
		default:
			deeper = 1
		}
		margin := strings.Repeat(indent, level+deeper)
		if n.kind == pipeline.EventBridge {
			s.WriteByte('\n')
		}
		s.WriteString(margin + n.text + "\n")
		if n.kind == pipeline.EventBridge {
			s.WriteString(margin + strings.Repeat("-", len(n.text)) + "\n")
		}
		writeSteps(s, n.subs, level+2*deeper)
	}
}
