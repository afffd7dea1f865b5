#include "offsets/position_table.h"

#include <cstdlib>

#include "postgres/own_schema.h"

namespace penstock::offsets {
namespace {

std::int64_t number(const postgres::Reply& reply, int row, int column) {
  return std::strtoll(reply.string(row, column).c_str(), nullptr, 10);
}

Key key_of(const postgres::Reply& reply, int row) {
  return {reply.string(row, 0), static_cast<std::int32_t>(number(reply, row, 1))};
}

// Whatever standard_conforming_strings says.
std::string literal(std::string_view text) {
  std::string out = "E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + "'";
}

// The rows of the keys, with what is in those that could be locked.
std::string lock_statement(Held held) {
  return std::string(
             "WITH wanted AS (SELECT * FROM unnest($2::text[], $3::integer[]) AS "
             "w(topic, partition)), "
             "locked AS MATERIALIZED (SELECT o.topic, o.partition, o.next_offset, o.cluster_id, "
             "o.topic_id FROM penstock.offsets o WHERE o.pipeline = $1 "
             "AND (o.topic, o.partition) IN (SELECT w.topic, w.partition FROM wanted w) "
             "ORDER BY o.topic, o.partition FOR UPDATE OF o") +
         (held == Held::skip ? " SKIP LOCKED" : "") +
         ") SELECT o.topic, o.partition, l.topic IS NOT NULL, l.next_offset, l.cluster_id, "
         "l.topic_id FROM penstock.offsets o LEFT JOIN locked l "
         "ON l.topic = o.topic AND l.partition = o.partition WHERE o.pipeline = $1 "
         "AND (o.topic, o.partition) IN (SELECT w.topic, w.partition FROM wanted w)";
}

}  // namespace

void ArrayText::add(std::string_view value) {
  elements_ += elements_.empty() ? "\"" : ",\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') elements_ += '\\';
    elements_ += c;
  }
  elements_ += '"';
}

postgres::Try<void> begin(postgres::Connection& connection, const Limits& limits) {
  const auto ms = [](std::chrono::milliseconds time) { return std::to_string(time.count()); };
  auto begun = connection.execute(
      "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SET LOCAL lock_timeout = " +
      ms(limits.lock_timeout) +
      "; SET LOCAL statement_timeout = " + ms(limits.lock_timeout + std::chrono::seconds(1)) +
      "; SET LOCAL idle_in_transaction_session_timeout = " +
      ms(limits.lock_timeout + std::chrono::seconds(5)) +
      "; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL application_name = " +
      literal("penstock/" + limits.pipeline + "/claims") +
      // Rare, and others build on it: durable, however rows are committed.
      "; SELECT set_config('synchronous_commit', 'on', true) "
      "WHERE current_setting('synchronous_commit') = 'off'");
  if (!begun) return std::unexpected(std::move(begun.error()));
  return {};
}

postgres::Try<void> commit(postgres::Connection& connection) {
  auto committed = connection.execute("COMMIT");
  if (!committed) return std::unexpected(std::move(committed.error()));
  return {};
}

void roll_back(postgres::Connection& connection) {
  // If it fails, the connection is not used again.
  static_cast<void>(connection.execute("ROLLBACK"));
}

bool timed_out(const postgres::Failure& failure) {
  return failure.error.sqlstate == "55P03" || failure.error.sqlstate == "57014";
}

postgres::Try<std::map<Key, StoredRow>> lock_rows(postgres::Connection& connection,
                                                  const std::string& pipeline,
                                                  const KeyColumns& keys, Held held) {
  auto reply = connection.execute(lock_statement(held),
                                  {pipeline, keys.topics.text(), keys.partitions.text()});
  if (!reply) return std::unexpected(std::move(reply.error()));
  std::map<Key, StoredRow> rows;
  for (int row = 0; row < reply->rows(); ++row) {
    rows[key_of(*reply, row)] = {.locked = reply->is_true(row, 2),
                                 .next_offset = number(*reply, row, 3),
                                 .cluster_id = reply->string(row, 4),
                                 .topic_id = reply->string(row, 5)};
  }
  return rows;
}

