#include "fuzz/inputs.h"

#include <cstring>
#include <string>
#include <string_view>

#include "cel/containers.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

constexpr std::string_view kTexts[] = {"",
                                       "a",
                                       "b",
                                       "key",
                                       "h\u00e9llo \U0001F600",
                                       "2024-02-29T12:30:45.5+02:00",
                                       "1h30m",
                                       "-1.5s",
                                       "%s %d %.3f %x %e",
                                       "(a+)+$",
                                       "[a-z]*(b|c)",
                                       "{\"a\": [1, 2.5, null]}",
                                       "https://u:p@h:8080/a%20b?x=1&y#z",
                                       "10.0.0.1",
                                       "10.0.0.0/8",
                                       "::1",
                                       "YQ==",
                                       "2ed6657d-e927-568b-95e1-2665a8aea6a2",
                                       "9223372036854775807",
                                       "aaaaaaaaaaaaaaaa",
                                       "Europe/Berlin",
                                       "true"};

std::string_view text(FuzzBytes& bytes, Arena& arena) {
  std::string_view one = kTexts[bytes.below(std::size(kTexts))];
  if (bytes.chance(4)) {
    one = bytes.take(bytes.below(40));
    if (!text::is_valid_utf8(one)) one = "\uFFFD";
  }
  if (!bytes.chance(16)) return arena.copy(one);
  std::string many;  // long ones show what is not counted as work
  for (std::size_t times = bytes.below(4096); times > 0 && many.size() < 65536; --times)
    many += one;
  return arena.copy(many);
}

std::int64_t integer(FuzzBytes& bytes) {
  switch (bytes.below(4)) {
    case 0:
      return static_cast<std::int64_t>(bytes.word());
    case 1:
      return bytes.chance(2) ? INT64_MIN : INT64_MAX;
    default:
      return static_cast<std::int8_t>(bytes.next());
  }
}

double real(FuzzBytes& bytes) {
  if (bytes.chance(4)) {
    const std::uint64_t bits = bytes.word();
    double number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
  }
  return static_cast<double>(integer(bytes)) / 4;
}

Instant instant(FuzzBytes& bytes, bool is_duration) {
  const auto seconds = static_cast<std::int64_t>(bytes.word() % 250'000'000'000);
  const auto nanos = static_cast<std::int32_t>(bytes.word() % 1'000'000'000);
  return is_duration ? Instant{seconds, nanos} : Instant{seconds, nanos};
}

constexpr TypeKind kScalars[] = {TypeKind::kNull,  TypeKind::kBool,      TypeKind::kInt,
                                 TypeKind::kUint,  TypeKind::kDouble,    TypeKind::kString,
                                 TypeKind::kBytes, TypeKind::kTimestamp, TypeKind::kDuration};

Value value(FuzzBytes& bytes, const Type& type, Arena& arena, int depth) {
  switch (type.kind()) {
    case TypeKind::kNull:
      return Value::null();
    case TypeKind::kBool:
      return Value::of_bool(bytes.chance(2));
    case TypeKind::kInt:
      return Value::of_int(integer(bytes));
    case TypeKind::kUint:
      return Value::of_uint(static_cast<std::uint64_t>(integer(bytes)));
    case TypeKind::kDouble:
      return Value::of_double(real(bytes));
    case TypeKind::kString:
      return Value::of_string(text(bytes, arena));
    case TypeKind::kBytes:
      return Value::of_bytes(text(bytes, arena));
    case TypeKind::kTimestamp:
      return Value::of_timestamp(instant(bytes, false));
    case TypeKind::kDuration:
      return Value::of_duration(instant(bytes, true));
    case TypeKind::kList: {
      ListBuilder list(arena);
      const std::size_t size = bytes.chance(16) ? bytes.below(2000) : bytes.below(5);
      for (std::size_t i = 0; i < size; ++i) {
        list.add(
            value(bytes, depth == 0 ? Type(TypeKind::kInt) : type.element(), arena, depth - 1));
      }
      return list.finish();
    }
    case TypeKind::kMap: {
      MapBuilder map(arena);
      const std::size_t size = bytes.chance(16) ? bytes.below(2000) : bytes.below(5);
      for (std::size_t i = 0; i < size; ++i) {
        map.add(value(bytes, type.key(), arena, 0),
                value(bytes, depth == 0 ? Type(TypeKind::kInt) : type.element(), arena, depth - 1));
      }
      return map.finish();
    }
    case TypeKind::kNullable:
      return bytes.chance(4) ? Value::null() : value(bytes, type.element(), arena, depth);
    default: {  // dyn: what JSON can hold, and a few more
      const std::size_t kind = bytes.below(std::size(kScalars) + 4);
      if (kind < std::size(kScalars)) return value(bytes, kScalars[kind], arena, depth);
      if (depth <= 0) return Value::of_int(integer(bytes));
      if (kind % 2 == 0) return value(bytes, Type::list(TypeKind::kDyn), arena, depth);
      return value(bytes, Type::map(TypeKind::kString, TypeKind::kDyn), arena, depth);
    }
  }
}

}  // namespace

Value fuzz_value(FuzzBytes& bytes, const Type& type, Arena& arena, int depth) {
  return value(bytes, type, arena, depth);
}

const Environment& fuzz_environment() {
  static const Environment environment = [] {
    Environment made;
    made.declare("flag", TypeKind::kBool);
    made.declare("i", TypeKind::kInt);
    made.declare("u", TypeKind::kUint);
    made.declare("d", TypeKind::kDouble);
    made.declare("s", TypeKind::kString);
    made.declare("data", TypeKind::kBytes);
    made.declare("at", TypeKind::kTimestamp);
    made.declare("span", TypeKind::kDuration);
    made.declare("ints", Type::list(TypeKind::kInt));
    made.declare("texts", Type::list(TypeKind::kString));
    made.declare("table", Type::map(TypeKind::kString, TypeKind::kInt));
    made.declare("groups", Type::map(TypeKind::kInt, Type::list(TypeKind::kString)));
    made.declare("maybe", Type::nullable(TypeKind::kInt));
    made.declare("any", TypeKind::kDyn);
    made.declare_document(
        "msg",
        {{"id", TypeKind::kInt},
         {"name", TypeKind::kString},
         {"tags", Type::list(TypeKind::kString)},
         {"price", Type::nullable(TypeKind::kDouble)},
         {"place", Type::record("place", {{"city", TypeKind::kString}, {"zip", TypeKind::kInt}})}});
    made.declare_record("record", {{"topic", TypeKind::kString},
                                   {"offset", TypeKind::kInt},
                                   {"headers", Type::map(TypeKind::kString, TypeKind::kBytes)}});
    return made;
  }();
  return environment;
}

std::vector<Value> fuzz_slots(FuzzBytes& bytes, const Inputs& inputs, Arena& arena) {
  std::vector<Value> slots;
  for (const InputPath& path : inputs.paths()) {
    const Environment::Variable* variable = fuzz_environment().find(path.root);
    Type type;
    if (variable != nullptr) {
      type = variable->is_document ? variable->declared_type(path.segments).value_or(Type())
                                   : variable->type;
    }
    const auto depth = static_cast<std::uint32_t>(path.segments.size());
    if (depth > 0 && bytes.chance(8)) {
      slots.push_back(Value::absent(static_cast<std::uint32_t>(bytes.below(depth)),
                                    bytes.chance(2) ? Kind::kString : Kind::kMap));
    } else {
      slots.push_back(value(bytes, bytes.chance(32) ? Type() : type, arena, 3));
    }
  }
  return slots;
}

}  // namespace penstock::cel
