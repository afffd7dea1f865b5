#include "compute/encode/derived_type.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using cel::Type;
using cel::TypeKind;

TEST(DerivedType, IsTheOneThatTakesWhatTheExpressionGives) {
  const std::vector<std::pair<Type, std::string>> types{
      {TypeKind::kInt, "bigint"},
      {TypeKind::kUint, "numeric"},
      {TypeKind::kDouble, "double precision"},
      {TypeKind::kString, "text"},
      {TypeKind::kBool, "boolean"},
      {TypeKind::kBytes, "bytea"},
      {TypeKind::kTimestamp, "timestamptz"},
      {TypeKind::kDuration, "interval"},
      {Type::abstract("net.IP"), "inet"},
      {Type::abstract("net.CIDR"), "cidr"},
      {Type::map(TypeKind::kString, TypeKind::kDyn), "jsonb"},
      {Type::record("customer", {{"name", TypeKind::kString}}), "jsonb"},
      {Type::list(TypeKind::kString), "text[]"},
      {Type::list(TypeKind::kUint), "numeric[]"},
      {Type::list(Type::nullable(TypeKind::kInt)), "bigint[]"},
      {Type::list(TypeKind::kDyn), "jsonb"},
      {Type::list(Type::map(TypeKind::kString, TypeKind::kInt)), "jsonb"},
      {Type::list(Type::list(TypeKind::kInt)), "jsonb"},
      {Type::nullable(TypeKind::kDouble), "double precision"},
      {Type::optional(TypeKind::kInt), "bigint"},
      {Type::optional(Type::nullable(Type::list(TypeKind::kBool))), "boolean[]"},
  };
  for (const auto& [type, sql] : types) EXPECT_EQ(derived_type(type), sql) << type.to_string();
}

TEST(DerivedType, IsNoneWhereOnlyRunTimeCanTell) {
  for (const Type& type :
       {Type(), Type::optional(TypeKind::kDyn), Type::nullable(TypeKind::kDyn),
        Type(TypeKind::kNull), Type::type(TypeKind::kInt), Type::list(TypeKind::kNull),
        Type::list(Type::optional(TypeKind::kInt)), Type::abstract("somebody.Else")}) {
    EXPECT_EQ(derived_type(type), "") << type.to_string();
  }
}

// numeric and not bigint: the upper half of what a uint may be would be dead letters.
TEST(DerivedType, OfAUintHoldsTheLargest) {
  const auto largest = cel::Value::of_uint(std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(encode(column_of(ColumnType::numeric, "numeric"), largest).ok);
  EXPECT_FALSE(encode(column_of(ColumnType::int8, "bigint"), largest).ok);
}

}  // namespace
}  // namespace penstock::compute
