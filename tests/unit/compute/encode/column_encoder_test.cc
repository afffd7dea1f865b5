#include "compute/encode/column_encoder.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>

#include "cel/arena.h"
#include "cel/containers.h"
#include "cel/json/number.h"
#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using cel::Value;
using namespace std::string_view_literals;

const ColumnDescription kBool = column_of(ColumnType::boolean, "boolean");
const ColumnDescription kInt2 = column_of(ColumnType::int2, "smallint");
const ColumnDescription kInt4 = column_of(ColumnType::int4, "integer");
const ColumnDescription kInt8 = column_of(ColumnType::int8, "bigint");
const ColumnDescription kFloat4 = column_of(ColumnType::float4, "real");
const ColumnDescription kFloat8 = column_of(ColumnType::float8, "double precision");
const ColumnDescription kText = column_of(ColumnType::text, "text");
const ColumnDescription kBytea = column_of(ColumnType::bytea, "bytea");
const ColumnDescription kUuid = column_of(ColumnType::uuid, "uuid");
const ColumnDescription kJson = column_of(ColumnType::json, "json");
const ColumnDescription kJsonb = column_of(ColumnType::jsonb, "jsonb");

void expect_refused(const ColumnDescription& column, const Value& value, std::string_view reason) {
  const Encoded encoded = encode(column, value);
  EXPECT_FALSE(encoded.ok) << column.type_name;
  EXPECT_EQ(encoded.problem.reason, reason) << encoded.problem.message;
  EXPECT_FALSE(encoded.problem.message.contains("BUFFER")) << encoded.problem.message;
}

TEST(ColumnEncoder, WritesIntegersInTheirSize) {
  EXPECT_EQ(encode(kInt2, Value::of_int(-2)).hex(), "fffe");
  EXPECT_EQ(encode(kInt4, Value::of_int(258)).hex(), "00000102");
  EXPECT_EQ(encode(kInt8, Value::of_int(INT64_MIN)).hex(), "8000000000000000");
  EXPECT_EQ(encode(kInt8, Value::of_uint(7)).number<std::int64_t>(), 7);
  EXPECT_EQ(encode(kInt4, Value::of_double(-3.0)).number<std::int32_t>(), -3);
}

TEST(ColumnEncoder, RefusesIntegersOutOfRange) {
  EXPECT_TRUE(encode(kInt2, Value::of_int(32767)).ok);
  EXPECT_TRUE(encode(kInt2, Value::of_int(-32768)).ok);
  expect_refused(kInt2, Value::of_int(32768), "out_of_range");
  expect_refused(kInt2, Value::of_int(-32769), "out_of_range");
  expect_refused(kInt4, Value::of_int(INT64_C(1) << 31), "out_of_range");
  expect_refused(kInt8, Value::of_uint(UINT64_C(1) << 63), "out_of_range");
  expect_refused(kInt8, Value::of_double(0x1p63), "out_of_range");
  EXPECT_TRUE(encode(kInt8, Value::of_double(0x1p53 - 1)).ok);
  expect_refused(kInt8, Value::of_double(-0x1p53), "out_of_range");
  expect_refused(kInt8, Value::of_double(1e300), "out_of_range");
  expect_refused(kInt8, Value::of_double(std::nan("")), "out_of_range");
  expect_refused(kInt8, Value::of_double(std::numeric_limits<double>::infinity()), "out_of_range");
}

TEST(ColumnEncoder, RefusesAFractionInAnIntegerColumn) {
  expect_refused(kInt4, Value::of_double(1.5), "not_integral");
}

TEST(ColumnEncoder, WritesFloats) {
  EXPECT_EQ(encode(kFloat8, Value::of_double(1.5)).hex(), "3ff8000000000000");
  EXPECT_EQ(encode(kFloat8, Value::of_int(2)).hex(), "4000000000000000");
  EXPECT_EQ(encode(kFloat4, Value::of_double(1.5)).hex(), "3fc00000");
  EXPECT_EQ(encode(kFloat4, Value::of_uint(2)).hex(), "40000000");
  EXPECT_EQ(encode(kFloat4, Value::of_double(-std::numeric_limits<double>::infinity())).hex(),
            "ff800000");
  EXPECT_TRUE(encode(kFloat4, Value::of_double(std::nan(""))).ok);
}

