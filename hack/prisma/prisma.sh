#!/bin/sh
# The Prisma CLI, offline: Node of the project, our schema engine (prisma.config.ts), no telemetry, no update check.
# Usage: hack/prisma/prisma.sh generate | migrate status | ...   (DATABASE_URL where a command needs a database)
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
PATH="$root/node_modules/.bin:$PATH"
CHECKPOINT_DISABLE=1
PRISMA_HIDE_UPDATE_MESSAGE=1
export PATH CHECKPOINT_DISABLE PRISMA_HIDE_UPDATE_MESSAGE
exec node node_modules/prisma/build/index.js "$@"
