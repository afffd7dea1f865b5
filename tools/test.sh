# shellcheck shell=bash
# ./dev test: builds and runs one layer, or everything that CI runs.

# run_layer PRESET LAYER [FILTER]: the tests of a layer in a build that is there. Integration and
# fault tests need a real Kafka and PostgreSQL, and it is a failure if these cannot be had. Their
# versions are Debian's and the kit's, if the environment does not name others (run_versions).
run_layer() {
  local preset=$1 layer=$2 filter=${3:-} jobs status=0
  local build=$PENSTOCK_REPO/build/$preset label=$layer folder=$PENSTOCK_REPO/build/$preset
  local results=${layer_results:-$build/test-results}/$layer.xml
  local servers=()
  jobs=$(nproc)
  if [ "$layer" = regress ]; then # a folder of the integration tests
    label=integration folder=$build/tests/integration/regress
  fi
  case $layer in
    integration | regress | faults)
      need_kafka_kit ${kafka_version:+"$kafka_version"}
      servers=("$build/bin/penstock_test_servers" --)
      [ -x "${servers[0]}" ] || die "${servers[0]} is missing: it starts the servers"
      ;;
  esac
  case $layer in
    integration | regress) jobs=$((2 * jobs)) ;; # they wait more than they compute
  esac
  mkdir -p "${results%/*}"
  rm -f "$results"
  "${servers[@]}" ctest --test-dir "$folder" --label-regex "^$label\$" ${filter:+--tests-regex "$filter"} \
    --parallel "$jobs" --no-tests=error --output-on-failure --output-junit "$results" \
    </dev/null || status=$?
  return "$status"
}

test_layer() { # PRESET LAYER FILTER
  local status=0
  case $2 in
    integration | faults) build "$1" "$2" penstock penstock_test_servers ;;
    regress) build "$1" integration_regress penstock penstock_test_servers ;;
    *) build "$1" "$2" ;;
  esac
  "$PENSTOCK_REPO/tools/inside.sh" run_layer "$@" || status=$?
  python3 "$PENSTOCK_REPO/tools/count_tests.py" "$PENSTOCK_REPO/build/$1/test-results/$2.xml" || status=1
  return "$status"
}

python_results() { # helm|abuse
  printf '%s\n' "$PENSTOCK_REPO/build/$1/test-results/$1.xml"
}

# run_python helm|abuse [--FLAG] [NAME]: tests in Python that try the program of a release build that
# is there, on real servers: the chart's (without a cluster, if --without-cluster), and the attacks
# (a few of them, if --quick).
run_python() {
  local results
  results=$(python_results "$1")
  need_kafka_kit
  rm -f "$results"
  python3 -B "tests/$1/run.py" --junit "$results" "${@:2}" </dev/null
}

test_python() { # helm|abuse [NAME]
  local status=0
  build release penstock penstock_test_servers penstock_test_orders
  "$PENSTOCK_REPO/tools/inside.sh" run_python "$1" ${2:+"$2"} || status=$?
  python3 "$PENSTOCK_REPO/tools/count_tests.py" "$(python_results "$1")" || status=1
  return "$status"
}

# What ./dev test matrix runs: the oldest servers that Penstock is for, and the newest.
matrix=('14.19.0 4.0.0' '18.1.0 4.4.0')

# run_versions POSTGRESQL KAFKA DIRECTORY: the layers that need servers, in a release build that is
# there, on servers of these versions; results go to the directory.
run_versions() {
  local kafka_version=$2 layer_results=$3 archive programs layer status=0
  archive=$("$PENSTOCK_REPO/tools/postgres_kit.sh" "$1")
  programs=$TMPDIR/postgresql-$1 # not the cache: the server runs as another user
  python3 -m tarfile --filter data -e "$archive" "$programs"
  export PENSTOCK_POSTGRES_BIN=$programs/bin
  for layer in integration faults; do
    run_layer release "$layer" || status=$?
  done
  return "$status"
}

test_matrix() {
  local versions postgres kafka directory results=() count_status=0
  build release integration faults penstock penstock_test_servers
  rm -rf "$PENSTOCK_REPO/build/matrix"
  for versions in "${matrix[@]}"; do
    read -r postgres kafka <<<"$versions"
    directory=$PENSTOCK_REPO/build/matrix/postgresql-$postgres-kafka-$kafka/test-results
    results+=("$directory"/{integration,faults}.xml)
    step "PostgreSQL $postgres and Kafka $kafka" run_versions "$postgres" "$kafka" "$directory" || true
  done
  python3 "$PENSTOCK_REPO/tools/count_tests.py" "${results[@]}" || count_status=$?
  [ "${#failed_steps[@]}" = 0 ] && [ "$count_status" = 0 ]
}