TEST(ColumnEncoder, RefusesWhatAFloat4CannotHold) {
  EXPECT_EQ(encode(kFloat4, Value::of_double(std::numeric_limits<float>::max())).hex(), "7f7fffff");
  EXPECT_EQ(encode(kFloat4, Value::of_double(0x1.fffffefffffffp127)).hex(), "7f7fffff");
  expect_refused(kFloat4, Value::of_double(0x1.ffffffp127), "out_of_range");
  expect_refused(kFloat4, Value::of_double(-1e39), "out_of_range");
  expect_refused(kFloat4, Value::of_double(1e-60), "out_of_range");
  EXPECT_TRUE(encode(kFloat4, Value::of_double(0)).ok);
  EXPECT_TRUE(encode(kFloat4, Value::of_double(1e-45)).ok);
}

TEST(ColumnEncoder, WritesTextWithinItsLength) {
  ColumnDescription varchar = column_of(ColumnType::text, "character varying(3)");
  varchar.max_length = 3;
  EXPECT_EQ(encode(kText, Value::of_string("héé")).bytes, "héé");
  EXPECT_EQ(encode(kText, Value::of_string("")).bytes, "");
  EXPECT_EQ(encode(varchar, Value::of_string("é€😀")).bytes, "é€😀");
  EXPECT_TRUE(encode(varchar, Value::of_string("abc  ")).ok);  // PostgreSQL cuts spaces off
  expect_refused(varchar, Value::of_string("abcd"), "too_long");
  expect_refused(varchar, Value::of_string("é€😀é"), "too_long");
  expect_refused(varchar, Value::of_string("ab d"), "too_long");
  const ColumnDescription name = column_of(ColumnType::text, "name");
  EXPECT_TRUE(encode(name, Value::of_string(std::string(63, 'n'))).ok);
  expect_refused(name, Value::of_string(std::string(64, 'n')), "too_long");
}

TEST(ColumnEncoder, RefusesNulInText) {
  expect_refused(kText, Value::of_string("a\0b"sv), "nul_in_text");
  EXPECT_EQ(encode(kBytea, Value::of_string("a\0b"sv)).bytes, "a\0b"sv);
}

TEST(ColumnEncoder, TurnsNothingIntoTextSilently) {
  for (const Value& value :
       {Value::of_int(1), Value::of_double(1), Value::of_bool(true), Value::of_timestamp({})}) {
    const Encoded encoded = encode(kText, value);
    EXPECT_EQ(encoded.problem.reason, "wrong_type");
    EXPECT_EQ(encoded.problem.hint, "string(...)");
  }
}

TEST(ColumnEncoder, TakesBytesIntoTextIfTheyAreText) {
  EXPECT_EQ(encode(kText, Value::of_bytes("é")).bytes, "é");
  expect_refused(kText, Value::of_bytes("\xFF"), "invalid_utf8");
  expect_refused(kText, Value::of_bytes("a\0b"sv), "nul_in_text");
}

// As the reader makes it of a document's number.
Value number(std::string_view text) {
  static cel::Arena arena;
  const std::string document = std::string(text) + ",";
  const char* const begin = arena.copy(document).data();
  std::int64_t whole = 0;
  if (text.find_first_of(".eE") != std::string_view::npos) {
    const double real = cel::nearest_double(text);
    return std::isinf(real) ? Value::of_json({begin, text.size()}) : Value::of_double(real, begin);
  }
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), whole);
  return status == std::errc() ? Value::of_int(whole, begin) : Value::of_json({begin, text.size()});
}

