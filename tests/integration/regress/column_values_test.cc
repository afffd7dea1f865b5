// Which JSON goes into which column: what the page about it says, and that nothing else than what
// PostgreSQL reads in the same text ever arrives.
#include <gtest/gtest.h>

#include <algorithm>
#include <format>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>
#include <utility>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

constexpr const char* kTypes =
    "CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION hstore; "
    "CREATE EXTENSION cube; CREATE EXTENSION isn; "
    "CREATE TYPE mood AS ENUM ('sad', 'ok'); "
    "CREATE TYPE address AS (street text, number integer); "
    "CREATE TYPE spot AS (at point, name text); "
    "CREATE DOMAIN amount AS numeric(12,2) CHECK (VALUE >= 0); ";

std::string page() {
  std::ostringstream text;
  text << std::ifstream(PENSTOCK_COLUMNS_PAGE).rdbuf();
  return text.str();
}

// The examples of docs/reference/columns.md: "| `type` | `JSON` | `becomes` |", or a reason.
struct Example {
  std::string type;
  std::string json;
  std::string becomes;
  bool is_refused = false;
};

// Those of types with an encoder, which go by COPY, or of the others.
std::vector<Example> examples_of_the_page(bool by_text) {
  const std::string whole = page();
  const std::size_t others = whole.find("## Other types");
  std::istringstream text(by_text ? whole.substr(others) : whole.substr(0, others));
  std::vector<Example> examples;
  for (std::string line; std::getline(text, line);) {
    static const std::regex kRow(R"(\| `([^`]+)` \| `([^`]+)` \| (?:`([^`]*)`|([a-z0-9_]+)) \|)");
    std::smatch match;
    if (!std::regex_match(line, match, kRow)) continue;
    examples.push_back(
        {match[1], match[2], match[4].matched ? match[4] : match[3], match[4].matched});
  }
  return examples;
}

void expect_what_the_page_says(const std::vector<Example>& examples) {
  ServiceOptions options{.table = std::string(kTypes) + "CREATE TABLE t (source_offset bigint",
                         .columns = {},
                         .pipeline_yaml = "    dead_letters: {stop_at_share: 1}\n"};
  std::string whole = "{";
  std::vector<std::optional<std::string>> records(1);
  std::vector<const Example*> refused;
  std::string shown;
  harness::SqlRows becomes(1);
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const Example& example = examples[i];
    const std::string column = "c" + std::to_string(i);
    options.table += ", " + column + " " + example.type;
    options.columns[column] = "msg." + column;
    const std::string field = "\"" + column + "\":" + example.json;
    if (example.is_refused) {
      records.emplace_back("{" + field + "}");
      refused.push_back(&example);
    } else {
      whole += (whole == "{" ? "" : ",") + field;
      shown += (shown.empty() ? "" : ", ") + column + "::text";
      becomes[0].emplace_back(example.becomes);
    }
  }
  options.table += ")";
  records[0] = whole + "}";
  Service service(options);
  service.feed(records);  // one row: INSERT
  service.database().execute("SET timezone = 'UTC'");
  for (const std::size_t rows : {std::size_t{1}, std::size_t{400}}) {  // and so many: COPY
    if (rows > 1) service.feed(std::vector<std::optional<std::string>>(rows, whole + "}"));
    const auto distinct = service.database().query("SELECT DISTINCT " + shown + " FROM t");
    ASSERT_EQ(distinct.size(), 1U) << rows;
    std::size_t at = 0;
    for (const Example& example : examples) {
      if (example.is_refused) continue;
      EXPECT_EQ(distinct[0][at], example.becomes) << example.type << ' ' << example.json;
      ++at;
    }
  }
  const auto letters = service.dead_letters();
  ASSERT_EQ(letters.size(), refused.size());
  for (std::size_t i = 0; i < letters.size(); ++i) {
    EXPECT_EQ(letters[i].reason, refused[i]->becomes)
        << refused[i]->type << ' ' << refused[i]->json << ": " << letters[i].message;
    EXPECT_TRUE(letters[i].message.contains("column \"c")) << letters[i].message;
  }
}

