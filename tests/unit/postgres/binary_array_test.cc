#include "postgres/binary_array.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::postgres {
namespace {

std::string bytes(Param parameter) {
  return {parameter.data, static_cast<std::size_t>(parameter.size)};
}

TEST(BinaryArray, HasPostgresqlsLayout) {
  BinaryArray array;
  array.begin(oid::kInt4);
  array.add_integer(std::int32_t{7});
  array.add_null();
  EXPECT_EQ(bytes(array.finish()), std::string("\0\0\0\1\0\0\0\1\0\0\0\x17\0\0\0\2\0\0\0\1"
                                               "\0\0\0\4\0\0\0\7\xff\xff\xff\xff",
                                               32));
}

TEST(BinaryArray, TakesFieldsOfTuplesAsTheyStand) {
  const std::string fields("\0\0\0\2ab\xff\xff\xff\xff", 10);
  BinaryArray array;
  array.begin(oid::kText);
  array.add_field(fields.data(), 2);
  array.add_field(fields.data() + 6, -1);
  BinaryArray same;
  same.begin(oid::kText);
  same.add("ab");
  same.add_null();
  EXPECT_EQ(bytes(array.finish()), bytes(same.finish()));
}

TEST(BinaryArray, BeginsAnew) {
  BinaryArray array;
  array.begin(oid::kText);
  array.add_null();
  array.begin(oid::kText);
  array.add("x");
  EXPECT_EQ(array.count(), 1);
  EXPECT_EQ(bytes(array.finish()).substr(4, 4), std::string(4, '\0'));  // no nulls
}

}  // namespace
}  // namespace penstock::postgres