TEST(ColumnEncoder, TakesWholeNumbersByTheirTextOrNotAtAll) {
  const auto of = [](std::string_view text) {
    const Encoded encoded = encode(kInt8, number(text));
    return encoded.ok ? std::to_string(encoded.number<std::int64_t>())
                      : std::string(encoded.problem.reason);
  };
  EXPECT_EQ(of("9007199254740993.0"), "9007199254740993");
  EXPECT_EQ(of("9.007199254740993E15"), "9007199254740993");
  EXPECT_EQ(of("1e3"), "1000");
  EXPECT_EQ(of("-7.50e1"), "-75");
  EXPECT_EQ(of("-0.0"), "0");
  EXPECT_EQ(of("-0"), "0");
  EXPECT_EQ(of("0e999999999999"), "0");
  EXPECT_EQ(of("-9223372036854775808.000"), "-9223372036854775808");
  EXPECT_EQ(of("9223372036854775808.0"), "out_of_range");
  EXPECT_EQ(of("9223372036854775808"), "out_of_range");
  EXPECT_EQ(of("1e400"), "out_of_range");
  EXPECT_EQ(of("123456789012345678901234567890"), "out_of_range");
  EXPECT_EQ(of("9007199254740993.5"), "not_integral");
  EXPECT_EQ(of("1.00000000000000000000001"), "not_integral");
  EXPECT_EQ(of("4503599627370496.25"), "not_integral");
  EXPECT_EQ(of("1e-400"), "not_integral");
}

TEST(ColumnEncoder, TakesTheNearestFloatOfANumbersText) {
  EXPECT_EQ(encode(kFloat8, number("-0")).hex(), "8000000000000000");
  EXPECT_EQ(encode(kFloat8, number("-0.0")).hex(), "8000000000000000");
  EXPECT_EQ(encode(kFloat8, number("100000000000000000000")).hex(), "4415af1d78b58c40");
  EXPECT_EQ(encode(kFloat8, number("0e-999")).hex(), "0000000000000000");
  expect_refused(kFloat8, number("1e400"), "out_of_range");
  expect_refused(kFloat8, number("1e-400"), "out_of_range");
  // Just above half of the way between two floats, and just that half for a double.
  EXPECT_EQ(encode(kFloat4, number("1.00000005960464477540")).hex(), "3f800001");
  EXPECT_EQ(encode(kFloat4, number("1.00000005960464477539")).hex(), "3f800000");
  expect_refused(kFloat4, number("3.5e38"), "out_of_range");
  expect_refused(kFloat4, number("100000000000000000000000000000000000000000"), "out_of_range");
}

TEST(ColumnEncoder, KeepsTheTextOfNumbersInJson) {
  const ColumnDescription json = column_of(ColumnType::json, "json");
  EXPECT_EQ(encode(json, number("1.10")).bytes, "1.10");
  EXPECT_EQ(encode(json, number("1E400")).bytes, "1E400");
  EXPECT_EQ(encode(json, Value::of_json("{\"a\": 1.0, \"a\": \"\\ud800\"}")).bytes,
            "{\"a\": 1.0, \"a\": \"\\ud800\"}");
  expect_refused(json, Value::of_double(std::nan("")), "out_of_range");
  const Value items[] = {Value::of_int(1),
                         Value::of_double(std::numeric_limits<double>::infinity())};
  expect_refused(json, Value::of_list({items, 2}), "out_of_range");
}

TEST(ColumnEncoder, RefusesOfJsonWhatJsonbCannotHold) {
  const ColumnDescription jsonb = column_of(ColumnType::jsonb, "jsonb");
  EXPECT_EQ(encode(jsonb, number("1.10")).bytes,
            "\x01"
            "1.10");
  const auto refused = [&](std::string_view text, std::string_view reason) {
    expect_refused(jsonb, Value::of_json(text), reason);
  };
  refused(R"(["a\u0000"])", "nul_in_text");
  refused(R"(["\ud800"])", "lone_surrogate");
  refused(R"(["\udc00\ud800"])", "lone_surrogate");
  refused(R"(["\ud800\u0041"])", "lone_surrogate");
  refused(R"({"\ud800":1})", "lone_surrogate");
  refused("[1e131073]", "out_of_range");
  refused("{\"a\":[1E-16384]}", "out_of_range");
  for (const std::string_view text : {R"(["\ud83d\ude00","\\u0000","\\\\ud800"])", "[1e131000]",
                                      R"(["1e999999"])", R"("\"1e999999")", "[1e-16000,0.5e1]"}) {
    EXPECT_TRUE(encode(jsonb, Value::of_json(text)).ok) << text;
  }
}

TEST(ColumnEncoder, RefusesAStringThatIsNoText) {
  const Value half = Value::of_json(R"("a\ud800")");
  for (const ColumnDescription& column : {kText, kBytea, kInt4}) {
    expect_refused(column, half, "lone_surrogate");
  }
}

