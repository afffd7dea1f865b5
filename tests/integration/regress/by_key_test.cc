// Rows that are written by key, with the whole service on real servers: what users of other
// programs that write Kafka's records into PostgreSQL have reported.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using Records = std::vector<std::optional<std::string>>;

ServiceOptions by_key(std::string target) {
  return {.table =
              "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> 'bad'), "
              "note text DEFAULT 'none', source_offset bigint)",
          .columns = {{"id", "msg.id"}, {"name", "msg.name"}, {"note", "msg.note"}},
          .pipeline_yaml = std::move(target)};
}

// Options that belong to sink.target stand in lines that follow its columns.
constexpr const char* kUpsert = "        mode: upsert\n";

TEST(ByKey, TheSameKeyTwiceInATransactionIsItsLastVersion) {
  Service service(by_key(kUpsert));
  Records records;
  for (int i = 0; i < 3000; ++i) {
    records.emplace_back(R"({"id":)" + std::to_string(i % 7) + R"(,"name":"v)" + std::to_string(i) +
                         R"(","note":"n"})");
  }
  service.feed(records);
  EXPECT_EQ(service.database().value("SELECT string_agg(name, ' ' ORDER BY id) FROM t"),
            "v2996 v2997 v2998 v2999 v2993 v2994 v2995");
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST(ByKey, AFieldThatIsNotThereIsNoNull) {
  Service service(by_key(kUpsert));
  service.feed({R"({"id":1,"name":"a","note":"kept"})", R"({"id":1,"name":"b"})",
                R"({"id":2,"name":"c"})", R"({"id":3,"name":"d","note":null})",
                R"({"id":1,"note":"new"})", R"({"id":4,"note":"lost"})"});
  EXPECT_EQ(service.database().value(
                "SELECT string_agg(concat_ws(' ', id, name, coalesce(note, 'NULL')), ', ' ORDER BY "
                "id) FROM t"),
            "1 b new, 2 c none, 3 d NULL");
  ASSERT_EQ(service.dead_letters().size(), 1U);
  EXPECT_EQ(service.dead_letters()[0].reason, "not_null_violation");
  EXPECT_EQ(service.dead_letters()[0].offset, 5);
}

// Debezium sends a placeholder for a large value that an UPDATE has not changed, of every type.
TEST(ByKey, ALargeValueThatHasNotChangedStaysAndOneThatContainsThePlaceholderDoesNot) {
  const auto unless = [](const std::string& field, const std::string& placeholder,
                         const std::string& value) {
    return "\"" + field + " != " + placeholder + " ? optional.of(" + value +
           ") : optional.none()\"";
  };
  constexpr const char* kPlaceholder = "'__debezium_unavailable_value'";
  ServiceOptions options = by_key(kUpsert);
  options.table =
      "CREATE TABLE t (id bigint PRIMARY KEY, body text, tags text[], doc jsonb, raw bytea, "
      "source_offset bigint)";
  options.columns = {
      {"id", "msg.id"},
      {"body", unless("msg.body", kPlaceholder, "msg.body")},
      {"tags", unless("msg.tags", std::string("[") + kPlaceholder + "]", "msg.tags")},
      {"doc", unless("msg.doc", kPlaceholder, "json.parse(msg.doc)")},
      {"raw", unless("base64.decode(msg.raw)", "b'__debezium_unavailable_value'",
                     "base64.decode(msg.raw)")}};
  Service service(options);
  const std::string placeholders =
      R"("body":"__debezium_unavailable_value","tags":["__debezium_unavailable_value"],)"
      R"("doc":"__debezium_unavailable_value","raw":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="})";
  service.feed({R"({"id":1,"body":"b","tags":["t"],"doc":"{\"d\":1}","raw":"cg=="})",
                R"({"id":1,)" + placeholders,
                R"({"id":2,"body":"a __debezium_unavailable_value","tags":["x",)"
                R"("__debezium_unavailable_value"],"doc":"\"__debezium_unavailable_value\"",)"
                R"("raw":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZV8="})",
                R"({"id":3,)" + placeholders});
  EXPECT_EQ(service.database().value("SELECT string_agg(concat_ws(' ', id, body, tags::text, doc, "
                                     "encode(raw, 'escape')), E'\\n' ORDER BY id) FROM t"),
            "1 b {t} {\"d\": 1} r\n"
            "2 a __debezium_unavailable_value {x,__debezium_unavailable_value} "
            "\"__debezium_unavailable_value\" __debezium_unavailable_value_\n"
            "3");
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST(ByKey, OneBadVersionIsOneDeadLetterAndNobodyElsesHarm) {
  Service service(by_key(kUpsert));
  Records records;
  for (int i = 0; i < 2000; ++i) {
    records.emplace_back(R"({"id":)" + std::to_string(i % 50) + R"(,"name":")" +
                         (i == 1999 ? "bad" : "v" + std::to_string(i)) + R"(","note":null})");
  }
  service.feed(records);
  EXPECT_EQ(service.database().number("SELECT count(*) FROM t"), 50);
  EXPECT_EQ(service.database().value("SELECT name FROM t WHERE id = 49"), "v1949");
  ASSERT_EQ(service.dead_letters().size(), 1U);
  EXPECT_EQ(service.dead_letters()[0].offset, 1999);
  EXPECT_EQ(service.dead_letters()[0].value, records[1999]);
}

