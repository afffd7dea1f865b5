// Records whose optional fields come and go: each row has what its record has and the column's
// DEFAULT for the rest, and all of them go as fast as rows that have everything.
#include <gtest/gtest.h>

#include <string>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

TEST(OptionalFields, TakeTheSameDefaultsAsASqlInsert) {
  Service service({.table =
                       "CREATE TYPE mood AS ENUM ('sad', 'ok');"
                       "CREATE TABLE t (a int2 DEFAULT -3, b int DEFAULT 2 + 3, c bigint "
                       "DEFAULT 4, d numeric(6,2) DEFAULT 1.005, e float8 DEFAULT 'NaN', f bool "
                       "DEFAULT true, g text DEFAULT 'x''\"é', h varchar(3) DEFAULT 'abc', i "
                       "char(4) DEFAULT 'z', j bytea DEFAULT '\\x00ff', k uuid DEFAULT "
                       "'00000000-0000-0000-0000-00000000000a', l date DEFAULT '2024-02-29', m "
                       "timestamptz DEFAULT '2024-02-29 12:00+02', n timestamp DEFAULT "
                       "'infinity', o json DEFAULT '{\"a\": 1.10}', p jsonb DEFAULT '[]', q "
                       "int[] DEFAULT '{1,NULL}', r text[] DEFAULT ARRAY[]::text[], s mood "
                       "DEFAULT 'ok', u text DEFAULT NULL, v text DEFAULT current_user, w "
                       "text, source_offset bigint)",
                   .by_name = true});
  std::vector<std::optional<std::string>> records;
  for (int i = 0; i < 2000; ++i) {
    records.emplace_back(R"({"source_offset":)" + std::to_string(i) +
                         (i % 2 == 0 ? "" : R"(,"b":0,"g":"given")") + "}");
  }
  service.feed(records);
  service.database().execute("INSERT INTO t (source_offset) VALUES (-1)");
  EXPECT_TRUE(service.dead_letters().empty());
  EXPECT_EQ(service.database().number("SELECT count(*) FROM t"), 2001);
  EXPECT_EQ(service.database().number(
                "SELECT count(DISTINCT (to_jsonb(t) - 'source_offset' - 'b' - 'g')::text) FROM t"),
            1);
  EXPECT_EQ(service.database().number("SELECT count(*) FROM t WHERE b = 5 AND g = 'x''\"é'"), 1001);
  EXPECT_EQ(service.database().number("SELECT count(*) FROM t WHERE b = 0 AND g = 'given'"), 1000);
  const auto metrics = service.process().get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_TRUE(metrics->body.contains("method=\"copy\"} ")) << metrics->body;
  EXPECT_FALSE(metrics->body.contains("method=\"copy\"} 0\n")) << "they are of one shape";
}

}  // namespace
}  // namespace penstock::test
