#include "integration/offsets/fence_contract.h"

#include <cstdint>
#include <functional>
#include <future>
#include <stdexcept>
#include <utility>

#include "harness/sql.h"
#include "support/servers.h"

namespace penstock::test {
namespace {

template <typename T>
T unwrap(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

struct Step {
  std::string topic;
  int partition;
  std::int64_t epoch;
  std::int64_t from;
  std::int64_t to;
  int leader_epoch = 3;
};

class Session {
 public:
  Session(const std::string& conninfo, std::string pipeline)
      : sql_(unwrap(harness::Sql::connect(conninfo))), pipeline_(std::move(pipeline)) {
    // "ok", or the SQLSTATE and the DETAIL of the failure.
    run("CREATE FUNCTION pg_temp.try_advance(text, text[], integer[], bigint[], bigint[], "
        "bigint[], integer[]) "
        "RETURNS text LANGUAGE plpgsql AS $$ DECLARE state text; found text; BEGIN "
        "PERFORM penstock.advance($1, $2, $3, $4, $5, $6, $7); RETURN 'ok'; "
        "EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, "
        "found = PG_EXCEPTION_DETAIL; RETURN state || ' ' || found; END $$");
  }

  void run(const std::string& statements) { unwrap(sql_.execute(statements)); }
  std::string value(const std::string& statement) { return unwrap(sql_.value(statement)); }

  std::string advance(const std::vector<Step>& steps) {
    std::string topics, partitions, epochs, from, to, leader_epochs;
    for (const Step& step : steps) {
      const std::string comma = topics.empty() ? "" : ",";
      topics += comma + step.topic;
      partitions += comma + std::to_string(step.partition);
      epochs += comma + std::to_string(step.epoch);
      from += comma + std::to_string(step.from);
      to += comma + std::to_string(step.to);
      leader_epochs += comma + std::to_string(step.leader_epoch);
    }
    return value("SELECT pg_temp.try_advance('" + pipeline_ + "', '{" + topics + "}', '{" +
                 partitions + "}', '{" + epochs + "}', '{" + from + "}', '{" + to + "}', '{" +
                 leader_epochs + "}')");
  }

  // Puts a partition at `next_offset` under `epoch`.
  void place(const std::string& topic, int partition, std::int64_t epoch,
             std::int64_t next_offset) {
    run("INSERT INTO penstock.offsets VALUES ('" + pipeline_ + "', '" + topic + "', " +
        std::to_string(partition) + ", " + std::to_string(next_offset) + ", " +
        std::to_string(epoch) +
        ", 'test', 0, '', '') ON CONFLICT (pipeline, topic, partition) "
        "DO UPDATE SET next_offset = EXCLUDED.next_offset, epoch = EXCLUDED.epoch");
  }

  std::string next_offset(const std::string& topic, int partition) {
    return value("SELECT next_offset FROM penstock.offsets WHERE pipeline = '" + pipeline_ +
                 "' AND topic = '" + topic + "' AND partition = " + std::to_string(partition));
  }

 private:
  harness::Sql sql_;
  std::string pipeline_;
};

bool refused(const std::string& answer) { return answer.starts_with("PS001 "); }

// `second` begins while `first` holds the row in an open transaction; what does `second` hear when
// that commits? Empty when it did not wait.
std::string answer_after_waiting(const std::string& conninfo, const std::string& pipeline,
                                 const std::function<void(Session&)>& in_first, Step in_second) {
  Session first(conninfo, pipeline);
  Session second(conninfo, pipeline);
  Session watch(conninfo, pipeline);
  const std::string pid = second.value("SELECT pg_backend_pid()");
  first.run("BEGIN");
  in_first(first);
  auto answer = std::async(std::launch::async, [&] { return second.advance({in_second}); });
  const bool waited = wait_until([&] {
    return watch.value(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
               "pid = " +
               pid) == "1" ||
           answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
  const bool too_early = answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  first.run("COMMIT");
  const std::string heard = answer.get();
  return waited && !too_early ? heard : "";
}

}  // namespace

std::vector<std::string> violated_rules(const std::string& conninfo) {
  const std::string pipeline = unique_name("fence");
  Session session(conninfo, pipeline);
  std::vector<std::string> violated;
  const auto rule = [&](const char* name, bool kept) {
    if (!kept) violated.emplace_back(name);
  };

  session.place("t", 0, 2, 100);
  rule("advances when epoch and start are right",
       session.advance({{"t", 0, 2, 100, 110}}) == "ok" && session.next_offset("t", 0) == "110");
  rule("refuses an old epoch", refused(session.advance({{"t", 0, 1, 110, 120}})));
  rule("keeps the leader epoch of what was applied last",
       session.advance({{"t", 0, 2, 110, 112, 7}}) == "ok" &&
           session.value("SELECT leader_epoch FROM penstock.offsets WHERE pipeline = '" + pipeline +
                         "'") == "7");
  session.place("t", 0, 2, 110);
  rule("refuses an epoch that was never given", refused(session.advance({{"t", 0, 3, 110, 120}})));
  session.place("t", 0, 2, 110);
  rule("refuses a second try of the same range",
       refused(session.advance({{"t", 0, 2, 100, 110}})) && session.next_offset("t", 0) == "110");
  session.place("t", 0, 2, 110);
  rule("refuses to leave a gap", refused(session.advance({{"t", 0, 2, 115, 120}})));
  rule("refuses a partition that has no row", refused(session.advance({{"t", 9, 1, 0, 1}})));

  session.place("t", 0, 2, 110);
  session.place("t", 1, 5, 7);
  session.place("u", 0, 1, 0);
  rule("advances several partitions at once",
       session.advance({{"u", 0, 1, 0, 3}, {"t", 1, 5, 7, 8}, {"t", 0, 2, 110, 111}}) == "ok" &&
           session.next_offset("t", 0) == "111" && session.next_offset("t", 1) == "8" &&
           session.next_offset("u", 0) == "3");
  session.place("t", 0, 2, 110);
  session.place("t", 1, 5, 7);
  rule("advances all or nothing",
       refused(session.advance({{"t", 0, 2, 110, 120}, {"t", 1, 4, 7, 9}})) &&
           session.next_offset("t", 0) == "110" && session.next_offset("t", 1) == "7");
  session.place("t", 1, 5, 7);
  rule("reports every partition that it refused, and what it found",
       session.advance({{"t", 0, 2, 110, 120}, {"t", 1, 4, 6, 9}, {"x", 3, 1, 0, 1}}) ==
           R"(PS001 [{"epoch": 5, "topic": "t", "partition": 1, "next_offset": 7}, )"
           R"({"epoch": null, "topic": "x", "partition": 3, "next_offset": null}])");

  session.place("w", 0, 1, 0);
  rule("waits for a commit of the same range, then refuses",
       refused(answer_after_waiting(conninfo, pipeline,
                                    [](Session& first) { first.advance({{"w", 0, 1, 0, 5}}); },
                                    {"w", 0, 1, 0, 5})));
  session.place("w", 0, 1, 0);
  rule("waits for a claim, then refuses the old epoch",
       refused(answer_after_waiting(conninfo, pipeline,
                                    [](Session& first) { first.place("w", 0, 2, 0); },
                                    {"w", 0, 1, 0, 5})));
  session.run("DELETE FROM penstock.offsets WHERE pipeline = '" + pipeline + "'");
  return violated;
}

}  // namespace penstock::test
