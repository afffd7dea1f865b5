#include "offsets/registry.h"

#include <chrono>
#include <cstdlib>
#include <utility>

#include "offsets/database.h"
#include "offsets/position_table.h"
#include "postgres/own_schema.h"
#include "postgres/pool.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;
using postgres::Connection;
using postgres::Failure;
using postgres::Try;

constexpr auto kAnswerLimit = 10s;
constexpr auto kLockTimeout = 5s;

// What is entered that has to do with an identity: its own row, and those of other names that read
// one of its topics with its group.
constexpr const char* kLook =
    "SELECT p.pipeline = $1, p.pipeline, p.consumer_group, p.cluster_id, "
    "array_to_string(p.tables, ', '), p.tables && $5::text[], "
    "array_to_string(ARRAY(SELECT t FROM unnest(p.topics) t WHERE t = ANY ($4::text[]) "
    "ORDER BY t), ', '), "
    "to_char(p.first_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
    "FROM penstock.pipelines p WHERE p.pipeline = $1 OR (p.consumer_group = $2 "
    "AND (p.cluster_id IN ('', $3) OR $3 = '') AND p.topics && $4::text[]) ORDER BY 1 DESC, 2";

// Who has it keeps it, so that nobody takes the pipeline for stopped. A row that is made anew
// begins with an epoch above all that were given under its name before, which grow by one with each
// claim. What was read of the same log stays known; a reading of nothing is none.
constexpr const char* kReset =
    "INSERT INTO penstock.offsets AS o (pipeline, topic, partition, next_offset, epoch, owner, "
    "backend_pid, cluster_id, topic_id, readings) "
    "SELECT $1, $2, u.partition, u.next_offset, "
    "(extract(epoch FROM clock_timestamp()) * 1000)::bigint, '', 0, $3, $4, "
    "jsonb_build_array(jsonb_build_object('from', u.next_offset, 'letters', "
    "penstock.newest_dead_letter())) "
    "FROM unnest($5::integer[], $6::bigint[]) AS u(partition, next_offset) ORDER BY u.partition "
    "ON CONFLICT (pipeline, topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset, "
    "epoch = o.epoch + 1, cluster_id = EXCLUDED.cluster_id, "
    "topic_id = EXCLUDED.topic_id, leader_epoch = -1, updated_at = now(), "
    "readings = CASE WHEN '' NOT IN (o.topic_id, EXCLUDED.topic_id) AND "
    "o.topic_id <> EXCLUDED.topic_id OR '' NOT IN (o.cluster_id, EXCLUDED.cluster_id) AND "
    "o.cluster_id <> EXCLUDED.cluster_id THEN '[]' "
    "WHEN (o.readings->-1->>'from')::bigint = o.next_offset THEN o.readings - (-1) "
    "ELSE jsonb_set(o.readings, '{-1,to}', to_jsonb(o.next_offset)) END || EXCLUDED.readings";

constexpr const char* kEnter =
    "INSERT INTO penstock.pipelines AS p (pipeline, consumer_group, cluster_id, topics, tables, "
    "partitions) SELECT $1, $2, $3, $4::text[], $5::text[], "
    // An entry that somebody deleted: what has a position has begun.
    "(SELECT coalesce(jsonb_object_agg(o.topic, o.begun), '{}') FROM (SELECT o.topic, "
    "max(o.partition) + 1 AS begun FROM penstock.offsets o WHERE o.pipeline = $1 GROUP BY o.topic) "
    "o) ON CONFLICT (pipeline) DO UPDATE SET "
    "consumer_group = EXCLUDED.consumer_group, "
    "cluster_id = coalesce(nullif(EXCLUDED.cluster_id, ''), p.cluster_id), "
    "topics = EXCLUDED.topics, tables = EXCLUDED.tables "
    "WHERE (p.consumer_group, p.topics, p.tables) IS DISTINCT FROM "
    "(EXCLUDED.consumer_group, EXCLUDED.topics, EXCLUDED.tables) "
    "OR EXCLUDED.cluster_id NOT IN ('', p.cluster_id)";

