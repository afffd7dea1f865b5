# shellcheck shell=bash
# ./dev fuzz: builds the fuzz targets and runs them, one after the other, on one core.

fuzz_targets=(compile evaluate json yaml http grpc headers tuples)

build_fuzz() { # and what the targets start from
  local build=$PENSTOCK_REPO/build/fuzz cases=("$PENSTOCK_REPO"/tests/conformance/*.jsonl)
  [ -e "${cases[0]}" ] || cases=()
  build fuzz fuzz
  rm -rf "$build/seeds"
  mkdir -p "$build/findings"
  "$build/bin/fuzz_seeds" "$build/seeds" "${cases[@]}"
}

# run_fuzz TARGET CORPUS [OPTION...]: libFuzzer over the seeds and what CORPUS has collected. The
# first finding ends it; the input that shows it is then in build/fuzz/findings. The targets measure
# themselves what takes long, in CPU time; -timeout is for what never ends, on a busy machine too.
# What one input may allocate is bounded; the process as a whole is not, because the sanitizer keeps
# much of what was freed (2 GB after 150,000 inputs, 45 MB of it in use).
run_fuzz() {
  local build=$PENSTOCK_REPO/build/fuzz target=$1 corpus=$2 seeds
  shift 2
  seeds=("$build/seeds/$target")
  if [ "$target" = yaml ]; then seeds+=("$PENSTOCK_REPO/examples"); fi
  mkdir -p "$corpus"
  nice "$build/bin/fuzz_$target" -dict="$build/seeds/$target.dictionary" -max_len=4096 \
    -timeout=300 -report_slow_units=300 -malloc_limit_mb=1024 -rss_limit_mb=0 -print_final_stats=1 \
    -artifact_prefix="$build/findings/$target-" "$@" \
    "$corpus" "${seeds[@]}"
}

# Twenty seconds or so for each of the first two, five for each of the others, the same inputs every
# time: so that the targets stay alive, and what the seeds alone can show is shown.
fuzz_smoke() {
  local corpus target
  local -A runs=([compile]=100000 [evaluate]=30000 [json]=10000 [yaml]=5000 [http]=1500 [grpc]=4000
    [headers]=15000 [tuples]=15000)
  corpus=$(mktemp -d)
  # shellcheck disable=SC2064 # the directory is known now
  trap "rm -rf '$corpus'" EXIT
  for target in "${fuzz_targets[@]}"; do
    run_fuzz "$target" "$corpus/$target" -seed=1 -runs="${runs[$target]}" -verbosity=0 || return
  done
}

command_fuzz() {
  local targets=("${fuzz_targets[@]}") seconds=60 target
  case ${1:-} in
    '') ;;
    [0-9]*) seconds=$1 ;;
    *)
      targets=("$1")
      seconds=${2:-60}
      ;;
  esac
  for target in "${targets[@]}"; do
    case " ${fuzz_targets[*]} " in
      *" $target "*) ;;
      *) die "there is no fuzz target '$target': ${fuzz_targets[*]}" ;;
    esac
  done
  build_fuzz
  for target in "${targets[@]}"; do
    run_fuzz "$target" "$PENSTOCK_REPO/build/fuzz/corpus/$target" -max_total_time="$seconds"
  done
}
