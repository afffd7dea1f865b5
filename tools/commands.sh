# shellcheck shell=bash
# The commands of ./dev, as they run inside, where the tools are, in the clone's directory (a shell
# and fmt: where they were asked for).

# shellcheck source=tools/lint.sh
source "$PENSTOCK_REPO/tools/lint.sh"
# shellcheck source=tools/test.sh
source "$PENSTOCK_REPO/tools/test.sh"
# shellcheck source=tools/fuzz.sh
source "$PENSTOCK_REPO/tools/fuzz.sh"
# shellcheck source=tools/image.sh
source "$PENSTOCK_REPO/tools/image.sh"

export CCACHE_DIR=$PENSTOCK_CACHE/ccache CCACHE_MAXSIZE=10G
export CCACHE_BASEDIR=$PENSTOCK_REPO CCACHE_NOHASHDIR=1 # clones in other places share results
# Precompiled headers: see penstock_precompile in cmake/penstock.cmake.
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_PCH_EXTSUM=1

# Go programs (the peers that benchmarks and the differential test compare with): what they download
# and compile outlives a run too. The toolchain is Debian's, and no other is fetched.
export GOMODCACHE=$PENSTOCK_CACHE/go/mod GOCACHE=$PENSTOCK_CACHE/go/build GOTOOLCHAIN=local GOFLAGS='-mod=readonly -buildvcs=false'

build() { # build PRESET [TARGET...]
  local preset=$1 started=$SECONDS
  shift
  say "building $preset${1:+: $*}"
  cmake --preset "$preset" >/dev/null </dev/null # warnings and errors are on stderr
  cmake --build --preset "$preset" ${1:+--target "$@"} >&2 </dev/null
  say "built $preset in $((SECONDS - started)) s"
}

build_silently() { # build_silently PRESET TARGET: says something only of what it builds
  cmake --preset "$1" >/dev/null </dev/null
  cmake --build --preset "$1" --target "$2" 2>&1 </dev/null |
    sed --unbuffered '/Re-checking globbed directories/d; /ninja: no work to do/d' >&2
}

build_go() { # build_go FOLDER: prints the program that was built of the Go sources in it
  local program=$PENSTOCK_REPO/build/go/$1
  say "building $1 with Go"
  go -C "$PENSTOCK_REPO/$1" build -o "$program" . ||
    die "$1 was not built. Its modules ($(sed -nE '/indirect/d; s/^\t([^ ]+) (v[^ ]+)$/\1 \2/p' \
      "$PENSTOCK_REPO/$1/go.mod" | paste -sd,)) come from $GOMODCACHE, or else over the network from" \
      "$(go env GOPROXY): run it once where that can be reached"
  echo "$program"
}

need_kafka_kit() { # [VERSION]: exports its place, or ends with what is missing
  PENSTOCK_KAFKA_KIT=$("$PENSTOCK_REPO/tools/kafka_kit.sh" "$@")
  export PENSTOCK_KAFKA_KIT
}

command_build() { build "${1:-release}" "${@:2}"; }

command_run() { # in the directory that it was asked for in
  [ "${1:-}" = -- ] && shift
  (cd "$PENSTOCK_REPO" && build_silently release penstock)
  "$PENSTOCK_REPO/build/release/penstock" "$@"
}

command_image() { # [--whole]
  case ${1:-} in
    '')
      by_engine || build release penstock
      make_image prebuilt
      ;;
    --whole) make_image whole ;;
    *) die "./dev image $1: expected nothing or --whole" ;;
  esac
}

command_shell() { # exec: the shell takes signals itself
  PENSTOCK_KAFKA_KIT=$("$PENSTOCK_REPO/tools/kafka_kit.sh" --if-there)
  export PENSTOCK_KAFKA_KIT
  if [ "${1:-}" = -c ]; then exec bash -c "$2" bash "${@:3}"; fi
  exec bash "$@"
}

