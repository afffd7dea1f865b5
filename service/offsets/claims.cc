#include "offsets/claims.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "core/mutex.h"
#include "core/plan.h"
#include "core/stats.h"
#include "offsets/database.h"
#include "offsets/holders.h"
#include "offsets/position_table.h"
#include "postgres/own_schema.h"
#include "postgres/pool.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;
using postgres::Connection;
using postgres::Failure;
using postgres::Try;

// Between two looks at who is in the way: what is free meanwhile is claimed.
constexpr std::chrono::milliseconds kOneWait{1'000};
// For a backend that was told to end.
constexpr auto kAfterEnding = 2'000ms;
// A server that says nothing for so long has frozen; one that answers may take kMargin beyond
// lock_timeout for a round.
constexpr auto kSilence = 5'000ms;
constexpr auto kMargin = 4'000ms;

Key key_of(const ClaimRequest& request) { return {request.topic, request.id.partition}; }

bool differ(const std::string& stored, const std::string& found) {
  return !stored.empty() && !found.empty() && stored != found;
}

// Empty when the stored position belongs to the very topic that is asked for.
std::string refusal(const std::string& pipeline, const ClaimRequest& request,
                    const StoredRow& row) {
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
         ". Nothing has been read of this one. If that is meant to be, read it with: penstock "
         "offsets reset " +
         pipeline + " --topic " + request.topic + " --partition " +
         std::to_string(request.id.partition) +
         " --to beginning --config FILE (without --partition, all of the topic's are read from "
         "there). If not, check bootstrap.servers";
}

std::string deleted(const std::string& pipeline, const ClaimRequest& request) {
  const std::string partition = std::to_string(request.id.partition);
  const bool known = request.committed >= 0;
  return "the stored position of topic '" + request.topic + "', partition " + partition +
         " is gone: somebody deleted its row in penstock.offsets. Nothing is read of it, because "
         "all that was written would be written again. " +
         (known ? "This process has seen it committed up to position " +
                      std::to_string(request.committed) + "; to go on there"
                : "To say where to go on") +
         ": penstock offsets reset " + pipeline + " --topic " + request.topic + " --partition " +
         partition + " --to " + (known ? std::to_string(request.committed) : "OFFSET") +
         " --config FILE";
}

std::string gone(const std::string& pipeline) {
  return "pipeline '" + pipeline +
         "' has no entry in penstock.pipelines any more: its positions were given another name, or "
         "forgotten, while it runs. Nothing is read, because all that was written would be written "
         "again. This process ends; start it with the name that `penstock offsets list` shows";
}

// `ended`: what became of those that were to end, by their transaction.
std::string reason_of(const Key& key, const Holders& holders,
                      const std::map<std::string, std::string>& ended) {
  const auto holder = holders.rows.find(key);
  if (holder != holders.rows.end()) {
    const auto told = ended.find(holder->second.transaction);
    return "a lock on its row in penstock.offsets is held by " + holder->second.words +
           (told != ended.end() ? told->second : "");
  }
  if (!holders.table.empty()) return holders.table;
  return "a lock on its row in penstock.offsets is held by another claim, or was until just now";
}

// What one call has got so far.
struct Progress {
  std::span<const ClaimRequest> requests;
  std::vector<ClaimAnswer> answers;
  std::vector<std::size_t> open;  // indexes of those that have no answer yet
  std::optional<Holders> first;   // who was in the way at the first look,
  SteadyTime patience{};          // and until when we wait for them
  // Once it came to that: what became of those that were to end, by their transaction.
  std::optional<std::map<std::string, std::string>> ended;

  explicit Progress(std::span<const ClaimRequest> wanted) : requests(wanted) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      answers.emplace_back().id = wanted[i].id;
      open.push_back(i);
    }
  }
  [[nodiscard]] std::chrono::milliseconds patience_left() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(patience -
                                                                 std::chrono::steady_clock::now());
  }
  [[nodiscard]] KeyColumns open_keys() const {
    KeyColumns keys;
    for (const std::size_t i : open) keys.add(requests[i].topic, requests[i].id.partition);
    return keys;
  }
};

}  // namespace

class Claims::Impl {
 public:
  Impl(Options options, postgres::Pool& pool) : options_(std::move(options)), pool_(pool) {}

