// The values expressions work on: 16 bytes, trivially copyable, tagged.
//
// Place in the flow: the extractor fills input slots with Values, Program::evaluate() turns slots
// into one Value, the column encoder reads that. Strings, bytes, lists and maps are *views*: they
// point into the record's payload, an Arena or a Program's constants, which must outlive them.
//
// Threads: plain data. Failure: as_*() asserts the kind; ask kind() or is_*() first.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace penstock::cel {

struct EvalError;
class Map;
class Value;

enum class Kind : std::uint8_t {
  kNull,
  kBool,
  kInt,   // 64 bit, signed
  kUint,  // 64 bit, unsigned
  kDouble,
  kString,  // UTF-8
  kBytes,
  kList,
  kMap,
  kTimestamp,
  kDuration,
  kType,
  kOptional,  // a value that may be there: optional.of(x), optional.none(), msg.?field
  kIp,        // a network address: ip('…')
  kCidr,      // a block of addresses: cidr('…')
  kJson,      // a part of a document, as its text: of_json()
  kError,
  kAbsent,  // an input that is not in the document; only in slots, never a result
};

// "int", "null_type" …: CEL's own name of the kind's type.
[[nodiscard]] std::string_view to_string(Kind kind) noexcept;

// "null", "a string", "a number" …: of a document, for messages.
[[nodiscard]] std::string_view described(Kind kind) noexcept;

// Both timestamp (since 1970-01-01T00:00:00Z) and duration; nanos is 0 … 999,999,999 for a
// timestamp and has the sign of seconds for a duration.
struct Instant {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
  friend bool operator==(const Instant&, const Instant&) = default;
  friend auto operator<=>(const Instant&, const Instant&) = default;
};

struct List {
  const Value* items = nullptr;
  std::uint32_t size = 0;
  [[nodiscard]] const Value* begin() const noexcept { return items; }
  [[nodiscard]] const Value* end() const noexcept;
  [[nodiscard]] const Value& operator[](std::size_t i) const noexcept;
};

class Value {
 public:
  constexpr Value() noexcept : int_(0), meta_(meta(Kind::kNull)) {}

  static constexpr Value null() noexcept { return {}; }
  static constexpr Value of_bool(bool b) noexcept { return {Kind::kBool, std::int64_t{b}}; }
  static constexpr Value of_int(std::int64_t i) noexcept { return {Kind::kInt, i}; }
  static constexpr Value of_uint(std::uint64_t u) noexcept { return Value(u); }
  static constexpr Value of_double(double d) noexcept { return Value(d); }
  // A number of a document, which carries along where its text begins (number_text()): what only
  // moves the value loses nothing of what was written. JSON, and something that ends it behind it.
  static Value of_int(std::int64_t i, const char* text) noexcept {
    return Value(of_int(i), text_bits(text));
  }
  static Value of_uint(std::uint64_t u, const char* text) noexcept {
    return Value(of_uint(u), text_bits(text));
  }
  static Value of_double(double d, const char* text) noexcept {
    return Value(of_double(d), text_bits(text));
  }
  // JSON text that is no value of the language, and an error for every expression that looks at it:
  // a number beyond 64 bits, a string with half a surrogate pair, or a part of a document that is
  // wanted as it was written (InputPath::as_text). It can be moved, and columns can take it.
  static constexpr Value of_json(std::string_view text) noexcept { return {Kind::kJson, text}; }
  // Not copied, not owned; at most 4 GiB.
  static constexpr Value of_string(std::string_view s) noexcept { return {Kind::kString, s}; }
  static constexpr Value of_bytes(std::string_view b) noexcept { return {Kind::kBytes, b}; }
  static Value of_bytes(std::span<const std::uint8_t> b) noexcept;
  static constexpr Value of_list(List list) noexcept {
    return {Kind::kList, list.items, list.size};
  }
  static constexpr Value of_map(const Map* map) noexcept { return {Kind::kMap, map, 0}; }
  static constexpr Value of_timestamp(Instant t) noexcept { return {Kind::kTimestamp, t}; }
  static constexpr Value of_duration(Instant d) noexcept { return {Kind::kDuration, d}; }
  // `name` is CEL's name of the type ("int", "list"); static storage or an arena.
  static constexpr Value of_type(std::string_view name) noexcept { return {Kind::kType, name}; }
  // nullptr: the empty optional.
  static constexpr Value of_optional(const Value* value) noexcept {
    return {Kind::kOptional, value, 0};
  }
  // 16 octets in network order, an IPv4 address as ::ffff:a.b.c.d.
  static constexpr Value of_ip(const std::uint8_t* octets, bool is_v4) noexcept {
    return {Kind::kIp, octets, 0, is_v4};
  }
  static constexpr Value of_cidr(const std::uint8_t* octets, std::uint32_t prefix,
                                 bool is_v4) noexcept {
    return {Kind::kCidr, octets, prefix, is_v4};
  }
  static constexpr Value error(const EvalError* error) noexcept { return {Kind::kError, error, 0}; }

