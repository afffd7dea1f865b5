// What `penstock check` says of expressions, and where it says it.
#include <gtest/gtest.h>

#include <string>

#include "config/load.h"
#include "plan/compile.h"

namespace penstock::app {
namespace {

// A pipeline with these lines under it; they begin in line 5.
std::string checked(const std::string& lines) {
  const auto loaded = config::load_text(
      "pipelines:\n"
      "  - name: orders\n"
      "    source: {topics: [t], group: g, kafka: {bootstrap.servers: \"localhost:9092\"}}\n"
      "    # What is tested.\n" +
          lines,
      "f.yaml", [](std::string_view) { return std::nullopt; });
  return config::render(loaded ? plan::check_expressions(*loaded, 0) : loaded.error());
}

const std::string kSink =
    "    sink: {postgres: \"postgres://localhost/x\", target: {table: orders}}\n";

TEST(CheckExpressions, FindsNothingWhereNothingIsWrong) {
  EXPECT_EQ(checked("    compute: {where: msg.a > 1}\n" + kSink), "");
}

TEST(CheckExpressions, PointsIntoAPlainScalar) {
  EXPECT_EQ(checked("    compute:\n"
                    "      let:\n"
                    "        total: double(msg.quantity) * mgs.unit_price\n" +
                    kSink),
            "f.yaml:7:39: pipelines[0].compute.let.total: undeclared name 'mgs'\n"
            "  7 |         total: double(msg.quantity) * mgs.unit_price\n"
            "    |                                       ^\n"
            "  hint: did you mean 'msg'?\n");
}

TEST(CheckExpressions, PointsIntoQuotedScalars) {
  EXPECT_EQ(checked("    compute:\n"
                    "      where: \"msg.a == \\\"x\\\" && mgs.b\"\n" +
                    kSink),
            "f.yaml:6:33: pipelines[0].compute.where: undeclared name 'mgs'\n"
            "  6 |       where: \"msg.a == \\\"x\\\" && mgs.b\"\n"
            "    |                                 ^\n"
            "  hint: did you mean 'msg'?\n");
  EXPECT_EQ(checked("    compute:\n"
                    "      where: 'msg.a == ''x'' && mgs.b'\n" +
                    kSink),
            "f.yaml:6:33: pipelines[0].compute.where: undeclared name 'mgs'\n"
            "  6 |       where: 'msg.a == ''x'' && mgs.b'\n"
            "    |                                 ^\n"
            "  hint: did you mean 'msg'?\n");
}

TEST(CheckExpressions, PointsIntoBlocks) {
  EXPECT_EQ(checked("    compute:\n"
                    "      where: |\n"
                    "        msg.a > 1 &&\n"
                    "          mgs.b\n" +
                    kSink),
            "f.yaml:8:11: pipelines[0].compute.where: undeclared name 'mgs'\n"
            "  8 |           mgs.b\n"
            "    |           ^\n"
            "  hint: did you mean 'msg'?\n");
  EXPECT_EQ(checked("    compute:\n"
                    "      let:\n"
                    "        b: >-\n"
                    "          msg.a > 1 &&\n"
                    "          mgs.b\n" +
                    kSink),
            "f.yaml:9:11: pipelines[0].compute.let.b: undeclared name 'mgs'\n"
            "  9 |           mgs.b\n"
            "    |           ^\n"
            "  hint: did you mean 'msg'?\n");
}

TEST(CheckExpressions, PointsIntoAFlow) {
  EXPECT_EQ(checked("    sink: {postgres: \"postgres://localhost/x\", target: {table: orders,\n"
                    "      columns: {id: msg.id, total: mgs.total}}}\n"),
            "f.yaml:6:36: pipelines[0].sink.target.columns.total: undeclared name 'mgs'\n"
            "  6 |       columns: {id: msg.id, total: mgs.total}}}\n"
            "    |                                    ^\n"
            "  hint: did you mean 'msg'?\n");
}

TEST(CheckExpressions, PointsIntoTheExpressionOfAColumnWithAnyName) {
  EXPECT_EQ(checked("    sink:\n"
                    "      postgres: postgres://localhost/x\n"
                    "      target:\n"
                    "        table: orders\n"
                    "        columns:\n"
                    "          the total of all.orders: mgs.x\n"),
            "f.yaml:10:36: pipelines[0].sink.target.columns[\"the total of all.orders\"]: "
            "undeclared name "
            "'mgs'\n"
            "  10 |           the total of all.orders: mgs.x\n"
            "     |                                    ^\n"
            "  hint: did you mean 'msg'?\n");
}

TEST(CheckExpressions, ShowsTheOverloadsThatExist) {
  EXPECT_EQ(
      checked("    compute:\n"
              "      where: record.offset + 'x' == 'y'\n" +
              kSink),
      "f.yaml:6:28: pipelines[0].compute.where: '+' does not take (int, string)\n"
      "  6 |       where: record.offset + 'x' == 'y'\n"
      "    |                            ^\n"
      "  hint: text is joined with text: write string(…) around the other one\n"
      "        there is: int + int, string + string, bytes + bytes, double + double, duration + "
      "duration, duration + timestamp, list(A) + list(A), timestamp + duration, …\n");
}

TEST(CheckExpressions, NamesTheNearestFunction) {
  EXPECT_EQ(checked("    compute:\n"
                    "      where: msg.name.startWith('x')\n" +
                    kSink),
            "f.yaml:6:23: pipelines[0].compute.where: there is no function 'startWith'\n"
            "  6 |       where: msg.name.startWith('x')\n"
            "    |                       ^\n"
            "  hint: did you mean 'startsWith'?\n");
}

TEST(CheckExpressions, ReportsInTheOrderOfTheFile) {
  EXPECT_EQ(checked("    sink: {postgres: \"postgres://localhost/x\", target: {table: orders,\n"
                    "      columns: {b: x, a: y}}}\n"
                    "    compute: {where: z}\n"),
            "f.yaml:6:20: pipelines[0].sink.target.columns.b: undeclared name 'x'\n"
            "  6 |       columns: {b: x, a: y}}}\n"
            "    |                    ^\n"
            "f.yaml:6:26: pipelines[0].sink.target.columns.a: undeclared name 'y'\n"
            "  6 |       columns: {b: x, a: y}}}\n"
            "    |                          ^\n"
            "f.yaml:7:22: pipelines[0].compute.where: undeclared name 'z'\n"
            "  7 |     compute: {where: z}\n"
            "    |                      ^\n");
}

TEST(CheckExpressions, PointsIntoWhatAnAliasStandsFor) {
  EXPECT_EQ(checked("    compute:\n"
                    "      where: &same mgs.a\n"
                    "      let: {b: *same}\n" +
                    kSink),
            "f.yaml:6:20: pipelines[0].compute.let.b: undeclared name 'mgs'\n"
            "  6 |       where: &same mgs.a\n"
            "    |                    ^\n"
            "  hint: did you mean 'msg'?\n"
            "f.yaml:6:20: pipelines[0].compute.where: undeclared name 'mgs'\n"
            "  6 |       where: &same mgs.a\n"
            "    |                    ^\n"
            "  hint: did you mean 'msg'?\n");
}

TEST(CheckExpressions, KnowsTheTypesOfTheSchema) {
  EXPECT_EQ(
      checked("    parse:\n"
              "      schema: {name: string, customer.age: int}\n"
              "    compute:\n"
              "      where: msg.customer.age > 17 && msg.name + 1 == 2\n" +
              kSink),
      "f.yaml:8:48: pipelines[0].compute.where: '+' does not take (string, int)\n"
      "  8 |       where: msg.customer.age > 17 && msg.name + 1 == 2\n"
      "    |                                                ^\n"
      "  hint: text is joined with text: write string(…) around the other one\n"
      "        there is: int + int, string + string, bytes + bytes, double + double, duration + "
      "duration, duration + timestamp, list(A) + list(A), timestamp + duration, …\n");
}

TEST(CheckExpressions, PointsIntoTheTypesOfTheSchema) {
  EXPECT_EQ(checked("    parse:\n"
                    "      schema:\n"
                    "        id: int\n"
                    "        customer.tags: 'list(strin)'\n" +
                    kSink),
            "f.yaml:8:30: pipelines[0].parse.schema[\"customer.tags\"]: there is no type 'strin'\n"
            "  8 |         customer.tags: 'list(strin)'\n"
            "    |                              ^\n"
            "  hint: did you mean 'string'?\n"
            "        there is: int, uint, double, bool, string, bytes, timestamp, duration, list, "
            "map, nullable, dyn, null\n");
  EXPECT_EQ(checked("    parse:\n"
                    "      schema:\n"
                    "        customer: string\n"
                    "        customer.name: string\n" +
                    kSink),
            "f.yaml:8:9: pipelines[0].parse.schema[\"customer.name\"]: 'customer' and "
            "'customer.name' exclude each other\n"
            "  8 |         customer.name: string\n"
            "    |         ^\n"
            "  hint: declare a field once: by its type, or by the fields of the object it is\n");
}

}  // namespace
}  // namespace penstock::app
