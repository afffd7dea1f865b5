#include <gtest/gtest.h>

#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using cel::Type;
using cel::TypeKind;

bool fits(const ColumnDescription& column, const Type& type) {
  EncodeProblem problem;
  return can_encode(column, type, problem);
}

std::string hint(const ColumnDescription& column, const Type& type) {
  EncodeProblem problem;
  EXPECT_FALSE(can_encode(column, type, problem));
  EXPECT_TRUE(problem.message.contains(type.to_string())) << problem.message;
  EXPECT_TRUE(problem.message.contains(column.type_name)) << problem.message;
  return problem.hint;
}

const ColumnDescription kInt8 = column_of(ColumnType::int8, "bigint");
const ColumnDescription kText = column_of(ColumnType::text, "text");
const ColumnDescription kFloat8 = column_of(ColumnType::float8, "double precision");
const ColumnDescription kTimestamptz = column_of(ColumnType::timestamptz, "timestamptz");
const ColumnDescription kJsonb = column_of(ColumnType::jsonb, "jsonb");

TEST(TypeCheck, LetsPassWhatOnlyRunTimeCanTell) {
  for (const auto& column : {kInt8, kText, kFloat8, kTimestamptz, kJsonb}) {
    EXPECT_TRUE(fits(column, TypeKind::kDyn));
    EXPECT_TRUE(fits(column, Type::optional(TypeKind::kDyn)));
  }
}

TEST(TypeCheck, TakesTheTypesOfTheColumn) {
  EXPECT_TRUE(fits(kInt8, TypeKind::kInt));
  EXPECT_TRUE(fits(kInt8, TypeKind::kUint));
  EXPECT_TRUE(fits(kFloat8, TypeKind::kInt));
  EXPECT_TRUE(fits(kText, TypeKind::kString));
  EXPECT_TRUE(fits(kText, Type::optional(TypeKind::kString)));
  EXPECT_TRUE(fits(kTimestamptz, TypeKind::kString));
  EXPECT_TRUE(fits(kTimestamptz, TypeKind::kTimestamp));
  EXPECT_TRUE(fits(column_of(ColumnType::numeric, "numeric"), TypeKind::kString));
  EXPECT_TRUE(fits(column_of(ColumnType::boolean, "boolean"), TypeKind::kBool));
  EXPECT_TRUE(fits(column_of(ColumnType::uuid, "uuid"), TypeKind::kBytes));
  EXPECT_TRUE(fits(kJsonb, Type::map(TypeKind::kString, TypeKind::kDyn)));
}

TEST(TypeCheck, TakesWhatTheTextOfATypeCanBeMadeOf) {
  ColumnDescription column = column_of(ColumnType::by_text, "point");
  const auto takes = [&](TextForm form, const Type& type) {
    column.text_form = form;
    return fits(column, type);
  };
  const Type map = Type::map(TypeKind::kString, TypeKind::kDyn);
  for (const TextForm form : {TextForm::plain, TextForm::number, TextForm::range,
                              TextForm::multirange, TextForm::document}) {
    EXPECT_TRUE(takes(form, TypeKind::kString));
    EXPECT_FALSE(takes(form, TypeKind::kBool));
  }
  EXPECT_FALSE(takes(TextForm::plain, TypeKind::kInt));
  EXPECT_TRUE(takes(TextForm::number, TypeKind::kInt));
  EXPECT_TRUE(takes(TextForm::range, map));
  EXPECT_FALSE(takes(TextForm::range, Type::list(map)));
  EXPECT_TRUE(takes(TextForm::multirange, Type::list(map)));
  EXPECT_TRUE(takes(TextForm::document, Type::list(TypeKind::kDouble)));
  column.is_array = true;
  EXPECT_TRUE(takes(TextForm::plain, TypeKind::kString));
  EXPECT_TRUE(takes(TextForm::plain, Type::list(Type::list(TypeKind::kString))));
  EXPECT_FALSE(takes(TextForm::plain, Type::list(TypeKind::kInt)));
  EXPECT_TRUE(fits(column_of(ColumnType::composite, "address"), map));
  EXPECT_FALSE(fits(column_of(ColumnType::composite, "address"), TypeKind::kString));
}

