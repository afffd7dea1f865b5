#include "cel/value.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/eval_context.h"

namespace penstock::cel {
namespace {

// Documents may nest deeper than a thread's stack allows to follow.
constexpr int kDeepest = 2000;
constexpr std::size_t kBytesPerStep = 64;
constexpr std::uint64_t kStepsPerLookup = 4;

// What the double holds is just this integer.
template <typename Integer>
bool is_exactly(double d, Integer integer) noexcept {
  constexpr double kAbove = std::is_signed_v<Integer> ? 0x1p63 : 0x1p64;
  constexpr double kLeast = std::is_signed_v<Integer> ? -0x1p63 : 0;
  return d >= kLeast && d < kAbove && d == std::trunc(d) && static_cast<Integer>(d) == integer;
}

std::partial_ordering compare_int_uint(std::int64_t i, std::uint64_t u) noexcept {
  if (i < 0) return std::partial_ordering::less;
  return static_cast<std::uint64_t>(i) <=> u;
}

std::partial_ordering reverse(std::partial_ordering order) noexcept { return 0 <=> order; }

bool equal_at(const Value& a, const Value& b, std::uint64_t& budget, int depth) noexcept;

bool equal_texts(std::string_view a, std::string_view b, std::uint64_t& budget) noexcept {
  if (a.size() != b.size()) return false;
  budget -= std::min<std::uint64_t>(budget, a.size() / kBytesPerStep);
  return same_text(a, b);
}

bool equal_lists(List a, List b, std::uint64_t& budget, int depth) noexcept {
  if (a.size != b.size) return false;
  for (std::uint32_t i = 0; i < a.size; ++i) {
    if (!equal_at(a[i], b[i], budget, depth)) return false;
  }
  return true;
}

bool equal_maps(const Map& a, const Map& b, std::uint64_t& budget, int depth) noexcept {
  if (a.size() != b.size()) return false;
  for (const MapEntry& entry : a.entries()) {
    budget -= std::min(budget, kStepsPerLookup + text_steps(entry.key));
    const Value* other = b.find(entry.key);
    if (other == nullptr || !equal_at(entry.value, *other, budget, depth)) return false;
  }
  return true;
}

bool equal_at(const Value& a, const Value& b, std::uint64_t& budget, int depth) noexcept {
  if (budget == 0) return false;
  --budget;
  if (depth == 0) {
    budget = 0;
    return false;
  }
  if (a.kind() != b.kind()) {
    return is_number(a.kind()) && is_number(b.kind()) && compare_numbers(a, b) == 0;
  }
  switch (a.kind()) {
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return a.as_bool() == b.as_bool();
    case Kind::kInt:
      return a.as_int() == b.as_int();
    case Kind::kUint:
      return a.as_uint() == b.as_uint();
    case Kind::kDouble:
      return a.as_double() == b.as_double();
    case Kind::kString:
      return equal_texts(a.as_string(), b.as_string(), budget);
    case Kind::kBytes:
      return equal_texts(a.as_bytes(), b.as_bytes(), budget);
    case Kind::kType:
      return a.as_type() == b.as_type();
    case Kind::kTimestamp:
      return a.as_timestamp() == b.as_timestamp();
    case Kind::kDuration:
      return a.as_duration() == b.as_duration();
    case Kind::kList:
      return equal_lists(a.as_list(), b.as_list(), budget, depth - 1);
    case Kind::kMap:
      return equal_maps(a.as_map(), b.as_map(), budget, depth - 1);
    case Kind::kOptional: {
      const Value* x = a.as_optional();
      const Value* y = b.as_optional();
      if (x == nullptr || y == nullptr) return x == y;
      return equal_at(*x, *y, budget, depth - 1);
    }
    case Kind::kCidr:
      if (a.prefix_length() != b.prefix_length()) return false;
      [[fallthrough]];
    case Kind::kIp:
      return std::memcmp(a.octets(), b.octets(), 16) == 0;  // also ::ffff:a.b.c.d and a.b.c.d
    case Kind::kJson:
      return equal_texts(a.as_json(), b.as_json(), budget);
    case Kind::kError:
    case Kind::kAbsent:
      return false;
  }
  return false;
}

}  // namespace

std::string_view to_string(Kind kind) noexcept {
  switch (kind) {
    case Kind::kNull:
      return "null_type";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kUint:
      return "uint";
    case Kind::kDouble:
      return "double";
    case Kind::kString:
      return "string";
    case Kind::kBytes:
      return "bytes";
    case Kind::kList:
      return "list";
    case Kind::kMap:
      return "map";
    case Kind::kTimestamp:
      return "google.protobuf.Timestamp";
    case Kind::kDuration:
      return "google.protobuf.Duration";
    case Kind::kType:
      return "type";
    case Kind::kOptional:
      return "optional_type";
    case Kind::kIp:
      return "net.IP";
    case Kind::kCidr:
      return "net.CIDR";
    case Kind::kJson:
      return "json";
    case Kind::kError:
      return "error";
    case Kind::kAbsent:
      return "absent";
  }
  return "";
}

std::string_view described(Kind kind) noexcept {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "true or false";
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
    case Kind::kJson:
      return "a number";
    case Kind::kString:
      return "a string";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "an object";
    default:
      return to_string(kind);
  }
}

