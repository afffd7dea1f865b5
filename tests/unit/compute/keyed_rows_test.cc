// What becomes of records whose rows are written by key: parts of rows, and keys that are to go.
#include "unit/compute/processing.h"

namespace penstock::compute {
namespace {

class KeyedRows : public Processing {
 protected:
  KeyedRows() {
    target.mode = WriteMode::upsert;
    target.key = {0};
    options.routes.front().columns = {
        {"id", "msg.id"}, {"name", "msg.name"}, {"state", "msg.state"}};
  }

  // The columns of the shape of each row, with "-" before those that are removals.
  static std::vector<std::string> shapes(const RowBatch& rows) {
    std::vector<std::string> result;
    if (rows.tables.empty()) return result;
    const TableRows& table = rows.tables[0];
    for (std::size_t run = 0; run < table.runs.size(); ++run) {
      const std::size_t end =
          run + 1 < table.runs.size() ? table.runs[run + 1].first_row : table.rows.size();
      for (std::size_t row = table.runs[run].first_row; row < end; ++row) {
        const RowShape& shape = table.shapes[table.runs[run].shape];
        std::string& text = result.emplace_back(shape.removes ? "-" : "");
        for (const std::uint16_t column : shape.columns) text += std::to_string(column);
      }
    }
    return result;
  }
};

using Texts = std::vector<std::string>;

TEST_F(KeyedRows, LeaveOutWhatTheRecordDoesNotSayAndSayNull) {
  record(R"({"id":1,"name":"a","state":"s"})");
  record(R"({"id":2,"name":null})");
  record(R"({"id":3,"state":"s"})");
  const auto rows = process();
  EXPECT_EQ(shapes(*rows), (Texts{"012", "01", "02"}));
  EXPECT_EQ(fields(*rows, 1), (Texts{int8(2), "NULL"}));
  EXPECT_TRUE(rows->rejects.empty());
}

TEST_F(KeyedRows, AreRejectedWithoutTheirKey) {
  record(R"({"name":"a"})");
  record(R"({"id":null,"name":"a"})");
  record(R"({"id":1,"name":"a"})");
  const auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 2U);
  EXPECT_EQ(rows->rejects[0].reason, "null_key");
  EXPECT_EQ(rows->rejects[0].message,
            "column \"id\" is of the key, and there is no msg.id; it has name");
  EXPECT_EQ(rows->rejects[1].message, "column \"id\" is of the key, and its value is null");
  EXPECT_EQ(shapes(*rows), (Texts{"01"}));
}

TEST_F(KeyedRows, AreRemovedByAConditionOrATombstone) {
  options.routes.front().columns["id"] = "coalesce(msg.id, int(string(record.key)))";
  options.routes.front().delete_when = "msg.?op.orValue('c') == 'd'";
  options.tombstones = Tombstones::remove;
  options.where = "msg.?id.orValue(0) != 9";
  record(R"({"id":1,"op":"c","name":"a"})");
  record(R"({"id":2,"op":"d","name":5})");  // a removal has no name that could be wrong
  record(std::nullopt, "3");
  record(R"({"id":9,"op":"d"})");
  record(R"({"id":4,"name":"b"})");
  const auto rows = process();
  EXPECT_TRUE(rows->rejects.empty()) << rows->rejects[0].message;
  EXPECT_EQ(rows->filtered, 1U);
  EXPECT_EQ(shapes(*rows), (Texts{"01", "-0", "-0", "01"}));
  EXPECT_EQ(fields(*rows, 1), (Texts{int8(2)}));
  EXPECT_EQ(fields(*rows, 2), (Texts{int8(3)}));
  EXPECT_EQ(fields(*rows, 3), (Texts{int8(4), "b"}));
}

TEST_F(KeyedRows, OfATombstoneNeedAKeyFromTheRecord) {
  options.tombstones = Tombstones::remove;
  record(R"({"id":1,"name":"a"})");
  record(std::nullopt, "1");
  const auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].record, 1U);
  EXPECT_EQ(rows->rejects[0].reason, "null_key");
  EXPECT_EQ(rows->rejects[0].message,
            "column \"id\" is of the key, and a record without a payload has no msg: take it from "
            "record.key");
}

TEST_F(KeyedRows, WhoseConditionIsNoTruthAreRejected) {
  options.routes.front().delete_when = "msg.gone";
  record(R"({"id":1,"gone":"yes"})");
  record(R"({"id":1})");
  const auto rows = process();
  ASSERT_EQ(rows->rejects.size(), 2U);
  EXPECT_EQ(rows->rejects[0].reason, "wrong_type");
  EXPECT_EQ(rows->rejects[0].message, "delete_when: neither true nor false but string: \"yes\"");
  EXPECT_EQ(rows->rejects[1].reason, "missing_field");
}

