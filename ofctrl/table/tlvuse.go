package table

import (
	"reflect"
	"sync/atomic"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// TLVCounter is the version of a TLV table.
type TLVCounter struct{ n atomic.Uint64 } // read without the lock by revalidation

// Version implements datapath.Versioned.
func (c *TLVCounter) Version() uint64 { return c.n.Load() }

// usedOptions are the tun_metadata fields that rules and groups name, a bitmap.
func (t *Tables) usedOptions() (used uint64) {
	for i := range t.table {
		t.table[i].each(func(r *Rule) { used |= r.sub.mask[flow.TunPresentWord] | optionsOf(r.Actions) })
	}
	for _, g := range t.groups.byID {
		for _, b := range g.Buckets {
			used |= optionsOf(b.Actions)
		}
		for _, f := range g.Selection.Fields {
			used |= option(f.Field)
		}
	}
	return used
}

// UsesOptions reports whether a flow or group mod names tun_metadata fields.
func UsesOptions(m openflow.Message) bool {
	switch m := m.(type) {
	case *openflow.FlowMod:
		return m.Match.Mask[flow.TunPresentWord]|optionsOf(m.Actions) != 0
	case *openflow.GroupMod:
		return optionsIn(reflect.ValueOf(m)) != 0
	}
	return false
}

// optionsOf are the tun_metadata fields that actions name, a bitmap.
func optionsOf(list []openflow.Action) (used uint64) {
	for _, a := range list {
		switch a := a.(type) {
		case openflow.Output, openflow.Resubmit, openflow.GotoTable, openflow.Group, openflow.DecTTL, openflow.CTClear, openflow.Controller,
			openflow.Note, openflow.WriteMetadata, openflow.Conjunction, openflow.Meter:
		case openflow.SetField:
			used |= option(a.Field)
		case openflow.Load:
			used |= option(a.Dst.Field)
		case openflow.Move:
			used |= option(a.Src.Field) | option(a.Dst.Field)
		default:
			used |= optionsIn(reflect.ValueOf(a))
		}
	}
	return used
}

// option is a field's bit, 0 for one that is no tunnel option.
func option(id flow.FieldID) uint64 {
	if id < flow.TunMetadata0 || id > flow.TunMetadata63 {
		return 0
	}
	return 1 << (id - flow.TunMetadata0)
}

var fieldIDType = reflect.TypeFor[flow.FieldID]()

// optionsIn looks for fields in all that an action has, also in actions inside of it.
func optionsIn(v reflect.Value) (used uint64) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			used |= optionsIn(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return 0
		}
		for i := range v.Len() {
			used |= optionsIn(v.Index(i))
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			used = optionsIn(v.Elem())
		}
	default:
		if v.Type() == fieldIDType {
			used = option(flow.FieldID(v.Uint()))
		}
	}
	return used
}
