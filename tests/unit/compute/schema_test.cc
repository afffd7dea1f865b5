#include "compute/schema.h"

#include <gtest/gtest.h>

namespace penstock::compute {
namespace {

using Declared = std::map<std::string, std::string>;

// "a: int, b: {c: string}".
std::string text_of(const std::vector<cel::Field>& fields) {
  std::string text;
  for (const cel::Field& field : fields) {
    if (!text.empty()) text += ", ";
    text += field.name + ": ";
    text += field.type.is(cel::TypeKind::kRecord)
                ? "{" + text_of({field.type.fields().begin(), field.type.fields().end()}) + "}"
                : field.type.to_string();
  }
  return text;
}

std::string read(const Declared& declared) {
  Problems problems;
  const auto fields = parse_schema(declared, problems);
  EXPECT_TRUE(problems.empty()) << problems[0].message;
  return text_of(fields);
}

Problem problem_of(const Declared& declared) {
  Problems problems;
  static_cast<void>(parse_schema(declared, problems));
  EXPECT_EQ(problems.size(), 1U);
  return problems.empty() ? Problem{} : problems.front();
}

TEST(Schema, IsAFieldAndItsType) {
  EXPECT_EQ(read({}), "");
  EXPECT_EQ(
      read({{"id", "int"}, {"items", "list(map(string, dyn))"}, {"note", "nullable(string)"}}),
      "id: int, items: list(map(string, dyn)), note: nullable(string)");
}

TEST(Schema, ReachesIntoObjectsWithADot) {
  EXPECT_EQ(read({{"customer.name", "string"},
                  {"customer.address.zip", "string"},
                  {"customer.age", "int"}}),
            "customer: {address: {zip: string}, age: int, name: string}");
}

TEST(Schema, TakesANameInBackquotesAsItIs) {
  EXPECT_EQ(read({{"`a.b`", "int"}, {"c.`d.e`.f", "bool"}, {"customer-id", "int"}}),
            "a.b: int, c: {d.e: {f: bool}}, customer-id: int");
  EXPECT_EQ(read({{"``", "int"}, {"c.``", "bool"}}), ": int, c: {: bool}") << "the empty name";
}

TEST(Schema, PlacesAMistakeInsideTheType) {
  const Problem problem = problem_of({{"items", "list(strin)"}});
  EXPECT_EQ(problem.place, "parse.schema.items");
  EXPECT_EQ(problem.line, 1U);
  EXPECT_EQ(problem.column, 6U);
  EXPECT_EQ(problem.message, "there is no type 'strin'");
  EXPECT_TRUE(problem.hint.starts_with("did you mean 'string'?")) << problem.hint;
}

TEST(Schema, RefusesTypesThatJsonDoesNotHave) {
  EXPECT_EQ(problem_of({{"at", "timestamp"}}).message, "JSON has no timestamp");
  EXPECT_EQ(problem_of({{"at", "list(nullable(timestamp))"}}).hint,
            "declare it string, and write timestamp(…) in expressions");
  EXPECT_EQ(problem_of({{"took", "duration"}}).message, "JSON has no duration");
  EXPECT_EQ(problem_of({{"data", "map(string, bytes)"}}).message, "JSON has no bytes");
  const Problem keys = problem_of({{"m", "map(int, string)"}});
  EXPECT_EQ(keys.message, "the keys of a JSON object are strings");
  EXPECT_EQ(keys.hint, "write map(string, string)");
}

TEST(Schema, RefusesPathsThatAreNone) {
  for (const std::string path : {"", "a.", ".a", "a..b"}) {
    EXPECT_EQ(problem_of({{path, "int"}}).message, "'" + path + "': a name is missing");
  }
  EXPECT_EQ(problem_of({{"`a", "int"}}).message, "'`a': a backquote is not closed");
  EXPECT_EQ(problem_of({{"`a`b", "int"}}).message,
            "'`a`b': only a '.' can follow a name in backquotes");
  EXPECT_EQ(problem_of({{"a`b`", "int"}}).message,
            "'a`b`': a backquote stands around a whole name");
}

TEST(Schema, RefusesAFieldThatIsDeclaredTwice) {
  EXPECT_EQ(problem_of({{"a", "dyn"}, {"a.b", "int"}}).message, "'a' and 'a.b' exclude each other");
  EXPECT_EQ(problem_of({{"`a`.b", "int"}, {"a", "string"}}).message,
            "'`a`.b' and 'a' exclude each other");
  EXPECT_EQ(problem_of({{"`a`", "int"}, {"a", "int"}}).message, "'`a`' and 'a' exclude each other");
}

TEST(Schema, TypesTheExpressionsOfAPipeline) {
  ComputeOptions options;
  options.schema = {{"name", "string"}, {"customer.age", "int"}};
  options.routes.front().columns = {{"a", "msg.customer.age + 1"}, {"b", "msg.undeclared + 1"}};
  EXPECT_TRUE(check_expressions(options).empty());
  options.routes.front().columns = {{"a", "msg.name + 1"}};
  const Problems problems = check_expressions(options);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].place, "sink.target.columns.a");
  EXPECT_EQ(problems[0].column, 10U);
  EXPECT_EQ(problems[0].message, "'+' does not take (string, int)");
  EXPECT_TRUE(problems[0].hint.contains("string + string")) << problems[0].hint;
}

TEST(Schema, FindsFieldsThatAreNearlyThoseThatAreDeclared) {
  ComputeOptions options;
  options.schema = {{"id", "int"}, {"customer.name", "string"}, {"line1", "string"}};
  const std::pair<const char*, const char*> mistakes[] = {{"msg.idd", "id"},
                                                          {"msg.customer.nane", "name"},
                                                          {"msg.?custmer", "customer"},
                                                          {"has(msg.idd)", "id"},
                                                          {"msg['idd']", "id"}};
  for (const auto& [expression, meant] : mistakes) {
    options.routes.front().columns = {{"a", expression}};
    const Problems problems = check_expressions(options);
    ASSERT_EQ(problems.size(), 1U) << expression;
    EXPECT_TRUE(problems[0].message.contains("is not declared of 'msg")) << problems[0].message;
    EXPECT_TRUE(problems[0].hint.starts_with("did you mean '" + std::string(meant) + "'?"))
        << problems[0].hint;
    EXPECT_TRUE(problems[0].hint.contains(": dyn")) << problems[0].hint;
  }
  for (const char* other : {"msg.quantity", "msg.line2", "msg.customer.age", "msg.other.idd"}) {
    options.routes.front().columns = {{"a", other}};
    EXPECT_TRUE(check_expressions(options).empty()) << other;
  }
  options.schema["idd"] = "dyn";
  options.routes.front().columns = {{"a", "msg.idd"}};
  EXPECT_TRUE(check_expressions(options).empty());
}

TEST(Schema, TypesTheLetsThatUseIt) {
  ComputeOptions options;
  options.schema = {{"price", "double"}};
  options.let = {{"total", "msg.price * 2.0"}};
  options.routes.front().columns = {{"a", "total + 1"}};
  const Problems problems = check_expressions(options);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].message, "'+' does not take (double, int)");
}

}  // namespace
}  // namespace penstock::compute