postgres::Try<std::map<std::string, std::pair<std::int32_t, StoredRow>>> foreign_rows(
    postgres::Connection& connection, const std::string& pipeline,
    const std::vector<const ClaimRequest*>& requests) {
  ArrayText topics;
  ArrayText clusters;
  ArrayText ids;
  for (const ClaimRequest* request : requests) {
    topics.add(request->topic);
    clusters.add(request->cluster_id);
    ids.add(request->topic_id);
  }
  auto reply = connection.execute(
      "SELECT DISTINCT ON (o.topic) o.topic, o.partition, o.next_offset, o.cluster_id, o.topic_id "
      "FROM penstock.offsets o JOIN unnest($2::text[], $3::text[], $4::text[]) "
      "AS u(topic, cluster_id, topic_id) ON u.topic = o.topic WHERE o.pipeline = $1 "
      "AND (('' NOT IN (o.cluster_id, u.cluster_id) AND o.cluster_id <> u.cluster_id) "
      "OR ('' NOT IN (o.topic_id, u.topic_id) AND o.topic_id <> u.topic_id)) "
      "ORDER BY o.topic, o.partition",
      {pipeline, topics.text(), clusters.text(), ids.text()});
  if (!reply) return std::unexpected(std::move(reply.error()));
  std::map<std::string, std::pair<std::int32_t, StoredRow>> rows;
  for (int row = 0; row < reply->rows(); ++row) {
    rows[reply->string(row, 0)] = {static_cast<std::int32_t>(number(*reply, row, 1)),
                                   {.locked = false,
                                    .next_offset = number(*reply, row, 2),
                                    .cluster_id = reply->string(row, 3),
                                    .topic_id = reply->string(row, 4)}};
  }
  return rows;
}

postgres::Try<std::optional<std::map<std::string, std::int32_t>>> begun_partitions(
    postgres::Connection& connection, const std::string& pipeline) {
  auto reply = connection.execute(
      "SELECT b.key, b.value FROM penstock.pipelines p "
      "LEFT JOIN LATERAL jsonb_each_text(p.partitions) b ON true WHERE p.pipeline = $1",
      {pipeline});
  if (!reply) return std::unexpected(std::move(reply.error()));
  if (reply->rows() == 0) return std::nullopt;
  std::map<std::string, std::int32_t> begun;
  for (int row = 0; row < reply->rows(); ++row) {
    if (reply->is_null(row, 0)) continue;
    begun[reply->string(row, 0)] = static_cast<std::int32_t>(number(*reply, row, 1));
  }
  return begun;
}

postgres::Try<void> keep_begun(postgres::Connection& connection, const std::string& pipeline,
                               const std::string& topic, std::int32_t begun) {
  auto kept = connection.execute(
      "UPDATE penstock.pipelines p "
      "SET partitions = p.partitions || jsonb_build_object($2::text, $3::integer), "
      // One that a pattern has found since the pipeline was entered.
      "topics = CASE WHEN $2::text = ANY (p.topics) THEN p.topics ELSE p.topics || $2::text END "
      "WHERE p.pipeline = $1 AND coalesce((p.partitions ->> $2::text)::integer, 0) < $3::integer",
      {pipeline, topic, std::to_string(begun)});
  if (!kept) return std::unexpected(std::move(kept.error()));
  auto lost = connection.execute(
      "SELECT FROM penstock.pipelines p WHERE p.pipeline = $1 "
      "AND coalesce((p.partitions ->> $2::text)::integer, 0) < $3::integer",
      {pipeline, topic, std::to_string(begun)});
  if (!lost) return std::unexpected(std::move(lost.error()));
  if (lost->rows() > 0) return std::unexpected(postgres::not_written(connection, "pipelines"));
  return {};
}

