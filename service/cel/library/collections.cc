// Functions of lists, maps and sets; size().
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/library/library.h"
#include "cel/library/time.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

constexpr std::int64_t kDeepestFlatten = 100;
// Sorting compares each element with about this many.
constexpr std::uint64_t kComparisonsPerElement = 20;
constexpr std::int64_t kLongestRange = std::int64_t{1} << 30;

Value size(EvalContext&, Args args) {
  const Value& value = args[0];
  switch (value.kind()) {
    case Kind::kString:
      return Value::of_int(static_cast<std::int64_t>(text::count_code_points(value.as_string())));
    case Kind::kBytes:
      return Value::of_int(static_cast<std::int64_t>(value.as_bytes().size()));
    case Kind::kList:
      return Value::of_int(value.as_list().size);
    default:
      return Value::of_int(value.as_map().size());
  }
}

Value range(EvalContext& context, Args args) {
  const std::int64_t count = std::max(args[0].as_int(), std::int64_t{0});
  if (!context.charge(static_cast<std::uint64_t>(count)) || count > kLongestRange) {
    return context.out_of_steps();
  }
  ListBuilder list(context.arena, static_cast<std::uint32_t>(count));
  for (std::int64_t i = 0; i < count; ++i) list.add(Value::of_int(i));
  return list.finish();
}

Value reverse(EvalContext& context, Args args) {
  const List list = args[0].as_list();
  if (!context.charge(list.size)) return context.out_of_steps();
  ListBuilder reversed(context.arena, list.size);
  for (std::uint32_t i = list.size; i-- > 0;) reversed.add(list[i]);
  return reversed.finish();
}

Value slice(EvalContext& context, Args args) {
  const List list = args[0].as_list();
  const std::int64_t begin = args[1].as_int();
  const std::int64_t end = args[2].as_int();
  if (begin < 0 || end < begin || end > list.size) {
    return context.fail(ErrorCode::kOutOfRange,
                        {"slice(", std::to_string(begin), ", ", std::to_string(end),
                         ") is out of range of a list of ", std::to_string(list.size)});
  }
  return Value::of_list({list.items + begin, static_cast<std::uint32_t>(end - begin)});
}

void flatten_into(ListBuilder& out, List list, std::int64_t depth) {
  for (const Value& item : list) {
    if (item.is_list() && depth > 0) {
      flatten_into(out, item.as_list(), depth - 1);
    } else {
      out.add(item);
    }
  }
}

// What flattening would copy; stops counting beyond the budget.
std::uint64_t flattened_size(List list, std::int64_t depth, std::uint64_t budget) {
  std::uint64_t count = 0;
  for (const Value& item : list) {
    ++count;
    if (item.is_list() && depth > 0) {
      count += flattened_size(item.as_list(), depth - 1, budget - std::min(budget, count));
    }
    if (count > budget) return count;
  }
  return count;
}

Value flatten(EvalContext& context, Args args) {
  const std::int64_t wanted = args.size() == 2 ? args[1].as_int() : 1;
  if (wanted < 0) {
    return context.fail(ErrorCode::kInvalidArgument,
                        {"flatten() to a depth of ", std::to_string(wanted)});
  }
  const std::int64_t depth = std::min(wanted, kDeepestFlatten);
  const List list = args[0].as_list();
  const std::uint64_t count = flattened_size(list, depth, context.steps_left);
  if (!context.charge(count)) return context.out_of_steps();
  ListBuilder flat(context.arena);
  flatten_into(flat, list, depth);
  const Value result = flat.finish();
  const auto is_list = [](const Value& item) { return item.is_list(); };
  if (wanted > depth && result.is_list() && std::ranges::any_of(result.as_list(), is_list)) {
    return context.fail(
        ErrorCode::kLimitExceeded,
        {"flatten() of lists that are in each other more than ", std::to_string(depth), " deep"});
  }
  return result;
}

// Of two that are both int, uint, double or duration.
Value add_two(EvalContext& context, const Value& a, const Value& b) {
  std::int64_t int_sum = 0;
  std::uint64_t uint_sum = 0;
  if (a.is_double()) return Value::of_double(a.as_double() + b.as_double());
  if (a.is_duration()) return make_duration(context, add(a.as_duration(), b.as_duration()));
  if (a.is_int() && !__builtin_add_overflow(a.as_int(), b.as_int(), &int_sum)) {
    return Value::of_int(int_sum);
  }
  if (a.is_uint() && !__builtin_add_overflow(a.as_uint(), b.as_uint(), &uint_sum)) {
    return Value::of_uint(uint_sum);
  }
  return context.fail(ErrorCode::kOverflow, {to_string(a.kind()), " overflow: the sum of a list"});
}

