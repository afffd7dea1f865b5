#!/usr/bin/env bash
# tools/packages.sh GROUP...: the packages in these groups of tools/packages.txt, one per line.
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
packages "$@" | sort -u
