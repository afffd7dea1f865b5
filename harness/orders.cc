#include "harness/orders.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <format>

namespace penstock::harness {
namespace {

// SplitMix64: a good mix of a counter.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

constexpr std::int64_t kFirstPlacedMs = 1'767'225'600'000;  // 2026-01-01T00:00:00Z

// Appends to a buffer that is large enough by construction.
class Writer {
 public:
  explicit Writer(char* begin) : begin_(begin), end_(begin) {}

  Writer& text(std::string_view value) {
    std::memcpy(end_, value.data(), value.size());
    end_ += value.size();
    return *this;
  }
  Writer& number(std::int64_t value) {
    end_ = std::to_chars(end_, end_ + 24, value).ptr;
    return *this;
  }
  // With leading zeros.
  Writer& digits(std::int64_t value, int width) {
    for (int i = width - 1; i >= 0; --i) {
      end_[i] = static_cast<char>('0' + value % 10);
      value /= 10;
    }
    end_ += width;
    return *this;
  }
  Writer& cents(std::int64_t value) { return number(value / 100).text(".").digits(value % 100, 2); }
  Writer& time(std::int64_t ms_since_epoch) {
    const std::chrono::sys_time<std::chrono::milliseconds> at{
        std::chrono::milliseconds(ms_since_epoch)};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{at - day};
    return digits(static_cast<int>(date.year()), 4)
        .text("-")
        .digits(static_cast<unsigned>(date.month()), 2)
        .text("-")
        .digits(static_cast<unsigned>(date.day()), 2)
        .text("T")
        .digits(clock.hours().count(), 2)
        .text(":")
        .digits(clock.minutes().count(), 2)
        .text(":")
        .digits(clock.seconds().count(), 2)
        .text(".")
        .digits(clock.subseconds().count(), 3)
        .text("Z");
  }

  [[nodiscard]] std::string_view view() const {
    return {begin_, static_cast<std::size_t>(end_ - begin_)};
  }

 private:
  char* begin_;
  char* end_;
};

constexpr std::array<std::string_view, 4> kNotes = {"ring twice", "leave with a neighbour",
                                                    "second floor", "no rush"};

}  // namespace

std::string Order::customer_name() const { return std::format("customer-{:06}", customer); }

Order order_at(const OrderStream& stream, std::int32_t partition, std::int64_t sequence) {
  Order order;
  order.partition = partition;
  order.sequence = sequence;
  order.id = sequence * stream.partitions + partition;
  const std::uint64_t a = mix(stream.seed ^ mix(static_cast<std::uint64_t>(order.id)));
  order.customer = static_cast<std::int32_t>(a % 1'000'000);
  order.quantity = static_cast<std::int32_t>(1 + (a >> 20) % 20);
  order.unit_price_cents = static_cast<std::int64_t>(99 + (a >> 32) % 50'000);
  order.placed_at_ms = kFirstPlacedMs + order.id;
  if (stream.bad_one_in > 0) {
    const std::uint64_t b = mix(a);
    if (b % static_cast<std::uint64_t>(stream.bad_one_in) == 0) {
      order.badness = static_cast<Badness>(1 + (b >> 40) % (kBadnessKinds - 1));
    }
  }
  return order;
}

std::string_view OrderWriter::payload(const Order& order, std::int64_t sent_us) {
  const Badness bad = order.badness;
  if (bad == Badness::tombstone) return {};
  Writer out(payload_.data());
  if (bad == Badness::not_json) {
    return out.text("order ").number(order.id).text(" was taken by telephone").view();
  }
  out.text(R"({"id":)").number(order.id);
  out.text(R"(,"partition":)").number(order.partition);
  out.text(R"(,"sequence":)").number(order.sequence);
  out.text(R"(,"customer":"customer-)").digits(order.customer, 6);
  if (bad == Badness::nul_in_text) out.text(R"(\u0000)");
  if (bad == Badness::invalid_utf8) out.text("\xff\xfe");
  out.text(R"(","quantity":)");
  if (bad == Badness::wrong_type) {
    out.text(R"("several")");
  } else if (bad == Badness::out_of_range) {
    out.number(99'999'999'999);
  } else {
    out.number(bad == Badness::refused ? -order.quantity : order.quantity);
  }
  if (bad != Badness::missing_field) out.text(R"(,"unit_price":)").cents(order.unit_price_cents);
  out.text(R"(,"placed_at":")").time(order.placed_at_ms);
  out.text(R"(","sent_us":)").number(bad == Badness::none ? sent_us : 0);
  out.text(R"(,"note":")").text(kNotes[static_cast<std::size_t>(order.customer) % kNotes.size()]);
  out.text(R"("})");
  std::string_view whole = out.view();
  if (bad == Badness::truncated) whole.remove_suffix(whole.size() / 3);
  return whole;
}

std::string_view OrderWriter::key(const Order& order) {
  return Writer(key_.data()).number(order.partition).text(":").number(order.sequence).view();
}

GroundTruth truth_of(const OrderStream& stream, std::int64_t records) {
  GroundTruth truth;
  for (int partition = 0; partition < stream.partitions; ++partition) {
    truth.push_back((records + stream.partitions - 1 - partition) / stream.partitions);
  }
  return truth;
}

std::int64_t bad_records(const OrderStream& stream, const GroundTruth& truth) {
  std::int64_t bad = 0;
  for (std::int32_t partition = 0; partition < stream.partitions; ++partition) {
    const std::int64_t count = truth[static_cast<std::size_t>(partition)];
    for (std::int64_t sequence = 0; sequence < count; ++sequence) {
      if (order_at(stream, partition, sequence).badness != Badness::none) ++bad;
    }
  }
  return bad;
}

std::string orders_schema(bool with_totals) {
  std::string sql = R"(
CREATE TABLE orders (
  commit_order bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id bigint NOT NULL,
  partition integer NOT NULL,
  sequence bigint NOT NULL,
  customer text NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  total double precision NOT NULL,
  placed_at timestamptz NOT NULL,
  sent_us bigint NOT NULL,
  source_partition integer NOT NULL,
  source_offset bigint NOT NULL);
)";
  if (with_totals) {
    sql += R"(
CREATE TABLE order_totals (partition integer PRIMARY KEY, orders bigint, quantity bigint);
CREATE FUNCTION add_to_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO order_totals AS t
    SELECT partition, count(*), sum(quantity) FROM added GROUP BY partition ORDER BY partition
    ON CONFLICT (partition) DO UPDATE
      SET orders = t.orders + excluded.orders, quantity = t.quantity + excluded.quantity;
  RETURN NULL;
END $$;
CREATE TRIGGER totals AFTER INSERT ON orders
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_to_totals();
)";
  }
  return sql;
}

std::string orders_compute_yaml(std::size_t indent) {
  const std::string space(indent, ' ');
  return space + "let:\n" + space + "  total: double(msg.quantity) * msg.unit_price\n";
}

std::string orders_columns_yaml(std::size_t indent) {
  const std::string space(indent, ' ');
  std::string out;
  for (const char* line : {"id: msg.id", "partition: msg.partition", "sequence: msg.sequence",
                           "customer: msg.customer", "quantity: msg.quantity", "total: total",
                           "placed_at: timestamp(msg.placed_at)", "sent_us: msg.sent_us",
                           "source_partition: record.partition", "source_offset: record.offset"}) {
    out += space + line + "\n";
  }
  return out;
}

}  // namespace penstock::harness