Value cannot_add(EvalContext& context, const Value& a, const Value& b) {
  return context.fail(
      ErrorCode::kNoSuchOverload,
      {"no such overload: sum() of ", to_string(a.kind()), " and ", to_string(b.kind()),
       "; the elements are all int, all uint, all double or all duration"});
}

// `kZero`: what an empty list is the sum of, by its type.
template <Value (*kZero)()>
Value sum(EvalContext& context, Args args) {
  const List list = args[0].as_list();
  if (!context.charge(list.size)) return context.out_of_steps();
  if (list.size == 0) return kZero();
  const Value& first = list[0];
  const bool adds = first.is_int() || first.is_uint() || first.is_double() || first.is_duration();
  if (!adds) return cannot_add(context, first, first);
  Value total = first;
  for (std::uint32_t i = 1; i < list.size && !total.is_error(); ++i) {
    if (list[i].kind() != first.kind()) return cannot_add(context, first, list[i]);
    total = add_two(context, total, list[i]);
  }
  return total;
}

Value int_zero() { return Value::of_int(0); }
Value uint_zero() { return Value::of_uint(0); }
Value double_zero() { return Value::of_double(0); }
Value duration_zero() { return Value::of_duration({}); }

// Whether the list has the value, at the cost of the comparisons; *failed: the budget is used up.
bool has(EvalContext& context, List list, const Value& value, bool* failed) {
  for (const Value& item : list) {
    const bool same = equal_within(item, value, context.steps_left);
    *failed = context.steps_left == 0;
    if (same || *failed) return same;
  }
  return false;
}

Value distinct(EvalContext& context, Args args) {
  ListBuilder unique(context.arena);
  for (const Value& item : args[0].as_list()) {
    bool failed = false;
    const Value so_far = unique.finish();
    if (so_far.is_error()) return so_far;
    if (!has(context, so_far.as_list(), item, &failed)) unique.add(item);
    if (failed) return context.out_of_steps();
  }
  return unique.finish();
}

// The order of `keys`, which are all of one ordered type. False: they are not.
bool sorted_order(List keys, std::vector<std::uint32_t>& order) {
  order.resize(keys.size);
  std::iota(order.begin(), order.end(), 0U);
  for (const Value& key : keys) {
    if (key.kind() != keys[0].kind() || !is_ordered(key, keys[0])) return false;
  }
  std::ranges::stable_sort(
      order, [&](std::uint32_t a, std::uint32_t b) { return compare(keys[a], keys[b]) < 0; });
  return true;
}

Value sort_by(EvalContext& context, List list, List keys) {
  std::uint64_t steps = keys.size;
  for (const Value& key : keys) steps += text_steps(key);
  if (!context.charge(steps * kComparisonsPerElement)) return context.out_of_steps();
  std::vector<std::uint32_t> order;
  if (list.size != keys.size || !sorted_order(keys, order)) {
    return context.fail(ErrorCode::kInvalidArgument,
                        {"what a list is sorted by must be of one type that has an order"});
  }
  ListBuilder sorted(context.arena, list.size);
  for (const std::uint32_t i : order) sorted.add(list[i]);
  return sorted.finish();
}

Value sort(EvalContext& context, Args args) {
  return sort_by(context, args[0].as_list(), args[0].as_list());
}

Value sort_by_keys(EvalContext& context, Args args) {
  return sort_by(context, args[0].as_list(), args[1].as_list());
}

// Whether every element of b is in a.
bool includes(EvalContext& context, List a, List b, bool* failed) {
  return std::ranges::all_of(b, [&](const Value& item) { return has(context, a, item, failed); });
}

template <bool kBoth>
Value sets_include(EvalContext& context, Args args) {
  bool failed = false;
  const List a = args[0].as_list();
  const List b = args[1].as_list();
  bool result = includes(context, a, b, &failed);
  if (kBoth && result) result = includes(context, b, a, &failed);
  return failed ? context.out_of_steps() : Value::of_bool(result);
}

