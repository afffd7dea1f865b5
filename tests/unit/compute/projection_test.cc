#include "compute/projection.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

TableDescription orders_table() {
  TableDescription table;
  table.schema = "public";
  table.name = "orders";
  const auto add = [&table](std::string name, ColumnType type,
                            std::string type_name) -> ColumnDescription& {
    ColumnDescription& column = table.columns.emplace_back(column_of(type, std::move(type_name)));
    column.name = std::move(name);
    return column;
  };
  add("id", ColumnType::int8, "bigint").not_null = true;
  add("customer", ColumnType::text, "text");
  add("total", ColumnType::float8, "double precision");
  add("placed_at", ColumnType::timestamptz, "timestamp with time zone");
  ColumnDescription& created = add("created", ColumnType::timestamptz, "timestamp with time zone");
  created.not_null = true;
  created.has_default = true;
  add("double_total", ColumnType::float8, "double precision").is_generated = true;
  return table;
}

// The parts of a spec that a test is about.
struct Spec {
  std::string where = {};
  std::map<std::string, std::string> let = {};
  std::map<std::string, std::string> columns = {};

  [[nodiscard]] ComputeOptions options() const {
    ComputeOptions made;
    made.where = where;
    made.let = let;
    made.routes.front().columns = columns;
    return made;
  }
};

Problems problems_of(const Spec& spec, const TableDescription& table = orders_table()) {
  const auto projection = Projection::compile(spec.options(), {&table, 1});
  return projection ? Problems{} : projection.error();
}

// The one problem there is.
Problem problem_of(const Spec& spec, const TableDescription& table = orders_table()) {
  const Problems problems = problems_of(spec, table);
  EXPECT_EQ(problems.size(), 1U);
  for (const Problem& problem : problems) {
    SCOPED_TRACE(problem.place + ": " + problem.message);
  }
  return problems.empty() ? Problem{} : problems.front();
}

std::vector<std::string> paths(const Projection& projection) {
  std::vector<std::string> names;
  for (const cel::InputPath& path : projection.inputs()) names.push_back(path.to_string());
  std::ranges::sort(names);
  return names;
}

TEST(Projection, ReadsOnlyWhatItsExpressionsUse) {
  ComputeOptions options;
  options.where = "msg.amount > 0";
  options.let = {{"total", "double(msg.quantity) * msg.unit_price"}, {"unused", "msg.never"}};
  options.routes.front().columns = {
      {"id", "msg.id"}, {"total", "total"}, {"customer", "msg.customer.name"}};
  const TableDescription table = orders_table();
  const auto projection = Projection::compile(options, {&table, 1});
  ASSERT_TRUE(projection);
  EXPECT_EQ(paths(*projection),
            (std::vector<std::string>{"msg.amount", "msg.customer.name", "msg.id", "msg.quantity",
                                      "msg.unit_price", "total"}));
  EXPECT_TRUE(std::ranges::equal(projection->columns(0), std::vector<std::uint16_t>{0, 1, 2}));
}

