#!/usr/bin/env bash
# Fetches the Kafka kit from Maven Central into the cache, once, and prints its directory: lib/ has
# the jars, log4j2.properties configures the broker's log. VERSION is Kafka's, if not the one of
# kafka-kit/pom.xml. With --if-there it fetches nothing and prints nothing if the kit is not there.
#   tools/kafka_kit.sh [--if-there | VERSION]
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=''
case ${1:-} in --if-there) ;; *) version=${1:-} ;; esac
pom=$PENSTOCK_REPO/tools/kafka-kit
kit=$PENSTOCK_CACHE/kafka-kit-${version:+$version-}$(cat "$pom/pom.xml" "$pom/log4j2.properties" | short_hash)

fetch() {
  [ -d "$kit" ] && return # another ./dev was faster
  local stale log partial=$kit.partial.$$ started=$SECONDS
  for stale in "$kit".partial.*; do
    [ -e "$stale" ] && rm -rf "$stale"
  done
  mkdir -p "$partial"
  log=$PENSTOCK_CACHE/kafka-kit.log
  say "fetching the Kafka kit${version:+ of $version} from Maven Central (once; about 1 minute, 60 MB)"
  if ! maven copy-dependencies --file "$pom/pom.xml" ${version:+"-Dkafka.version=$version"} \
    -DincludeScope=runtime "-DoutputDirectory=$partial/lib" >"$log" 2>&1; then
    rm -rf "$partial"
    grep -m 3 ERROR "$log" >&2 || true
    die "the Kafka kit could not be fetched from Maven Central (network? certificate authorities? a" \
      "mirror goes into ~/.m2/settings.xml); the whole output: $log"
  fi
  [ -z "$version" ] || [ -e "$partial/lib/kafka-clients-$version.jar" ] ||
    die "$partial has another Kafka than $version"
  cp "$pom/log4j2.properties" "$partial/"
  chmod -R a+rX "$partial"
  mv "$partial" "$kit"
  say "the Kafka kit is ready: $(find "$kit/lib" -name '*.jar' | wc -l) jars ($((SECONDS - started)) s)"
}

if [ "${1:-}" = --if-there ]; then
  [ ! -d "$kit" ] || echo "$kit"
  exit
fi
command -v java >/dev/null || die "Java is missing; Kafka needs Java 17 or later"
[ -d "$kit" ] || with_lock kafka-kit fetch
echo "$kit"