std::string array_of(const std::vector<std::string>& values) {
  ArrayText array;
  for (const std::string& value : values) array.add(std::string_view(value));
  return array.text();
}

std::string list_of(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : ", ") + value;
  return text;
}

std::unexpected<Failure> conflict(std::string message, std::string hint) {
  return postgres::failed(postgres::FailureClass::configuration, ErrorKind::conflict,
                          std::move(message), std::move(hint));
}

// How to go on under the same name.
std::string adopt_hint(const std::string& pipeline) {
  return "if this is another pipeline, give it a name of its own. If it was changed on purpose, "
         "stop every process of it and run: penstock offsets adopt " +
         pipeline + " --config FILE";
}

Try<void> judge_own(const Identity& identity, const postgres::Reply& rows, int row) {
  const std::string begin = "the positions of pipeline '" + identity.pipeline + "' belong to ";
  const std::string since = " (since " + rows.string(row, 7) + ")";
  if (rows.text(row, 2) != identity.group) {
    return conflict(begin + "consumer group '" + rows.string(row, 2) + "'" + since +
                        ", and this is group '" + identity.group + "'",
                    adopt_hint(identity.pipeline));
  }
  const std::string_view cluster = rows.text(row, 3);
  if (!cluster.empty() && !identity.cluster_id.empty() && cluster != identity.cluster_id) {
    return conflict(begin + "the Kafka cluster '" + std::string(cluster) + "'" + since +
                        ", and these brokers are '" + identity.cluster_id + "'",
                    "check bootstrap.servers; " + adopt_hint(identity.pipeline));
  }
  if (!rows.is_true(row, 5)) {
    return conflict(begin + "a pipeline that writes " + rows.string(row, 4) + since +
                        ", and this one writes " + list_of(identity.tables),
                    adopt_hint(identity.pipeline));
  }
  return {};
}

Try<void> judge_other(const Identity& identity, const postgres::Reply& rows, int row) {
  const std::string other = rows.string(row, 1);
  return conflict("pipeline '" + other + "' reads topic " + rows.string(row, 6) +
                      " with the consumer group '" + identity.group +
                      "', too: each would get some of the partitions",
                  "if '" + other +
                      "' is this pipeline under its old name, stop it and run: penstock offsets "
                      "rename " +
                      other + " " + identity.pipeline +
                      " --config FILE. If both are meant to run, give "
                      "each a group of its own. If '" +
                      other + "' is gone for good: penstock offsets forget " + other +
                      " --yes-drop-positions --config FILE");
}

enum class Own : std::uint8_t { judged, replaced };

Try<void> judge(Connection& connection, const Identity& identity, Own own) {
  auto rows = connection.execute(kLook, {identity.pipeline, identity.group, identity.cluster_id,
                                         array_of(identity.topics), array_of(identity.tables)});
  if (!rows) return std::unexpected(std::move(rows.error()));
  for (int row = 0; row < rows->rows(); ++row) {
    const bool is_own = rows->is_true(row, 0);
    if (is_own && own == Own::replaced) continue;
    auto judged = is_own ? judge_own(identity, *rows, row) : judge_other(identity, *rows, row);
    if (!judged) return judged;
  }
  return {};
}

