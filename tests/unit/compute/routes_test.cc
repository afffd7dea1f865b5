// What becomes of records that go to several tables, or have several rows in one.
#include <gtest/gtest.h>

#include <format>

#include "unit/compute/processing.h"

namespace penstock::compute {
namespace {

using Texts = std::vector<std::string>;

// An order has a row in `orders` and one for each of its items in `items`.
class RoutesTest : public Processing {
 protected:
  RoutesTest() {
    table.columns.clear();
    table.name = "orders";
    add("id", ColumnType::int8, "bigint").not_null = true;
    add("total", ColumnType::int8, "bigint");
    TableDescription orders = table;
    table.columns.clear();
    table.name = "items";
    add("order_id", ColumnType::int8, "bigint").not_null = true;
    add("place", ColumnType::int8, "bigint");
    add("sku", ColumnType::text, "text");
    tables = {orders, table};
    targets = {{.number = 0, .table = orders, .route = "routes[0] (orders)"},
               {.number = 1, .table = table, .route = "routes[1] (items)", .is_list = true}};
    options.routes = {
        {.place = "sink.routes[0]",
         .name = targets[0].route,
         .columns = {{"id", "msg.id"}, {"total", "total"}}},
        {.place = "sink.routes[1]",
         .name = targets[1].route,
         .for_each = "msg.items",
         .columns = {{"order_id", "msg.id"}, {"place", "index"}, {"sku", "item.sku"}}}};
    options.let = {{"total", "msg.?total.orValue(0)"}};
    options.first_route_only = false;
  }

  void process() {
    const auto projection = Projection::compile(options, tables);
    if (!projection) {
      for (const Problem& problem : projection.error()) {
        ADD_FAILURE() << problem.place << ": " << problem.message;
      }
      throw std::runtime_error("the projection does not compile");
    }
    const formats::FieldTree tree(projection->inputs());
    BatchProcessor<formats::JsonReader> processor(*projection, targets,
                                                  formats::JsonReader({}, tree));
    rows = processor.process(std::move(batch));
  }

  // The rows of a table as "record: field field", a removal with "-" before it.
  [[nodiscard]] Texts rows_of(std::size_t number) const {
    Texts texts;
    for (const TableRows& of_table : rows->tables) {
      if (of_table.target != &targets[number]) continue;
      for (std::size_t row = 0; row < of_table.rows.size(); ++row) {
        const auto run =
            std::ranges::upper_bound(of_table.runs, row, {}, &TableRows::ShapeRun::first_row);
        const RowShape& shape = of_table.shapes[std::prev(run)->shape];
        std::string text =
            std::format("{}{}:", shape.removes ? "-" : "", of_table.rows[row].record);
        for (const std::string& field : fields_of(of_table.tuple(row))) text += " " + field;
        texts.push_back(std::move(text));
      }
    }
    return texts;
  }
  // As text; every field of eight bytes is a number here.
  static Texts fields_of(std::string_view tuple) {
    Texts texts;
    tuple.remove_prefix(sizeof(std::int16_t));
    while (!tuple.empty()) {
      std::int32_t size = 0;
      std::memcpy(&size, tuple.data(), sizeof size);
      size = std::byteswap(size);
      tuple.remove_prefix(sizeof size);
      const std::string_view field = tuple.substr(0, static_cast<std::size_t>(std::max(0, size)));
      std::int64_t number = 0;
      if (size == sizeof number) {
        std::memcpy(&number, field.data(), sizeof number);
        texts.push_back(std::to_string(std::byteswap(number)));
      } else {
        texts.emplace_back(size < 0 ? "NULL" : field);
      }
      tuple.remove_prefix(field.size());
    }
    return texts;
  }
  [[nodiscard]] Texts rejects() const {
    Texts texts;
    for (const Reject& reject : rows->rejects) {
      texts.push_back(std::format("{} {}: {}", reject.record, reject.reason, reject.message));
    }
    return texts;
  }

