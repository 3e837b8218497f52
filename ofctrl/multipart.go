package ofctrl

import (
	"context"
	"fmt"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// multipart answers a request for statistics.
func (c *conn) multipart(ctx context.Context, xid uint32, m *openflow.MultipartRequest) error {
	body, err := c.assemble(xid, m)
	if body == nil || err != nil {
		return err
	}
	s := c.sw
	switch req := body.(type) {
	case *openflow.DescRequest:
		s.mu.Lock()
		desc := s.desc
		s.mu.Unlock()
		return c.part(ctx, xid, &desc)
	case *openflow.FlowRequest:
		if req.Table != openflow.TableAll && req.Table >= table.Count {
			return fmt.Errorf("flow statistics of table %d: %w", req.Table, openflow.BadTableID)
		}
		if req.Aggregate {
			return c.aggregate(ctx, xid, req)
		}
		return c.flows(ctx, xid, req)
	case *openflow.TableRequest:
		s.o.Mu.RLock()
		tables := s.o.Tables.TableStats()
		s.o.Mu.RUnlock()
		return parts(ctx, c, xid, tables, func(t []openflow.TableStats) openflow.MultipartBody {
			return &openflow.TableReply{Tables: t}
		})
	case *openflow.PortStatsRequest:
		return parts(ctx, c, xid, s.o.Host.PortStats(req.Port), func(p []openflow.PortStats) openflow.MultipartBody {
			return &openflow.PortStatsReply{Ports: p}
		})
	case *openflow.PortDescRequest:
		ports := s.o.Host.Ports()
		if req.Port != openflow.PortAny && c.version >= openflow.V15 {
			ports = slices.DeleteFunc(slices.Clone(ports), func(p openflow.Port) bool { return p.No != req.Port })
		}
		return parts(ctx, c, xid, ports, func(p []openflow.Port) openflow.MultipartBody {
			return &openflow.PortDescReply{Ports: p}
		})
	case *openflow.GroupDescRequest:
		return c.groupDesc(ctx, xid, req.ID)
	case *openflow.GroupStatsRequest:
		return c.groupStats(ctx, xid, req.ID)
	case *openflow.GroupFeaturesRequest:
		return c.groupFeatures(ctx, xid)
	case *openflow.MeterConfigRequest:
		return c.meterConfigs(ctx, xid, req.ID)
	case *openflow.MeterStatsRequest:
		return c.meterStats(ctx, xid, req.ID)
	case *openflow.MeterFeaturesRequest:
		return c.meterFeatures(ctx, xid)
	case *openflow.QueueRequest:
		return c.queues(ctx, xid, req)
	case *openflow.QueueDescRequest:
		return c.queueDesc(ctx, xid, req)
	case *openflow.TableDescRequest:
		return c.tableDesc(ctx, xid)
	case *openflow.TableFeaturesRequest:
		return c.tableFeatures(ctx, xid, req)
	case *openflow.IPFIXRequest:
		return c.ipfixStats(ctx, xid, req)
	case *openflow.FlowMonitorRequest:
		return c.flowMonitor(ctx, xid, req)
	}
	return c.none(ctx, xid, body)
}

// part sends a reply of one part.
func (c *conn) part(ctx context.Context, xid uint32, body openflow.MultipartBody) error {
	return c.send(ctx, xid, &openflow.MultipartReply{Body: body})
}

// partItems is how many items are tried in one part of a reply at first.
const partItems = 256

// parts sends a list as a reply of as many parts as it takes, each below 64 KB. What the version
// has no form for is left out.
func parts[T any](ctx context.Context, c *conn, xid uint32, list []T, body func([]T) openflow.MultipartBody) error {
	return eachPart(c, xid, list, body, func(b []byte) error { return c.sendBytes(ctx, b) })
}

// eachPart gives the encoded parts of a reply to emit.
func eachPart[T any](c *conn, xid uint32, list []T, body func([]T) openflow.MultipartBody, emit func([]byte) error) error {
	n := partItems
	for {
		n = min(n, len(list))
		b, err := c.encode(xid, &openflow.MultipartReply{More: n < len(list), Body: body(list[:n])})
		if err != nil {
			if n > 1 {
				n /= 2 // did not fit, or there is one that the version cannot say
				continue
			}
			if len(list) == 0 {
				return err
			}
			if c.sw.news.allow(c.sw.o.Clock.Now()) {
				c.sw.log.Warnf("%s: left out of a reply, as OpenFlow 1.%d cannot say it: %v", c.remote.name, c.version-openflow.V10, err)
			}
			if list = list[1:]; len(list) > 0 {
				n = partItems
				continue
			}
			if b, err = c.encode(xid, &openflow.MultipartReply{Body: body(nil)}); err != nil {
				return err
			}
			return emit(b)
		}
		if err := emit(b); err != nil {
			return err
		}
		if list = list[n:]; len(list) == 0 {
			return nil
		}
		n = min(2*n, partItems)
	}
}

func filter(req *openflow.FlowRequest) *table.Filter {
	return &table.Filter{
		Table: req.Table, Match: req.Match, Cookie: req.Cookie, CookieMask: req.CookieMask,
		OutPort: req.OutPort, OutGroup: req.OutGroup,
	}
}

func (c *conn) flows(ctx context.Context, xid uint32, req *openflow.FlowRequest) error {
	s := c.sw
	var flows []openflow.FlowStats
	s.o.Mu.RLock()
	now := s.o.Clock.Now()
	s.o.Tables.Each(filter(req), func(r *table.Rule) { flows = append(flows, flowStats(r, now)) })
	s.o.Mu.RUnlock()
	return parts(ctx, c, xid, flows, func(f []openflow.FlowStats) openflow.MultipartBody {
		return &openflow.FlowReply{Flows: f, Nicira: req.Nicira}
	})
}

func (c *conn) aggregate(ctx context.Context, xid uint32, req *openflow.FlowRequest) error {
	s := c.sw
	s.o.Mu.RLock()
	packets, bytes, flows := s.o.Tables.Aggregate(filter(req))
	s.o.Mu.RUnlock()
	return c.part(ctx, xid, &openflow.AggregateReply{Packets: packets, Bytes: bytes, Flows: flows, Nicira: req.Nicira})
}

func (s *Switch) hasPort(no openflow.PortNo) bool {
	return slices.ContainsFunc(s.o.Host.Ports(), func(p openflow.Port) bool { return p.No == no })
}