Try<void> judge_topics(Connection& connection, const Identity& identity) {
  auto rows = connection.execute(
      "SELECT o.topic, o.topic_id, string_agg(o.partition::text, ', ' ORDER BY o.partition), "
      "count(*) FROM penstock.offsets o WHERE o.pipeline = $1 AND o.topic_id <> '' "
      "GROUP BY o.topic, o.topic_id ORDER BY o.topic, o.topic_id",
      {identity.pipeline});
  if (!rows) return std::unexpected(std::move(rows.error()));
  for (int row = 0; row < rows->rows(); ++row) {
    const auto now = identity.topic_ids.find(rows->string(row, 0));
    if (now == identity.topic_ids.end() || now->second.empty() ||
        now->second == rows->text(row, 1)) {
      continue;
    }
    const bool is_one = rows->text(row, 3) == "1";
    return conflict("the stored position" + std::string(is_one ? "" : "s") + " of topic '" +
                        now->first + "', partition" + (is_one ? " " : "s ") + rows->string(row, 2) +
                        " belong" + (is_one ? "s" : "") + " to an earlier topic of that name (id " +
                        rows->string(row, 1) + "): it was deleted and made again (id " +
                        now->second + "), and " + (is_one ? "that" : "these") +
                        " would not be read",
                    "if that is meant to be: penstock offsets reset " + identity.pipeline +
                        " --topic " + now->first +
                        " --to beginning --config FILE (that is all of its partitions; "
                        "--partition N is one). If not, check bootstrap.servers");
  }
  return {};
}

Try<void> write(Connection& connection, const Identity& identity) {
  auto written = connection.execute(kEnter, {identity.pipeline, identity.group, identity.cluster_id,
                                             array_of(identity.topics), array_of(identity.tables)});
  if (!written) return std::unexpected(std::move(written.error()));
  auto there = connection.execute(
      "SELECT FROM penstock.pipelines p WHERE p.pipeline = $1 AND (p.consumer_group, p.topics, "
      "p.tables) = ($2::text, $3::text[], $4::text[])",
      {identity.pipeline, identity.group, array_of(identity.topics), array_of(identity.tables)});
  if (!there) return std::unexpected(std::move(there.error()));
  if (there->rows() == 0) return std::unexpected(postgres::not_written(connection, "pipelines"));
  return {};
}

// Calls `body` in a transaction of its own.
template <typename Body>
auto in_transaction(postgres::Pool& pool, const std::string& pipeline, const std::stop_token& stop,
                    Body body)
    -> Result<typename std::invoke_result_t<Body, Connection&>::value_type> {
  using Answer = std::invoke_result_t<Body, Connection&>;
  const auto run = [&](Connection& connection) -> Answer {
    auto begun = begin(connection, {.pipeline = pipeline, .lock_timeout = kLockTimeout});
    if (!begun) return std::unexpected(std::move(begun.error()));
    Answer answer = body(connection);
    if (answer) {
      auto committed = commit(connection);
      if (!committed) return std::unexpected(std::move(committed.error()));
    } else if (!answer.error().connection_lost) {
      roll_back(connection);
      postgres::explain(connection, answer.error());
    }
    return answer;
  };
  return pool.with_connection(stop, kAnswerLimit, run).transform_error([](const Failure& failure) {
    return error_of(failure);
  });
}

// The same, while nobody else can enter a pipeline.
template <typename Body>
auto alone(postgres::Pool& pool, const std::string& pipeline, const std::stop_token& stop,
           Body body) -> Result<typename std::invoke_result_t<Body, Connection&>::value_type> {
  return in_transaction(
      pool, pipeline, stop, [&](Connection& connection) -> std::invoke_result_t<Body, Connection&> {
        auto locked =
            connection.execute("LOCK TABLE penstock.pipelines IN SHARE ROW EXCLUSIVE MODE");
        if (!locked) return std::unexpected(std::move(locked.error()));
        return body(connection);
      });
}

// Nothing of the pipeline moves while it is given to somebody else.
Try<void> refuse_claimed(Connection& connection, const std::string& pipeline, Claimed claimed) {
  if (claimed == Claimed::ended) return {};
  auto rows = connection.execute(
      "SELECT count(*), string_agg(DISTINCT o.owner, ', ') FROM penstock.offsets o "
      "WHERE o.pipeline = $1 AND o.owner <> ''",
      {pipeline});
  if (!rows) return std::unexpected(std::move(rows.error()));
  if (rows->text(0, 0) == "0") return {};
  return conflict(rows->string(0, 0) + " partitions of pipeline '" + pipeline +
                      "' are claimed by " + rows->string(0, 1),
                  "stop every process of it; if they have ended (a crash leaves its claims "
                  "behind), say so with --yes-it-is-stopped");
}

