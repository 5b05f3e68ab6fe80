#!/usr/bin/env bash
# Brings what the real cluster and the images need from Debian, when it is missing: containerd, runc, CNI plugins, iptables, buildah,
# mmdebstrap. Does nothing, offline, when all is there. Upstream versions are pinned; Debian's own fixes of them are taken.
# Usage: packages.sh [--check]: with --check installs nothing and ends with 1 and the reason when something cannot be had.
set -euo pipefail

# command=package=version
needs=(
  containerd=containerd='1.6.20*'
  runc=runc='1.1.5*'
  /usr/lib/cni/bridge=containernetworking-plugins='1.1.1*'
  iptables=iptables='1.8.9*'
  conntrack=conntrack='1:1.4.7*'
  ip=iproute2='6.1*'
  buildah=buildah='1.28.2*'
  mmdebstrap=mmdebstrap='1.3.5*'
  nsenter=util-linux='2.38*'
)

die() { printf 'packages: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die 'root is needed'
missing=()
for need in "${needs[@]}"; do
  command=${need%%=*}
  if [[ $command = /* ]]; then [ -x "$command" ] || missing+=("${need#*=}")
  else command -v "$command" >/dev/null || missing+=("${need#*=}"); fi
done
[ ${#missing[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || die "no apt-get here to install ${missing[*]%%=*}"
[ "$(. /etc/os-release && echo "${ID:-}${VERSION_ID:-}")" = debian12 ] || die "not Debian 12, whose versions are pinned: install ${missing[*]%%=*} yourself"
[ "${1:-}" != --check ] || exit 0

printf 'packages: installing %s\n' "${missing[*]%%=*}" >&2
install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}"; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The lists may be missing or name files that the mirror has replaced: then they are brought up to date once.
install >"$log" 2>&1 || { apt-get update -qq >>"$log" 2>&1 || true; install >"$log" 2>&1; } || { tail -n 20 "$log" >&2; die 'apt-get could not install them; see above'; }
