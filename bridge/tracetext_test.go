package bridge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// What comes last in another step stays at its margin; what has something behind it is indented (ofproto/trace of
// OVS 3.1, of a flood through a patch port that comes before other actions).
func TestTraceText(t *testing.T) {
	br0, br1 := &Bridge{name: "br0"}, &Bridge{name: "br1"}
	var text traceText
	at := br0
	add := func(k pipeline.EventKind, s string) {
		text.Event(&pipeline.Event{Kind: k, Bridge: at, Text: s, Table: uint8(len(text.open) - 1)})
	}
	act := func(a openflow.Action) {
		text.Event(&pipeline.Event{Kind: pipeline.EventAction, Bridge: at, Action: a})
	}
	add(pipeline.EventBridge, "")
	add(pipeline.EventThaw, "Resuming from table 0")
	add(pipeline.EventTable, "")
	act(openflow.Output{Port: openflow.PortFlood})
	at = br1
	add(pipeline.EventBridge, "")
	add(pipeline.EventTable, "")
	act(nil)
	add(pipeline.EventEnd, "")
	add(pipeline.EventEnd, "")
	at = br0
	act(openflow.Output{Port: 3})
	add(pipeline.EventWarn, "Nonexistent output port")
	act(openflow.GotoTable{Table: 1})
	add(pipeline.EventTable, "")
	act(openflow.GotoTable{Table: 2})
	add(pipeline.EventTable, "")
	act(openflow.Output{Port: openflow.PortNormal})
	add(pipeline.EventDetail, "forwarding to learned port")
	add(pipeline.EventEnd, "")
	add(pipeline.EventEnd, "")
	add(pipeline.EventActionSet, "")
	act(openflow.CT{RecircTable: openflow.TableAll})
	add(pipeline.EventError, "ct is not supported by this switch")
	add(pipeline.EventEnd, "")

	const want = `
bridge("br0")
-------------
    thaw
        Resuming from table 0
 0. No match.
    FLOOD

    bridge("br1")
    -------------
         2. No match.
            drop
    output:3
     >> Nonexistent output port
    goto_table:1
     1. No match.
            goto_table:2
         2. No match.
            NORMAL
             -> forwarding to learned port
--. Executing action set:
    ct()
     >>>> ct is not supported by this switch <<<<
`
	var got strings.Builder
	text.write(&got)
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(got.String(), "\n")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
