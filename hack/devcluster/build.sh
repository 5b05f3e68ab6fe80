#!/usr/bin/env bash
# Builds rambo-devcluster once for each state of its sources and prints the path of the binary as the only line on stdout.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kubernetes_version=v1.35.4

say() { echo "devcluster: $*" >&2; }
fail() { say "$*"; exit 1; }

check_go() {
  command -v go >/dev/null 2>&1 || fail "Go is missing: install Go 1.25 or newer and have it in PATH (or use an existing cluster or kind instead)."
  local version major minor
  version=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
  major=${version#go}; major=${major%%.*}
  minor=${version#go*.}; minor=${minor%%[!0-9]*}
  if [[ ! $major =~ ^[0-9]+$ || ! $minor =~ ^[0-9]+$ ]]; then
    say "cannot tell how old Go is ($version); going on"
  elif ((major < 1 || (major == 1 && minor < 25))); then
    fail "Go is too old ($version): 1.25 or newer is needed."
  fi
}

# sources lists what the binary is made of. Tests are not part of it.
sources() {
  cd "$here"
  find . -type f \( -name '*.go' -o -name go.mod -o -name go.sum -o -name build.sh \) ! -name '*_test.go' | LC_ALL=C sort
}

source_hash() {
  { GOTOOLCHAIN=local go version; sources | while IFS= read -r f; do sha256sum "$here/$f" | cut -d' ' -f1; echo "$f"; done; } |
    sha256sum | cut -c1-20
}

# with_heartbeat runs a command and says every 10 s that it is still running.
with_heartbeat() {
  local began=$SECONDS said=$SECONDS
  "$@" &
  local job=$!
  trap 'kill "$job" 2>/dev/null || true' EXIT
  while kill -0 "$job" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - said >= 10)); then
      said=$SECONDS
      say "… still building ($((SECONDS - began)) s)"
    fi
  done
  trap - EXIT
  wait "$job"
}

compile() {
  local out=$1 v=k8s.io/component-base/version
  local major minor
  major=$(cut -d. -f1 <<<"${kubernetes_version#v}")
  minor=$(cut -d. -f2 <<<"$kubernetes_version")
  cd "$here"
  CGO_ENABLED=0 go build -p "${RAMBO_BUILD_JOBS:-2}" -trimpath -buildvcs=false -ldflags "-s -w \
    -X $v.gitVersion=$kubernetes_version -X $v.gitMajor=$major -X $v.gitMinor=$minor \
    -X $v.gitTreeState=clean -X $v.gitCommit=rambo-devcluster -X $v.buildDate=1970-01-01T00:00:00Z" -o "$out" . >&2
}

# prune keeps the five newest builds: each is 140 MB, and every change of these sources makes one. Running programs keep theirs.
prune() {
  local old
  ls -1dt "$1"/*/ 2>/dev/null | tail -n +6 | while IFS= read -r old; do rm -rf "$old"; done
}

main() {
  check_go
  local cache hash target
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/rambo/devcluster
  hash=$(source_hash)
  target=$cache/$hash/rambo-devcluster
  if [[ ! -x $target ]]; then
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock -n 9 || { say "another build is running, waiting for it"; flock 9; }
  fi
  if [[ ! -x $target ]]; then
    local began=$SECONDS tmp=$target.tmp.$$
    mkdir -p "$cache/$hash"
    say "building the test control plane (Kubernetes $kubernetes_version): about 5 minutes the first time on 2 cores, seconds later"
    with_heartbeat compile "$tmp" || { rm -f "$tmp"; fail "the build failed"; }
    mv "$tmp" "$target"
    prune "$cache"
    say "built in $((SECONDS - began)) s"
  fi
  echo "$target"
}

main "$@"
