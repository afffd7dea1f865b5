#include "component/chain/fake_postgres.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "write/lock_holder.h"
#include "write/refused_columns.h"

namespace penstock::test {
namespace {

using write::Outcome;

FakePostgres* current = nullptr;

postgres::Failure failure(postgres::FailureClass kind, const char* sqlstate) {
  postgres::Failure made;
  made.failure = kind;
  made.error = Error{ErrorKind::unavailable, "as the test wants it", {}, sqlstate};
  return made;
}

postgres::Failure lost() {
  postgres::Failure made = failure(postgres::FailureClass::retry, "");
  made.connection_lost = true;
  return made;
}

Outcome outcome(Outcome::Kind kind, postgres::Failure with) {
  Outcome made;
  made.kind = kind;
  made.failure = std::move(with);
  return made;
}

// Nobody can tell whether a record did it.
Outcome breaks() {
  Outcome made = outcome(Outcome::Kind::failed, lost());
  made.spoiled = true;
  return made;
}

Outcome fails(postgres::FailureClass kind, const char* sqlstate, bool by_a_record) {
  Outcome made = outcome(Outcome::Kind::failed, failure(kind, sqlstate));
  made.by_a_record = by_a_record;
  return made;
}

}  // namespace

Kind kind_of(std::int32_t partition, Offset offset) {
  std::uint64_t mixed = static_cast<std::uint64_t>(offset * 7 + partition + 1) * 0x9E3779B97F4A7C15;
  mixed ^= mixed >> 29;
  const std::uint64_t share = (mixed * 0xBF58476D1CE4E5B9 >> 32) % 200;
  if (share < 16) return Kind::none;
  if (share < 110) return Kind::one_row;
  if (share < 150) return Kind::two_rows;
  if (share < 170) return Kind::rejected;
  if (share < 184) return Kind::filtered;
  if (share < 190) return Kind::refused;
  if (share < 194) return Kind::odd;
  return share < 197 ? Kind::slow : Kind::fatal;
}

FakePostgres::FakePostgres() { current = this; }
FakePostgres::~FakePostgres() { current = nullptr; }

void FakePostgres::violated(const std::string& rule) {
  if (violation_.empty()) violation_ = rule;
}

void FakePostgres::fail_over() {
  for (const auto& [partition, position] : now_.positions) {
    moved_.insert({partition, position.epoch});
  }
  now_ = standby_;
  open_.clear();
  alive_.clear();
}

// ---- Claims

FakePostgres::Position FakePostgres::claim(std::int32_t partition, Epoch highest) {
  decide_those_of(partition);  // it waits for the row
  Position& position = now_.positions[partition];
  position.epoch = std::max(Epoch{value_of(position.epoch) + 1}, Epoch{value_of(highest) + 1});
  return position;
}

// ---- Transactions that are open

void FakePostgres::decide(const Transaction& transaction) {
  if (commits_open) apply(transaction);
}

void FakePostgres::decide_those_of(std::int32_t partition) {
  for (std::size_t i = 0; i < open_.size();) {
    const bool holds = std::ranges::any_of(open_[i].advances, [&](const write::Advance& advance) {
      return advance.chain->partition.partition == partition;
    });
    if (!holds) {
      ++i;
      continue;
    }
    decide(open_[i]);
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void FakePostgres::end_backend(const std::string& pid) {
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (open_[i].pid != pid) continue;
    decide(open_[i]);
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
}

void FakePostgres::apply(const Transaction& transaction) {
  ++transactions_;
  for (const Place& place : transaction.writes) {
    const auto [partition, offset, table] = place;
    const std::string name = "record " + std::to_string(partition) + ":" + std::to_string(offset);
    if (!now_.written.insert(place).second) violated(name + " is there twice");
    if (table == kDeadLetter) continue;
    const auto [last, first] = now_.last.try_emplace({partition, table}, offset);
    if (!first && last->second >= offset) violated(name + " comes out of order");
    last->second = offset;
  }
  for (const write::Advance& advance : transaction.advances) {
    const Chain& chain = *advance.chain;
    now_.positions[chain.partition.partition].next = advance.range.to;
    Offset& reached = reached_[{chain.partition.partition, chain.epoch}];
    reached = std::max(reached, advance.range.to);
  }
}

// ---- What it holds

std::set<int> FakePostgres::tables_with(std::int32_t partition, Offset offset) const {
  std::set<int> tables;
  for (const int table : {kDeadLetter, 0, 1}) {
    if (now_.written.contains({partition, offset, table})) tables.insert(table);
  }
  return tables;
}

Offset FakePostgres::position(std::int32_t partition) const {
  const auto found = now_.positions.find(partition);
  return found == now_.positions.end() ? 0 : found->second.next;
}

Offset FakePostgres::reached(std::int32_t partition, Epoch epoch) const {
  const auto found = reached_.find({partition, epoch});
  return found == reached_.end() ? 0 : found->second;
}

// ---- A try

// The fence is there for others, and for what fails: never for what we put in disorder.
void FakePostgres::check_fence(const write::Fenced& fenced) {
  const Chain& chain = *fenced.mine.chain;
  if (fenced.found.epoch != chain.epoch) return;
  if (moved_.contains({chain.partition.partition, chain.epoch})) return;
  violated("partition " + std::to_string(chain.partition.partition) + " is fenced at " +
           std::to_string(fenced.mine.range.from) + " though nobody else has touched it");
}

void FakePostgres::check_group(const write::Group& group) {
  std::map<const Chain*, Offset> next;
  for (const write::Part& part : group.parts) {
    const Chain& chain = *part.batch->chain();
    const std::string name = "partition " + std::to_string(chain.partition.partition);
    if (!chain.running()) violated(name + ": its chain has ended, and it is written");
    const auto [known, first] = next.try_emplace(&chain, part.range().from);
    if (known->second != part.range().from) violated(name + ": its parts do not follow");
    known->second = part.range().to;
  }
  const auto advances = group.advances();
  if (advances.size() != next.size()) violated("a chain is advanced twice, or not at all");
  for (std::size_t i = 1; i < advances.size(); ++i) {
    if (advances[i - 1].chain->partition >= advances[i].chain->partition) {
      violated("partitions are not locked in order");
    }
  }
}

std::vector<FakePostgres::Place> FakePostgres::rows_of(std::span<const write::Slice> slices,
                                                       const write::Group& group) {
  std::vector<Place> rows;
  for (const write::Slice& slice : slices) {
    const RecordBatch& source = *group.parts[slice.part].batch->source;
    const std::string_view bytes = slice.bytes();
    for (std::uint32_t i = 0; i < slice.count; ++i) {
      const Offset offset = source.record(slice.place(slice.first + i).record).offset;
      Offset in_row = -1;
      if (bytes.size() == slice.count * sizeof in_row) {
        std::memcpy(&in_row, bytes.data() + i * sizeof in_row, sizeof in_row);
      }
      if (in_row != offset) violated("the bytes of a row are another record's");
      rows.emplace_back(source.partition().partition, offset, slice.rows->target->number);
    }
  }
  return rows;
}

// Fills `made.writes` with the rows that pass.
std::optional<Outcome> FakePostgres::write_rows(write::Group& group, Transaction& made,
                                                std::vector<write::Refusal>& refusals) {
  const std::size_t first = group.careful ? 0 : group.left_out.size();
  const auto kind = [&group](std::size_t record) {
    const write::RecordPlace place = group.place(record);
    const RecordBatch& source = *group.parts[place.part].batch->source;
    return kind_of(source.partition().partition, source.record(place.record).offset);
  };
  std::optional<std::size_t> refused;
  bool odd_refused = false;
  for (std::size_t record = first; record < group.records(); ++record) {
    const Kind its = kind(record);
    if (its == Kind::fatal) return breaks();
    if (its == Kind::slow || (capacity > 0 && group.records() - first > capacity)) {
      return fails(postgres::FailureClass::retry, "57014", /*by_a_record=*/false);
    }
    if (its == Kind::odd && !(group.careful && group.any_code)) {
      return fails(postgres::FailureClass::retry_quickly, "40001", /*by_a_record=*/true);
    }
    if (its != Kind::refused && its != Kind::odd) continue;
    odd_refused |= its == Kind::odd;
    refused = record;
    if (!group.careful) break;
    refusals.push_back({record, its == Kind::odd ? "40001" : "23514", "refused", {}, {}, {}});
  }
  if (refused && !group.careful) {
    group.careful = true;
    group.suspect = group.place(*refused);
    return outcome(Outcome::Kind::refused, failure(postgres::FailureClass::row, "23514"));
  }
  if (odd_refused && refusals.size() == group.records()) {
    Outcome not_theirs =
        outcome(Outcome::Kind::not_theirs, failure(postgres::FailureClass::retry_quickly, "40001"));
    not_theirs.example = 0;
    return not_theirs;
  }
  if (!group.careful && first == 0) {
    made.writes = rows_of(group.slices(), group);
    return std::nullopt;
  }
  for (std::size_t record = first; record < group.records(); ++record) {
    if (std::ranges::contains(refusals, record, &write::Refusal::record)) continue;
    const auto rows = rows_of(group.cut(record, record + 1), group);
    made.writes.insert(made.writes.end(), rows.begin(), rows.end());
  }
  return std::nullopt;
}

Outcome FakePostgres::commit(write::Session& session, write::Group& group, CommitStats& stats) {
  check_group(group);
  if (!alive_.contains(session.identity().pid)) return breaks();
  if (fate == Fate::no_memory || fate == Fate::lost_before || fate == Fate::deadlock) {
    const Fate its = std::exchange(fate, Fate::well);
    if (its == Fate::no_memory) throw std::bad_alloc();
    if (its == Fate::deadlock) {
      return fails(postgres::FailureClass::retry_quickly, "40P01", /*by_a_record=*/false);
    }
    kill(session);
    return breaks();
  }

  Transaction made{.pid = session.identity().pid, .writes = {}, .advances = {}};
  std::vector<write::Refusal> refusals = group.left_out;
  if (group.careful) refusals.clear();
  if (auto failed = write_rows(group, made, refusals)) {
    if (failed->failure.connection_lost) kill(session);
    return *std::move(failed);
  }
  if (!group.careful && !group.left_out.empty() && group.probes) {
    return outcome(Outcome::Kind::passed, {});
  }
  // As the transaction does: not one dead letter that would be too many.
  if (auto found = write::find_too_many(group, refusals, RejectWindow::kRecords / 4)) {
    Outcome too_many = outcome(Outcome::Kind::too_many, {});
    too_many.too_many = std::move(found);
    return too_many;
  }
  for (const write::Part& part : group.parts) {
    for (const Reject& reject : part.batch->rejects) {
      if (reject.record < part.first || reject.record >= part.end) continue;
      made.writes.emplace_back(part.batch->partition().partition,
                               part.batch->source->record(reject.record).offset, kDeadLetter);
    }
  }
  for (const write::Refusal& refusal : refusals) {
    const write::RecordPlace place = group.place(refusal.record);
    const RecordBatch& source = *group.parts[place.part].batch->source;
    made.writes.emplace_back(source.partition().partition, source.record(place.record).offset,
                             kDeadLetter);
  }

  made.advances.assign(group.advances().begin(), group.advances().end());
  std::vector<write::Fenced> fenced;
  for (const write::Advance& advance : made.advances) {
    decide_those_of(advance.chain->partition.partition);
  }
  for (const write::Advance& advance : made.advances) {
    write::Advance begin = advance;
    begin.range.to = begin.range.from;  // where it must stand now
    for (write::Fenced& found : moved(std::span(&begin, 1))) {
      found.mine = advance;
      check_fence(found);
      fenced.push_back(std::move(found));
    }
  }
  if (!fenced.empty()) {
    Outcome refused =
        outcome(Outcome::Kind::fenced, failure(postgres::FailureClass::fenced, "PS001"));
    refused.fenced = std::move(fenced);
    return refused;
  }

  stats.rows = group.rows();
  stats.refused_records = refusals.size();
  Outcome done;
  done.refusals = std::move(refusals);
  // What becomes of COMMIT waits for a transaction that comes so far.
  const Fate its = std::exchange(fate, Fate::well);
  switch (its) {
    case Fate::unknown_not:
      break;
    case Fate::unknown_open:
      open_.push_back(std::move(made));
      break;
    default:
      apply(made);
  }
  if (its == Fate::no_memory_after) {
    for (const write::Advance& advance : group.advances()) {
      moved_.insert({advance.chain->partition.partition, advance.chain->epoch});
    }
    throw std::bad_alloc();
  }
  if (its == Fate::unknown_done || its == Fate::unknown_not || its == Fate::unknown_open) {
    kill(session);
    done.kind = Outcome::Kind::unknown;
    done.spoiled = true;
    done.failure = lost();
  }
  return done;
}

std::vector<write::Fenced> FakePostgres::moved(std::span<const write::Advance> advances) const {
  std::vector<write::Fenced> result;
  for (const write::Advance& advance : advances) {
    write::Fenced fenced{.mine = advance, .found = {}};
    const auto found = now_.positions.find(advance.chain->partition.partition);
    if (found != now_.positions.end()) {
      fenced.found.epoch = found->second.epoch;
      fenced.found.offset = found->second.next;
    }
    if (fenced.found.epoch == advance.chain->epoch && fenced.found.offset == advance.range.to) {
      continue;
    }
    result.push_back(std::move(fenced));
  }
  return result;
}

// ---- Sessions

std::string FakePostgres::connect(const postgres::Connection& connection) {
  const std::string pid = std::to_string(++pids_);
  sessions_[&connection] = pid;
  alive_.insert(pid);
  return pid;
}

void FakePostgres::disconnect(const postgres::Connection& connection) {
  sessions_.erase(&connection);
}

bool FakePostgres::is_alive(const postgres::Connection& connection) const {
  const auto found = sessions_.find(&connection);
  return found != sessions_.end() && alive_.contains(found->second);
}

}  // namespace penstock::test

// ---- In the place of postgres/connection.cc, and of what of write/ speaks SQL ------------------

namespace penstock::postgres {

using test::current;

Try<std::unique_ptr<Connection>> Connection::open(const std::string&, std::span<const Setting>,
                                                  std::span<const Setting>,
                                                  std::chrono::milliseconds, Wakeup& wakeup) {
  if (current->away) return std::unexpected(test::lost());
  return std::unique_ptr<Connection>(new Connection(nullptr, wakeup));
}

Connection::~Connection() {
  if (current != nullptr) current->disconnect(*this);
}

void Connection::cancel() {}

std::string Connection::tls() const { return {}; }
int Connection::server_version() const { return 170000; }
std::uint64_t Connection::traffic() const { return 0; }

// Nobody has one.
std::optional<Reach::Answer> Reach::Question::answer() const { return std::nullopt; }
void Reach::suspect(SteadyTime) {}
void Reach::heard(SteadyTime) {}
// NOLINTNEXTLINE: by value, as it is declared
std::shared_ptr<const Reach::Question> Reach::ask(BackendIdentity, SteadyTime) { return nullptr; }

// Nobody is given one.
void Reply::Clear::operator()(pg_result*) const {}
int Reply::rows() const { return 0; }
std::string_view Reply::text(int, int) const { return {}; }

// That there is something to read is how an idle lane notices that its server is gone.
int Connection::socket() const {
  static const int readable = eventfd(1, EFD_CLOEXEC);
  return current->is_alive(*this) ? -1 : readable;
}

bool Connection::found_dead() { return !current->is_alive(*this); }

Try<Reply> Connection::execute(const std::string&) { return std::unexpected(test::lost()); }

Try<Reply> Connection::execute(const std::string&,
                               std::initializer_list<std::optional<std::string>>) {
  return std::unexpected(test::lost());
}

}  // namespace penstock::postgres

namespace penstock::write {

using test::current;

postgres::Try<std::unique_ptr<Session>> Session::open(const LanesOptions& options, int,
                                                      postgres::Wakeup& wakeup,
                                                      postgres::SilenceWatch*) {
  auto connection =
      postgres::Connection::open(options.conninfo, {}, {}, options.connect_timeout, wakeup);
  if (!connection) return std::unexpected(std::move(connection.error()));
  std::unique_ptr<Session> session(new Session());
  session->connection_ = std::move(*connection);
  session->identity_ = {current->connect(*session->connection_), "then", "lane"};
  return session;
}

Outcome commit_group(Session& session, Group& group, const TransactionRules&, CommitStats& stats,
                     std::optional<RefusalCause>& all_by) {
  stats = {};
  stats.tries = group.tries;
  all_by.reset();
  return current->commit(session, group, stats);
}

std::vector<const ColumnDescription*> refused_columns(const postgres::Failure&, const Slice&) {
  return {};
}
std::string labels_hint(const postgres::Failure&, const ColumnDescription&) { return {}; }
std::string place_of(const Refusal&) { return {}; }
std::string tables_of(const Plan&, std::string_view) { return {}; }
std::string lock_holder(postgres::Connection&, const std::string&) { return {}; }

postgres::Try<void> end_backend(Session& session, const postgres::BackendIdentity& old_backend) {
  if (!current->is_alive(session.connection())) return std::unexpected(test::lost());
  current->end_backend(old_backend.pid);
  return {};
}

postgres::Try<std::vector<Fenced>> read_moved(Session& session, std::span<const Advance> advances,
                                              const std::string&) {
  if (!current->is_alive(session.connection())) return std::unexpected(test::lost());
  return current->moved(advances);
}

postgres::Try<Resolution> resolve_unknown(Session& session,
                                          const postgres::BackendIdentity& old_backend,
                                          const Group& group, const std::string& owner) {
  if (auto ended = end_backend(session, old_backend); !ended) {
    return std::unexpected(std::move(ended.error()));
  }
  auto moved = read_moved(session, group.advances(), owner);
  if (!moved) return std::unexpected(std::move(moved.error()));
  if (moved->size() < group.advances().size()) return Resolution{Resolution::Kind::committed, {}};
  const bool stands = std::ranges::any_of(*moved, [](const Fenced& partition) {
    return partition.found.epoch == partition.mine.chain->epoch &&
           partition.found.offset == partition.mine.range.from;
  });
  if (stands) return Resolution{Resolution::Kind::not_committed, {}};
  return Resolution{Resolution::Kind::fenced, *std::move(moved)};
}

}  // namespace penstock::write
