#include "cel/type_text.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "cel/syntax/position.h"
#include "text/nearest_names.h"

namespace penstock::cel {
namespace {

struct NamedType {
  std::string_view name;
  TypeKind kind;
  std::size_t parameters;
};

constexpr std::array<NamedType, 13> kTypes = {{
    {"int", TypeKind::kInt, 0},
    {"uint", TypeKind::kUint, 0},
    {"double", TypeKind::kDouble, 0},
    {"bool", TypeKind::kBool, 0},
    {"string", TypeKind::kString, 0},
    {"bytes", TypeKind::kBytes, 0},
    {"timestamp", TypeKind::kTimestamp, 0},
    {"duration", TypeKind::kDuration, 0},
    {"list", TypeKind::kList, 1},
    {"map", TypeKind::kMap, 2},
    {"nullable", TypeKind::kNullable, 1},
    {"dyn", TypeKind::kDyn, 0},
    {"null", TypeKind::kNull, 0},
}};
// Deeper than anything one would write; reading recurses.
constexpr int kDeepest = 32;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : text_(text) {}

  std::expected<Type, Diagnostic> parse() {
    Type type;
    if (!read_type(type, 0)) return std::unexpected(std::move(mistake_));
    skip_space();
    if (at_ < text_.size()) {
      fail(at_, "nothing can follow the type " + type.to_string() + " here");
      return std::unexpected(std::move(mistake_));
    }
    return type;
  }

 private:
  bool read_type(Type& type, int depth) {
    skip_space();
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (depth == kDeepest) return fail(begin, "the type is nested too deep");
    const NamedType* named = nullptr;
    std::vector<std::string_view> names;
    for (const NamedType& known : kTypes) {
      names.push_back(known.name);
      if (known.name == name) named = &known;
    }
    if (named == nullptr) {
      std::string all;
      for (const std::string_view known : names) {
        all += (all.empty() ? "" : ", ") + std::string(known);
      }
      const std::string near = text::did_you_mean(name, names);
      return fail(
          begin,
          name.empty() ? "a type is missing here" : "there is no type '" + std::string(name) + "'",
          near + (near.empty() ? "" : "\n") + "there is: " + all);
    }
    std::vector<Type> parameters;
    if (!read_parameters(*named, parameters, depth)) return false;
    if (named->kind == TypeKind::kList) {
      type = Type::list(std::move(parameters[0]));
    } else if (named->kind == TypeKind::kMap) {
      type = Type::map(std::move(parameters[0]), std::move(parameters[1]));
    } else if (named->kind == TypeKind::kNullable) {
      type = std::move(parameters[0]);
      const bool has_null =
          type.is_dyn() || type.is(TypeKind::kNull) || type.is(TypeKind::kNullable);
      if (!has_null) type = Type::nullable(std::move(type));
    } else {
      type = named->kind;
    }
    return true;
  }

  bool read_parameters(const NamedType& type, std::vector<Type>& parameters, int depth) {
    if (type.parameters == 0) return true;
    std::string_view example = "a map names two types: map(string, dyn)";
    if (type.kind == TypeKind::kList)
      example = "a list names the type of its elements: list(string)";
    if (type.kind == TypeKind::kNullable) example = "name the type that may be null: nullable(int)";
    skip_space();
    if (!take('(')) return fail(at_, "'(' is missing here", std::string(example));
    while (true) {
      const std::size_t key = at_;
      if (!read_type(parameters.emplace_back(), depth + 1)) return false;
      if (type.parameters == 2 && parameters.size() == 1 && !is_key(parameters[0])) {
        skip_space();
        return fail(key,
                    "a map's key is a bool, int, uint or string, not " + parameters[0].to_string());
      }
      skip_space();
      if (parameters.size() == type.parameters) break;
      if (!take(',')) return fail(at_, "',' is missing here", std::string(example));
    }
    return take(')') || fail(at_, "')' is missing here", std::string(example));
  }

  static bool is_key(const Type& type) {
    return type.is_dyn() || type.is(TypeKind::kBool) || type.is(TypeKind::kInt) ||
           type.is(TypeKind::kUint) || type.is(TypeKind::kString);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) {
      ++at_;
    }
  }

  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool fail(std::size_t at, std::string message, std::string hint = {}) {
    mistake_ =
        diagnostic_at(text_, static_cast<std::uint32_t>(at), std::move(message), std::move(hint));
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Diagnostic mistake_;
};

}  // namespace

std::expected<Type, Diagnostic> parse_type(std::string_view text) {
  return TypeParser(text).parse();
}

}  // namespace penstock::cel
