// The reader and the runner of conformance cases: that they see what is wrong.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <string_view>

#include "conformance/case.h"
#include "conformance/run_case.h"

namespace penstock::conformance {
namespace {

// "passes"; "expected | actual" of a failure; the message when it is not a case.
std::string run(std::string_view members) {
  std::string line = "{\"id\": \"a/b/c\", " + std::string(members) + "}";
  std::erase(line, '\n');
  std::istringstream file(line);
  const auto cases = read_cases(file, "cases.jsonl");
  if (!cases) return cases.error();
  const auto failure = run_case(cases->front());
  return failure ? failure->expected + " | " + failure->actual : "passes";
}

// The same for an expression and the JSON of the value it should have.
std::string run(std::string_view expression, std::string_view value) {
  return run("\"expr\": \"" + std::string(expression) + "\", \"value\": " + std::string(value));
}

// Of a variable `x` that is declared and bound so.
std::string bound(std::string_view expression, std::string_view type, std::string_view value) {
  return run("\"expr\": \"" + std::string(expression) +
             "\", \"typeEnv\": [{\"name\": \"x\", \"ident\": {\"type\": " + std::string(type) +
             "}}], \"bindings\": {\"x\": " + std::string(value) + "}");
}

std::string deduced(std::string_view declaration, std::string_view expression,
                    std::string_view type) {
  return run("\"expr\": \"" + std::string(expression) + "\", \"checkOnly\": true, \"typeEnv\": [" +
             std::string(declaration) +
             "], \"typedResult\": {\"deducedType\": " + std::string(type) + "}");
}

// A variable of this type, whose type the checker should give back.
std::string round_trip(const std::string& type) {
  return deduced(R"({"name": "x", "ident": {"type": )" + type + "}}", "x", type);
}

TEST(ConformanceRunner, ExpectsTrueOfACaseThatSaysNothing) {
  EXPECT_EQ(run(R"("expr": "1 < 2")"), "passes");
  EXPECT_EQ(run(R"("expr": "2 < 1")"), "true | false");
}

TEST(ConformanceRunner, NamesTheCaseThatFails) {
  std::istringstream file(R"({"id": "a/b/c", "expr": "1 + 1", "value": {"int64Value": "3"}})");
  const auto cases = read_cases(file, "");
  ASSERT_TRUE(cases) << cases.error();
  const auto failure = run_case(cases->front());
  ASSERT_TRUE(failure);
  EXPECT_EQ(describe(*failure),
            "FAILED a/b/c\n  expression: 1 + 1\n  expected:   3\n  actual:     2\n");
}

TEST(ConformanceRunner, TellsKindsApart) {
  EXPECT_EQ(run("1", R"({"int64Value": "1"})"), "passes");
  EXPECT_EQ(run("1", R"({"doubleValue": 1})"), "1.0 | 1");
  EXPECT_EQ(run("1u", R"({"int64Value": "1"})"), "1 | 1u");
  EXPECT_EQ(run("b'a'", R"({"stringValue": "a"})"), "\"a\" | b\"a\"");
  EXPECT_EQ(run("[1]", R"({"listValue": {"values": [{"uint64Value": "1"}]}})"), "[1u] | [1]");
  EXPECT_EQ(run("[1, 2]", R"({"listValue": {"values": [{"int64Value": "1"}]}})"), "[1] | [1, 2]");
  EXPECT_EQ(run("{1: 2}", R"({"mapValue": {"entries": [{"key": {"uint64Value": "1"},
                                                        "value": {"int64Value": "2"}}]}})"),
            "{1u: 2} | {1: 2}");
  EXPECT_EQ(run("int", R"({"typeValue": "int"})"), "passes");
  EXPECT_EQ(run("int", R"({"typeValue": "uint"})"), "uint | int");
}

TEST(ConformanceRunner, ComparesDoublesAsTheSuiteDoes) {
  EXPECT_EQ(run("0.0 / 0.0", R"({"doubleValue": "NaN"})"), "passes");
  EXPECT_EQ(run("[0.0 / 0.0]", R"({"listValue": {"values": [{"doubleValue": "NaN"}]}})"), "passes");
  EXPECT_EQ(run("-0.0", R"({"doubleValue": 0})"), "passes");
  EXPECT_EQ(run("-1.0 / 0.0", R"({"doubleValue": "-Infinity"})"), "passes");
  EXPECT_EQ(run("1.0 / 0.0", R"({"doubleValue": "Infinity"})"), "passes");
  EXPECT_EQ(run("1.5", R"({"doubleValue": "1.5"})"), "passes");
}