TEST(ColumnEncoder, RefusesWrongTypesAndSaysBoth) {
  const Encoded encoded = encode(kInt4, Value::of_string("12"));
  EXPECT_EQ(encoded.problem.reason, "wrong_type");
  EXPECT_TRUE(encoded.problem.message.contains("string")) << encoded.problem.message;
  EXPECT_TRUE(encoded.problem.message.contains("integer")) << encoded.problem.message;
  EXPECT_EQ(encoded.problem.hint, "int(...)");
  expect_refused(kBool, Value::of_int(1), "wrong_type");
  expect_refused(kInt8, Value::of_bool(true), "wrong_type");
  expect_refused(kFloat4, Value::of_string("1"), "wrong_type");
  expect_refused(kFloat8, Value::of_bool(true), "wrong_type");
  expect_refused(kBytea, Value::of_int(1), "wrong_type");
  expect_refused(kUuid, Value::of_int(1), "wrong_type");
  expect_refused(kText, Value::of_list({}), "wrong_type");
  expect_refused(column_of(ColumnType::numeric, "numeric"), Value::of_bool(true), "wrong_type");
  expect_refused(column_of(ColumnType::date, "date"), Value::of_int(1), "wrong_type");
  expect_refused(column_of(ColumnType::timestamptz, "timestamptz"), Value::of_int(1), "wrong_type");
  expect_refused(column_of(ColumnType::by_text, "point"), Value::of_int(1), "wrong_type");
}

TEST(ColumnEncoder, WritesNullUnlessTheColumnIsNotNull) {
  EXPECT_TRUE(encode(kInt4, Value::null()).is_null);
  EXPECT_TRUE(encode(kJsonb, Value::null()).is_null);
  ColumnDescription not_null = kInt4;
  not_null.not_null = true;
  expect_refused(not_null, Value::null(), "not_null");
}

TEST(ColumnEncoder, ReadsUuidsAsPostgresDoes) {
  const std::string expected = "a0eebc999c0b4ef8bb6d6bb9bd380a11";
  for (const std::string_view form :
       {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}"}) {
    EXPECT_EQ(encode(kUuid, Value::of_string(form)).hex(), expected) << form;
  }
  for (const std::string_view form :
       {"", "a0eebc99", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "{}", "{", "a0e-ebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-"}) {
    expect_refused(kUuid, Value::of_string(form), "invalid_uuid");
  }
  EXPECT_EQ(encode(kUuid, Value::of_bytes("0123456789abcdef"sv)).bytes, "0123456789abcdef");
  expect_refused(kUuid, Value::of_bytes("0123456789abcde"sv), "invalid_uuid");
}

TEST(ColumnEncoder, WritesJson) {
  cel::Arena arena;
  cel::MapBuilder map(arena);
  map.add(Value::of_string("b"), Value::of_int(1));
  map.add(Value::of_string("a"), Value::of_string("x\"y"));
  const Value value = map.finish();
  EXPECT_EQ(encode(kJson, value).bytes, R"({"b":1,"a":"x\"y"})");
  EXPECT_EQ(encode(kJsonb, value).bytes,
            "\x01"
            R"({"b":1,"a":"x\"y"})");
  EXPECT_EQ(encode(kJson, Value::of_string("text")).bytes, "\"text\"");
  EXPECT_EQ(encode(kJson, Value::of_bool(true)).bytes, "true");
}

TEST(ColumnEncoder, RefusesNulInJsonbOnly) {
  const Value nul = Value::of_string("a\0b"sv);
  expect_refused(kJsonb, nul, "nul_in_text");
  EXPECT_TRUE(encode(kJson, nul).ok);
  EXPECT_TRUE(encode(kJsonb, Value::of_string("a\\u0000b")).ok);  // a backslash, not NUL
  expect_refused(kJsonb, Value::of_string("\\\0"sv), "nul_in_text");
}