  // An input that is not there. `depth`: how many segments of its path *are* there. `found`: of
  // what kind the value is that should have segment number `depth`. An object (kMap) lacks it:
  // then with depth = segments - 1 has() is false, and with less an error, as CEL asks. Anything
  // else has no fields (msg.a.b where a is 5: depth 1, a number): then has() is an error, too.
  static constexpr Value absent(std::uint32_t depth, Kind found = Kind::kMap) noexcept {
    return {Kind::kAbsent,
            Instant{static_cast<std::int64_t>(found), static_cast<std::int32_t>(depth)}};
  }

  [[nodiscard]] constexpr Kind kind() const noexcept {
    return static_cast<Kind>(static_cast<std::uint8_t>(meta_));
  }
  [[nodiscard]] constexpr bool is(Kind kind) const noexcept { return this->kind() == kind; }
  [[nodiscard]] constexpr bool is_null() const noexcept { return is(Kind::kNull); }
  [[nodiscard]] constexpr bool is_bool() const noexcept { return is(Kind::kBool); }
  [[nodiscard]] constexpr bool is_int() const noexcept { return is(Kind::kInt); }
  [[nodiscard]] constexpr bool is_uint() const noexcept { return is(Kind::kUint); }
  [[nodiscard]] constexpr bool is_double() const noexcept { return is(Kind::kDouble); }
  [[nodiscard]] constexpr bool is_string() const noexcept { return is(Kind::kString); }
  [[nodiscard]] constexpr bool is_bytes() const noexcept { return is(Kind::kBytes); }
  [[nodiscard]] constexpr bool is_list() const noexcept { return is(Kind::kList); }
  [[nodiscard]] constexpr bool is_map() const noexcept { return is(Kind::kMap); }
  [[nodiscard]] constexpr bool is_timestamp() const noexcept { return is(Kind::kTimestamp); }
  [[nodiscard]] constexpr bool is_duration() const noexcept { return is(Kind::kDuration); }
  [[nodiscard]] constexpr bool is_type() const noexcept { return is(Kind::kType); }
  [[nodiscard]] constexpr bool is_optional() const noexcept { return is(Kind::kOptional); }
  [[nodiscard]] constexpr bool is_ip() const noexcept { return is(Kind::kIp); }
  [[nodiscard]] constexpr bool is_cidr() const noexcept { return is(Kind::kCidr); }
  [[nodiscard]] constexpr bool is_json() const noexcept { return is(Kind::kJson); }
  [[nodiscard]] constexpr bool is_error() const noexcept { return is(Kind::kError); }
  [[nodiscard]] constexpr bool is_absent() const noexcept { return is(Kind::kAbsent); }

  [[nodiscard]] constexpr bool as_bool() const noexcept {
    assert(is_bool());
    return int_ != 0;
  }
  [[nodiscard]] constexpr std::int64_t as_int() const noexcept {
    assert(is_int());
    return int_;
  }
  [[nodiscard]] constexpr std::uint64_t as_uint() const noexcept {
    assert(is_uint());
    return uint_;
  }
  [[nodiscard]] constexpr double as_double() const noexcept {
    assert(is_double());
    return double_;
  }
  [[nodiscard]] constexpr std::string_view as_string() const noexcept {
    assert(is_string());
    return {chars_, aux()};
  }
  [[nodiscard]] constexpr std::string_view as_bytes() const noexcept {
    assert(is_bytes());
    return {chars_, aux()};
  }
  [[nodiscard]] constexpr std::string_view as_json() const noexcept {
    assert(is_json());
    return {chars_, aux()};
  }
  // Of an int, uint or double: where its text begins; nullptr: it was computed. See
  // json/number.h for where it ends.
  [[nodiscard]] const char* number_text() const noexcept {
    assert(is_int() || is_uint() || is_double());
    return reinterpret_cast<const char*>(meta_ >> kTextShift);  // NOLINT(performance-no-int-to-ptr)
  }
  [[nodiscard]] List as_list() const noexcept {
    assert(is_list());
    return {static_cast<const Value*>(pointer_), aux()};
  }
  [[nodiscard]] const Map& as_map() const noexcept {
    assert(is_map());
    return *static_cast<const Map*>(pointer_);
  }
  [[nodiscard]] constexpr Instant as_timestamp() const noexcept {
    assert(is_timestamp());
    return instant();
  }
  [[nodiscard]] constexpr Instant as_duration() const noexcept {
    assert(is_duration());
    return instant();
  }
  [[nodiscard]] constexpr std::string_view as_type() const noexcept {
    assert(is_type());
    return {chars_, aux()};
  }
  // nullptr: empty.
  [[nodiscard]] const Value* as_optional() const noexcept {
    assert(is_optional());
    return static_cast<const Value*>(pointer_);
  }
  [[nodiscard]] const EvalError& as_error() const noexcept {
    assert(is_error());
    return *static_cast<const EvalError*>(pointer_);
  }
  [[nodiscard]] constexpr std::uint32_t absent_depth() const noexcept {
    assert(is_absent());
    return aux();
  }
  [[nodiscard]] constexpr Kind absent_found() const noexcept {
    assert(is_absent());
    return static_cast<Kind>(int_);
  }
  // What is there is neither an object that lacks it nor null: the document has another shape.
  [[nodiscard]] constexpr bool absent_by_shape() const noexcept {
    return absent_found() != Kind::kMap && (absent_found() != Kind::kNull || aux() == 0);
  }
  // Of an ip or cidr.
  [[nodiscard]] const std::uint8_t* octets() const noexcept {
    assert(is_ip() || is_cidr());
    return static_cast<const std::uint8_t*>(pointer_);
  }
  [[nodiscard]] constexpr bool is_v4() const noexcept {
    assert(is_ip() || is_cidr());
    return flag();
  }
  [[nodiscard]] constexpr std::uint32_t prefix_length() const noexcept {
    assert(is_cidr());
    return aux();
  }

