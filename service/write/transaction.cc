#include "write/transaction.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "postgres/binary_array.h"
#include "postgres/own_schema.h"
#include "write/bisect.h"
#include "write/copy_writer.h"
#include "write/dead_letter.h"
#include "write/script.h"

namespace penstock::write {
namespace {

constexpr const char* kBegin = "BEGIN ISOLATION LEVEL READ COMMITTED; ";

// Runs of rows that join shorter than this make COPY slower than pipelined INSERTs: each COPY is
// two round trips of its own.
constexpr std::size_t kRowsPerCopy = 64;

std::uint64_t row_bytes(std::span<const Slice> slices) {
  std::uint64_t bytes = 0;
  for (const Slice& slice : slices) bytes += slice.bytes().size();
  return bytes;
}

// A row of so many bytes or more counts as several: COPY takes it in pieces, where a parameter is
// copied whole, by us and by libpq, which keeps the room for it.
constexpr std::size_t kBytesPerRow = 2048;

bool takes_copy(std::size_t copy_from_rows, const Group& group) {
  const std::size_t rows = std::max<std::size_t>(
      group.rows(), group.rows() > 0 ? row_bytes(group.slices()) / kBytesPerRow : 0);
  if (rows == 0 || rows < copy_from_rows) return false;
  const bool is_one = group.is_keyed() && group.statements() == 1;
  return (is_one || group.statements() * kRowsPerCopy <= rows) && group.can_copy();
}

std::uint64_t row_count(std::span<const Slice> slices) {
  std::uint64_t count = 0;
  for (const Slice& slice : slices) count += slice.count;
  return count;
}

// Ends a failed transaction, so that the session can be used again.
void roll_back(Session& session, postgres::Failure& failure) {
  if (failure.connection_lost || failure.failure == postgres::FailureClass::cancelled) return;
  if (!session.connection().execute("ROLLBACK")) failure.connection_lost = true;
}

Outcome outcome(Outcome::Kind kind, postgres::Failure failure) {
  Outcome made;
  made.kind = kind;
  made.failure = std::move(failure);
  return made;
}

Outcome refused(Session& session, Group& group, postgres::Failure failure,
                std::optional<RecordPlace> record, bool deferred) {
  roll_back(session, failure);
  if (group.careful && (!deferred || group.immediate)) {
    // Every record has passed by itself: what is refused is not a record.
    failure.failure = postgres::FailureClass::configuration;
    failure.error.kind = ErrorKind::internal;
    failure.error.hint = "a constraint or trigger refuses the transaction, but none of its rows";
    return outcome(Outcome::Kind::failed, std::move(failure));
  }
  group.careful = true;
  group.immediate = deferred;
  group.suspect = record;
  return outcome(Outcome::Kind::refused, std::move(failure));
}

// What refused some of its records is gone: none of them is judged by it.
Outcome judge_again(Session& session, Group& group, postgres::Failure failure) {
  roll_back(session, failure);
  group.careful = false;
  group.immediate = false;
  group.suspect.reset();
  group.is_judged_again = true;
  return outcome(Outcome::Kind::refused, std::move(failure));
}

bool is_refusal(const postgres::Failure& failure) {
  return !failure.connection_lost && (failure.failure == postgres::FailureClass::row ||
                                      failure.failure == postgres::FailureClass::unclear);
}

Outcome failed_with(Session& session, postgres::Failure failure) {
  roll_back(session, failure);
  Outcome made = outcome(Outcome::Kind::failed, std::move(failure));
  made.spoiled = postgres::may_be_spoiled(made.failure);
  return made;
}

// While rows were written, or their deferred constraints were checked.
Outcome failed_at_rows(Session& session, postgres::Failure failure, bool deferred) {
  const bool by_a_record = postgres::may_be_a_rows(failure);
  Outcome made = failed_with(session, std::move(failure));
  made.by_a_record = by_a_record && !made.failure.connection_lost;
  made.deferred = deferred;
  return made;
}

// As it should: what moves it has made nothing of that.
bool stands_where_it_begins(const Fenced& chain) {
  return chain.found.epoch == chain.mine.chain->epoch &&
         chain.found.offset == chain.mine.range.from;
}

Outcome from_step(Session& session, Group& group, StepFailure& step) {
  postgres::Failure& failure = step.failure;
  const bool is_ours =
      step.step == Step::tables || step.step == Step::dead_letters || step.step == Step::fence;
  if (is_ours) failure.context.clear();  // of a function of ours
  if (step.commit_unknown) {
    Outcome made = outcome(Outcome::Kind::unknown, std::move(failure));
    made.spoiled = postgres::may_be_spoiled(made.failure);
    return made;
  }
  if (failure.failure == postgres::FailureClass::fenced && step.step == Step::fence) {
    roll_back(session, failure);
    std::vector<Fenced> fenced = read_fenced(failure.detail, group);
    if (fenced.empty()) {  // not ours to understand: refuse to guess
      failure.failure = postgres::FailureClass::configuration;
      return outcome(Outcome::Kind::failed, std::move(failure));
    }
    if (std::ranges::all_of(fenced, stands_where_it_begins) && !failure.connection_lost) {
      const auto swallowers = postgres::swallowers_of(session.connection(), "penstock.offsets");
      if (swallowers && !swallowers->empty()) {
        return outcome(Outcome::Kind::failed,
                       postgres::not_written(session.connection(), "offsets"));
      }
    }
    Outcome made = outcome(Outcome::Kind::fenced, std::move(failure));
    made.fenced = std::move(fenced);
    return made;
  }
  if (is_ours && step.step != Step::tables && !failure.connection_lost) {
    const std::string said = failure.error.message;
    roll_back(session, failure);
    if (said.contains(kLettersLost)) {
      return outcome(Outcome::Kind::failed,
                     postgres::not_written(session.connection(), "dead_letters"));
    }
    postgres::explain(session.connection(), failure);
    if (failure.error.message != said) return outcome(Outcome::Kind::failed, std::move(failure));
  }
  if (is_refusal(failure)) {
    if (step.step == Step::tables) {
      failure.failure = postgres::FailureClass::configuration;
      // PostgreSQL says that our sentence, in quotes, is no integer.
      const std::string& said = failure.error.message;
      const std::size_t begin = said.find('"') + 1;
      failure.error = Error{ErrorKind::conflict,
                            "table " + said.substr(begin, said.rfind('"') - begin),
                            "it is read again by itself",
                            {}};
      Outcome made = failed_with(session, std::move(failure));
      made.outdated = true;
      if (made.failure.error.message.contains(kSetsEncoding)) {
        made.failure.error.sqlstate = postgres::kSetsParameter;
        made.failure.context.clear();
        made.spoiled = true;
      }
      return made;
    }
    if (step.step == Step::rows) {
      return refused(session, group, std::move(failure), step.record, /*deferred=*/false);
    }
    if (step.step == Step::constraints || step.step == Step::commit) {
      return refused(session, group, std::move(failure), std::nullopt, /*deferred=*/true);
    }
    failure.failure = postgres::FailureClass::configuration;  // our own tables refuse
    failure.error.kind = ErrorKind::internal;
  }
  if (step.step == Step::rows || step.step == Step::constraints || step.step == Step::commit) {
    return failed_at_rows(session, std::move(failure), /*deferred=*/step.step != Step::rows);
  }
  return failed_with(session, std::move(failure));
}

// Looks whether the tables are still what the rows were made for. After the rows, when their locks
// are held: what it finds is what they have met. `refuses`: some of them are refused, perhaps by
// what has come to a table since.
void add_tables(Script& script, const Group& group, bool refuses) {
  const bool has_rejects = std::ranges::any_of(
      group.parts, [](const Part& part) { return !part.batch->rejects.empty(); });
  if (group.rows() == 0 && !has_rejects) return;
  for (const bool whole : {false, true}) {
    postgres::BinaryArray names;
    postgres::BinaryArray versions;
    for (postgres::BinaryArray* array : {&names, &versions}) array->begin(postgres::oid::kText);
    for (const Target& target : group.plan().targets()) {
      if ((refuses || target.is_keyed()) != whole) continue;
      const TableDescription& table = target.table;
      names.add(table.quoted_name());
      versions.add(whole ? table.version + " " + table.rules_version : table.version);
    }
    if (names.count() == 0) continue;
    const std::array parameters{names.finish(), versions.finish()};
    script.add(Step::tables, whole ? statement::kWholeTables : statement::kTables, parameters);
  }
}

// Everything after the rows, in one round trip.
Outcome finish(Session& session, Group& group, std::span<const Refusal> refusals,
               const TransactionRules& rules, CommitStats& stats) {
  Script script(session);
  add_tables(script, group, !refusals.empty());
  if (group.careful) script.add(Step::constraints, statement::kImmediate);
  if (rules.ending != nullptr) {
    rules.ending->add(script, group, refusals);
  } else {
    stats.dead_letters = add_dead_letters(script, group, refusals);
    add_fence(script, group);
  }
  const bool is_probe = group.probes && !group.left_out.empty();
  const bool commits = !is_probe && (rules.ending == nullptr || rules.ending->commits());
  if (commits) script.add(Step::commit, statement::kCommit);
  if (auto done = script.run(); !done) return from_step(session, group, done.error());
  stats.fence = script.fence_time();
  if (commits) return {};
  Outcome made = outcome(Outcome::Kind::passed, {});
  roll_back(session, made.failure);
  return made;
}

// Where rows of keyed targets go by COPY; nothing for others, and mostly nothing to do.
postgres::Try<void> prepare_staging(Session& session, const Group& group) {
  if (!group.is_keyed() || !group.can_copy()) return {};
  return session.staging().prepare(session.connection(), group.slices(),
                                   std::chrono::steady_clock::now());
}

// Those that PostgreSQL took and that changed nothing: by key, or because a trigger made nothing of
// them.
void count_unchanged(std::uint64_t sent, CommitStats& stats) {
  if (sent > stats.rows) stats.unchanged_rows = sent - stats.rows;
}

void add_begin(Script& script, const Group& group, const TransactionRules& rules) {
  script.add(Step::begin, statement::kBegin);
  if (rules.glance) script.add(Step::begin, statement::kGlance);
  if (!rules.takes_turns) return;
  postgres::BinaryArray names;
  names.begin(postgres::oid::kText);
  for (const Target& target : group.plan().targets()) names.add(target.table.quoted_name());
  const std::array parameters{names.finish()};
  script.add(Step::begin, statement::kTurn, parameters);
}

// Begins a transaction whose rows do not come in the same round trip.
std::optional<Outcome> begin_transaction(Session& session, Group& group,
                                         const TransactionRules& rules) {
  Script script(session);
  add_begin(script, group, rules);
  if (auto done = script.run(); !done) return from_step(session, group, done.error());
  return std::nullopt;
}

Outcome commit_by_copy(Session& session, Group& group, const TransactionRules& rules,
                       CommitStats& stats) {
  stats.by_copy = true;
  if (auto prepared = prepare_staging(session, group); !prepared) {
    return outcome(Outcome::Kind::failed, std::move(prepared.error()));
  }
  std::string prologue = rules.glance ? std::string(kBegin) + kGlanceSql + "; " : kBegin;
  if (rules.takes_turns) {
    if (auto failed = begin_transaction(session, group, rules)) return *std::move(failed);
    prologue.clear();
  }
  auto copied = copy_rows(session, group.by_time(), prologue);
  if (!copied) {
    CopyFailure& failure = copied.error();
    if (failure.was_met) {
      roll_back(session, failure.failure);
      if (!failure.failure.connection_lost) return commit_by_copy(session, group, rules, stats);
    }
    if (is_refusal(failure.failure)) {
      return refused(session, group, std::move(failure.failure), failure.record,
                     /*deferred=*/false);
    }
    return failed_at_rows(session, std::move(failure.failure), /*deferred=*/false);
  }
  stats.rows = *copied;
  count_unchanged(group.rows(), stats);
  return finish(session, group, {}, rules, stats);
}

Outcome commit_in_one_trip(Session& session, Group& group, const TransactionRules& rules,
                           std::span<const Slice> slices, CommitStats& stats) {
  // Each row once, though its order may have it sent twice.
  const std::uint64_t sent = group.rows() - row_count(group.cut(0, group.left_out.size()));
  if (auto prepared = prepare_rows(session, slices); !prepared) {
    return outcome(Outcome::Kind::failed, std::move(prepared.error()));
  }
  Script script(session);
  add_begin(script, group, rules);
  script.add_rows(slices);
  if (rules.rows_first) {
    script.add(Step::constraints, statement::kImmediate);
    if (auto done = script.run(); !done) return from_step(session, group, done.error());
    stats.rows = script.rows_written();
    count_unchanged(sent, stats);
    return finish(session, group, group.left_out, rules, stats);
  }
  if (!group.left_out.empty() && group.probes) {
    if (auto done = script.run(); !done) return from_step(session, group, done.error());
    Outcome made = outcome(Outcome::Kind::passed, {});
    roll_back(session, made.failure);
    return made;
  }
  add_tables(script, group, !group.left_out.empty());
  stats.dead_letters = add_dead_letters(script, group, group.left_out);
  add_fence(script, group);
  script.add(Step::commit, statement::kCommit);
  auto done = script.run();
  stats.rows = script.rows_written();
  if (!done) {
    // The answers may have been lost with COMMIT's: what was sent has to do.
    if (done.error().commit_unknown) stats.rows = sent;
    return from_step(session, group, done.error());
  }
  count_unchanged(sent, stats);
  stats.fence = script.fence_time();
  return {};
}

Outcome commit_without(Session& session, Group& group, const TransactionRules& rules,
                       CommitStats& stats) {
  const std::vector<Slice> slices = group.in_order(group.left_out.size(), group.records());
  stats.bytes = row_bytes(slices);
  stats.refused_records = group.left_out.size();
  Outcome made = commit_in_one_trip(session, group, rules, slices, stats);
  made.refusals = group.left_out;
  return made;
}

// Whether its dead letters are more than a partition may have.
std::optional<Outcome> brake(const Group& group, std::span<const Refusal> refusals,
                             const TransactionRules& rules) {
  auto found = find_too_many(group, refusals, rules.reject_limit);
  if (!found) return std::nullopt;
  Outcome made = outcome(Outcome::Kind::too_many, {});
  made.too_many = std::move(found);
  return made;
}

Outcome commit_carefully(Session& session, Group& group, const TransactionRules& rules,
                         CommitStats& stats, std::optional<RefusalCause>& all_by) {
  stats.bisected = true;
  if (rules.ending == nullptr) {
    if (auto prepared = prepare_staging(session, group); !prepared) {
      return outcome(Outcome::Kind::failed, std::move(prepared.error()));
    }
    if (auto failed = begin_transaction(session, group, rules)) return *std::move(failed);
  }
  auto found = Bisection(session, group, /*is_staged=*/rules.ending == nullptr).run();
  if (!found) {  // what no row's SQLSTATE has: perhaps another record raises it
    return failed_at_rows(session, std::move(found.error()), /*deferred=*/group.immediate);
  }
  if (!found->waiting.empty()) {
    Outcome made = outcome(Outcome::Kind::waits, {});
    roll_back(session, made.failure);
    made.waiting = std::move(found->waiting);
    return made;
  }
  const bool are_many = found->all_by == rules.refused_by &&
                        rules.refused_before + group.records() >= kTableFaultFrom;
  if (!found->not_theirs && !group.blames_records && found->all_by &&
      (are_many || group.table_changed)) {
    found->not_theirs = found->last;
    found->example = group.records() - 1;
  }
  if (found->is_past) return judge_again(session, group, *std::move(found->last));
  if (found->not_theirs) {
    roll_back(session, *found->not_theirs);
    Outcome made = outcome(Outcome::Kind::not_theirs, std::move(*found->not_theirs));
    made.example = found->example;
    made.refusals = std::move(found->refusals);
    return made;
  }
  if (auto braked = brake(group, found->refusals, rules)) {
    roll_back(session, braked->failure);
    return *std::move(braked);
  }
  all_by = found->all_by;
  std::uint64_t taken = group.rows();
  for (const Refusal& refusal : found->refusals) {
    const std::vector<Slice> refused = group.cut(refusal.record, refusal.record + 1);
    stats.bytes -= row_bytes(refused);
    taken -= row_count(refused);
  }
  stats.rows = found->rows;
  count_unchanged(taken, stats);
  stats.refused_records = found->refusals.size();
  Outcome made = finish(session, group, found->refusals, rules, stats);
  made.refusals = std::move(found->refusals);
  return made;
}

}  // namespace

Outcome commit_group(Session& session, Group& group, const TransactionRules& rules,
                     CommitStats& stats, std::optional<RefusalCause>& all_by) {
  stats = {};
  stats.tries = group.tries;
  all_by.reset();
  // Before a row is sent: of what was rejected before it came here.
  if (auto braked = brake(group, group.left_out, rules)) return *std::move(braked);
  group.blames_records = group.others_pass || rules.reject_limit == RejectWindow::kNever ||
                         decides(group, rules.reject_limit);
  if (group.careful) {
    stats.bytes = row_bytes(group.slices());
    return commit_carefully(session, group, rules, stats, all_by);
  }
  if (!group.left_out.empty()) return commit_without(session, group, rules, stats);
  stats.bytes = row_bytes(group.slices());
  if (!rules.rows_first && takes_copy(rules.copy_from_rows, group)) {
    return commit_by_copy(session, group, rules, stats);
  }
  if (group.in_record_order()) {
    return commit_in_one_trip(session, group, rules, group.in_order(0, group.records()), stats);
  }
  return commit_in_one_trip(session, group, rules, group.slices(), stats);
}

}  // namespace penstock::write