  std::vector<TableDescription> tables;
  std::vector<Target> targets;
  std::unique_ptr<RowBatch> rows;
};

TEST_F(RoutesTest, ARecordHasARowForEachElementOfItsList) {
  record(R"({"id":1,"total":9,"items":[{"sku":"a"},{"sku":"b"},{}]})");
  record(R"({"id":2,"items":[{"sku":"c"}]})");
  options.routes[1].columns["place"] = "index + 10 * item.?n.orValue(1)";
  process();
  EXPECT_EQ(rejects(), (Texts{"0 missing_field: routes[1] (items), index 2: the item has none of "
                              "the fields that are read, item.n, item.sku; it has no fields"}));
  EXPECT_EQ(rows_of(0), (Texts{"1: 2 0"}));
  EXPECT_EQ(rows_of(1), (Texts{"1: 2 10 c"}));
}

TEST_F(RoutesTest, WhatIsNotThereIsNamedWhereItWasLookedFor) {
  options.routes[0].when = "msg.whole";
  options.routes[1].delete_when = "item.gone";
  record(R"({"id":1,"whole":true,"items":[{"sku":"a","gone":false},{"sku":"b","gon":true}]})");
  record(R"({"id":2,"wole":true,"items":[]})");
  process();
  EXPECT_EQ(rejects(),
            (Texts{"0 missing_field: routes[1] (items), index 1: delete_when: there is no "
                   "item.gone; item has sku, gon (hint: for gone, did you mean 'gon'? Capitals "
                   "count)",
                   "1 missing_field: routes[0] (orders): when: there is no msg.whole; it has id, "
                   "wole, items (hint: for whole, did you mean 'wole'? Capitals count)"}));
}

TEST_F(RoutesTest, ARouteThatIsTheOnlyOneIsNamedToo) {
  options.routes.pop_back();
  tables.pop_back();
  targets.pop_back();
  options.where = "msg.n > 0";
  record(R"({"n":1,"id":"no number"})");
  record(R"({"n":1,"total":5})");
  record(R"({"n":1,"id":2,"total":{}})");
  record(R"({"id":3})");
  process();
  ASSERT_EQ(rows->rejects.size(), 4U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(rows->rejects[i].message.starts_with("routes[0] (orders): column \""))
        << rows->rejects[i].message;
  }
  EXPECT_TRUE(rows->rejects[3].message.starts_with("where: ")) << "before any route";
}

TEST_F(RoutesTest, AnElementIsNumberedAndAFieldItLacksIsNull) {
  record(R"({"id":1,"total":9,"items":[{"sku":"a"},{"n":1},{"sku":null}]})");
  options.routes[1].columns["place"] = "item.?n.orValue(index)";
  process();
  EXPECT_EQ(rejects(), Texts());
  EXPECT_EQ(rows_of(0), (Texts{"0: 1 9"}));
  EXPECT_EQ(rows_of(1), (Texts{"0: 1 0 a", "0: 1 1 NULL", "0: 1 2 NULL"}));
}

TEST_F(RoutesTest, AnEmptyListIsNoRowAndNoReject) {
  record(R"({"id":1,"items":[]})");
  process();
  EXPECT_EQ(rejects(), Texts());
  EXPECT_EQ(rows_of(0), (Texts{"0: 1 0"}));
  EXPECT_EQ(rows_of(1), Texts());
  EXPECT_EQ(rows->tables.size(), 1U);
  EXPECT_EQ(rows->filtered, 0U);
}

TEST_F(RoutesTest, ARecordWithoutAnyRowIsFiltered) {
  record(R"({"id":1,"items":[]})");
  options.routes.erase(options.routes.begin());
  tables.erase(tables.begin());
  targets.erase(targets.begin());
  process();
  EXPECT_EQ(rejects(), Texts());
  EXPECT_TRUE(rows->tables.empty());
  EXPECT_EQ(rows->filtered, 1U);
}

TEST_F(RoutesTest, WhatIsNoListIsARejectOfTheRecord) {
  for (const char* const items : {"null", "5", R"({"sku":"a"})", R"("abc")"}) {
    record(std::format(R"({{"id":1,"items":{}}})", items));
  }
  record(R"({"id":1})");
  record(R"({"id":2,"items":[{"sku":"a"}]})");
  process();
  EXPECT_EQ(rejects(),
            (Texts{"0 wrong_type: routes[1] (items): for_each: it is null, not a list",
                   "1 wrong_type: routes[1] (items): for_each: it is a number, not a list",
                   "2 wrong_type: routes[1] (items): for_each: it is an object, not a list",
                   "3 wrong_type: routes[1] (items): for_each: it is a string, not a list",
                   "4 missing_field: routes[1] (items): for_each: the list is not in the record "
                   "(hint: where that means no rows, write it with a question mark, such as "
                   "msg.?items)"}));
  EXPECT_EQ(rows_of(0), (Texts{"5: 2 0"}));
  EXPECT_EQ(rows->rejects[0].target, &targets[1]);
}

TEST_F(RoutesTest, AnOptionalListThatIsNotThereIsAnEmptyOne) {
  record(R"({"id":1})");
  record(R"({"id":2,"items":[{"sku":"a"}]})");
  options.routes[1].for_each = "msg.?items";
  process();
  EXPECT_EQ(rejects(), Texts());
  EXPECT_EQ(rows_of(0), (Texts{"0: 1 0", "1: 2 0"}));
  EXPECT_EQ(rows_of(1), (Texts{"1: 2 0 a"}));
}

TEST_F(RoutesTest, OneBadElementTakesAllRowsOfItsRecordBack) {
  record(R"({"id":1,"items":[{"sku":"a"}]})");
  record(R"({"id":2,"items":[{"sku":"b"},{"sku":{"no":"text"}},{"sku":"c"}]})");
  record(R"({"id":3,"items":[{"sku":"d"}]})");
  options.routes[1].columns["sku"] = "item.sku + '!'";
  process();
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].record, 1U);
  EXPECT_TRUE(rows->rejects[0].message.starts_with("routes[1] (items), index 1: column \"sku\": "))
      << rows->rejects[0].message;
  EXPECT_EQ(rows->rejects[0].target, &targets[1]);
  EXPECT_EQ(rows_of(0), (Texts{"0: 1 0", "2: 3 0"}));
  EXPECT_EQ(rows_of(1), (Texts{"0: 1 0 a!", "2: 3 0 d!"}));
}

