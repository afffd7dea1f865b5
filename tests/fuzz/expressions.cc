#include "fuzz/expressions.h"

#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "cel/library/library.h"

namespace penstock::cel {
namespace {

constexpr int kDeepest = 5;
constexpr std::size_t kLongest = 4000;

constexpr std::string_view kInts[] = {"0",  "1",  "-1",  "2",   "3",    "7",
                                      "10", "63", "-64", "255", "1000", "9223372036854775807"};
constexpr std::string_view kTexts[] = {"''",           "'a'",
                                       "'b'",          "'abc'",
                                       "'h\u00e9llo'", "'a,b,c'",
                                       "','",          "'2024-02-29T12:30:45Z'",
                                       "'90m'",        "'%s'",
                                       "'%d %.2f'",    "'%s:%s %e'",
                                       "'[a-c]+'",     "'(a)(b)?'",
                                       "'.*'",         "'10.0.0.1'",
                                       "'10.0.0.0/8'", "'fe80::1'",
                                       "'YWI='",       "'{\"k\": [1, 2.5]}'",
                                       "'[[], {}]'",   "'http://a:1/b?c=d&e#f'",
                                       "'dns'",        "'UTC'",
                                       "'-02:00'",     "'12'",
                                       "'1.5'",        "'true'",
                                       "'$1\\\\1'"};

using Bindings = std::map<std::string, Type>;

// Whether a function that returns `pattern` can make a `type`; what its parameters then are.
bool matches(const Type& pattern, const Type& type, Bindings& bound) {
  if (pattern.is(TypeKind::kParam)) {
    return bound.try_emplace(pattern.name(), type).first->second == type;
  }
  if (pattern.kind() != type.kind()) return false;
  switch (type.kind()) {
    case TypeKind::kList:
    case TypeKind::kOptional:
    case TypeKind::kType:
      return matches(pattern.element(), type.element(), bound);
    case TypeKind::kMap:
      return matches(pattern.key(), type.key(), bound) &&
             matches(pattern.element(), type.element(), bound);
    default:
      return pattern == type;
  }
}

struct Maker {
  const Function* function;
  const Overload* overload;
  Bindings bound;
};

// What can make a value of the type; remembered, for every expression asks for the same ones.
const std::vector<Maker>& makers_of(const Type& type) {
  static std::map<std::string, std::vector<Maker>> known;
  const auto [at, is_new] = known.try_emplace(type.to_string());
  if (!is_new) return at->second;
  for (const Function& function : all_functions()) {
    for (const Overload& overload : function.overloads) {
      Bindings bound;
      if (matches(overload.result, type, bound)) {
        at->second.push_back({&function, &overload, std::move(bound)});
      }
    }
  }
  return at->second;
}

class ExpressionMaker {
 public:
  ExpressionMaker(FuzzBytes& bytes, const Environment& environment) : bytes_(bytes) {
    for (const auto& [name, variable] : environment.variables()) {
      if (variable.is_document || variable.fields_only) continue;
      scope_.push_back({name, variable.type});
    }
    for (const auto& [name, type] : {std::pair{"msg.id", Type(TypeKind::kInt)},
                                     {"msg.name", TypeKind::kString},
                                     {"msg.tags", Type::list(TypeKind::kString)},
                                     {"msg.place.city", TypeKind::kString},
                                     {"msg.a", TypeKind::kDyn},
                                     {"msg.a.b", TypeKind::kDyn},
                                     {"msg", TypeKind::kDyn},
                                     {"record.topic", TypeKind::kString},
                                     {"record.offset", TypeKind::kInt}}) {
      scope_.push_back({name, type});
    }
  }

  std::string any(int depth) { return make(type(2), depth); }

 private:
  struct Variable {
    std::string name;
    Type type;
  };

  Type type(int depth) {
    constexpr TypeKind kPlain[] = {TypeKind::kBool, TypeKind::kInt,       TypeKind::kString,
                                   TypeKind::kUint, TypeKind::kDouble,    TypeKind::kBytes,
                                   TypeKind::kDyn,  TypeKind::kTimestamp, TypeKind::kDuration,
                                   TypeKind::kNull};
    const std::size_t choice = bytes_.below(std::size(kPlain) + 5);
    if (choice < std::size(kPlain)) return kPlain[choice];
    if (depth == 0) return TypeKind::kInt;
    switch (choice - std::size(kPlain)) {
      case 0:
        return Type::list(type(depth - 1));
      case 1:
        return Type::map(key_type(), type(depth - 1));
      case 2:
        return Type::optional(type(depth - 1));
      case 3:
        return Type::abstract(bytes_.chance(2) ? "net.IP" : "net.CIDR");
      default:
        return Type::list(TypeKind::kString);
    }
  }

