#!/usr/bin/env bash
# Builds the images of images/Dockerfile with buildah, without a container engine, and prints one line for each: name and archive, which
# `ctr images import`, `podman load` and `docker load` take. An image whose inputs are unchanged is not built again.
# Usage: build.sh [NAME…]: controller api migrate runner trial-postgres trial-nats, all when none is named. Run `make build` before.
#   TAG            tag of the images: dev
#   BASE_CORE, BASE_TOOLS   images of a registry to build from instead of the bases made here
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
started=$SECONDS
say() { printf 'images: [%ds] %s\n' "$((SECONDS - started))" "$*" >&2; }
die() { say "$*"; exit 1; }

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(controller api migrate runner trial-postgres trial-nats)
tag=${TAG:-dev}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rambo/images
export PATH="$root/node_modules/.bin:$PATH"

[ "$(id -u)" = 0 ] || die 'root is needed to build images here'
[ -f dist/controller.mjs ] && [ -f .rambo/tools.json ] || die 'run `make build` first: dist/controller.mjs or .rambo/tools.json is missing'
hack/e2e/packages.sh
mkdir -p "$cache"
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
  archive=$(hack/images/base.sh "$1")
  image=localhost/rambo-base:$(basename "$archive" .tar)
  if ! bud inspect --type image "$image" >/dev/null 2>&1; then
    container=$(bud from scratch)
    bud add --quiet "$container" "$archive" / >/dev/null
    bud commit --quiet --timestamp 1767225600 "$container" "$image" >/dev/null
    bud rm "$container" >/dev/null
  fi
  echo "$image"
}

# What an image is made of: the lines of its target, the files they copy, its base.
inputs() {
  local target=$1 file
  cat images/Dockerfile hack/images/build.sh
  echo "$target $tag $core $tools"
  sed -n "/ AS $target\$/,/^\$/p; / AS core\$/,/^\$/p" images/Dockerfile | awk '$1 == "COPY" { for (i = 2; i < NF; i++) if ($i !~ /^--/) print $i }' | while read -r file; do
    (cd dist/images && find "$file" -type f -exec sha256sum {} + | LC_ALL=C sort -k 2)
  done
}

core=${BASE_CORE:-$(base core)}
tools=${BASE_TOOLS:-$(base tools)}
for name in "${names[@]}"; do
  grep -q " AS $name\$" images/Dockerfile || die "images/Dockerfile has no target $name"
  archive=$cache/$name-$(inputs "$name" | sha256sum | cut -c1-20).tar
  if [ ! -f "$archive" ]; then
    say "building rambo/$name:$tag"
    rm -f "$cache/$name"-[0-9a-f]*.tar
    bud bud --quiet --isolation chroot --pull-never --timestamp 1767225600 --build-arg "BASE_CORE=$core" --build-arg "BASE_TOOLS=$tools" --target "$name" \
      --file images/Dockerfile --tag "docker.io/rambo/$name:$tag" dist/images >"$cache/$name.log" 2>&1 || { tail -n 20 "$cache/$name.log" >&2; die "building $name failed"; }
    bud push --quiet --disable-compression "docker.io/rambo/$name:$tag" "docker-archive:$archive.new:docker.io/rambo/$name:$tag" >>"$cache/$name.log" 2>&1 || { tail -n 20 "$cache/$name.log" >&2; die "saving $name failed"; }
    mv "$archive.new" "$archive"
    say "rambo/$name:$tag: $(($(stat -c %s "$archive") / 1048576)) MB"
  fi
  printf '%s %s\n' "$name" "$archive"
done
