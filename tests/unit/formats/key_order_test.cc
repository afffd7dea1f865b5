// The reader remembers the order of a document's keys; no document may notice.
#include <gtest/gtest.h>

#include <format>
#include <string>

#include "formats/json/key_order.h"
#include "unit/formats/json_reading.h"

namespace penstock::formats {
namespace {

using cel::Value;

TEST(KeyOrder, ReadsDocumentsWhoseKeysChangeTheirOrder) {
  JsonReading reading({{"a"}, {"b"}, {"c", "d"}});
  for (const char* document :
       {R"({"a":1,"b":2,"c":{"d":3}})", R"({"a":1,"b":2,"c":{"d":3}})",
        R"({"b":2,"a":1,"c":{"d":3}})", R"({"c":{"x":0,"d":3},"b":2,"a":1})",
        R"({"x":0,"c":{"d":3},"y":0,"b":2,"z":0,"a":1})", R"({"a":1,"b":2,"c":{"d":3}})"}) {
    ASSERT_TRUE(reading.read(document).ok()) << document;
    EXPECT_TRUE(equal(reading[0], Value::of_int(1))) << document;
    EXPECT_TRUE(equal(reading[1], Value::of_int(2))) << document;
    EXPECT_TRUE(equal(reading[2], Value::of_int(3))) << document;
  }
}

TEST(KeyOrder, TellsAKeyFromOneThatBeginsLikeIt) {
  JsonReading reading({{"ab"}});
  for (const auto& [document, there] :
       {std::pair(R"({"ab":1})", true), std::pair(R"({"a":1})", false),
        std::pair(R"({"abc":1})", false), std::pair(R"({"":1})", false),
        std::pair(R"({"ab":1})", true), std::pair(R"({"ab" : 1})", true)}) {
    ASSERT_TRUE(reading.read(document).ok()) << document;
    EXPECT_EQ(reading[0].is_int(), there) << document;
  }
}

TEST(KeyOrder, ReadsAKeyWithEscapesWhereAPlainOneWas) {
  JsonReading reading({{"ab"}, {"a\"b"}});
  for (const char* document : {R"({"ab":1,"a\"b":2})", R"({"\u0061b":1,"a\u0022b":2})",
                               R"({"ab":1,"a\"b":2})", R"({"a\"b":2,"ab":1})"}) {
    ASSERT_TRUE(reading.read(document).ok()) << document;
    EXPECT_TRUE(equal(reading[0], Value::of_int(1))) << document;
    EXPECT_TRUE(equal(reading[1], Value::of_int(2))) << document;
  }
}

TEST(KeyOrder, ReadsKeysThatAreTooLongToRemember) {
  const std::string fits(KeyOrder::kBlockBytes - 1, 'k');
  const std::string too_long(KeyOrder::kBlockBytes, 'k');
  JsonReading reading({{fits}, {too_long}});
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(reading.read(std::format(R"({{"{}":1,"{}":2}})", fits, too_long)).ok());
    EXPECT_TRUE(equal(reading[0], Value::of_int(1)));
    EXPECT_TRUE(equal(reading[1], Value::of_int(2)));
    ASSERT_TRUE(reading.read(std::format(R"({{"{}":2,"{}":1}})", too_long, fits)).ok());
    EXPECT_TRUE(equal(reading[0], Value::of_int(1)));
    EXPECT_TRUE(equal(reading[1], Value::of_int(2)));
  }
}

TEST(KeyOrder, ReadsMoreFieldsThanAreRemembered) {
  std::string document = "{";
  for (int i = 0; i < 1000; ++i) document += std::format(R"("f{}":{},)", i, i);
  document.back() = '}';
  JsonReading reading({{"f0"}, {"f500"}, {"f999"}});
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(reading.read(document).ok());
    EXPECT_TRUE(equal(reading[0], Value::of_int(0)));
    EXPECT_TRUE(equal(reading[1], Value::of_int(500)));
    EXPECT_TRUE(equal(reading[2], Value::of_int(999)));
  }
}

}  // namespace
}  // namespace penstock::formats
