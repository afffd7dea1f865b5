#include "write/transaction.h"

#include <set>
#include <utility>

#include "write/bisect.h"
#include "write/copy_writer.h"

namespace penstock::write {
namespace {

constexpr const char* kBegin = "BEGIN ISOLATION LEVEL READ COMMITTED; ";

// Runs of equal shape shorter than this make COPY slower than pipelined INSERTs: each COPY is two
// round trips of its own.
constexpr std::size_t kRowsPerCopy = 64;

bool takes_copy(const LaneOptions& options, const Group& group) {
  if (group.rows() == 0 || group.rows() < options.copy_from_rows) return false;
  if (group.statements() * kRowsPerCopy > group.rows()) return false;
  for (const Slice& slice : group.slices()) {
    if (slice.shape->columns.empty()) return false;  // COPY cannot leave out every column
  }
  return true;
}

std::uint64_t row_bytes(const Group& group) {
  std::uint64_t bytes = 0;
  for (const Slice& slice : group.slices()) bytes += slice.bytes().size();
  return bytes;
}

// Ends a failed transaction, so that the session can be used again.
void roll_back(Session& session, postgres::Failure& failure) {
  if (failure.connection_lost || failure.failure == postgres::FailureClass::cancelled) return;
  if (!session.connection().execute("ROLLBACK")) failure.connection_lost = true;
}

Outcome refused(Session& session, Group& group, postgres::Failure failure,
                std::optional<std::size_t> row, bool deferred) {
  roll_back(session, failure);
  if (group.careful && (!deferred || group.immediate)) {
    // Every row has passed by itself: what is refused is not a row.
    failure.failure = postgres::FailureClass::configuration;
    failure.error.kind = ErrorKind::internal;
    failure.error.hint = "a constraint or trigger refuses the transaction, but none of its rows";
    return {.kind = Outcome::Kind::failed, .failure = std::move(failure), .fenced = {}};
  }
  group.careful = true;
  group.immediate = deferred;
  group.suspect = row;
  return {.kind = Outcome::Kind::refused, .failure = std::move(failure), .fenced = {}};
}

Outcome failed_with(Session& session, postgres::Failure failure) {
  roll_back(session, failure);
  return {.kind = Outcome::Kind::failed, .failure = std::move(failure), .fenced = {}};
}

Outcome from_step(Session& session, Group& group, StepFailure& step) {
  postgres::Failure& failure = step.failure;
  if (step.commit_unknown) {
    return {.kind = Outcome::Kind::unknown, .failure = std::move(failure), .fenced = {}};
  }
  if (failure.failure == postgres::FailureClass::fenced && step.step == Step::fence) {
    roll_back(session, failure);
    std::vector<Fenced> fenced = read_fenced(failure.detail, session.options(), group);
    Outcome outcome{
        .kind = Outcome::Kind::fenced, .failure = std::move(failure), .fenced = std::move(fenced)};
    if (outcome.fenced.empty()) {  // not ours to understand: refuse to guess
      outcome.kind = Outcome::Kind::failed;
      outcome.failure.failure = postgres::FailureClass::configuration;
    }
    return outcome;
  }
  if (failure.failure == postgres::FailureClass::row && !failure.connection_lost) {
    if (step.step == Step::types) {
      failure.failure = postgres::FailureClass::configuration;
      failure.error.kind = ErrorKind::conflict;
      failure.error.message = "the table is not what it was at start: " + failure.error.message;
      failure.error.hint = "restart the pipeline, so that it reads the table's columns again";
      return failed_with(session, std::move(failure));
    }
    if (step.step == Step::rows) {
      const bool one = step.to - step.from == 1;
      return refused(session, group, std::move(failure),
                     one ? std::optional(step.from) : std::nullopt, /*deferred=*/false);
    }
    if (step.step == Step::constraints || step.step == Step::commit) {
      return refused(session, group, std::move(failure), std::nullopt, /*deferred=*/true);
    }
    failure.failure = postgres::FailureClass::configuration;  // our own tables refuse
    failure.error.kind = ErrorKind::internal;
  }
  return failed_with(session, std::move(failure));
}

// Everything after the rows, in one round trip.
Outcome finish(Session& session, Group& group, const std::vector<Refusal>& refusals,
               CommitStats& stats) {
  // COPY holds the table's lock now: what it finds here is what COPY found.
  std::set<const char*> checks;
  const Slice* previous = nullptr;
  for (const Slice& slice : group.slices()) {
    if (previous != nullptr && slice.joins(*previous)) continue;
    previous = &slice;
    auto check = session.type_check(slice);
    if (!check) return failed_with(session, std::move(check.error()));
    checks.insert(*check);
  }
  Script script(session);
  for (const char* const check : checks) script.add(Step::types, check);
  if (group.careful) script.add(Step::constraints, statement::kImmediate);
  stats.dead_letters = add_dead_letters(script, session.options(), group, refusals);
  add_fence(script, session.options(), group);
  script.add(Step::commit, statement::kCommit);
  if (auto done = script.run(); !done) return from_step(session, group, done.error());
  return {};
}

Outcome commit_by_copy(Session& session, Group& group, CommitStats& stats) {
  stats.by_copy = true;
  if (auto copied = copy_rows(session, group.slices(), kBegin); !copied) {
    CopyFailure& failure = copied.error();
    if (failure.failure.failure == postgres::FailureClass::row &&
        !failure.failure.connection_lost) {
      return refused(session, group, std::move(failure.failure), failure.row, /*deferred=*/false);
    }
    return failed_with(session, std::move(failure.failure));
  }
  return finish(session, group, {}, stats);
}

Outcome commit_in_one_trip(Session& session, Group& group, CommitStats& stats) {
  if (auto prepared = prepare_rows(session, group.slices()); !prepared) {
    postgres::Failure failure = std::move(prepared.error());
    return {.kind = Outcome::Kind::failed, .failure = std::move(failure), .fenced = {}};
  }
  Script script(session);
  script.add(Step::begin, statement::kBegin);
  script.add_rows(group.slices());
  stats.dead_letters = add_dead_letters(script, session.options(), group, {});
  add_fence(script, session.options(), group);
  script.add(Step::commit, statement::kCommit);
  if (auto done = script.run(); !done) return from_step(session, group, done.error());
  return {};
}

Outcome commit_carefully(Session& session, Group& group, CommitStats& stats) {
  stats.bisected = true;
  if (auto begun = session.connection().execute(kBegin); !begun) {
    return failed_with(session, std::move(begun.error()));
  }
  auto refusals = Bisection(session, group).run();
  if (!refusals) return failed_with(session, std::move(refusals.error()));
  stats.refused_rows = refusals->size();
  stats.rows -= refusals->size();
  return finish(session, group, *refusals, stats);
}

}  // namespace

Outcome commit_group(Session& session, Group& group, CommitStats& stats) {
  stats = {.rows = group.rows(), .bytes = row_bytes(group), .tries = group.tries};
  if (group.careful) return commit_carefully(session, group, stats);
  if (takes_copy(session.options(), group)) return commit_by_copy(session, group, stats);
  return commit_in_one_trip(session, group, stats);
}

}  // namespace penstock::write