  Result<std::vector<ClaimAnswer>> claim(std::span<const ClaimRequest> requests,
                                         const std::stop_token& stop) {
    Progress progress(requests);
    // The connection goes round: whoever waits for a lock must not keep other pipelines from
    // claiming what nobody holds.
    while (!progress.open.empty()) {
      const auto done = with_connection(
          stop, [&](Connection& connection) { return one_round(connection, progress); });
      if (!done) return std::unexpected(done.error());
    }
    return std::move(progress.answers);
  }

  Result<void> begin_topic(const TopicBeginning& beginning, const std::stop_token& stop);
  Result<void> release(std::span<const std::shared_ptr<Chain>> chains, const std::stop_token& stop);

  [[nodiscard]] std::optional<Silence> silence() const {
    const postgres::Reach* const reach = pool_.options().reach;
    return reach == nullptr ? std::nullopt : reach->silence();
  }
  [[nodiscard]] Counters counters() const {
    return {.claims = claims_.value(),
            .lock_timeouts = lock_timeouts_.value(),
            .ended_backends = ended_backends_.value()};
  }

 private:
  template <typename Body>
  auto with_connection(const std::stop_token& stop, Body body)
      -> Result<typename std::invoke_result_t<Body, Connection&>::value_type> {
    const auto run = [&](Connection& connection) {
      auto done = body(connection);
      if (!done) postgres::explain(connection, done.error());
      return done;
    };
    return pool_.with_connection(stop, options_.lock_timeout + kMargin, run)
        .transform_error([](const Failure& failure) { return error_of(failure); });
  }

  [[nodiscard]] Limits limits(std::chrono::milliseconds lock_timeout) const {
    return {.pipeline = options_.pipeline, .lock_timeout = std::max(lock_timeout, 1ms)};
  }

  // Claims what is free, looks who holds the rest, and waits a second for it; or gives it up, with
  // the reason, once that has taken too long.
  Try<void> one_round(Connection& connection, Progress& progress);
  // Waiting in vain for a lock is no failure.
  Try<void> take(Connection& connection, Progress& progress, Held held,
                 std::chrono::milliseconds wait);
  Try<void> take_stored(Connection& connection, Progress& progress, Held held);
  Try<void> judge_fresh(Connection& connection, Progress& progress,
                        const std::vector<const ClaimRequest*>& fresh) const;
  // Claims these in the transaction that is open, commits it and answers.
  Try<void> take_and_commit(Connection& connection, Progress& progress,
                            const std::vector<std::size_t>& indexes);
  // Tells those of ours to end that hold a row in the same transaction as when we came. What there
  // is to say of each, by its transaction.
  Try<std::map<std::string, std::string>> end_those_who_stay(Connection& connection,
                                                             const Holders& before,
                                                             const Holders& now);

  const Options options_;
  postgres::Pool& pool_;
  Mutex mutex_;
  std::map<Key, Epoch> highest_ GUARDED_BY(mutex_);  // that a claim was given
  Counter claims_;
  Counter lock_timeouts_;
  Counter ended_backends_;
};

// ---- A claim

Try<void> Claims::Impl::one_round(Connection& connection, Progress& progress) {
  connection.set_reply_timeout(kSilence);
  if (auto taken = take(connection, progress, Held::skip, kOneWait); !taken) return taken;
  if (progress.open.empty()) return {};
  auto holders = find_holders(connection, limits(kOneWait), progress.open_keys());
  if (!holders) return std::unexpected(std::move(holders.error()));
  // Not from when we were asked: who is seen once may have come just now.
  if (!progress.first) {
    progress.first = *holders;
    progress.patience = std::chrono::steady_clock::now() + options_.lock_timeout;
  }
  if (progress.patience_left() <= 0ms && !progress.ended) {
    lock_timeouts_.add();
    auto told = end_those_who_stay(connection, *progress.first, *holders);
    if (!told) return std::unexpected(std::move(told.error()));
    progress.ended = std::move(*told);
    if (!progress.ended->empty()) {
      progress.patience = std::chrono::steady_clock::now() + kAfterEnding;
    }
  }
  const auto left = progress.patience_left();
  if (left > 0ms) return take(connection, progress, Held::wait_for, std::min(kOneWait, left));
  for (const std::size_t i : progress.open) {
    progress.answers[i].waiting_reason =
        reason_of(key_of(progress.requests[i]), *holders, *progress.ended);
  }
  progress.open.clear();
  return {};
}

