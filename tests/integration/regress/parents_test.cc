// Two pipelines of one process, one of which writes what the other's rows refer to: nothing waits
// for the other topic, and nothing is counted twice or lost.
#include <gtest/gtest.h>

#include <chrono>
#include <format>
#include <optional>
#include <string>
#include <vector>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

std::string pipeline_of(const std::string& name, const std::string& topic,
                        const std::string& conninfo, const std::string& columns) {
  return std::format(
      "  - name: {0}\n"
      "    source: {{topics: [{1}], group: {1}, kafka: {{bootstrap.servers: \"{2}\"}}}}\n"
      "    sink: {{postgres: \"{3}\", target: {{table: {0}, columns: {4}}}}}\n",
      name, topic, shared_brokers(), conninfo, columns);
}

TEST(Parents, AChildThatComesBeforeItsParentIsADeadLetterThatNamesTheConstraint) {
  Service service({.table = "CREATE TABLE parents (id int PRIMARY KEY);"
                            "CREATE TABLE t (id int, parent_id int REFERENCES parents)"});
  TestTopic parents;
  service.migrate();
  auto& serve = service.serve_while_waiting(
      "pipelines:\n" +
      pipeline_of("parents", parents.name(), service.database().conninfo(), "{id: msg.id}") +
      pipeline_of("t", service.topic().name(), service.database().conninfo(),
                  "{id: msg.id, parent_id: msg.parent}") +
      "server: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nlog: {format: json}\n");
  const auto child = [](int id) { return std::format(R"({{"id":{0},"parent":{0}}})", id); };
  const auto parent = [](int id) { return std::format(R"({{"id":{0}}})", id); };
  const auto dead_letters = [&] {
    return service.database().number("SELECT count(*) FROM penstock.dead_letters");
  };

  service.topic().produce({child(0)});
  ASSERT_TRUE(wait_until([&] { return dead_letters() == 1; })) << serve.log();
  parents.produce({parent(0)});
  const DeadLetter letter = service.dead_letters().front();
  EXPECT_EQ(letter.stage + " " + letter.reason + " " + letter.sqlstate,
            "write foreign_key_violation 23503");
  EXPECT_TRUE(letter.message.contains("\"t_parent_id_fkey\"")) << letter.message;

  // 10,000 pairs at once, the children first in half of them.
  std::vector<std::optional<std::string>> early;
  std::vector<std::optional<std::string>> late;
  std::vector<std::optional<std::string>> all;
  for (int id = 1; id <= 10'000; ++id) {
    (id <= 5'000 ? early : late).emplace_back(child(id));
    all.emplace_back(parent(id));
  }
  service.topic().produce(early);
  parents.produce(all);
  service.topic().produce(late);
  const auto rows = [&] { return service.database().number("SELECT count(*) FROM t"); };
  EXPECT_TRUE(wait_until([&] { return rows() + dead_letters() == 10'001; }, 150s))
      << rows() << " rows, " << dead_letters() << " dead letters\n"
      << serve.log();
  EXPECT_EQ(service.database().number("SELECT count(*) FROM parents"), 10'001);
  EXPECT_EQ(service.database().number("SELECT count(*) FROM penstock.dead_letters WHERE sqlstate "
                                      "IS DISTINCT FROM '23503'"),
            0);
  // Those that all came too early are no flood of dead letters.
  EXPECT_LT(dead_letters(), 2'500) << serve.log();
}

}  // namespace
}  // namespace penstock::test
