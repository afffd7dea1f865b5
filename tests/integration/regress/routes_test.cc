// One pipeline that writes several tables, with the whole service on real servers: an order and its
// items, which refer to it. A record's rows are all there, or it is one dead letter.
#include <gtest/gtest.h>

#include <format>
#include <optional>
#include <string>
#include <vector>

#include "harness/kafka_admin.h"
#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

using Records = std::vector<std::optional<std::string>>;

constexpr const char* kTables =
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer text, source_offset bigint);"
    "CREATE TABLE items (order_id bigint NOT NULL REFERENCES orders, place int, sku text CHECK "
    "(sku <> 'bad'), PRIMARY KEY (order_id, place))";

struct OrdersAndItems {
  OrdersAndItems() : service({.table = kTables}) { service.migrate(); }

  // `sink` is what stands below sink.postgres, `more` below the pipeline.
  [[nodiscard]] std::string config(const std::string& sink, const std::string& more = {}) {
    return std::format(
        "pipelines:\n"
        "  - name: orders\n"
        "    source: {{topics: [{}], group: orders, kafka: {{bootstrap.servers: \"{}\"}}}}\n"
        "    sink:\n"
        "      postgres: \"{}\"\n{}{}"
        "server: {{grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}}\n"
        "log: {{format: json}}\n",
        service.topic().name(), shared_brokers(), service.database().conninfo(), sink, more);
  }
  static std::string orders_and_items(const std::string& mode, const std::string& of_order = {},
                                      const std::string& of_item = {}) {
    return std::format(
        "      match: all\n"
        "      routes:\n"
        "        - table: orders\n"
        "          mode: {0}\n{1}"
        "          columns: {{id: msg.id, customer: 'msg.?customer', source_offset: "
        "record.offset}}\n"
        "        - table: items\n"
        "          mode: {0}\n{2}"
        "          for_each: msg.?items\n"
        "          columns: {{order_id: msg.id, place: index, sku: item.sku}}\n",
        mode, of_order, of_item);
  }
  static std::string order(int id, const std::vector<std::string>& skus,
                           const std::string& more = {}) {
    std::string items;
    for (const std::string& sku : skus) {
      items += (items.empty() ? "" : ",") + std::format(R"({{"sku":"{}"}})", sku);
    }
    return std::format(R"({{"id":{},"customer":"c{}"{},"items":[{}]}})", id, id, more, items);
  }

  void feed(const Records& records) {
    service.topic().produce(records);
    fed += static_cast<std::int64_t>(records.size());
    EXPECT_TRUE(wait_until([&] { return position() == fed; }, 60s)) << service.process().log();
  }
  std::int64_t position() {
    return service.database().number("SELECT coalesce(max(next_offset), 0) FROM penstock.offsets");
  }
  std::int64_t count(const std::string& of) {
    return service.database().number("SELECT count(*) FROM " + of);
  }
  // Each order with its items: "1 a b, 2".
  std::string all() {
    return service.database().value(
        "SELECT coalesce(string_agg(concat_ws(' ', o.id, (SELECT string_agg(sku, ' ' ORDER BY "
        "place) FROM items WHERE order_id = o.id)), ', ' ORDER BY o.id), '') FROM orders o");
  }

  Service service;
  std::int64_t fed = 0;
};

class Routes : public testing::Test, protected OrdersAndItems {};

TEST_F(Routes, ARecordHasItsRowsInAllTablesOrIsOneDeadLetter) {
  service.serve_while_waiting(config(orders_and_items("append")));
  feed({order(1, {"a", "b"}), order(2, {}), order(3, {"c", "bad", "d"}), R"({"id":4})",
        R"({"id":5,"items":[{"sku":"e"},{"sku":{"no":"text"}}]})", order(6, {"f"}),
        R"({"id":7,"items":null})"});
  EXPECT_EQ(all(), "1 a b, 2, 4, 6 f");
  const auto letters = service.dead_letters();
  ASSERT_EQ(letters.size(), 3U);
  EXPECT_EQ(letters[0].offset, 2);
  EXPECT_EQ(letters[0].reason, "check_violation");
  EXPECT_TRUE(letters[0].message.starts_with("routes[1] (items), index 1: ")) << letters[0].message;
  EXPECT_EQ(letters[1].offset, 4);
  EXPECT_TRUE(letters[1].message.starts_with("routes[1] (items), index 1: column \"sku\": "))
      << letters[1].message;
  EXPECT_EQ(letters[2].reason, "wrong_type");
  EXPECT_EQ(service.database().value(
                "SELECT string_agg(DISTINCT target, ',') FROM penstock.dead_letters"),
            "public.items");
  EXPECT_EQ(service.process().metric("penstock_rows_committed_total"), 7.0);
}

