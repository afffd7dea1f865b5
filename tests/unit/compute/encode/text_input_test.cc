#include "compute/encode/text_input.h"

#include <gtest/gtest.h>

#include <string>

#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/program.h"
#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using cel::Value;
using namespace std::string_view_literals;

ColumnDescription by_text(TextForm form, std::string type_name, bool is_array = false) {
  ColumnDescription column = column_of(ColumnType::by_text, std::move(type_name));
  column.text_form = form;
  column.is_array = is_array;
  return column;
}

const ColumnDescription kPoint = by_text(TextForm::plain, "point");
const ColumnDescription kOid = by_text(TextForm::number, "oid");
const ColumnDescription kRange = by_text(TextForm::range, "int4range");
const ColumnDescription kRanges = by_text(TextForm::multirange, "int4multirange");
const ColumnDescription kVector = by_text(TextForm::document, "vector(3)");

// What PostgreSQL is given of what an expression says, or why it is not.
std::string text(const ColumnDescription& column, std::string_view expression) {
  cel::Inputs inputs;
  const auto program = cel::compile(expression, cel::Environment(), inputs);
  EXPECT_TRUE(program) << expression;
  cel::Arena arena;
  cel::Frame frame;
  const Value value = program ? program->evaluate({}, arena, frame) : Value::null();
  const Encoded encoded = encode(column, value);
  if (!encoded.ok) return std::string(encoded.problem.reason);
  EXPECT_TRUE(encoded.bytes.ends_with('\0'));
  return encoded.bytes.substr(0, encoded.bytes.size() - 1);
}

TEST(TextInput, IsAStringAsItIs) {
  EXPECT_EQ(text(kPoint, R"cel("(1,2)")cel"), "(1,2)");
  EXPECT_EQ(text(kPoint, R"cel(" é \\ \" ")cel"), " é \\ \" ");
  EXPECT_EQ(text(kPoint, "''"), "");
  EXPECT_EQ(text(kVector, "'[1,2,3]'"), "[1,2,3]");
}

TEST(TextInput, RefusesWhatATypeHasNoTextFor) {
  EXPECT_EQ(text(kPoint, "1"), "wrong_type");
  EXPECT_EQ(text(kPoint, "[1, 2]"), "wrong_type");
  EXPECT_EQ(text(kPoint, "{'x': 1}"), "wrong_type");
  EXPECT_EQ(text(kPoint, "true"), "wrong_type");
  EXPECT_EQ(text(kPoint, "b'(1,2)'"), "wrong_type");
  EXPECT_EQ(text(kOid, "[1]"), "wrong_type");
  EXPECT_EQ(text(kVector, "true"), "wrong_type");
  EXPECT_EQ(encode(kPoint, Value::of_string("a\0b"sv)).problem.reason, "nul_in_text");
  EXPECT_TRUE(encode(kPoint, Value::null()).is_null);
}

TEST(TextInput, TakesNumbersAndDocumentsWhereTheTypeHasThem) {
  EXPECT_EQ(text(kOid, "1234"), "1234");
  EXPECT_EQ(text(kOid, "'pg_class'"), "pg_class");
  EXPECT_EQ(text(kVector, "[1, 2.5, 3]"), "[1,2.5,3]");
  EXPECT_EQ(text(kVector, "{'type': 'Point', 'coordinates': [1, 2]}"),
            R"({"type":"Point","coordinates":[1,2]})");
}

TEST(TextInput, RefusesWhatPostgresqlWouldMakeSomethingElseOf) {
  const ColumnDescription character = by_text(TextForm::plain, "\"char\"");
  EXPECT_EQ(text(character, "'a'"), "a");
  EXPECT_EQ(text(character, "''"), "");
  EXPECT_EQ(text(character, R"('\\351')"), R"(\351)");
  EXPECT_EQ(text(character, "'abc'"), "too_long");
  EXPECT_EQ(text(character, "'é'"), "too_long") << "two bytes";
  EXPECT_EQ(text(by_text(TextForm::plain, "\"char\"[]", true), "['a', 'bc']"), "too_long");
  // 4294967295.
  EXPECT_EQ(text(kOid, "-1"), "out_of_range");
  EXPECT_EQ(text(kOid, "' -1'"), "out_of_range");
  EXPECT_EQ(text(kOid, "'-'"), "-") << "no function, to regproc";
}

TEST(TextInput, MakesARangeOfItsBounds) {
  EXPECT_EQ(text(kRange, "'[1,5)'"), "[1,5)");
  EXPECT_EQ(text(kRange, "{'lower': 1, 'upper': 5}"), "[1,5)");
  EXPECT_EQ(text(kRange, "{'lower': 1, 'upper': 5, 'bounds': '(]'}"), "(1,5]");
  EXPECT_EQ(text(kRange, "{'lower': 1}"), "[1,)");
  EXPECT_EQ(text(kRange, "{'lower': null, 'upper': 5}"), "[,5)");
  EXPECT_EQ(text(kRange, R"cel({'lower': 'a"b\\', 'upper': 'z,)'})cel"),
            R"cel(["a\"b\\","z,)"))cel");
  EXPECT_EQ(text(kRange, "{'lower': timestamp('2025-03-01T00:00:00Z')}"),
            "[\"2025-03-01T00:00:00Z\",)");
  for (const char* none : {"{}", "{'bounds': '[]'}", "{'lower': 1, 'bounds': '['}",
                           "{'from': 1, 'upper': 2}", "{'lower': 1, 'bounds': 3}"}) {
    EXPECT_EQ(text(kRange, none), "invalid_range") << none;
  }
  EXPECT_EQ(text(kRange, "{'lower': [1]}"), "wrong_type");
  EXPECT_EQ(text(kRange, "[1, 5]"), "wrong_type");
}

TEST(TextInput, MakesAMultirangeOfRanges) {
  EXPECT_EQ(text(kRanges, "['[1,2)', {'lower': 3, 'upper': 4}]"), "{[1,2),[3,4)}");
  EXPECT_EQ(text(kRanges, "[]"), "{}");
  EXPECT_EQ(text(kRanges, "'{[1,2)}'"), "{[1,2)}");
  EXPECT_EQ(text(kRanges, "[1]"), "wrong_type");
}

TEST(TextInput, MakesAnArrayOfItsElements) {
  ColumnDescription points = by_text(TextForm::plain, "point[]", true);
  EXPECT_EQ(text(points, R"cel(['(1,2)', null, 'a"b\\'])cel"), R"cel({"(1,2)",NULL,"a\"b\\"})cel");
  EXPECT_EQ(text(points, "[['a'], ['']]"), R"({{"a"},{""}})");
  EXPECT_EQ(text(points, "[]"), "{}");
  EXPECT_EQ(text(points, "'{\"(1,2)\"}'"), "{\"(1,2)\"}");
  EXPECT_EQ(text(points, "5"), "wrong_type");
  EXPECT_EQ(text(points, "[5]"), "wrong_type");
  EXPECT_EQ(text(points, "[[[[[[['a']]]]]]]"), "wrong_type") << "seven dimensions";
  points.array_delimiter = ';';
  EXPECT_EQ(text(points, "['a', 'b']"), R"({"a";"b"})");
  EXPECT_EQ(text(by_text(TextForm::document, "vector[]", true), "[[1, 2], [3]]"),
            R"({"[1,2]","[3]"})");
  EXPECT_EQ(text(by_text(TextForm::range, "int4range[]", true), "[{'lower': 'a'}]"),
            R"cel({"[\"a\",)"})cel");
}

}  // namespace
}  // namespace penstock::compute
