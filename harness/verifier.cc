#include "harness/verifier.h"

#include <charconv>
#include <cmath>
#include <format>
#include <string_view>

#include "harness/sql.h"

namespace penstock::harness {
namespace {

constexpr std::size_t kMaxFindings = 10;

// Splits a line of COPY's text format. No value of ours needs its escapes.
class Fields {
 public:
  explicit Fields(std::string_view line) : rest_(line) {}

  std::string_view text() {
    const std::size_t tab = std::min(rest_.find('\t'), rest_.size());
    const std::string_view field = rest_.substr(0, tab);
    rest_.remove_prefix(std::min(tab + 1, rest_.size()));
    return field;
  }
  template <typename T>
  T number() {
    const std::string_view field = text();
    T value{};
    std::from_chars(field.data(), field.data() + field.size(), value);
    return value;
  }

 private:
  std::string_view rest_;
};

// What has been seen of one partition.
struct Seen {
  std::vector<std::uint8_t> times;  // by sequence: rows and dead letters
  std::int64_t last_sequence = -1;
};

class Comparison {
 public:
  explicit Comparison(const VerifyOptions& options) : options_(options) {
    for (const std::int64_t count : options.truth) {
      seen_.emplace_back();
      seen_.back().times.resize(static_cast<std::size_t>(count));
      verdict_.produced += count;
    }
  }

  // partition, sequence, id, customer, quantity, total, placed_at in ms
  void row(std::string_view line) {
    ++verdict_.rows;
    Fields fields(line);
    const auto partition = fields.number<std::int32_t>();
    const auto sequence = fields.number<std::int64_t>();
    if (!count("row", partition, sequence)) return;

    Seen& seen = seen_[static_cast<std::size_t>(partition)];
    if (sequence < seen.last_sequence) {
      ++verdict_.out_of_order;
      find(std::format("row {}:{} was committed after {}:{}", partition, sequence, partition,
                       seen.last_sequence));
    } else {
      seen.last_sequence = sequence;
    }
    const Order order = order_at(options_.stream, partition, sequence);
    const bool equal = fields.number<std::int64_t>() == order.id &&
                       fields.text() == order.customer_name() &&
                       fields.number<std::int32_t>() == order.quantity &&
                       fields.number<double>() == order.total() &&
                       fields.number<std::int64_t>() == order.placed_at_ms;
    if (order.badness != Badness::none || !equal) {
      ++verdict_.wrong;
      find(std::format("row {}:{} is not what was produced: {}", partition, sequence, line));
    }
    quantity_ += order.quantity;
  }

  // source partition, key, value in hexadecimal or \N
  void dead_letter(std::string_view line) {
    ++verdict_.dead_letters;
    Fields fields(line);
    fields.text();
    const std::string_view key = fields.text();
    std::int32_t partition = -1;
    std::int64_t sequence = -1;
    if (const std::size_t colon = key.find(':'); colon != std::string_view::npos) {
      std::from_chars(key.data(), key.data() + colon, partition);
      std::from_chars(key.data() + colon + 1, key.data() + key.size(), sequence);
    }
    if (!count("dead letter", partition, sequence)) return;
    const Order order = order_at(options_.stream, partition, sequence);
    std::string expected = "\\N";
    if (order.badness != Badness::tombstone) {
      expected.clear();
      for (const char c : writer_.payload(order, 0)) {
        std::format_to(std::back_inserter(expected), "{:02x}", static_cast<unsigned char>(c));
      }
    }
    if (order.badness == Badness::none || fields.text() != expected) {
      ++verdict_.wrong;
      find(std::format("dead letter {}:{} is not what was produced", partition, sequence));
    }
  }

  void totals(std::string_view line) {
    Fields fields(line);
    total_orders_ += fields.number<std::int64_t>();
    total_quantity_ += fields.number<std::int64_t>();
    has_totals_ = true;
  }

