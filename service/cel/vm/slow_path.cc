// Every instruction that only computes a value, for operands of any kinds.
#include <re2/re2.h>

#include <string>

#include "cel/containers.h"
#include "cel/library/patterns.h"
#include "cel/vm/machine.h"

namespace penstock::cel {

Value Machine::dispatch(const CallSite& site, std::span<const Value> args) {
  for (const Overload* overload : site.overloads) {
    bool matches = true;
    for (std::size_t i = 0; i < args.size(); ++i) {
      matches = matches && (overload->kinds[i] & kind_bit(args[i].kind())) != 0;
    }
    if (matches) return overload->implementation(context, args);
  }
  std::string types;
  for (std::size_t i = site.is_method ? 1 : 0; i < args.size(); ++i) {
    if (!types.empty()) types += ", ";
    types += to_string(args[i].kind());
  }
  const std::string_view receiver = site.is_method ? to_string(args[0].kind()) : std::string_view();
  return context.fail(
      ErrorCode::kNoSuchOverload,
      {"no such overload: ", receiver, site.is_method ? "." : "", site.function->name, "(", types,
       ")",
       site.function->name == "timestamp" && args[0].is_double() ? "; write time.fromSeconds(…)"
                                                                 : ""});
}

Value Machine::call(const CallSite& site, std::span<const Operand> operands) {
  Value args[kMaxParameters];
  const Overload* likely = site.overloads.empty() ? nullptr : site.overloads.front();
  bool fits = likely != nullptr;  // and no argument is an error or absent, which no overload takes
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const Value& arg = at(operands[i]);
    fits = fits && (likely->kinds[i] & kind_bit(arg.kind())) != 0;
    if (!context.charge(text_steps(arg))) return context.out_of_steps();
    args[i] = arg;
  }
  if (fits) [[likely]]
    return likely->implementation(context, {args, operands.size()});
  for (const Operand operand : operands) {
    const Value error = error_of(context, argument(operand));
    if (error.is_error()) return error;
  }
  return dispatch(site, {args, operands.size()});
}

Value Machine::make_list(const Instruction& in) {
  ListBuilder list(context.arena, in.b);
  const std::vector<bool>* optional = in.c == 0 ? nullptr : &code.optional_flags[in.c - 1];
  for (std::uint32_t i = 0; i < in.b; ++i) {
    const Operand operand = code.operands[in.a + i];
    const Value& value = at(operand);
    if (value.is_error() || value.is_absent()) return error_of(context, argument(operand));
    if (optional == nullptr || !(*optional)[i]) {
      list.add(value);
    } else if (!value.is_optional()) {
      return context.fail(ErrorCode::kNoSuchOverload,
                          {"no such overload: [?", to_string(value.kind()), "]"});
    } else if (value.as_optional() != nullptr) {
      list.add(*value.as_optional());
    }
  }
  return list.finish();
}

Value Machine::make_map(const Instruction& in) {
  MapBuilder map(context.arena, in.b);
  const std::vector<bool>* optional = in.c == 0 ? nullptr : &code.optional_flags[in.c - 1];
  for (std::uint32_t i = 0; i < in.b; ++i) {
    const Operand key = code.operands[in.a + 2 * i];
    const Operand entry = code.operands[in.a + 2 * i + 1];
    for (const Operand operand : {key, entry}) {
      const Value& value = at(operand);
      if (value.is_error() || value.is_absent()) return error_of(context, argument(operand));
    }
    if (!is_map_key(at(key).kind()) || at(key).is_double()) {
      return context.fail(ErrorCode::kInvalidArgument,
                          {"a map's key cannot be ", to_string(at(key).kind())});
    }
    if (!context.charge(text_steps(at(key)))) return context.out_of_steps();
    const Value& value = at(entry);
    if (optional == nullptr || !(*optional)[i]) {
      map.add(at(key), value);
    } else if (!value.is_optional()) {
      return context.fail(ErrorCode::kNoSuchOverload,
                          {"no such overload: {?…: ", to_string(value.kind()), "}"});
    } else if (value.as_optional() != nullptr) {
      map.add(at(key), *value.as_optional());
    }
  }
  const Value result = map.finish();
  if (map.had_duplicates()) {
    return context.fail(ErrorCode::kInvalidArgument, {"a map has the same key twice"});
  }
  return result;
}

Value Machine::slow(const Instruction& in) {
  locate(&in);
  switch (in.op) {
    case Op::kMove: {
      const Value error = error_of(context, argument(in.a));
      return error.is_error() ? error : at(in.a);
    }
    case Op::kNot:
      return logical_not(context, argument(in.a));
    case Op::kNegate:
      return negate(context, argument(in.a));
    case Op::kAnd:
    case Op::kOr:
      return logic(context, in.op, argument(in.a), argument(in.b));
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kDivide:
    case Op::kModulo:
      return arithmetic(context, in.op, argument(in.a), argument(in.b));
    case Op::kIn:
      return contains(context, argument(in.a), argument(in.b));
    case Op::kIndex:
      return index(context, argument(in.a), argument(in.b));
    case Op::kSelect:
      return select(context, argument(in.a), at(in.b).as_string());
    case Op::kHas:
      return has(context, argument(in.a), at(in.b).as_string());
    case Op::kHasInput:
      return has_input(context, argument(in.a), in.c);
    case Op::kOptionalSelect:
    case Op::kOptionalIndex:
      return optional_index(context, argument(in.a), argument(in.b));
    case Op::kOptionalInput:
      return optional_input(context, argument(in.a), in.c);
    case Op::kMakeList:
      return make_list(in);
    case Op::kMakeMap:
      return make_map(in);
    case Op::kToDouble:
    case Op::kToInt:
    case Op::kSize:
    case Op::kCall1:
      return call(code.call_sites[in.c], {&in.a, 1});
    case Op::kCall2: {
      const Operand operands[2] = {in.a, in.b};
      return call(code.call_sites[in.c], operands);
    }
    case Op::kCall:
      return call(code.call_sites[in.c], std::span(code.operands).subspan(in.a, in.b));
    case Op::kMatches: {
      const Value& text = at(in.a);
      if (text.is_string()) {
        const std::string_view s = text.as_string();
        const re2::RE2& regex = *code.regexes[in.c];
        if (!context.charge(match_steps(regex, s.size()))) return context.out_of_steps();
        return Value::of_bool(re2::RE2::PartialMatch({s.data(), s.size()}, regex));
      }
      const Value error = error_of(context, argument(in.a));
      if (error.is_error()) return error;
      return context.fail(ErrorCode::kNoSuchOverload,
                          {"no such overload: ", to_string(text.kind()), ".matches(string)"});
    }
    case Op::kFail:
      return context.fail(code.failures[in.c].code, {code.failures[in.c].message});
    default:
      return {};
  }
}

}  // namespace penstock::cel
