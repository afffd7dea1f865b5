#include "verify/verification.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <format>
#include <limits>
#include <utility>

#include "core/clock.h"
#include "core/record_batch.h"
#include "kafka/probe.h"
#include "kafka/range_reader.h"
#include "text/plural.h"

namespace penstock::verify {
namespace {

using postgres::Connection;
using postgres::Failure;

constexpr std::chrono::seconds kKafkaPatience(30);
constexpr std::chrono::seconds kConnectTimeout(10);
// Longer than the brokers may be silent.
constexpr std::chrono::seconds kIdleInTransaction(60);
constexpr std::size_t kPrefetchBytes = std::size_t{32} << 20;
// Each takes a try of its batch.
constexpr std::size_t kMostRefused = 1000;

constexpr Offset kNoEnd = std::numeric_limits<Offset>::max();

// Records that are looked up among the dead letters.
constexpr std::size_t kMostRejected = 1'000'000;

Error error_of(const Failure& failure) {
  Error error = failure.error;
  const std::string& state = error.sqlstate;
  if (state == "3F000" || state == "42P01" || state == "42703" || state == "42883") {
    error.hint = "has the table or the schema \"penstock\" changed meanwhile? Run it again";
  } else if (state == "25P03") {
    error.hint = std::format("this process stood still for more than {} s: run it again",
                             kIdleInTransaction.count());
  } else if (state == "42501" && error.hint.empty()) {
    error.hint = "docs/reference/grants.md has what `penstock verify` needs";
  }
  return error;
}

Result<void> execute(Connection& connection, const std::string& sql) {
  if (auto done = connection.execute(sql); !done) return std::unexpected(error_of(done.error()));
  return {};
}

std::int64_t integer(const postgres::Reply& rows, int row, int column) {
  return std::strtoll(rows.string(row, column).c_str(), nullptr, 10);
}

// The text of an array of what needs no quotes: numbers, and names of topics in them.
class ArrayText {
 public:
  void add(std::string_view value) {
    text_.append(text_.size() == 1 ? "\"" : ",\"").append(value).append("\"");
  }
  void add(std::int64_t value) { add(std::string_view(std::to_string(value))); }
  [[nodiscard]] std::string text() const { return text_ + "}"; }

