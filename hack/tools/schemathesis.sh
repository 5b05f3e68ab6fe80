#!/usr/bin/env bash
# Installs a pinned schemathesis into a virtual environment under the user's cache directory, once, and prints the path of its program as the
# only line on stdout. Ends with 3 and says why where it cannot: no Python with venv, or no package index within reach.
set -euo pipefail
version=4.32.5
dir=${XDG_CACHE_HOME:-$HOME/.cache}/rambo/tools/schemathesis-$version
cannot() { printf 'schemathesis: %s\n' "$*" >&2; exit 3; }

if [ ! -x "$dir/bin/schemathesis" ]; then
  command -v python3 >/dev/null || cannot 'python3 is missing'
  mkdir -p "$(dirname "$dir")"
  exec 9>"$dir.lock"
  flock 9
fi
if [ ! -x "$dir/bin/schemathesis" ]; then
  rm -rf "$dir"
  python3 -m venv "$dir" >&2 || cannot 'python3 cannot make a virtual environment: install python3-venv'
  "$dir/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" >&2 || { rm -rf "$dir"; cannot "pip cannot install schemathesis==$version"; }
fi
printf '%s\n' "$dir/bin/schemathesis"
