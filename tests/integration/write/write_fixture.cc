#include "write_fixture.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "postgres/catalog.h"
#include "postgres/pool.h"

namespace penstock::write {
namespace {

template <typename T>
void append_big_endian(std::string& out, T value) {
  const T swapped = std::byteswap(value);
  out.append(reinterpret_cast<const char*>(&swapped), sizeof swapped);
}

}  // namespace

Field int4(std::int32_t value) {
  std::string bytes;
  append_big_endian(bytes, value);
  return bytes;
}

Field int8(std::int64_t value) {
  std::string bytes;
  append_big_endian(bytes, value);
  return bytes;
}

Field text(std::string value) { return value; }

BatchBuilder::BatchBuilder(std::shared_ptr<Chain> chain, InFlight& in_flight, Offset from)
    : in_flight_(in_flight), next_(from), batch_(std::make_unique<RowBatch>()) {
  batch_->source = std::make_unique<RecordBatch>(std::move(chain), from, 256);
}

BatchBuilder& BatchBuilder::shape(std::vector<std::uint16_t> columns) {
  columns_ = std::move(columns);
  return *this;
}

BatchBuilder& BatchBuilder::row(const std::vector<Field>& fields) { return rows({{0, fields}}); }

BatchBuilder& BatchBuilder::rows(
    const std::vector<std::pair<std::size_t, std::vector<Field>>>& rows) {
  for (const auto& [target, fields] : rows) add_row(target, fields);
  const std::string value = "record " + std::to_string(next_);
  batch_->source->add_record(next_++, 1'700'000'000'000, "key", value);
  return *this;
}

BatchBuilder& BatchBuilder::changes(const std::vector<Change>& changes) {
  for (const Change& change : changes) add_row(change.target, change.fields, change.removes);
  const std::string value = "record " + std::to_string(next_);
  batch_->source->add_record(next_++, 1'700'000'000'000, "key", value);
  return *this;
}

BatchBuilder& BatchBuilder::removal(const std::vector<Field>& key) {
  add_row(0, key, /*removes=*/true);
  const std::string value = "record " + std::to_string(next_);
  batch_->source->add_record(next_++, 1'700'000'000'000, "key", value);
  return *this;
}

void BatchBuilder::add_row(std::size_t number, const std::vector<Field>& fields, bool removes) {
  std::vector<std::uint16_t> columns = columns_;
  if (columns.size() != fields.size()) {
    columns.clear();
    for (std::uint16_t i = 0; i < fields.size(); ++i) columns.push_back(i);
  }
  const Target* const target = &batch_->chain()->plan->targets()[number];
  auto table = std::ranges::find(batch_->tables, target, &TableRows::target);
  if (table == batch_->tables.end()) {
    table = std::ranges::upper_bound(batch_->tables, target, {}, &TableRows::target);
    table = batch_->tables.emplace(table);
    table->target = target;
  }
  const RowShape shape{std::move(columns), removes};
  if (table->runs.empty() || table->shapes[table->runs.back().shape] != shape) {
    table->shapes.push_back(shape);
    table->runs.push_back({static_cast<std::uint32_t>(table->rows.size()),
                           static_cast<std::uint16_t>(table->shapes.size() - 1)});
  }
  std::string tuple;
  append_big_endian(tuple, static_cast<std::int16_t>(fields.size()));
  for (const Field& field : fields) {
    append_big_endian(tuple, field ? static_cast<std::int32_t>(field->size()) : -1);
    if (field) tuple += *field;
  }
  table->rows.push_back({static_cast<std::uint32_t>(batch_->source->size()),
                         static_cast<std::uint32_t>(table->bytes.size())});
  table->bytes.insert(table->bytes.end(), tuple.begin(), tuple.end());
}

BatchBuilder& BatchBuilder::reject(Stage stage, std::string reason, std::string message,
                                   std::optional<std::string> value, bool with_headers) {
  batch_->rejects.push_back(Reject{static_cast<std::uint32_t>(batch_->source->size()),
                                   stage,
                                   std::move(reason),
                                   std::move(message),
                                   {}});
  batch_->source->add_record(next_++, -1, std::nullopt,
                             value ? std::optional<std::string_view>(*value) : std::nullopt);
  if (with_headers) {
    batch_->source->add_header("plain", "value");
    batch_->source->add_header(std::string_view("odd\0\xff\"\\\n", 8), std::nullopt);
    batch_->source->add_header("empty", "");
  }
  return *this;
}

BatchBuilder& BatchBuilder::filtered() {
  batch_->source->add_record(next_++, -1, std::nullopt, "left out");
  ++batch_->filtered;
  return *this;
}

std::unique_ptr<RowBatch> BatchBuilder::build() {
  RecordBatch& source = *batch_->source;
  source.charge = Charge(in_flight_);
  source.charge.hand_on(source.chain(), static_cast<std::int64_t>(source.size()),
                        std::chrono::steady_clock::now());
  return std::move(batch_);
}

void Record::committed(std::span<const std::unique_ptr<RowBatch>> batches,
                       const CommitStats& stats) {
  const std::lock_guard lock(mutex_);
  commits_.push_back(stats);
  for (const auto& batch : batches) {
    traces_.push_back(batch->source->trace);
    ranges_.push_back(std::to_string(batch->partition().partition) + ":" +
                      std::to_string(batch->range().from) + "-" +
                      std::to_string(batch->range().to));
  }
}

void Record::fenced(const std::shared_ptr<Chain>& chain, const FoundPosition& found) {
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(chain->ended(), ChainEnd::fenced);
  fenced_.push_back({chain->partition, value_of(chain->epoch),
                     found.epoch ? std::optional(value_of(*found.epoch)) : std::nullopt,
                     found.offset, found.is_reset});
}

void Record::too_many_rejects(const std::shared_ptr<Chain>& chain, const Error& error) {
  const std::lock_guard lock(mutex_);
  too_many_.emplace_back(chain->partition, error);
}

std::vector<std::pair<PartitionId, Error>> Record::too_many() const {
  const std::lock_guard lock(mutex_);
  return too_many_;
}

void Record::put_off(const std::shared_ptr<Chain>& chain) {
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(chain->ended(), ChainEnd::put_off);
  put_off_.push_back(chain->partition);
}

std::vector<PartitionId> Record::put_off() const {
  const std::lock_guard lock(mutex_);
  return put_off_;
}

void Record::doubted(const std::shared_ptr<const Plan>& plan) {
  const std::lock_guard lock(mutex_);
  doubted_ = plan;
}

std::shared_ptr<const Plan> Record::doubted_plan() const {
  const std::lock_guard lock(mutex_);
  return doubted_;
}

void Record::stalled(std::uint16_t, const std::optional<Stall>& stall) {
  const std::lock_guard lock(mutex_);
  stalls_.push_back(stall);
}

std::size_t Record::committed_batches() const {
  const std::lock_guard lock(mutex_);
  return ranges_.size();
}
std::uint64_t Record::committed_rows() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t rows = 0;
  for (const CommitStats& stats : commits_) rows += stats.rows;
  return rows;
}
std::vector<CommitStats> Record::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}
std::vector<FencedCall> Record::fenced() const {
  const std::lock_guard lock(mutex_);
  return fenced_;
}
std::vector<std::string> Record::committed_ranges() const {
  const std::lock_guard lock(mutex_);
  return ranges_;
}
std::vector<BatchTrace> Record::traces() const {
  const std::lock_guard lock(mutex_);
  return traces_;
}
std::vector<std::optional<Stall>> Record::stalls() const {
  const std::lock_guard lock(mutex_);
  return stalls_;
}
std::vector<std::string> Record::stall_kinds() const {
  std::vector<std::string> kinds;
  for (const auto& stall : stalls()) {
    kinds.emplace_back(!stall                              ? ""
                       : stall->kind == Stall::Kind::away  ? "away"
                       : stall->kind == Stall::Kind::waits ? "waits"
                                                           : "configuration");
  }
  return kinds;
}
std::optional<Stall> Record::stall() const {
  const std::lock_guard lock(mutex_);
  return stalls_.empty() ? std::nullopt : stalls_.back();
}