TEST(ColumnValues, AreWhatTheirPageSays) {
  const std::vector<Example> examples = examples_of_the_page(/*by_text=*/false);
  ASSERT_GT(examples.size(), 80U);
  expect_what_the_page_says(examples);
}

TEST(ColumnValues, OfTypesThatAreWrittenByTheirTextAreWhatTheirPageSays) {
  const std::vector<Example> examples = examples_of_the_page(/*by_text=*/true);
  ASSERT_GT(examples.size(), 20U);
  expect_what_the_page_says(examples);
}

// Reads the text $ as the column should.
struct Type {
  const char* name;
  std::string read = "$";
  bool is_json = false;
};

// What is finer than a microsecond is cut off, where PostgreSQL rounds.
constexpr const char* kCut = R"(regexp_replace($, '([.,]\d{6})\d+', '\1'))";

const std::vector<Type>& types() {
  // An offset is converted to UTC, where PostgreSQL ignores it.
  static const std::string kTimestamp = std::format(
      "CASE WHEN $ ~* ':.*(z|utc|gmt|[+-]\\d\\d(:?\\d\\d)*)\\Z' "
      "THEN {0}::timestamptz AT TIME ZONE 'UTC' ELSE {0}::timestamp END",
      kCut);
  static const std::vector<Type> types{
      {"smallint", "$::numeric"},
      {"integer", "$::numeric"},
      {"bigint", "$::numeric"},
      {"real"},
      {"double precision"},
      {"numeric"},
      {"numeric(7,2)"},
      {"numeric(20,0)"},
      {"amount"},
      {"text"},
      {"character varying(3)"},
      {"character(3)"},
      {"name"},
      {"citext"},
      {"mood"},
      {"bytea", "convert_to($, 'UTF8')"},
      {"uuid"},
      {"date"},
      {"timestamp with time zone", kCut},
      {"timestamp without time zone", kTimestamp},
      {"time without time zone", kCut},
      {"time with time zone", kCut},
      {"interval", kCut},
      {"inet"},
      {"cidr"},
      {"macaddr"},
      {"macaddr8"},
      {"bit(3)"},
      {"bit varying(5)"},
      {"ltree"},
      {"json", "$", true},
      {"jsonb", "$", true},
      {"address", "json_populate_record(NULL::address, $::json)", true},
  };
  return types;
}

// Of which PostgreSQL reads the text itself.
const std::vector<Type>& types_by_text() {
  static const std::vector<Type> types{
      {"money"},     {"point"},          {"box"},           {"circle"},   {"int4range"},
      {"tstzrange"}, {"int4multirange"}, {"oid"},           {"regclass"}, {"regtype"},
      {"pg_lsn"},    {"\"char\""},       {"tsvector"},      {"tsquery"},  {"jsonpath"},
      {"cube"},      {"isbn"},           {"int2vector"},    {"spot"},     {"point[]"},
      {"tid"},       {"int4range[]"},    {"txid_snapshot"},
  };
  return types;
}

constexpr const char* kNumbers[] = {"0",
                                    "-0",
                                    "-0.0",
                                    "1",
                                    "1.0",
                                    "-1.50",
                                    "1e3",
                                    "1E+3",
                                    "1e-7",
                                    "0.1",
                                    "1.005",
                                    "2.675",
                                    "-2.5",
                                    "0.5",
                                    "1.5",
                                    "2.5",
                                    "32767",
                                    "32768",
                                    "-32769",
                                    "2147483648",
                                    "9007199254740993",
                                    "9007199254740993.0",
                                    "9223372036854775807",
                                    "9223372036854775808",
                                    "-9223372036854775808",
                                    "-9223372036854775809",
                                    "18446744073709551616",
                                    "99999.994",
                                    "99999.995",
                                    "99999.99499999999999999",
                                    "123456789012345678.91",
                                    "12345678901234567890.5",
                                    "0.00000000000000000001",
                                    "33554433",
                                    "16777217.0",
                                    "3.4028235e38",
                                    "3.4028236e38",
                                    "3.5e38",
                                    "1.7976931348623157e308",
                                    "1e308",
                                    "1e309",
                                    "1e400",
                                    "5e-324",
                                    "1e-324",
                                    "1e-400",
                                    "1.00000005960464477540",
                                    "1e100",
                                    "1e20"};

