#!/usr/bin/env bash
# tools/image_root.sh DIRECTORY BACKPORTS: the root file system of the container image, but for the
# program: files of the packages that the "runtime" group of tools/packages.txt needs, of Debian's and of
# those in BACKPORTS (tools/backports.sh). Nothing is installed, so no maintainer script runs, and what
# only such scripts need (a shell, perl, openssl) is not there.
# Runs in the Dockerfile's stage "libraries": Debian 13, as root.
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
root=$1 backports=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What of a package gets into the image, where it has it. The rest (programs, manuals, translations,
# defaults of services) does not.
keep=(etc/debian_version etc/os-release lib lib64 usr/lib usr/lib64 usr/share/common-licenses
  usr/share/zoneinfo)

# apt resolves what the runtime group depends on as if these were installed already: packages ask for
# them only to be configured. base-files has what says which Debian this is, and the licences' texts.
pretend_installed() { # NAME [PROVIDES]
  printf '%s\n' "Package: $1" 'Status: install ok installed' 'Version: 9999' 'Multi-Arch: foreign' \
    "Architecture: $(dpkg --print-architecture)" 'Maintainer: nobody' "Provides: ${2:-$1}" \
    'Description: left out' ''
}

download() {
  local wanted
  mapfile -t wanted < <(packages runtime)
  [ "${#wanted[@]}" -gt 0 ] || die "tools/packages.txt has no group 'runtime'"
  mkdir -p "$work/debs/partial"
  {
    pretend_installed debconf debconf-2.0
    pretend_installed mawk awk
    pretend_installed openssl
  } >"$work/status"
  echo "deb [trusted=yes] copy:$backports ./" >/etc/apt/sources.list.d/backports.list
  apt-get update --quiet -o APT::Sandbox::User=root
  apt-get install --quiet --yes --download-only --no-install-recommends \
    -o "Dir::State::status=$work/status" -o "Dir::Cache::archives=$work/debs" \
    -o APT::Sandbox::User=root base-files "${wanted[@]}"
}

# unpack PACKAGE.deb: its files, its copyright, and what it is: /var/lib/dpkg/status.d is where scanners
# look for the packages of an image that has no dpkg.
unpack() {
  local name all=$work/package path
  name=$(dpkg-deb --field "$1" Package)
  rm -rf "$all"
  dpkg-deb --extract "$1" "$all"
  for path in "${keep[@]}" "usr/share/doc/$name/copyright"; do
    [ -e "$all/$path" ] || [ -L "$all/$path" ] || continue
    tar --create --directory "$all" "$path" | tar --extract --directory "$root"
  done
  if [ -L "$all/usr/share/doc/$name" ]; then # the copyright is another package's
    tar --create --directory "$all" "usr/share/doc/$name" | tar --extract --directory "$root"
  fi
  if [ "$name" = ca-certificates ]; then authorities "$all/usr/share/ca-certificates"; fi
  dpkg-deb --field "$1" >"$root/var/lib/dpkg/status.d/$name"
  dpkg-deb --ctrl-tarfile "$1" | tar --extract --to-stdout ./md5sums >"$root/var/lib/dpkg/status.d/$name.md5sums"
}

# authorities DIRECTORY: all in one file, where OpenSSL, curl, gRPC and Debian's own scripts put it.
authorities() {
  mkdir -p "$root/etc/ssl/certs" "$root/usr/lib/ssl"
  find "$1" -name '*.crt' | LC_ALL=C sort | xargs awk 1 >"$root/etc/ssl/certs/ca-certificates.crt"
  ln -s /etc/ssl/certs "$root/usr/lib/ssl/certs"
  ln -s /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"
}

# Who runs it, and that /etc/hosts comes before DNS. /etc/penstock is where the configuration is mounted.
settings() {
  echo 'root:x:0:0:root:/nonexistent:/nonexistent' >"$root/etc/passwd"
  echo 'penstock:x:65532:65532:Penstock:/nonexistent:/nonexistent' >>"$root/etc/passwd"
  printf '%s\n' root:x:0: penstock:x:65532: >"$root/etc/group"
  printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$root/etc/nsswitch.conf"
  mkdir "$root/etc/penstock"
  ln -s /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"
}

umask 022
mkdir -p "$root/var/lib/dpkg/status.d" "$root/etc"
download
for deb in "$work"/debs/*.deb; do unpack "$deb"; done
settings
