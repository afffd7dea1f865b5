// The demo's orders: every record and its fate follow from (partition, sequence) alone.
//
// That is the ground truth: whoever knows how many records a partition got can write down each of
// them again, say which are bad and why, and compare with what PostgreSQL holds.
// Threads: pure functions. A payload has about 190 bytes; one record in a thousand is bad.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::harness {

// Which partitions there are, and the seed of their content.
struct OrderStream {
  int partitions = 8;
  std::uint64_t seed = 1;
  // One record in so many is bad; 0: none.
  int bad_one_in = 1000;
};

enum class Badness : std::uint8_t {
  none,
  not_json,
  truncated,
  invalid_utf8,
  wrong_type,     // the quantity is a word
  out_of_range,   // the quantity does not fit the column
  missing_field,  // no unit price: the total cannot be computed
  nul_in_text,    // PostgreSQL's text cannot hold it
  refused,        // a quantity that only the table's CHECK refuses
  tombstone,      // no payload at all
};
inline constexpr std::size_t kBadnessKinds = 10;

struct Order {
  std::int32_t partition = 0;
  std::int64_t sequence = 0;  // 0, 1, 2, … in its partition
  std::int64_t id = 0;        // unique in the stream
  std::int32_t customer = 0;
  std::int32_t quantity = 0;
  std::int64_t unit_price_cents = 0;
  std::int64_t placed_at_ms = 0;  // since 1970
  Badness badness = Badness::none;

  // As the pipeline computes it: double(quantity) * unit_price.
  [[nodiscard]] double total() const {
    return static_cast<double>(quantity) * (static_cast<double>(unit_price_cents) / 100.0);
  }
  [[nodiscard]] std::string customer_name() const;
};

[[nodiscard]] Order order_at(const OrderStream& stream, std::int32_t partition,
                             std::int64_t sequence);

// The record's bytes and key, in buffers that are used again by the next order.
class OrderWriter {
 public:
  // `sent_us` (since 1970) is part of a good payload; a bad one does not depend on it, so that its
  // bytes can be written down again. data() is null for a tombstone.
  std::string_view payload(const Order& order, std::int64_t sent_us);
  // "partition:sequence".
  std::string_view key(const Order& order);

 private:
  std::array<char, 512> payload_{};
  std::array<char, 48> key_{};
};

// What a partition got: its records are the sequences [0, count).
using GroundTruth = std::vector<std::int64_t>;

// Records go round the partitions: the truth about the first `records` of them.
[[nodiscard]] GroundTruth truth_of(const OrderStream& stream, std::int64_t records);
// How many of them are bad.
[[nodiscard]] std::int64_t bad_records(const OrderStream& stream, const GroundTruth& truth);

// The table that the demo and the fault tests fill: no unique key that could hide a duplicate, and
// `commit_order` that shows the order within a partition. `with_totals` adds the table
// `order_totals`, which a trigger keeps: a sum that a record applied twice would falsify.
[[nodiscard]] std::string orders_schema(bool with_totals);
// The pipeline's `let` and `columns` in YAML, indented by `indent` spaces.
[[nodiscard]] std::string orders_compute_yaml(std::size_t indent);
[[nodiscard]] std::string orders_columns_yaml(std::size_t indent);

}  // namespace penstock::harness
