#!/usr/bin/env bash
# An unmodified OVN with ovs-bpfd as its switch: a central and two chassis, each with a namespace, an ovsdb-server and an
# ovn-controller of its own, Geneve between them; two logical switches, a router, an ACL, a load balancer; the packets' way.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# hv N COMMAND: on a chassis, with its directories.
hv() {
  local n=$1; shift
  local d=$dir/hv$n
  OVS_RUNDIR=$d OVS_LOGDIR=$d OVS_DBDIR=$d OVS_SYSCONFDIR=$d OVN_RUNDIR=$d OVN_LOGDIR=$d in_ns "$id-hv$n" "$@"
}
hv1() { hv 1 "$@"; }
hv2() { hv 2 "$@"; }
on() { local h=$1; shift; in_ns "$id-$h" "$@"; }
nbctl() { ovn-nbctl --db="unix:$dir/nb.sock" --timeout=30 "$@"; }
sbctl() { ovn-sbctl --db="unix:$dir/sb.sock" --timeout=30 "$@"; }

central() {
  local db
  for db in nb sb; do
    ovsdb-tool create "$dir/$db.db" "/usr/share/ovn/ovn-$db.ovsschema"
    daemon "$dir/$db.out" ovsdb-server --remote="punix:$dir/$db.sock" --unixctl="$dir/$db.ctl" --log-file="$dir/$db.log" "$dir/$db.db"
  done
  until_true "the databases answer" eval 'nbctl init && sbctl init'
  daemon "$dir/northd.out" ovn-northd --ovnnb-db="unix:$dir/nb.sock" --ovnsb-db="unix:$dir/sb.sock" \
    --unixctl="$dir/northd.ctl" --log-file="$dir/northd.log"
}

chassis() { # chassis N: what an OVN host runs
  local n=$1 d=$dir/hv$1
  mkdir "$d"
  ovsdb-tool create "$d/conf.db"
  daemon "$d/ovsdb.out" hv "$n" ovsdb-server --remote="punix:$d/db.sock" --unixctl="$d/ovsdb.ctl" --log-file "$d/conf.db"
  until_true "ovsdb-server answers" hv "$n" ovs-vsctl --timeout=2 --no-wait init
  hv "$n" ovs-vsctl --no-wait set Open_vSwitch . other_config:tunnel-mode=native \
    external_ids:system-id="hv$n" external_ids:ovn-remote="unix:$dir/sb.sock" external_ids:ovn-encap-type=geneve \
    external_ids:ovn-encap-ip="192.168.50.$n" external_ids:ovn-bridge-datapath-type=bpf
  agents+=("$d") logs+=("$d/ovs-vswitchd.log" "$d/agent.out" "$d/ovn-controller.log")
  daemon "$d/agent.out" hv "$n" "$bin/ovs-bpfd" "unix:$d/db.sock" --pidfile --log-file -vconsole:off
  until_true "the agent answers" hv "$n" ovs-appctl ofproto/list
  daemon "$d/controller.out" hv "$n" ovn-controller "unix:$d/db.sock" --pidfile --log-file -vconsole:off
}

pod() { # pod NAME CHASSIS MAC ADDRESS GATEWAY: a network stack of its own, plugged in as the logical port NAME
  namespace "$id-$1"
  ip link add "p-$1" netns "$id-hv$2" type veth peer name eth0 netns "$id-$1"
  in_ns "$id-$1" ip link set eth0 address "$3" mtu 1442 up # 58 bytes for Geneve with OVN's option
  in_ns "$id-$1" ip addr add "$4/24" dev eth0
  in_ns "$id-$1" ip route add default via "$5"
  hv "$2" ip link set "p-$1" up
  show "hv$2" ovs-vsctl --timeout=20 add-port br-int "p-$1" -- set interface "p-$1" external_ids:iface-id="$1"
}

installed() { hv "$1" ovs-vsctl --timeout=5 get interface "p-$2" external_ids:ovn-installed | grep -q true; }

serve() { # serve POD PORT: tells its name by HTTP
  daemon "$dir/$1.out" nsenter --net="/run/netns/$id-$1" python3 -u -c "
import http.server
class Name(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'$1\n')
http.server.HTTPServer(('', $2), Name).serve_forever()"
  until_true "$1 listens" listens "$id-$1" "$2"
}

step "A central, and two chassis with Geneve between them"
namespace "$id-hv1"
namespace "$id-hv2"
pair "$id-hv1" eth1 "$id-hv2" eth1
for n in 1 2; do in_ns "$id-hv$n" ip addr add "192.168.50.$n/24" dev eth1; done
central
chassis 1
chassis 2
show hv1 ovs-appctl version
show ovn-controller --version

step "Two logical switches, front and back, and a router between them"
show nbctl ls-add front -- lsp-add front web1 -- lsp-set-addresses web1 "02:00:00:00:01:01 10.0.1.11" \
  -- lsp-add front web2 -- lsp-set-addresses web2 "02:00:00:00:01:02 10.0.1.12"
show nbctl ls-add back -- lsp-add back app -- lsp-set-addresses app "02:00:00:00:02:01 10.0.2.11" \
  -- lsp-add back db -- lsp-set-addresses db "02:00:00:00:02:02 10.0.2.12"