 private:
  std::string text_ = "{";
};

// As arrays of PostgreSQL's: their partitions, by number, and their offsets.
std::pair<std::string, std::string> columns_of(
    std::span<const std::pair<std::int32_t, Offset>> records) {
  ArrayText numbers;
  ArrayText offsets;
  for (const auto& [number, offset] : records) {
    numbers.add(number);
    offsets.add(offset);
  }
  return {numbers.text(), offsets.text()};
}

// The next offsets from `at` on, and before `end`, that a reading has had; empty: there are none.
OffsetRange applied_next(const Source& source, Offset at, Offset end) {
  OffsetRange next{.from = end, .to = end};
  for (const OffsetRange& one : source.readings) {
    if (one.to <= at || one.from >= end) continue;
    if (next.empty()) next = {.from = std::max(at, one.from), .to = std::min(one.to, end)};
    if (one.from <= next.to) next.to = std::max(next.to, std::min(one.to, end));
  }
  return next;
}

// Offsets of its range that no reading has had.
std::uint64_t never_applied(const Source& source) {
  Offset all = 0;
  for (Offset at = source.range.from; at < source.range.to;) {
    const OffsetRange next = applied_next(source, at, source.range.to);
    all += next.from - at;
    at = next.to;
  }
  return static_cast<std::uint64_t>(all);
}

}  // namespace

Verification::Verification(std::shared_ptr<const Plan> plan, Options options)
    : plan_(std::move(plan)),
      options_(std::move(options)),
      wakeup_(system_clock()),
      hold_wakeup_(system_clock()) {}

Result<Report> Verification::run(const std::function<void(const Progress&)>& progress) {
  progress_ = progress;
  lock_watch_.emplace(
      [this]() -> std::unique_ptr<Connection> {
        auto opened = open(wakeup_);
        return opened ? *std::move(opened) : nullptr;
      },
      [this](const std::string& holder) {
        so_far_.waits_for = holder;
        progress_(so_far_);
        so_far_.waits_for.clear();
      });
  return run().transform_error([this](Error error) { return explained(std::move(error)); });
}

// A hold that was lost explains whatever failed after it.
Error Verification::explained(Error error) {
  if (hold_) {
    if (auto lost = hold_->lost()) return *std::move(lost);
  }
  const std::string& holder = lock_watch_->last();
  if (error.sqlstate == "55P03" && !holder.empty()) error.message += "; " + holder;
  return error;
}

Result<Report> Verification::run() {
  report_.pipeline = plan_->pipeline();
  processor_ = plan_->make_processor();
  const auto step = [](const Result<void>& done) { return done.has_value(); };
  Result<void> done = make_comparisons();
  if (step(done)) done = connect();
  if (!done) return std::unexpected(done.error());
  // Most of the records first, without a transaction.
  const auto before = positions();
  if (!before) return std::unexpected(before.error());
  done = ask_kafka();
  if (step(done)) done = move_to(*before);
  if (step(done)) done = check_scope();
  if (step(done)) done = read(/*in_transaction=*/false);
  // Then what came meanwhile, up to where the tables are.
  if (step(done) && options_.repair) done = hold_positions();
  if (step(done)) {
    done = execute(*connection_,
                   std::format("BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE; SET LOCAL "
                               "idle_in_transaction_session_timeout = '{}s'",
                               kIdleInTransaction.count()));
  }
  if (!done) return std::unexpected(done.error());
  const auto now = positions();
  if (!now) return std::unexpected(now.error());
  done = move_to(*now);
  if (step(done)) done = check_scope();
  if (step(done)) done = read(/*in_transaction=*/true);
  if (step(done)) done = exclude_dead_letters();
  if (!done) return std::unexpected(done.error());
  so_far_.compares = true;
  progress_(so_far_);
  for (Comparison& comparison : comparisons_) {
    auto compared = comparison.compare(*connection_, sources_, report_.is_whole, options_.limit);
    if (!compared) return std::unexpected(error_of(compared.error()));
    report_.tables.push_back(*std::move(compared));
  }
  if (options_.repair) {
    if (auto repaired = repair(); !repaired) return std::unexpected(repaired.error());
  }
  for (const Source& source : sources_) {
    report_.ranges.push_back(
        {.topic = source.topic, .partition = source.partition.partition, .range = source.range});
  }
  return std::move(report_);
}

Result<void> Verification::make_comparisons() {
  for (const Target& target : plan_->targets()) {
    auto made = Comparison::of(target, options_.columns[target.number], options_.key);
    if (!made) return std::unexpected(made.error());
    comparisons_.push_back(*std::move(made));
  }
  return {};
}

Result<std::unique_ptr<Connection>> Verification::open(postgres::Wakeup& wakeup) {
  const std::array overrides{Connection::Setting{"application_name", "penstock/verify"}};
  auto opened = Connection::open(options_.conninfo, {}, overrides, kConnectTimeout, wakeup);
  if (!opened) return std::unexpected(error_of(opened.error()));
  (*opened)->set_deadline(SteadyTime::max());
  return *std::move(opened);
}

Result<void> Verification::connect() {
  auto opened = open(wakeup_);
  if (!opened) return std::unexpected(opened.error());
  connection_ = *std::move(opened);
  lock_watch_->watch(*connection_);
  // What somebody made in a schema of the role's takes no part in our statements. Rows that a
  // policy hides are an error rather than missing. Sums of many rows take their time.
  auto done = execute(
      *connection_,
      "SET search_path = pg_catalog, pg_temp; SET statement_timeout = 0; SET lock_timeout = 0; "
      "SET idle_session_timeout = 0; "
      "SET default_transaction_read_only = off; SET row_security = off; SET work_mem = '64MB'; "
      "SET temp_buffers = '64MB'; SET timezone = 'UTC'; "
      "DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '5s', false);"
      " EXCEPTION WHEN OTHERS THEN NULL; END $$; "
      "DO $$ BEGIN PERFORM set_config('transaction_timeout', '0', false);"
      " EXCEPTION WHEN OTHERS THEN NULL; END $$; "  // PostgreSQL 17 and later
      "CREATE TEMPORARY TABLE penstock_no_rows (p int4, o int8)");
  for (const Comparison& comparison : comparisons_) {
    if (!done) break;
    if (auto begun = comparison.begin(*connection_); !begun) {
      return std::unexpected(error_of(begun.error()));
    }
  }
  return done;
}

Result<std::map<PartitionId, Verification::Position>> Verification::positions() {
  auto rows = connection_->execute(
      "SELECT o.topic, o.partition, o.next_offset, o.topic_id, o.cluster_id, r.begins, r.ends FROM "
      "penstock.offsets o, ROWS FROM (jsonb_to_recordset(o.readings) AS (\"from\" int8, \"to\" "
      "int8)) WITH ORDINALITY AS r(begins, ends, number) WHERE o.pipeline = $1 ORDER BY o.topic, "
      "o.partition, r.number",
      {plan_->pipeline()});
  if (!rows) return std::unexpected(error_of(rows.error()));
  std::map<PartitionId, Position> found;
  for (int row = 0; row < rows->rows(); ++row) {
    const auto topic = plan_->topics().find(rows->text(row, 0));
    if (!topic) continue;  // it is not read any more
    const PartitionId partition{.topic = *topic,
                                .partition = static_cast<std::int32_t>(integer(*rows, row, 1))};
    if (options_.partition && partition.partition != *options_.partition) continue;
    Position& position = found[partition];
    position.next = integer(*rows, row, 2);
    position.topic_id = rows->string(row, 3);
    position.cluster_id = rows->string(row, 4);
    position.readings.push_back({.from = integer(*rows, row, 5),
                                 .to = rows->is_null(row, 6) ? kNoEnd : integer(*rows, row, 6)});
  }
  if (found.empty()) return std::unexpected(no_position());
  return found;
}

Error Verification::no_position() const {
  const std::string which =
      options_.partition ? std::format(" of partition {}", *options_.partition) : "";
  return {ErrorKind::not_found,
          std::format("pipeline '{}' has no position{} in this database", plan_->pipeline(), which),
          "`penstock offsets list` shows those that there are", ""};
}

std::string Verification::place(PartitionId partition) const {
  return std::format("{}/{}", plan_->topic(partition.topic), partition.partition);
}

// ---- The repair
// -----------------------------------------------------------------------------------------

Result<void> Verification::hold_positions() {
  auto opened = open(hold_wakeup_);
  if (!opened) return std::unexpected(opened.error());
  lock_watch_->watch(**opened);
  auto hold = PositionHold::take(*std::move(opened), plan_->pipeline());
  lock_watch_->watch(*connection_);
  if (!hold) return std::unexpected(error_of(hold.error()));
  hold_ = *std::move(hold);
  return {};
}

Result<void> Verification::still_holds() {
  if (auto lost = hold_->lost()) return std::unexpected(*std::move(lost));
  return {};
}

// A row that is written by key is what its newest record makes of it.
Result<void> Verification::knows_the_newest(const Target& target) const {
  if (!target.is_keyed()) return {};
  const auto refuse = [&](std::string why, std::string hint) {
    return fail(ErrorKind::invalid_argument,
                std::format("{} cannot be repaired: {}, and the newest of a row may be one of them",
                            target.table.quoted_name(), why),
                std::move(hint) + "; nothing was changed");
  };
  const bool lacks_first =
      std::ranges::any_of(sources_, [](const Source& source) { return source.range.from > 0; });
  if (lacks_partitions_ || (lacks_first && sources_.size() > 1)) {
    return refuse("not all records are read (" + report_.why_not_whole + ")",
                  "repair it with all of them, or with --to alone");
  }
  if (report_.not_accounted > 0) {
    return refuse("records are neither dead letters nor rows of the pipeline as it is today (" +
                      text::counted(report_.not_accounted, "record") + ")",
                  "see what became of them with the pipeline that wrote them");
  }
  return {};
}

Result<void> Verification::repair() {
  const auto failed = [](const Failure& failure) {
    Error error = error_of(failure);
    if (error.hint.empty()) error.hint = "nothing was changed";
    if (error.sqlstate == "40001" || error.sqlstate == "55P03") {
      error.hint = "somebody changes the same rows: nothing was changed; run it again";
    }
    return std::unexpected(std::move(error));
  };
  if (report_.differences() == 0) return {};
  for (const Comparison& comparison : comparisons_) {
    if (auto can = comparison.can_repair(); !can) return can;
    if (auto can = knows_the_newest(comparison.target()); !can) return can;
    if (options_.deletes_extra && !comparison.target().is_keyed() && !report_.is_whole) {
      return fail(
          ErrorKind::invalid_argument,
          std::format("--yes-delete-extra: which rows of {} no record makes is not known, because "
                      "{}",
                      comparison.target().table.quoted_name(), report_.why_not_whole),
          "compare all records, or leave it out; nothing was changed");
    }
  }
  if (auto held = still_holds(); !held) return held;
  // Triggers and defaults see what they see in a lane. From now on others may wait for its rows.
  auto begun = execute(
      *connection_, std::format("SET LOCAL search_path TO DEFAULT; SET LOCAL timezone TO DEFAULT; "
                                "SET LOCAL lock_timeout = '60s'; SET LOCAL "
                                "idle_in_transaction_session_timeout = '{}s'",
                                PositionHold::kPatience.count()));
  if (!begun) return begun;
  // Parents before children, and the other way round.
  for (std::size_t i = 0; i < comparisons_.size(); ++i) {
    auto done = comparisons_[i].write(*connection_, report_.tables[i]);
    if (!done) return failed(done.error());
  }
  for (std::size_t i = comparisons_.size(); i-- > 0 && options_.deletes_extra;) {
    auto done = comparisons_[i].delete_extra(*connection_, report_.tables[i]);
    if (!done) return failed(done.error());
  }
  // 40001 if one has moved since the snapshot, because its lock was lost.
  auto locked = connection_->execute(PositionHold::lock_sql(), {plan_->pipeline()});
  if (!locked) return failed(locked.error());
  auto committed = connection_->execute("COMMIT");
  if (!committed) return failed(committed.error());
  report_.is_repaired = true;
  return {};
}

// ---- Which records
// -----------------------------------------------------------------------------------------

Result<void> Verification::ask_kafka() {
  const auto cluster = kafka::probe(options_.kafka, plan_->topics().names(), kKafkaPatience);
  if (!cluster) return std::unexpected(cluster.error());
  cluster_id_ = cluster->cluster_id;
  for (const kafka::TopicReport& topic : cluster->topics) {
    const TopicIndex index = plan_->topics().find(topic.name).value();
    const auto logs =
        kafka::probe_logs(options_.kafka, topic.name, topic.partitions, kKafkaPatience);
    if (!logs) return std::unexpected(logs.error());
    for (std::int32_t i = 0; i < topic.partitions; ++i) {
      const kafka::LogRange& log = (*logs)[static_cast<std::size_t>(i)];
      logs_[{.topic = index, .partition = i}] = {
          .begin = log.begin, .end = log.end, .from = {}, .to = {}};
    }
    topic_ids_[index] = topic.topic_id;
    if (auto found = find_places(index); !found) return found;
  }
  return {};
}

bool Verification::is_of_another_log(PartitionId partition, const Position& position) const {
  const auto differ = [](const std::string& one, const std::string& other) {
    return !one.empty() && !other.empty() && one != other;
  };
  return differ(position.topic_id, topic_ids_.at(partition.topic)) ||
         differ(position.cluster_id, cluster_id_);
}

Result<void> Verification::find_places(TopicIndex topic) {
  std::vector<kafka::TopicPartition> partitions;
  std::vector<Log*> logs;
  for (auto& [partition, log] : logs_) {
    if (partition.topic != topic) continue;
    partitions.push_back({plan_->topic(topic), partition.partition});
    logs.push_back(&log);
  }
  const auto find = [&](const std::optional<Place>& wanted,
                        std::optional<Offset> Log::* member) -> Result<void> {
    if (!wanted) return {};
    if (wanted->offset) {
      for (Log* log : logs) log->*member = wanted->offset;
      return {};
    }
    const auto time = connection_->execute(
        "SELECT (extract(epoch FROM $1::timestamptz) * 1000)::int8", {wanted->time});
    if (!time) return std::unexpected(error_of(time.error()));
    const auto offsets =
        kafka::offsets_at(options_.kafka, partitions, integer(*time, 0, 0), kKafkaPatience);
    if (!offsets) return std::unexpected(offsets.error());
    for (std::size_t i = 0; i < logs.size(); ++i) {
      logs[i]->*member = (*offsets)[i] < 0 ? logs[i]->end : (*offsets)[i];
    }
    return {};
  };
  if (auto found = find(options_.from, &Log::from); !found) return found;
  return find(options_.to, &Log::to);
}

Result<void> Verification::add_source(PartitionId partition) {
  const auto log = logs_.find(partition);
  if (log == logs_.end()) {
    return fail(ErrorKind::conflict,
                std::format("{} has a position, and Kafka has no such partition", place(partition)),
                "a partition that was added just now is there when this is run again");
  }
  const Offset from = log->second.from.value_or(log->second.begin);
  if (options_.from && options_.from->offset && from < log->second.begin) {
    return fail(ErrorKind::invalid_argument,
                std::format("--from {}: the log of {} begins at {}", from, place(partition),
                            log->second.begin),
                "retention has removed what was before");
  }
  numbers_[partition] = static_cast<std::int32_t>(sources_.size());
  sources_.push_back({.topic = plan_->topic(partition.topic),
                      .partition = partition,
                      .range = {.from = from, .to = from},
                      .read_to = from,
                      .position = 0});
  read_.push_back(from);
  return {};
}

Result<void> Verification::move_to(const std::map<PartitionId, Position>& stored) {
  for (const Source& source : sources_) {
    if (stored.contains(source.partition)) continue;
    return fail(ErrorKind::conflict,
                std::format("the position of {} is gone meanwhile", place(source.partition)),
                "run it again");
  }
  Offset most = 0;
  const bool needs_later = std::ranges::any_of(comparisons_, &Comparison::needs_later_records);
  report_.never_applied = 0;
  for (const auto& [partition, position] : stored) {
    // Of a topic that was made again with fewer partitions, nothing of this one has been read.
    if (position.next == 0 && !logs_.contains(partition)) continue;
    const bool is_known = numbers_.contains(partition);
    if (is_of_another_log(partition, position)) {
      // An earlier topic of that name had more partitions.
      if (!is_known && !logs_.contains(partition)) continue;
      return fail(ErrorKind::conflict,
                  std::format("the position of {} is of another topic '{}'", place(partition),
                              plan_->topic(partition.topic)),
                  "it was deleted and made again, or this is another cluster: its records are not "
                  "those that made the rows");
    }
    if (!is_known) {
      if (auto added = add_source(partition); !added) return added;
    }
    Source& source = sources_[static_cast<std::size_t>(numbers_[partition])];
    std::vector<OffsetRange> readings = position.readings;
    std::ranges::sort(readings, {}, &OffsetRange::from);
    if (is_known && source.readings != readings) {
      return fail(ErrorKind::conflict,
                  std::format("the position of {} was reset meanwhile", place(partition)),
                  "run it again");
    }
    source.readings = std::move(readings);
    const std::optional<Offset> to = logs_[partition].to;
    most = std::max(most, position.next);
    const Offset end = std::min(to.value_or(position.next), position.next);
    const Offset read_to = needs_later ? position.next : end;
    if (position.next < source.position) {
      return fail(ErrorKind::conflict,
                  std::format("the position of {} went back from {} to {} meanwhile",
                              place(partition), source.position, position.next),
                  "after a failover or `penstock offsets reset`, run it again when the pipeline "
                  "has caught up");
    }
    source.position = position.next;
    source.range.to = std::max(source.range.from, end);
    source.read_to = std::max(source.range.from, read_to);
    report_.never_applied += never_applied(source);
  }
  if (sources_.empty()) return std::unexpected(no_position());
  if (options_.to && options_.to->offset > most) {
    return fail(ErrorKind::invalid_argument,
                std::format("--to {}: the pipeline stands at {}", *options_.to->offset, most),
                "leave it out: all that is applied is compared");
  }
  return {};
}

Result<void> Verification::check_scope() {
  std::string& why = report_.why_not_whole;
  if (report_.never_applied > 0) why = "records that were never applied may have rows of others";
  bool lacks_first = false;
  for (const auto& [partition, number] : numbers_) {
    const Source& source = sources_[static_cast<std::size_t>(number)];
    if (source.range.from == 0) continue;
    lacks_first = true;
    why = std::format("records of {} before offset {} are {}", source.topic, source.range.from,
                      options_.from ? "not read" : "no longer in the log");
  }
  if (options_.to) why = "records behind --to are not read";
  lacks_partitions_ = options_.partition && std::ranges::any_of(logs_, [&](const auto& log) {
                        return log.first.partition != *options_.partition;
                      });
  if (lacks_partitions_) why = "other partitions are not read";
  report_.is_whole = why.empty();
  for (const Comparison& comparison : comparisons_) {
    const std::string table = comparison.target().table.quoted_name();
    if (comparison.needs_first_records() && (lacks_first || lacks_partitions_)) {
      return fail(
          ErrorKind::invalid_argument,
          std::format("{} cannot be verified: {} looks at all records of a row, and {}", table,
                      comparison.target().newer_by ? "newer_by" : "mode: ignore", why));
    }
    if (comparison.is_multiset() && !report_.is_whole) {
      return fail(ErrorKind::invalid_argument,
                  std::format("{} has no key, so that only all of its rows can be compared with "
                              "all records, and {}",
                              table, why),
                  "--key names columns that tell its rows apart, such as partition,offset");
    }
  }
  return {};
}

// ---- Their rows
// -----------------------------------------------------------------------------------------

Result<void> Verification::read(bool in_transaction) {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    if (read_[i] >= source.read_to) continue;
    if (const Log& log = logs_[source.partition]; !in_transaction && source.read_to > log.end) {
      return fail(ErrorKind::conflict,
                  std::format("the pipeline stands at {} of {}, and its log ends at {}",
                              source.read_to, place(source.partition), log.end),
                  "the broker has lost records that are rows: an unclean leader election?");
    }
  }
  for (;;) {
    // Of each partition what follows without a gap: what was passed over may be unreadable.
    std::vector<kafka::RangeReader::Range> ranges;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const Source& source = sources_[i];
      const OffsetRange next = applied_next(source, read_[i], source.read_to);
      read_[i] = std::max(read_[i], next.to);
      if (next.empty()) continue;
      so_far_.all += static_cast<std::uint64_t>(next.to - next.from);
      ranges.push_back(
          {.topic = source.topic,
           .chain = std::make_shared<Chain>(source.partition, Epoch::none, next.from, plan_),
           .from = next.from,
           .to = next.to});
    }
    if (ranges.empty()) return {};
    if (auto done = read(std::move(ranges), in_transaction); !done) return done;
  }
}