TEST(TypeCheck, RefusesAMismatchAndNamesTheConversion) {
  EXPECT_EQ(hint(kInt8, TypeKind::kString), "convert it: int(...)");
  EXPECT_EQ(hint(kInt8, TypeKind::kDouble), "convert it: int(...)");
  EXPECT_EQ(hint(kText, TypeKind::kInt), "convert it: string(...)");
  EXPECT_EQ(hint(kFloat8, TypeKind::kString), "convert it: double(...)");
  EXPECT_TRUE(hint(kTimestamptz, TypeKind::kInt).contains("time.fromMillis(...)"));
  EXPECT_EQ(hint(column_of(ColumnType::boolean, "boolean"), TypeKind::kString),
            "convert it: bool(...)");
  EXPECT_EQ(hint(kText, Type::list(TypeKind::kString)), "convert it: json.encode(...)");
  EXPECT_EQ(hint(column_of(ColumnType::boolean, "boolean"), TypeKind::kInt),
            "convert it: ... == 1");
  EXPECT_EQ(hint(kText, Type::optional(TypeKind::kInt).element()), "convert it: string(...)");
}

TEST(TypeCheck, RefusesNullInANotNullColumn) {
  ColumnDescription column = kInt8;
  EXPECT_TRUE(fits(column, TypeKind::kNull));
  column.not_null = true;
  EXPECT_FALSE(fits(column, TypeKind::kNull));
}

TEST(TypeCheck, LooksIntoLists) {
  ColumnDescription column = column_of(ColumnType::int8, "bigint[]");
  column.is_array = true;
  EXPECT_TRUE(fits(column, Type::list(TypeKind::kInt)));
  EXPECT_TRUE(fits(column, Type::list(TypeKind::kDyn)));
  EXPECT_FALSE(fits(column, Type::list(TypeKind::kString)));
  EXPECT_FALSE(fits(column, TypeKind::kInt));
  EXPECT_TRUE(fits(column, Type::list(Type::list(TypeKind::kInt))));
  EXPECT_FALSE(fits(column, Type::list(Type::list(TypeKind::kString))));
  column.type = ColumnType::jsonb;
  EXPECT_TRUE(fits(column, Type::list(Type::list(TypeKind::kString))));
}

TEST(TypeCheck, KnowsTheTypesOfTimesAddressesAndMaps) {
  const auto of = [](ColumnType type) { return column_of(type, "some type"); };
  const Type ip = Type::abstract("net.IP");
  EXPECT_TRUE(fits(of(ColumnType::inet), ip));
  EXPECT_TRUE(fits(of(ColumnType::cidr), Type::abstract("net.CIDR")));
  EXPECT_TRUE(fits(of(ColumnType::jsonb), ip));
  EXPECT_FALSE(fits(of(ColumnType::inet), TypeKind::kInt));
  EXPECT_TRUE(fits(of(ColumnType::interval), TypeKind::kDuration));
  EXPECT_FALSE(fits(of(ColumnType::interval), TypeKind::kTimestamp));
  EXPECT_TRUE(fits(of(ColumnType::time), TypeKind::kDuration));
  EXPECT_FALSE(fits(of(ColumnType::timetz), TypeKind::kDuration));
  EXPECT_TRUE(fits(of(ColumnType::timetz), TypeKind::kTimestamp));
  EXPECT_TRUE(fits(of(ColumnType::hstore), Type::map(TypeKind::kString, TypeKind::kString)));
  EXPECT_FALSE(fits(of(ColumnType::hstore), TypeKind::kString));
  for (const ColumnType type : {ColumnType::macaddr, ColumnType::macaddr8, ColumnType::bit,
                                ColumnType::varbit, ColumnType::xml, ColumnType::ltree}) {
    EXPECT_TRUE(fits(of(type), TypeKind::kString));
    EXPECT_FALSE(fits(of(type), TypeKind::kInt));
  }
}

}  // namespace
}  // namespace penstock::compute