TEST(ColumnEncoder, WritesArrays) {
  ColumnDescription ints = column_of(ColumnType::int4, "integer[]");
  ints.is_array = true;
  ints.element_oid = 23;
  const Value items[] = {Value::of_int(1), Value::null(), Value::of_int(3)};
  EXPECT_EQ(encode(ints, Value::of_list({items, 3})).hex(),
            "00000001"  // dimensions
            "00000001"  // there are NULLs
            "00000017"  // int4
            "00000003"
            "00000001"  // three items, from 1
            "00000004"
            "00000001"
            "ffffffff"
            "00000004"
            "00000003");
  EXPECT_EQ(encode(ints, Value::of_list({items, 1})).hex(),
            "00000001"
            "00000000"
            "00000017"
            "00000001"
            "00000001"
            "00000004"
            "00000001");
  EXPECT_EQ(encode(ints, Value::of_list({})).hex(),
            "00000000"
            "00000000"
            "00000017");
  EXPECT_TRUE(encode(ints, Value::null()).is_null);
  expect_refused(ints, Value::of_int(1), "wrong_type");
  const Value mixed[] = {Value::of_int(1), Value::of_string("2")};
  const Encoded encoded = encode(ints, Value::of_list({mixed, 2}));
  EXPECT_EQ(encoded.problem.reason, "wrong_type");
  EXPECT_TRUE(encoded.problem.message.starts_with("item 1 of the list")) << encoded.problem.message;
}

class Lists {
 public:
  Value operator()(std::initializer_list<Value> items) {
    cel::ListBuilder builder(arena_);
    for (const Value& item : items) builder.add(item);
    return builder.finish();
  }

 private:
  cel::Arena arena_;
};

