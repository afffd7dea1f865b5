#include "compute/encode/record_encoder.h"

#include <gtest/gtest.h>

#include <string>

#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/program.h"
#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using cel::Value;

ColumnDescription address() {
  ColumnDescription column = column_of(ColumnType::composite, "address");
  ColumnDescription street = column_of(ColumnType::text, "text");
  street.name = "street";
  street.declared_oid = 25;
  ColumnDescription number = column_of(ColumnType::int4, "number");
  number.name = "number";
  number.declared_oid = 23;
  column.attributes = {street, number};
  return column;
}

Encoded made(const ColumnDescription& column, std::string_view expression) {
  cel::Inputs inputs;
  const auto program = cel::compile(expression, cel::Environment(), inputs);
  EXPECT_TRUE(program) << expression;
  cel::Arena arena;
  cel::Frame frame;
  return encode(column, program ? program->evaluate({}, arena, frame) : Value::null());
}

TEST(RecordEncoder, WritesTypeAndFieldOfEachAttribute) {
  EXPECT_EQ(made(address(), "{'number': 7, 'street': 'Aa'}").hex(),
            "00000002"
            "00000019"
            "00000002"
            "4161"
            "00000017"
            "00000004"
            "00000007");
}

TEST(RecordEncoder, WhatIsNotThereIsNullAndWhatIsNoAttributeIsLeftOut) {
  EXPECT_EQ(made(address(), "{'number': 7, 'other': [1]}").hex(),
            "00000002"
            "00000019"
            "ffffffff"
            "00000017"
            "00000004"
            "00000007");
  EXPECT_EQ(made(address(), "{'street': null}").hex(),
            "00000002"
            "00000019"
            "ffffffff"
            "00000017"
            "ffffffff");
}

TEST(RecordEncoder, RefusesAnObjectThatHasNoneOfTheAttributes) {
  for (const auto& [object, there] :
       {std::pair{"{}", "no fields"}, std::pair{"{'Street': 'x', 'no': 7}", "Street, no"}}) {
    const Encoded encoded = made(address(), object);
    EXPECT_FALSE(encoded.ok);
    EXPECT_EQ(encoded.problem.reason, "missing_field");
    EXPECT_EQ(encoded.problem.message,
              std::string("the object has none of the attributes of address, street, number; it "
                          "has ") +
                  there);
  }
  ColumnDescription list = address();
  list.is_array = true;
  list.element_oid = 999;
  const Encoded encoded = made(list, "[{'number': 1}, {'no': 2}]");
  EXPECT_EQ(encoded.problem.reason, "missing_field");
  EXPECT_TRUE(encoded.problem.message.starts_with("item 1 of the list: "))
      << encoded.problem.message;
}

TEST(RecordEncoder, SaysWhichAttributeRefusesItsValue) {
  const Encoded encoded = made(address(), "{'number': '7'}");
  EXPECT_FALSE(encoded.ok);
  EXPECT_EQ(encoded.problem.reason, "wrong_type");
  EXPECT_TRUE(encoded.problem.message.starts_with("\"number\" of it: ")) << encoded.problem.message;
  ColumnDescription column = address();
  column.attributes[0].not_null = true;
  EXPECT_EQ(made(column, "{'number': 1}").problem.reason, "not_null") << "a domain's";
  EXPECT_EQ(made(column, "'(a,1)'").problem.reason, "wrong_type");
}

TEST(RecordEncoder, WritesRecordsInRecordsAndInArrays) {
  ColumnDescription outer = column_of(ColumnType::composite, "outer");
  outer.attributes = {address()};
  outer.attributes[0].name = "at";
  outer.attributes[0].declared_oid = 999;
  EXPECT_EQ(made(outer, "{'at': {'number': 7}}").hex(),
            "00000001"
            "000003e7"
            "00000018"
            "00000002"
            "00000019"
            "ffffffff"
            "00000017"
            "00000004"
            "00000007");
  ColumnDescription list = address();
  list.is_array = true;
  list.element_oid = 999;
  EXPECT_TRUE(made(list, "[{'number': 1}, null]").ok);
  EXPECT_FALSE(made(list, "{'number': 1}").ok);
}

}  // namespace
}  // namespace penstock::compute