TEST_F(Routes, CheckNamesTheChildThatStandsBeforeItsParent) {
  const auto check = [this](const std::string& sink) {
    const auto output = service.run_with_config({"check", "--online"}, config(sink));
    EXPECT_EQ(output.status.code, 0) << output.text;
    return output.text;
  };
  const auto reversed = [](std::string sink) {
    const std::size_t orders = sink.find("        - table: orders\n");
    const std::size_t items = sink.find("        - table: items\n");
    return sink.substr(0, orders) + sink.substr(items) + sink.substr(orders, items - orders);
  };
  const std::string right = orders_and_items("append");
  EXPECT_FALSE(check(right).contains("warning")) << check(right);
  const std::string text = check(reversed(right));
  EXPECT_TRUE(
      text.contains("pipelines[0].sink.routes[0]: warning: rows of \"public\".\"items\" are "
                    "written before those of \"public\".\"orders\", which its foreign key "
                    "items_order_id_fkey refers to"))
      << text;
  EXPECT_TRUE(text.contains("list routes[1] (orders) before routes[0] (items)")) << text;
  // Its warning is true,
  service.serve_while_waiting(config(reversed(right)));
  feed({order(1, {"a"})});
  EXPECT_EQ(all(), "");
  ASSERT_EQ(service.dead_letters().size(), 1U);
  EXPECT_EQ(service.dead_letters()[0].reason, "foreign_key_violation");
  // and not where the key is checked at COMMIT.
  service.database().execute(
      "ALTER TABLE items ALTER CONSTRAINT items_order_id_fkey DEFERRABLE INITIALLY DEFERRED");
  EXPECT_FALSE(check(reversed(right)).contains("warning")) << check(reversed(right));
  feed({order(2, {"b"})});
  EXPECT_EQ(all(), "2 b");
}

TEST_F(Routes, OneBadItemInALargeTransactionIsOneDeadLetter) {
  for (const std::string mode : {"append", "ignore", "upsert"}) {
    SCOPED_TRACE(mode);
    OrdersAndItems other;
    other.service.topic().produce([] {
      Records records;
      for (int id = 0; id < 3000; ++id) {
        records.emplace_back(order(id, {"a", id % 1000 == 777 ? "bad" : "b", "c"}));
      }
      return records;
    }());
    other.fed = 3000;
    other.service.serve_while_waiting(other.config(orders_and_items(mode)));
    other.feed({});
    EXPECT_EQ(other.count("orders"), 2997);
    EXPECT_EQ(other.count("items"), 3 * 2997);
    const auto letters = other.service.dead_letters();
    ASSERT_EQ(letters.size(), 3U);
    EXPECT_EQ(letters[1].offset, 1777);
    EXPECT_TRUE(letters[1].message.starts_with("routes[1] (items), index 1: "))
        << letters[1].message;
  }
}