show nbctl lr-add router -- lrp-add router to-front 02:00:00:00:01:fe 10.0.1.1/24 -- lrp-add router to-back 02:00:00:00:02:fe 10.0.2.1/24
for s in front back; do
  show nbctl lsp-add $s $s-up -- lsp-set-type $s-up router -- lsp-set-addresses $s-up router -- lsp-set-options $s-up router-port=to-$s
done
step "An ACL: the database answers on TCP port 5432 only; and a service with two servers"
show nbctl acl-add back to-lport 1002 'outport == "db" && ip4 && tcp.dst == 5432' allow-related \
  -- acl-add back to-lport 1001 'outport == "db" && ip4' drop
show nbctl lb-add shop 10.96.0.1:80 10.0.1.11:8080,10.0.1.12:8080 tcp -- ls-lb-add back shop

step "Pods: web1 and app on hv1, web2 and db on hv2"
pod web1 1 02:00:00:00:01:01 10.0.1.11 10.0.1.1
pod app 1 02:00:00:00:02:01 10.0.2.11 10.0.2.1
pod web2 2 02:00:00:00:01:02 10.0.1.12 10.0.1.1
pod db 2 02:00:00:00:02:02 10.0.2.12 10.0.2.1
for p in 1:web1 1:app 2:web2 2:db; do until_true "$p is installed" installed ${p%:*} ${p#*:}; done
show nbctl --wait=hv sync
show sbctl show

step "Pings: between chassis on one switch, through the router on one chassis, and both"
show on web1 ping -q -c 20 -i 0.02 10.0.1.12
show on web1 ping -q -c 20 -i 0.02 10.0.2.11
show on web2 ping -q -c 20 -i 0.02 10.0.2.11

step "The service: app asks 10.96.0.1 eight times, either server answers"
serve web1 8080
serve web2 8080
for _ in $(seq 8); do on app curl -sS --max-time 5 http://10.96.0.1/; done | sort | uniq -c
show hv1 ovs-appctl dpctl/dump-conntrack | grep 10.96.0.1 | sed -n 1,2p

step "TCP from web1 to web2, beside the wire between the chassis"
for round in 1 2; do
  d=$(gbits "$id-hv1" "$id-hv2" 192.168.50.2 1) o=$(gbits "$id-web1" "$id-web2" 10.0.1.12 1)
  printf 'round %d: the bare wire %5.2f Gbit/s, pod to pod by Geneve %5.2f Gbit/s, ratio %.2f\n' $round "$d" "$o" "$(jq -n "$o / $d")"
done

step "The way of web2's ping to app: OVN's logical pipeline"
show ovn-trace --db="unix:$dir/sb.sock" --minimal front \
  'inport == "web2" && eth.src == 02:00:00:00:01:02 && eth.dst == 02:00:00:00:01:fe && ip4.src == 10.0.1.12 && ip4.dst == 10.0.2.11 && ip.ttl == 64 && icmp4.type == 8'
way=icmp,in_port=p-web2,dl_src=02:00:00:00:01:02,dl_dst=02:00:00:00:01:fe,nw_src=10.0.1.12,nw_ttl=64,icmp_type=8
step "... the same in OpenFlow: the tables where more than the default flow matched, and what is left of them as a megaflow"
show hv2 ovs-appctl ofproto/trace br-int "$way,nw_dst=10.0.2.11" >"$dir/trace"
grep -E '^ *[0-9]+\. .*(dl_dst|nw_dst|reg15|in_port)=|output|^Megaflow|^Datapath' "$dir/trace" | grep -v resubmit
printf '%s%s tables in all%s\n' "$dim" "$(grep -cE '^ *[0-9]+\. ' "$dir/trace")" "$off"

step "The megaflows that forward it, with hits: out of hv2, into hv1 (through the tracking that the service needs)"
on web2 ping -q -c 20 -i 0.02 10.0.2.11 >/dev/null
show hv2 ovs-appctl dpctl/dump-flows --names | grep 'in_port(p-web2).*dst=10.0.2.11'
show hv1 ovs-appctl dpctl/dump-flows --names | grep -E 'in_port\(genev_sys_6081\).*(proto=1,|\+trk.*p-app)'

step "The ACL: the database's port is open, a ping is dropped, with its reason and the flow that did it"
serve db 5432
show on web2 curl -sS --max-time 5 http://10.0.2.12:5432/
show on web2 ping -q -c 5 -i 0.05 -W 1 10.0.2.12 && exit 1
show hv2 "$bin/ovs-bpfctl" drops
hv2 ovs-appctl ofproto/trace br-int "$way,nw_dst=10.0.2.12" --ct-next trk,new >"$dir/trace"
flow=$(grep -B 1 '^ *drop$' "$dir/trace" | grep 'reg15=.*cookie' | tail -n 1)
echo "flow:        ${flow#"${flow%%[! ]*}"}"
echo "logical flow:$(sbctl lflow-list "${flow##*cookie }" | tail -n 1)"

step "At a glance"
show hv1 "$bin/ovs-bpfctl" show
echo; echo "Done; cleaning up."
