#include "cel/vm/rounds.h"

#include <algorithm>
#include <new>

#include "cel/containers.h"

namespace penstock::cel {
namespace {

constexpr std::uint32_t kFirstCapacity = 8;
constexpr std::uint32_t kLargestCapacity = std::uint32_t{1} << 30;

// Puts element number `i` into the iterator's variables.
void load(Value* iterator, std::uint32_t i) noexcept {
  if (iterator->is_list()) {
    iterator[kIterFirst] = iterator->as_list().items[i];
    return;
  }
  const MapEntry& entry = iterator->as_map().entries()[i];
  iterator[kIterFirst] = entry.key;
  iterator[kIterSecond] = entry.value;
}

}  // namespace

bool begin_rounds(const Instruction& in, const Argument& range, Value* registers,
                  EvalContext& context) {
  Value* iterator = registers + in.dst;
  *iterator = range.value;
  iterator[1] = Value::of_int(0);
  std::uint32_t size = 0;
  if (range.value.is_list()) {
    size = range.value.as_list().size;
  } else if (range.value.is_map()) {
    size = range.value.as_map().size();
  } else {
    Value error = error_of(context, range);
    if (!error.is_error()) {
      error = context.fail(
          ErrorCode::kNoSuchOverload,
          {"no such overload: a ", to_string(range.value.kind()), " cannot be iterated",
           range.input_name.empty() ? "" : "; ", range.input_name});
    }
    registers[in.b] = error;
    return false;
  }
  if (size == 0) return false;
  load(iterator, 0);
  return true;
}

bool next_round(Value* iterator) noexcept {
  const auto next = static_cast<std::uint32_t>(iterator[1].as_int() + 1);
  const std::uint32_t size =
      iterator->is_list() ? iterator->as_list().size : iterator->as_map().size();
  if (next >= size) return false;
  iterator[1] = Value::of_int(next);
  load(iterator, next);
  return true;
}

// list[0] is the list so far, a list at any moment; list[1] its capacity.
void begin_list(Value* list, const Value& iterator, EvalContext& context) {
  std::uint32_t capacity = kFirstCapacity;
  if (iterator.is_list()) capacity = iterator.as_list().size;
  if (iterator.is_map()) capacity = iterator.as_map().size();
  const Value* items = context.arena.allocate_array<Value>(capacity);
  if (items == nullptr) capacity = 0;
  list[0] = Value::of_list({items, 0});
  list[1] = Value::of_int(capacity);
}

bool append(Value* list, const Argument& item, EvalContext& context) {
  if (item.value.is_error() || item.value.is_absent()) [[unlikely]] {
    list[0] = error_of(context, item);
    return false;
  }
  const List now = list->as_list();
  auto* items = const_cast<Value*>(now.items);  // ours: begin_list() allocated it
  if (now.size == list[1].as_int()) [[unlikely]] {
    const std::uint32_t capacity = std::max(now.size * 2, kFirstCapacity);
    auto* bigger =
        capacity > kLargestCapacity ? nullptr : context.arena.allocate_array<Value>(capacity);
    if (bigger == nullptr) {
      list[0] = context.out_of_memory();
      return false;
    }
    std::copy_n(items, now.size, bigger);
    items = bigger;
    list[1] = Value::of_int(capacity);
  }
  items[now.size] = item.value;
  list[0] = Value::of_list({items, now.size + 1});
  return true;
}

namespace {

// A register holds the builder's address as a number: it is of no use to an expression.
MapBuilder* builder_of(const Value& map) {
  return reinterpret_cast<MapBuilder*>(  // NOLINT(performance-no-int-to-ptr)
      static_cast<std::uintptr_t>(map.as_uint()));
}

}  // namespace

void begin_map(Value* map, EvalContext& context) {
  void* memory = context.arena.allocate(sizeof(MapBuilder), alignof(MapBuilder));
  if (memory == nullptr) {
    *map = context.out_of_memory();
    return;
  }
  *map = Value::of_uint(reinterpret_cast<std::uintptr_t>(new (memory) MapBuilder(context.arena)));
}

bool add_entry(Value* map, const Argument& key, const Argument& value, EvalContext& context) {
  if (map->is_error()) return false;
  for (const Argument& part : {key, value}) {
    const Value error = error_of(context, part);
    if (!error.is_error()) continue;
    *map = error;
    return false;
  }
  if (!is_map_key(key.value.kind()) || key.value.is_double()) {
    *map = context.fail(ErrorCode::kInvalidArgument,
                        {"a map's key cannot be ", to_string(key.value.kind())});
    return false;
  }
  if (!context.charge(1 + text_steps(key.value))) {
    *map = context.out_of_steps();
    return false;
  }
  builder_of(*map)->add(key.value, value.value);
  return true;
}

bool add_entries(Value* map, const Argument& entries, EvalContext& context) {
  if (!entries.value.is_map()) {
    Value error = error_of(context, entries);
    if (!error.is_error()) {
      error = context.fail(
          ErrorCode::kNoSuchOverload,
          {"no such overload: transformMapEntry() with a ", to_string(entries.value.kind())});
    }
    *map = error;
    return false;
  }
  for (const MapEntry& entry : entries.value.as_map().entries()) {
    if (!add_entry(map, {entry.key, {}}, {entry.value, {}}, context)) return false;
  }
  return true;
}

void finish_map(Value* map, EvalContext& context) {
  if (map->is_error()) return;
  MapBuilder* builder = builder_of(*map);
  *map = builder->finish();
  if (builder->had_duplicates()) {
    *map = context.fail(ErrorCode::kInvalidArgument, {"a map has the same key twice"});
  }
}

}  // namespace penstock::cel