Try<std::size_t> affected(Try<postgres::Reply> reply) {
  if (!reply) return std::unexpected(std::move(reply.error()));
  const std::string_view tag = reply->tag();  // "UPDATE 3"
  return static_cast<std::size_t>(
      std::strtoull(std::string(tag.substr(tag.rfind(' ') + 1)).c_str(), nullptr, 10));
}

std::unexpected<Failure> no_positions(const std::string& pipeline) {
  return postgres::failed(postgres::FailureClass::configuration, ErrorKind::not_found,
                          "there is no pipeline '" + pipeline + "' in this database",
                          "penstock offsets list shows those that there are");
}

}  // namespace

Result<void> enter(postgres::Pool& pool, const Identity& identity, const std::stop_token& stop) {
  return alone(pool, identity.pipeline, stop, [&](Connection& connection) -> Try<void> {
    auto judged = judge(connection, identity, Own::judged);
    return judged ? write(connection, identity) : judged;
  });
}

Result<void> may_enter(postgres::Pool& pool, const Identity& identity,
                       const std::stop_token& stop) {
  return in_transaction(pool, identity.pipeline, stop, [&](Connection& connection) {
    auto judged = judge(connection, identity, Own::judged);
    return judged ? judge_topics(connection, identity) : judged;
  });
}

Result<void> check_schema(postgres::Pool& pool, const std::stop_token& stop) {
  return in_transaction(pool, "schema", stop, [](Connection& connection) {
    return postgres::check_own_schema(connection);
  });
}

Result<std::vector<Position>> positions(postgres::Pool& pool) {
  return in_transaction(
      pool, "offsets", {}, [](Connection& connection) -> Try<std::vector<Position>> {
        auto rows = connection.execute(
            "SELECT o.pipeline, o.topic, o.partition, o.next_offset, o.owner, "
            "to_char(o.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
            "FROM penstock.offsets o ORDER BY o.pipeline, o.topic, o.partition",
            {});
        if (!rows) return std::unexpected(std::move(rows.error()));
        std::vector<Position> all;
        for (int row = 0; row < rows->rows(); ++row) {
          all.push_back({.pipeline = rows->string(row, 0),
                         .topic = rows->string(row, 1),
                         .partition = std::atoi(rows->string(row, 2).c_str()),
                         .next_offset = std::atoll(rows->string(row, 3).c_str()),
                         .owner = rows->string(row, 4),
                         .updated_at = rows->string(row, 5)});
        }
        return all;
      });
}

Result<std::size_t> rename(postgres::Pool& pool, const std::string& from, const std::string& to,
                           Claimed claimed) {
  return alone(pool, from, {}, [&](Connection& connection) -> Try<std::size_t> {
    auto taken = connection.execute(
        "SELECT EXISTS (SELECT FROM penstock.offsets o WHERE o.pipeline = $1) "
        "OR EXISTS (SELECT FROM penstock.pipelines p WHERE p.pipeline = $1)",
        {to});
    if (!taken) return std::unexpected(std::move(taken.error()));
    if (taken->is_true(0, 0)) {
      return conflict("there is a pipeline '" + to + "' in this database already",
                      "penstock offsets list shows its positions");
    }
    if (auto free = refuse_claimed(connection, from, claimed); !free) {
      return std::unexpected(std::move(free.error()));
    }
    auto moved = affected(connection.execute(
        "UPDATE penstock.offsets o SET pipeline = $2 WHERE o.pipeline = $1", {from, to}));
    if (!moved) return moved;
    auto entered = affected(connection.execute(
        "UPDATE penstock.pipelines p SET pipeline = $2 WHERE p.pipeline = $1", {from, to}));
    if (!entered) return entered;
    if (*moved == 0 && *entered == 0) return no_positions(from);
    return moved;
  });
}