  std::string make(const Type& wanted, int depth) {
    if (depth == 0 || bytes_.empty() || (made_ += 8) > kLongest) return leaf(wanted);
    switch (bytes_.below(8)) {
      case 0:
        return leaf(wanted);
      case 1:
        return variable(wanted).value_or(leaf(wanted));
      case 2:
        return around(wanted, depth - 1);
      case 3:
        return macro(wanted, depth - 1);
      default:
        return call(wanted, depth - 1);
    }
  }

  std::optional<std::string> variable(const Type& wanted) {
    std::vector<const Variable*> found;
    for (const Variable& one : scope_) {
      if (one.type == wanted) found.push_back(&one);
    }
    if (found.empty()) return std::nullopt;
    return found[bytes_.below(found.size())]->name;
  }

  std::string leaf(const Type& wanted) {
    if (bytes_.chance(3)) {
      if (auto name = variable(wanted)) return *name;
    }
    switch (wanted.kind()) {
      case TypeKind::kNull:
        return "null";
      case TypeKind::kBool:
        return bytes_.chance(2) ? "true" : "false";
      case TypeKind::kInt:
        return std::string(kInts[bytes_.below(std::size(kInts))]);
      case TypeKind::kUint:
        return std::to_string(bytes_.next()) + "u";
      case TypeKind::kDouble:
        return std::to_string(bytes_.next()) + (bytes_.chance(2) ? ".5" : "e300");
      case TypeKind::kString:
        return std::string(kTexts[bytes_.below(std::size(kTexts))]);
      case TypeKind::kBytes:
        return "b" + std::string(kTexts[bytes_.below(std::size(kTexts))]);
      case TypeKind::kTimestamp:
        return bytes_.chance(2) ? "timestamp(0)" : "timestamp('2024-02-29T12:30:45.5Z')";
      case TypeKind::kDuration:
        return bytes_.chance(2) ? "duration('90m')" : "duration('-1.5s')";
      case TypeKind::kList:
        return "[" + leaf(wanted.element()) +
               (bytes_.chance(2) ? "]" : ", " + leaf(wanted.element()) + "]");
      case TypeKind::kMap:
        return "{" + leaf(wanted.key()) + ": " + leaf(wanted.element()) + "}";
      case TypeKind::kOptional:
        if (bytes_.chance(4)) return "optional.none()";
        return "optional.of(" + leaf(wanted.element()) + ")";
      case TypeKind::kAbstract:
        return wanted.name() == "net.IP" ? "ip('10.0.0.1')" : "cidr('10.0.0.0/8')";
      case TypeKind::kType:
        return "type(" + leaf(wanted.element()) + ")";
      default:
        return "dyn(" + leaf(type(0)) + ")";
    }
  }

  // A call of some function or operator that makes it.
  std::string call(const Type& wanted, int depth) {
    const std::vector<Maker>& makers = makers_of(wanted);
    if (makers.empty()) return leaf(wanted);
    const Maker& maker = makers[bytes_.below(makers.size())];
    Bindings bound = maker.bound;
    for (const Type& parameter : maker.overload->parameters) bind_keys(parameter, bound);
    std::vector<std::string> args;
    for (const Type& parameter : maker.overload->parameters) {
      args.push_back("(" + make(concrete(parameter, bound), depth) + ")");
    }
    return write(*maker.function, *maker.overload, args);
  }

  Type key_type() { return bytes_.chance(2) ? TypeKind::kInt : TypeKind::kString; }

  // Not every type can be a map's key.
  void bind_keys(const Type& type, Bindings& bound) {
    if (type.is(TypeKind::kOptional)) return bind_keys(type.element(), bound);
    if (!type.is(TypeKind::kMap) || !type.key().is(TypeKind::kParam)) return;
    if (!bound.contains(type.key().name())) bound.emplace(type.key().name(), key_type());
  }

  // With any type for each parameter that is not bound yet.
  Type concrete(const Type& type, Bindings& bound) {
    switch (type.kind()) {
      case TypeKind::kParam: {
        const auto at = bound.find(type.name());
        if (at != bound.end()) return at->second;
        return bound.emplace(type.name(), this->type(1)).first->second;
      }
      case TypeKind::kList:
        return Type::list(concrete(type.element(), bound));
      case TypeKind::kMap:
        return Type::map(concrete(type.key(), bound), concrete(type.element(), bound));
      case TypeKind::kOptional:
        return Type::optional(concrete(type.element(), bound));
      case TypeKind::kType:
        return Type::type(concrete(type.element(), bound));
      default:
        return type;
    }
  }

