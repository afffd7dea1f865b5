#include "cel/type_text.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::cel {
namespace {

std::string read(std::string_view text) {
  const auto type = parse_type(text);
  if (type) return type->to_string();
  const Diagnostic& mistake = type.error();
  return std::to_string(mistake.line) + ":" + std::to_string(mistake.column) + ": " +
         mistake.message;
}

std::string hint(std::string_view text) {
  const auto type = parse_type(text);
  return type ? "no mistake" : type.error().hint;
}

TEST(TypeText, IsReadAsItIsShown) {
  for (const std::string_view text :
       {"int", "uint", "double", "bool", "string", "bytes", "timestamp", "duration", "dyn", "null",
        "list(int)", "map(string, dyn)", "list(map(string, list(double)))", "nullable(int)",
        "nullable(list(nullable(string)))", "map(uint, nullable(bool))", "map(dyn, int)"}) {
    EXPECT_EQ(read(text), text);
  }
}

TEST(TypeText, MayHoldSpaceBetweenItsWords) {
  EXPECT_EQ(read("  map ( string,\n  list( int ) )  "), "map(string, list(int))");
}

TEST(TypeText, KnowsThatDynAndNullAreNullAlready) {
  EXPECT_EQ(read("nullable(dyn)"), "dyn");
  EXPECT_EQ(read("nullable(null)"), "null");
  EXPECT_EQ(read("nullable(nullable(int))"), "nullable(int)");
}

TEST(TypeText, NamesTheNearestTypeForAnUnknownOne) {
  EXPECT_EQ(read("list(strin)"), "1:6: there is no type 'strin'");
  EXPECT_TRUE(hint("list(strin)").starts_with("did you mean 'string'?\nthere is: int, uint, "))
      << hint("list(strin)");
  EXPECT_EQ(read("number"), "1:1: there is no type 'number'");
  EXPECT_EQ(hint("number"),
            "there is: int, uint, double, bool, string, bytes, timestamp, duration, list, map, "
            "nullable, dyn, null");
}

TEST(TypeText, SaysWhatIsMissingAndWhere) {
  EXPECT_EQ(read(""), "1:1: a type is missing here");
  EXPECT_EQ(read("list"), "1:5: '(' is missing here");
  EXPECT_EQ(hint("list"), "a list names the type of its elements: list(string)");
  EXPECT_EQ(hint("nullable"), "name the type that may be null: nullable(int)");
  EXPECT_EQ(read("list()"), "1:6: a type is missing here");
  EXPECT_EQ(read("list(int"), "1:9: ')' is missing here");
  EXPECT_EQ(read("map(string)"), "1:11: ',' is missing here");
  EXPECT_EQ(hint("map(string)"), "a map names two types: map(string, dyn)");
  EXPECT_EQ(read("map(string, int, int)"), "1:16: ')' is missing here");
}

TEST(TypeText, RefusesWhatFollowsAType) {
  EXPECT_EQ(read("int string"), "1:5: nothing can follow the type int here");
  EXPECT_EQ(read("int(5)"), "1:4: nothing can follow the type int here");
  EXPECT_EQ(read("int?"), "1:4: nothing can follow the type int here");
}

TEST(TypeText, RefusesKeysThatNoMapHas) {
  EXPECT_EQ(read("map(double, int)"),
            "1:5: a map's key is a bool, int, uint or string, not double");
  EXPECT_EQ(read("map(nullable(string), int)"),
            "1:5: a map's key is a bool, int, uint or string, not nullable(string)");
}

TEST(TypeText, IsNotNestedWithoutEnd) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "list(";
  EXPECT_EQ(read(text), "1:161: the type is nested too deep");
}

}  // namespace
}  // namespace penstock::cel
