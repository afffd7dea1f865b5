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

TEST(TypeCheck, RefusesAMismatchAndNamesTheConversion) {
  EXPECT_EQ(hint(kInt8, TypeKind::kString), "convert it: int(...)");
  EXPECT_EQ(hint(kInt8, TypeKind::kDouble), "convert it: int(...)");
  EXPECT_EQ(hint(kText, TypeKind::kInt), "convert it: string(...)");
  EXPECT_EQ(hint(kFloat8, TypeKind::kString), "convert it: double(...)");
  EXPECT_TRUE(hint(kTimestamptz, TypeKind::kInt).contains("time.fromMillis(...)"));
  EXPECT_EQ(hint(column_of(ColumnType::boolean, "boolean"), TypeKind::kString),
            "convert it: bool(...)");
  EXPECT_EQ(hint(kText, Type::list(TypeKind::kString)), "");
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
}

}  // namespace
}  // namespace penstock::compute
