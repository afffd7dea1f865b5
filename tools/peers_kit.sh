#!/usr/bin/env bash
# Makes what ./dev bench peers compares Penstock with, once, in the cache, and prints its directory:
#   redpanda-connect           a program, built of bench/end_to_end/peers/redpanda-connect
#   kafka-connect/lib          Kafka Connect's runtime
#   kafka-connect/plugins      Debezium's JDBC sink and PostgreSQL's JDBC driver
#   versions                   one line for each: name and version
# Versions are pinned: by go.mod and go.sum, and in the pom files.
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

sources=$PENSTOCK_REPO/bench/end_to_end/peers
connect=$sources/redpanda-connect jdbc=$sources/kafka-connect
kit=$PENSTOCK_CACHE/peers-kit-$(cat "$connect"/{main.go,go.mod,go.sum} "$jdbc"/{pom.xml,plugin.xml} \
  "$PENSTOCK_REPO/tools/kafka-kit/log4j2.properties" | short_hash)
log=$PENSTOCK_CACHE/peers-kit.log

# It may want a newer Go than Debian's: that too comes from the module proxy, with its checksum.
build_redpanda_connect() { # build_redpanda_connect PROGRAM
  local started=$SECONDS
  say "building Redpanda Connect with Go (once; some minutes, 1 GB in the cache)"
  GOMODCACHE=$PENSTOCK_CACHE/go/mod GOCACHE=$PENSTOCK_CACHE/go/build GOTOOLCHAIN=auto \
    GOFLAGS='-mod=readonly -buildvcs=false' \
    go -C "$connect" build -o "$1" . >>"$log" 2>&1 </dev/null ||
    fail "Redpanda Connect could not be built: its modules and $(awk '/^go / { print "Go " $2 }' \
      "$connect/go.mod") come over the network from $(go env GOPROXY)"
  say "built Redpanda Connect ($((SECONDS - started)) s)"
}

copy_jars() { # copy_jars POM DIRECTORY
  mvn --batch-mode --no-transfer-progress --file "$1" "-Dmaven.repo.local=$PENSTOCK_CACHE/maven" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime "-DoutputDirectory=$2" >>"$log" 2>&1 </dev/null ||
    fail "Kafka Connect could not be fetched from Maven Central (network? certificate authorities? a" \
      "mirror goes into ~/.m2/settings.xml)"
}

fail() { # with what the tool said
  rm -rf "$partial"
  grep -m 3 -E 'ERROR|^go: |: .*(dial|timeout|no such host)' "$log" >&2 || tail -n 3 "$log" >&2
  die "$*; the whole output: $log"
}

version_of() { # version_of JAR-PREFIX: what follows it in the name of a jar
  local jar
  jar=$(find "$partial/kafka-connect" -name "$1-[0-9]*.jar" -printf '%f\n' -quit)
  jar=${jar#"$1-"}
  echo "${jar%.jar}"
}

make_kit() {
  [ -d "$kit" ] && return # another ./dev was faster
  local stale
  for stale in "$PENSTOCK_CACHE"/peers-kit-*.partial.*; do
    [ -e "$stale" ] && rm -rf "$stale"
  done
  partial=$kit.partial.$$
  mkdir -p "$partial"
  : >"$log"
  say "fetching Kafka Connect and Debezium's JDBC sink from Maven Central (once; 70 MB)"
  copy_jars "$jdbc/pom.xml" "$partial/kafka-connect/lib"
  copy_jars "$jdbc/plugin.xml" "$partial/kafka-connect/plugins/debezium-jdbc"
  cp "$PENSTOCK_REPO/tools/kafka-kit/log4j2.properties" "$partial/kafka-connect/"
  build_redpanda_connect "$partial/redpanda-connect"
  {
    echo "redpanda-connect $(awk '/redpanda-data\/connect\/v4 v/ { print $2; exit }' "$connect/go.mod")"
    echo "kafka-connect $(version_of connect-runtime)"
    echo "debezium-connector-jdbc $(version_of debezium-connector-jdbc)"
    echo "postgresql-jdbc $(version_of postgresql)"
  } >"$partial/versions"
  chmod -R a+rX "$partial"
  mv "$partial" "$kit"
  say "the peers are ready: $(paste -sd, "$kit/versions")"
}

for tool in java mvn go; do
  command -v "$tool" >/dev/null || die "$tool is missing; the peers need Java 17 or later, Maven and Go"
done
[ -d "$kit" ] || with_lock peers-kit make_kit
echo "$kit"