TEST_F(RoutesTest, ShapesOfRowsThatAreTakenBackDoNoHarm) {
  targets[1].table.columns[2].has_default = tables[1].columns[2].has_default = true;
  record(R"({"id":1,"items":[{"sku":"a","n":1}]})");
  record(R"({"id":2,"items":[{"n":2},{"sku":"b","n":"no number"}]})");
  record(R"({"id":3,"items":[{"sku":"d","n":3},{"n":4}]})");
  options.routes[1].columns["place"] = "item.n";
  process();
  EXPECT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows_of(1), (Texts{"0: 1 1 a", "2: 3 3 d", "2: 3 4"}));
}

TEST_F(RoutesTest, AnItemThatIsNoObjectIsARejectThatSaysSo) {
  record(R"({"id":1,"items":[{"sku":"a"},7]})");
  process();
  EXPECT_EQ(rejects(), (Texts{"0 not_an_object: routes[1] (items), index 1: column \"sku\": there "
                              "is no item.sku, because item is a number, not an object"}));
}

TEST_F(RoutesTest, ElementsMayBePlainValuesWithADeclaredType) {
  record(R"({"id":1,"tags":["x","yy"]})");
  options.schema = {{"tags", "list(string)"}};
  options.routes[1].for_each = "msg.tags";
  options.routes[1].columns = {
      {"order_id", "msg.id"}, {"place", "item.size()"}, {"sku", "item + '!'"}};
  process();
  EXPECT_EQ(rejects(), Texts());
  EXPECT_EQ(rows_of(1), (Texts{"0: 1 1 x!", "0: 1 2 yy!"}));
}

TEST_F(RoutesTest, TheFirstRouteThatTakesARecordIsItsOnlyOne) {
  options.first_route_only = true;
  options.routes[0].when = "msg.kind == 'order'";
  options.routes[1].when = "msg.kind != 'nothing'";
  options.routes[1].for_each.clear();
  options.routes[1].columns = {{"order_id", "msg.id"}};
  record(R"({"id":1,"kind":"order"})");
  record(R"({"id":2,"kind":"item"})");
  record(R"({"id":3,"kind":"nothing"})");
  record(R"({"id":4})");
  process();
  EXPECT_EQ(rows_of(0), (Texts{"0: 1 0"}));
  EXPECT_EQ(rows_of(1), (Texts{"1: 2"}));
  EXPECT_EQ(rejects(),
            (Texts{"2 no_route: the `when` of no route is true of it; 'otherwise: drop' "
                   "leaves such records out",
                   "3 no_such_field: routes[0] (orders): when: no such field: msg.kind (at "
                   "1:10)"}));
  EXPECT_EQ(rows->rejects[0].target, nullptr);
}

