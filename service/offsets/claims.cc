#include "offsets/claims.h"

#include <algorithm>
#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/log.h"
#include "core/stats.h"
#include "offsets/blockers.h"
#include "offsets/database.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;

// Another claim may come in between two of our steps; more often than this it is no coincidence.
constexpr int kMostRaces = 3;

struct Row {
  std::int64_t epoch = 0;
  Offset next_offset = 0;
  std::string cluster_id;
  std::string topic_id;
};
using Key = std::pair<std::string, std::int32_t>;  // topic, partition
using Rows = std::map<Key, Row>;

// Columns of the partitions, as array parameters.
struct Columns {
  std::vector<std::string> topics;
  std::vector<std::int32_t> partitions;

  void add(const std::string& topic, std::int32_t partition) {
    topics.push_back(topic);
    partitions.push_back(partition);
  }
};

// Takes the row locks in the order in which penstock.advance() does: no deadlock with a lane.
Rows lock_rows(pqxx::transaction_base& transaction, const std::string& pipeline,
               const Columns& keys) {
  Rows rows;
  for (const auto& row : transaction.exec(
           "SELECT o.topic, o.partition, o.epoch, o.next_offset, o.cluster_id, o.topic_id "
           "FROM penstock.offsets o WHERE o.pipeline = $1 AND (o.topic, o.partition) IN "
           "(SELECT * FROM unnest($2::text[], $3::integer[])) "
           "ORDER BY o.topic, o.partition FOR UPDATE OF o",
           pqxx::params{pipeline, keys.topics, keys.partitions})) {
    rows[{row[0].as<std::string>(), row[1].as<std::int32_t>()}] = {
        row[2].as<std::int64_t>(), row[3].as<Offset>(), row[4].as<std::string>(),
        row[5].as<std::string>()};
  }
  return rows;
}

bool differ(const std::string& stored, const std::string& found) {
  return !stored.empty() && !found.empty() && stored != found;
}

std::string sql_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c;
    if (c == '\'') out += c;
  }
  return out + "'";
}

// Empty when the stored position belongs to the very topic that is asked for.
std::string refusal(const std::string& pipeline, const ClaimRequest& request, const Row& row) {
  std::string what;
  if (differ(row.cluster_id, request.cluster_id)) {
    what = "belongs to the Kafka cluster '" + row.cluster_id + "', but these brokers are '" +
           request.cluster_id + "'";
  } else if (differ(row.topic_id, request.topic_id)) {
    what = "belongs to an earlier topic of that name (id " + row.topic_id +
           "): the topic was deleted and made again (id " + request.topic_id + ")";
  } else {
    return {};
  }
  return "the stored position " + std::to_string(row.next_offset) + " of topic '" + request.topic +
         "', partition " + std::to_string(request.id.partition) + " " + what +
         ". If that is meant to be, stop this pipeline everywhere and begin anew with: DELETE FROM "
         "penstock.offsets WHERE pipeline = " +
         sql_literal(pipeline) + " AND topic = " + sql_literal(request.topic) +
         "; or give the pipeline another name. If not, check bootstrap.servers";
}

}  // namespace