TEST(ByKey, DeletesAndInsertsKeepTheirOrder) {
  ServiceOptions options =
      by_key(std::string(kUpsert) + "        delete_when: msg.?op.orValue('u') == 'd'\n");
  options.parse = "{json: {}, tombstones: skip}";
  Service service(options);
  service.feed({R"({"id":1,"name":"a","note":"lost"})", R"({"id":1,"op":"d"})",
                R"({"id":1,"name":"b"})", R"({"id":2,"name":"c"})", R"({"id":2,"op":"d"})",
                R"({"id":3,"op":"d"})"});
  EXPECT_EQ(service.database().value("SELECT string_agg(concat_ws(' ', id, name, note), ', ') "
                                     "FROM t"),
            "1 b none");
  EXPECT_TRUE(service.dead_letters().empty());
}

ServiceOptions marked(const std::string& more) {
  ServiceOptions options = by_key(std::string(kUpsert) +
                                  "        delete_when: msg.?op.orValue('u') == 'd'\n"
                                  "        deleted_at: gone_since\n" +
                                  more);
  options.table =
      "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL, note text, version bigint, "
      "gone_since timestamptz, source_offset bigint)";
  return options;
}

TEST(ByKey, ARowThatIsMarkedStaysAndComesAgain) {
  Service service(marked(""));
  service.feed({R"({"id":1,"name":"a","note":"n"})", R"({"id":1,"op":"d"})",
                R"({"id":2,"name":"b"})", R"({"id":2,"op":"d"})", R"({"id":2,"name":"c"})",
                R"({"id":3,"op":"d"})", R"({"id":4,"name":"d"})"});
  EXPECT_EQ(service.database().value(
                "SELECT string_agg(concat_ws(' ', id, name, note, gone_since IS NOT NULL), ', ' "
                "ORDER BY id) FROM t"),
            "1 a n t, 2 c f, 4 d f");
  EXPECT_TRUE(service.dead_letters().empty());
  const std::string before = service.database().value("SELECT xmin::text FROM t WHERE id = 1");
  service.feed({R"({"id":1,"op":"d"})"});
  EXPECT_EQ(service.database().value("SELECT xmin::text FROM t WHERE id = 1"), before)
      << "what is marked keeps its first time";
}

TEST(ByKey, VersionsThatComeInAnyOrderEndAsTheNewestAlsoIfThatDeletes) {
  ServiceOptions options = marked("        newer_by: version\n");
  options.table =
      "CREATE TABLE t (id bigint PRIMARY KEY, name text, note text, version bigint, "
      "gone_since timestamptz, source_offset bigint)";
  options.columns.emplace("version", "msg.version");
  Service service(options);
  const auto say = [](int id, int version, bool deletes) -> std::optional<std::string> {
    return R"({"id":)" + std::to_string(id) + R"(,"version":)" + std::to_string(version) +
           (deletes ? R"(,"op":"d"})" : R"(,"name":"v)" + std::to_string(version) + "\"}");
  };
  // Every order of three versions, of which each in turn deletes.
  Records records;
  std::string expected;
  for (int id = 0; id < 18; ++id) {
    const int deletes = id % 3 + 1;
    std::vector<int> versions{1, 2, 3};
    for (int turn = 0; turn < id / 3; ++turn) std::ranges::next_permutation(versions);
    for (const int version : versions) records.push_back(say(id, version, version == deletes));
    expected += (id == 0 ? "" : ", ") + std::to_string(id) + (deletes == 3 ? " 3 t" : " 3 f");
  }
  service.feed(records);
  EXPECT_EQ(service.database().value(
                "SELECT string_agg(concat_ws(' ', id, version, gone_since IS NOT NULL), ', ' "
                "ORDER BY id) FROM t"),
            expected);
  EXPECT_EQ(service.database().number("SELECT count(*) FROM t WHERE gone_since IS NULL AND name = "
                                      "'v3'"),
            12);
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST(ByKey, WhatIsThereAlreadyIsIgnoredAndCounted) {
  Service service(by_key("        mode: ignore\n"));
  service.feed({R"({"id":1,"name":"a","note":"n"})", R"({"id":1,"name":"b","note":"n"})",
                R"({"id":2,"name":"c","note":"n"})"});
  EXPECT_EQ(service.database().value("SELECT string_agg(name, ' ' ORDER BY id) FROM t"), "a c");
  EXPECT_TRUE(
      wait_until([&] { return service.process().metric("penstock_rows_unchanged_total") == 1.0; }));
  EXPECT_EQ(service.process().metric("penstock_rows_committed_total"), 2.0);
}