TestLane::TestLane(const Options& options, Record& record, InFlight& in_flight)
    : in_flight_(in_flight),
      lanes_(options.lanes),
      writer_(lanes_.attach(options.writer, record)) {}

void TestLane::adopt(const std::shared_ptr<Chain>& chain) {
  adopted_.push_back(chain);
  writer_->adopt(chain);
}

void TestLane::push(std::unique_ptr<RowBatch> batch) {
  if (std::ranges::find(adopted_, batch->chain()) == adopted_.end()) adopt(batch->chain());
  writer_->accept(std::move(batch));
}

bool TestLane::close(SteadyTime deadline) {
  if (!in_flight_.wait_empty(deadline)) return false;
  stop();
  return true;
}

WriteTest::WriteTest() {
  database_.migrate();
  database_.execute(
      "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL "
      "CHECK (name <> 'bad'), amount int, seq bigserial)");
}

void WriteTest::claim(std::int32_t partition, std::int64_t epoch, Offset next_offset,
                      const std::string& pipeline) {
  database_.execute(
      "INSERT INTO penstock.offsets (pipeline, topic, partition, next_offset, epoch, owner, "
      "backend_pid, cluster_id, topic_id) VALUES ('" +
      pipeline + "', 'orders', " + std::to_string(partition) + ", " + std::to_string(next_offset) +
      ", " + std::to_string(epoch) +
      ", 'me', 0, '', '') ON CONFLICT (pipeline, topic, partition) DO UPDATE SET epoch = "
      "excluded.epoch, next_offset = excluded.next_offset");
}

Options WriteTest::by(bool copy, const std::string& table) {
  Options chosen = options(table);
  chosen.writer.copy_from_rows = copy ? 1 : 1'000'000;
  return chosen;
}