Result<void> Verification::read(std::vector<kafka::RangeReader::Range> ranges,
                                bool in_transaction) {
  auto reader =
      kafka::RangeReader::open(options_.kafka, std::move(ranges), kPrefetchBytes, kKafkaPatience);
  if (!reader) return std::unexpected(reader.error());
  for (;;) {
    auto batch = (*reader)->next();
    if (!batch) return std::unexpected(batch.error());
    if (*batch == nullptr) break;
    report_.records += (*batch)->size();
    so_far_.done += static_cast<std::uint64_t>((*batch)->range().to - (*batch)->range().from);
    if (auto done = put(*processor_->process(std::move(*batch)), in_transaction); !done) {
      return done;
    }
    progress_(so_far_);
  }
  so_far_.done = so_far_.all;  // offsets without a record, too
  return {};
}

Result<void> Verification::put(const RowBatch& batch, bool in_transaction) {
  const std::int32_t number = numbers_.at(batch.partition());
  const Source& source = sources_[static_cast<std::size_t>(number)];
  for (const Reject& reject : batch.rejects) {
    const Offset offset = batch.source->record(reject.record).offset;
    if (offset >= source.range.to) continue;
    ++report_.rejects;
    if (rejected_.size() < kMostRejected) rejected_.emplace_back(number, offset);
  }
  std::set<std::uint32_t> refused;
  for (const TableRows& rows : batch.tables) {
    for (;;) {
      const auto done = try_put(batch, rows, number, refused, in_transaction);
      if (!done) return std::unexpected(done.error());
      if (*done) break;
    }
  }
  // A record is all of its rows, in other tables, too.
  for (const std::uint32_t record : refused) {
    refused_.emplace_back(number, batch.source->record(record).offset);
  }
  report_.refused += refused.size();
  return {};
}

