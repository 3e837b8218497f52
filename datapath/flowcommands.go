package datapath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Errors of flow commands, in the words that ovs-appctl shows of OVS.
var (
	errFlowExists  = errors.New("updating flow table (File exists)")
	errFlowMissing = errors.New("updating flow table (No such file or directory)")
	errFlowDelete  = errors.New("deleting flow (No such file or directory)\nPerhaps you need to specify a UFID?")
	// errPrerequisite: the flow would be wider than its text, as no packet is restricted to have the field.
	errPrerequisite = errors.New("a field without the eth_type, protocol or type that it belongs to")
	errNoDP         = errors.New("datapath not found (Invalid argument)")
)

// flowEdit is what a flow command may do.
type flowEdit struct{ create, modify, clear, del bool }

// dpctlError is an error as dpctl/* commands of the daemon word it.
func dpctlError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ovs-vswitchd: %w", err)
}

// flowCommands adds dpctl/add-flow, mod-flow, del-flow and those that read files of flows.
func (e *Engine) flowCommands(register func(name, usage string, minArgs, maxArgs int, f func(args []string) (string, error)), number odp.NameFunc) {
	one := func(edit flowEdit) func(args []string) (string, error) {
		return func(args []string) (string, error) {
			options, args := cutOptions(args)
			edit, statistics := edit, false
			for _, o := range options {
				switch o {
				case "-s", "--statistics":
					statistics = true
				case "--may-create":
					edit.create = true
				case "--clear":
					edit.clear = true
				default:
					return "", unrecognized(o)
				}
			}
			want := 2
			if edit.del {
				want = 1
			}
			if len(args) > want {
				if e.checkDP(args[0]) != nil {
					return "", dpctlError(errNoDP)
				}
				args = args[1:]
			}
			if len(args) != want {
				return "", errors.New("a flow and its actions are missing")
			}
			actions := ""
			if !edit.del {
				actions = args[1]
			}
			st, err := e.edit(args[0], actions, edit, number)
			if err != nil || !statistics {
				return "", dpctlError(err)
			}
			return odp.FormatStats(st.Packets, st.Bytes, e.used(st), st.TCPFlags) + "\n", nil
		}
	}
	file := func(edit flowEdit) func(args []string) (string, error) {
		return func(args []string) (string, error) {
			if len(args) > 1 && e.checkDP(args[0]) != nil {
				return "", dpctlError(errNoDP)
			}
			return e.editFile(args[len(args)-1], edit, number)
		}
	}
	register("dpctl/add-flow", "[dp] flow actions", 2, 5, one(flowEdit{create: true}))
	register("dpctl/mod-flow", "[dp] flow actions", 2, 6, one(flowEdit{modify: true}))
	register("dpctl/del-flow", "[dp] flow", 1, 3, one(flowEdit{del: true}))
	register("dpctl/add-flows", "[dp] file", 1, 2, file(flowEdit{create: true}))
	register("dpctl/mod-flows", "[dp] file", 1, 2, file(flowEdit{modify: true}))
	register("dpctl/del-flows", "[dp] [file]", 0, 2, func(args []string) (string, error) {
		switch {
		case len(args) == 0, len(args) == 1 && e.checkDP(args[0]) == nil:
			e.Purge()
			return "", nil
		}
		return file(flowEdit{del: true})(args)
	})
	register("dpctl/parse-actions", "actions", 1, 16, func(args []string) (string, error) {
		var b strings.Builder
		for _, a := range args {
			list, err := odp.ParseActions(a, number)
			if err != nil {
				return b.String(), dpctlError(fmt.Errorf("odp_actions_from_string (Invalid argument): %w", err))
			}
			b.WriteString(odp.FormatActions(list, nil) + "\n")
		}
		return b.String(), nil
	})
}

// maxFlowFile bounds the files of flows that are read, in bytes.
const maxFlowFile = 64 << 20

// editFile does a command for each line of a file: "[add|modify|delete] flow [actions]". A line that cannot be done is
// told and left out.
func (e *Engine) editFile(name string, edit flowEdit, number odp.NameFunc) (string, error) {
	if st, err := os.Stat(name); err == nil && st.Size() > maxFlowFile {
		return "", dpctlError(fmt.Errorf("%s: %d bytes are more than the %d that are read", name, st.Size(), maxFlowFile))
	}
	text, err := os.ReadFile(name)
	if err != nil {
		var why *fs.PathError
		if errors.As(err, &why) {
			err = why.Err
		}
		reason := err.Error()
		return fmt.Sprintf("ovs-vswitchd: Opening file \"%s\" failed (%s)\n", name, strings.ToUpper(reason[:1])+reason[1:]), nil // no error, as in OVS
	}
	var b strings.Builder
	for n, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		edit := edit
		switch words[0] {
		case "add":
			edit, words = flowEdit{create: true}, words[1:]
		case "modify":
			edit, words = flowEdit{modify: true}, words[1:]
		case "delete":
			edit, words = flowEdit{del: true}, words[1:]
		}
		want := 2
		if edit.del {
			want = 1
		}
		if len(words) != want {
			fmt.Fprintf(&b, "ovs-vswitchd: Failed parsing line number %d, skipped!\n", n+1)
			continue
		}
		if _, err := e.edit(words[0], words[want-1], edit, number); err != nil {
			fmt.Fprintf(&b, "ovs-vswitchd: %v\n", err)
		}
	}
	return b.String(), nil
}

