// What a lane does for a writer: connects, looks whether its chains stand where they were left,
// resolves an unknown COMMIT, tries a transaction.
#include <algorithm>
#include <map>
#include <utility>

#include "core/log.h"
#include "write/lane.h"

namespace penstock::write {
namespace {

// Where a lane serves others, too, one try of so many waits for a lock as long as lock_timeout lets
// it: who never stands in the queue may never get it.
constexpr int kGlances = 32;

// After so many failures in a row that no row's SQLSTATE has, a record is refused although it
// passes once the others are written: it may be they whom it needs.
constexpr int kInsists = 32;

// By now: what the fence met was the transaction's own doing.
bool stands_where_it_begins(const Fenced& chain) {
  return chain.found.epoch == chain.mine.chain->epoch &&
         chain.found.offset == chain.mine.range.from;
}

postgres::Failure changed_within(postgres::Failure failure) {
  failure.failure = postgres::FailureClass::retry;
  failure.raised = false;
  failure.context.clear();
  failure.detail.clear();
  failure.error = Error{ErrorKind::conflict,
                        "a position in penstock.offsets is changed by the transaction's own rows",
                        "look for a trigger or a function of the table that does it", "PS001"};
  return failure;
}

std::chrono::microseconds us(SteadyTime::duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time);
}

}  // namespace

void Lane::connect() {
  session_wakeup_ = wakeup();
  auto opened = Session::open(options_, number_, *session_wakeup_, this);
  if (!opened) {
    forget_spoiled();
    return lane_failed(opened.error());
  }
  session_ = std::move(*opened);
  if (session_->server_start() != std::exchange(server_start_, session_->server_start())) {
    forget_spoiled();
  }
  if (session_number_++ > 0) ++reconnects_;
  if (lost_backend_) {
    if (auto ended = end_backend(*session_, *lost_backend_); !ended) {
      return lane_failed(ended.error());
    }
    lost_backend_.reset();
  }
  log(LogLevel::info, "lane_connected",
      {{"lane", number_},
       {"backend_pid", session_->identity().pid},
       {"tls", session_->connection().tls()}});
  const MutexLock lock(mutex_);
  connected_ = true;
  waiting_for_.clear();
}

void Lane::serve(WriterQueue& queue) {
  if (queue.unknown) return resolve(queue);
  if (queue.verified_session != session_number_) return verify(queue);
  if (queue.spoiled_by) judge_spoiled(queue);
  if (!queue.group) {
    put_off(queue);
    queue.take_group(now());
  }
  const bool has_work = queue.group.has_value();
  if (has_work) attempt(queue);
  const bool is_done = !queue.group && !queue.unknown && !lost_by_ && session_ != nullptr;
  if (is_done && now() >= due_to_verify(queue)) return verify(queue);
  if (!has_work) writer_is_well(queue);
}

void Lane::resolve(WriterQueue& queue) {
  auto resolution =
      resolve_unknown(*session_, queue.unknown_backend, *queue.group, queue.writer->options.owner);
  if (!resolution) return writer_failed(queue, resolution.error());
  CommitStats stats = *std::exchange(queue.unknown, std::nullopt);
  stats.was_unknown = true;
  stats.end = now();
  const bool is_committed = resolution->kind == Resolution::Kind::committed;
  log(LogLevel::warning, "unknown_commit_resolved",
      {{"pipeline", queue.writer->options.pipeline},
       {"lane", number_},
       {"committed", is_committed}});
  const bool halves = std::exchange(queue.halve_if_not_committed, false);
  const bool is_spoiled = std::exchange(queue.spoiled_if_not_committed, false);
  if (is_committed) {
    committed(queue, stats, std::exchange(queue.unknown_refusals, {}));
  } else if (resolution->kind == Resolution::Kind::fenced) {
    fenced(queue, resolution->fenced);
  } else if (halves) {
    queue.halve(queue.group->records());
    queue.put_back();
  } else if (is_spoiled && !suspects_a_record(queue)) {
    ++queue.spoiled;  // what ended it is told from COMMIT at the next try
  }
}

// What was told to be committed may be gone: after a failover to a standby that lagged, or after a
// crash of a server whose `synchronous_commit` is off. Or somebody has set a position anew. The
// fence notices with the next record of a partition; this is for those that get none.
void Lane::verify(WriterQueue& queue) {
  if (auto dropped = session_->staging().drop_old(session_->connection(), now()); !dropped) {
    return writer_failed(queue, dropped.error());
  }
  auto moved = read_moved(*session_, queue.expected(), queue.writer->options.owner);
  if (!moved) return writer_failed(queue, moved.error());
  fenced(queue, *moved);
  queue.verified_session = session_number_;
  queue.verified_at = now();
}