// False: PostgreSQL's types refuse a record, which `refused` has now.
Result<bool> Verification::try_put(const RowBatch& batch, const TableRows& rows,
                                   std::int32_t number, std::set<std::uint32_t>& refused,
                                   bool in_transaction) {
  if (in_transaction) {
    if (auto done = execute(*connection_, "SAVEPOINT penstock_batch"); !done) {
      return std::unexpected(done.error());
    }
  }
  const Source& source = sources_[static_cast<std::size_t>(number)];
  auto failed =
      comparisons_[rows.target->number].put(*connection_, batch, rows, source, number, refused);
  if (!failed) return std::unexpected(error_of(failed.error()));
  if (in_transaction) {
    const auto done =
        execute(*connection_, *failed ? "ROLLBACK TO SAVEPOINT penstock_batch; RELEASE SAVEPOINT "
                                        "penstock_batch"
                                      : "RELEASE SAVEPOINT penstock_batch");
    if (!done) return std::unexpected(done.error());
  }
  if (!*failed) return true;
  refused.insert((*failed)->record);
  if (refused_.size() + refused.size() <= kMostRefused) return false;
  Error error = error_of((*failed)->failure);
  error.message = std::format(
      "more than {} records make rows that {} does not take, such as {}: {}", kMostRefused,
      rows.target->table.quoted_name(), place(batch.partition()), error.message);
  return std::unexpected(std::move(error));
}