postgres::Try<void> make_rows(postgres::Connection& connection, const std::string& pipeline,
                              const TopicBeginning& beginning) {
  // One after the other: who comes second finds what the first has stored.
  auto locked = connection.execute(
      "SELECT coalesce((p.partitions ->> $2::text)::integer, 0) FROM penstock.pipelines p "
      "WHERE p.pipeline = $1 FOR UPDATE OF p",
      {pipeline, beginning.topic});
  if (!locked) return std::unexpected(std::move(locked.error()));
  std::int32_t begun = locked->rows() == 0 ? 0 : static_cast<std::int32_t>(number(*locked, 0, 0));
  ArrayText partitions;
  ArrayText offsets;
  for (std::size_t i = 0; i < beginning.offsets.size(); ++i) {
    const std::int32_t partition = beginning.first + static_cast<std::int32_t>(i);
    if (partition < begun || !beginning.offsets[i]) continue;
    partitions.add(partition);
    offsets.add(*beginning.offsets[i]);
    if (partition == begun) ++begun;
  }
  auto made = connection.execute(
      "INSERT INTO penstock.offsets (pipeline, topic, partition, next_offset, epoch, owner, "
      "backend_pid, cluster_id, topic_id, readings) "
      "SELECT $1, $2, u.partition, u.next_offset, 0, '', 0, $3, $4, "
      "jsonb_build_array(jsonb_build_object('from', u.next_offset, 'letters', "
      "penstock.newest_dead_letter())) "
      "FROM unnest($5::integer[], $6::bigint[]) AS u(partition, next_offset) "
      "ORDER BY u.partition ON CONFLICT (pipeline, topic, partition) DO NOTHING",
      {pipeline, beginning.topic, beginning.cluster_id, beginning.topic_id, partitions.text(),
       offsets.text()});
  if (!made) return std::unexpected(std::move(made.error()));
  auto lost = connection.execute(
      "SELECT FROM unnest($3::integer[]) AS u(partition) WHERE NOT EXISTS (SELECT FROM "
      "penstock.offsets o WHERE o.pipeline = $1 AND o.topic = $2 AND o.partition = u.partition)",
      {pipeline, beginning.topic, partitions.text()});
  if (!lost) return std::unexpected(std::move(lost.error()));
  if (lost->rows() > 0) return std::unexpected(postgres::not_written(connection, "offsets"));
  return keep_begun(connection, pipeline, beginning.topic, begun);
}

postgres::Try<std::map<Key, Taken>> take_rows(postgres::Connection& connection,
                                              const std::string& pipeline, const std::string& owner,
                                              const std::vector<Claim>& claims) {
  std::map<Key, Taken> taken;
  if (claims.empty()) return taken;
  KeyColumns keys;
  ArrayText clusters;
  ArrayText topic_ids;
  ArrayText epochs;
  for (const Claim& claim : claims) {
    keys.add(claim.request->topic, claim.request->id.partition);
    clusters.add(claim.request->cluster_id);
    topic_ids.add(claim.request->topic_id);
    epochs.add(value_of(claim.least));
  }
  auto reply = connection.execute(
      "UPDATE penstock.offsets o SET epoch = greatest(o.epoch + 1, u.epoch), owner = $2, "
      "backend_pid = pg_backend_pid(), claimed_at = now(), "
      "cluster_id = coalesce(nullif(u.cluster_id, ''), o.cluster_id), "
      "topic_id = coalesce(nullif(u.topic_id, ''), o.topic_id) "
      "FROM unnest($3::text[], $4::integer[], $5::text[], $6::text[], $7::bigint[]) "
      "AS u(topic, partition, cluster_id, topic_id, epoch) "
      "WHERE o.pipeline = $1 AND o.topic = u.topic AND o.partition = u.partition "
      "RETURNING o.topic, o.partition, o.epoch, o.next_offset, o.leader_epoch",
      {pipeline, owner, keys.topics.text(), keys.partitions.text(), clusters.text(),
       topic_ids.text(), epochs.text()});
  if (!reply) return std::unexpected(std::move(reply.error()));
  for (int row = 0; row < reply->rows(); ++row) {
    taken[key_of(*reply, row)] = {
        .epoch = Epoch{number(*reply, row, 2)},
        .next_offset = number(*reply, row, 3),
        .leader_epoch = static_cast<std::int32_t>(number(*reply, row, 4))};
  }
  return taken;
}

postgres::Try<void> release_rows(postgres::Connection& connection, const std::string& pipeline,
                                 const KeyColumns& keys, const ArrayText& epochs) {
  auto reply = connection.execute(
      "WITH mine AS MATERIALIZED (SELECT o.topic, o.partition FROM penstock.offsets o "
      "JOIN unnest($2::text[], $3::integer[], $4::bigint[]) AS u(topic, partition, epoch) "
      "ON o.topic = u.topic AND o.partition = u.partition AND o.epoch = u.epoch "
      "WHERE o.pipeline = $1 ORDER BY o.topic, o.partition FOR UPDATE OF o SKIP LOCKED) "
      "UPDATE penstock.offsets o SET owner = '', backend_pid = 0 FROM mine "
      "WHERE o.pipeline = $1 AND o.topic = mine.topic AND o.partition = mine.partition",
      {pipeline, keys.topics.text(), keys.partitions.text(), epochs.text()});
  if (!reply) return std::unexpected(std::move(reply.error()));
  return {};
}

}  // namespace penstock::offsets