Try<void> Claims::Impl::take(Connection& connection, Progress& progress, Held held,
                             std::chrono::milliseconds wait) {
  Try<void> done = begin(connection, limits(wait));
  if (done) done = take_stored(connection, progress, held);
  if (done) return {};
  if (!timed_out(done.error()) || done.error().connection_lost) return done;
  roll_back(connection);
  return {};
}

Try<void> Claims::Impl::take_stored(Connection& connection, Progress& progress, Held held) {
  // Before the rows: what has begun by now has one, unless it was deleted.
  auto begun = begun_partitions(connection, options_.pipeline);
  if (!begun) return std::unexpected(std::move(begun.error()));
  auto rows = lock_rows(connection, options_.pipeline, progress.open_keys(), held);
  if (!rows) return std::unexpected(std::move(rows.error()));
  const bool is_missing = !*begun || std::ranges::any_of(progress.open, [&](std::size_t i) {
    const ClaimRequest& request = progress.requests[i];
    return !rows->contains(key_of(request)) && request.id.partition < (**begun)[request.topic];
  });
  if (is_missing) {  // it may be hidden from this role
    if (auto checked = postgres::check_own_schema(connection); !checked) return checked;
  }
  std::vector<std::size_t> free;
  std::vector<const ClaimRequest*> fresh;
  for (const std::size_t i : progress.open) {
    ClaimAnswer& answer = progress.answers[i];
    const ClaimRequest& request = progress.requests[i];
    const auto row = rows->find(key_of(request));
    if (row == rows->end()) {
      if (!*begun) {
        answer.refused_reason = gone(options_.pipeline);
        answer.is_refused_for_good = true;
        continue;
      }
      answer.begun = (**begun)[request.topic];
      answer.not_begun = request.id.partition >= answer.begun;
      if (!answer.not_begun) answer.refused_reason = deleted(options_.pipeline, request);
      if (answer.not_begun) fresh.push_back(&request);
    } else if (row->second.locked) {
      answer.refused_reason = refusal(options_.pipeline, request, row->second);
      if (answer.refused_reason.empty()) free.push_back(i);
    }
  }
  if (auto judged = judge_fresh(connection, progress, fresh); !judged) return judged;
  std::erase_if(progress.open, [&](std::size_t i) {
    return progress.answers[i].not_begun || !progress.answers[i].refused_reason.empty();
  });
  return take_and_commit(connection, progress, free);
}

// A topic that was made again may have more partitions than the one that was read: those are not
// new ones of it.
Try<void> Claims::Impl::judge_fresh(Connection& connection, Progress& progress,
                                    const std::vector<const ClaimRequest*>& fresh) const {
  if (fresh.empty()) return {};
  const auto rows = foreign_rows(connection, options_.pipeline, fresh);
  if (!rows) return std::unexpected(rows.error());
  for (const ClaimRequest* request : fresh) {
    const auto row = rows->find(request->topic);
    if (row == rows->end()) continue;
    ClaimRequest its = *request;
    its.id.partition = row->second.first;
    ClaimAnswer& answer =
        progress.answers[static_cast<std::size_t>(request - progress.requests.data())];
    answer.not_begun = false;
    answer.refused_reason = refusal(options_.pipeline, its, row->second.second);
  }
  return {};
}

Try<void> Claims::Impl::take_and_commit(Connection& connection, Progress& progress,
                                        const std::vector<std::size_t>& indexes) {
  std::vector<Claim> claims;
  {
    const MutexLock lock(mutex_);
    for (const std::size_t i : indexes) {
      const auto known = highest_.find(key_of(progress.requests[i]));
      const std::int64_t highest = known == highest_.end() ? 0 : value_of(known->second);
      claims.push_back({.request = &progress.requests[i], .least = Epoch{highest + 1}});
    }
  }
  auto taken = take_rows(connection, options_.pipeline, options_.owner, claims);
  if (!taken) return std::unexpected(std::move(taken.error()));
  if (taken->size() < claims.size()) {
    return std::unexpected(postgres::not_written(connection, "offsets"));
  }
  if (auto committed = commit(connection); !committed) return committed;
  const MutexLock lock(mutex_);
  for (const std::size_t i : indexes) {
    const auto found = taken->find(key_of(progress.requests[i]));
    if (found == taken->end()) continue;
    progress.answers[i].epoch = found->second.epoch;
    progress.answers[i].next_offset = found->second.next_offset;
    progress.answers[i].leader_epoch = found->second.leader_epoch;
    Epoch& highest = highest_[found->first];
    highest = std::max(highest, found->second.epoch);
  }
  std::erase_if(progress.open,
                [&](std::size_t i) { return progress.answers[i].epoch != Epoch::none; });
  claims_.add(taken->size());
  return {};
}