// edit changes the datapath's flows by hand. As in OVS the flow is the revalidator's from then on: a pass gives it the
// actions that the tables have for it, deletes it when its mask is too wide for that, or when it is idle.
func (e *Engine) edit(key, actions string, edit flowEdit, number odp.NameFunc) (FlowStats, error) {
	var m flow.Match
	id, err := odp.ParseUFID(key)
	byUFID := edit.del && err == nil
	if !byUFID {
		if m, err = parseFlow(key, number); errors.Is(err, errPrerequisite) {
			return FlowStats{}, fmt.Errorf("updating flow table (Invalid argument): %w", err)
		} else if err != nil {
			return FlowStats{}, fmt.Errorf("parsing flow key (%w) (Invalid argument)", err)
		}
	}
	var list []odp.Action
	if !edit.del {
		if list, err = odp.ParseActions(actions, number); err != nil {
			return FlowStats{}, fmt.Errorf("parsing actions (Invalid argument): %w", err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var mf *megaflow
	if byUFID {
		mf = e.byUFID(id)
	} else {
		mf = e.flows[e.seed.id(&m.Key, &m.Mask)]
	}
	switch {
	case edit.del && mf == nil:
		return FlowStats{}, errFlowDelete
	case edit.del:
		st, _ := e.dp.FlowStats(mf.ref)
		e.remove(mf)
		return st, nil
	case mf == nil && !edit.create:
		return FlowStats{}, errFlowMissing
	case mf != nil && !edit.modify:
		return FlowStats{}, errFlowExists
	case mf == nil && len(e.flows) >= e.limit:
		return FlowStats{}, fmt.Errorf("updating flow table (the limit of %d flows is reached)", e.limit)
	}
	if mf != nil && edit.clear {
		e.remove(mf)
		mf = nil
	}
	fresh := mf == nil
	if fresh {
		mf = &megaflow{id: e.seed.id(&m.Key, &m.Mask), match: pack(&m.Key, &m.Mask), created: e.mono(), adopted: true}
	}
	ref, err := e.dp.FlowPut(&Flow{Match: m, Actions: list})
	if err != nil {
		return FlowStats{}, fmt.Errorf("updating flow table (%w)", err)
	}
	mf.ref, mf.actions, mf.slow, mf.adopted = ref, list, "", true
	if fresh {
		e.flows[mf.id] = mf
	}
	return e.dp.FlowStats(ref)
}

// byUFID finds a megaflow, nil when there is none. The caller holds mu.
func (e *Engine) byUFID(id [16]byte) *megaflow {
	var m flow.Match
	for _, mf := range e.flows {
		if mf.match.match(&m); odp.UFID(&m) == id {
			return mf
		}
	}
	return nil
}

// parseFlow reads a flow as FlowPut takes it: recirc_id and packet_type are always exact, and a packet without
// eth_type() is one without Ethertype.
func parseFlow(text string, number odp.NameFunc) (flow.Match, error) {
	m, err := odp.ParseKey(text, number)
	if err != nil {
		return m, err
	}
	// What can be said of the match is all that it has.
	if said, err := odp.ParseKey(odp.FormatKey(&m.Key, &m.Mask, odp.TextOptions{}), nil); err != nil || said.Mask != m.Mask {
		return m, errPrerequisite
	}
	m.Mask.SetExact(flow.RecircID)
	m.Mask.SetExact(flow.PacketType)
	if m.Mask.IsZero(flow.EthType) {
		m.Set(flow.EthType, packet.EthTypeNone)
	}
	if m.Mask.IsZero(flow.InPortOXM) {
		return m, errors.New("in_port is missing")
	}
	for i := flow.DPWords; i < flow.Words; i++ {
		m.Key[i], m.Mask[i] = 0, 0
	}
	m.Normalize()
	return m, nil
}

// Uses are what the translation of a megaflow used, in order; false when there is no such megaflow.
func (e *Engine) Uses(ufid [16]byte) ([]Credit, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	mf := e.byUFID(ufid)
	if mf == nil {
		return nil, false
	}
	t := e.translation()
	defer e.translations.Put(t)
	mf.match.key(&t.key)
	t.req = Request{Key: &t.key}
	e.tr.Translate(&t.req, &t.res) // those of a slow path are not kept
	for _, h := range t.res.Held {
		h.Release()
	}
	return append([]Credit(nil), t.res.Credits...), true
}