TEST(ColumnEncoder, WritesListsOfListsAsFurtherDimensions) {
  ColumnDescription ints = column_of(ColumnType::int2, "smallint[]");
  ints.is_array = true;
  ints.element_oid = 21;
  Lists list;
  const auto row = [&](int a, int b) { return list({Value::of_int(a), Value::of_int(b)}); };
  EXPECT_EQ(encode(ints, list({row(1, 2), row(3, 4), row(5, 6)})).hex(),
            "00000002"  // dimensions
            "00000000"
            "00000015"
            "0000000300000001"  // three, from 1
            "0000000200000001"  // of two, from 1
            "000000020001"
            "000000020002"
            "000000020003"
            "000000020004"
            "000000020005"
            "000000020006");
  EXPECT_EQ(encode(ints, list({list({}), list({})})).hex(),
            "00000000"
            "00000000"
            "00000015");
  const Value with_null = list({row(1, 2), list({Value::null(), Value::of_int(4)})});
  EXPECT_EQ(encode(ints, with_null).hex().substr(8, 8), "00000001");
  expect_refused(ints, list({row(1, 2), list({Value::of_int(3)})}), "wrong_type");
  expect_refused(ints, list({row(1, 2), Value::of_int(3)}), "wrong_type");
  expect_refused(ints, list({row(1, 2), Value::null()}), "wrong_type");
  expect_refused(ints, list({Value::of_int(3), row(1, 2)}), "wrong_type");
  expect_refused(ints, list({Value::null(), row(1, 2)}), "wrong_type");
  expect_refused(ints, list({row(1, 70'000)}), "out_of_range");
  Value deep = Value::of_int(1);
  for (int i = 0; i < 6; ++i) deep = list({deep});
  EXPECT_TRUE(encode(ints, deep).ok);
  expect_refused(ints, list({deep}), "wrong_type");
}

TEST(ColumnEncoder, TakesListsOfListsAsItemsWhereTheItemsAreJson) {
  ColumnDescription documents = column_of(ColumnType::json, "json[]");
  documents.is_array = true;
  documents.element_oid = 114;
  Lists list;
  EXPECT_EQ(encode(documents, list({list({Value::of_int(1)}), list({})})).bytes.substr(20),
            "\0\0\0\3[1]\0\0\0\2[]"sv);
}

TEST(ColumnEncoder, WritesBits) {
  ColumnDescription bits = column_of(ColumnType::bit, "bit(3)");
  bits.max_length = 3;
  ColumnDescription varying = column_of(ColumnType::varbit, "bit varying(10)");
  varying.max_length = 10;
  EXPECT_EQ(encode(bits, Value::of_string("101")).hex(), "00000003a0");
  EXPECT_EQ(encode(varying, Value::of_string("1000000001")).hex(), "0000000a8040");
  EXPECT_EQ(encode(varying, Value::of_string("")).hex(), "00000000");
  expect_refused(bits, Value::of_string("10"), "wrong_length");
  expect_refused(bits, Value::of_string("1010"), "wrong_length");
  expect_refused(varying, Value::of_string("10000000011"), "too_long");
  expect_refused(varying, Value::of_string("102"), "invalid_bits");
  expect_refused(bits, Value::of_int(101), "wrong_type");
  varying.max_length = -1;
  EXPECT_EQ(encode(varying, Value::of_string(std::string(800, '1'))).bytes.size(), 104U);
}

TEST(ColumnEncoder, WritesXmlThatIsUtf8) {
  const ColumnDescription xml = column_of(ColumnType::xml, "xml");
  for (const std::string_view text :
       {"<a>é</a>", "text", R"(<?xml version="1.0" encoding="UTF-8"?><a/>)",
        "<?xml version='1.0' encoding='utf8'?><a/>", R"(<?xml version="1.0"?><a encoding="x"/>)"}) {
    EXPECT_EQ(encode(xml, Value::of_string(text)).bytes, text);
  }
  expect_refused(xml, Value::of_string("<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>"),
                 "invalid_xml");
  expect_refused(xml, Value::of_string("a\0"sv), "nul_in_text");
}

TEST(ColumnEncoder, WritesTreesAndMapsOfStrings) {
  EXPECT_EQ(encode(column_of(ColumnType::ltree, "ltree"), Value::of_string("a.b")).bytes,
            "\x01"
            "a.b");
  const ColumnDescription hstore = column_of(ColumnType::hstore, "hstore");
  cel::Arena arena;
  const auto map = [&](const Value& key, const Value& value) {
    cel::MapBuilder builder(arena);
    builder.add(key, value);
    return builder.finish();
  };
  EXPECT_EQ(encode(hstore, map(Value::of_string("a"), Value::of_string("bc"))).hex(),
            "00000001"
            "0000000161"
            "000000026263");
  EXPECT_EQ(encode(hstore, map(Value::of_string("a"), Value::null())).hex(),
            "00000001"
            "0000000161"
            "ffffffff");
  EXPECT_EQ(encode(hstore, cel::MapBuilder(arena).finish()).hex(), "00000000");
  const Encoded number = encode(hstore, map(Value::of_string("a"), Value::of_int(1)));
  EXPECT_EQ(number.problem.reason, "wrong_type");
  EXPECT_TRUE(number.problem.message.starts_with("entry \"a\": int does not go"))
      << number.problem.message;
  EXPECT_TRUE(number.problem.hint.contains("transformMap")) << number.problem.hint;
  expect_refused(hstore, map(Value::of_int(1), Value::of_string("a")), "wrong_type");
  expect_refused(hstore, map(Value::of_string("a\0"sv), Value::null()), "nul_in_text");
  expect_refused(hstore, Value::of_string("a=>1"), "wrong_type");
}

TEST(ColumnEncoder, NamesTheFunctionThatMakesItFit) {
  const auto hint = [](const ColumnDescription& column, const Value& value) {
    return encode(column, value).problem.hint;
  };
  EXPECT_EQ(hint(kBool, Value::of_int(1)), "... == 1");
  EXPECT_EQ(hint(kBool, Value::of_string("true")), "bool(...)");
  EXPECT_EQ(hint(kText, Value::of_list({})), "json.encode(...)");
  EXPECT_EQ(hint(kText, number("327267367867168100000")), "json.encode(...)");
  EXPECT_EQ(encode(kText, number("1e400")).problem.message,
            "a number larger than any double does not go into a column of type text, which takes a "
            "string");
}

TEST(FieldBuffer, KeepsWhatItHoldsWhenItGrows) {
  FieldBuffer buffer;
  for (int i = 0; i < 100'000; ++i) *buffer.extend(1) = static_cast<char>('a' + i % 26);
  ASSERT_EQ(buffer.size(), 100'000U);
  EXPECT_EQ(buffer.view().substr(99'998), "cd");
  buffer.truncate(3);
  EXPECT_EQ(buffer.view(), "abc");
}

}  // namespace
}  // namespace penstock::compute
