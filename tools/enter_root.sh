#!/usr/bin/env bash
# The first process of the private mount and pid namespace that ./dev opens: mounts what the
# Debian root needs and becomes COMMAND in it. Mounts and processes end with the namespace.
#   tools/enter_root.sh ROOT WORKDIR COMMAND...
# Its environment is what comes from file descriptor 8: NAME=VALUE, each with a NUL behind it.
set -euo pipefail
root=$1 workdir=$2
shift 2
mapfile -d '' environment <&8
exec 8<&-

bind() { # a directory of this machine, at the same path in the root
  mkdir -p "$root$1"
  mount --bind "$1" "$root$1"
}

mount --bind "$root" "$root" # else / is no mount in there, and nothing can make a namespace of its own
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mkdir -p "$root/dev/shm"
mount -t tmpfs -o mode=1777,size=75% tmpfs "$root/dev/shm" # PostgreSQL's shared memory, gone with us
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount --bind /etc/hosts "$root/etc/hosts"
# Before what may lie in it.
case $workdir/ in "$PENSTOCK_REPO"/* | /tmp/*) ;; *) bind "$workdir" ;; esac
if [ -f "$HOME/.m2/settings.xml" ]; then # a site's mirror of Maven Central
  mkdir -p "$root/root/.m2"
  touch "$root/root/.m2/settings.xml"
  mount --bind "$HOME/.m2/settings.xml" "$root/root/.m2/settings.xml"
fi
bind /tmp
bind "$PENSTOCK_CACHE"
bind "$PENSTOCK_REPO"

# tini is process 1: it passes signals on to the command's process group and reaps orphans.
# shellcheck disable=SC2016 # expanded by the inner shell
exec chroot "$root" /usr/bin/env -i "${environment[@]}" \
  /usr/bin/tini -g -- /bin/bash -c 'cd "$0" && exec "$@"' "$workdir" "$@"