Value sets_intersect(EvalContext& context, Args args) {
  bool failed = false;
  const List a = args[0].as_list();
  const bool result = std::ranges::any_of(
      args[1].as_list(), [&](const Value& item) { return has(context, a, item, &failed); });
  return failed ? context.out_of_steps() : Value::of_bool(result);
}

constexpr FunctionRow kRows[] = {
    {"size(string) -> int", size, "Characters of a string, bytes, elements of a list or map.",
     "size('héllo') == 5"},
    {"size(bytes) -> int", size, "", ""},
    {"size(list<A>) -> int", size, "", ""},
    {"size(map<A, B>) -> int", size, "", ""},
    {"string.size() -> int", size, "", ""},
    {"bytes.size() -> int", size, "", ""},
    {"list<A>.size() -> int", size, "", ""},
    {"map<A, B>.size() -> int", size, "", ""},
    {"lists.range(int) -> list<int>", range, "The numbers from 0 up to, not with, n.",
     "lists.range(3) == [0, 1, 2]"},
    {"list<A>.reverse() -> list<A>", reverse, "", ""},
    {"list<A>.slice(int, int) -> list<A>", slice, "The elements from one position up to another.",
     "[1, 2, 3, 4].slice(1, 3) == [2, 3]"},
    {"list<list<A>>.flatten() -> list<A>", flatten,
     "With the elements of inner lists in their place, one level or n levels deep.",
     "[1, [2, [3]]].flatten() == [1, 2, [3]]"},
    {"list<dyn>.flatten(int) -> list<dyn>", flatten, "", ""},
    {"list<A>.distinct() -> list<A>", distinct, "Without the repetitions of an element.",
     "[1, 2, 1].distinct() == [1, 2]"},
    {"list<int>.sort() -> list<int>", sort, "In ascending order; all elements are of one type.",
     "[3, 1, 2].sort() == [1, 2, 3]"},
    {"list<uint>.sort() -> list<uint>", sort, "", ""},
    {"list<double>.sort() -> list<double>", sort, "", ""},
    {"list<bool>.sort() -> list<bool>", sort, "", ""},
    {"list<string>.sort() -> list<string>", sort, "", ""},
    {"list<bytes>.sort() -> list<bytes>", sort, "", ""},
    {"list<timestamp>.sort() -> list<timestamp>", sort, "", ""},
    {"list<duration>.sort() -> list<duration>", sort, "", ""},
    {"list<A>.@sortByKeys(list<int>) -> list<A>", sort_by_keys,
     "What list.sortBy(x, key of x) stands for: in the order of the keys.",
     "['ccc', 'a', 'bb'].sortBy(x, x.size()) == ['a', 'bb', 'ccc']"},
    {"list<A>.@sortByKeys(list<uint>) -> list<A>", sort_by_keys, "", ""},
    {"list<A>.@sortByKeys(list<double>) -> list<A>", sort_by_keys, "", ""},
    {"list<A>.@sortByKeys(list<bool>) -> list<A>", sort_by_keys, "", ""},
    {"list<A>.@sortByKeys(list<string>) -> list<A>", sort_by_keys, "", ""},
    {"list<A>.@sortByKeys(list<bytes>) -> list<A>", sort_by_keys, "", ""},
    {"list<A>.@sortByKeys(list<timestamp>) -> list<A>", sort_by_keys, "", ""},
    {"list<A>.@sortByKeys(list<duration>) -> list<A>", sort_by_keys, "", ""},
    {"list<int>.sum() -> int", sum<int_zero>, "The sum of the elements; of an empty list, zero.",
     "[1.5, 2.0].sum() == 3.5"},
    {"list<uint>.sum() -> uint", sum<uint_zero>, "", ""},
    {"list<double>.sum() -> double", sum<double_zero>, "", ""},
    {"list<duration>.sum() -> duration", sum<duration_zero>, "", ""},
    {"sets.contains(list<A>, list<A>) -> bool", sets_include<false>,
     "Whether the first list has every element of the second.", "sets.contains([1, 2, 3], [3, 1])"},
    {"sets.equivalent(list<A>, list<A>) -> bool", sets_include<true>,
     "Whether each list has every element of the other.", "sets.equivalent([1, 2, 2], [2, 1])"},
    {"sets.intersects(list<A>, list<A>) -> bool", sets_intersect,
     "Whether they have an element in common.", "sets.intersects([1, 2], [2, 3])"},
};

}  // namespace

std::span<const FunctionRow> collection_rows() { return kRows; }

}  // namespace penstock::cel
