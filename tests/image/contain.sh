#!/usr/bin/env bash
# tests/image/contain.sh ROOT UID:GID [--bind FILE:PATH]... ARGUMENT...
#
# Becomes the image's program, in the image's files that lie in ROOT, as a container runtime starts it
# under Kubernetes' restricted profile: every mount read-only, no privileges and no way to gain any. Only
# the network and the process ids are this machine's. The file after --config is mounted where the image
# expects its configuration. --bind mounts a file over one of the image's.
set -euo pipefail
if [ "$1" != --mounted ]; then exec unshare --mount -- "$0" --mounted "$@"; fi
root=$2 user=$3
shift 3

mount --bind "$root" "$root"
mount -t proc -o ro proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,ro "$root/dev"

bind() { # FILE PATH
  mount --bind "$1" "$root/$2"
  mount -o remount,bind,ro "$root/$2"
}

for file in resolv.conf hosts; do bind "/etc/$file" "etc/$file"; done
while [ "${1:-}" = --bind ]; do
  bind "${2%%:*}" "${2#*:}"
  shift 2
done

arguments=()
while [ $# -gt 0 ]; do
  arguments+=("$1")
  if [ "$1" = --config ]; then
    mount -t tmpfs -o mode=755 tmpfs "$root/etc/penstock"
    install --mode=0440 --owner=root --group="${user#*:}" "$2" "$root/etc/penstock/penstock.yaml"
    mount -o remount,ro "$root/etc/penstock"
    arguments+=(/etc/penstock/penstock.yaml)
    shift
  fi
  shift
done

mount -o remount,bind,ro "$root"
# What a shell of ours has set is not set in a container.
unset TMPDIR LANG PWD OLDPWD SHLVL
export HOME=/nonexistent
exec setpriv --no-new-privs unshare --root "$root" --setgid "${user#*:}" --setuid "${user%:*}" \
  /usr/bin/penstock "${arguments[@]}"
