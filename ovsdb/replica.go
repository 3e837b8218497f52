package ovsdb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"

	"github.com/ovs-bpf/ovs-bpf/ovsdb/models"
)

// replica is a copy of the monitored part of the database, kept by libovsdb for the life of one connection.
// libovsdb's own reconnection is not used: it loses deletions, and panics when it gives up.
type replica struct {
	client client.Client
	cache  *cache.TableCache
	dirty  chan struct{} // has a value when something that matters has changed
	lost   chan struct{} // closed when the connection has ended
	quit   chan struct{} // closed when libovsdb will not say so
}

// newReplica connects, and returns when the whole content is there.
func newReplica(ctx context.Context, r remote, server columns) (*replica, error) {
	rows := map[string]model.Model{}
	var wanted []client.TableMonitor
	for name, t := range monitored() {
		has, ok := server[name]
		if !ok {
			continue
		}
		rows[name] = reduce(t.row, has)
		read := slices.DeleteFunc(slices.Clone(t.columns), func(c string) bool { return !has[c] })
		wanted = append(wanted, client.TableMonitor{Table: name, Fields: read})
	}
	dbModel, err := model.NewClientDBModel(database, rows)
	if err != nil {
		return nil, fmt.Errorf("database model: %w", err)
	}
	address, release, err := r.reach()
	if err != nil {
		return nil, err
	}
	defer release()
	silent := logr.Discard()
	cl, err := client.NewOVSDBClient(dbModel, client.WithEndpoint(r.endpoint(address)), client.WithLogger(&silent), client.WithTLSConfig(r.tls))
	if err != nil {
		return nil, fmt.Errorf("database client: %w", err)
	}
	p := &replica{client: cl, dirty: make(chan struct{}, 1), lost: make(chan struct{}), quit: make(chan struct{})}
	// libovsdb tells of a disconnection only who listens at that moment, so listening starts before connecting.
	go func() {
		defer close(p.lost)
		select {
		case <-cl.DisconnectNotify():
		case <-p.quit:
		}
	}()
	if err := cl.Connect(ctx); err != nil {
		close(p.quit)
		<-p.lost
		return nil, err
	}
	if p.cache = cl.Cache(); p.cache == nil {
		p.close()
		return nil, client.ErrNotConnected
	}
	p.cache.AddEventHandler(&cache.EventHandlerFuncs{
		AddFunc:    func(string, model.Model) { p.touch() },
		DeleteFunc: func(string, model.Model) { p.touch() },
		UpdateFunc: func(table string, before, after model.Model) {
			if matters(table, before, after) {
				p.touch()
			}
		},
	})
	m := cl.NewMonitor()
	m.Tables = wanted
	if _, err := cl.Monitor(ctx, m); err != nil {
		p.close()
		return nil, fmt.Errorf("monitor: %w", err)
	}
	p.touch()
	return p, nil
}

func (p *replica) touch() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// close ends the connection and waits for libovsdb's goroutines.
func (p *replica) close() {
	p.client.Close()
	select {
	case <-p.lost:
	case <-time.After(5 * time.Second):
		// It was not connected any more and has nothing to say.
		close(p.quit)
		<-p.lost
	}
}

// rows are the rows of a table by UUID; they must not be changed. libovsdb replaces rows, it does not change them.
func (p *replica) rows(table string) map[string]model.Model {
	t := p.cache.Table(table)
	if t == nil {
		return nil
	}
	return t.RowsShallow()
}

// datapaths are the UUIDs of the Datapath rows by datapath type.
func (p *replica) datapaths() map[string]string {
	for _, r := range p.rows("Open_vSwitch") {
		return expand[models.OpenvSwitch](r).Datapaths
	}
	return nil
}
