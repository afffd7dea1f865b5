#include "dead_letters/redrive.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "dead_letters/letter_batches.h"
#include "dead_letters/store.h"
#include "write/lock_holder.h"
#include "write/unknown_commit.h"

namespace penstock::dead_letters {
namespace {

using postgres::Failure;
using postgres::FailureClass;
using postgres::Try;
using write::Outcome;

// As many as pay with COPY; a killed redrive does no more of them again.
constexpr std::uint64_t kMostLetters = 1000;
constexpr int kTries = 8;
// Of penstock.settle_dead_letters(): a letter that is locked is gone, by what a row has done.
constexpr std::string_view kTaken = "PS002";
constexpr std::chrono::milliseconds kFirstPause(20);
// So often must a letter alone end its session: they end for other reasons, too.
constexpr int kTriesAlone = 3;
constexpr const char* kAgain = "run it again: what is committed is not done twice";

std::int64_t integer(const postgres::Reply& rows, int row, int column) {
  return std::atoll(rows.string(row, column).c_str());
}

// A record that PostgreSQL has refused before it could be bisected.
void refuse(RowBatch& batch, const Failure& failure) {
  write::Refusal refusal = write::refusal_of(0, failure, {});
  batch.tables.clear();
  batch.filtered = 0;
  batch.rejects = {{0, Stage::write, std::string(refusal.reason), std::move(refusal.message),
                    std::move(refusal.sqlstate)}};
}

std::unexpected<Error> ended(const Failure& failure, std::span<const Letter> letters = {}) {
  Error error = error_of(failure);
  if (letters.size() == 1) {
    error.message = "dead letter " + std::to_string(letters.front().id) + ": " + error.message;
  }
  if (error.hint.empty()) error.hint = kAgain;
  return std::unexpected(std::move(error));
}

}  // namespace

void Tally::add(const Tally& other) {
  matched += other.matched;
  redriven += other.redriven;
  left_out += other.left_out;
  refused += other.refused;
  for (const auto& [key, cause] : other.causes) {
    const auto [known, is_new] = causes.emplace(key, cause);
    if (!is_new) known->second.letters += cause.letters;
  }
}

Redrive::Redrive(std::shared_ptr<const Plan> plan, Filter filter, RedriveOptions options)
    : plan_(std::move(plan)),
      processor_(plan_->make_processor()),
      filter_(std::move(filter)),
      options_(std::move(options)),
      wakeup_(system_clock()),
      most_(options_.letters_per_second == 0
                ? kMostLetters
                : std::clamp<std::uint64_t>(options_.letters_per_second, 1, kMostLetters)) {
  filter_.pipeline = plan_->pipeline();
  filter_.topics = options_.topics.empty() ? plan_->topics().names() : options_.topics;
  session_options_.conninfo = options_.conninfo;
  session_options_.session_name = "penstock/redrive";
}

Try<void> Redrive::connect() {
  auto opened = write::Session::open(session_options_, /*lane=*/0, wakeup_, nullptr);
  if (!opened) return std::unexpected(std::move(opened.error()));
  session_ = std::move(*opened);
  is_used_ = false;
  auto prepared = session_->connection().execute(Settlement::prepare_sql());
  if (!prepared) return std::unexpected(std::move(prepared.error()));
  return {};
}

Try<void> Redrive::count_letters() {
  const Condition condition = condition_of(filter_);
  auto begun = session_->connection().execute("BEGIN; SET LOCAL search_path = pg_catalog, pg_temp");
  if (!begun) return std::unexpected(std::move(begun.error()));
  auto there = session_->connection().execute(
      "SELECT count(*), coalesce(max(d.id), 0) FROM penstock.dead_letters d WHERE " + condition.sql,
      std::span(condition.parameters));
  if (!there) return std::unexpected(std::move(there.error()));
  tally_.matched = static_cast<std::uint64_t>(integer(*there, 0, 0));
  last_id_ = integer(*there, 0, 1);
  roll_back();
  return {};
}

Result<void> Redrive::run(const std::function<void(const Tally&)>& progress) {
  if (auto opened = connect(); !opened) return std::unexpected(error_of(opened.error()));
  if (auto counted = count_letters(); !counted) return std::unexpected(error_of(counted.error()));
  begin_ = std::chrono::steady_clock::now();
  for (;;) {
    const std::uint64_t before = tally_.done();
    tally_.waits_for.clear();
    const auto more = step();
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
    if (tally_.done() != before || !tally_.waits_for.empty()) progress(tally_);
    if (tally_.done() != before) pace();
  }
}

Result<bool> Redrive::step() {
  auto taken = take();
  if (!taken) {
    if (const auto learnt = learn_from_taking(taken.error()); !learnt) {
      return std::unexpected(learnt.error());
    }
    return true;
  }
  if (taken->empty()) {
    roll_back();
    if (page_end_ == 0) return false;
    after_ = page_end_;
    blame_.reset();
    return true;
  }
  Settlement settlement(/*commits=*/!options_.dry_run);
  auto group = group_of(*taken, settlement);
  if (!group) {
    roll_back();
    return std::unexpected(group.error());
  }
  std::uint64_t left_out = 0;
  for (const write::Part& part : group->parts) left_out += part.batch->filtered;
  write::TransactionRules rules;
  rules.ending = &settlement;
  CommitStats stats;
  std::optional<write::RefusalCause> all_by;
  const Outcome outcome = write::commit_group(*session_, *group, rules, stats, all_by);
  if (outcome.kind == Outcome::Kind::committed || outcome.kind == Outcome::Kind::passed) {
    settled(*taken, settlement, left_out);
    return true;
  }
  if (const auto learnt = learn(outcome, *taken, settlement); !learnt) {
    return std::unexpected(learnt.error());
  }
  return true;
}

// Rows that are written by key end as their last letter says only if one redrive goes on where
// another has ended; where every letter is a new row, they share the work.
bool Redrive::is_in_order() const {
  return std::ranges::any_of(plan_->targets(), &Target::is_keyed);
}

Try<std::vector<Letter>> Redrive::take() {
  postgres::Connection& connection = session_->connection();
  // What somebody made in a schema of the role's takes no part in our statements; triggers of the
  // table have the role's own search_path again.
  auto begun = connection.execute(
      "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL search_path = pg_catalog, pg_temp");
  if (!begun) return std::unexpected(std::move(begun.error()));
  Condition condition = condition_of(filter_);
  condition.sql += " AND d.id <= " + condition.add(std::to_string(last_id_)) + "::bigint";
  const std::string page = page_sql(condition, after_, most_);
  auto ids = connection.execute(page, std::span(condition.parameters));
  if (!ids) return std::unexpected(std::move(ids.error()));
  Filter in_hand = filter_;
  in_hand.ids.clear();
  for (int row = 0; row < ids->rows(); ++row) in_hand.ids.push_back(integer(*ids, row, 0));
  std::vector<Letter> letters;
  page_end_ = in_hand.ids.empty() ? 0 : std::ranges::max(in_hand.ids);
  if (page_end_ == 0) return letters;
  const Condition wanted = condition_of(in_hand);  // again: another redrive may have had them
  const bool in_order = is_in_order();
  auto rows = connection.execute(
      "SELECT " + columns_of_letter(Contents::whole) + " FROM penstock.dead_letters d WHERE " +
          wanted.sql + " ORDER BY d.id FOR UPDATE OF d" + (in_order ? "" : " SKIP LOCKED"),
      std::span(wanted.parameters));
  if (!rows) return std::unexpected(std::move(rows.error()));
  for (int row = 0; row < rows->rows(); ++row) {
    letters.push_back(read_letter(*rows, row, Contents::whole));
  }
  auto restored = connection.execute("SET LOCAL search_path TO DEFAULT");
  if (!restored) return std::unexpected(std::move(restored.error()));
  return letters;
}

Result<write::Group> Redrive::group_of(std::span<const Letter> letters, Settlement& settlement) {
  auto batches = batches_of(letters, plan_);
  if (!batches) return std::unexpected(batches.error());
  write::Group group;
  for (LetterBatch& batch : *batches) {
    settlement.add_letters(*batch.records, std::move(batch.ids));
    auto rows = processor_->process(std::move(batch.records));
    if (blame_ && letters.size() == 1 && letters.front().id == blame_->id) {
      refuse(*rows, blame_->failure);
    }
    group.parts.emplace_back(std::move(rows));
  }
  // Each record for itself, its deferred constraints too: what a letter's row violates is that
  // letter's to keep.
  group.careful = true;
  group.is_judged_again = true;  // what is refused stays a letter
  group.immediate = true;
  group.any_code = any_code_;
  group.index(columns_);
  return group;
}

void Redrive::settled(std::span<const Letter> letters, const Settlement& settlement,
                      std::uint64_t left_out) {
  for (const Refused& one : settlement.refused()) {
    Tally::Cause& cause = tally_.causes[{one.stage, one.reason, one.sqlstate}];
    if (cause.letters++ == 0) {
      cause.example_id = one.id;
      cause.example_message = one.message;
    }
  }
  const std::uint64_t refused = settlement.refused().size();
  tally_.refused += refused;
  tally_.left_out += left_out;
  tally_.redriven += letters.size() - refused - left_out;
  after_ = page_end_;
  const std::uint64_t ceiling = options_.letters_per_second == 0
                                    ? kMostLetters
                                    : std::min(kMostLetters, options_.letters_per_second);
  most_ = std::min(ceiling, most_ * 2);
  is_used_ = true;
  tries_ = 0;
  tries_alone_ = 0;
  any_code_ = false;
  blame_.reset();
}

Result<void> Redrive::learn(const Outcome& outcome, std::span<const Letter> letters,
                            const Settlement& settlement) {
  const Failure& failure = outcome.failure;
  const std::string& state = failure.error.sqlstate;
  const std::string server_start = session_->server_start();
  const bool was_used = is_used_;
  if (outcome.kind == Outcome::Kind::unknown) return ended(failure);
  if (postgres::waits_for_lock(state)) note_wait(failure.error);
  const bool is_lost = failure.connection_lost && postgres::helps_to_halve(state);
  if (was_used || outcome.spoiled || is_lost) {
    if (auto renewed = reconnect(failure); !renewed) return ended(renewed.error());
  }
  // What an earlier row has done to the session is not to be told from what this one does.
  if (was_used) return {};
  if (outcome.outdated && !outcome.spoiled) {
    return fail(ErrorKind::conflict, failure.error.message, kAgain);
  }
  const bool is_blamed = blame_ && blame_->id == letters.front().id;
  const bool passes_by_itself =
      failure.failure == FailureClass::retry_quickly || postgres::waits_for_lock(state);
  if (passes_by_itself && ++tries_ < kTries) {
    std::this_thread::sleep_for(kFirstPause * (1 << tries_));
    return {};
  }
  // After the rows it is theirs only if it is what they have left behind.
  const bool is_theirs =
      outcome.spoiled
          // A grant that somebody has revoked looks the same, but meets the row itself.
          ? (state != "42501" || settlement.was_asked()) && session_->server_start() == server_start
          : state == kTaken || postgres::helps_to_halve(state) ||
                ((!settlement.was_asked() || outcome.by_a_record) &&
                 (outcome.kind == Outcome::Kind::not_theirs || postgres::may_be_a_rows(failure)));
  if (letters.size() > 1 && (is_theirs || outcome.spoiled)) {
    // Smaller, until the one letter is known that raises it by itself.
    most_ = letters.size() / 2;
    any_code_ = any_code_ || !postgres::helps_to_halve(state);
    return {};
  }
  if (!is_theirs || is_blamed) return ended(failure, letters);
  most_ = 1;
  if (outcome.spoiled && ++tries_alone_ < kTriesAlone) return {};
  blame_ = Blame{.id = letters.front().id, .failure = failure};
  return {};
}

Result<void> Redrive::learn_from_taking(const Failure& failure) {
  if (postgres::waits_for_lock(failure.error.sqlstate)) {
    roll_back();
    note_wait(failure.error);
    // Of another redrive: that ends.
    if (is_in_order() || ++tries_ < kTries) return {};
    return ended(failure);
  }
  if (!is_used_) return ended(failure);
  if (auto renewed = reconnect(failure); !renewed) return ended(renewed.error());
  return {};
}

Try<void> Redrive::reconnect(const Failure& failure) {
  const postgres::BackendIdentity lost = session_->identity();
  session_.reset();
  if (auto connected = connect(); !connected) return connected;
  // Before it is gone, its letters are locked, and would be passed over as somebody else's.
  if (failure.connection_lost) return write::await_end(*session_, lost);
  return {};
}

void Redrive::note_wait(const Error& error) {
  tally_.waits_for =
      error.message +
      write::lock_holder(session_->connection(), write::tables_of(*plan_, "penstock.dead_letters"));
}

void Redrive::roll_back() {
  // What it says of a connection that is gone, the next statement says, too.
  static_cast<void>(session_->connection().execute("ROLLBACK"));
}

// Sleeps as long as it is ahead of its rate.
void Redrive::pace() const {
  if (options_.letters_per_second == 0) return;
  const double seconds =
      static_cast<double>(tally_.done()) / static_cast<double>(options_.letters_per_second);
  std::this_thread::sleep_until(begin_ + std::chrono::duration_cast<SteadyTime::duration>(
                                             std::chrono::duration<double>(seconds)));
}

}  // namespace penstock::dead_letters
