#include "compute/conform.h"

#include <gtest/gtest.h>

#include "cel/text.h"
#include "compute/schema.h"
#include "core/record_batch.h"
#include "formats/json/json_reader.h"

namespace penstock::compute {
namespace {

// What expressions see of one field of a document, or why it is refused.
class Conforming : public testing::Test {
 protected:
  std::string operator()(const std::map<std::string, std::string>& schema, std::string document,
                         const std::vector<std::string>& path) {
    Problems problems;
    cel::Environment environment;
    environment.declare_document("msg", parse_schema(schema, problems));
    EXPECT_TRUE(problems.empty());
    cel::Inputs inputs;
    std::ignore = inputs.add("msg", path);
    const Conform conform(*environment.find("msg"), inputs);

    const formats::FieldTree tree(inputs.paths());
    formats::JsonReader reader({}, tree);
    std::vector<cel::Value> slots(1, cel::Value::absent(0));
    cel::Arena arena;
    const std::size_t size = document.size();
    document.resize(size + RecordBatch::kPadding);
    EXPECT_TRUE(reader.read({document.data(), size}, arena, slots).ok());
    std::string message;
    if (!conform.apply(slots, arena, message)) return message;
    return slots[0].is_absent() ? "absent" : cel::to_text(slots[0]);
  }

