// What a lane does when something went wrong: whose failure it is, how long to wait, what to say.
#include <algorithm>
#include <format>
#include <utility>

#include "core/log.h"
#include "write/lane.h"
#include "write/lock_holder.h"

namespace penstock::write {
namespace {

// Serialization failures and deadlocks in a row that are tried again in milliseconds.
constexpr int kQuickTries = 8;

// A deadlock costs PostgreSQL's deadlock_timeout, mostly a second, so that one in so long is
// little; and taking turns costs what the lanes would have done at the same time.
constexpr std::chrono::minutes kTakesTurns(10);

// Other failures in a row that a record may have raised, before it is looked whether one has.
constexpr int kOddTries = 2;

// Records in a row that may each turn out to be too much alone before we take it for the table's
// state, and begin anew.
constexpr std::size_t kMostLeftOut = 16;

// Of what its session ends: so often must a record fail alone again, each time after a neighbour.
constexpr int kAgainAlone = 2;

// While a table refuses most of what comes, so many records are enough to see whether it still
// does.
constexpr std::size_t kProbeRecords = 256;

// So long do partitions of which a table refuses most wait for rows of others, which show whether
// it takes any.
constexpr std::chrono::seconds kGraceForOthers(1);

Stall::Kind stall_kind(const postgres::Failure& failure) {
  const std::string& state = failure.error.sqlstate;
  if (state == "55000") return Stall::Kind::configuration;  // a key that is deferrable by now
  const bool waits = postgres::waits_for_lock(state) || state == "57014" || state == "25P04" ||
                     failure.failure == postgres::FailureClass::retry_quickly ||
                     failure.failure == postgres::FailureClass::unclear;
  return waits ? Stall::Kind::waits : Stall::Kind::away;
}

}  // namespace

// The connection's: all writers wait for it.
void Lane::lane_failed(const postgres::Failure& failure) {
  if (failure.failure == postgres::FailureClass::cancelled) return interrupted();
  const Error& error = failure.error;
  log(LogLevel::warning, "lane_failed", {{"lane", number_}, {"error", error.to_string()}});
  lose_session();
  {
    const MutexLock lock(mutex_);
    waiting_for_ = error.to_string();
  }
  std::optional<Stall> stall;
  bool opened = false;
  if (failure.failure == postgres::FailureClass::configuration) {
    resume_at_ = now() + breaker_.configuration_delay();
    stall = Stall{.kind = Stall::Kind::configuration, .error = error};
  } else {
    opened = breaker_.failed(now());
    resume_at_ = now() + breaker_.delay();
    if (breaker_.open()) stall = Stall{.kind = Stall::Kind::away, .error = error};
  }
  // Nobody said so: perhaps nobody can.
  if (error.sqlstate.empty() && options_.reach != nullptr) options_.reach->suspect(now());
  if (stall) tell_all(*stall, opened);
}

// Also while a writer is served.
void Lane::tell_all(const Stall& stall, bool opened) {
  for (const auto& queue : queues()) {
    {
      const MutexLock lock(mutex_);
      if (queue->is_closed()) continue;
      telling_ = queue.get();
    }
    if (opened) queue->writer->counters.breaker_opened.add();
    tell(*queue, stall);
    const MutexLock lock(mutex_);
    telling_ = nullptr;
    served_.notify_all();
  }
}

// A transaction's: only this writer waits, unless it took the connection with it.
void Lane::writer_failed(WriterQueue& queue, const postgres::Failure& failure) {
  if (failure.failure == postgres::FailureClass::cancelled) return interrupted();
  const Error& error = failure.error;
  // Not PostgreSQL's DETAIL: it holds what is in the row.
  log(LogLevel::warning, "write_failed",
      {{"pipeline", queue.writer->options.pipeline},
       {"lane", number_},
       {"error", error.to_string()},
       {"constraint", failure.constraint}});
  if (failure.connection_lost) {
    lost_by_ = failure;
  } else if (!postgres::keeps_session(error.sqlstate)) {
    lose_session();
  }
  ++queue.failures;
  const std::shared_ptr<const Plan> plan = queue.group ? queue.group->shared_plan() : nullptr;
  if (failure.failure == postgres::FailureClass::configuration) {
    queue.resume_at = now() + queue.breaker.configuration_delay();
    // Perhaps it is what a trigger has made of this session: its role, its temporary tables.
    if (queue.failures > 1 && !failure.connection_lost) close_session();
    tell(queue, Stall{.kind = Stall::Kind::configuration, .error = error});
    if (plan) queue.writer->events.doubted(plan);
    return;
  }
  if (error.sqlstate == "40P01") queue.writer->takes_turns_until = now() + kTakesTurns;
  if (failure.failure == postgres::FailureClass::retry_quickly &&
      queue.odd_failures <= kQuickTries) {
    queue.resume_at = now() + queue.breaker.quick_delay();
    return;
  }
  if (postgres::helps_to_halve(error.sqlstate) && !failure.raised && queue.group &&
      !queue.unknown) {
    too_much(queue, failure);
    // Perhaps a trigger has changed what it may take, and not for one transaction only.
    if (!failure.connection_lost) close_session();
  }
  queue.resume_at = now() + queue.breaker.delay();
  if (failure.connection_lost) return;  // the lane says so
  // A type that was dropped is an internal error to PostgreSQL.
  if (plan && queue.failures > 1) queue.writer->events.doubted(plan);
  if (postgres::waits_for_lock(error.sqlstate)) {
    queue.glances = true;
    Error described = error;
    if (queue.group && session_) {
      const std::string tables = tables_of(queue.group->plan(), "penstock.offsets");
      described.message +=
          lock_holder(session_->connection(),
                      tables_of(queue.group->plan(), "penstock.offsets,penstock.dead_letters"));
      if (silent_holders_.end(*session_, tables, now()) > 0) queue.resume_at = now();
    }
    tell(queue, Stall{.kind = Stall::Kind::waits, .error = std::move(described)});
  }
  if (queue.breaker.failed(now())) queue.writer->counters.breaker_opened.add();
  if (queue.breaker.open() && !postgres::waits_for_lock(error.sqlstate)) {
    tell(queue, Stall{.kind = stall_kind(failure), .error = error});
  }
}

// What no row's SQLSTATE has, and does not go away: perhaps one record raises it.
void Lane::suspect_a_record(WriterQueue& queue, const Outcome& outcome) {
  const bool is_quick = outcome.failure.failure == postgres::FailureClass::retry_quickly;
  if (!outcome.by_a_record && !is_quick) return;
  if (++queue.odd_failures <= (is_quick ? kQuickTries : kOddTries) || !outcome.by_a_record) return;
  Group& group = *queue.group;
  group.careful = true;
  group.any_code = true;
  group.immediate = group.immediate || outcome.deferred;
}

// statement_timeout, memory: a smaller transaction may get through. What is too much even alone is
// a dead letter, but only if it fails, then a neighbour passes, then it fails again: else it is not
// that record's fault but the table's.
void Lane::too_much(WriterQueue& queue, const postgres::Failure& failure) {
  const Group& group = *queue.group;
  const std::size_t records = group.records();
  if (records == 0) return;                         // positions and dead letters only
  const std::size_t tried = group.left_out.size();  // the first that was written
  const bool is_suspect = suspects_a_record(queue);
  const std::uint64_t passed = queue.writer->suspects.passed();
  const std::uint64_t passed_before = std::exchange(queue.passed_before, passed);
  // Who has no neighbour here may have one on another lane.
  const bool is_alone = is_suspect && records == 1 && tried == 0 && queue.left_out.size() == 1;
  if (queue.neighbour_passed || (is_alone && passed > passed_before)) {
    // Sessions end for other reasons, too: that has to be seen more than once.
    queue.failed_once_more = ++queue.failed_again >= (is_suspect ? kAgainAlone : 1);
    queue.neighbour_passed = queue.failed_once_more;
  } else if (records - tried > 1) {
    queue.halve(records - tried);
  } else if (queue.left_out.size() >= kMostLeftOut) {
    queue.clear_left_out();
  } else if (tried == queue.left_out.size()) {
    queue.leave_out(group.place(tried), failure);
  }
  queue.put_back();
}

// Too many records are refused to be the records' fault.
void Lane::not_theirs(WriterQueue& queue, const Outcome& outcome) {
  const postgres::Failure& failure = outcome.failure;
  if (failure.connection_lost || failure.failure != postgres::FailureClass::row) {
    ++queue.odd_failures;
    if (failure.failure == postgres::FailureClass::row) {
      queue.put_back();
    } else {
      too_much(queue, failure);  // it is theirs if a neighbour passes
    }
    return writer_failed(queue, failure);
  }
  refused_by_table(queue, outcome);
}

// So much is refused that it is the table's fault, or that of these partitions alone: what others
// have shows which.
void Lane::refused_by_table(WriterQueue& queue, const Outcome& outcome) {
  const postgres::Failure& failure = outcome.failure;
  const Group& group = *queue.group;
  Suspects& suspects = queue.writer->suspects;
  const std::vector<std::shared_ptr<Chain>> chains = mostly_refused(group, outcome.refusals);
  const SteadyTime since = suspects.name(chains, now());
  const Error error = describe_refused(group, outcome);
  const std::shared_ptr<const Plan> plan = group.shared_plan();
  queue.refused_by = {failure.error.sqlstate, failure.constraint};
  queue.refused_in_a_row = std::max(queue.refused_in_a_row, kTableFaultFrom);
  queue.is_mostly_refused = true;
  queue.probe(kProbeRecords);
  queue.put_back();
  if (queue.others_wait()) return;
  log(LogLevel::warning, "write_failed",
      {{"pipeline", queue.writer->options.pipeline},
       {"lane", number_},
       {"error", error.to_string()},
       {"constraint", failure.constraint}});
  queue.writer->events.doubted(plan);
  if (suspects.are_all()) {
    queue.resume_at = now() + queue.breaker.refusal_delay();
    return tell(queue, Stall{.kind = Stall::Kind::configuration, .error = error});
  }
  queue.resume_at = since + kGraceForOthers;
  if (now() < queue.resume_at) return;
  // Nothing comes of the others: these stop, and hold up nobody.
  for (const std::shared_ptr<Chain>& chain : chains) {
    if (!chain->end(ChainEnd::rejected)) continue;
    queue.look_again();
    queue.writer->events.too_many_rejects(chain, error);
  }
}

Error Lane::describe_refused(const Group& group, const Outcome& outcome) {
  Error error = outcome.failure.error;
  error.kind = ErrorKind::conflict;
  // So many had been tried when it was clear.
  const std::size_t tried = outcome.example.value_or(group.records() - 1) + 1;
  const auto refused = static_cast<std::size_t>(std::max<std::ptrdiff_t>(
      1, std::ranges::count_if(outcome.refusals,
                               [&](const Refusal& one) { return one.record < tried; })));
  error.message = std::format("the table refuses {} rows ({} of {} records): {}",
                              refused * 2 > tried ? "most" : "more than a quarter of the", refused,
                              tried, error.message);
  if (outcome.example) {
    const RecordPlace place = group.place(*outcome.example);
    const RecordBatch& source = *group.parts[place.part].batch->source;
    const Chain& chain = *source.chain();
    error.message += "; for instance " + chain.plan->topic(chain.partition.topic) + ", partition " +
                     std::to_string(chain.partition.partition) + ", offset " +
                     std::to_string(source.record(place.record).offset);
  }
  error.hint =
      "nothing of them is lost, and it is tried again by itself; change the table or the "
      "pipeline's columns, or let them become dead letters: penstock ctl resume " +
      std::string(group.plan().pipeline()) + " --accept-rejects";
  return error;
}

// What comes before is committed by itself; then the partition stops.
void Lane::too_many(WriterQueue& queue, const TooMany& found) {
  const Group& group = *queue.group;
  const std::shared_ptr<Chain> chain = group.parts[found.place.part].batch->chain();
  if (!found.is_next) {
    queue.stop_before(found.place);
    queue.put_back();
    return;
  }
  // Perhaps it is the table that has changed, and with it what its rows are made of.
  queue.writer->events.doubted(group.shared_plan());
  if (!chain->end(ChainEnd::rejected)) return;
  queue.look_again();
  queue.writer->events.too_many_rejects(chain, found.error);
}

// Mostly somebody makes another plan at once, and the chains of this one end: that is no stall.
void Lane::outdated(WriterQueue& queue, const Outcome& outcome) {
  const bool stays = std::exchange(queue.is_outdated, true);
  queue.writer->table_changed = true;
  log(LogLevel::info, "table_changed",
      {{"pipeline", queue.writer->options.pipeline},
       {"lane", number_},
       {"what", outcome.failure.error.message}});
  if (outcome.failure.connection_lost) {
    lost_by_ = outcome.failure;
  } else {
    // Its prepared statements may be what a rule made of them, which PostgreSQL keeps after the
    // rule has gone.
    close_session();
  }
  queue.resume_at = now() + queue.breaker.configuration_delay();
  if (stays) tell(queue, Stall{.kind = Stall::Kind::configuration, .error = outcome.failure.error});
  queue.writer->events.doubted(queue.group->shared_plan());
}

// Somebody ended our waits: a statement may still run.
void Lane::interrupted() {
  if (session_) session_->connection().cancel();
  lose_session();
  renew_wakeup();
}

void Lane::close_session() {
  session_.reset();
  const MutexLock lock(mutex_);
  connected_ = false;
}

// A session that is no good any more; its backend may still hold locks, or even commit.
void Lane::lose_session() {
  if (!session_) return;
  if (!lost_backend_) lost_backend_ = session_->identity();  // the first one that nobody has ended
  close_session();
}

void Lane::lane_is_well() { breaker_.succeeded(); }

void Lane::writer_is_well(WriterQueue& queue) {
  queue.breaker.succeeded();
  tell(queue, std::nullopt);
}

void Lane::tell(WriterQueue& queue, const std::optional<Stall>& stall) const {
  const auto is_same = [](const Stall& a, const Stall& b) {
    return a.kind == b.kind && a.error.message == b.error.message &&
           a.error.sqlstate == b.error.sqlstate;
  };
  if (!stall && !queue.stall) return;
  if (stall && queue.stall && is_same(*stall, *queue.stall)) return;
  queue.stall = stall;
  queue.writer->events.stalled(static_cast<std::uint16_t>(number_), stall);
}

bool Lane::serves_others(const WriterQueue& queue) const {
  return std::ranges::any_of(queues(), [&queue](const auto& other) {
    return other.get() != &queue && other->running_chains() > 0;
  });
}

}  // namespace penstock::write
