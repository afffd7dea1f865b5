# shellcheck shell=bash
# The commands of ./dev, as they run inside, where the tools are.

export CCACHE_DIR=$PENSTOCK_CACHE/ccache
export CCACHE_BASEDIR=$PENSTOCK_REPO CCACHE_NOHASHDIR=1 # clones in other places share results

build() { # build PRESET [TARGET...]
  local preset=$1 started=$SECONDS
  shift
  cd "$PENSTOCK_REPO"
  cmake --preset "$preset" --log-level=WARNING >&2
  cmake --build --preset "$preset" ${1:+--target "$@"} >&2
  say "built $preset in $((SECONDS - started)) s"
}

command_build() { build "${1:-release}" "${@:2}"; }

command_run() {
  [ "${1:-}" = -- ] && shift
  build release penstock
  exec "$PENSTOCK_REPO/build/release/penstock" "$@"
}

command_shell() { # the trap-free exec: the shell is on its own
  if [ "${1:-}" = -c ]; then exec bash -c "$2" bash "${@:3}"; fi
  exec bash "$@"
}