bool equal(const Value& a, const Value& b) noexcept {
  std::uint64_t budget = std::numeric_limits<std::uint64_t>::max();
  return equal_at(a, b, budget, kDeepest);
}

bool equal_within(const Value& a, const Value& b, std::uint64_t& budget) noexcept {
  return equal_at(a, b, budget, kDeepest);
}

bool same_key(const Value& a, const Value& b) noexcept {
  const Value& d = a.is_double() ? a : b;
  const Value& other = a.is_double() ? b : a;
  if (d.is_double() && other.is_int()) return is_exactly(d.as_double(), other.as_int());
  if (d.is_double() && other.is_uint()) return is_exactly(d.as_double(), other.as_uint());
  return equal(a, b);
}

std::partial_ordering compare_numbers(const Value& a, const Value& b) noexcept {
  switch (a.kind()) {
    case Kind::kInt:
      if (b.is_int()) return a.as_int() <=> b.as_int();
      if (b.is_uint()) return compare_int_uint(a.as_int(), b.as_uint());
      return static_cast<double>(a.as_int()) <=> b.as_double();
    case Kind::kUint:
      if (b.is_uint()) return a.as_uint() <=> b.as_uint();
      if (b.is_int()) return reverse(compare_int_uint(b.as_int(), a.as_uint()));
      return static_cast<double>(a.as_uint()) <=> b.as_double();
    default:
      if (b.is_double()) return a.as_double() <=> b.as_double();
      if (b.is_int()) return a.as_double() <=> static_cast<double>(b.as_int());
      return a.as_double() <=> static_cast<double>(b.as_uint());
  }
}

bool is_ordered(const Value& a, const Value& b) noexcept {
  if (a.kind() != b.kind()) return is_number(a.kind()) && is_number(b.kind());
  switch (a.kind()) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kTimestamp:
    case Kind::kDuration:
      return true;
    default:
      return false;
  }
}

std::partial_ordering compare(const Value& a, const Value& b) noexcept {
  switch (a.kind()) {
    case Kind::kBool:
      return a.as_bool() <=> b.as_bool();
    case Kind::kString:
      return a.as_string() <=> b.as_string();
    case Kind::kBytes:
      return a.as_bytes() <=> b.as_bytes();
    case Kind::kTimestamp:
      return a.as_timestamp() <=> b.as_timestamp();
    case Kind::kDuration:
      return a.as_duration() <=> b.as_duration();
    default:
      return compare_numbers(a, b);
  }
}

}  // namespace penstock::cel