Result<void> adopt(postgres::Pool& pool, const Identity& identity, Claimed claimed) {
  return alone(pool, identity.pipeline, {}, [&](Connection& connection) -> Try<void> {
    auto fit = refuse_claimed(connection, identity.pipeline, claimed);
    if (fit) fit = judge(connection, identity, Own::replaced);
    return fit ? write(connection, identity) : fit;
  });
}

Result<std::vector<NewPosition>> reset(postgres::Pool& pool, const std::string& pipeline,
                                       const std::string& cluster_id, const std::string& topic,
                                       const std::string& topic_id,
                                       std::vector<NewPosition> positions) {
  return in_transaction(
      pool, pipeline, {}, [&](Connection& connection) -> Try<std::vector<NewPosition>> {
        ArrayText partitions;
        ArrayText offsets;
        std::int32_t begun = 0;
        for (const NewPosition& position : positions) {
          if (position.partition == begun) ++begun;
          partitions.add(position.partition);
          offsets.add(position.next_offset);
        }
        auto kept = keep_begun(connection, pipeline, topic, begun);
        if (!kept) return std::unexpected(std::move(kept.error()));
        auto rows = connection.execute(
            "SELECT o.partition, o.next_offset FROM penstock.offsets o WHERE o.pipeline = $1 "
            "AND o.topic = $2 AND o.partition = ANY ($3::integer[]) "
            "ORDER BY o.topic, o.partition FOR UPDATE OF o",
            {pipeline, topic, partitions.text()});
        if (!rows) return std::unexpected(std::move(rows.error()));
        for (int row = 0; row < rows->rows(); ++row) {
          for (NewPosition& position : positions) {
            if (position.partition != std::atoi(rows->string(row, 0).c_str())) continue;
            position.was = std::atoll(rows->string(row, 1).c_str());
          }
        }
        auto letters = connection.execute(
            "SELECT u.partition, count(*) FROM unnest($3::integer[], $4::bigint[]) "
            "AS u(partition, next_offset) JOIN penstock.dead_letters d ON d.pipeline = $1 AND "
            "d.topic = $2 AND d.partition = u.partition AND d.\"offset\" >= u.next_offset "
            "LEFT JOIN penstock.offsets o ON o.pipeline = $1 AND o.topic = $2 AND "
            "o.partition = u.partition "
            // Not those of an earlier topic of that name.
            "WHERE o.pipeline IS NULL OR d.id > (o.readings->0->>'letters')::bigint AND "
            "o.topic_id IN ('', coalesce(nullif($5, ''), o.topic_id)) GROUP BY u.partition",
            {pipeline, topic, partitions.text(), offsets.text(), topic_id});
        if (!letters) return std::unexpected(std::move(letters.error()));
        for (int row = 0; row < letters->rows(); ++row) {
          for (NewPosition& position : positions) {
            if (position.partition != std::atoi(letters->string(row, 0).c_str())) continue;
            position.letters = std::atoll(letters->string(row, 1).c_str());
          }
        }
        auto done = connection.execute(
            kReset, {pipeline, topic, cluster_id, topic_id, partitions.text(), offsets.text()});
        if (!done) return std::unexpected(std::move(done.error()));
        if (done->rows_written() < positions.size()) {
          return std::unexpected(postgres::not_written(connection, "offsets"));
        }
        return positions;
      });
}

Result<std::size_t> forget(postgres::Pool& pool, const std::string& pipeline, Claimed claimed) {
  return alone(pool, pipeline, {}, [&](Connection& connection) -> Try<std::size_t> {
    if (auto free = refuse_claimed(connection, pipeline, claimed); !free) {
      return std::unexpected(std::move(free.error()));
    }
    auto entered = affected(
        connection.execute("DELETE FROM penstock.pipelines p WHERE p.pipeline = $1", {pipeline}));
    if (!entered) return entered;
    auto dropped = affected(
        connection.execute("DELETE FROM penstock.offsets o WHERE o.pipeline = $1", {pipeline}));
    if (dropped && *dropped == 0 && *entered == 0) return no_positions(pipeline);
    return dropped;
  });
}

}  // namespace penstock::offsets
