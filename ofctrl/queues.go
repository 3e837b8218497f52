package ofctrl

import (
	"context"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

func (c *conn) queues(ctx context.Context, xid uint32, req *openflow.QueueRequest) error {
	port := req.Port
	if port == openflow.PortAll { // "any" of OpenFlow 1.0
		port = openflow.PortAny
	}
	if port != openflow.PortAny && !c.sw.hasPort(port) {
		return fmt.Errorf("queue statistics of port %d: %w", port, openflow.QueueBadPort)
	}
	queues := c.sw.o.Host.QueueStats(port, req.Queue)
	if len(queues) == 0 && req.Queue != QueueAll {
		return fmt.Errorf("queue statistics of queue %d: %w", req.Queue, openflow.QueueBadQueue)
	}
	return parts(ctx, c, xid, queues, func(q []openflow.QueueStats) openflow.MultipartBody {
		return &openflow.QueueReply{Queues: q}
	})
}

// queueConfig lists the queues of a port in OpenFlow 1.0 to 1.3.
func (c *conn) queueConfig(ctx context.Context, xid uint32, m *openflow.QueueConfigRequest) error {
	list, err := c.queueList(m.Port, QueueAll)
	if err != nil {
		return err
	}
	return c.send(ctx, xid, &openflow.QueueConfigReply{Port: m.Port, Queues: list})
}

// queueDesc does the same from 1.4 on.
func (c *conn) queueDesc(ctx context.Context, xid uint32, m *openflow.QueueDescRequest) error {
	list, err := c.queueList(m.Port, m.Queue)
	if err != nil {
		return err
	}
	return parts(ctx, c, xid, list, func(q []openflow.QueueConfig) openflow.MultipartBody {
		return &openflow.QueueDescReply{Queues: q}
	})
}

// queueList finds queues. As in OVS no rates are told: what OpenFlow means by them the kernel's queues have not.
func (c *conn) queueList(port openflow.PortNo, queue uint32) ([]openflow.QueueConfig, error) {
	if port != openflow.PortAny && !c.sw.hasPort(port) {
		return nil, fmt.Errorf("queues of port %d: %w", port, openflow.QueueBadPort)
	}
	var list []openflow.QueueConfig
	for _, q := range c.sw.o.Host.Queues(port) {
		if queue == QueueAll || queue == q.Queue {
			list = append(list, openflow.QueueConfig{Port: q.Port, Queue: q.Queue, MinRate: openflow.RateUnknown, MaxRate: openflow.RateUnknown})
		}
	}
	if len(list) == 0 && queue != QueueAll {
		return nil, fmt.Errorf("queue %d: %w", queue, openflow.QueueBadQueue)
	}
	return list, nil
}