Try<std::map<std::string, std::string>> Claims::Impl::end_those_who_stay(Connection& connection,
                                                                         const Holders& before,
                                                                         const Holders& now) {
  std::map<std::string, std::string> outcome;
  for (const auto& [key, holder] : now.rows) {
    const auto was = before.rows.find(key);
    if (!holder.ours || was == before.rows.end() || was->second.transaction != holder.transaction ||
        outcome.contains(holder.transaction)) {
      continue;
    }
    const auto told = end_backend(connection, limits(kOneWait), holder);
    if (told) {
      if (*told) ended_backends_.add();
      outcome[holder.transaction] = ", which was told to end and is still there";
    } else if (told.error().error.sqlstate == "42501") {
      outcome[holder.transaction] =
          ", which this role may not end: run every instance under the same role, or GRANT "
          "pg_signal_backend to this one";
    } else {
      return std::unexpected(told.error());
    }
  }
  return outcome;
}

// ---- A beginning

Result<void> Claims::Impl::begin_topic(const TopicBeginning& beginning,
                                       const std::stop_token& stop) {
  KeyColumns keys;
  for (std::size_t i = 0; i < beginning.offsets.size(); ++i) {
    keys.add(beginning.topic, beginning.first + static_cast<std::int32_t>(i));
  }
  return with_connection(stop, [&](Connection& connection) -> Try<void> {
    connection.set_reply_timeout(options_.lock_timeout + kMargin);
    Try<void> done = begin(connection, limits(options_.lock_timeout));
    if (done) done = make_rows(connection, options_.pipeline, beginning);
    if (done) done = commit(connection);
    if (done || !timed_out(done.error()) || done.error().connection_lost) return done;
    roll_back(connection);
    auto holders = find_holders(connection, limits(kOneWait), keys);
    if (!holders) return std::unexpected(std::move(holders.error()));
    Failure failure = done.error();
    failure.error.message = reason_of({beginning.topic, beginning.first}, *holders, {});
    return std::unexpected(std::move(failure));
  });
}

// ---- Giving up

Result<void> Claims::Impl::release(std::span<const std::shared_ptr<Chain>> chains,
                                   const std::stop_token& stop) {
  if (chains.empty()) return {};
  KeyColumns keys;
  ArrayText epochs;
  for (const std::shared_ptr<Chain>& chain : chains) {
    keys.add(chain->plan->topic(chain->partition.topic), chain->partition.partition);
    epochs.add(value_of(chain->epoch));
  }
  return with_connection(stop, [&](Connection& connection) -> Try<void> {
    Try<void> done = begin(connection, limits(options_.lock_timeout));
    if (done) done = release_rows(connection, options_.pipeline, keys, epochs);
    if (done) done = commit(connection);
    return done;
  });
}

// ---- Claims

Claims::Claims(Options options, postgres::Pool& pool)
    : impl_(std::make_unique<Impl>(std::move(options), pool)) {}
Claims::~Claims() = default;

Result<std::vector<ClaimAnswer>> Claims::claim(std::span<const ClaimRequest> requests,
                                               const std::stop_token& stop) {
  return impl_->claim(requests, stop);
}

Result<void> Claims::begin_topic(const TopicBeginning& beginning, const std::stop_token& stop) {
  return impl_->begin_topic(beginning, stop);
}

Result<void> Claims::release(std::span<const std::shared_ptr<Chain>> chains,
                             const std::stop_token& stop) {
  return impl_->release(chains, stop);
}

std::optional<Silence> Claims::silence() const { return impl_->silence(); }

Claims::Counters Claims::counters() const { return impl_->counters(); }

}  // namespace penstock::offsets