void Lane::attempt(WriterQueue& queue) {
  Group& group = *queue.group;
  ++group.tries;
  group.insists = queue.odd_failures < kInsists;
  group.doubts_refusals = queue.is_mostly_refused;
  group.table_changed = queue.writer->table_changed;
  TransactionRules rules;
  rules.copy_from_rows = queue.writer->options.copy_from_rows;
  rules.glance = queue.glances && ++queue.glances_made % kGlances != 0 && serves_others(queue);
  rules.takes_turns = now() < queue.writer->takes_turns_until.load();
  rules.refused_before = queue.refused_in_a_row;
  rules.refused_by = queue.refused_by;
  rules.rows_first = suspects_a_record(queue);
  rules.reject_limit = queue.writer->options.reject_limit;
  CommitStats stats;
  std::optional<RefusalCause> all_by;
  const SteadyTime begin = now();
  queue.last_begin = begin;
  group.tried_at = begin;
  Outcome outcome = commit_group(*session_, group, rules, stats, all_by);
  stats.begin = begin;
  stats.end = now();
  WriterCounters& counters = queue.writer->counters;
  if (outcome.kind != Outcome::Kind::committed && outcome.kind != Outcome::Kind::unknown &&
      outcome.kind != Outcome::Kind::passed && outcome.kind != Outcome::Kind::too_many &&
      outcome.kind != Outcome::Kind::waits) {
    counters.transactions_failed.add();
  }
  switch (outcome.kind) {
    case Outcome::Kind::committed:
      queue.writer->suspects.committed(group, outcome.refusals.size());
      if (all_by && !group.others_pass) {
        if (queue.refused_by != *all_by) queue.refused_in_a_row = 0;
        queue.refused_by = *all_by;
        queue.refused_in_a_row += group.records();
      } else if (group.others_pass ||
                 (group.rows() > 0 && group.records() > outcome.refusals.size())) {
        queue.refused_in_a_row = 0;
      }
      committed(queue, stats, outcome.refusals);
      break;
    case Outcome::Kind::fenced: {
      if (outcome.failure.connection_lost) lose_session();
      std::vector<Fenced> found = with_owners(queue, std::move(outcome.fenced));
      std::erase_if(found, stands_where_it_begins);
      if (!found.empty()) {
        fenced(queue, found);
        break;
      }
      const postgres::Failure failure = changed_within(outcome.failure);
      if (!spoiled(queue, failure)) writer_failed(queue, failure);
      break;
    }
    case Outcome::Kind::refused:
      if (outcome.failure.connection_lost) lose_session();
      if (!group.left_out.empty()) {
        // The neighbour that had to pass is refused itself: the next one has to.
        if (group.left_out.size() == queue.left_out.size()) {
          queue.leave_out(group.place(group.left_out.size()), outcome.failure);
        }
        queue.put_back();
        break;
      }
      counters.bisections.add();
      break;
    case Outcome::Kind::passed:
      if (outcome.failure.connection_lost) lose_session();
      queue.neighbour_passed = true;
      queue.put_back();
      break;
    case Outcome::Kind::not_theirs:
      not_theirs(queue, outcome);
      break;
    case Outcome::Kind::too_many:
      if (outcome.failure.connection_lost) lose_session();
      too_many(queue, *outcome.too_many);
      break;
    case Outcome::Kind::waits:
      if (outcome.failure.connection_lost) lose_session();
      wait(queue, outcome.waiting);
      break;
    case Outcome::Kind::unknown:
      counters.commits_unknown.add();
      queue.unknown = stats;
      queue.unknown_refusals = std::move(outcome.refusals);
      queue.unknown_backend = session_->identity();
      queue.spoiled_if_not_committed = outcome.spoiled;
      queue.halve_if_not_committed = postgres::helps_to_halve(outcome.failure.error.sqlstate);
      outcome.failure.connection_lost = true;
      writer_failed(queue, outcome.failure);
      break;
    case Outcome::Kind::failed:
      if (outcome.spoiled && spoiled(queue, outcome.failure)) break;
      if (outcome.outdated) return outdated(queue, outcome);
      if (postgres::is_of_the_schema(outcome.failure)) queue.writer->table_changed = true;
      suspect_a_record(queue, outcome);
      writer_failed(queue, outcome.failure);
      break;
  }
}