  // Of the document's only field, v, declared as `type`.
  std::string of(const std::string& type, const std::string& json) {
    return (*this)({{"v", type}}, "{\"v\":" + json + "}", {"v"});
  }
};

TEST_F(Conforming, PassesWhatIsDeclared) {
  EXPECT_EQ(of("int", "5"), "5");
  EXPECT_EQ(of("double", "2.5"), "2.5");
  EXPECT_EQ(of("bool", "true"), "true");
  EXPECT_EQ(of("string", "\"x\""), "\"x\"");
  EXPECT_EQ(of("null", "null"), "null");
  EXPECT_EQ(of("list(dyn)", "[1, \"x\"]"), "[1, \"x\"]");
  EXPECT_EQ(of("map(string, dyn)", R"({"a": [1]})"), R"({"a": [1]})");
  EXPECT_EQ(of("dyn", "[1]"), "[1]");
}

TEST_F(Conforming, LeavesWhatIsNotThere) {
  EXPECT_EQ((*this)({{"v", "int"}}, "{}", {"v"}), "absent");
  EXPECT_EQ((*this)({{"a.b", "int"}}, R"({"a": 5})", {"a", "b"}), "absent");
}

TEST_F(Conforming, RefusesAValueOfAnotherType) {
  EXPECT_EQ(of("int", "\"5\""), "msg.v is declared as int, and is \"5\", a value of type string");
  EXPECT_EQ(of("string", "5"), "msg.v is declared as string, and is 5, a value of type int");
  EXPECT_EQ(of("string", "2.5"), "msg.v is declared as string, and is 2.5, a value of type double");
  EXPECT_EQ(of("bool", "1"), "msg.v is declared as bool, and is 1, a value of type int");
  EXPECT_EQ(of("list(dyn)", "{}"),
            "msg.v is declared as list(dyn), and is {}, a value of type map");
  EXPECT_EQ(of("null", "5"), "msg.v is declared as null, and is 5, a value of type int");
  EXPECT_EQ((*this)({{"a.b", "int"}}, R"({"a": {"b": []}})", {"a", "b"}),
            "msg.a.b is declared as int, and is [], a value of type list");
}

TEST_F(Conforming, ReadsANumberAsTheTypeThatIsDeclared) {
  EXPECT_EQ(of("double", "5"), "5.0");
  EXPECT_EQ(of("double", "-5"), "-5.0");
  EXPECT_EQ(of("double", "18446744073709551615"), "1.8446744073709552e+19");
  EXPECT_EQ(of("int", "5.0"), "5");
  EXPECT_EQ(of("int", "-1e3"), "-1000");
  EXPECT_EQ(of("int", "-0.0"), "0");
  EXPECT_EQ(of("uint", "5"), "5u");
  EXPECT_EQ(of("uint", "5.0"), "5u");
  EXPECT_EQ(of("uint", "18446744073709551615"), "18446744073709551615u");
}

TEST_F(Conforming, RefusesANumberThatWouldNotBeTheSame) {
  EXPECT_EQ(of("int", "5.5"), "msg.v is declared as int, and is 5.5");
  EXPECT_EQ(of("int", "18446744073709551615"),
            "msg.v is declared as int, and is 18446744073709551615u, a value of type uint");
  EXPECT_EQ(of("uint", "-5"), "msg.v is declared as uint, and is -5, a value of type int");
  EXPECT_EQ(of("int", "9007199254740991.0"), "9007199254740991");
  EXPECT_EQ(of("int", "9007199254740993.0"), "9007199254740993");
  EXPECT_EQ(of("uint", "1844674407370955161.5e1"), "18446744073709551615u");
  EXPECT_EQ(of("int", "9007199254740993.5"), "msg.v is declared as int, and is 9007199254740993.5");
  EXPECT_EQ(of("int", "92233720368547758070"),
            "msg.v is declared as int, and is 92233720368547758070, a number beyond 64 bits");
  EXPECT_EQ(of("double", "92233720368547758070"), "9.223372036854776e+19");
  EXPECT_EQ(of("double", "1e400"),
            "msg.v is declared as double, and is 1e400, which is larger than any double");
  EXPECT_EQ(
      of("string", R"("\ud800")"),
      R"(msg.v is declared as string, and is "\ud800", with half of a surrogate pair, which is not a character)");
}

TEST_F(Conforming, AcceptsNullWhereTheTypeSaysSo) {
  EXPECT_EQ(of("nullable(int)", "null"), "null");
  EXPECT_EQ(of("nullable(int)", "5.0"), "5");
  EXPECT_EQ(of("list(nullable(double))", "[null, 1]"), "[null, 1.0]");
  EXPECT_EQ(of("int", "null"),
            "msg.v is declared as int, and is null (nullable(int) accepts null)");
  EXPECT_EQ(of("nullable(int)", "\"x\""),
            "msg.v is declared as nullable(int), and is \"x\", a value of type string");
}

TEST_F(Conforming, LooksAtElementsThatAreDeclared) {
  EXPECT_EQ(of("list(double)", "[1, 2.5]"), "[1.0, 2.5]");
  EXPECT_EQ(of("list(double)", "[0.5, 1.5, 2, 2.5, 3]"), "[0.5, 1.5, 2.0, 2.5, 3.0]");
  EXPECT_EQ(of("list(list(int))", "[[1], [2, 3.0], []]"), "[[1], [2, 3], []]");
  EXPECT_EQ(of("map(string, double)", R"({"a": 0.5, "b": 1, "c": 1.5})"),
            R"({"a": 0.5, "b": 1.0, "c": 1.5})");
  EXPECT_EQ(of("map(string, list(int))", R"({"a": [1.0]})"), R"({"a": [1]})");
  EXPECT_EQ(of("list(int)", "[1, \"x\"]"),
            "msg.v[1] is declared as int, and is \"x\", a value of type string");
  EXPECT_EQ(of("map(string, list(int))", R"({"a": [], "b": [true]})"),
            "msg.v[\"b\"][0] is declared as int, and is true, a value of type bool");
}

TEST_F(Conforming, KnowsTheTypeOfAPartOfADeclaredMap) {
  EXPECT_EQ((*this)({{"v", "map(string, double)"}}, R"({"v": {"a": 1}})", {"v", "a"}), "1.0");
  EXPECT_EQ((*this)({{"v", "map(string, double)"}}, R"({"v": {"a": "1"}})", {"v", "a"}),
            "msg.v.a is declared as double, and is \"1\", a value of type string");
}

TEST_F(Conforming, WantsAnObjectOrNullWhereFieldsAreDeclared) {
  EXPECT_EQ((*this)({{"a.b", "int"}}, R"({"a": {"b": "x"}})", {"a"}), R"({"b": "x"})");
  EXPECT_EQ((*this)({{"a.b", "int"}}, R"({"a": null})", {"a"}), "null");
  EXPECT_EQ((*this)({{"a.b", "int"}}, R"({"a": 5})", {"a"}),
            "msg.a is declared as nullable(map(string, dyn)), and is 5, a value of type int");
}

TEST_F(Conforming, ShortensLongValues) {
  EXPECT_LT(of("int", "\"" + std::string(10'000, 'x') + "\"").size(), 200U);
}

}  // namespace
}  // namespace penstock::compute