 private:
  constexpr Value(Kind kind, std::int64_t i) noexcept : int_(i), meta_(meta(kind)) {}
  constexpr explicit Value(std::uint64_t u) noexcept : uint_(u), meta_(meta(Kind::kUint)) {}
  constexpr explicit Value(double d) noexcept : double_(d), meta_(meta(Kind::kDouble)) {}
  constexpr Value(Kind kind, std::string_view s) noexcept
      : chars_(s.data()), meta_(meta(kind, static_cast<std::uint32_t>(s.size()))) {}
  constexpr Value(Kind kind, const void* pointer, std::uint32_t aux, bool flag = false) noexcept
      : pointer_(pointer), meta_(meta(kind, aux, flag)) {}
  constexpr Value(Kind kind, Instant at) noexcept
      : int_(at.seconds), meta_(meta(kind, static_cast<std::uint32_t>(at.nanos))) {}

  Value(const Value& number, std::uint64_t text_bits) noexcept : Value(number) {
    meta_ |= text_bits;
  }

  // Addresses of programs have at most 48 bits on the machines that Penstock is for. One that had
  // more would be left out, and the number be like a computed one.
  static constexpr unsigned kTextShift = 16;
  static std::uint64_t text_bits(const char* text) noexcept {
    const auto address = reinterpret_cast<std::uint64_t>(text);
    return address >> (64 - kTextShift) == 0 ? address << kTextShift : 0;
  }

  static constexpr std::uint64_t meta(Kind kind, std::uint32_t aux = 0,
                                      bool flag = false) noexcept {
    return std::uint64_t{aux} << 32 | (flag ? 0x100U : 0U) | static_cast<std::uint64_t>(kind);
  }
  [[nodiscard]] constexpr std::uint32_t aux() const noexcept {
    return static_cast<std::uint32_t>(meta_ >> 32);
  }
  [[nodiscard]] constexpr bool flag() const noexcept { return (meta_ & 0x100) != 0; }
  [[nodiscard]] constexpr Instant instant() const noexcept {
    return {int_, static_cast<std::int32_t>(aux())};
  }

  union {
    std::int64_t int_;  // also bool, and the seconds of a timestamp or duration
    std::uint64_t uint_;
    double double_;
    const char* chars_;
    const void* pointer_;
  };
  // The kind, a flag, and 32 bits more: a size, nanoseconds, a depth, a prefix length; of a number
  // 48 bits: the address of its text. One word, so that what was just stored is loaded again
  // without waiting for the store to retire.
  std::uint64_t meta_;
};

static_assert(sizeof(Value) == 16 && std::is_trivially_copyable_v<Value>);

inline Value Value::of_bytes(std::span<const std::uint8_t> b) noexcept {
  return of_bytes(std::string_view(reinterpret_cast<const char*>(b.data()), b.size()));
}
inline const Value* List::end() const noexcept { return items + size; }
inline const Value& List::operator[](std::size_t i) const noexcept {
  assert(i < size);
  return items[i];
}

// CEL's ==, for values that are not errors: numbers compare across int, uint and double; values of
// different types are different; lists and maps compare deeply.
[[nodiscard]] bool equal(const Value& a, const Value& b) noexcept;

}  // namespace penstock::cel