TEST_F(RoutesTest, ARecordThatNoRouteTakesIsLeftOutIfTheSpecSaysSo) {
  options.routes[0].when = options.routes[1].when = "msg.kind == 'order'";
  options.drops_unrouted = true;
  record(R"({"id":1,"kind":"other"})");
  process();
  EXPECT_EQ(rejects(), Texts());
  EXPECT_EQ(rows->filtered, 1U);
}

TEST_F(RoutesTest, ALetOfSeveralRoutesIsTheSameInAllOfThem) {
  options.let["label"] = "msg.name.upperAscii() + '-' + msg.name";
  options.routes[1].columns["sku"] = "label + item.sku";
  options.routes[0].columns["total"] = "label.size()";
  record(R"({"id":1,"name":"n","items":[{"sku":"a"},{"sku":"b"}]})");
  record(R"({"id":2,"name":5,"items":[]})");
  process();
  EXPECT_EQ(rows_of(0), (Texts{"0: 1 3"}));
  EXPECT_EQ(rows_of(1), (Texts{"0: 1 0 N-na", "0: 1 1 N-nb"}));
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_TRUE(rows->rejects[0].message.starts_with("routes[0] (orders): let \"label\": "))
      << rows->rejects[0].message;
}

TEST_F(RoutesTest, WhatExpressionsOfDifferentRoutesHaveInCommonIsNotMixedUp) {
  // Each shares something of its own, of enough operations to be computed once: more than one set
  // of shared values is under way.
  options.routes[0].when = "(msg.id * 3 + 4 * 5) % 7 >= 0 && msg.id > 0";
  options.routes[1].when = "(msg.id * 3 + 4 * 5) % 7 >= 0 && msg.id > 0";
  const std::string of_record = "(msg.id + 1) * (msg.id + 2) * (msg.id + 3)";
  const std::string of_item = "(item.n + 1) * (item.n + 2) * (item.n + 3)";
  options.routes[0].columns = {{"id", of_record + " + msg.id * 2"},
                               {"total", of_record + " + msg.id * 3"}};
  options.routes[1].columns = {{"order_id", of_item + " + item.n"},
                               {"place", of_item + " + index"}};
  record(R"({"id":1,"items":[{"n":1},{"n":2}]})");
  record(R"({"id":2,"items":[{"n":3}]})");
  process();
  EXPECT_EQ(rejects(), Texts());
  EXPECT_EQ(rows_of(0), (Texts{"0: 26 27", "1: 64 66"}));
  EXPECT_EQ(rows_of(1), (Texts{"0: 25 24", "0: 62 61", "1: 123 120"}));
}

TEST_F(RoutesTest, DeletesAreAskedOfEachElement) {
  for (Target& target : targets) target.mode = WriteMode::upsert;
  targets[0].key = {0};
  targets[1].key = {0, 1};
  options.routes[0].delete_when = "msg.?op.orValue('u') == 'd'";
  options.routes[1].delete_when = "msg.?op.orValue('u') == 'd' || item.?op.orValue('u') == 'd'";
  record(R"({"id":1,"items":[{"sku":"a"},{"op":"d"}]})");
  record(R"({"id":2,"op":"d","items":[{"sku":"c"}]})");
  process();
  EXPECT_EQ(rejects(), Texts());
  EXPECT_EQ(rows_of(0), (Texts{"0: 1 0", "-1: 2"}));
  EXPECT_EQ(rows_of(1), (Texts{"0: 1 0 a", "-0: 1 1", "-1: 2 0"}));
}