Options WriteTest::keyed(WriteMode mode, bool copy, const std::string& table) {
  Options chosen = by(copy, table);
  plan_ = make_plan({table}, "p", mode);
  chosen.writer.reject_limit = RejectWindow::kNever;
  return chosen;
}

void WriteTest::change_target(const std::function<void(Target&)>& change) {
  std::vector<Target> targets = plan_->targets();
  change(targets.front());
  plan_ = std::make_shared<TestPlan>("p", std::vector<std::string>{kTopic}, std::move(targets));
}

void WriteTest::newer_by(std::uint16_t column) {
  change_target([&](Target& target) { target.newer_by = column; });
}

void WriteTest::merges(std::map<std::uint16_t, ColumnMerge> merges) {
  change_target([&](Target& target) { target.merges = std::move(merges); });
}

void WriteTest::before_each_row(const std::string& statements) {
  database_.execute(
      "CREATE OR REPLACE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " +
      statements +
      " RETURN NEW; END $$; CREATE OR REPLACE TRIGGER act BEFORE INSERT ON t FOR EACH ROW EXECUTE "
      "FUNCTION act()");
}

void WriteTest::begin_anew(const std::string& table) {
  database_.execute("TRUNCATE " + table +
                    "; DELETE FROM penstock.offsets; DELETE FROM penstock.dead_letters");
  chains_.clear();
  claim(0);
}

std::shared_ptr<const Plan> WriteTest::make_plan(const std::vector<std::string>& tables,
                                                 const std::string& pipeline, WriteMode mode) {
  std::vector<Target> targets;
  postgres::Pool pool({.conninfo = database_.conninfo()});
  for (const std::string& table : tables) {
    auto described = postgres::describe_table(pool, table);
    if (!described) throw std::runtime_error(described.error().to_string());
    Target& target = targets.emplace_back();
    target.number = static_cast<std::uint16_t>(targets.size() - 1);
    target.table = *std::move(described);
    target.mode = mode;
    if (!target.is_keyed()) continue;
    for (const std::string& column : target.table.primary_key) {
      target.key.push_back(static_cast<std::uint16_t>(target.table.find_column(column)));
    }
    // As plan/ says it.
    target.in_order_for = target.table.row_rule;
    if (target.table.unique_indexes.size() > 1) target.in_order_for = "another unique index";
  }
  return std::make_shared<TestPlan>(pipeline, std::vector<std::string>{kTopic}, std::move(targets));
}

Options WriteTest::options_of(const std::vector<std::string>& tables) {
  plan_ = make_plan(tables);
  chains_.clear();
  Options options;
  options.lanes.conninfo = database_.conninfo();
  options.lanes.lanes = 1;
  options.lanes.backoff_max = std::chrono::milliseconds(100);
  options.lanes.configuration_backoff_max = std::chrono::milliseconds(300);
  options.lanes.refusal_backoff_max = std::chrono::milliseconds(300);
  options.writer.pipeline = "p";
  return options;
}

void WriteTest::claim_anew(std::int32_t partition, const std::string& table) {
  chain(partition)->end(ChainEnd::outdated);
  plan_ = make_plan({table});
}

std::shared_ptr<Chain> WriteTest::chain(std::int32_t partition, std::int64_t epoch, Offset next) {
  auto& chain = chains_[{partition, epoch}];
  if (!chain || !chain->running()) {
    chain = std::make_shared<Chain>(PartitionId{0, partition}, Epoch{epoch}, next, plan_);
  }
  return chain;
}

BatchBuilder WriteTest::builder(std::int32_t partition, std::int64_t epoch, Offset from) {
  return {chain(partition, epoch, from), in_flight_, from};
}

std::unique_ptr<RowBatch> WriteTest::rows(std::int32_t partition, Offset from, int count,
                                          std::int64_t epoch) {
  BatchBuilder batch = builder(partition, epoch, from);
  for (int i = 0; i < count; ++i) {
    const std::int64_t id = partition * 1'000'000LL + from + i;
    batch.row({int8(id), text("name " + std::to_string(id)), int4(i)});
  }
  return batch.build();
}

Offset WriteTest::position(std::int32_t partition) {
  return database_.number("SELECT next_offset FROM penstock.offsets WHERE partition = " +
                          std::to_string(partition));
}

std::vector<std::int64_t> WriteTest::ids(const std::string& table) {
  std::vector<std::int64_t> result;
  for (const auto& row : database_.query("SELECT id FROM " + table + " ORDER BY seq")) {
    result.push_back(std::stoll(row.front().value_or("-1")));
  }
  return result;
}

std::int64_t WriteTest::table_locks_waited_for() {
  return database_.number(
      "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database "
      "WHERE datname = current_database())");
}

std::int64_t WriteTest::dead_letters() {
  return database_.number("SELECT count(*) FROM penstock.dead_letters");
}

}  // namespace penstock::write
