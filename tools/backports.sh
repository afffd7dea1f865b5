#!/usr/bin/env bash
# Packages of the next Debian, rebuilt for Debian 13: the "backported" group of tools/packages.txt, each with
# tools/patches/NAME.patch if there is one. Prints the directory that has them, which apt takes as a source ("deb [trusted=yes] copy:DIRECTORY ./"), and
# makes it in the cache if it is not there: in a Debian 13 root of its own that is gone afterwards, as root.
# With --here it makes DIRECTORY on this system: Debian 13, as root, with what the build needs installed.
#   tools/backports.sh
#   tools/backports.sh --here DIRECTORY
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

next_debian=forky
revision=2 # of how it is done here: another one is another version, and rebuilds

# rebuild NAME=VERSION DIRECTORY: its packages, with a version between Debian 13's and the next one's.
rebuild() {
  local name=${1%%=*} wanted=$1 work version
  work=$(mktemp -d)
  if ! apt-get source --quiet --print-uris "$wanted" >/dev/null 2>&1; then
    say "$next_debian has no $wanted any more: taking the version that it has (tools/packages.txt)"
    wanted=$name
  fi
  (
    cd "$work"
    apt-get build-dep --quiet --yes --no-install-recommends "$wanted"
    apt-get source --quiet "$wanted"
    cd "$name"-*/
    [ ! -e "$PENSTOCK_REPO/tools/patches/$name.patch" ] || patch -p1 <"$PENSTOCK_REPO/tools/patches/$name.patch"
    version=$(dpkg-parsechangelog --show-field Version)
    {
      printf '%s\n' "$name ($version~deb13+penstock$revision) trixie; urgency=medium" '' '  * Rebuilt for Debian 13, with the patches of Penstock.' '' \
        " -- Penstock <penstock@localhost>  $(dpkg-parsechangelog --show-field Date)" ''
      cat debian/changelog
    } >"$work/changelog"
    mv "$work/changelog" debian/changelog
    DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$(nproc)" dpkg-buildpackage --build=any --no-sign
  )
  mv "$work"/*.deb "$2"
  rm -rf "$work"
}

here() { # DIRECTORY
  local mirror package
  export DEBIAN_FRONTEND=noninteractive
  mirror=$(debian_mirror)
  apt-get update --quiet
  apt-get install --quiet --yes --no-install-recommends build-essential ca-certificates
  # A mirror that is some days behind will do: the version is named.
  echo "deb-src [check-valid-until=no] $mirror $next_debian main" >/etc/apt/sources.list.d/next.list
  apt-get update --quiet
  mkdir -p "$1"
  for package in $(packages backported); do rebuild "$package" "$1"; done
  (cd "$1" && dpkg-scanpackages --multiversion . >Packages)
  chmod -R a+rX "$1"
}

# In the cache, in a private mount and pid namespace: if this is interrupted, its processes go, too.
make_directory() {
  [ -d "$directory" ] && return # another ./dev was faster
  local stale partial=$directory.partial.$$ log=$PENSTOCK_CACHE/backports.log mirror started=$SECONDS
  need_mmdebstrap
  for stale in "$directory".partial.*; do
    [ -e "$stale" ] && rm -rf --one-file-system "$stale"
  done
  mirror=$(debian_mirror)
  say "rebuilding $(packages backported | paste -sd' ') of the next Debian (once; about 2 minutes)"
  mkdir "$partial.root"
  # shellcheck disable=SC2016 # expanded by the hook's own shell
  if ! PARTIAL=$partial MIRROR=$mirror TMPDIR=$partial.root setpriv --pdeathsig KILL \
    unshare --mount --pid --fork --kill-child --mount-proc \
    mmdebstrap --mode=root --variant=apt --format=null --aptopt='APT::Sandbox::User "root"' \
    --customize-hook='set -e; mkdir -p "$1/penstock/tools" "$1/usr/local/share/ca-certificates"
      cp /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/" 2>/dev/null || true
      for file in common.sh backports.sh packages.txt; do cp "$PENSTOCK_REPO/tools/$file" "$1/penstock/tools/"; done
      cp -r "$PENSTOCK_REPO/tools/patches" "$1/penstock/tools/"
      env --unset=PENSTOCK_REPO PENSTOCK_CACHE=/penstock PENSTOCK_DEBIAN_MIRROR="$MIRROR" \
        chroot "$1" /penstock/tools/backports.sh --here /penstock/debs
      cp -r "$1/penstock/debs" "$PARTIAL"' \
    trixie - "$mirror" </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "the packages of the next Debian could not be rebuilt (mirror $mirror; another one:" \
      "PENSTOCK_DEBIAN_MIRROR=URL ./dev …); the whole output: $log"
  fi
  rm -rf "$partial.root"
  mv "$partial" "$directory"
  say "they are rebuilt ($((SECONDS - started)) s)"
}

if [ "${1:-}" = --here ]; then
  here "$2"
  exit
fi
directory=$PENSTOCK_CACHE/backports-$({ backported && echo "$next_debian $revision"; } | short_hash)
[ -d "$directory" ] || with_lock "$(basename "$directory")" make_directory
echo "$directory"