TEST(ConformanceRunner, GivesMapsNoOrder) {
  constexpr std::string_view kMap = R"({"mapValue": {"entries": [
      {"key": {"stringValue": "a"}, "value": {"int64Value": 1}},
      {"key": {"boolValue": true}, "value": {"nullValue": null}}]}})";
  EXPECT_EQ(run("{true: null, 'a': 1}", kMap), "passes");
  EXPECT_EQ(run("{true: null, 'a': 2}", kMap), "{\"a\": 1, true: null} | {true: null, \"a\": 2}");
}

TEST(ConformanceRunner, ReadsEveryKindOfValue) {
  const std::string dyn = R"({"dyn": {}})";
  const auto is = [&](std::string_view expression, std::string_view value) {
    return bound(expression, dyn, "{\"value\": " + std::string(value) + "}");
  };
  EXPECT_EQ(is("x == null", R"({"nullValue": "NULL_VALUE"})"), "passes");
  EXPECT_EQ(is("x", R"({"boolValue": true})"), "passes");
  EXPECT_EQ(is("x == 1000", R"({"int64_value": 1e3})"), "passes");
  EXPECT_EQ(is("x == 18446744073709551615u", R"({"uint64Value": "18446744073709551615"})"),
            "passes");
  EXPECT_EQ(is("x == b'~>?'", R"({"bytesValue": "fj4_"})"), "passes");
  EXPECT_EQ(is("x == b'a'", R"({"bytesValue": "YQ=="})"), "passes");
  EXPECT_EQ(is("x == [] && size(x) == 0", R"({"listValue": {}})"), "passes");
  EXPECT_EQ(is("x == {}", R"({"mapValue": {}})"), "passes");
  EXPECT_EQ(is("x == 2", R"({"enumValue": {"type": "a.B", "value": 2}})"), "passes");
  EXPECT_EQ(is("x == 0", R"({"enumValue": {"type": "a.B"}})"), "passes");
}

TEST(ConformanceRunner, ReadsMessagesThatAreValues) {
  const auto is = [](std::string_view expression, std::string_view message,
                     std::string_view value) {
    return bound(expression, R"({"dyn": {}})",
                 R"({"value": {"objectValue": {"@type": "type.googleapis.com/google.protobuf.)" +
                     std::string(message) + R"(", "value": )" + std::string(value) + "}}}");
  };
  EXPECT_EQ(is("x == duration('-1.5s')", "Duration", R"("-1.5s")"), "passes");
  EXPECT_EQ(is("x == timestamp(1)", "Timestamp", R"("1970-01-01T00:00:01Z")"), "passes");
  EXPECT_EQ(is("x", "BoolValue", "true"), "passes");
  EXPECT_EQ(is("type(x) == int && x == 5", "Int64Value", R"("5")"), "passes");
  EXPECT_EQ(is("type(x) == uint && x == 5u", "UInt32Value", "5"), "passes");
  EXPECT_EQ(is("x == 1.5", "FloatValue", "1.5"), "passes");
  EXPECT_EQ(is("x == 'a'", "StringValue", R"("a")"), "passes");
  EXPECT_EQ(is("x == b'a'", "BytesValue", R"("YQ==")"), "passes");
  EXPECT_EQ(is("x == {'a': [1.0, null, true, 'b']}", "Struct", R"({"a": [1, null, true, "b"]})"),
            "passes");
  EXPECT_EQ(is("x == [1.0]", "ListValue", "[1]"), "passes");
  EXPECT_EQ(is("x == null", "Value", "null"), "passes");
  EXPECT_EQ(is("x == 'a'", "Any",
               R"({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "a"})"),
            "passes");
  EXPECT_EQ(
      is("x", "FieldMask", R"("a")"),
      "to pass the checker | this engine does not have the message 'google.protobuf.FieldMask'");
  EXPECT_EQ(is("x", "Duration", R"("soon")"), "cases.jsonl:1: expected a duration, not \"soon\"");
  EXPECT_EQ(is("x", "Timestamp", R"("soon")"), "cases.jsonl:1: expected a timestamp, not \"soon\"");
}

