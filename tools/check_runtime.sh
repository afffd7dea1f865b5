#!/usr/bin/env bash
# tools/check_runtime.sh [PROGRAM]: the small runtime image has what the program needs. Every shared
# library that it asks for (default: build/release/penstock) belongs to a package in the "runtime"
# group of tools/packages.txt, and no package there is for nothing. Certificates and time zones are
# data that no program is linked with.
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

program=${1:-$PENSTOCK_REPO/build/release/penstock}
[ -x "$program" ] || die "$program is missing: ./dev build"

asked=$(readelf --dynamic "$program" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
needed=$(ldd "$program" | grep -F "$asked" | awk '$3 ~ /^\// { print $3 }' | xargs realpath |
  xargs dpkg-query --search | sed 's/:.*//' | sort -u)
difference=$(diff <(echo "$needed") <(packages runtime | grep -vxE 'ca-certificates|tzdata' | sort -u)) || {
  say "the runtime group of tools/packages.txt is not what the program needs (<: add, >: remove)"
  grep '^[<>]' <<<"$difference" >&2
  exit 1
}
