// For every column type: values → our bytes → COPY into the real PostgreSQL → what it then shows.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cel/arena.h"
#include "cel/containers.h"
#include "integration/compute/encoding_session.h"

namespace penstock::compute {
namespace {

using cel::Value;
using namespace std::string_view_literals;

class EncodeRoundTrip : public testing::Test {
 protected:
  // Copies one value into a column of this type; what PostgreSQL then shows of it.
  std::string shown(const ColumnDescription& column, const Value& value) {
    session.query("CREATE TEMP TABLE IF NOT EXISTS \"t " + column.type_name + "\" (v " +
                  column.type_name + ")");
    const std::string table = "\"t " + column.type_name + "\"";
    session.query("TRUNCATE " + table);
    FieldBuffer buffer;
    begin_tuple(buffer, 1);
    EncodeProblem problem;
    if (!encode_field(column, value, buffer, problem)) return "refused: " + problem.message;
    if (const std::string error = session.copy(table, buffer.view()); !error.empty()) return error;
    return session.value("SELECT v::text FROM " + table);
  }
  // Likewise, from text to a string value.
  std::string shown(const ColumnDescription& column, std::string_view text) {
    return shown(column, Value::of_string(text));
  }

  ColumnDescription array_of(ColumnType type, const std::string& element) {
    ColumnDescription column = describe(type, element + "[]");
    column.is_array = true;
    column.element_oid = static_cast<std::uint32_t>(
        std::stoul(session.value("SELECT '" + element + "'::regtype::oid")));
    return column;
  }