TEST(ConformanceRunner, ReadsEveryKindOfType) {
  for (const std::string type :
       {R"({"dyn": {}})",
        R"({"null": null})",
        R"({"primitive": "BOOL"})",
        R"({"primitive": "INT64"})",
        R"({"primitive": "UINT64"})",
        R"({"primitive": "DOUBLE"})",
        R"({"primitive": "STRING"})",
        R"({"primitive": 6})",
        R"({"wrapper": "INT64"})",
        R"({"wellKnown": "TIMESTAMP"})",
        R"({"wellKnown": "DURATION"})",
        R"({"listType": {"elemType": {"dyn": {}}}})",
        R"({"mapType": {"keyType": {"primitive": "BOOL"}, "valueType": {"dyn": {}}}})",
        R"({"map_type": {"key_type": {"primitive": "BOOL"}, "value_type": {"dyn": {}}}})",
        R"({"type": {"primitive": "INT64"}})",
        R"({"type": {}})",
        R"({"messageType": "a.B"})",
        R"({"abstractType": {"name": "pair", "parameterTypes": [{"primitive": "INT64"}]}})",
        R"({"abstractType": {"name": "optional_type", "parameterTypes": [{"dyn": {}}]}})",
        R"({"function": {"resultType": {"dyn": {}}, "argTypes": [{"primitive": "BOOL"}]}})"}) {
    EXPECT_EQ(round_trip(type), "passes") << type;
  }
  const auto same = [](std::string_view declared, std::string_view type) {
    return deduced(R"({"name": "x", "ident": {"type": )" + std::string(declared) + "}}", "x", type);
  };
  EXPECT_EQ(same(R"({"wellKnown": "ANY"})", R"({"dyn": {}})"), "passes");
  EXPECT_EQ(same(R"({"abstractType": {"name": "optional_type"}})",
                 R"({"abstractType": {"name": "optional_type", "parameterTypes": [{"dyn": {}}]}})"),
            "passes");
  EXPECT_EQ(same(R"({"error": {}})", R"({"error": {}})"), "passes");
  EXPECT_EQ(same(R"({"typeParam": "T"})", R"({"dyn": {}})"), "passes");
  EXPECT_EQ(same(R"({"messageType": "google.protobuf.Int32Value"})", R"({"wrapper": "INT64"})"),
            "passes");
  EXPECT_EQ(same(R"({"messageType": "google.protobuf.Duration"})", R"({"wellKnown": "DURATION"})"),
            "passes");
  EXPECT_EQ(same(R"({"primitive": "INT64"})", R"({"primitive": "UINT64"})"),
            "of type uint | of type int");
  EXPECT_EQ(same(R"({"listType": {"elemType": {"primitive": "INT64"}}})",
                 R"({"listType": {"elemType": {"dyn": {}}}})"),
            "of type list(dyn) | of type list(int)");
}

TEST(ConformanceRunner, DeclaresFunctions) {
  constexpr std::string_view kFirst =
      R"({"name": "fst", "function": {"overloads": [
          {"overloadId": "a", "isInstanceFunction": true, "typeParams": ["T"],
           "params": [{"listType": {"elemType": {"typeParam": "T"}}}],
           "resultType": {"typeParam": "T"}},
          {"overloadId": "b", "params": [{"primitive": "STRING"}],
           "resultType": {"primitive": "STRING"}}]}})";
  EXPECT_EQ(deduced(kFirst, "[1].fst()", R"({"primitive": "INT64"})"), "passes");
  EXPECT_EQ(deduced(kFirst, "fst('a')", R"({"primitive": "STRING"})"), "passes");
  EXPECT_EQ(deduced(kFirst, "fst(1)", R"({"primitive": "STRING"})"),
            "of type string | does not compile: 'fst' does not take (int)");
}

TEST(ConformanceRunner, ExpectsErrorsOfAnyKind) {
  EXPECT_EQ(run(R"("expr": "1 / 0", "evalError": {"errors": [{"message": "other"}]})"), "passes");
  EXPECT_EQ(run(R"("expr": "nope", "anyEvalErrors": {}, "disableCheck": true)"), "passes");
  EXPECT_EQ(run(R"("expr": "nope", "evalError": {})"), "passes");
  EXPECT_EQ(run(R"("expr": "1 / 1", "evalError": {})"), "an error | 1");
  EXPECT_EQ(run("1 / 0", R"({"int64Value": "1"})"), "1 | error: division by zero: 1 / 0 (at 1:3)");
  EXPECT_EQ(run("nope", R"({"int64Value": "1"})"), "1 | does not compile: undeclared name 'nope'");
  EXPECT_EQ(run(R"("expr": "x", "evalError": {}, "bindings": {"x": {"error": {}}})"), "passes");
  EXPECT_EQ(run(R"("expr": "x", "evalError": {},
                   "typeEnv": [{"name": "x", "ident": {"type": {"primitive": "BOOL"}}}])"),
            "passes");
}

