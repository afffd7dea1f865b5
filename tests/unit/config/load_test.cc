#include "config/load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "config/scalars.h"
#include "unit/config/support.h"

namespace penstock::config {
namespace {

using namespace std::chrono_literals;
namespace v1 = penstock::v1;

TEST(Load, ReadsEveryKindOfField) {
  const v1::Config config = loaded(R"(pipelines:
  - name: orders
    source:
      topics: [orders, "returns"]
      group: g
      start_at: latest
      kafka:
        bootstrap.servers: localhost:9092
        session.timeout.ms: 6000
        allow.auto.create.topics: true
    parse:
      json: {max_depth: 64}
      max_record_bytes: 8MiB
      tombstones: skip
      schema: {amount: nullable(int), customer.name: string, '`a.b`': 'map(string, dyn)'}
    compute:
      max_steps: 1_000_000
      where: msg.amount > 0
      let:
        total: double(msg.quantity) * msg.unit_price
    sink:
      postgres: postgres://localhost/shop
      target:
        table: shop.orders
        columns:
          id: msg.id
          total: total
    batch: {max_rows: 1_000, max_bytes: 1000000, max_wait: 250ms}
    resources:
      memory_bytes: 0.5 GiB
    priority: high
    drain_timeout: 1m30s
server: {grpc: "off", http: "[::]:8081", min_workers: 2, max_workers: 8, lanes: 4}
log:
  format: json
  level: debug
)")
                                .config;
  ASSERT_EQ(config.pipelines_size(), 1);
  const v1::PipelineSpec& spec = config.pipelines(0);
  EXPECT_EQ(spec.name(), "orders");
  EXPECT_EQ(spec.source().topics(1), "returns");
  EXPECT_EQ(spec.source().start_at(), v1::SourceSpec::LATEST);
  EXPECT_EQ(spec.source().kafka().at("session.timeout.ms"), "6000");
  EXPECT_EQ(spec.source().kafka().at("allow.auto.create.topics"), "true");
  EXPECT_EQ(spec.parse().max_record_bytes(), 8U << 20);
  EXPECT_EQ(spec.parse().json().max_depth(), 64U);
  EXPECT_EQ(spec.parse().tombstones(), v1::ParseSpec::SKIP);
  EXPECT_EQ(spec.parse().schema().at("amount"), "nullable(int)");
  EXPECT_EQ(spec.parse().schema().at("customer.name"), "string");
  EXPECT_EQ(spec.parse().schema().at("`a.b`"), "map(string, dyn)");
  EXPECT_EQ(spec.compute().max_steps(), 1'000'000U);
  EXPECT_EQ(spec.compute().where(), "msg.amount > 0");
  EXPECT_EQ(spec.compute().let().at("total"), "double(msg.quantity) * msg.unit_price");
  EXPECT_EQ(spec.sink().target().table(), "shop.orders");
  EXPECT_EQ(spec.sink().target().columns().at("id"), "msg.id");
  EXPECT_EQ(spec.batch().max_rows(), 1000U);
  EXPECT_EQ(spec.batch().max_bytes(), 1'000'000U);
  EXPECT_EQ(to_chrono(spec.batch().max_wait()), 250ms);
  EXPECT_EQ(spec.resources().memory_bytes(), 512U << 20);
  EXPECT_EQ(spec.priority(), v1::PipelineSpec::HIGH);
  EXPECT_EQ(to_chrono(spec.drain_timeout()), 90s);
  EXPECT_EQ(config.server().grpc(), "off");
  EXPECT_EQ(config.server().min_workers(), 2U);
  EXPECT_EQ(config.server().max_workers(), 8U);
  EXPECT_EQ(config.server().lanes(), 4U);
  EXPECT_EQ(config.log().format(), v1::LogSpec::JSON);
  EXPECT_EQ(config.log().level(), v1::LogSpec::DEBUG);
}

TEST(Load, FillsInDefaults) {
  const v1::Config config = loaded(good_text()).config;
  const v1::PipelineSpec& spec = config.pipelines(0);
  EXPECT_TRUE(spec.parse().has_json());
  EXPECT_EQ(spec.source().start_at(), v1::SourceSpec::EARLIEST);
  EXPECT_EQ(spec.parse().max_record_bytes(), 16U << 20);
  EXPECT_EQ(spec.parse().tombstones(), v1::ParseSpec::REJECT);
  EXPECT_EQ(spec.parse().json().max_depth(), 256U);
  EXPECT_EQ(spec.compute().max_steps(), 5'000'000U);
  EXPECT_EQ(spec.batch().max_rows(), 50'000U);
  EXPECT_EQ(to_chrono(spec.batch().max_wait()), 0s);
  EXPECT_EQ(to_chrono(spec.drain_timeout()), 10s);
  EXPECT_EQ(spec.priority(), v1::PipelineSpec::NORMAL);
  EXPECT_EQ(config.server().min_workers(), 1U);
  EXPECT_EQ(config.server().max_workers(), 0U) << "the cgroup decides, where it runs";
  EXPECT_EQ(config.server().lanes(), 2U);
  EXPECT_EQ(config.server().grpc(), "127.0.0.1:7070");
  EXPECT_EQ(config.server().http(), "0.0.0.0:8080");
}

TEST(Load, SuggestsTheNearestFieldForAnUnknownKey) {
  const Problem problem = problem_of(good_text("    drain_timout: 5s\n"));
  EXPECT_EQ(problem.line, 10U);
  EXPECT_EQ(problem.column, 5U);
  EXPECT_EQ(problem.path, "pipelines[0].drain_timout");
  EXPECT_EQ(problem.message, "unknown field 'drain_timout'");
  EXPECT_EQ(problem.hint, "did you mean 'drain_timeout'?");
}

TEST(Load, SuggestsSnakeCaseForCamelCaseAndDashes) {
  EXPECT_EQ(problem_of(good_text("    drain-timeout: 5s\n")).hint, "did you mean 'drain_timeout'?");
  EXPECT_EQ(problem_of(good_text("    drainTimeout: 5s\n")).hint, "did you mean 'drain_timeout'?");
}

TEST(Load, ListsTheFieldsWhenNoneIsNear) {
  EXPECT_EQ(
      problem_of(good_text("    banana: 5s\n")).hint,
      "one of: name, source, parse, compute, sink, batch, resources, priority, drain_timeout, "
      "dead_letters, tests");
}

TEST(Load, SaysWhereAKeyBelongsThatStandsInTheWrongPlace) {
  std::string text = good_text();
  text.replace(text.find("target: {table: orders}"), 23, "table: orders");
  const Problem problem = problem_of(text);
  EXPECT_EQ(problem.path, "pipelines[0].sink.table");
  EXPECT_EQ(problem.message, "unknown field 'table'");
  EXPECT_EQ(problem.hint, "its place is pipelines[0].sink.target.table");
  EXPECT_EQ(problem_of(good_text("      lanes: 4\n")).hint, "its place is server.lanes");
  EXPECT_EQ(problem_of(good_text("    resources: {max_workers: 2}\n")).hint,
            "its place is server.max_workers");
  EXPECT_EQ(problem_of(good_text("    parse: {json: {tombstones: skip}}\n")).hint,
            "its place is pipelines[0].parse.tombstones");
  EXPECT_EQ(problem_of(good_text("where: msg.a\n")).hint, "its place is pipelines[].compute.where");
}

TEST(Load, DoesNotTakeAKeyForOneOfATestOrOfADuration) {
  EXPECT_EQ(problem_of(good_text("      offset: 5\n")).hint,
            "one of: postgres, target, routes, match, otherwise");
  EXPECT_EQ(problem_of(good_text("      seconds: 5\n")).hint,
            "one of: postgres, target, routes, match, otherwise");
}

TEST(Load, DoesNotComplainTwiceAboutAMistypedRequiredField) {
  std::string text = good_text();
  text.replace(text.find("table:"), 6, "tabel:");
  EXPECT_EQ(problem_of(text).hint, "did you mean 'table'?");
}

TEST(Load, SaysOfASinkWithoutATableThatRoutesWouldDoToo) {
  for (const char* const sink : {"routes: []", "routes:", "match: all"}) {
    std::string text = good_text();
    text.replace(text.find("target: {table: orders}"), 23, sink);
    const Problems problems = problems_of(text);
    ASSERT_FALSE(problems.empty());
    EXPECT_EQ(problems[0].line, 7U) << render(problems);
    EXPECT_EQ(problems[0].message, "'target' is required, or 'routes' with a table at least");
  }
  std::string misspelt = good_text();
  misspelt.replace(misspelt.find("target:"), 7, "traget:");
  EXPECT_EQ(problem_of(misspelt).message, "unknown field 'traget'");
}

TEST(Load, ReportsAllProblemsAtOnceInTheOrderOfTheFile) {
  const Problems problems = problems_of(R"(pipelines:
  - name: bad name
    source:
      topics: orders
      grop: g
      kafka: {bootstrap.servers: x, group.id: y}
    sink: {postgres: postgres://localhost/x, target: {columns: {id: ""}}}
    batch: {max_wait: 5}
server: {http: nowhere, lanes: 65}
)");
  std::vector<std::pair<std::uint32_t, std::string>> found;
  for (const Problem& problem : problems) found.emplace_back(problem.line, problem.path);
  const std::vector<std::pair<std::uint32_t, std::string>> expected{
      {2, "pipelines[0].name"},
      {4, "pipelines[0].source.topics"},
      {5, "pipelines[0].source.grop"},
      {6, R"(pipelines[0].source.kafka["group.id"])"},
      {7, "pipelines[0].sink.target.table"},
      {7, "pipelines[0].sink.target.columns.id"},
      {8, "pipelines[0].batch.max_wait"},
      {9, "server.http"},
      {9, "server.lanes"},
  };
  EXPECT_EQ(found, expected) << render(problems);
}

TEST(Load, RefusesAKeyThatIsThereTwice) {
  const Problem problem = problem_of(good_text("    name: other\n"));
  EXPECT_EQ(problem.line, 10U);
  EXPECT_EQ(problem.message, "'name' is here a second time");
  EXPECT_EQ(problem.hint, "the first is in line 2");
  const Problem in_map = problem_of(good_text("    compute: {let: {a: '1', a: '2'}}\n"));
  EXPECT_EQ(in_map.path, "pipelines[0].compute.let.a");
  EXPECT_EQ(in_map.column, 29U);
}

TEST(Load, NamesWhatItExpectedAndWhatItFound) {
  EXPECT_EQ(problem_of(good_text("    batch: {max_rows: many}\n")).message,
            "expected a whole number that is not negative, found 'many'");
  EXPECT_EQ(problem_of(good_text("    batch: {max_rows: -1}\n")).message,
            "expected a whole number that is not negative, found '-1'");
  EXPECT_EQ(problem_of(good_text("    batch: {max_rows: 5000000000}\n")).message,
            "expected a smaller number, found '5000000000'");
  EXPECT_EQ(problem_of(good_text("    batch: {max_rows: 0}\n")).message,
            "expected a number from 1 on, found '0'");
  EXPECT_EQ(problem_of(good_text("    batch: {max_bytes: 0}\n")).message,
            "expected a number from 1 on, found '0'");
  EXPECT_EQ(problem_of(good_text("server: {lanes: 0}\n")).hint, "leave it out for the default");
  EXPECT_EQ(problem_of(good_text("    batch: {max_bytes: 1.3}\n")).message,
            "expected a size, found '1.3'");
  EXPECT_EQ(problem_of(good_text("    batch: [1]\n")).message, "expected a mapping, found a list");
  EXPECT_EQ(problem_of(good_text("    compute: {where: [a]}\n")).message,
            "expected text, found a list");
  EXPECT_EQ(problem_of(good_text("    compute: {let: {x: }}\n")).message,
            "expected text, found nothing");
  EXPECT_EQ(problem_of(good_text("    compute: {let: x}\n")).message,
            "expected a mapping, found text");
}

TEST(Load, AsksForTheUnitOfADuration) {
  const Problem problem = problem_of(good_text("    drain_timeout: 30\n"));
  EXPECT_EQ(problem.message, "expected a duration, found '30'");
  EXPECT_EQ(problem.hint, "give the unit: 30s or 30ms");
}

TEST(Load, ReadsAMappingOfDurations) {
  const std::string retry = "    dead_letters: {retry_for: {23503: 30s, '23514': ";
  const v1::Config config = loaded(good_text(retry + "1m30s}}\n")).config;
  const auto& times = config.pipelines(0).dead_letters().retry_for();
  ASSERT_EQ(times.size(), 2U);
  EXPECT_EQ(to_chrono(times.at("23503")), 30s);
  EXPECT_EQ(to_chrono(times.at("23514")), 90s);
  const Problem no_unit = problem_of(good_text(retry + "10}}\n"));
  EXPECT_EQ(no_unit.hint, "give the unit: 10s or 10ms");
  EXPECT_EQ(problem_of(good_text(retry + "}}\n")).message, "there is no duration");
}

TEST(Load, SuggestsEnumValues) {
  std::string text = good_text();
  text.insert(text.find("    sink:"), "      start_at: earlist\n");
  const Problem problem = problem_of(text);
  EXPECT_EQ(problem.message, "expected a known word, found 'earlist'");
  EXPECT_EQ(problem.hint, "did you mean 'earliest'?");
  EXPECT_EQ(problem_of(good_text("log: {level: START}\n")).hint,
            "one of: debug, info, warning, error");
}

TEST(Load, RefusesTheUnspecifiedEnumValue) {
  EXPECT_EQ(problem_of(good_text("    priority: unspecified\n")).hint, "one of: high, normal, low");
  EXPECT_EQ(problem_of(good_text("log: {level: unspecified}\n")).path, "log.level");
}

TEST(Load, TakesEmptyMappingsAndNothingAsLeftOut) {
  for (const char* more :
       {"    parse: {json: {}}\n", "    parse: {json: }\n", "    parse:\n",
        "    compute:\n    batch: {}\n", "    drain_timeout:\n", "server: ~\n"}) {
    const v1::Config config = loaded(good_text(more)).config;
    EXPECT_TRUE(config.pipelines(0).parse().has_json()) << more;
    EXPECT_EQ(config.pipelines(0).batch().max_rows(), 50'000U) << more;
  }
}

TEST(Load, AsksForPipelinesInAnEmptyFile) {
  for (const char* text : {"", "# nothing\n", "---\n", "{}\n"}) {
    EXPECT_EQ(problem_of(text).message, "'pipelines' is required") << text;
  }
}

TEST(Load, FollowsAliasesAndMergeKeys) {
  const v1::Config config = loaded(R"(pipelines:
  - &first
    name: a
    source: &source
      topics: [t]
      group: &group g
      kafka: {bootstrap.servers: "b:1"}
    sink: {postgres: postgres://localhost/x, target: {table: t}}
    priority: low
  - <<: *first
    name: b
    source:
      <<: *source
      topics: [u]
      group: *group
)")
                                .config;
  ASSERT_EQ(config.pipelines_size(), 2);
  EXPECT_EQ(config.pipelines(1).name(), "b");
  EXPECT_EQ(config.pipelines(1).sink().target().table(), "t");
  EXPECT_EQ(config.pipelines(1).priority(), v1::PipelineSpec::LOW);
  EXPECT_EQ(config.pipelines(1).source().topics(0), "u");
  EXPECT_EQ(config.pipelines(1).source().group(), "g");
  EXPECT_EQ(config.pipelines(1).source().kafka().at("bootstrap.servers"), "b:1");
}

TEST(Load, RefusesAnAliasInsideOfItself) {
  const Problem problem = problem_of("pipelines: &a [*a]\n");
  EXPECT_EQ(problem.message, "an alias inside of what it stands for");
  EXPECT_EQ(problem.column, 16U);
  EXPECT_EQ(problem_of("pipelines: [*nobody]\n").line, 1U);
}

TEST(Load, RefusesAliasesThatMultiply) {
  std::string text = "pipelines:\n  - &a0 {name: x}\n";
  // Ten times ten times ten …: three kilobytes that would be ten thousand million pipelines.
  std::string previous = "a0";
  text += "  - compute: {let: &m0 {a: b}}\n";
  for (int level = 1; level <= 9; ++level) {
    const std::string name = "m" + std::to_string(level);
    text += "  - compute: &" + name + " {<<: [";
    for (int i = 0; i < 10; ++i) {
      text += (i ? ", " : "") + std::string("*m") + std::to_string(level - 1);
    }
    text += "]}\n";
  }
  const Problems problems = problems_of(text);
  ASSERT_FALSE(problems.empty());
  EXPECT_TRUE(std::ranges::any_of(problems, [](const Problem& problem) {
    return problem.message == "more than 100000 values";
  })) << render(std::span(problems).first(5));
}

TEST(Load, LimitsDepthAndSize) {
  const std::string deep = "pipelines: " + std::string(100, '[') + std::string(100, ']');
  EXPECT_EQ(problem_of(deep).message, "nested deeper than 64 levels");
  EXPECT_EQ(problem_of("pipelines: " + std::string(200'000, '[')).message,
            "nested deeper than 64 levels");
  EXPECT_EQ(problem_of("#" + std::string(1 << 20, 'x')).message, "larger than 1 MiB");
}

TEST(Load, SaysThatTabsAreNotIndentation) {
  const Problem problem = problem_of("pipelines:\n\t- name: x\n");
  EXPECT_EQ(problem.line, 2U);
  EXPECT_EQ(problem.hint, "YAML does not allow tabs for indentation; use spaces");
}

TEST(Load, SaysOfAllBadSyntaxHowToMendIt) {
  for (const char* text :
       {"pipelines:\n  - name: a\n - name: b\n", "pipelines: - name\n", "pipelines: *nobody\n",
        "pipelines: &\n", "pipelines: !<x\n", "pipelines: \"\\q\"\n", "pipelines: \"\\xzz\"\n",
        "pipelines:\n  name: @x\n", "pipelines:\n  name: `x`\n", "%YAML 9.9\n---\npipelines: []\n",
        "pipelines:\n  ? a\n  b: c: d\n", "pipelines: |x\n  a\n", "a: b\n  c: d\n",
        "- a\nb: c\n"}) {
    const Problem problem = problem_of(text);
    EXPECT_NE(problem.hint, "") << text << render(std::span(&problem, 1));
  }
}

TEST(Load, PointsAtBadSyntax) {
  const Problem quote = problem_of("pipelines:\n  - name: \"x\n");
  EXPECT_EQ(quote.message, "not valid YAML: a quote is not closed");
  EXPECT_EQ(quote.column, 11U);
  const Problem single = problem_of(good_text("    compute: {where: 'it''s}\n"));
  EXPECT_EQ(single.message, "not valid YAML: a quote is not closed");
  const Problem variable = problem_of(good_text("    batch: {max_rows: ${ROWS}}\n"));
  EXPECT_EQ(variable.hint, "between '{' and '}', or '[' and ']', a ${VAR} must be quoted");
  const Problem bracket = problem_of("pipelines: [\n");
  EXPECT_EQ(bracket.hint, "a '[' or '{' is not closed") << render(std::span(&bracket, 1));
  const Problem colon = problem_of(good_text("    compute: \n      where: a == b: c\n"));
  EXPECT_EQ(colon.line, 11U);
  EXPECT_NE(colon.hint, "");
  const Problem rest = problem_of(good_text("    compute:\n      where: \"a\" == msg.b\n"));
  EXPECT_EQ(rest.line, 11U) << render(std::span(&rest, 1));
  EXPECT_NE(rest.hint, "");
}

TEST(Load, SaysThatAnExpressionThatLooksLikeATagMustBeQuoted) {
  const Problem problem = problem_of(good_text("    compute:\n      where: !msg.deleted\n"));
  EXPECT_EQ(problem.line, 11U);
  EXPECT_EQ(problem.column, 14U);
  EXPECT_EQ(problem.hint, "text that begins with '!' must be quoted");
}

TEST(Load, SaysThatASpaceIsMissing) {
  const Problem problem = problem_of("pipelines:\n  - name:orders\n");
  EXPECT_EQ(problem.hint, "a space is missing after ':'");
}

TEST(Load, RefusesASecondDocument) {
  EXPECT_EQ(problem_of(good_text("---\nlog: {level: debug}\n")).message,
            "a second document in the same file");
}

TEST(Load, RefusesWhatIsNotText) {
  EXPECT_EQ(problem_of("pipelines: \xff\n").message, "not UTF-8 text");
  const Problem control = problem_of(std::string("pipelines:\n  - name: \"a\0b\"\n", 25));
  EXPECT_EQ(control.message, "a control character");
  EXPECT_EQ(control.line, 2U);
}

TEST(Load, IgnoresAByteOrderMark) {
  EXPECT_EQ(loaded("\xEF\xBB\xBF" + good_text()).config.pipelines_size(), 1);
}

TEST(Load, ReadsWindowsLineEnds) {
  std::string text;
  for (const char c : good_text("    compute:\n      where: msg.a > 0\n    nme: x\n")) {
    text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  }
  const Problem problem = problem_of(text);
  EXPECT_EQ(problem.line, 12U);
  EXPECT_EQ(problem.source_line, "    nme: x");
}

TEST(Load, NamesTheFileThatIsNotThere) {
  const auto missing = load_file("/nowhere/penstock.yaml", environment_of({}));
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().front().message, "does not exist");
  EXPECT_EQ(render(missing.error()), "/nowhere/penstock.yaml: does not exist\n");
  const auto directory = load_file("/", environment_of({}));
  ASSERT_FALSE(directory.has_value());
  EXPECT_EQ(directory.error().front().message, "is a directory");
}

TEST(Load, ReadsAFile) {
  const std::string path = testing::TempDir() + "penstock_load_test.yaml";
  std::ofstream(path) << good_text();
  const auto result = load_file(path, environment_of({}));
  std::filesystem::remove(path);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->places.file(), path);
}

TEST(Load, ExpandsVariablesInValues) {
  const v1::Config config =
      loaded(good_text("    batch: {max_rows: \"${ROWS}\", max_wait: \"${WAIT:-20ms}\"}\n"
                       "    compute: {where: 'msg.price == \"$$5\" && msg.re == \"^a$\"'}\n"),
             {{"ROWS", "12"}})
          .config;
  EXPECT_EQ(config.pipelines(0).batch().max_rows(), 12U);
  EXPECT_EQ(to_chrono(config.pipelines(0).batch().max_wait()), 20ms);
  EXPECT_EQ(config.pipelines(0).compute().where(), R"(msg.price == "$5" && msg.re == "^a$")");
}

TEST(Load, NeverLetsAVariableChangeTheStructure) {
  std::string text = good_text();
  text.replace(text.find("table: orders"), 13, "table: \"${TABLE}\"");
  const v1::Config config = loaded(text, {{"TABLE", "a\n    drain_timeout: 1s # ]}"}}).config;
  EXPECT_EQ(config.pipelines(0).sink().target().table(), "a\n    drain_timeout: 1s # ]}");
  EXPECT_EQ(to_chrono(config.pipelines(0).drain_timeout()), 10s);
}

TEST(Load, TakesWhatAVariableHoldsAsItIs) {
  std::string text = good_text();
  text.replace(text.find("{bootstrap.servers"), 18, "{sasl.password: \"${PW}\", bootstrap.servers");
  for (const char* password :
       {"a #b", "a: b", "'quoted\"", "{x}", "*x", "0123", "null", "p$$q", "${HOME}", "!!str", "~",
        "[", "- a", "|", "pw\nenable.auto.commit: true", " a ", "%41", "\\n"}) {
    const Loaded result = loaded(text, {{"PW", password}});
    EXPECT_EQ(result.config.pipelines(0).source().kafka().at("sasl.password"), password);
    EXPECT_EQ(result.config.pipelines(0).source().kafka_size(), 2) << password;
  }
  // In block style nobody has to quote the variable.
  std::string block = good_text();
  block.replace(block.find("{bootstrap.servers: \"localhost:9092\"}"), 37,
                "\n        bootstrap.servers: localhost:9092\n        sasl.password: ${PW}");
  EXPECT_EQ(
      loaded(block, {{"PW", "a #b: {"}}).config.pipelines(0).source().kafka().at("sasl.password"),
      "a #b: {");
}

TEST(Load, SaysThatItLeavesOutALineEndAtTheEndOfAVariable) {
  std::string text = good_text();
  text.replace(text.find("postgres://localhost/shop"), 25, "${URL}");
  const Loaded result = loaded(text, {{"URL", "postgres://u@h/d\n"}});
  EXPECT_EQ(result.config.pipelines(0).sink().postgres(), "postgres://u@h/d");
  ASSERT_EQ(result.notes.size(), 1U);
  EXPECT_EQ(result.notes.front().message,
            "the environment variable 'URL' ends in a line end, which is left out");
  EXPECT_EQ(result.notes.front().path, "pipelines[0].sink.postgres");
}

TEST(Load, SaysWhenAPasswordIsNotPercentEncoded) {
  std::string text = good_text();
  text.replace(text.find("postgres://localhost/shop"), 25, "${URL}");
  for (const char* url :
       {"postgres://u:p%4@s#:/?@db/x", "postgres://u:a@b@h/d", "postgres://u:a/b@h/d",
        "postgres://u:1/b@h/d", "postgres://u:a:b/c@h/d", "host=h\\npassword=x"}) {
    const Problem problem = problem_of(text, {{"URL", url}});
    EXPECT_TRUE(problem.message.ends_with("(the value of the environment variable URL)"))
        << problem.message;
    EXPECT_TRUE(problem.hint.contains("percent-encode")) << problem.hint;
  }
  for (const char* url : {"postgres://u:a%40b%2Fc@h:1/d", "postgres://u@%2Fvar%2Frun/d?user=a@b",
                          "postgres://u:a#b@h/d", "postgres:///d", "host=/run dbname=a@b"}) {
    EXPECT_EQ(problems_of(text, {{"URL", url}}).size(), 0U) << url;
  }
}

TEST(Load, SaysThatNullIsNoValueOfAProperty) {
  std::string text = good_text();
  text.replace(text.find("{bootstrap.servers"), 18, "{client.rack: null, bootstrap.servers");
  EXPECT_EQ(problem_of(text).message, "null is no value");
}

TEST(Load, SaysThatAQuestionMarkMustBeQuotedInBraces) {
  const Problem problem =
      problem_of("pipelines:\n  - sink: {target: {columns: {id: msg.id, v: msg.?v}}}\n");
  EXPECT_TRUE(problem.hint.contains("must be quoted: {name: 'msg.?name'}")) << problem.hint;
}

TEST(Load, NamesAMissingVariableAndItsPlace) {
  std::string text = good_text();
  text.replace(text.find("table: orders"), 13, "table: 'app.${TABLE}'");
  const Problem problem = problem_of(text);
  EXPECT_EQ(problem.line, 9U);
  EXPECT_EQ(problem.column, 28U);
  EXPECT_EQ(problem.path, "pipelines[0].sink.target.table");
  EXPECT_EQ(problem.message, "the environment variable 'TABLE' is not set");
  EXPECT_EQ(problem.hint, "set it, or give a default: ${TABLE:-…}");
}

TEST(Load, DoesNotShowASecretInAProblem) {
  std::string text = good_text("    drain_timeout: 5\n");
  text.replace(text.find("postgres://localhost/shop"), 25,
               "\"postgres://u:hunter2@localhost/shop?prot=1\"");
  const Problems problems = problems_of(text);
  EXPECT_EQ(problems.size(), 2U);
  EXPECT_EQ(render(problems).find("hunter2"), std::string::npos) << render(problems);
}

// Whatever people do to a file, the answer is a configuration or problems, each with its place.
TEST(Load, SurvivesEveryMutilation) {
  const std::string whole = good_text(R"(    compute:
      where: "a\tb" # c
      let: {x: 'it''s', y: ${V:-1}}
    batch: &b
      <<: [{max_rows: 1}]
      max_bytes: 1MiB
    parse: {tombstones: skip}
log: {level: debug}
)");
  const std::string pieces = "{}[]:,-#&*!|>'\"%@`\t\n \\${}<<?~0aäé";
  std::mt19937 random(42);
  for (int round = 0; round < 3000; ++round) {
    std::string text = whole;
    for (std::size_t cuts = 1 + random() % 4; cuts > 0; --cuts) {
      const std::size_t at = random() % (text.size() + 1);
      switch (random() % 4) {
        case 0:
          text.erase(at, random() % 20);
          break;
        case 1:
          text.insert(at, 1, pieces[random() % pieces.size()]);
          break;
        case 2:
          text.insert(at, whole.substr(random() % whole.size(), random() % 30));
          break;
        default:
          text.resize(at);
      }
    }
    const Problems problems = problems_of(text);
    EXPECT_FALSE(render(problems).empty() && !problems.empty());
    for (const Problem& problem : problems) {
      EXPECT_LE(problem.line, std::ranges::count(text, '\n') + 1) << text;
      EXPECT_FALSE(problem.message.empty());
    }
  }
}

}  // namespace
}  // namespace penstock::config