TEST(Projection, MatchesFieldsToColumnsByNameWhenNoneAreGiven) {
  TableDescription table = orders_table();
  table.columns[1].name = "odd \"name\\";
  const auto projection = Projection::compile({}, {&table, 1});
  ASSERT_TRUE(projection);
  // The generated column is left alone.
  EXPECT_TRUE(
      std::ranges::equal(projection->columns(0), std::vector<std::uint16_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(projection->inputs()[1].segments[0], "odd \"name\\");
}

TEST(Projection, NamesTheNearestColumnForAnUnknownOne) {
  const Problem problem = problem_of({.columns = {{"id", "msg.id"}, {"custmer", "msg.customer"}}});
  EXPECT_EQ(problem.place, "sink.target.columns.custmer");
  EXPECT_TRUE(problem.message.contains("no column 'custmer'")) << problem.message;
  EXPECT_EQ(problem.hint, "did you mean 'customer'?");
  const Problem far = problem_of({.columns = {{"id", "msg.id"}, {"xyzzy", "1"}}});
  EXPECT_TRUE(far.hint.contains("id, customer, total")) << far.hint;
}

TEST(Projection, RefusesAGeneratedColumn) {
  const Problem problem = problem_of({.columns = {{"id", "msg.id"}, {"double_total", "1.0"}}});
  EXPECT_EQ(problem.place, "sink.target.columns.double_total");
  EXPECT_TRUE(problem.message.contains("GENERATED ALWAYS")) << problem.message;
}

TEST(Projection, TakesAColumnOfATypeThatIsWrittenByItsText) {
  TableDescription table = orders_table();
  table.columns[1].type = ColumnType::by_text;
  table.columns[1].type_name = "point";
  ComputeOptions options;
  EXPECT_TRUE(Projection::compile(options, {&table, 1}).has_value());
  options.routes.front().columns = {{"id", "msg.id"}, {"customer", "msg.c"}};
  EXPECT_TRUE(Projection::compile(options, {&table, 1}).has_value());
  const Problem given = problem_of({.columns = {{"id", "msg.id"}, {"customer", "1"}}}, table);
  EXPECT_EQ(given.place, "sink.target.columns.customer");
  EXPECT_TRUE(given.message.contains("of type int, the column is point")) << given.message;
}

TEST(Projection, RefusesATypeThatDoesNotFitItsColumn) {
  const Problem problem =
      problem_of({.columns = {{"id", "msg.id"}, {"customer", "record.offset + 1"}}});
  EXPECT_EQ(problem.place, "sink.target.columns.customer");
  EXPECT_TRUE(problem.message.contains("of type int, the column is text")) << problem.message;
  EXPECT_TRUE(problem.hint.contains("string(...)")) << problem.hint;
  EXPECT_EQ(problem.line, 1U);
}

TEST(Projection, RefusesToLeaveOutAColumnThatMustBeSet) {
  const Problem problem = problem_of({.columns = {{"customer", "msg.customer"}}});
  EXPECT_EQ(problem.place, "sink.target.columns");
  EXPECT_TRUE(problem.message.contains("column 'id' is NOT NULL, has no default"))
      << problem.message;
}

TEST(Projection, PlacesErrorsInsideExpressions) {
  const Problem where = problem_of({.where = "msg.a >", .columns = {{"id", "msg.id"}}});
  EXPECT_EQ(where.place, "compute.where");
  EXPECT_EQ(where.line, 1U);
  EXPECT_GT(where.column, 1U);
  const Problem let = problem_of({.let = {{"x", "mgs.a"}}, .columns = {{"id", "msg.id"}}});
  EXPECT_EQ(let.place, "compute.let.x");
  EXPECT_TRUE(let.message.contains("mgs")) << let.message;
  const Problem column = problem_of({.columns = {{"id", "msg.id + 'a' + 1"}}});
  EXPECT_EQ(column.place, "sink.target.columns.id");
}

TEST(Projection, WantsABoolForWhere) {
  const Problem problem = problem_of({.where = "record.offset", .columns = {{"id", "msg.id"}}});
  EXPECT_EQ(problem.place, "compute.where");
  EXPECT_TRUE(problem.message.contains("bool")) << problem.message;
}

TEST(Projection, PutsLetsInTheOrderTheyNeed) {
  Spec options;
  options.let = {{"a", "b + 1"}, {"b", "c * 2"}, {"c", "int(msg.x)"}};
  options.columns = {{"id", "a"}};
  EXPECT_TRUE(problems_of(options).empty());
  // The types come along: a is an int, so that text does not take it.
  options.columns = {{"id", "a"}, {"customer", "a"}};
  EXPECT_TRUE(problem_of(options).message.contains("of type int"));
}

TEST(Projection, NamesTheCycleOfLetsThatUseEachOther) {
  const Problem problem =
      problem_of({.let = {{"a", "b + 1"}, {"b", "c + 1"}, {"c", "a + 1"}, {"d", "1"}},
                  .columns = {{"id", "msg.id"}}});
  EXPECT_EQ(problem.place, "compute.let.a");
  EXPECT_TRUE(problem.message.contains("a → b → c → a")) << problem.message;
  const Problem itself = problem_of({.let = {{"a", "a + 1"}}, .columns = {{"id", "msg.id"}}});
  EXPECT_TRUE(itself.message.contains("a → a")) << itself.message;
}

TEST(Projection, RefusesNamesThatALetCannotHave) {
  for (const std::string name : {"msg", "record", "in", "while", "1st", "a b", "a.b", ""}) {
    const Problem problem = problem_of({.let = {{name, "1"}}, .columns = {{"id", "msg.id"}}});
    EXPECT_EQ(problem.place, "compute.let." + name);
    EXPECT_TRUE(problem.message.contains("'" + name + "'")) << problem.message;
  }
}

TEST(Projection, ReportsEveryProblemAtOnce) {
  const Problems problems = problems_of({.where = "1 +",
                                         .let = {{"x", "undeclared"}},
                                         .columns = {{"idd", "msg.id"}, {"customer", "1"}}});
  std::vector<std::string> places;
  for (const Problem& problem : problems) places.push_back(problem.place);
  std::ranges::sort(places);
  EXPECT_EQ(places,
            (std::vector<std::string>{"compute.let.x", "compute.where", "sink.target.columns",
                                      "sink.target.columns.customer", "sink.target.columns.idd"}));
}

TEST(Projection, ChecksExpressionsWithoutATable) {
  EXPECT_TRUE(check_expressions(Spec{.where = "msg.a > 0",
                                     .let = {{"x", "record.offset"}},
                                     .columns = {{"anything", "x + 1"}}}
                                    .options())
                  .empty());
  const Problems problems =
      check_expressions(Spec{.where = "'text'", .columns = {{"c", "msg."}}}.options());
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].place, "compute.where");
  EXPECT_EQ(problems[1].place, "sink.target.columns.c");
}

}  // namespace
}  // namespace penstock::compute