TEST(ConformanceRunner, HoldsAResultToItsValueAndItsType) {
  const std::string line = R"("expr": "[1]", "typedResult": {
      "result": {"listValue": {"values": [{"int64Value": "1"}]}},
      "deducedType": {"listType": {"elemType": {"primitive": ")";
  EXPECT_EQ(run(line + "INT64\"}}}}"), "passes");
  EXPECT_EQ(run(line + "BOOL\"}}}}"), "[1] of type list(bool) | [1] of type list(int)");
  EXPECT_EQ(run(R"("expr": "2", "typedResult": {"result": {"int64Value": 1}})"), "1 | 2");
  EXPECT_EQ(run(R"("expr": "2", "checkOnly": true)"), "passes");
  EXPECT_EQ(run(R"("expr": "nope", "checkOnly": true)"),
            "to pass the checker | does not compile: undeclared name 'nope'");
}

TEST(ConformanceRunner, LeavesMacrosAloneWhenToldSo) {
  EXPECT_EQ(run(R"("expr": "[1].all(x, x > 0) == true")"), "passes");
  EXPECT_EQ(run(R"("expr": "[1].all(x, x > 0) == true", "disableMacros": true)"),
            "true | does not compile: undeclared name 'x'");
  EXPECT_EQ(run(R"("expr": "has(a) == 1", "disableMacros": true, "checkOnly": true,
      "typeEnv": [{"name": "a", "ident": {"type": {"dyn": {}}}}, {"name": "has", "function":
        {"overloads": [{"params": [{"dyn": {}}], "resultType": {"primitive": "INT64"}}]}}])"),
            "passes");
}

TEST(ConformanceRunner, FailsWhatTheEngineCannotHave) {
  EXPECT_EQ(run(R"("expr": "1", "unknown": {"exprs": [1]})"), "an unknown value | 1");
  EXPECT_EQ(run(R"("expr": "x", "bindings": {"x": {"unknown": {}}})"),
            "to pass the checker | this engine does not have the unknown value 'x'");
}

TEST(ConformanceRunner, SaysWhereAFileIsMalformed) {
  const auto error = [](const std::string& text) {
    std::istringstream file(text);
    const auto cases = read_cases(file, "cases.jsonl");
    return cases ? "reads" : cases.error();
  };
  EXPECT_EQ(error(""), "cases.jsonl: there is no case in it");
  EXPECT_EQ(error("{\"id\": \"a\", \"expr\": \"1\"}\n\n{\"id\": ").substr(0, 36),
            "cases.jsonl:3: not a line of JSON: [");
  EXPECT_EQ(error(R"({"expr": "1"})"), "cases.jsonl:1: a case has an 'id'");
  EXPECT_EQ(error(R"({"id": "a"})"), "cases.jsonl:1: a case has an 'expr'");
  EXPECT_EQ(error("[]"), "cases.jsonl:1: expected an object, not []");
  EXPECT_EQ(run(R"("expr": 1)"), "cases.jsonl:1: 'expr' is a string, not 1");
  EXPECT_EQ(run(R"("expr": "1", "checkOnly": 1)"),
            "cases.jsonl:1: 'checkOnly' is true or false, not 1");
  EXPECT_EQ(run("1", R"({"intValue": 1})"), "cases.jsonl:1: there is no kind of value 'intValue'");
  EXPECT_EQ(run("1", R"({"int64Value": "1.5"})"),
            "cases.jsonl:1: expected an integer of 64 bits, not \"1.5\"");
  EXPECT_EQ(run("1", R"({"doubleValue": "x"})"), "cases.jsonl:1: expected a number, not \"x\"");
  EXPECT_EQ(run("1", R"({"boolValue": 1})"), "cases.jsonl:1: expected true or false, not 1");
  EXPECT_EQ(run("1", R"({"stringValue": 1})"), "cases.jsonl:1: expected a string, not 1");
  EXPECT_EQ(run("1", R"({"bytesValue": "*"})"),
            "cases.jsonl:1: expected bytes in base64, not \"*\"");
  EXPECT_EQ(run("1", R"({"listValue": {"values": 1}})"),
            "cases.jsonl:1: 'values' is a list, not 1");
  EXPECT_EQ(run("1", R"({"mapValue": {"entries": [{}]}})"),
            "cases.jsonl:1: a map's entry has a key and a value; this is {}");
  EXPECT_EQ(run(R"("expr": "1", "value": {"int64Value": 1}, "evalError": {})"),
            "cases.jsonl:1: a case expects one thing, not 'value' and 'evalError'");
  EXPECT_EQ(run(R"("expr": "1", "bindings": 1)"), "cases.jsonl:1: 'bindings' is an object");
  EXPECT_EQ(run(R"("expr": "1", "bindings": {"x": {"values": 1}})"),
            "cases.jsonl:1: the binding 'x' has a value, error or unknown, not 'values'");
  EXPECT_EQ(round_trip(R"({"primitive": "INT"})"),
            "cases.jsonl:1: there is no primitive type \"INT\"");
  EXPECT_EQ(round_trip(R"({"lists": {}})"),
            "cases.jsonl:1: there is no kind of type 'lists' with {}");
  EXPECT_EQ(deduced(R"({"name": "x"})", "x", "{}"),
            "cases.jsonl:1: a declaration has a name, and an ident or a function; this is "
            "{\"name\":\"x\"}");
  EXPECT_EQ(deduced(R"({"name": "f", "function": {}})", "x", "{}"),
            "cases.jsonl:1: the function 'f' has no overloads");
}

}  // namespace
}  // namespace penstock::conformance
