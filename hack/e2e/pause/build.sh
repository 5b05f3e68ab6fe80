#!/usr/bin/env bash
# Builds the pause image once for each state of its sources and prints the path of its archive as the only line on stdout.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rambo/images
target=$cache/pause-$(cat "$here/main.go" "$here/Dockerfile" "$here/build.sh" <(cd / && go env GOVERSION) | sha256sum | cut -c1-20).tar
if [ ! -f "$target" ]; then
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/work.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cp "$here/Dockerfile" "$work/"
  (cd "$here" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$work/pause" .) >&2
  image=rambo.dev/pause:1
  store=(--root "$work/storage" --runroot "$work/run" --storage-driver vfs)
  buildah "${store[@]}" bud --quiet --isolation chroot --timestamp 1767225600 --tag "$image" "$work" >/dev/null
  buildah "${store[@]}" push --quiet --disable-compression "$image" "docker-archive:$work/pause.tar:$image" >&2
  mv "$work/pause.tar" "$target"
fi
echo "$target"