  Verdict finish() {
    for (std::size_t partition = 0; partition < seen_.size(); ++partition) {
      const auto& times = seen_[partition].times;
      for (std::size_t sequence = 0; sequence < times.size(); ++sequence) {
        if (times[sequence] > 0) continue;
        ++verdict_.lost;
        find(std::format("{}:{} was lost", partition, sequence));
      }
    }
    if (has_totals_ && (total_orders_ != verdict_.rows || total_quantity_ != quantity_)) {
      verdict_.totals_equal = false;
      find(std::format("the totals say {} orders with {} pieces, the rows {} with {}",
                       total_orders_, total_quantity_, verdict_.rows, quantity_));
    }
    return verdict_;
  }

 private:
  // False for a record that was never produced.
  bool count(std::string_view what, std::int32_t partition, std::int64_t sequence) {
    const auto p = static_cast<std::size_t>(partition);
    const auto s = static_cast<std::size_t>(sequence);
    if (partition < 0 || sequence < 0 || p >= seen_.size() || s >= seen_[p].times.size()) {
      ++verdict_.wrong;
      find(std::format("{} {}:{} was never produced", what, partition, sequence));
      return false;
    }
    std::uint8_t& times = seen_[p].times[s];
    if (times > 0) {
      ++verdict_.duplicates;
      find(std::format("{} {}:{} is there again", what, partition, sequence));
    }
    if (times < 255) ++times;
    return true;
  }

  void find(std::string finding) {
    if (verdict_.findings.size() < kMaxFindings) verdict_.findings.push_back(std::move(finding));
  }

  const VerifyOptions& options_;
  Verdict verdict_;
  std::vector<Seen> seen_;
  OrderWriter writer_;
  std::int64_t quantity_ = 0;
  std::int64_t total_orders_ = 0;
  std::int64_t total_quantity_ = 0;
  bool has_totals_ = false;
};

}  // namespace

std::string Verdict::to_string() const {
  std::string text = std::format(
      "produced {}, rows {}, dead letters {}, lost {}, duplicates {}, out of order {}, wrong {}, "
      "totals {}",
      produced, rows, dead_letters, lost, duplicates, out_of_order, wrong,
      totals_equal ? "equal" : "NOT equal");
  for (const std::string& finding : findings) text += "\n  " + finding;
  return text;
}

Result<Verdict> verify(const VerifyOptions& options) {
  auto sql = Sql::connect(options.conninfo);
  if (!sql) return std::unexpected(sql.error());
  Comparison comparison(options);
  // One snapshot for everything that is compared with each other.
  auto read =
      sql->execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET extra_float_digits = 1")
          .and_then([&] {
            return sql->copy_out(
                "COPY (SELECT partition, sequence, id, customer, quantity, total, "
                "(extract(epoch FROM placed_at) * 1000)::bigint FROM orders ORDER BY commit_order) "
                "TO STDOUT",
                [&](std::string_view line) { comparison.row(line); });
          })
          .and_then([&] {
            return sql->copy_out(
                "COPY (SELECT partition, convert_from(key, 'UTF8'), encode(value, 'hex') "
                "FROM penstock.dead_letters WHERE pipeline = '" +
                    options.pipeline + "' ORDER BY id) TO STDOUT",
                [&](std::string_view line) { comparison.dead_letter(line); });
          });
  if (!read) return std::unexpected(read.error());
  const auto has_totals = sql->value("SELECT to_regclass('order_totals') IS NOT NULL");
  if (!has_totals) return std::unexpected(has_totals.error());
  if (*has_totals == "t") {
    read = sql->copy_out("COPY (SELECT orders, quantity FROM order_totals) TO STDOUT",
                         [&](std::string_view line) { comparison.totals(line); });
    if (!read) return std::unexpected(read.error());
  }
  return comparison.finish();
}

Result<std::int64_t> records_applied(const std::string& conninfo, const std::string& pipeline) {
  auto sql = Sql::connect(conninfo);
  if (!sql) return std::unexpected(sql.error());
  return sql->number(
      "SELECT coalesce(sum(next_offset), 0)::bigint FROM penstock.offsets WHERE pipeline = $1",
      {pipeline});
}

}  // namespace penstock::harness