void Lane::committed(WriterQueue& queue, CommitStats stats, std::span<const Refusal> refusals) {
  log_refusals(queue, refusals);
  count_rejects(*queue.group, refusals, queue.writer->options.reject_limit);
  WriterCounters& counters = queue.writer->counters;
  for (const Advance& advance : queue.group->advances()) {
    advance.chain->set_committed(advance.range.to);
    queue.advanced(*advance.chain, advance.range.to);
  }
  for (const Refusal& refusal : refusals) {
    RowBatch& batch = *queue.group->parts[queue.group->place(refusal.record).part].batch;
    ++batch.refused_records;
    for (const Slice& slice : queue.group->cut(refusal.record, refusal.record + 1)) {
      batch.refused_rows += slice.count;
    }
  }
  if (stats.rows > 0) queue.writer->table_changed = false;
  queue.clear_left_out();
  auto batches = queue.finish_group();
  for (const auto& batch : batches) {
    batch->source->trace.write_begin = stats.begin;
    batch->source->trace.commit_end = stats.end;
  }
  counters.transactions.add();
  if (stats.by_copy) counters.transactions_by_copy.add();
  counters.rows.add(stats.rows);
  counters.bytes.add(stats.bytes);
  counters.dead_letters.add(stats.dead_letters);
  if (stats.fence.count() > 0) counters.fence.record(stats.fence);
  queue.note_cost(us(stats.end - stats.begin), stats.fence);
  queue.failures = 0;
  queue.odd_failures = 0;
  if (!queue.is_halved()) queue.spoiled = 0;
  queue.is_mostly_refused = false;
  queue.is_outdated = false;
  queue.glances = false;
  queue.glances_made = 0;
  if (options_.reach != nullptr) options_.reach->heard(stats.end);
  lane_is_well();
  writer_is_well(queue);
  queue.writer->events.committed(batches, stats);
}

// One line for each partition, and not PostgreSQL's message: it may hold what is in the row.
void Lane::log_refusals(const WriterQueue& queue, std::span<const Refusal> refusals) {
  const Group& group = *queue.group;
  std::map<PartitionId, std::pair<const Refusal*, std::size_t>> first;
  for (const Refusal& refusal : refusals) {
    const RowBatch& batch = *group.parts[group.place(refusal.record).part].batch;
    ++first.try_emplace(batch.partition(), &refusal, 0).first->second.second;
  }
  for (const auto& [partition, found] : first) {
    const auto& [refusal, count] = found;
    const RecordPlace place = group.place(refusal->record);
    log(LogLevel::warning, "records_rejected",
        {{"pipeline", group.plan().pipeline()},
         {"topic", group.plan().topic(partition.topic)},
         {"partition", partition.partition},
         {"offset", group.parts[place.part].batch->source->record(place.record).offset},
         {"stage", to_string(Stage::write)},
         {"first_reason", refusal->reason},
         {"sqlstate", refusal->sqlstate},
         {"table", refusal->table},
         {"column", refusal->column},
         {"constraint", refusal->constraint},
         {"rejected", count}});
  }
}

// What the fence says of these, and whose they are; where that cannot be read, somebody else's.
std::vector<Fenced> Lane::with_owners(const WriterQueue& queue, std::vector<Fenced> chains) {
  if (!session_) return chains;
  std::vector<Advance> advances;
  for (const Fenced& found : chains) advances.push_back(found.mine);
  auto moved = read_moved(*session_, advances, queue.writer->options.owner);
  if (!moved) {
    if (moved.error().connection_lost) lose_session();
    return chains;
  }
  for (Fenced& found : chains) {
    const auto now_is = std::ranges::find(*moved, found.mine.chain,
                                          [](const Fenced& other) { return other.mine.chain; });
    if (now_is != moved->end()) found.found = now_is->found;
  }
  return chains;
}

void Lane::fenced(WriterQueue& queue, const std::vector<Fenced>& chains) {
  for (const Fenced& found : chains) {
    Chain& chain = *found.mine.chain;
    queue.writer->counters.fenced.add();
    log(LogLevel::warning, "partition_fenced",
        {{"pipeline", chain.plan->pipeline()},
         {"topic", chain.plan->topic(chain.partition.topic)},
         {"partition", chain.partition.partition},
         {"epoch", value_of(chain.epoch)},
         {"from", found.mine.range.from},
         {"found_epoch", found.found.epoch ? value_of(*found.found.epoch) : -1},
         {"found_offset", found.found.offset.value_or(-1)},
         {"reset", found.found.is_reset ? "yes" : "no"}});
    if (!chain.end(ChainEnd::fenced)) continue;  // it had ended: who else has it is no news
    queue.look_again();
    queue.writer->events.fenced(found.mine.chain, found.found);
  }
}

}  // namespace penstock::write
