#!/usr/bin/env bash
# Builds a pinned command-line tool from its Go module once, keeps it under the user's cache directory and prints its path as the
# only line on stdout. Usage: tool.sh versitygw | helm | kubeconform | k6 | coredns | actionlint | gitleaks | osv-scanner, or a folder of hack/tools
# with a go.mod of its own: for modules whose directives `go install` refuses, and for programs of ours. All `tool`s of its go.mod
# are built, side by side; a line `// build tags: a,b` adds tags.
set -euo pipefail

declare -A module=(
  [versitygw]=github.com/versity/versitygw/cmd/versitygw@v1.8.0
  [helm]=helm.sh/helm/v3/cmd/helm@v3.22.0
  [kubeconform]=github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
  [k6]=go.k6.io/k6@v1.8.1
  [coredns]=github.com/coredns/coredns@v1.14.7
  [actionlint]=github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
  [gitleaks]=github.com/zricethezav/gitleaks/v8@v8.30.1
  [osv-scanner]=github.com/google/osv-scanner/v2/cmd/osv-scanner@v2.5.0
)

say() { printf '%s\n' "tool: $*" >&2; }
die() { say "$*"; exit 1; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=${1:-}
command -v go >/dev/null || die 'go is missing: install Go 1.25 or newer'
if [ -n "${module[$name]:-}" ]; then
  package=${module[$name]}
  version=${package##*@}
elif [ -n "$name" ] && [ -f "$here/$name/go.mod" ]; then
  # `tool PATH`, or a block of them.
  package=$(awk '/^tool \(/ { block = 1; next } /^\)/ { block = 0 } block { print $1 } /^tool [^(]/ { print $2 }' "$here/$name/go.mod" | paste -sd' ')
  tags=$(sed -n 's#^// build tags: ##p' "$here/$name/go.mod")
  version=$(find "$here/$name" -maxdepth 1 -name 'go.*' -o -maxdepth 1 -name '*.go' | LC_ALL=C sort | xargs cat | sha256sum | cut -c1-16)
else
  die "unknown tool '$name': one of $(printf '%s\n' "${!module[@]}" | sort | paste -sd' '), or a folder of hack/tools with a go.mod"
fi
dir=${XDG_CACHE_HOME:-$HOME/.cache}/rambo/tools/$name-$version-$(cd / && go env GOVERSION)

build() {
  local flags=(-trimpath -buildvcs=false -p "${RAMBO_BUILD_JOBS:-2}" -ldflags '-s -w')
  export CGO_ENABLED=0
  if [ -n "${module[$name]:-}" ]; then
    cd / && GOBIN="$dir/new" go install "${flags[@]}" "$package"
  else
    # shellcheck disable=SC2086 # a list of packages
    mkdir -p "$dir/new" && cd "$here/$name" && go build "${flags[@]}" ${tags:+-tags "$tags"} -o "$dir/new/" $package
  fi
}
if [ ! -x "$dir/$name" ]; then
  mkdir -p "$dir"
  exec 9>"$dir/lock"
  flock 9
fi
if [ ! -x "$dir/$name" ]; then
  began=$SECONDS
  say "building $package (minutes the first time on 2 cores, cached afterwards)"
  (build) >&2 &
  job=$!
  trap 'kill "$job" 2>/dev/null || true' EXIT
  said=$SECONDS
  while kill -0 "$job" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - said >= 15)); then said=$SECONDS; say "… still building $name ($((SECONDS - began)) s)"; fi
  done
  trap - EXIT
  wait "$job" || die "building $package failed; see above"
  # The one that is looked for comes last: where it is, all are.
  find "$dir/new" -type f ! -name "$name" -exec mv {} "$dir/" \;
  mv "$dir/new/$name" "$dir/$name"
  rmdir "$dir/new"
  say "built $name in $((SECONDS - began)) s"
fi
printf '%s\n' "$dir/$name"
