#!/usr/bin/env bash
# Makes what ./dev bench peers compares Penstock with, once, in the cache, and prints its directory:
#   flink-sql/lib              Flink with its SQL, its Kafka source and its JDBC sink
#   flink-sql/classes          RunSql, compiled of bench/end_to_end/peers/flink-sql
#   kafka-connect/lib          Kafka Connect's runtime
#   kafka-connect/plugins      Debezium's JDBC sink and PostgreSQL's JDBC driver
#   versions                   one line for each: name and version
# Versions are pinned in the pom files.
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

flink=$PENSTOCK_REPO/bench/end_to_end/peers/flink-sql
connect=$PENSTOCK_REPO/bench/end_to_end/peers/kafka-connect
kit=$PENSTOCK_CACHE/peers-kit-$(cat "$flink"/{pom.xml,RunSql.java} "$connect"/{pom.xml,plugin.xml} \
  "$PENSTOCK_REPO/tools/kafka-kit/log4j2.properties" | short_hash)
log=$PENSTOCK_CACHE/peers-kit.log

copy_jars() { # copy_jars POM DIRECTORY
  maven copy-dependencies --file "$1" -DincludeScope=runtime "-DoutputDirectory=$2" >>"$log" 2>&1 ||
    fail "what $1 names could not be fetched from Maven Central (network? certificate authorities? a" \
      "mirror goes into ~/.m2/settings.xml)"
}

# Debian's Java runtime has the compiler, and no program to call it by.
compile() { # compile SOURCE JARS DIRECTORY
  local jars=("$2"/*.jar)
  java -m jdk.compiler/com.sun.tools.javac.Main -proc:none -d "$3" \
    -classpath "$(IFS=: && echo "${jars[*]}")" "$1" >>"$log" 2>&1 </dev/null || fail "$1 could not be compiled"
}

fail() { # with what the tool said
  rm -rf "$partial"
  grep -m 3 -E 'ERROR|error:' "$log" >&2 || tail -n 3 "$log" >&2
  die "$*; the whole output: $log"
}

version_of() { # version_of JAR-PREFIX: what follows it in the name of a jar
  local jar
  jar=$(find "$partial" -name "$1-[0-9]*.jar" -printf '%f\n' -quit)
  jar=${jar#"$1-"}
  echo "${jar%.jar}"
}

make_kit() {
  [ -d "$kit" ] && return # another ./dev was faster
  local stale started=$SECONDS
  for stale in "$PENSTOCK_CACHE"/peers-kit-*.partial.*; do
    [ -e "$stale" ] && rm -rf "$stale"
  done
  partial=$kit.partial.$$
  mkdir -p "$partial"
  : >"$log"
  say "fetching Flink, Kafka Connect and Debezium's JDBC sink from Maven Central (once; 210 MB)"
  copy_jars "$flink/pom.xml" "$partial/flink-sql/lib"
  compile "$flink/RunSql.java" "$partial/flink-sql/lib" "$partial/flink-sql/classes"
  copy_jars "$connect/pom.xml" "$partial/kafka-connect/lib"
  copy_jars "$connect/plugin.xml" "$partial/kafka-connect/plugins/debezium-jdbc"
  tee "$partial"/{flink-sql,kafka-connect}/log4j2.properties \
    <"$PENSTOCK_REPO/tools/kafka-kit/log4j2.properties" >/dev/null
  {
    echo "flink $(version_of flink-clients)"
    echo "flink-sql-connector-kafka $(version_of flink-sql-connector-kafka)"
    echo "flink-connector-jdbc $(version_of flink-connector-jdbc-core)"
    echo "kafka-connect $(version_of connect-runtime)"
    echo "debezium-connector-jdbc $(version_of debezium-connector-jdbc)"
    echo "postgresql-jdbc $(version_of postgresql)"
  } >"$partial/versions"
  chmod -R a+rX "$partial"
  mv "$partial" "$kit"
  say "the peers are ready: $(paste -sd, "$kit/versions") ($((SECONDS - started)) s)"
}

for tool in java mvn; do
  command -v "$tool" >/dev/null || die "$tool is missing; the peers need Java 17 or later and Maven"
done
[ -d "$kit" ] || with_lock peers-kit make_kit
echo "$kit"
