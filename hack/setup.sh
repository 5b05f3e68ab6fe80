#!/usr/bin/env bash
# Brings everything a fresh Debian machine with Node >= 20 and Go >= 1.25 lacks: npm packages (Node 24 among them), the NATS
# and S3 servers, the test control plane. Each step is skipped when its inputs are unchanged, so a second run is quick and works offline.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
started=$SECONDS
say() { printf '==> [%ds] %s\n' "$((SECONDS - started))" "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

command -v node >/dev/null || die 'node is missing: install Node 20 or newer'
command -v npm >/dev/null || die 'npm is missing: install npm 10 or newer'
command -v go >/dev/null || die 'go is missing: install Go 1.25 or newer'
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || die "node $(node --version) is too old: 20 or newer is needed"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/rambo
mkdir -p "$cache/tools" .rambo

stamp=node_modules/.rambo-stamp
want=$(sha256sum package-lock.json .npmrc | sha256sum | cut -c1-32)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ]; then
  say 'installing npm packages (about a minute the first time)'
  npm ci --no-progress --loglevel=error >&2 || die 'npm ci failed; see above'
  echo "$want" > "$stamp"
fi
export PATH="$root/node_modules/.bin:$PATH"
[ "$(node -p 'process.versions.node.split(".")[0]')" = 24 ] || die "Node 24 did not come with the packages for $(uname -m); use x64 or arm64 Linux"

generated=$(sha256sum prisma/schema.prisma | cut -c1-32)
if [ "$(cat .rambo/prisma.stamp 2>/dev/null || true)" != "$generated" ] || [ ! -d prisma/generated ]; then
  say 'generating the Prisma client'
  hack/prisma/prisma.sh generate >/dev/null 2>.rambo/prisma.log || { cat .rambo/prisma.log >&2; die 'prisma generate failed'; }
  echo "$generated" > .rambo/prisma.stamp
fi

hash=$(cat hack/tools/go.mod hack/tools/go.sum <(go env GOVERSION) | sha256sum | cut -c1-20)
nats="$cache/tools/nats-server-$hash"
if [ ! -x "$nats" ]; then
  say 'building the NATS server (about half a minute the first time)'
  (cd hack/tools && CGO_ENABLED=0 go build -trimpath -o "$nats.new" github.com/nats-io/nats-server/v2) >&2 || die 'building the NATS server failed'
  mv "$nats.new" "$nats"
fi

versitygw=$(hack/tools/tool.sh versitygw) || die 'building the S3 server failed'

say 'test control plane (the first build takes about 6 minutes on 2 cores)'
devcluster=$(hack/devcluster/build.sh | tail -n 1)
[ -x "$devcluster" ] || die 'building the test control plane failed'

printf '{"natsServer":"%s","versitygw":"%s","devcluster":"%s"}\n' "$nats" "$versitygw" "$devcluster" > .rambo/tools.json
say 'set up'
