#!/usr/bin/env bash
# The release before this one, for upgrades and the way back: the sources as they were before the newest migration came, bundled with the
# packages of now, its images under the tag `previous`. Prints two lines: the folder of the sources, the archive of the images. Kept
# under the user's cache directory. RAMBO_PREVIOUS names another commit.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
say() { printf 'previous: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
export PATH="$root/node_modules/.bin:$PATH"
# Root reads a checkout of somebody else.
git() { command git -c safe.directory="$root" "$@"; }

newest=$(find prisma/migrations -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | LC_ALL=C sort | tail -n 1)
added=$(git log -1 --format=%H --diff-filter=A -- "prisma/migrations/$newest")
# A migration that is not committed yet: the release before is what is.
commit=$(git rev-parse --verify --quiet "${RAMBO_PREVIOUS:-${added:+$added^}}^{commit}" || { [ -z "$added" ] && git rev-parse HEAD; }) ||
  die "the commit before migration $newest is not here: the clone is shallow (git fetch --unshallow)"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rambo/previous
dir=$cache/$commit
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -f "$dir/dist/migrate.mjs" ]; then
  say "bundling $(git log -1 --format='%h (%s)' "$commit")"
  find "$cache" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
  mkdir -p "$dir/.rambo"
  git archive "$commit" | tar -x -C "$dir"
  cp .rambo/tools.json "$dir/.rambo/"
  ln -s "$root/node_modules" "$dir/node_modules"
  "$dir/hack/prisma/prisma.sh" generate >"$cache/log" 2>&1 && node "$dir/hack/build/bundle.mjs" >>"$cache/log" 2>&1 || { tail -n 20 "$cache/log" >&2; rm -rf "$dir"; die 'it cannot be bundled with the packages of now'; }
fi
# The checkout may be another one than that which made it.
ln -sfn "$root/node_modules" "$dir/node_modules"
cp .rambo/tools.json "$dir/.rambo/"
archive=$(SOURCE=$dir TAG=previous hack/images/build.sh)
printf '%s\n%s\n' "$dir" "$archive"