constexpr const char* kTexts[] = {"",
                                  " ",
                                  "a",
                                  "abc",
                                  "abc  ",
                                  "abcd",
                                  "é😀é",
                                  "éé 😀",
                                  "ok",
                                  "OK",
                                  "sad ",
                                  "Sad",
                                  "1",
                                  "1.50",
                                  " 1 ",
                                  "+1",
                                  "1e3",
                                  "NaN",
                                  "nan",
                                  "-NaN",
                                  "Infinity",
                                  "inf",
                                  "-Infinity",
                                  "0x1F",
                                  "0b1",
                                  "1_000",
                                  "1,5",
                                  "1e999999",
                                  "--1",
                                  "99999.995",
                                  "99999.994",
                                  "-0.00",
                                  "-1",
                                  "true",
                                  "t",
                                  "2025-03-01",
                                  "20250301",
                                  "2025-3-1",
                                  "2025-02-29",
                                  "2024-02-29",
                                  "01.03.2025",
                                  "03/01/2025",
                                  "0044-03-15 BC",
                                  "0001-01-01",
                                  "9999-12-31",
                                  "10000-01-01",
                                  "infinity",
                                  "-infinity",
                                  "now",
                                  "today",
                                  "epoch",
                                  "2016-12-31T23:59:60Z",
                                  "2016-12-31T23:59:60.5Z",
                                  "2016-12-31T24:00:00Z",
                                  "2025-03-01T12:30:00Z",
                                  "2025-03-01t12:30:00z",
                                  "2025-03-01T12:30Z",
                                  "2025-03-01 12:30:00+02",
                                  "2025-03-01T12:30:00+14:00",
                                  "2025-03-01T12:30:00-15:59:59",
                                  "2025-03-01T12:30:00+16:00",
                                  "2025-03-01 12:30:00",
                                  "2025-03-01 12:30:00.1234564",
                                  "2025-03-01 12:30:00.1234565Z",
                                  "2025-03-01T12:30:59.9999999Z",
                                  "9999-12-31T23:59:59.9999999Z",
                                  "0001-01-01T00:00:00+14:00",
                                  "9999-12-31T23:59:59-14:00",
                                  "2025-03-30T02:30:00+01:00",
                                  "2025-03-01 12:30:00 Europe/Berlin",
                                  "2025-03-01 12:30:00 CET",
                                  "2025-03-01T12:30:00 +0200",
                                  "12:30",
                                  "12:30:00",
                                  "123000",
                                  "24:00:00",
                                  "23:59:60",
                                  "23:59:59.9999999",
                                  "12:30:00+02",
                                  "12:30:00Z",
                                  "12:30:00 PM",
                                  "P1DT2H30M",
                                  "P1Y2M3D",
                                  "PT0.0000019S",
                                  "P1W",
                                  "1 day",
                                  "1 year 2 mons -3 days +04:05:06.7",
                                  "-1 days",
                                  "1.5 days",
                                  "1.5 hours",
                                  "90",
                                  "90s",
                                  "1h30m",
                                  "1m",
                                  "-00:00:01.5",
                                  "1 day ago",
                                  "192.0.2.1",
                                  "192.0.2.1/24",
                                  "192.0.2.0/24",
                                  "192.0.2",
                                  "10/8",
                                  "010.0.0.1",
                                  "::1",
                                  "::ffff:192.0.2.1",
                                  "2001:DB8::1",
                                  "2001:db8::/32",
                                  "fe80::1%eth0",
                                  "08:00:2b:01:02:03",
                                  "08-00-2b-01-02-03",
                                  "0800.2b01.0203",
                                  "08002b010203",
                                  "8:0:2b:1:2:3",
                                  "08:00:2b:01:02:03:04:05",
                                  "101",
                                  "10",
                                  "1011",
                                  "00000",
                                  "000000",
                                  "B101",
                                  "Top.Science",
                                  "a..b",
                                  "a-b",
                                  "Top.Sci ence",
                                  "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                                  "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}",
                                  "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                                  "\\\\xdeadbeef",
                                  "(1,2)",
                                  "(1,2),(3,4)",
                                  "<(1,2),3>",
                                  "$1,234.50",
                                  "-$5",
                                  "[1,5]",
                                  "[5,1]",
                                  "(,)",
                                  "empty",
                                  "[2025-03-01 12:00Z,2025-03-02 12:00Z)",
                                  "{[1,3),[5,)}",
                                  "pg_class",
                                  "pg_catalog.pg_class",
                                  "no_such_table",
                                  "no_such.table",
                                  "16/B374D848",
                                  "cat & !rat",
                                  "$.a[*] ? (@ > 1)",
                                  "978-0-306-40615-7",
                                  "1 2 3",
                                  "(\\\"(1,2)\\\",here)",
                                  "{\\\"(1,2)\\\",NULL}",
                                  "{\\\"[1,3)\\\"}",
                                  "10:20:10,14,15",
                                  "it's é \\\\ % %s $1",
                                  "{1,2}",
                                  "[1]",
                                  "null"};