# run_mutations [ARGUMENTS]: breaks the product and demands that the named tests notice; see --help.
run_mutations() { python3 -B "$PENSTOCK_REPO/tools/mutations.py" "$@" </dev/null; }

test_mutations() { # [NAME]: all of them, with servers for the tests that need some
  need_kafka_kit
  build release penstock_test_servers
  "$PENSTOCK_REPO/build/release/bin/penstock_test_servers" -- "$PENSTOCK_REPO/tools/inside.sh" run_mutations "$@"
}

# test_model [--operations N] [--seed S]: random records beside what a model makes of them.
test_model() {
  local operations=1000000 seed=1
  while [ $# -gt 0 ]; do
    case $1 in
      --operations) operations=${2:-} ;;
      --seed) seed=${2:-} ;;
      *) die "./dev test model [--operations N] [--seed S]" ;;
    esac
    [[ ${2:-} =~ ^[0-9]+$ ]] || die "$1 takes a number"
    shift 2
  done
  build release integration_write penstock_test_servers
  PENSTOCK_OPERATIONS=$operations PENSTOCK_SEED=$seed "$PENSTOCK_REPO/tools/inside.sh" run_model
}

# The last line has the sum of all models.
run_model() {
  need_kafka_kit
  "$PENSTOCK_REPO/build/release/bin/penstock_test_servers" -- \
    "$PENSTOCK_REPO/build/release/bin/integration_write" --gtest_brief=1 --gtest_filter='ModelTest.*' </dev/null |
    awk '{ print; fflush() } $1 == "operations" { operations += $2; differences += $4 }
      END { printf "operations %d, differences %d\n", operations, differences }'
}

failed_steps=()

# step NAME FUNCTION [ARGS]: runs it, prints how long it took, remembers if it failed, and goes on.
step() {
  local name=$1 started=$SECONDS status=0
  shift
  say "== $name"
  "$PENSTOCK_REPO/tools/inside.sh" "$@" || status=$?
  if [ "$status" = 0 ]; then
    say "== $name: passed ($((SECONDS - started)) s)"
  else
    failed_steps+=("$name")
    say "== $name: FAILED with status $status ($((SECONDS - started)) s)"
  fi
  return "$status"
}

test_all() {
  local preset layer results=() started=$SECONDS count_status=0
  step 'Kafka kit' need_kafka_kit || true
  step lint lint || true
  for preset in release asan-ubsan tsan; do
    local layers=(unit component) targets=(unit component)
    if [ "$preset" = release ]; then
      layers=(unit component integration faults) targets=(all)
    fi
    for layer in "${layers[@]}"; do
      results+=("$PENSTOCK_REPO/build/$preset/test-results/$layer.xml")
      rm -f "${results[-1]}"
    done
    step "build $preset" build "$preset" "${targets[@]}" || continue
    for layer in "${layers[@]}"; do
      step "$layer tests, $preset" run_layer "$preset" "$layer" || true
    done
  done
  if step 'build fuzz' build_fuzz; then
    step 'fuzz targets' fuzz_smoke || true
  fi
  step mutations run_mutations --layers unit,component || true
  step 'differential test of CEL' command_differential --count 10000 --seed 1 || true
  if [ -x "$PENSTOCK_REPO/build/release/penstock" ]; then
    step 'runtime packages' "$PENSTOCK_REPO/tools/check_runtime.sh" || true
    results+=("$(python_results helm)")
    step "the chart's tests" run_python helm --without-cluster || true
    results+=("$(python_results abuse)")
    step 'attacks' run_python abuse --quick || true
    results+=("$image_results")
    step 'container image' run_image || true
  fi
  say "everything took $((SECONDS - started)) s"
  [ "${#failed_steps[@]}" = 0 ] || say "failed: $(printf '%s; ' "${failed_steps[@]}")"
  python3 "$PENSTOCK_REPO/tools/count_tests.py" "${results[@]}" || count_status=$?
  [ "${#failed_steps[@]}" = 0 ] && [ "$count_status" = 0 ]
}