command_demo() {
  build release penstock penstock_demo
  # Without Java or network the demo goes on with the in-process mock cluster, and says so.
  PENSTOCK_KAFKA_KIT=$("$PENSTOCK_REPO/tools/kafka_kit.sh") || {
    say "going on without a real Kafka broker"
    PENSTOCK_KAFKA_KIT=
  }
  export PENSTOCK_KAFKA_KIT
  "$PENSTOCK_REPO/build/release/bin/penstock_demo" "$@"
}

command_bench() {
  local bin=$PENSTOCK_REPO/build/release/bin name=${1:-} program
  if [ -z "$name" ]; then
    cmake --preset release >/dev/null
    cmake --build --preset release --target help | sed -nE 's/^penstock_bench_([a-z_]+):.*/\1/p' | sort
    return
  fi
  if [ "$name" = report ]; then
    python3 -B bench/end_to_end/peers/report/report.py "${@:2}"
    return
  fi
  program=$bin/penstock_bench_$name
  if [ "$name" = cel ]; then
    local peers
    build release penstock_bench_cel
    peers=$(build_go bench/cel/peers)
    python3 bench/cel/compare.py --cases bench/cel/cases.jsonl --program "$program" --program "$peers" "${@:2}"
    return
  fi
  build release penstock "penstock_bench_$name"
  need_kafka_kit
  if [ "$name" = peers ]; then
    python3 -B bench/end_to_end/peers/report/run.py --program "$program" \
      --make-kit "$PENSTOCK_REPO/tools/peers_kit.sh" "${@:2}"
    return
  fi
  "$program" "${@:2}"
}

command_profile() { # see --help; report.py makes a flame graph and tables of what was sampled
  local out=$PENSTOCK_REPO/build/profile program=$PENSTOCK_REPO/build/release/bin/penstock_profile
  command -v perf >/dev/null || die "perf is missing: install Debian's linux-perf"
  build release penstock penstock_profile
  case " $* " in *' -h '* | *' --help '*) exec "$program" --help ;; esac
  need_kafka_kit
  mkdir -p "$out"
  "$program" --samples "$out/samples.perf" --facts "$out/facts.json" "$@"
  # Inlined functions count for who took them in: to tell them apart would take many minutes.
  perf script --input "$out/samples.perf" --no-inline --fields comm,tid,period,ip,sym,dso |
    python3 -B "$PENSTOCK_REPO/bench/profile/report.py" --facts "$out/facts.json" --directory "$out"
}

command_conformance() { # FILE; or - NAME: standard input, which messages call NAME
  if [ "${1:-}" != - ]; then
    open_cases "${1:-}"
    set -- - "$1"
  fi
  (cd "$PENSTOCK_REPO" && build release penstock_conformance)
  "$PENSTOCK_REPO/build/release/bin/penstock_conformance" "${2:-standard input}"
}

command_differential() { # [--count N] [--seed S]
  local program
  build release penstock_conformance
  program=$(build_go tests/differential)
  "$program" --runner "$PENSTOCK_REPO/build/release/bin/penstock_conformance" "$@"
}

command_fmt() { # [FILE...]
  if [ $# = 0 ]; then
    (cd "$PENSTOCK_REPO" && cpp_files | xargs -r clang-format-19 -i && gofmt -w bench tests)
  else
    local file
    for file in "$@"; do
      case $file in *.cc | *.h) clang-format-19 -i "$file" ;; *) die "$file is not a C++ source" ;; esac
    done
  fi
}

command_lint() {
  lint
}

command_test() {
  local layer=${1:-unit} filter=${2:-}
  case $layer in
    unit | component) test_layer debug "$layer" "$filter" ;;
    integration | regress | faults) test_layer release "$layer" "$filter" ;;
    helm | abuse) test_python "$layer" "$filter" ;;
    image) test_image "$filter" ;;
    matrix)
      [ -z "$filter" ] || die "./dev test matrix takes no filter"
      test_matrix
      ;;
    mutations) test_mutations ${filter:+"$filter"} ;;
    model) test_model "${@:2}" ;;
    all) test_all ;;
    *) die "there is no layer '$layer': unit, component, integration, regress, faults, helm, abuse, image, matrix, mutations, model or all" ;;
  esac
}
