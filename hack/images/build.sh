#!/usr/bin/env bash
# Builds the images of images/Dockerfile with buildah, without a container engine, and prints the path of one archive with all of them
# (an OCI layout, as `ctr images import`, `podman load` and `docker load` take it). An image whose inputs are unchanged is not built
# again. Usage: build.sh. Run `make build` before.
#   TAG            tag of the images: dev
#   SOURCE         another checkout to build the images of, bundled already
#   TWICE=1        build each once more from nothing, and fail where a single byte differs
#   BASE_CORE, BASE_TOOLS   images of a registry to build from instead of the bases made here
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source=${SOURCE:-$root}
cd "$source"
started=$SECONDS
say() { printf 'images: [%ds] %s\n' "$((SECONDS - started))" "$*" >&2; }
die() { say "$*"; exit 1; }

names=(controller api modelgateway migrate cli runner trial-postgres trial-nats)
limit=250
tag=${TAG:-dev}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rambo/images
layout=$cache/layout-$tag
export PATH="$root/node_modules/.bin:$PATH"

[ "$(id -u)" = 0 ] || die 'root is needed to build images here'
[ -f dist/controller.mjs ] && [ -f .rambo/tools.json ] || die 'run `make build` first: dist/controller.mjs or .rambo/tools.json is missing'
"$root/hack/e2e/packages.sh"
mkdir -p "$cache" "$layout"
exec 9>"$cache/build.lock"
flock 9
node hack/images/context.mjs

# A storage of our own: nothing of this machine's containers is seen or changed. Overlays do not lie on overlays.
driver=overlay
[ "$(stat -f -c %T "$cache")" != overlayfs ] || driver=vfs
bud() { buildah --root "$cache/storage-$driver" --runroot /run/rambo-images --storage-driver "$driver" "$@"; }

# Loads a base that is not in the storage yet.
base() {
  local archive container image
  archive=$("$root/hack/images/base.sh" "$1")
  image=localhost/rambo-base:$(basename "$archive" .tar)
  if ! bud inspect --type image "$image" >/dev/null 2>&1; then
    container=$(bud from scratch)
    bud add --quiet "$container" "$archive" / >/dev/null
    bud commit --quiet --timestamp 1767225600 "$container" "$image" >/dev/null
    bud rm "$container" >/dev/null
  fi
  echo "$image"
}

# What an image is made of: the Dockerfile, the files its target copies, its base.
inputs() {
  local target=$1 file
  cat images/Dockerfile "$root/hack/images/build.sh"
  echo "$target $tag $core $tools"
  sed -n "/ AS $target\$/,/^\$/p; / AS core\$/,/^\$/p" images/Dockerfile | awk '$1 == "COPY" && !/--from=/ { for (i = 2; i < NF; i++) if ($i !~ /^--/) print $i }' | while read -r file; do
    (cd dist/images && find "$file" -type f -exec sha256sum {} + | LC_ALL=C sort -k 2)
  done
}

make() {
  local name=$1 image=$2
  shift 2
  bud bud --quiet "$@" --isolation chroot --pull-never --timestamp 1767225600 --build-arg "BASE_CORE=$core" --build-arg "BASE_TOOLS=$tools" --target "$name" \
    --file images/Dockerfile --tag "$image" dist/images
}

digest() { bud inspect --type image --format '{{.FromImageDigest}}' "$1"; }

# The second build of the same inputs is the first, to the byte.
twice() {
  local name=$1 first second again=localhost/rambo-again/$1
  make "$name" "docker.io/rambo/$name:$tag" >"$cache/$name.log" 2>&1 && make "$name" "$again" --no-cache >>"$cache/$name.log" 2>&1 || { tail -n 20 "$cache/$name.log" >&2; die "building $name failed"; }
  first=$(digest "docker.io/rambo/$name:$tag") second=$(digest "$again")
  bud rmi "$again" >/dev/null
  [ "$first" = "$second" ] || die "$name is not reproducible: $first, then $second"
  say "$name: $first, twice"
}

build() {
  local name=$1 image=docker.io/rambo/$1:$tag
  make "$name" "$image" &&
    rm -f "$cache/one.tar" &&
    bud push --quiet --disable-compression "$image" "docker-archive:$cache/one.tar:$image" &&
    node "$root/hack/images/layout.mjs" add "$layout" "$cache/one.tar" "$image" &&
    rm "$cache/one.tar"
}

core=${BASE_CORE:-$(base core)}
tools=${BASE_TOOLS:-$(base tools)}
if [ -n "${TWICE:-}" ]; then for name in "${names[@]}"; do twice "$name"; done; fi
all=
for name in "${names[@]}"; do
  # A release before may lack it.
  grep -q " AS $name\$" images/Dockerfile || continue
  hash=$(inputs "$name" | sha256sum | cut -c1-20)
  all+="$name $hash "
  [ "$(cat "$layout/$name.inputs" 2>/dev/null || true)" != "$hash" ] || continue
  say "building rambo/$name:$tag"
  rm -f "$layout/$name.inputs"
  build "$name" >"$cache/$name.log" 2>&1 || { tail -n 20 "$cache/$name.log" >&2; die "building $name failed"; }
  echo "$hash" >"$layout/$name.inputs"
done
archive=$cache/images-$tag-$(sha256sum <<<"$all" | cut -c1-20).tar
if [ ! -f "$archive" ]; then
  rm -f "$cache/images-$tag"-*.tar
  node "$root/hack/images/layout.mjs" pack "$layout" "$archive" | while read -r name size; do
    say "$name: $size MB"
    ((size < limit)) || die "$name is larger than $limit MB"
  done
  bud rmi --prune >/dev/null 2>&1 || true
fi
echo "$archive"