TEST_F(Routes, ChildrenAreDeletedBeforeTheirParentsAndInsertedAfterThem) {
  service.serve_while_waiting(
      config(orders_and_items("upsert", "          delete_when: msg.?op.orValue('u') == 'd'\n",
                              "          delete_when: msg.?op.orValue('u') == 'd'\n")));
  const std::string gone = R"(,"op":"d")";
  // Some of them within one transaction, and some of what was there before.
  feed({order(1, {"a", "b"}), order(2, {"c"}), order(1, {"a", "b"}, gone)});
  EXPECT_EQ(all(), "2 c");
  feed({order(2, {"c"}, gone), order(2, {"d", "e"}), order(3, {"f"}), order(3, {"f"}, gone),
        order(3, {}), order(4, {"g"}, gone)});
  EXPECT_EQ(all(), "2 d e, 3");
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST_F(Routes, WhatOneOfThemMarksStaysAndComesAgain) {
  service.database().execute("ALTER TABLE items ADD COLUMN gone timestamptz");
  service.serve_while_waiting(
      config(orders_and_items("upsert", "",
                              "          delete_when: item.?op.orValue('u') == 'd'\n"
                              "          deleted_at: gone\n")));
  const auto items = [this] {
    return service.database().value(
        "SELECT string_agg(concat_ws(' ', order_id, place, sku, gone IS NOT NULL), ', ' ORDER BY "
        "order_id, place) FROM items");
  };
  feed({order(1, {"a", "b"}), R"({"id":1,"items":[{"sku":"c"},{"op":"d"}]})",
        R"({"id":2,"items":[{"op":"d"}]})"});
  EXPECT_EQ(items(), "1 0 c f, 1 1 b t");
  feed({order(1, {"a", "b"})});
  EXPECT_EQ(items(), "1 0 a f, 1 1 b f");
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST_F(Routes, ATombstoneDeletesTheParentAndItsForeignKeyTheRest) {
  service.database().execute(
      "ALTER TABLE items DROP CONSTRAINT items_order_id_fkey, ADD FOREIGN KEY (order_id) "
      "REFERENCES orders ON DELETE CASCADE");
  const std::string key =
      "          columns: {id: 'has(msg.id) ? msg.id : "
      "int(string(record.key))', customer: 'msg.?customer'}\n";
  service.serve_while_waiting(
      config("      match: all\n"
             "      routes:\n"
             "        - table: orders\n"
             "          mode: upsert\n" +
                 key +
                 "        - table: items\n"
                 "          for_each: msg.items\n"
                 "          columns: {order_id: msg.id, place: index, sku: item.sku}\n",
             "    parse: {json: {}, tombstones: delete}\n"));
  const auto produce = [this](const std::string& key_of, const std::optional<std::string>& value) {
    const std::vector<harness::KafkaRecord> records{{.partition = 0,
                                                     .key = key_of.data(),
                                                     .key_size = key_of.size(),
                                                     .value = value ? value->data() : nullptr,
                                                     .value_size = value ? value->size() : 0}};
    must(harness::produce_all(shared_brokers(), service.topic().name(), records));
    ++fed;
  };
  produce("1", order(1, {"a", "b"}));
  produce("2", order(2, {"c"}));
  produce("1", std::nullopt);
  produce("1", order(1, {}));
  feed({});
  EXPECT_EQ(all(), "1, 2 c");
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST_F(Routes, TheFirstThatTakesARecordIsItsTable) {
  service.database().execute("CREATE TABLE others (id bigint, kind text)");
  service.serve_while_waiting(
      config("      routes:\n"
             "        - table: orders\n"
             "          when: msg.kind == 'order'\n"
             "          columns: {id: msg.id, customer: msg.kind}\n"
             "        - table: others\n"
             "          when: msg.kind.startsWith('o')\n"));
  feed({R"({"id":1,"kind":"order"})", R"({"id":2,"kind":"other"})", R"({"id":3,"kind":"x"})"});
  EXPECT_EQ(all(), "1");
  EXPECT_EQ(service.database().value("SELECT concat_ws(' ', id, kind) FROM others"), "2 other");
  const auto letters = service.dead_letters();
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].reason, "no_route");
}

TEST_F(Routes, TwoRoutesToOneTableKeepTheOrderOfTheirRecords) {
  service.serve_while_waiting(
      config("      routes:\n"
             "        - table: orders\n"
             "          mode: upsert\n"
             "          when: msg.kind == 'created'\n"
             "          columns: {id: msg.id, customer: msg.customer}\n"
             "        - table: orders\n"
             "          mode: update\n"
             "          when: msg.kind == 'renamed'\n"
             "          columns: {id: msg.id, customer: msg.to}\n"));
  Records records;
  for (int id = 0; id < 1000; ++id) {
    records.emplace_back(std::format(R"({{"id":{},"kind":"created","customer":"a"}})", id));
    records.emplace_back(std::format(R"({{"id":{},"kind":"renamed","to":"b"}})", id));
    if (id % 2 == 0) continue;
    records.emplace_back(std::format(R"({{"id":{},"kind":"created","customer":"c"}})", id));
  }
  feed(records);
  EXPECT_EQ(service.database().value(
                "SELECT string_agg(concat_ws(' ', customer, n), ', ' ORDER BY customer) FROM "
                "(SELECT customer, count(*) AS n FROM orders GROUP BY customer) x"),
            "b 500, c 500");
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST_F(Routes, AKeyThatChangesTakesItsRowAlong) {
  service.database().execute("ALTER TABLE orders ADD UNIQUE (customer), ADD CHECK (id <> 13)");
  service.serve_while_waiting(
      config("      match: all\n"
             "      routes:\n"
             "        - table: orders\n"
             "          mode: upsert\n"
             "          when: msg.?was.hasValue() && msg.was != msg.id\n"
             "          delete_when: 'true'\n"
             "          columns: {id: msg.was}\n"
             "        - table: orders\n"
             "          mode: upsert\n"
             "          columns: {id: msg.id, customer: msg.customer}\n"));
  Records records;
  for (int id = 0; id < 1000; ++id) {
    records.emplace_back(std::format(R"({{"id":{},"customer":"c{}"}})", id + 100, id));
    // The customer is unique: the old row has to be gone before.
    for (const int was : {100, 1100, 2100}) {
      records.emplace_back(
          std::format(R"({{"was":{},"id":{},"customer":"c{}"}})", id + was, id + was + 1000, id));
    }
  }
  records.emplace_back(R"({"was":3100,"id":13,"customer":"c0"})");
  feed(records);
  EXPECT_EQ(service.database().value("SELECT concat_ws(' ', count(*), min(id), max(id), sum(id - "
                                     "substr(customer, 2)::int)) FROM orders"),
            "1000 3100 4099 3100000")
      << "what is refused leaves the row where it was";
  EXPECT_EQ(service.dead_letters().size(), 1U);
}

TEST_F(Routes, ADeadLetterIsRedrivenIntoAllTables) {
  auto& serve = service.serve_while_waiting(config(orders_and_items("append")));
  feed({order(1, {"a"}), order(2, {"b", "bad"}), R"({"id":3,"items":[{"sku":7}]})"});
  EXPECT_EQ(all(), "1 a");
  EXPECT_TRUE(serve.stop().success());
  std::string corrected = config(orders_and_items("append"));
  const std::string was = "sku: item.sku";
  corrected.replace(corrected.find(was), was.size(), "sku: string(item.sku)");
  const auto first = service.run_with_config({"dead-letters", "redrive"}, corrected);
  EXPECT_EQ(first.status.code, 1) << first.text;
  EXPECT_EQ(all(), "1 a, 3 7");
  ASSERT_EQ(service.dead_letters().size(), 1U);
  EXPECT_EQ(service.database().query("SELECT attempts, target FROM penstock.dead_letters"),
            (harness::SqlRows{{"2", "public.items"}}));
  service.database().execute("ALTER TABLE items DROP CONSTRAINT items_sku_check");
  const auto second = service.run_with_config({"dead-letters", "redrive"}, corrected);
  EXPECT_EQ(second.status.code, 0) << second.text;
  EXPECT_EQ(all(), "1 a, 2 b bad, 3 7");
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST_F(Routes, KilledAnywhereEveryRecordHasAllOfItsRowsOnce) {
  const std::string text = config(orders_and_items("append"));
  auto* serve = &service.serve_while_waiting(text);
  constexpr int kRecords = 20'000;
  for (int begin = 0; begin < kRecords; begin += 5000) {
    Records records;
    for (int id = begin; id < begin + 5000; ++id) records.emplace_back(order(id, {"a", "b"}));
    service.topic().produce(records);
    fed += 5000;
    const std::int64_t before = position();
    EXPECT_TRUE(wait_until([&] { return position() > before; }, 60s)) << serve->log();
    serve->kill();
    serve = &service.serve_while_waiting(text);
  }
  feed({});
  EXPECT_EQ(count("orders"), kRecords);
  EXPECT_EQ(count("items"), 2 * kRecords);
  EXPECT_EQ(count("orders o WHERE (SELECT count(*) FROM items WHERE order_id = o.id) <> 2"), 0);
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST_F(Routes, CheckOnlineSaysWhatIsWrongWithEachOfThem) {
  service.database().execute("ALTER TABLE items DROP CONSTRAINT items_pkey");
  const auto output = service.run_with_config({"check", "--online"},
                                              config("      match: all\n"
                                                     "      routes:\n"
                                                     "        - table: orders\n"
                                                     "          columns: {idd: msg.id}\n"
                                                     "        - table: items\n"
                                                     "          mode: upsert\n"
                                                     "          columns: {order_id: msg.id}\n"));
  EXPECT_EQ(output.status.code, 2) << output.text;
  EXPECT_TRUE(output.text.contains("pipelines[0].sink.routes[0].columns.idd: there is no column"))
      << output.text;
  const auto missing = service.run_with_config(
      {"check", "--online"}, config("      match: all\n"
                                    "      routes: [{table: ordrs}, {table: itms}]\n"));
  EXPECT_EQ(missing.status.code, 2) << missing.text;
  EXPECT_TRUE(missing.text.contains("sink.routes[0].table: there is no table ordrs"))
      << missing.text;
  EXPECT_TRUE(missing.text.contains("sink.routes[1].table: there is no table itms"))
      << missing.text;
  const auto keyless =
      service.run_with_config({"check", "--online"}, config(orders_and_items("upsert")));
  EXPECT_EQ(keyless.status.code, 2) << keyless.text;
  EXPECT_TRUE(keyless.text.contains("sink.routes[1].mode: upsert needs a key")) << keyless.text;
  const auto fine =
      service.run_with_config({"check", "--online"}, config(orders_and_items("append")));
  EXPECT_EQ(fine.status.code, 0) << fine.text;
  EXPECT_TRUE(
      fine.text.contains("orders: table public.orders, 3 of its 3 columns are written\n"
                         "orders: table public.items, 3 of its 3 columns are written\n"))
      << fine.text;
}

}  // namespace
}  // namespace penstock::test