Result<void> Verification::exclude_dead_letters() {
  ArrayText topics;
  ArrayText partitions;
  ArrayText froms;
  ArrayText tos;
  for (const Source& source : sources_) {
    topics.add(source.topic);
    partitions.add(source.partition.partition);
    froms.add(source.range.from);
    tos.add(source.read_to);
  }
  auto done = connection_->execute(
      "INSERT INTO pg_temp.penstock_no_rows SELECT DISTINCT s.number::int4 - 1, d.\"offset\" FROM "
      "ROWS FROM (unnest($2::text[]), unnest($3::int4[]), unnest($4::int8[]), unnest($5::int8[])) "
      "WITH ORDINALITY AS s(topic, partition, begins, ends, number) JOIN penstock.dead_letters d "
      "ON "
      "d.topic = s.topic AND d.partition = s.partition AND d.\"offset\" >= s.begins AND "
      "d.\"offset\" < s.ends JOIN penstock.offsets o ON o.pipeline = d.pipeline AND o.topic = "
      "d.topic "
      "AND o.partition = d.partition WHERE d.pipeline = $1 "
      // The record at its place was read again since, or it is another topic's.
      "AND NOT EXISTS (SELECT FROM jsonb_to_recordset(o.readings) AS r(\"from\" int8, \"to\" int8, "
      "letters int8) WHERE r.letters >= d.id AND d.\"offset\" >= r.\"from\" AND d.\"offset\" < "
      "coalesce(r.\"to\", o.next_offset))",
      {plan_->pipeline(), topics.text(), partitions.text(), froms.text(), tos.text()});
  if (!done) return std::unexpected(error_of(done.error()));
  report_.dead_letters = done->rows_written();
  rejected_.insert(rejected_.end(), refused_.begin(), refused_.end());
  const std::uint64_t unknown = report_.rejects + refused_.size() - rejected_.size();
  const auto [rejected_numbers, rejected_offsets] = columns_of(rejected_);
  auto missed = connection_->execute(
      "SELECT count(*) FROM (SELECT * FROM unnest($1::int4[], $2::int8[]) EXCEPT SELECT * FROM "
      "pg_temp.penstock_no_rows) AS r",
      {rejected_numbers, rejected_offsets});
  if (!missed) return std::unexpected(error_of(missed.error()));
  report_.not_accounted = static_cast<std::uint64_t>(integer(*missed, 0, 0)) + unknown;
  const auto [numbers, offsets] = columns_of(refused_);
  done = connection_->execute(
      "INSERT INTO pg_temp.penstock_no_rows SELECT * FROM unnest($1::int4[], $2::int8[])",
      {numbers, offsets});
  if (!done) return std::unexpected(error_of(done.error()));
  return {};
}

}  // namespace penstock::verify