TEST_F(KeyedRows, HaveAVersionOfNullWhereTheRecordHasNone) {
  target.newer_by = 1;
  record(R"({"id":1,"state":"s"})");
  const auto rows = process();
  EXPECT_EQ(shapes(*rows), (Texts{"012"}));
  EXPECT_EQ(fields(*rows, 0), (Texts{int8(1), "NULL", "s"}));
}

class MarkedRows : public KeyedRows {
 protected:
  MarkedRows() {
    add("gone", ColumnType::timestamptz, "timestamp with time zone");
    target.deleted_at = 3;
    route().deleted_at = "gone";
    route().delete_when = "msg.?op.orValue('c') == 'd'";
    options.tombstones = Tombstones::remove;
    route().columns["id"] = "coalesce(msg.id, int(string(record.key)))";
  }

  RouteOptions& route() { return options.routes.front(); }
};

TEST_F(MarkedRows, HaveTheTimeOfTheRecordThatDeletesThem) {
  record(R"({"id":1,"name":"a"})");
  record(R"({"id":2,"op":"d","name":5})", {}, 946'684'800'001);
  record(std::nullopt, "3", 946'684'800'002);
  const auto rows = process();
  EXPECT_TRUE(rows->rejects.empty()) << rows->rejects[0].message;
  EXPECT_EQ(shapes(*rows), (Texts{"013", "-03", "-03"}));
  EXPECT_EQ(fields(*rows, 0), (Texts{int8(1), "a", "NULL"}));
  EXPECT_EQ(fields(*rows, 1), (Texts{int8(2), int8(1000)}));
  EXPECT_EQ(fields(*rows, 2), (Texts{int8(3), int8(2000)}));
}

TEST_F(MarkedRows, SayAtWhichVersionTheyAreGone) {
  target.newer_by = 1;
  record(R"({"id":1,"op":"d","name":"v2"})", {}, 946'684'800'001);
  record(R"({"id":2,"op":"d"})", {}, 946'684'800'001);
  record(R"({"id":3,"op":"d","name":"v2"})");
  const auto rows = process();
  EXPECT_EQ(shapes(*rows), (Texts{"013"}));
  EXPECT_EQ(fields(*rows, 0), (Texts{int8(1), "v2", int8(1000)}));
  ASSERT_EQ(rows->rejects.size(), 2U);
  EXPECT_EQ(rows->rejects[0].reason, "missing_field");
  EXPECT_EQ(rows->rejects[0].message,
            "column \"name\" has to say at which version the row is deleted, and there is no "
            "msg.name; it has id, op");
  EXPECT_EQ(rows->rejects[1].message,
            "column \"gone\" has to say when the row is deleted, and the record has no "
            "record.timestamp");
}

TEST_F(MarkedRows, AreNotOfAFieldOfTheSameName) {
  route().columns.clear();
  options.tombstones = Tombstones::skip;
  record(R"({"id":1,"name":"a","state":"s","gone":"2024-01-01T00:00:00Z"})");
  const auto rows = process();
  EXPECT_EQ(fields(*rows, 0), (Texts{int8(1), "a", "s", "NULL"}));
}

TEST_F(MarkedRows, NeedAColumnOfATimeThatMayBeNull) {
  const auto problem = [&] {
    const auto projection = Projection::compile(options, {&table, 1});
    return projection ? std::string()
                      : projection.error()[0].place + ": " + projection.error()[0].message;
  };
  route().deleted_at = "lost";
  EXPECT_EQ(problem(), "sink.target.deleted_at: there is no column 'lost' in \"public\".\"t\"");
  for (const char* const name : {"name", "state"}) {
    route().columns.erase(name);
    route().deleted_at = name;
    EXPECT_TRUE(problem().contains("cannot be a mark")) << problem();
  }
  route().deleted_at = "gone";
  table.columns[3].not_null = true;
  EXPECT_TRUE(problem().contains("cannot be a mark")) << problem();
}

TEST_F(KeyedRows, TakeTheirDefaultsWhereWhatIsThereIsLeftAlone) {
  target.mode = WriteMode::ignore;
  table.columns[2].not_null = true;
  table.columns[2].has_default = false;
  record(R"({"id":1,"state":"s"})");
  record(R"({"id":2,"name":"a"})");
  const auto rows = process();
  EXPECT_EQ(shapes(*rows), (Texts{"012"}));
  ASSERT_EQ(rows->rejects.size(), 1U);
  EXPECT_EQ(rows->rejects[0].reason, "missing_field");
}

}  // namespace
}  // namespace penstock::compute
