#!/usr/bin/env bash
# tools/inside.sh FUNCTION [ARGS]: one function of the commands, in a shell of its own, where its
# first error ends it. (In a function that is called in a condition, bash ignores errors.)
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=tools/commands.sh
source "$PENSTOCK_REPO/tools/commands.sh"
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"$@"