constexpr const char* kDocuments[] = {"{}",
                                      "[]",
                                      "true",
                                      "[null]",
                                      R"({ "b" : 1.10, "a":1E2,"b":[] })",
                                      R"(["\u00e9\ud83d\ude00\/\b"])",
                                      R"("\ud83d")",
                                      R"("\u0000")",
                                      R"({"\u0000":1})",
                                      R"(["\\u0000 \\ud800"])",
                                      "[[[[[[[[1]]]]]]]]",
                                      "[1e131071]",
                                      "[1e131073]",
                                      "[1e-16383]",
                                      "[-0, -0.0, 0e5]",
                                      R"({"":1,"a.b":2,"$":3})",
                                      R"({"street":"Main","number":7})",
                                      R"({"number":-2147483648,"x":[1]})",
                                      R"({"number":2147483648})",
                                      R"({"street":"a,\"(b)\\","number":null})",
                                      R"({"street":"","street":"é","number":1000})"};

struct Sample {
  const Type* type = nullptr;
  std::string column;
  std::string json;
  std::string text;
};

std::string sql_literal(std::string_view text) {
  std::string literal = "'";
  for (const char c : text) literal += c == '\'' ? "''" : std::string(1, c);
  return literal + "'";
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

std::vector<Sample> samples_of(const Type& type, const std::string& column) {
  std::vector<Sample> samples;
  const auto add = [&](std::string json, std::string text) {
    samples.push_back({&type, column, json, type.is_json ? json : std::move(text)});
  };
  for (const char* number : kNumbers) add(number, number);
  for (const char* text : kTexts) {
    add("\"" + std::string(text) + "\"", replaced(replaced(text, "\\\"", "\""), "\\\\", "\\"));
  }
  if (type.is_json) {
    for (const char* document : kDocuments) add(document, document);
  }
  return samples;
}

// `is_all`: what PostgreSQL reads is not refused, either.
void expect_what_postgresql_reads(const std::vector<Type>& types, bool is_all) {
  ServiceOptions options{.table = std::string(kTypes) + "CREATE TABLE t (source_offset bigint",
                         .columns = {},
                         .pipeline_yaml = "    dead_letters: {stop_at_share: 1}\n"};
  std::vector<Sample> samples;
  std::string columns;
  for (const Type& type : types) {
    const std::string column = "c" + std::to_string(options.columns.size());
    options.table += ", " + column + " " + type.name;
    options.columns[column] = "msg." + column;
    columns += (columns.empty() ? "" : ", ") + column + "::text";
    std::ranges::copy(samples_of(type, column), std::back_inserter(samples));
  }
  options.table += ")";
  std::vector<std::optional<std::string>> records;
  for (const Sample& sample : samples) {
    records.emplace_back("{\"" + sample.column + "\":" + sample.json + "}");
  }
  Service service(options);
  service.feed(records);

  auto& database = service.database();
  database.execute(
      "SET timezone = 'UTC'; CREATE FUNCTION reads(sql text) RETURNS text LANGUAGE plpgsql AS "
      "$$DECLARE result text; BEGIN EXECUTE sql INTO result; RETURN result; "
      "EXCEPTION WHEN OTHERS THEN RETURN 'refused: ' || SQLERRM; END$$");
  const auto rows =
      database.query("SELECT source_offset, coalesce(" + columns + ") FROM t ORDER BY 1");
  for (const auto& row : rows) {
    const Sample& sample = samples.at(std::stoul(row[0].value()));
    const std::string read = "SELECT (" +
                             replaced(sample.type->read, "$", sql_literal(sample.text)) +
                             ")::" + sample.type->name + "::text";
    const auto expected = database.query("SELECT reads(" + sql_literal(read) + ")").at(0).at(0);
    // Two of the times PostgreSQL does not take, though they are RFC 3339.
    const bool is_time = sample.text.ends_with(":60.5Z") || sample.text.ends_with("+16:00");
    // Nor what it would leave out.
    const bool is_other =
        sample.type->name == std::string_view("address") && sample.json.contains("{\"\\u0000\"");
    const bool is_stricter = is_time || is_other;
    if (is_stricter && expected->starts_with("refused: ")) continue;
    EXPECT_EQ(row[1], expected) << sample.type->name << ' ' << sample.json;
  }
  const auto letters = service.dead_letters();
  EXPECT_EQ(rows.size() + letters.size(), samples.size());
  for (const DeadLetter& letter : letters) {
    if (!is_all || letter.reason == "wrong_type") continue;
    const Sample& sample = samples.at(static_cast<std::size_t>(letter.offset));
    // What PostgreSQL would cut off, or count back from the largest number.
    const std::string_view type = sample.type->name;
    if (letter.reason == "too_long" && type == "\"char\"") continue;
    if (letter.reason == "out_of_range" && type == "oid") continue;
    const std::string read = "SELECT " + sql_literal(sample.text) + "::" + sample.type->name;
    const auto expected = database.query("SELECT reads(" + sql_literal(read) + ")").at(0).at(0);
    EXPECT_TRUE(expected && expected->starts_with("refused: "))
        << sample.type->name << ' ' << sample.json << ": " << letter.message;
    EXPECT_TRUE(letter.message.starts_with("column \"" + sample.column + "\": ")) << letter.message;
  }
  EXPECT_GT(rows.size(), samples.size() / 12);

  // That many went by COPY. One of each type: by an INSERT of several rows.
  std::map<const Type*, std::size_t> first;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    first.try_emplace(samples[std::stoul(rows[i][0].value())].type, i);
  }
  EXPECT_EQ(first.size(), types.size());
  std::vector<std::optional<std::string>> few;
  harness::SqlRows again;
  for (const auto& [type, row] : first) {
    few.push_back(records[std::stoul(rows[row][0].value())]);
    again.push_back({rows[row][1]});
  }
  service.feed(few);
  EXPECT_EQ(database.query("SELECT coalesce(" + columns + ") FROM t WHERE source_offset >= " +
                           std::to_string(samples.size()) + " ORDER BY source_offset"),
            again);
}

TEST(ColumnValues, ArriveAsPostgresqlReadsTheirTextOrNotAtAll) {
  expect_what_postgresql_reads(types(), /*is_all=*/false);
}

TEST(ColumnValues, OfOtherTypesArriveAsPostgresqlReadsTheirTextOrNotAtAll) {
  expect_what_postgresql_reads(types_by_text(), /*is_all=*/true);
}

}  // namespace
}  // namespace penstock::test
