package ofctrl

import (
	"bytes"
	"context"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// tableMod changes what a table does when it is full, and with packets that it has no flow for.
func (c *conn) tableMod(m *openflow.TableMod) error {
	s := c.sw
	s.o.Mu.Lock()
	err := s.o.Tables.Mod(m, c.version)
	s.o.Mu.Unlock()
	if err == nil {
		s.o.Host.TablesChanged()
	}
	return err
}

// tableDesc describes all tables.
func (c *conn) tableDesc(ctx context.Context, xid uint32) error {
	s := c.sw
	tables := make([]openflow.TableMod, table.Visible)
	s.o.Mu.RLock()
	for i := range tables {
		tables[i] = s.o.Tables.Desc(uint8(i))
	}
	s.o.Mu.RUnlock()
	return parts(ctx, c, xid, tables, func(t []openflow.TableMod) openflow.MultipartBody {
		return &openflow.TableDescReply{Tables: t}
	})
}

// ConfigureTable gives a flow table what the database says of it.
func (s *Switch) ConfigureTable(id uint8, cfg table.Config) {
	s.o.Mu.Lock()
	gone := s.o.Tables.Configure(id, cfg)
	s.announce(gone, nil)
	s.o.Mu.Unlock()
	if len(gone) > 0 {
		s.o.Host.TablesChanged()
	}
}

// Commands of openflow.TableFeatures (ofp_table_features_command of 1.5).
const (
	featuresReplace = 0
	featuresModify  = 1
)

// changeTableFeatures names tables, which is all that can be changed of them: a request that wants more is refused,
// and nothing changed. Before 1.5 a request must have all tables.
func (c *conn) changeTableFeatures(list []openflow.TableFeatures) error {
	refused := func(t *openflow.TableFeatures, err openflow.Err) error {
		return fmt.Errorf("features of table %d: %w", t.Table, err)
	}
	command := list[0].Command
	var seen [table.Count]bool
	s := c.sw
	s.o.Mu.Lock()
	defer s.o.Mu.Unlock()
	for i := range list {
		t := &list[i]
		switch {
		case int(t.Table) >= table.Visible:
			return refused(t, openflow.TableFeaturesBadTable)
		case seen[t.Table]:
			return refused(t, openflow.TableFeaturesDupTable)
		case t.Command != command:
			return refused(t, openflow.TableFeaturesBadCommand)
		}
		seen[t.Table] = true
		if err := c.sameFeatures(t); err != nil {
			return err
		}
		if s.o.Tables.Named(t.Table) && t.Name != s.o.Tables.Name(t.Table) {
			return refused(t, openflow.TableFeaturesEPerm) // the database's name
		}
	}
	if command > featuresModify || command == featuresReplace && len(list) < table.Visible {
		return fmt.Errorf("tables cannot be turned off: %w", openflow.TableFeaturesEPerm)
	}
	for i := range list {
		s.o.Tables.SetName(list[i].Table, list[i].Name)
	}
	return nil
}

// sameFeatures checks that features are those that the table has; those without properties say nothing of them.
func (c *conn) sameFeatures(t *openflow.TableFeatures) error {
	refused := func(err openflow.Err) error { return fmt.Errorf("features of table %d: %w", t.Table, err) }
	switch {
	case t.MetadataMatch != ^uint64(0) || t.MetadataWrite != ^uint64(0):
		return refused(openflow.TableFeaturesBadMetadata)
	case int(t.MaxEntries) != c.sw.o.Tables.Limit(t.Table):
		return refused(openflow.TableFeaturesEPerm) // 1.3 has no other, and OVS uses it in 1.5, too
	}
	have := map[uint16][]byte{}
	for _, p := range c.tableProperties(t.Table) {
		have[p.Type] = p.Value
	}
	for _, p := range t.Properties {
		// What is said of misses alone (odd numbers) holds for all other flows as well.
		if !bytes.Equal(p.Value, have[p.Type&^1]) {
			return refused(openflow.TableFeaturesEPerm)
		}
	}
	return nil
}
