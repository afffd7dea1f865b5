#include "write_fixture.h"

#include <bit>
#include <cstring>

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

BatchBuilder::BatchBuilder(std::int32_t partition, std::int64_t epoch, Offset from)
    : next_(from), batch_(std::make_unique<RowBatch>()) {
  batch_->source =
      std::make_unique<RecordBatch>(PartitionId{0, partition}, Epoch{epoch}, from, 256);
}

BatchBuilder& BatchBuilder::shape(std::vector<std::uint16_t> columns) {
  columns_ = std::move(columns);
  return *this;
}

BatchBuilder& BatchBuilder::row(const std::vector<Field>& fields) {
  if (columns_.size() != fields.size()) {
    columns_.clear();
    for (std::size_t i = 0; i < fields.size(); ++i) {
      columns_.push_back(static_cast<std::uint16_t>(i));
    }
  }
  if (batch_->tables.empty()) batch_->tables.emplace_back();
  TableRows& table = batch_->tables.front();
  if (table.runs.empty() || table.shapes[table.runs.back().shape].columns != columns_) {
    table.shapes.push_back({columns_});
    table.runs.push_back({static_cast<std::uint32_t>(table.rows.size()),
                          static_cast<std::uint16_t>(table.shapes.size() - 1)});
  }
  std::string tuple;
  append_big_endian(tuple, static_cast<std::int16_t>(fields.size()));
  for (const Field& field : fields) {
    append_big_endian(tuple, field ? static_cast<std::int32_t>(field->size()) : -1);
    if (field) tuple += *field;
  }
  table.rows.push_back({static_cast<std::uint32_t>(batch_->source->size()),
                        static_cast<std::uint32_t>(table.bytes.size())});
  table.bytes.insert(table.bytes.end(), tuple.begin(), tuple.end());
  const std::string value = "record " + std::to_string(next_);
  batch_->source->add_record(next_++, 1'700'000'000'000, "key", value);
  return *this;
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

LaneHooks Record::hooks() {
  return {
      .on_committed =
          [this](std::span<std::unique_ptr<RowBatch>> batches, const CommitStats& stats) {
            const std::lock_guard lock(mutex_);
            commits_.push_back(stats);
            for (const auto& batch : batches) {
              ranges_.push_back(std::to_string(batch->partition().partition) + ":" +
                                std::to_string(batch->range().from) + "-" +
                                std::to_string(batch->range().to));
            }
          },
      .on_fenced =
          [this](PartitionId partition, Epoch mine, std::optional<Epoch> found,
                 std::optional<Offset> found_offset) {
            const std::lock_guard lock(mutex_);
            fenced_.push_back({partition, value_of(mine),
                               found ? std::optional(value_of(*found)) : std::nullopt,
                               found_offset});
          },
      .on_dropped =
          [this](std::unique_ptr<RowBatch> batch, DropReason reason) {
            const std::lock_guard lock(mutex_);
            dropped_.push_back({reason, {batch->partition().partition, batch->range().from}});
          },
      .on_availability =
          [this](bool available, const Error&) {
            const std::lock_guard lock(mutex_);
            availability_.push_back(available);
          },
      .on_configuration_error =
          [this](const Error& error) {
            const std::lock_guard lock(mutex_);
            configuration_errors_.push_back(error);
          },
  };
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
std::vector<std::pair<std::int32_t, Offset>> Record::dropped(DropReason reason) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::int32_t, Offset>> result;
  for (const auto& [why, what] : dropped_) {
    if (why == reason) result.push_back(what);
  }
  return result;
}
std::vector<bool> Record::availability() const {
  const std::lock_guard lock(mutex_);
  return availability_;
}
std::vector<Error> Record::configuration_errors() const {
  const std::lock_guard lock(mutex_);
  return configuration_errors_;
}
std::vector<std::string> Record::committed_ranges() const {
  const std::lock_guard lock(mutex_);
  return ranges_;
}

WriteTest::WriteTest() {
  database_.migrate();
  database_.execute(
      "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL "
      "CHECK (name <> 'bad'), amount int, seq bigserial)");
}

void WriteTest::claim(std::int32_t partition, std::int64_t epoch, Offset next_offset) {
  database_.execute(
      "INSERT INTO penstock.offsets (pipeline, topic, partition, next_offset, epoch, owner, "
      "backend_pid, cluster_id, topic_id) VALUES ('p', 'orders', " +
      std::to_string(partition) + ", " + std::to_string(next_offset) + ", " +
      std::to_string(epoch) +
      ", 'me', 0, '', '') ON CONFLICT (pipeline, topic, partition) DO UPDATE SET epoch = "
      "excluded.epoch, next_offset = excluded.next_offset");
}

LaneOptions WriteTest::options(const std::string& table) {
  auto description = postgres::describe_table(database_.conninfo(), table);
  if (!description) throw std::runtime_error(description.error().to_string());
  LaneOptions options;
  options.conninfo = database_.conninfo();
  options.pipeline = "p";
  options.topics = {kTopic};
  options.tables = {*description};
  options.backoff_max = std::chrono::milliseconds(100);
  return options;
}

std::unique_ptr<RowBatch> WriteTest::rows(std::int32_t partition, Offset from, int count,
                                          std::int64_t epoch) {
  BatchBuilder builder(partition, epoch, from);
  for (int i = 0; i < count; ++i) {
    const std::int64_t id = partition * 1'000'000LL + from + i;
    builder.row({int8(id), text("name " + std::to_string(id)), int4(i)});
  }
  return builder.build();
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

std::int64_t WriteTest::dead_letters() {
  return database_.number("SELECT count(*) FROM penstock.dead_letters");
}

}  // namespace penstock::write