class Claims::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {}

  Result<std::vector<ClaimAnswer>> claim(std::span<const ClaimRequest> requests) {
    return with_connection([&] {
      try {
        return claim_in_time(requests);
      } catch (const std::exception& exception) {
        if (!timed_out(exception)) throw;
      }
      lock_timeouts_.add();
      return claim_against(requests);
    });
  }

  Result<void> release(std::span<const Claimed> claimed) {
    return with_connection([&] {
      if (claimed.empty()) return;
      Columns keys;
      std::vector<std::int64_t> epochs;
      for (const Claimed& one : claimed) {
        keys.add(one.topic, one.id.partition);
        epochs.push_back(value_of(one.epoch));
      }
      pqxx::work transaction(*connection_);
      begin(transaction);
      lock_rows(transaction, options_.pipeline, keys);
      transaction.exec(
          "UPDATE penstock.offsets o SET owner = '', backend_pid = 0 "
          "FROM unnest($2::text[], $3::integer[], $4::bigint[]) AS u(topic, partition, epoch) "
          "WHERE o.pipeline = $1 AND o.topic = u.topic AND o.partition = u.partition "
          "AND o.epoch = u.epoch",
          pqxx::params{options_.pipeline, keys.topics, keys.partitions, epochs});
      transaction.commit();
    });
  }

  Result<std::vector<StoredPosition>> read(std::span<const PartitionName> partitions) {
    return with_connection([&] {
      std::vector<StoredPosition> positions;
      if (partitions.empty()) return positions;
      Columns keys;
      for (const PartitionName& name : partitions) keys.add(name.topic, name.id.partition);
      pqxx::work transaction(*connection_);
      begin(transaction);
      const pqxx::result result = transaction.exec(
          "SELECT u.n, o.epoch, o.next_offset, o.owner FROM unnest($2::text[], $3::integer[]) "
          "WITH ORDINALITY AS u(topic, partition, n) LEFT JOIN penstock.offsets o "
          "ON o.pipeline = $1 AND o.topic = u.topic AND o.partition = u.partition ORDER BY u.n",
          pqxx::params{options_.pipeline, keys.topics, keys.partitions});
      for (const auto& row : result) {
        StoredPosition& position = positions.emplace_back();
        position.id = partitions[row[0].as<std::size_t>() - 1].id;
        if (row[1].is_null()) continue;
        position.stored = true;
        position.epoch = Epoch{row[1].as<std::int64_t>()};
        position.next_offset = row[2].as<Offset>();
        position.owner = row[3].as<std::string>();
      }
      return positions;
    });
  }

  [[nodiscard]] Counters counters() const {
    return {claims_.value(), lock_timeouts_.value(), terminated_.value(), reconnects_.value()};
  }

 private:
  // Runs `body` with a connection. One that was idle may have died since: that is found out only
  // by using it, so the first failure of a used connection is tried once more on a new one.
  template <typename Body>
  auto with_connection(Body body) -> Result<std::invoke_result_t<Body>> {
    const bool reused = connection_ != nullptr;
    auto result = attempt(body);
    if (!result && result.error().kind == ErrorKind::unavailable && reused) result = attempt(body);
    return result;
  }

  template <typename Body>
  auto attempt(Body& body) -> Result<std::invoke_result_t<Body>> {
    auto result = guarded([&] {
      if (connection_ == nullptr) {
        connection_ =
            connect(options_.conninfo, application_name("claims"), options_.connect_timeout);
        if (std::exchange(connected_before_, true)) reconnects_.add();
      }
      return body();
    });
    // Whatever went wrong: a new connection is cheap here, and its state is known.
    if (!result) connection_.reset();
    return result;
  }

  [[nodiscard]] std::string application_name(std::string_view role) const {
    return "penstock/" + options_.pipeline + "/" + std::string(role);
  }

  void begin(pqxx::work& transaction) {
    transaction.exec(transaction_preamble(options_.lock_timeout, options_.lock_timeout + 1s));
  }

  std::vector<ClaimAnswer> claim_in_time(std::span<const ClaimRequest> requests) {
    for (int i = 0; i < kMostRaces; ++i) {
      if (auto answers = try_claim(requests)) return *std::move(answers);
    }
    throw Failure(
        {ErrorKind::unavailable, "other claims of the same partitions came in between", {}, {}});
  }

  // The same claim while whoever is in its way is made to leave.
  std::vector<ClaimAnswer> claim_against(std::span<const ClaimRequest> requests) {
    Blockers blockers({.conninfo = options_.conninfo,
                       .application_name = application_name("unblock"),
                       .waiting_pid = connection_->backendpid(),
                       .connect_timeout = options_.connect_timeout});
    try {
      auto answers = claim_in_time(requests);
      terminated_.add(blockers.stop().terminated);
      return answers;
    } catch (const std::exception& exception) {
      Blockers::Report report = blockers.stop();
      terminated_.add(report.terminated);
      if (!timed_out(exception)) throw;
      if (report.error) throw Failure(*std::move(report.error));
      throw Failure({ErrorKind::deadline_exceeded,
                     "the claim waits for a lock on penstock.offsets that is held by " +
                         (report.strangers.empty() ? "somebody unknown" : report.strangers),
                     "end that session, or wait for it", "55P03"});
    }
  }

  // Nothing when another claim came in between.
  std::optional<std::vector<ClaimAnswer>> try_claim(std::span<const ClaimRequest> requests) {
    std::vector<ClaimAnswer> answers;
    if (requests.empty()) return answers;
    Columns keys;
    for (const ClaimRequest& request : requests) keys.add(request.topic, request.id.partition);

    pqxx::work transaction(*connection_);
    begin(transaction);
    const Rows rows = lock_rows(transaction, options_.pipeline, keys);
    std::vector<const ClaimRequest*> wanted;
    for (const ClaimRequest& request : requests) {
      ClaimAnswer& answer = answers.emplace_back();
      answer.id = request.id;
      const auto row = rows.find({request.topic, request.id.partition});
      if (row == rows.end()) {
        answer.needs_initial = !request.initial;
      } else {
        answer.refused_reason = refusal(options_.pipeline, request, row->second);
      }
      if (!answer.needs_initial && answer.refused_reason.empty()) wanted.push_back(&request);
    }

    const std::map<Key, std::pair<Epoch, Offset>> taken = take(transaction, wanted);
    if (taken.size() < wanted.size()) return std::nullopt;
    transaction.commit();
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const auto found = taken.find({requests[i].topic, requests[i].id.partition});
      if (found != taken.end()) {
        std::tie(answers[i].epoch, answers[i].next_offset) = found->second;
        highest_[found->first] = answers[i].epoch;
      }
    }
    claims_.add(taken.size());
    return answers;
  }

  std::map<Key, std::pair<Epoch, Offset>> take(pqxx::transaction_base& transaction,
                                               std::span<const ClaimRequest* const> wanted) {
    std::map<Key, std::pair<Epoch, Offset>> taken;
    if (wanted.empty()) return taken;
    Columns keys;
    std::vector<Offset> initials;
    std::vector<std::string> clusters;
    std::vector<std::string> topic_ids;
    std::vector<std::int64_t> epochs;
    for (const ClaimRequest* request : wanted) {
      keys.add(request->topic, request->id.partition);
      initials.push_back(request->initial.value_or(0));  // not used where a row is locked
      clusters.push_back(request->cluster_id);
      topic_ids.push_back(request->topic_id);
      const auto known = highest_.find({request->topic, request->id.partition});
      epochs.push_back((known == highest_.end() ? 0 : value_of(known->second)) + 1);
    }
    const pqxx::result result = transaction.exec(
        "INSERT INTO penstock.offsets AS o (pipeline, topic, partition, next_offset, epoch, owner, "
        "backend_pid, cluster_id, topic_id) "
        "SELECT $1, u.topic, u.partition, u.initial, u.epoch, $2, pg_backend_pid(), u.cluster_id, "
        "u.topic_id FROM unnest($3::text[], $4::integer[], $5::bigint[], $6::text[], $7::text[], "
        "$8::bigint[]) AS u(topic, partition, initial, cluster_id, topic_id, epoch) "
        "ORDER BY u.topic, u.partition "
        "ON CONFLICT (pipeline, topic, partition) DO UPDATE SET "
        "epoch = greatest(o.epoch + 1, EXCLUDED.epoch), owner = EXCLUDED.owner, backend_pid = "
        "EXCLUDED.backend_pid, "
        "claimed_at = now(), "
        "cluster_id = coalesce(nullif(EXCLUDED.cluster_id, ''), o.cluster_id), "
        "topic_id = coalesce(nullif(EXCLUDED.topic_id, ''), o.topic_id) "
        // A row that appeared since the locks were taken may belong to another topic.
        "WHERE (o.cluster_id IN ('', EXCLUDED.cluster_id) OR EXCLUDED.cluster_id = '') "
        "AND (o.topic_id IN ('', EXCLUDED.topic_id) OR EXCLUDED.topic_id = '') "
        "RETURNING o.topic, o.partition, o.epoch, o.next_offset",
        pqxx::params{options_.pipeline, options_.owner, keys.topics, keys.partitions, initials,
                     clusters, topic_ids, epochs});
    for (const auto& row : result) {
      taken[{row[0].as<std::string>(), row[1].as<std::int32_t>()}] = {
          Epoch{row[2].as<std::int64_t>()}, row[3].as<Offset>()};
    }
    return taken;
  }

  const Options options_;
  std::unique_ptr<pqxx::connection> connection_;
  std::map<Key, Epoch> highest_;  // that a claim was given
  bool connected_before_ = false;
  Counter claims_;
  Counter lock_timeouts_;
  Counter terminated_;
  Counter reconnects_;
};

Claims::Claims(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Claims::~Claims() = default;

Result<std::vector<ClaimAnswer>> Claims::claim(std::span<const ClaimRequest> requests) {
  return impl_->claim(requests);
}

Result<void> Claims::release(std::span<const Claimed> claimed) { return impl_->release(claimed); }

Result<std::vector<StoredPosition>> Claims::read(std::span<const PartitionName> partitions) {
  return impl_->read(partitions);
}

Claims::Counters Claims::counters() const { return impl_->counters(); }

}  // namespace penstock::offsets
