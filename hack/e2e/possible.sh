#!/usr/bin/env bash
# Whether the end-to-end ring can run here; installs what it needs when that can be had. Ends with 1 and one line of the reason on
# stdout when it cannot. RAMBO_E2E=0 says no.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
no() { printf '%s\n' "$*"; exit 1; }

[ "${RAMBO_E2E:-1}" != 0 ] || no 'RAMBO_E2E=0'
[ "$(uname -s)" = Linux ] || no 'Linux is needed'
[ "$(id -u)" = 0 ] || no 'root is needed for a kubelet with containerd'
said=$("$here/packages.sh" 2>&1) || no "$(tail -n 1 <<<"$said")"
unshare --net --mount --pid --ipc --uts --fork true 2>/dev/null || no 'namespaces may not be made here'
# shellcheck disable=SC2016
unshare --net --mount bash -c 'ip link add rambo0 type veth peer name rambo1 && ip link add rambo2 type bridge &&
  iptables -t nat -A OUTPUT -p tcp -m comment --comment x -m conntrack --ctstate NEW -m statistic --mode random --probability 0.5 -j MARK --set-xmark 0x4000/0x4000 &&
  iptables -t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE --random-fully && iptables -A FORWARD -p tcp -j REJECT' >/dev/null 2>&1 ||
  no 'the kernel has no veth, bridge or iptables for us'
[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || modprobe br_netfilter 2>/dev/null || no 'the kernel has no br_netfilter: Services between pods would not work'
probe=/sys/fs/cgroup/rambo-probe-$$
[ -f /sys/fs/cgroup/cgroup.controllers ] || probe=$(awk '$3 == "cgroup" && $4 ~ /memory/ { print $2; exit }' /proc/self/mounts)/rambo-probe-$$
mkdir "$probe" 2>/dev/null || no 'cgroups cannot be made here'
rmdir "$probe"
((($(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo) >> 20) >= 3)) || no 'less than 3 GiB of memory are free'
((($(df --output=avail -k "${TMPDIR:-/tmp}" | tail -n 1) >> 20) >= 6)) || no "less than 6 GiB are free in ${TMPDIR:-/tmp}"
# What is fetched and built once: bases of the images from Debian packages, the pause image, CoreDNS, Helm.
for need in 'images/base.sh core' 'images/base.sh tools' 'e2e/pause/build.sh' 'tools/tool.sh coredns' 'tools/tool.sh helm'; do
  # shellcheck disable=SC2086
  said=$("$here/../"$need 2>&1 >/dev/null) || no "hack/$need: $(tail -n 1 <<<"$said")"
done
