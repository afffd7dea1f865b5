#!/usr/bin/env bash
# Fetches another version of PostgreSQL's server than Debian's from Maven Central into the cache,
# once, and prints the archive's path: bin/, lib/ and share/, which run wherever they are unpacked.
#   tools/postgres_kit.sh VERSION
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=$1
case $(uname -m) in
  x86_64) machine=amd64 ;;
  aarch64) machine=arm64v8 ;;
  *) die "there is no PostgreSQL kit for $(uname -m)" ;;
esac
name=embedded-postgres-binaries-linux-$machine
archive=$PENSTOCK_CACHE/postgres-kit-$version-$machine.txz

fetch() {
  [ -f "$archive" ] && return # another ./dev was faster
  local partial=$archive.partial.$$ log=$PENSTOCK_CACHE/postgres-kit.log started=$SECONDS
  rm -rf "$archive".partial.*
  mkdir -p "$partial"
  say "fetching PostgreSQL $version from Maven Central (once)"
  if ! maven copy "-Dartifact=io.zonky.test.postgres:$name:$version" "-DoutputDirectory=$partial" \
    >"$log" 2>&1; then
    rm -rf "$partial"
    grep -m 3 ERROR "$log" >&2 || true
    die "PostgreSQL $version could not be fetched from Maven Central (network? certificate authorities? a" \
      "mirror goes into ~/.m2/settings.xml); the whole output: $log"
  fi
  python3 -m zipfile -e "$partial/$name-$version.jar" "$partial"
  mv "$partial"/*.txz "$archive"
  rm -r "$partial"
  say "PostgreSQL $version is ready ($((SECONDS - started)) s)"
}

[ -f "$archive" ] || with_lock postgres-kit fetch
echo "$archive"
