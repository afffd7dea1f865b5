// An expression that stands in a let does what it does where it is used, whatever the record.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "unit/compute/processing.h"

namespace penstock::compute {
namespace {

constexpr int kPipelines = 200;
constexpr int kDocuments = 60;

class LetEquivalence : public Processing {
 protected:
  LetEquivalence() {
    table.columns.clear();
    add("id", ColumnType::int8, "bigint");
    add("v", ColumnType::text, "text");
  }

  std::size_t below(std::size_t end) { return random_() % end; }

  // An object mostly, of few names, with every kind of value in it.
  std::string document(int depth) {
    constexpr const char* kLeaves[] = {"null", "5",    "\"t\"", "[]",
                                       "{}",   "true", "1.5",   "[{\"b\":1}]"};
    if (depth == 0 || below(4) == 0) return kLeaves[below(std::size(kLeaves))];
    std::string text = "{";
    for (const char* const name : {"a", "b", "c"}) {
      if (below(3) == 0) continue;
      text += std::string(text.size() > 1 ? "," : "") + "\"" + name + "\":" + document(depth - 1);
    }
    return text + "}";
  }

  std::string expression() {
    constexpr const char* kExpressions[] = {"msg.a",
                                            "msg.b",
                                            "msg.a.b",
                                            "msg.a.b.c",
                                            "msg.?a.?b",
                                            "msg.a.b + 1",
                                            "has(msg.a) ? 1 : 2",
                                            "has(msg.a.b) ? 'x' : 'y'",
                                            "coalesce(msg.a.b, 7)",
                                            "record.offset",
                                            "record.key",
                                            "msg"};
    return kExpressions[below(std::size(kExpressions))];
  }

  // What becomes of each document: a row's bytes, or why it is none.
  std::vector<std::string> outcomes(const std::vector<std::string>& documents) {
    std::vector<std::string> all;
    for (const std::string& text : documents) {
      batch = std::make_unique<RecordBatch>(test::chain(), Offset{100}, std::size_t{64});
      record(text);
      const auto rows = process();
      std::string& outcome = all.emplace_back();
      for (const penstock::Reject& reject : rows->rejects) {
        outcome += std::to_string(std::to_underlying(reject.stage)) + ' ' + reject.reason + ' ';
      }
      for (std::size_t row = 0; row < rows->row_count(); ++row) {
        for (const std::string& field : fields(*rows, row)) outcome += '|' + field;
      }
    }
    return all;
  }

  std::mt19937 random_{1};
};

TEST_F(LetEquivalence, HoldsForEveryShapeOfARecord) {
  int compared = 0;
  for (int pipeline = 0; pipeline < kPipelines; ++pipeline) {
    const std::string id = expression();
    const std::string v = expression();
    const std::string where = below(3) == 0 ? expression() : "";
    const std::string list = below(3) == 0 ? expression() : "";
    std::vector<std::string> documents;
    for (int i = 0; i < kDocuments; ++i) documents.push_back(document(3));

    RouteOptions& route = options.routes.front();
    options.let.clear();
    options.where = where;
    route.for_each = list;
    route.columns = {{"id", id}, {"v", v}};
    if (!Projection::compile(options, {&table, 1})) continue;  // a type that is never right
    ++compared;
    const std::vector<std::string> direct = outcomes(documents);

    options.let = {{"an_id", id}, {"a_v", v}, {"again", "a_v"}};
    if (!where.empty()) options.let["a_where"] = where;
    if (!list.empty()) options.let["a_list"] = list;
    options.where = where.empty() ? "" : "a_where";
    route.for_each = list.empty() ? "" : "a_list";
    route.columns = {{"id", "an_id"}, {"v", "again"}};
    const std::vector<std::string> by_let = outcomes(documents);
    for (std::size_t i = 0; i < documents.size(); ++i) {
      EXPECT_EQ(by_let[i], direct[i]) << "id: " << id << ", v: " << v << ", where: " << where
                                      << ", for_each: " << list << ", " << documents[i];
    }
  }
  EXPECT_GT(compared, kPipelines / 4);
}

}  // namespace
}  // namespace penstock::compute