  EncodingSession session;
};

TEST_F(EncodeRoundTrip, Booleans) {
  const ColumnDescription column = describe(ColumnType::boolean, "boolean");
  EXPECT_EQ(shown(column, Value::of_bool(true)), "true");
  EXPECT_EQ(shown(column, Value::of_bool(false)), "false");
  EXPECT_EQ(shown(column, Value::null()), "NULL");
}

TEST_F(EncodeRoundTrip, Integers) {
  EXPECT_EQ(shown(describe(ColumnType::int2, "smallint"), Value::of_int(-32768)), "-32768");
  EXPECT_EQ(shown(describe(ColumnType::int4, "integer"), Value::of_double(2e9)), "2000000000");
  EXPECT_EQ(shown(describe(ColumnType::int8, "bigint"), Value::of_int(INT64_MIN)),
            "-9223372036854775808");
  EXPECT_EQ(shown(describe(ColumnType::int8, "bigint"), Value::of_uint(INT64_MAX)),
            "9223372036854775807");
}

TEST_F(EncodeRoundTrip, Floats) {
  const ColumnDescription real = describe(ColumnType::float4, "real");
  const ColumnDescription wide = describe(ColumnType::float8, "double precision");
  EXPECT_EQ(shown(real, Value::of_double(0.1)), "0.1");
  EXPECT_EQ(shown(wide, Value::of_double(0.1)), "0.1");
  EXPECT_EQ(shown(wide, Value::of_double(std::nan(""))), "NaN");
  EXPECT_EQ(shown(real, Value::of_double(-std::numeric_limits<double>::infinity())), "-Infinity");
  EXPECT_EQ(shown(wide, Value::of_double(-0.0)), "-0");
  EXPECT_EQ(shown(real, Value::of_double(std::numeric_limits<float>::max())), "3.4028235e+38");
  EXPECT_EQ(shown(real, Value::of_double(1e-45)), "1e-45");
}

TEST_F(EncodeRoundTrip, Numerics) {
  const ColumnDescription any = describe(ColumnType::numeric, "numeric");
  EXPECT_EQ(shown(any, "-12345.6780"), "-12345.6780");
  EXPECT_EQ(shown(any, Value::of_uint(UINT64_MAX)), "18446744073709551615");
  EXPECT_EQ(shown(any, Value::of_double(1e22)), "10000000000000000000000");
  EXPECT_EQ(shown(any, Value::of_double(1.5e-7)), "0.00000015");
  EXPECT_EQ(shown(any, "NaN"), "NaN");
  EXPECT_EQ(shown(any, "-Infinity"), "-Infinity");
  EXPECT_EQ(shown(any, "1e131071").size(), 131'072U);
  EXPECT_EQ(shown(any, "1e-16383").size(), 16'385U);
  ColumnDescription money = describe(ColumnType::numeric, "numeric(7,2)");
  money.numeric_precision = 7;
  money.numeric_scale = 2;
  EXPECT_EQ(shown(money, Value::of_double(19.995)), "20.00");
  EXPECT_EQ(shown(money, Value::of_int(-3)), "-3.00");
  EXPECT_EQ(shown(money, "99999.994"), "99999.99");
}

TEST_F(EncodeRoundTrip, Texts) {
  const ColumnDescription text = describe(ColumnType::text, "text");
  EXPECT_EQ(shown(text, "Zürich 😀 \"'\\\n"), "Zürich 😀 \"'\\\n");
  EXPECT_EQ(shown(text, ""), "");
  ColumnDescription varchar = describe(ColumnType::text, "varchar(4)");
  varchar.max_length = 4;
  EXPECT_EQ(shown(varchar, "é€😀x"), "é€😀x");
  EXPECT_EQ(shown(varchar, "abcd   "), "abcd");
  ColumnDescription character = describe(ColumnType::text, "char(4)");
  character.max_length = 4;
  EXPECT_EQ(shown(character, "ab"), "ab");
  EXPECT_EQ(shown(character, "abcd  "), "abcd");
  EXPECT_EQ(shown(describe(ColumnType::text, "name"), std::string(63, 'n')), std::string(63, 'n'));
  session.query("CREATE TYPE pg_temp.mood AS ENUM ('glad', 'sad')");
  EXPECT_EQ(shown(describe(ColumnType::text, "pg_temp.mood"), "sad"), "sad");
}

TEST_F(EncodeRoundTrip, Bytes) {
  const ColumnDescription column = describe(ColumnType::bytea, "bytea");
  EXPECT_EQ(shown(column, Value::of_bytes("\0\xFF\x10"sv)), "\\x00ff10");
  EXPECT_EQ(shown(column, "é\0"sv), "\\xc3a900");
}

TEST_F(EncodeRoundTrip, Uuids) {
  const ColumnDescription column = describe(ColumnType::uuid, "uuid");
  const std::string expected = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
  EXPECT_EQ(shown(column, "{A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11}"), expected);
  EXPECT_EQ(shown(column, Value::of_bytes(
                              "\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11")),
            expected);
}

TEST_F(EncodeRoundTrip, DatesAndTimestamps) {
  const ColumnDescription date = describe(ColumnType::date, "date");
  const ColumnDescription plain = describe(ColumnType::timestamp, "timestamp");
  const ColumnDescription zoned = describe(ColumnType::timestamptz, "timestamptz");
  EXPECT_EQ(shown(date, "2024-02-29"), "2024-02-29");
  EXPECT_EQ(shown(date, "0001-01-01"), "0001-01-01");
  EXPECT_EQ(shown(date, Value::of_timestamp({-1, 0})), "1969-12-31");
  EXPECT_EQ(shown(zoned, "2024-02-29T12:30:00.123456+02:00"), "2024-02-29 10:30:00.123456+00");
  EXPECT_EQ(shown(plain, "2024-02-29T12:30:00+02:00"), "2024-02-29 10:30:00");
  EXPECT_EQ(shown(plain, "2024-02-29 12:30:00"), "2024-02-29 12:30:00");
  // A finer part is cut off, not rounded.
  EXPECT_EQ(shown(zoned, Value::of_timestamp({0, 999'999'999})), "1970-01-01 00:00:00.999999+00");
  EXPECT_EQ(shown(zoned, "9999-12-31T23:59:59.9999999Z"), "9999-12-31 23:59:59.999999+00");
  EXPECT_EQ(shown(zoned, "0001-01-01T00:00:00Z"), "0001-01-01 00:00:00+00");
}

TEST_F(EncodeRoundTrip, Json) {
  cel::Arena arena;
  cel::MapBuilder map(arena);
  const Value items[] = {Value::of_int(1), Value::of_double(2.5), Value::null(),
                         Value::of_uint(UINT64_MAX)};
  map.add(Value::of_string("é\"\n"), Value::of_list({items, 4}));
  map.add(Value::of_string("a"), Value::of_string("\x01 \\u0000 😀"));
  const Value value = map.finish();
  EXPECT_EQ(shown(describe(ColumnType::jsonb, "jsonb"), value),
            R"({"a": "\u0001 \\u0000 😀", "é\"\n": [1, 2.5, null, 18446744073709551615]})");
  EXPECT_EQ(shown(describe(ColumnType::json, "json"), Value::of_string("text")), "\"text\"");
  EXPECT_EQ(shown(describe(ColumnType::json, "json"), Value::of_string("a\0b"sv)), R"("a\u0000b")");
  EXPECT_EQ(shown(describe(ColumnType::jsonb, "jsonb"), Value::of_bool(true)), "true");
}

TEST_F(EncodeRoundTrip, Arrays) {
  const Value ints[] = {Value::of_int(1), Value::null(), Value::of_int(-3)};
  EXPECT_EQ(shown(array_of(ColumnType::int8, "bigint"), Value::of_list({ints, 3})), "{1,NULL,-3}");
  EXPECT_EQ(shown(array_of(ColumnType::int2, "smallint"), Value::of_list({})), "{}");
  const Value texts[] = {Value::of_string("a,b"), Value::of_string("\"")};
  EXPECT_EQ(shown(array_of(ColumnType::text, "text"), Value::of_list({texts, 2})),
            R"({"a,b","\""})");
  const Value numbers[] = {Value::of_double(0.5), Value::of_string("1e3")};
  EXPECT_EQ(shown(array_of(ColumnType::numeric, "numeric"), Value::of_list({numbers, 2})),
            "{0.5,1000}");
  const Value times[] = {Value::of_timestamp({0, 0})};
  EXPECT_EQ(shown(array_of(ColumnType::timestamptz, "timestamptz"), Value::of_list({times, 1})),
            R"({"1970-01-01 00:00:00+00"})");
  const Value uuids[] = {Value::of_string("a0eebc999c0b4ef8bb6d6bb9bd380a11")};
  EXPECT_EQ(shown(array_of(ColumnType::uuid, "uuid"), Value::of_list({uuids, 1})),
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}");
  const Value flags[] = {Value::of_bool(true)};
  EXPECT_EQ(shown(array_of(ColumnType::boolean, "boolean"), Value::of_list({flags, 1})), "{t}");
  EXPECT_EQ(shown(array_of(ColumnType::jsonb, "jsonb"), Value::of_list({ints, 3})), "{1,NULL,-3}");
}

TEST_F(EncodeRoundTrip, ARowOfEveryType) {
  session.query(
      "CREATE TEMP TABLE every (b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 float8, "
      "n numeric(10,3), t text, y bytea, u uuid, d date, p timestamp, z timestamptz, j json, "
      "k jsonb)");
  ColumnDescription numeric = describe(ColumnType::numeric, "numeric(10,3)");
  numeric.numeric_precision = 10;
  numeric.numeric_scale = 3;
  const std::pair<ColumnDescription, Value> fields[] = {
      {describe(ColumnType::boolean, "boolean"), Value::of_bool(true)},
      {describe(ColumnType::int2, "smallint"), Value::of_int(2)},
      {describe(ColumnType::int4, "integer"), Value::of_int(4)},
      {describe(ColumnType::int8, "bigint"), Value::of_int(8)},
      {describe(ColumnType::float4, "real"), Value::of_double(0.25)},
      {describe(ColumnType::float8, "double precision"), Value::of_double(0.5)},
      {numeric, Value::of_string("1.0005")},
      {describe(ColumnType::text, "text"), Value::null()},
      {describe(ColumnType::bytea, "bytea"), Value::of_bytes("\xFF")},
      {describe(ColumnType::uuid, "uuid"), Value::of_string("a0eebc999c0b4ef8bb6d6bb9bd380a11")},
      {describe(ColumnType::date, "date"), Value::of_string("2024-01-02")},
      {describe(ColumnType::timestamp, "timestamp"), Value::of_timestamp({1, 0})},
      {describe(ColumnType::timestamptz, "timestamptz"), Value::of_timestamp({2, 0})},
      {describe(ColumnType::json, "json"), Value::of_int(1)},
      {describe(ColumnType::jsonb, "jsonb"), Value::of_int(2)},
  };
  FieldBuffer buffer;
  for (int row = 0; row < 3; ++row) {
    begin_tuple(buffer, static_cast<int>(std::size(fields)));
    for (const auto& [column, value] : fields) {
      EncodeProblem problem;
      ASSERT_TRUE(encode_field(column, value, buffer, problem)) << problem.message;
    }
  }
  EXPECT_EQ(session.copy("every", buffer.view()), "");
  EXPECT_EQ(session.value("SELECT count(*) FROM every"), "3");
  EXPECT_EQ(session.value("SELECT (every.*)::text FROM every LIMIT 1"),
            R"((t,2,4,8,0.25,0.5,1.001,,"\\xff",a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,2024-01-02,)"
            R"("1970-01-01 00:00:01","1970-01-01 00:00:02+00",1,2))");
}

// What the encoder refuses, PostgreSQL would refuse too, and the other way round at the very edge.
TEST_F(EncodeRoundTrip, LimitsAreThoseOfPostgres) {
  ColumnDescription varchar = describe(ColumnType::text, "varchar(2)");
  varchar.max_length = 2;
  EXPECT_TRUE(shown(varchar, "abc").starts_with("refused"));
  ColumnDescription unchecked = varchar;
  unchecked.max_length = -1;
  EXPECT_TRUE(shown(unchecked, "abc").contains("too long"));
  const ColumnDescription jsonb = describe(ColumnType::jsonb, "jsonb");
  EXPECT_TRUE(shown(jsonb, "a\0"sv).starts_with("refused"));
  EXPECT_TRUE(shown(describe(ColumnType::json, "jsonb"), "x").contains("jsonb version"));
}

// Texts that a column takes become what PostgreSQL makes of the same texts.
class EncodeAsPostgresqlReads : public EncodeRoundTrip {
 protected:
  void expect_same(const ColumnDescription& column, std::initializer_list<std::string_view> texts) {
    for (const std::string_view text : texts) {
      const std::string literal = EncodingSession::quoted(text);
      EXPECT_EQ(shown(column, text),
                session.value("SELECT " + literal + "::" + column.type_name + "::text"))
          << column.type_name << ' ' << text;
    }
  }
};

TEST_F(EncodeAsPostgresqlReads, TimesOfDay) {
  const ColumnDescription time = describe(ColumnType::time, "time without time zone");
  expect_same(time, {"12:30:00", "12:30", "00:00:00.000001", "23:59:59.999999", "24:00:00",
                     "23:59:60", "123000", "12:30:00.5"});
  EXPECT_EQ(shown(time, Value::of_duration({3661, 500'000'000})), "01:01:01.5");
  EXPECT_EQ(shown(time, Value::of_timestamp({-1, 0})), "23:59:59");
  const ColumnDescription timetz = describe(ColumnType::timetz, "time with time zone");
  expect_same(timetz,
              {"12:30:00+02", "12:30:00-05:30", "12:30Z", "12:30:00.25 +0100", "24:00:00UTC"});
  EXPECT_EQ(shown(timetz, Value::of_timestamp({3600, 0})), "01:00:00+00");
}

TEST_F(EncodeAsPostgresqlReads, Intervals) {
  const ColumnDescription interval = describe(ColumnType::interval, "interval");
  expect_same(interval,
              {"P1Y2M3DT4H5M6.7S", "PT36H", "P3W", "PT0S", "P-1DT-2H", "PT0.000001S", "1 day",
               "1 year 2 mons 3 days 04:05:06.789", "-1 days +02:03:00", "-00:00:01.5", "02:03",
               "1h30m", "90s", "1.5s", "10 minutes", "1 week 2 days", "5 months", "250 ms", "1d"});
  EXPECT_EQ(shown(interval, "2147483646 months 2147483646 days 2147483646 hours"),
            "178956970 years 6 mons 2147483646 days 2147483646:00:00");
  EXPECT_EQ(shown(interval, Value::of_duration({-5400, -500'000'000})), "-01:30:00.5");
}

TEST_F(EncodeAsPostgresqlReads, Addresses) {
  const ColumnDescription inet = describe(ColumnType::inet, "inet");
  const ColumnDescription cidr = describe(ColumnType::cidr, "cidr");
  expect_same(inet, {"192.0.2.1", "10.1.2.3/8", "::1", "2001:db8::1/64", "0.0.0.0/0", "::/0",
                     "255.255.255.255/32", "::ffff:192.0.2.1", "::192.0.2.1/100"});
  expect_same(cidr, {"192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "::/0",
                     "0.0.0.0/0", "10.128.0.0/9"});
  const ColumnDescription mac = describe(ColumnType::macaddr, "macaddr");
  const ColumnDescription mac8 = describe(ColumnType::macaddr8, "macaddr8");
  expect_same(mac, {"08:00:2b:01:02:03", "08-00-2B-01-02-03", "08002b:010203", "08002b-010203",
                    "0800.2b01.0203", "0800-2b01-0203", "08002b010203"});
  expect_same(mac8, {"08:00:2b:01:02:03:04:05", "08002b0102030405", "08:00:2b:01:02:03"});
}

TEST_F(EncodeAsPostgresqlReads, BitsXmlTreesAndMaps) {
  ColumnDescription bits = describe(ColumnType::bit, "bit(3)");
  bits.max_length = 3;
  ColumnDescription varying = describe(ColumnType::varbit, "bit varying(10)");
  varying.max_length = 10;
  expect_same(bits, {"101", "000"});
  expect_same(varying, {"", "1", "10110111", "1011011101"});
  const ColumnDescription xml = describe(ColumnType::xml, "xml");
  expect_same(xml, {"<a>é</a>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>",
                    "<?xml version='1.0' encoding='UTF8'?><a>é</a>"});
  session.query("CREATE EXTENSION IF NOT EXISTS ltree; CREATE EXTENSION IF NOT EXISTS hstore");
  expect_same(describe(ColumnType::ltree, "ltree"), {"Top.Science.Astronomy", "a"});
  cel::Arena arena;
  cel::MapBuilder map(arena);
  map.add(Value::of_string("a"), Value::of_string("1 \"x\""));
  map.add(Value::of_string("b"), Value::null());
  EXPECT_EQ(shown(describe(ColumnType::hstore, "hstore"), map.finish()),
            R"("a"=>"1 \"x\"", "b"=>NULL)");
}

TEST_F(EncodeRoundTrip, ArraysOfArrays) {
  cel::Arena arena;
  const auto list = [&arena](std::initializer_list<Value> items) {
    cel::ListBuilder builder(arena);
    for (const Value& item : items) builder.add(item);
    return builder.finish();
  };
  const auto number = [](std::int64_t n) { return Value::of_int(n); };
  const ColumnDescription ints = array_of(ColumnType::int4, "integer");
  const Value matrix = list({list({number(1), Value::null()}), list({number(3), number(4)})});
  EXPECT_EQ(shown(ints, matrix), "{{1,NULL},{3,4}}");
  EXPECT_EQ(shown(ints, list({matrix, matrix})), "{{{1,NULL},{3,4}},{{1,NULL},{3,4}}}");
  EXPECT_EQ(shown(ints, list({list({}), list({})})), "{}");
  EXPECT_TRUE(shown(ints, list({list({number(1)}), list({})})).contains("not all of one length"));
  EXPECT_TRUE(shown(ints, list({list({number(1)}), number(2)})).contains("not all of one length"));
  EXPECT_EQ(shown(array_of(ColumnType::jsonb, "jsonb"), list({list({number(1)}), number(2)})),
            "{[1],2}");
  EXPECT_EQ(shown(array_of(ColumnType::inet, "inet"), list({Value::of_string("::1")})), "{::1}");
}

}  // namespace
}  // namespace penstock::compute
