// RecordBatch: records of ONE chain, ONE contiguous run of offsets, in one arena.
//
// Place in the flow: ingest fills it; a worker reads it; it then travels inside its RowBatch until
// the commit, because a row that PostgreSQL refuses needs its original bytes as a dead letter.
// Threads: one owner at a time; immutable once ingest has handed it on.
// Ownership: the batch owns every byte, together with those that were split off it. Views from
// record() live as long as the batch.
// Memory: payloads lie back to back, and at least kPadding readable bytes follow the last one,
// which simdjson needs after a document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/batch_trace.h"
#include "core/chain.h"
#include "core/charge.h"
#include "core/ids.h"

namespace penstock {

// One header of a record. A null value is not an empty one.
struct HeaderView {
  std::string_view name;
  std::optional<std::string_view> value;
};

// Walks the encoded headers of a record: `while (auto header = headers.next()) …`.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view encoded) : rest_(encoded) {}
  [[nodiscard]] std::optional<HeaderView> next();

 private:
  std::string_view rest_;
};

// A record as the stages see it. Views point into the batch.
struct RecordView {
  Offset offset = 0;
  std::int64_t timestamp_ms = -1;  // since the Unix epoch; -1 when the record has none
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;  // nullopt: a null payload (tombstone)
  std::string_view encoded_headers;       // read with HeaderReader

  [[nodiscard]] HeaderReader headers() const { return HeaderReader(encoded_headers); }
};

class RecordBatch {
 public:
  // Readable bytes after the last payload (simdjson::SIMDJSON_PADDING).
  static constexpr std::size_t kPadding = 64;
  // Of a record, or of a batch, which has one such record then: what is made of it may take many
  // times its size, so that this is done for one at a time. A broker with its defaults takes no
  // larger ones.
  static constexpr std::size_t kLargeBytes = std::size_t{1} << 20;
  // Largest arena: spans are 32 bit.
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 31;

  // `from` is where the partition's previous batch ended. The reserves avoid growth.
  RecordBatch(std::shared_ptr<Chain> chain, Offset from, std::size_t reserve_bytes,
              std::size_t reserve_records = 0);

  // Appends a record; `offset` must not be below the range's end. The range then ends behind it.
  // Headers are added with add_header() right after their record.
  void add_record(Offset offset, std::int64_t timestamp_ms, std::optional<std::string_view> key,
                  std::optional<std::string_view> value);
  void add_header(std::string_view name, std::optional<std::string_view> value);
  // Moves the end of the range over a gap without a record (compaction, transaction markers).
  void extend_to(Offset to);
  // Takes the records from `first` on away, which is not 0 and below size(). Both parts share the
  // bytes; nothing is added to either any more. The later one has their charge.
  [[nodiscard]] std::unique_ptr<RecordBatch> split_off(std::size_t first);

  [[nodiscard]] const std::shared_ptr<Chain>& chain() const { return chain_; }
  [[nodiscard]] PartitionId partition() const { return chain_->partition; }
  [[nodiscard]] Epoch epoch() const { return chain_->epoch; }
  [[nodiscard]] OffsetRange range() const { return range_; }
  [[nodiscard]] std::size_t size() const { return index_.size(); }
  [[nodiscard]] RecordView record(std::size_t i) const;
  // As in RecordView; cheaper than making one.
  [[nodiscard]] std::int64_t timestamp_ms(std::size_t i) const { return index_[i].timestamp_ms; }
  // Bytes held, for the byte budget.
  [[nodiscard]] std::size_t footprint_bytes() const {
    return capacity_ + index_.capacity() * sizeof(Span);
  }
  // Bytes of keys, payloads and headers.
  [[nodiscard]] std::size_t used_bytes() const { return used_; }
  [[nodiscard]] bool is_large() const { return used_ > kLargeBytes; }

  BatchTrace trace;
  // Of its last record, as Kafka counts its partition's leaders; -1: not known. A log that was cut
  // and grew again has another one at the same offset.
  std::int32_t leader_epoch = -1;
  // What it takes of its pipeline's memory; empty in tests and tools.
  Charge charge;

 private:
  struct Span {
    Offset offset;
    std::int64_t timestamp_ms;
    std::uint32_t value_begin;
    std::int32_t value_size;  // -1: null
    std::uint32_t key_begin;
    std::int32_t key_size;  // -1: null
    std::uint32_t headers_begin;
    std::uint32_t headers_size;
  };

  std::uint32_t append(std::string_view bytes);
  void ensure(std::size_t more);

  std::shared_ptr<Chain> chain_;
  OffsetRange range_;
  std::shared_ptr<char[]> arena_;
  std::size_t used_ = 0;
  std::size_t capacity_ = 0;
  std::vector<Span> index_;
};

}  // namespace penstock
