#!/usr/bin/env bash
# The main job on real packets: ovs-bpfd with its embedded database in namespaces of its own, br0 with three
# hosts made through the stock ovs-vsctl, pings, a TCP transfer, the megaflows, a drop with its reason.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
sw=$id-sw
export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir OVS_SYSCONFDIR=$dir
agents=("$dir")
logs=("$dir/ovs-vswitchd.log" "$dir/agent.out")
in_sw() { in_ns "$sw" "$@"; }

host() { # host NAME ADDRESS
  namespace "$id-$1"
  pair "$sw" "p-$1" "$id-$1" eth0
  in_ns "$id-$1" ip addr add "$2" dev eth0
}

step "Three hosts in namespaces of their own, and ovs-bpfd in another"
namespace "$sw"
host web 10.0.0.1/24
host app 10.0.0.2/24
host router 10.0.0.3/24
daemon "$dir/vlantag.out" in_ns "$id-router" "$bin/vlantag" eth0 10
daemon "$dir/agent.out" in_sw "$bin/ovs-bpfd" --db "embedded:$dir/conf.db" --pidfile --log-file -vconsole:off
until_true "the agent answers" eval 'ovs-vsctl --timeout=2 --no-wait show && ovs-appctl version'
show ovs-appctl version

step "br0 through the stock ovs-vsctl: web and app on access VLAN 10, router on a trunk"
show ovs-vsctl --timeout=20 add-br br0 -- set bridge br0 datapath_type=bpf -- \
  add-port br0 p-web tag=10 -- add-port br0 p-app tag=10 -- add-port br0 p-router trunks=10,20
show ovs-vsctl show

step "Pings: web to app inside VLAN 10, web to router across the tag"
show in_ns "$id-web" ping -q -c 20 -i 0.05 10.0.0.2
show in_ns "$id-web" ping -q -c 20 -i 0.05 10.0.0.3

step "A TCP transfer, beside a plain veth pair"
namespace "$id-d1"
namespace "$id-d2"
pair "$id-d1" eth0 "$id-d2" eth0
for n in 1 2; do in_ns "$id-d$n" ip addr add "10.9.9.$n/24" dev eth0; done
for round in 1 2 3; do
  d=$(gbits "$id-d1" "$id-d2" 10.9.9.2 3) o=$(gbits "$id-web" "$id-app" 10.0.0.2 3)
  printf 'round %d: plain veth pair %5.2f Gbit/s, through br0 %5.2f Gbit/s, ratio %.2f\n' "$round" "$d" "$o" "$(jq -n "$o / $d")"
done

step "The megaflows that forwarded it, with hits"
show ovs-appctl dpctl/dump-flows --names

step "A drop with its reason: web may no longer speak to app"
show ovs-ofctl add-flow br0 'priority=100,ip,in_port=p-web,nw_dst=10.0.0.2,actions=drop'
in_ns "$id-web" ping -q -c 5 -i 0.05 -W 1 10.0.0.2 || true
show ovs-ofctl dump-flows br0
show "$bin/ovs-bpfctl" drops

step "At a glance"
show "$bin/ovs-bpfctl" show
echo; echo "Done; cleaning up."
