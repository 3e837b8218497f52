#!/usr/bin/env bash
# Runs the load tests, the differential proof and an integration smoke test on other kernels, each in a throw-away
# virtual machine, as root: kernels.sh [-s] [KERNEL...]
#
#   -s       the short form, for CI
#   KERNEL   as vm-run names them; default: 6.1 and 6.12, those of Debian 12 and 13
#
# vm-run is not of this repository: it lies beside the clone, in ../shared/vm, or where $VM_RUN says.
set -euo pipefail
cd "$(dirname "$0")/../.."

short=
while getopts :s o; do
  case $o in
  s) short=1 ;;
  *) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
kernels=("$@")
[ ${#kernels[@]} -gt 0 ] || kernels=(6.1 6.12)

vm_run=${VM_RUN:-../shared/vm/vm-run}
if [ ! -x "$vm_run" ]; then
  echo "kernels: $vm_run is missing: it boots the kernels to test on; VM_RUN names another place" >&2
  exit 1
fi
vm_run=$(readlink -f "$vm_run")
missing=()
for p in qemu-system-x86 busybox-static kmod zstd xz-utils; do
  [ "$(dpkg-query -W -f='${Status}' $p 2>/dev/null || true)" = 'install ok installed' ] || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "kernels: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq </dev/null
  apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
fi

# What runs inside is built outside: emulation is slow. Static, as nothing is known of the guest.
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
export CGO_ENABLED=0
go build -o "$bin" ./cmd/ovs-bpfd ./cmd/ovs-bpfctl
go test -c -o "$bin/ebpf.test" ./datapath/ebpf
go test -c -o "$bin/integration.test" ./integration

load='TestBudget|TestOpenErrors|TestTraffic|TestVLAN|TestLists|TestCopies|TestMPLSTraffic|TestPeer|TestRestart|TestKill|TestNothingIsLeft'
smoke='TestOpenFlow|TestRewrite|TestInternalPort|TestPatchPorts|TestRestartKeepsEverything|TestKernelTunnels|TestTunnelLinuxPeer'
proof='TestDifferential(Conntrack|ALG)?'
pairs=30000
limit=3600
if [ -n "$short" ]; then
  load='TestBudget|TestOpenErrors'
  smoke='TestOpenFlow'
  proof='TestDifferential(Conntrack)?'
  pairs=4000
  limit=300
fi

# A test that was renamed must not be missed.
has() {
  local names=${2//|/ } name
  for name in $names; do
    [ "$("$bin/$1" -test.list "^$name\$")" = "$name" ] || { echo "kernels: $1 has no test $name" >&2; exit 1; }
  done
}
has ebpf.test "$load|TestDifferential|TestDifferentialConntrack|TestDifferentialALG"
has integration.test "$smoke"

failed=()
for k in "${kernels[@]}"; do
  began=$SECONDS
  echo "--- kernel $k"
  # Modules are loaded here: the agent loads none.
  OVS_BPF_BIN=$bin "$vm_run" -k "$k" -t $limit -e OVS_BPF_BIN -- bash -c '
    set -e
    uname -r
    for m in tun veth sch_ingress cls_bpf 8021q vxlan geneve ip_gre ip6_gre; do modprobe $m; done
    cd datapath/ebpf
    "$OVS_BPF_BIN/ebpf.test" -test.v -test.run "^($1)$"
    "$OVS_BPF_BIN/ebpf.test" -test.v -test.run "^$4$" -pairs "$3" -conversations "$3"
    cd ../../integration
    "$OVS_BPF_BIN/integration.test" -test.v -test.parallel 1 -test.run "^($2)$"
  ' kernels "$load" "$smoke" "$pairs" "$proof" </dev/null || failed+=("$k")
  echo "--- kernel $k: $((SECONDS - began)) s"
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "kernels: failed on ${failed[*]}" >&2
  exit 1
fi
