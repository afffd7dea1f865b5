#!/usr/bin/env bash
# Makes the Debian 13 root that ./dev builds and tests in, and prints nothing if it is there.
# Interruptible: it works under a temporary name and renames at the end.
#   tools/make_root.sh DIRECTORY
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
root=$1

make_root() {
  [ -d "$root" ] && return # another ./dev was faster
  need_mmdebstrap
  local stale mirror partial include backports started=$SECONDS
  # We hold the lock, so any partial root belongs to a run that was interrupted.
  for stale in "$root".partial.*; do
    [ -e "$stale" ] && rm -rf --one-file-system "$stale"
  done
  mirror=$(debian_mirror)
  backports=$("$PENSTOCK_REPO/tools/backports.sh")
  partial=$root.partial.$$
  include=$(packages build servers | sort -u | paste -sd,)
  say "making a Debian 13 root from $mirror (once; about 2 minutes, 2 GB): $root"
  # A private mount and pid namespace: if this is interrupted, its mounts and processes go too.
  # shellcheck disable=SC2016 # $1 is for the hook's own shell
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
    mmdebstrap --mode=root --variant=minbase --include="$include" --aptopt='APT::Sandbox::User "root"' \
    --customize-hook='mkdir -p "$1/usr/local/share/ca-certificates"
      cp /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/" 2>/dev/null || true
      chroot "$1" update-ca-certificates >/dev/null
      rm -f "$1/etc/resolv.conf" "$1/etc/hosts"
      touch "$1/etc/resolv.conf" "$1/etc/hosts"
      rm "$1/etc/apt/apt.conf.d/99mmdebstrap"
      sed -i "/ copy:/d" "$1/etc/apt/sources.list"
      chmod 755 "$1/root"' \
    trixie "$partial" "$mirror" "deb [trusted=yes] copy:$backports ./" ||
    die "could not make the Debian root (mirror $mirror; another one: PENSTOCK_DEBIAN_MIRROR=URL ./dev …)"
  mv "$partial" "$root"
  say "the Debian root is ready ($((SECONDS - started)) s)"
}

with_lock "$(basename "$root")" make_root
