# shellcheck shell=bash
# What ./dev and every script in tools/ share: messages, the cache directory, locks.

# The path of the clone, the same inside and outside of the Debian root.
PENSTOCK_REPO=${PENSTOCK_REPO:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)}
# Everything that outlives a run: the Debian root, ccache, the Kafka kit, lint results.
PENSTOCK_CACHE=${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock}
export PENSTOCK_REPO PENSTOCK_CACHE

say() { printf 'dev: %s\n' "$*" >&2; }
die() {
  printf 'dev: %s\n' "$*" >&2
  exit 1
}

# open_cases FILE: conformance cases become the standard input: they are anywhere, and what runs inside
# may see the clone alone.
open_cases() {
  [ -n "$1" ] || die "which file? ./dev conformance FILE"
  if [ -d "$1" ] || ! [ -r "$1" ]; then die "$1: there is no such file, or it cannot be read"; fi
  exec <"$1"
}

# with_lock NAME COMMAND...: one at a time on this machine. The kernel lets go of the lock when
# this process ends, however it ends; COMMAND's children do not inherit it.
with_lock() {
  local lock=$PENSTOCK_CACHE/$1.lock
  shift
  mkdir -p "$PENSTOCK_CACHE"
  exec 9>"$lock"
  if ! flock --nonblock 9; then
    say "another ./dev is making this; waiting for it"
    flock 9
  fi
  "$@" 9>&-
  exec 9>&-
}

# packages GROUP...: the names in these groups of tools/packages.txt, one per line.
packages() {
  local group
  for group in "$@"; do
    awk -v group="# $group" '/^#/ { on = ($0 == group); next } on && NF { print $1 }' \
      "$PENSTOCK_REPO/tools/packages.txt"
  done
}

# backported: what is rebuilt, and how it is changed.
backported() { packages backported && cat "$PENSTOCK_REPO"/tools/patches/*.patch; }

# short_hash: of standard input.
short_hash() { sha256sum | cut -c1-12; }

# root_name: of the place that has the tools; another one for other packages.
root_name() { { packages build servers | sort -u && backported; } | short_hash; }

# debian_mirror: the one that this system's own apt uses, so that a site's mirror or proxy keeps working.
debian_mirror() {
  local uri
  if [ -n "${PENSTOCK_DEBIAN_MIRROR:-}" ]; then
    echo "$PENSTOCK_DEBIAN_MIRROR"
    return
  fi
  while read -r uri; do
    case ${uri%/} in
      http://*/debian | https://*/debian)
        echo "${uri%/}"
        return
        ;;
    esac
  done < <(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
    sed -nE -e 's/^URIs:[[:space:]]*([^[:space:]]+).*/\1/p' \
      -e 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]*)?([^[:space:]]+).*/\2/p')
  echo http://deb.debian.org/debian
}

need_mmdebstrap() {
  command -v mmdebstrap >/dev/null && return
  if command -v apt-get >/dev/null; then
    say "installing mmdebstrap with apt"
    { apt-get update -q && apt-get install -y -q --no-install-recommends mmdebstrap; } \
      >"$PENSTOCK_CACHE/mmdebstrap-install.log" 2>&1 </dev/null ||
      die "could not install mmdebstrap; see $PENSTOCK_CACHE/mmdebstrap-install.log"
  else
    die "mmdebstrap is missing; install it with this distribution's package manager and run again"
  fi
}

# maven GOAL ARGUMENTS: one goal of the dependency plugin, with a repository that outlives the run.
maven() {
  mvn --batch-mode --no-transfer-progress "-Dmaven.repo.local=$PENSTOCK_CACHE/maven" \
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:$1" "${@:2}" </dev/null
}

# image_arguments: what the Dockerfile cannot know of this clone, as --build-arg=NAME=VALUE, one per line.
image_arguments() {
  local revision=unknown created
  created=$(date --utc +%FT%TZ)
  if git -C "$PENSTOCK_REPO" rev-parse --verify --quiet HEAD >/dev/null; then
    revision=$(git -C "$PENSTOCK_REPO" describe --always --abbrev=40 --dirty --exclude='*')
    created=$(TZ=UTC git -C "$PENSTOCK_REPO" log -1 --format=%cd --date=format-local:%FT%TZ)
  fi
  printf -- '--build-arg=%s\n' "VERSION=$(penstock_version)" "REVISION=$revision" "CREATED=$created"
}

penstock_version() { sed -nE 's/^project\(penstock VERSION ([^ )]+).*/\1/p' "$PENSTOCK_REPO/CMakeLists.txt"; }