  static std::string write(const Function& function, const Overload& overload,
                           const std::vector<std::string>& args) {
    if (function.name == "@in") return "(" + args[0] + " in " + args[1] + ")";
    std::string out;
    if (function.name.find_first_of("_!-") == 0) {  // an operator: a place for each argument
      std::size_t next = 0;
      for (const char c : function.name) {
        if (c == '_') {
          out += args[next++];
        } else {
          out += c;
        }
      }
      return "(" + out + ")";
    }
    if (function.name.contains('@')) return args[0];  // only for macros
    const std::size_t first = overload.is_method ? 1 : 0;
    if (overload.is_method) out = args[0] + ".";
    out += function.name + "(";
    for (std::size_t i = first; i < args.size(); ++i) out += (i == first ? "" : ", ") + args[i];
    return out + ")";
  }

  // The value inside of something else.
  std::string around(const Type& wanted, int depth) {
    const std::string inner = make(wanted, depth);
    switch (bytes_.below(8)) {
      case 0:
        return "(" + make(TypeKind::kBool, depth) + " ? " + inner + " : " + make(wanted, depth) +
               ")";
      case 1:
        return "[" + inner + ", " + make(wanted, depth) + "][" + make(TypeKind::kInt, depth) + "]";
      case 2:
        return "{" + make(TypeKind::kString, depth) + ": " + inner + "}[" +
               make(TypeKind::kString, depth) + "]";
      case 3:
        return "{'k': " + inner + "}.k";
      case 4:
        return "optional.of(" + inner + ").orValue(" + make(wanted, depth) + ")";
      case 5:
        return "[?optional.of(" + inner + ")][?0].value()";
      case 6:
        return wanted.is_dyn() ? "msg.?a.b.orValue(" + inner + ")" : inner;
      default:
        return "(" + inner + ")";
    }
  }

  // `body(name)` with a new variable of the type in scope.
  template <typename Body>
  std::string with(const Type& type, const Body& body) {
    const std::string name = "v" + std::to_string(scope_.size());
    scope_.push_back({name, type});
    std::string text = body(name);
    scope_.pop_back();
    return text;
  }

  std::string macro(const Type& wanted, int depth) {
    const Type element = type(1);
    const std::string range = make(Type::list(element), depth);
    const auto loop = [&](std::string_view name, const Type& body) {
      return with(element, [&](const std::string& v) {
        return range + "." + std::string(name) + "(" + v + ", " + make(body, depth) + ")";
      });
    };
    switch (wanted.kind()) {
      case TypeKind::kBool: {
        constexpr std::string_view kTests[] = {"all", "exists", "exists_one"};
        if (bytes_.chance(4)) return bytes_.chance(2) ? "has(msg.a.b)" : "has({'k': 1}.k)";
        return loop(kTests[bytes_.below(3)], TypeKind::kBool);
      }
      case TypeKind::kList:
        if (bytes_.chance(2)) return loop("map", wanted.element());
        if (bytes_.chance(2)) {
          const std::string list = make(wanted, depth);
          return with(wanted.element(), [&](const std::string& v) {
            return list + (bytes_.chance(2) ? ".sortBy(" : ".filter(") + v + ", " +
                   make(TypeKind::kBool, depth) + ")";
          });
        }
        return with(element, [&](const std::string& v) {
          return with(TypeKind::kInt, [&](const std::string& i) {
            return range + ".transformList(" + i + ", " + v + ", " + make(TypeKind::kBool, depth) +
                   ", " + make(wanted.element(), depth) + ")";
          });
        });
      case TypeKind::kMap:
        return with(element, [&](const std::string& v) {
          return with(TypeKind::kInt, [&](const std::string& i) {
            if (wanted.key().is(TypeKind::kInt)) {
              return range + ".transformMap(" + i + ", " + v + ", " +
                     make(wanted.element(), depth) + ")";
            }
            return range + ".transformMapEntry(" + i + ", " + v + ", {string(" + i +
                   "): " + make(wanted.element(), depth) + "})";
          });
        });
      case TypeKind::kOptional:
        return with(element, [&](const std::string& v) {
          const bool flat = bytes_.chance(2);
          return "optional.of(" + range + "[0])" + (flat ? ".optFlatMap(" : ".optMap(") + v + ", " +
                 make(flat ? wanted : wanted.element(), depth) + ")";
        });
      default: {
        const std::string bound = make(element, depth);
        return with(element, [&](const std::string& v) {
          return "cel.bind(" + v + ", " + bound + ", " + make(wanted, depth) + ")";
        });
      }
    }
  }

  FuzzBytes& bytes_;
  std::vector<Variable> scope_;
  std::size_t made_ = 0;
};

}  // namespace

std::string fuzz_expression(FuzzBytes& bytes, const Environment& environment) {
  return ExpressionMaker(bytes, environment).any(kDeepest);
}

}  // namespace penstock::cel
