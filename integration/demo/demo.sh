#!/usr/bin/env bash
# The main job on real packets: ovs-bpfd with its embedded database in namespaces of its own, br0 with three
# hosts made through the stock ovs-vsctl, pings, a TCP transfer, the megaflows, a drop with its reason.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$PWD/bin
id=demo$$
dir=$(mktemp -d /tmp/ovs-bpf-demo-XXXXXX)
sw=$id-sw
pids=()
export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir OVS_SYSCONFDIR=$dir

if [ -t 1 ]; then b=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'; else b='' dim='' off=''; fi
step() { printf '\n%s== %s%s\n' "$b" "$*" "$off"; }
show() { printf '%s$ %s%s\n' "$dim" "$*" "$off"; "$@"; }
in_ns() { local ns=$1; shift; nsenter --net=/run/netns/"$ns" "$@"; }
in_sw() { in_ns "$sw" "$@"; }

cleanup() {
  local rc=$?
  set +e
  [ $rc -eq 0 ] || { echo; echo "demo failed; the end of the agent's log:"; tail -n 30 "$dir"/ovs-vswitchd.log "$dir"/agent.out; } 2>/dev/null
  ovs-appctl -T 5 exit --cleanup >/dev/null 2>&1
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; done
  for ns in $(ip netns list | awk '{print $1}' | grep "^$id-"); do ip netns del "$ns"; done
  umount -l "$dir/bpffs" 2>/dev/null
  rm -rf "$dir"
  exit $rc
}
trap cleanup EXIT INT TERM

host() { # host NAME ADDRESS
  ip netns add "$id-$1"
  ip link add "p-$1" netns "$sw" type veth peer name eth0 netns "$id-$1"
  in_ns "$id-$1" ip link set lo up
  in_ns "$id-$1" ip addr add "$2" dev eth0
  in_ns "$id-$1" ip link set eth0 up
  in_sw ip link set "p-$1" up
}

gbits() { # gbits CLIENT-NS SERVER-NS ADDRESS: TCP throughput of one stream
  in_ns "$2" iperf3 -s -1 >/dev/null & local s=$!
  for _ in $(seq 50); do in_ns "$2" ss -Hltn sport = :5201 | grep -q 5201 && break; sleep 0.1; done
  in_ns "$1" iperf3 -c "$3" -t 3 -J | jq '.end.sum_received.bits_per_second / 1e9'
  wait $s || true
}

step "Three hosts in namespaces of their own, and ovs-bpfd in another"
ip netns add "$sw"
in_sw ip link set lo up
host web 10.0.0.1/24
host app 10.0.0.2/24
host router 10.0.0.3/24
in_ns "$id-router" "$bin/vlantag" eth0 10 & pids+=($!)
in_sw "$bin/ovs-bpfd" --db "embedded:$dir/conf.db" --pidfile --log-file -vconsole:off >"$dir/agent.out" 2>&1 & pids+=($!)
for _ in $(seq 100); do ovs-vsctl --timeout=2 --no-wait show >/dev/null 2>&1 && ovs-appctl version >/dev/null 2>&1 && break; sleep 0.1; done
show ovs-appctl version

step "br0 through the stock ovs-vsctl: web and app on access VLAN 10, router on a trunk"
show ovs-vsctl --timeout=20 add-br br0 -- set bridge br0 datapath_type=bpf -- \
  add-port br0 p-web tag=10 -- add-port br0 p-app tag=10 -- add-port br0 p-router trunks=10,20
show ovs-vsctl show

step "Pings: web to app inside VLAN 10, web to router across the tag"
show in_ns "$id-web" ping -q -c 20 -i 0.05 10.0.0.2
show in_ns "$id-web" ping -q -c 20 -i 0.05 10.0.0.3

step "A TCP transfer, beside a plain veth pair"
ip netns add "$id-d1"; ip netns add "$id-d2"
ip link add eth0 netns "$id-d1" type veth peer name eth0 netns "$id-d2"
for n in 1 2; do in_ns "$id-d$n" ip addr add "10.9.9.$n/24" dev eth0; in_ns "$id-d$n" ip link set eth0 up; done
for round in 1 2 3; do
  d=$(gbits "$id-d1" "$id-d2" 10.9.9.2); o=$(gbits "$id-web" "$id-app" 10.0.0.2)
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
