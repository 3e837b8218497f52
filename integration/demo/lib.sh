# What the demos share: a name and a directory of their own, daemons that end with them, commands shown as they run.
# Sourced with bash -euo pipefail; the demo sets "logs" to the files that help when it fails.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${OVS_BPF_BIN:-$root/bin}
id=demo$$
dir=$(mktemp -d "${TMPDIR:-/tmp}/ovs-bpf-demo-XXXXXX")
agents=() # run directories of agents, which clean up after themselves
pids=()
logs=()

if [ -t 1 ]; then b=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'; else b='' dim='' off=''; fi
step() { printf '\n%s== %s%s\n' "$b" "$*" "$off"; }
exec 3>&1 # for what stands around the output of commands, even where that goes through a pipe
show() { printf '%s$ %s%s\n' "$dim" "$*" "$off" >&3; "$@"; }
in_ns() { local ns=$1; shift; nsenter --net=/run/netns/"$ns" "$@"; }

# daemon OUTPUT COMMAND...: in a process group of its own, which Ctrl-C reaches only by way of cleanup.
daemon() {
  local out=$1; shift
  set -m
  "$@" >"$out" 2>&1 </dev/null &
  set +m
  pids+=($!)
}

# end_daemons ends them, those started last first, whatever they do.
end_daemons() {
  local i p
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    p=${pids[i]}
    kill -- "-$p"
    for _ in $(seq 100); do kill -0 -- "-$p" || break; sleep 0.05; done
    kill -9 -- "-$p"
    wait "$p"
  done 2>/dev/null
}

# until_true WHAT COMMAND...: tries for 30 seconds.
until_true() {
  local what=$1; shift
  for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "not within 30 seconds: $what" >&2
  return 1
}

# pair NS-A NAME-A NS-B NAME-B: a veth pair between two namespaces, both ends up.
pair() {
  ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
  in_ns "$1" ip link set "$2" up
  in_ns "$3" ip link set "$4" up
}

namespace() { ip netns add "$1"; in_ns "$1" ip link set lo up; }

listens() { in_ns "$1" ss -Hltn "sport = :$2" | grep -q .; }

gbits() { # gbits CLIENT-NS SERVER-NS ADDRESS SECONDS: TCP throughput of one stream
  in_ns "$2" iperf3 -s -1 >/dev/null & local s=$!
  until_true "iperf3 listens" listens "$2" 5201
  in_ns "$1" iperf3 -c "$3" -t "$4" -J | jq '.end.sum_received.bits_per_second / 1e9'
  wait $s || true
}

cleanup() {
  local rc=$? a ns
  trap '' INT TERM
  trap - EXIT
  set +e
  if [ $rc -ne 0 ] && [ $rc -ne 130 ] && [ $rc -ne 143 ]; then
    echo; echo "demo failed; the end of the logs:"
    tail -n 30 "${logs[@]}" 2>/dev/null
  fi
  for a in "${agents[@]}"; do OVS_RUNDIR=$a ovs-appctl -T 5 exit --cleanup >/dev/null 2>&1; done
  end_daemons
  for ns in $(ip netns list | awk '{print $1}' | grep "^$id-"); do
    ip netns pids "$ns" | xargs -r kill -9
    ip netns del "$ns"
  done
  for a in "${agents[@]}"; do umount -l "$a/bpffs" 2>/dev/null; done
  rm -rf "$dir"
  exit $rc
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
