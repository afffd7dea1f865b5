# shellcheck shell=bash
# ./dev lint: every check that needs no test, cheapest first. All run; any that fails fails it.
# The working directory is the clone.

cpp_files() {
  local roots=() root
  for root in service harness tests bench cmake; do
    [ -d "$root" ] && roots+=("$root")
  done
  find "${roots[@]}" -name '*.h' -o -name '*.cc'
}

check_format() {
  local wrong
  wrong=$({
    cpp_files | xargs -r clang-format-19 --dry-run 2>&1 | sed -nE 's/^([^: ]+):[0-9].*/\1/p'
    gofmt -l bench tests
  } | sort -u)
  [ -z "$wrong" ] || {
    printf 'not formatted: %s\n' "$wrong" >&2
    return 1
  }
}

check_bash() {
  shellcheck --external-sources --source-path=SCRIPTDIR/.. dev .ci/run tools/*.sh tests/*/*.sh
}

check_markers() { # work that is left belongs in an issue
  ! grep -rnIwE 'TO''DO|FIX''ME' --exclude-dir=.git --exclude-dir=build .
}

check_includes() { python3 "$PENSTOCK_REPO/tools/check_includes.py"; }

check_headers() {
  build release penstock_protos penstock_pch header_check # with what clang-tidy will read
}

check_tidy() { python3 "$PENSTOCK_REPO/tools/tidy.py" "$PENSTOCK_REPO/build/release"; }

lint() {
  local failed=() check started
  for check in check_format check_bash check_markers check_includes check_headers check_tidy; do
    started=$SECONDS
    if "$PENSTOCK_REPO/tools/inside.sh" "$check"; then
      say "$check: passed ($((SECONDS - started)) s)"
    else
      say "$check: FAILED ($((SECONDS - started)) s)"
      failed+=("$check")
    fi
  done
  [ "${#failed[@]}" = 0 ] || die "lint failed: ${failed[*]} (./dev fmt repairs the format)"
}