TEST(ByKey, CheckSaysWhyATableCannotBeWrittenSo) {
  struct Case {
    std::string table;
    std::string target;
    std::string says;
  };
  const std::string columns = "(id bigint, name text, note text, source_offset bigint)";
  for (const Case& tried : std::vector<Case>{
           {"CREATE TABLE t " + columns, kUpsert,
            "upsert needs a key, and \"public\".\"t\" has no"},
           {"CREATE TABLE t " + columns + "; CREATE UNIQUE INDEX part ON t (id) WHERE id > 0",
            std::string(kUpsert) + "        key: [id]\n", "the unique index part is partial"},
           {"CREATE TABLE t " + columns +
                "; ALTER TABLE t ADD CONSTRAINT late UNIQUE (id) "
                "DEFERRABLE",
            std::string(kUpsert) + "        key: [id]\n", "the unique index late is deferrable"},
           {"CREATE TABLE t " + columns + "; CREATE UNIQUE INDEX other ON t (name, id)",
            std::string(kUpsert) + "        key: [id]\n", "key: [name, id]"},
           {"CREATE TABLE t " + columns + "; CREATE UNIQUE INDEX ON t (id)",
            std::string(kUpsert) + "        key: [idd]\n", "'idd' has no expression"},
           {"CREATE TABLE t " + columns + "; CREATE UNIQUE INDEX ON t (id)", "        key: [id]\n",
            "a key has no meaning where every record is a new row"},
           {"CREATE TABLE t (id bigint PRIMARY KEY, name text, note text NOT NULL, source_offset "
            "bigint, gone_since timestamptz)",
            std::string(kUpsert) +
                "        delete_when: msg.gone\n        deleted_at: gone_since\n        newer_by: "
                "name\n",
            "column 'note' is NOT NULL without a default, so that a delete that comes before"},
           {"CREATE TABLE t (id bigint PRIMARY KEY, name text, note text, source_offset bigint); "
            "CREATE RULE keep AS ON DELETE TO t DO INSTEAD NOTHING",
            std::string(kUpsert) + "        delete_when: msg.gone\n", "has an ON DELETE rule"},
           {"CREATE TABLE t (id bigint PRIMARY KEY, name text, note text, source_offset bigint); "
            "CREATE TABLE t_child () INHERITS (t)",
            kUpsert, "tables inherit from \"public\".\"t\""},
           {"CREATE TABLE t " + columns, "        delete_when: msg.gone\n",
            "only a pipeline with `mode: upsert` deletes rows"}}) {
    ServiceOptions options = by_key(tried.target);
    options.table = tried.table;
    Service service(options);
    std::string plain = service.config();
    plain.erase(plain.find(tried.target), tried.target.size());
    ASSERT_TRUE(service.run_with_config({"migrate", "up"}, plain).status.success());
    const auto output = service.run_with_config({"check", "--online"}, service.config());
    EXPECT_EQ(output.status.code, 2) << output.text;
    EXPECT_TRUE(output.text.contains(tried.says)) << tried.says << "\n" << output.text;
  }
}

TEST(ByKey, AnyUniqueIndexCanBeTheKey) {
  ServiceOptions options = by_key(std::string(kUpsert) + "        key: [note, name]\n");
  options.table =
      "CREATE TABLE t (id bigint, name text, note text, source_offset bigint); "
      "CREATE UNIQUE INDEX ON t (name, note)";
  Service service(options);
  service.feed({R"({"id":1,"name":"a","note":"x"})", R"({"id":2,"name":"a","note":"y"})",
                R"({"id":3,"name":"a","note":"x"})", R"({"id":4,"name":"a"})"});
  EXPECT_EQ(service.database().value("SELECT string_agg(id::text, ' ' ORDER BY note) FROM t"),
            "3 2");
  ASSERT_EQ(service.dead_letters().size(), 1U);
  EXPECT_EQ(service.dead_letters()[0].reason, "null_key");
}

}  // namespace
}  // namespace penstock::test
