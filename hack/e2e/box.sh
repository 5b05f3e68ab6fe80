#!/usr/bin/env bash
# A Kubernetes cluster with two nodes, each a real kubelet with a containerd, in network, mount, PID and IPC namespaces of its own: it cannot disturb
# a containerd, iptables rules or mounts of this machine, and whatever way it ends, the kernel removes all of it.
#
# Usage: box.sh DIR DEVCLUSTER COREDNS PAUSE-ARCHIVE. Stays in the foreground; SIGTERM stops it. What it says when it is ready comes
# from devcluster: "ready in N ms kubeconfig=FILE". DIR/box.pid has the process whose namespaces `nsenter` joins.
#
# From this machine pods, Services and the API server are reached over the link rambo-e2e.
set -euo pipefail

link=rambo-e2e
host_address=10.243.0.1 box_address=10.243.0.2
pod_cidr=10.244.0.0/16 service_cidr=10.96.0.0/16
# Of each node: addresses of its pods, and its own, which is their gateway.
node_cidrs=(10.244.0.0/17 10.244.128.0/17) node_addresses=(10.244.0.1 10.244.128.1)
cgroup=rambo-e2e

say() { printf 'box: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Every hierarchy of version 1, or the one of version 2.
cgroup_roots() {
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; return; fi
  awk '$3 == "cgroup" { print $2 }' /proc/self/mounts
}

# Of all hierarchies, also of one of version 2 that lies beside those of version 1: containerd makes its own there.
remove_cgroups() {
  awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts | while read -r root; do
    [ ! -d "$root/$cgroup" ] || find "$root/$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

cgroups_left() {
  awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts | while read -r root; do [ ! -d "$root/$cgroup" ] || echo "$root/$cgroup"; done
}

# What the kubelet sets for the whole machine is set back at the end.
tunables=(/proc/sys/vm/overcommit_memory /proc/sys/vm/panic_on_oom /proc/sys/kernel/panic /proc/sys/kernel/panic_on_oops /proc/sys/kernel/keys/root_maxkeys /proc/sys/kernel/keys/root_maxbytes)

outer() {
  local dir=$1 file
  mkdir -p "$dir"
  { exec 8>/run/lock/rambo-e2e; } 2>/dev/null || exec 8>/tmp/rambo-e2e.lock
  flock -n 8 || die "another cluster of this kind is up on this machine (link $link); one at a time"
  local -A before=()
  for file in "${tunables[@]}"; do [ ! -r "$file" ] || before[$file]=$(cat "$file"); done
  remove_cgroups
  exec 9</proc/self/ns/net
  unshare --net --mount --pid --ipc --uts --fork --kill-child --mount-proc bash "${BASH_SOURCE[0]}" --inside "$@" 8>&- &
  local job=$! code=0
  trap 'pkill -TERM -P "$job" || true' TERM INT HUP
  for _ in $(seq 100); do
    pgrep -P "$job" >"$dir/box.pid" && break
    kill -0 "$job" 2>/dev/null || break
    sleep 0.05
  done
  # A signal ends `wait` early.
  while kill -0 "$job" 2>/dev/null; do wait "$job" && code=0 || code=$?; done
  for file in "${!before[@]}"; do [ "$(cat "$file")" = "${before[$file]}" ] || echo "${before[$file]}" >"$file" || true; done
  # The last processes of the namespaces may still be on their way out of their cgroups.
  for _ in $(seq 50); do
    remove_cgroups
    [ -n "$(cgroups_left)" ] || break
    sleep 0.1
  done
  rm -f "$dir/box.pid"
  exit "$code"
}

# Folders that programs share by fixed paths are ours alone in here.
make_private() {
  local dir=$1
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/lock /run/netns /var/lib/cni "$dir/cni-state" "$dir/containers-log" /var/log/containers
  mount --bind "$dir/cni-state" /var/lib/cni
  mount --bind "$dir/containers-log" /var/log/containers
  hostname rambo-e2e
}

make_network() {
  ip link set lo up
  ip link add "$link" type veth peer name uplink
  ip link set "$link" netns /proc/self/fd/9
  ip address add "$box_address/30" dev uplink
  ip link set uplink up
  nsenter --net=/proc/self/fd/9 ip address add "$host_address/30" dev "$link"
  nsenter --net=/proc/self/fd/9 ip link set "$link" up
  nsenter --net=/proc/self/fd/9 ip route add "$pod_cidr" via "$box_address"
  nsenter --net=/proc/self/fd/9 ip route add "$service_cidr" via "$box_address"
  exec 9<&-
  local i
  for i in "${!node_addresses[@]}"; do
    ip link add "cni$i" type bridge
    ip address add "${node_addresses[$i]}/17" dev "cni$i"
    ip link set "cni$i" up
  done
  # Pods on one bridge answer each other past iptables otherwise, and a Service's address is never put back.
  echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
  echo 1 >/proc/sys/net/ipv4/ip_forward
}

# Folders and sockets of a node.
write_cni() {
  local dir=$1 i=$2
  mkdir -p "$dir/cni-$i"
  cat >"$dir/cni-$i/10-rambo.conflist" <<JSON
{ "cniVersion": "1.0.0", "name": "rambo", "plugins": [
  { "type": "bridge", "bridge": "cni$i", "isGateway": true, "hairpinMode": true,
    "ipam": { "type": "host-local", "dataDir": "$dir/cni-$i/addresses", "ranges": [[{ "subnet": "${node_cidrs[$i]}" }]], "routes": [{ "dst": "0.0.0.0/0" }] } },
  { "type": "portmap", "capabilities": { "portMappings": true } } ] }
JSON
}

# An overlay needs an upper folder on a file system that is none itself; containers in containers have none.
snapshotter() {
  local try=$1/overlay-try
  mkdir -p "$try"/{lower,upper,work,merged}
  if mount -t overlay overlay -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" "$try/merged" 2>/dev/null; then
    umount "$try/merged"
    echo overlayfs
  else
    echo native
  fi
  rm -rf "$try"
}

write_containerd() {
  local dir=$1 i=$2 restrict=false
  # Without this capability runc cannot lower a score and dies with "can't get final child's PID from pipe".
  (( (0x$(awk '/^CapEff/ { print $2 }' /proc/self/status) >> 24) & 1 )) || restrict=true
  cat >"$dir/containerd-$i.toml" <<TOML
version = 2
root = "$dir/containerd-$i"
state = "/run/containerd-$i"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[grpc]
  address = "/run/containerd-$i.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "rambo.dev/pause:1"
  restrict_oom_score_adj = $restrict
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$(snapshotter "$dir")"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni-$i"
TOML
}

# Runs a program again whenever it ends.
keep() {
  local log=$1
  shift
  while :; do "$@" >>"$log" 2>&1 8>&- || true; sleep 0.5; done
}

make_cgroups() {
  local root name file
  for name in "$@"; do
    cgroup_roots | while read -r root; do mkdir -p "$root/$name"; done
    # An empty cpuset takes no process.
    for file in cpuset.cpus cpuset.mems; do
      [ ! -f "/sys/fs/cgroup/cpuset/$name/$file" ] || cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$name/$file"
    done
  done
}

inside() {
  local dir=$1 devcluster=$2 coredns=$3 pause=$4
  trap 'kill -TERM "${up:-}" 2>/dev/null || true' TERM INT HUP
  make_private "$dir"
  make_network
  mkdir -p "$dir/logs"
  local i sockets=()
  for i in "${!node_cidrs[@]}"; do
    write_cni "$dir" "$i"
    write_containerd "$dir" "$i"
    make_cgroups "$cgroup" "$cgroup/$i"
    sockets+=("/run/containerd-$i.sock")
    keep "$dir/logs/containerd-$i.log" containerd --config "$dir/containerd-$i.toml" &
  done
  for i in "${!sockets[@]}"; do
    for _ in $(seq 200); do [ ! -S "${sockets[$i]}" ] || break; sleep 0.05; done
    ctr --address "${sockets[$i]}" --namespace k8s.io images import "$pause" >>"$dir/logs/containerd-$i.log" 2>&1 || die "containerd does not answer; see $dir/logs/containerd-$i.log"
  done
  cat >"$dir/Corefile" <<COREFILE
.:53 {
  bind ${node_addresses[0]}
  errors
  kubernetes cluster.local {
    kubeconfig $dir/cluster/kubeconfig
  }
  cache 5
}
COREFILE
  (for _ in $(seq 600); do [ ! -f "$dir/cluster/state.json" ] || break; sleep 0.1; done; keep "$dir/logs/coredns.log" "$coredns" -conf "$dir/Corefile") &
  "$devcluster" up --dir "$dir/cluster" --node kubelet --unsafe-no-fsync --bind-address "$box_address" --node-ip "$(IFS=,; echo "${node_addresses[*]}")" \
    --containerd-socket "$(IFS=,; echo "${sockets[*]}")" --cluster-dns "${node_addresses[0]}" --pod-cidr "$pod_cidr" --cgroup-root "/$cgroup" &
  up=$!
  local code=0
  while kill -0 "$up" 2>/dev/null; do wait "$up" && code=0 || code=$?; done
  exit "$code"
}

if [ "${1:-}" = --inside ]; then shift; inside "$@"; else [ $# = 4 ] || die 'usage: box.sh DIR DEVCLUSTER COREDNS PAUSE-ARCHIVE'; outer "$@"; fi