TEST_F(RoutesTest, OneRouteMarksWhatAnotherDeletes) {
  add("gone", ColumnType::timestamptz, "timestamp with time zone");
  tables[1] = targets[1].table = table;
  for (Target& target : targets) target.mode = WriteMode::upsert;
  targets[0].key = {0};
  targets[1].key = {0, 1};
  targets[1].deleted_at = 3;
  options.routes[0].delete_when = "msg.?op.orValue('u') == 'd'";
  options.routes[1].delete_when = "msg.?op.orValue('u') == 'd' || item.?op.orValue('u') == 'd'";
  options.routes[1].deleted_at = "gone";
  record(R"({"id":1,"items":[{"sku":"a"},{"op":"d"}]})", {}, 946'684'800'001);
  record(R"({"id":2,"op":"d","items":[{"sku":"c"}]})", {}, 946'684'800'002);
  record(R"({"id":3,"items":[{"sku":"e"},{"op":"d"}]})");
  process();
  EXPECT_EQ(rejects(), (Texts{"2 missing_field: routes[1] (items), index 1: column \"gone\" has to "
                              "say when the row is deleted, and the record has no "
                              "record.timestamp"}));
  EXPECT_EQ(rows_of(0), (Texts{"0: 1 0", "-1: 2"}));
  EXPECT_EQ(rows_of(1), (Texts{"0: 1 0 a NULL", "-0: 1 1 1000", "-1: 2 0 2000"}));

  options.routes[1].deleted_at = "lost";
  const auto projection = Projection::compile(options, tables);
  ASSERT_FALSE(projection);
  EXPECT_EQ(projection.error()[0].place, "sink.routes[1].deleted_at");
}

TEST_F(RoutesTest, ATombstoneDeletesWhereItCanAndHasNoList) {
  options.tombstones = Tombstones::remove;
  options.routes[1].takes_tombstones = false;
  targets[0].mode = WriteMode::upsert;
  targets[0].key = {0};
  options.routes[0].columns["id"] = "has(msg.id) ? msg.id : int(string(record.key))";
  record(std::nullopt, "7");
  record(R"({"id":8,"items":[{"sku":"a"}]})");
  process();
  EXPECT_EQ(rejects(), Texts());
  EXPECT_EQ(rows_of(0), (Texts{"-0: 7", "1: 8 0"}));
  EXPECT_EQ(rows_of(1), (Texts{"1: 8 0 a"}));
}

TEST_F(RoutesTest, RowsOfARecordThatTakeMoreThanThePipelineHasAreAReject) {
  options.memory_bytes = 4096;
  std::string items;
  for (int i = 0; i < 200; ++i) items += (i == 0 ? "" : ",") + std::string(R"({"sku":"a"})");
  record(R"({"id":1,"items":[)" + items + "]}");
  record(R"({"id":2,"items":[{"sku":"b"}]})");
  process();
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].reason, "too_large");
  EXPECT_EQ(rows_of(0), (Texts{"1: 2 0"}));
  EXPECT_EQ(rows_of(1), (Texts{"1: 2 0 b"}));
}

Texts problems_of(const ComputeOptions& options) {
  Texts texts;
  for (const Problem& problem : check_expressions(options)) {
    texts.push_back(problem.place + ": " + problem.message);
  }
  return texts;
}

TEST_F(RoutesTest, MistakesAreNamedByTheRouteTheyAreIn) {
  options.schema = {{"id", "int"}, {"items", "list(int)"}};
  options.routes[0].when = "msg.id";
  options.routes[0].columns["total"] = "item.price";
  options.routes[1].for_each = "msg.id";
  options.routes[1].delete_when = "index";
  EXPECT_EQ(problems_of(options),
            (Texts{"sink.routes[0].when: the expression gives int, but bool is wanted",
                   "sink.routes[1].for_each: it is of type int, and not a list",
                   "sink.routes[1].delete_when: the expression gives int, but bool is "
                   "wanted",
                   "sink.routes[0].columns.total: undeclared name 'item'"}));
}

TEST_F(RoutesTest, ALetMayNotHaveTheNameOfAnElement) {
  options.let = {{"item", "1"}, {"total", "2"}};
  EXPECT_EQ(problems_of(options),
            (Texts{"compute.let.item: 'item' is what `for_each` goes through"}));
  options.routes[1].for_each.clear();
  options.routes[1].columns = {{"order_id", "item"}};
  EXPECT_EQ(problems_of(options), Texts());
}

}  // namespace
}  // namespace penstock::compute
