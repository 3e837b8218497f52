package ofctrl

import (
	"sync"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// TestConcurrent lets controllers change and dump flows while translations look up, credit and
// send packet-ins, and flows expire: for the race detector, and for what must hold after it.
func TestConcurrent(t *testing.T) {
	b := newBench(t, false, nil)
	b.SetFailMode(true)
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := uint64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				var k flow.Key
				k.Set(flow.InPortOXM, i%20)
				var wc flow.Mask
				b.mu.RLock()
				r := b.tables.Lookup(0, &k, &wc)
				if i%50 == 0 {
					b.SendPacketIn(&PacketIn{PacketIn: openflow.PacketIn{Reason: openflow.ReasonAction, Packet: make([]byte, 60)}})
				}
				b.mu.RUnlock()
				if r != nil {
					r.Credit(1, 60, time.Now(), 0)
				}
			}
		})
	}
	const peers, rounds = 3, 150
	for id := range uint64(peers) {
		p := b.dial()
		p.hello("04")
		p.write("04 09 000c 00000002 0000 0080")
		writers.Go(func() {
			send := func(m openflow.Message) {
				raw, err := openflow.Encode(openflow.V13, 1, m)
				if err == nil {
					_, err = p.nc.Write(raw)
				}
				if err != nil {
					t.Error(err)
				}
			}
			for i := range uint64(rounds) {
				fm := openflow.FlowMod{
					Priority: uint16(id), BufferID: openflow.NoBuffer, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
					Flags: openflow.FlagSendFlowRem, Actions: []openflow.Action{openflow.Output{Port: 1}}, NewCookie: id,
				}
				fm.Match.Set(flow.InPortOXM, 1+i%10)
				send(&fm)
				if i%3 == 2 {
					fm.Command, fm.Actions = openflow.FlowDeleteStrict, nil
					send(&fm)
				}
				if i%10 == 0 {
					send(&openflow.MultipartRequest{Body: &openflow.FlowRequest{Table: openflow.TableAll, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}})
					b.Expire()
				}
			}
			// Everything is answered, and nothing refused.
			send(&openflow.BarrierRequest{})
			for {
				raw, err := openflow.ReadMessage(p.r, 0)
				if err != nil {
					t.Error(err)
					return
				}
				switch raw[1] {
				case 1:
					t.Errorf("error %x", raw)
				case 21:
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	// What each peer had added last and not deleted is there.
	want := 0
	for i := range 10 {
		last := rounds - 10 + i
		if last%3 != 2 {
			want++
		}
	}
	if n := b.count0(); n != want*peers {
		t.Errorf("%d flows, want %d", n, want*peers)
	}
}
