#include "cel/library/library.h"

#include <array>
#include <cassert>
#include <map>
#include <utility>

namespace penstock::cel {
namespace {

struct NamedType {
  std::string_view name;
  TypeKind kind;
};

// As signatures write them.
constexpr std::array<NamedType, 12> kSignatureTypes = {{
    {"dyn", TypeKind::kDyn},
    {"null", TypeKind::kNull},
    {"bool", TypeKind::kBool},
    {"int", TypeKind::kInt},
    {"uint", TypeKind::kUint},
    {"double", TypeKind::kDouble},
    {"string", TypeKind::kString},
    {"bytes", TypeKind::kBytes},
    {"timestamp", TypeKind::kTimestamp},
    {"duration", TypeKind::kDuration},
    {"error", TypeKind::kError},
    {"any", TypeKind::kDyn},
}};

// "string.charAt(int) -> string" and "size(list<A>) -> int"; wrong tables do not get past the
// tests.
class SignatureParser {
 public:
  explicit SignatureParser(std::string_view text) : text_(text) {}

  std::string parse(Overload& overload) {
    overload.signature = text_;
    const std::size_t open = text_.find('(');
    assert(open != std::string_view::npos);
    std::string_view name = text_.substr(0, open);
    const std::size_t dot = name.rfind('.');
    if (dot != std::string_view::npos && is_type(name.substr(0, dot))) {
      overload.is_method = true;
      overload.parameters.push_back(parse_type());
      name = name.substr(dot + 1);
    }
    at_ = open + 1;
    while (text_[at_] != ')') {
      overload.parameters.push_back(parse_type());
      while (text_[at_] == ',' || text_[at_] == ' ') ++at_;
    }
    at_ = text_.find("-> ", at_) + 3;
    overload.result = parse_type();
    assert(overload.parameters.size() <= kMaxParameters);
    for (std::size_t i = 0; i < overload.parameters.size(); ++i) {
      overload.kinds[i] = kinds_of(overload.parameters[i]);
    }
    return std::string(name);
  }

 private:
  static bool is_type(std::string_view text) {
    if (text.find('<') != std::string_view::npos || text == "type" || text == "IP" ||
        text == "CIDR") {
      return true;
    }
    if (text.size() == 1) return true;
    for (const NamedType& type : kSignatureTypes) {
      if (type.name == text) return true;
    }
    return false;
  }

  Type parse_type() {
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] >= 'A' && text_[at_] <= 'z') ++at_;
    const std::string_view name = text_.substr(start, at_ - start);
    if (name == "IP") return Type::abstract("net.IP");
    if (name == "CIDR") return Type::abstract("net.CIDR");
    if (name.size() == 1) return Type::param(std::string(name));
    for (const NamedType& type : kSignatureTypes) {
      if (type.name == name) return type.kind;
    }
    assert(at_ < text_.size() && text_[at_] == '<');
    ++at_;
    Type first = parse_type();
    Type result;
    if (name == "map") {
      at_ += 2;  // ", "
      result = Type::map(std::move(first), parse_type());
    } else if (name == "list") {
      result = Type::list(std::move(first));
    } else if (name == "optional") {
      result = Type::optional(std::move(first));
    } else {
      assert(name == "type");
      result = Type::type(std::move(first));
    }
    ++at_;  // '>'
    return result;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool mixes_numbers(const Overload& overload) {
  const auto is_number = [](const Type& type) {
    return type.is(TypeKind::kInt) || type.is(TypeKind::kUint) || type.is(TypeKind::kDouble);
  };
  const std::vector<Type>& types = overload.parameters;
  return types.size() == 2 && is_number(types[0]) && is_number(types[1]) && !(types[0] == types[1]);
}

struct Library {
  std::vector<Function> functions;
  std::map<std::string_view, const Function*> by_name;

  Library() {
    std::map<std::string, std::size_t> indices;
    for (const FunctionGroup& group : function_groups()) {
      for (const FunctionRow& row : group.rows) {
        if (group.is_written_out) continue;
        Overload overload;
        overload.implementation = row.implementation;
        std::string name = SignatureParser(row.signature).parse(overload);
        if (row.takes_json) overload.kinds[0] |= kind_bit(Kind::kJson);
        const auto [at, is_new] = indices.try_emplace(name, functions.size());
        if (is_new) functions.push_back({std::move(name), {}});
        functions[at->second].overloads.push_back(std::move(overload));
      }
    }
    // The first overload that fits gives an operand of a free type, such as an element of [], its
    // type. Sorted, that is what cel-go deduces, whatever the manual's order; overloads for two
    // types of numbers come last, for an int is compared with an int unless something says
    // otherwise.
    for (Function& function : functions) {
      std::ranges::sort(function.overloads, {}, [](const Overload& overload) {
        return std::pair(mixes_numbers(overload), overload.signature);
      });
    }
    for (const Function& function : functions) by_name.emplace(function.name, &function);
  }
};

const Library& library() {
  static const Library instance;
  return instance;
}

}  // namespace

std::string with_parentheses(std::string_view signature) {
  std::string text;
  for (std::size_t i = 0; i < signature.size(); ++i) {
    const bool arrow = signature[i] == '>' && i > 0 && signature[i - 1] == '-';
    text += signature[i] == '<' ? '(' : signature[i] == '>' && !arrow ? ')' : signature[i];
  }
  return text;
}

const Function* find_function(std::string_view name) {
  const auto& by_name = library().by_name;
  const auto at = by_name.find(name);
  return at == by_name.end() ? nullptr : at->second;
}

std::span<const Function> all_functions() { return library().functions; }

std::span<const FunctionGroup> function_groups() {
  static const std::array<FunctionGroup, 15> groups = {{
      {"Operators", operator_rows()},
      {"Logic, fields and macros", macro_rows(), true},
      {"Conversions", conversion_rows()},
      {"Strings", string_rows()},
      {"Regular expressions", regex_rows()},
      {"Timestamps and durations", time_rows()},
      {"Times as others write them", time_parse_rows()},
      {"Lists, maps and sets", collection_rows()},
      {"Numbers", math_rows()},
      {"Optional values", optional_rows()},
      {"Base64 and hexadecimal", encoder_rows()},
      {"Network addresses", network_rows()},
      {"JSON inside texts", json_rows()},
      {"URLs", url_rows()},
      {"Hashes and UUIDs", hash_rows()},
  }};
  return groups;
}

std::uint32_t kinds_of(const Type& type) noexcept {
  switch (type.kind()) {
    case TypeKind::kNull:
      return kind_bit(Kind::kNull);
    case TypeKind::kBool:
      return kind_bit(Kind::kBool);
    case TypeKind::kInt:
      return kind_bit(Kind::kInt);
    case TypeKind::kUint:
      return kind_bit(Kind::kUint);
    case TypeKind::kDouble:
      return kind_bit(Kind::kDouble);
    case TypeKind::kString:
      return kind_bit(Kind::kString);
    case TypeKind::kBytes:
      return kind_bit(Kind::kBytes);
    case TypeKind::kTimestamp:
      return kind_bit(Kind::kTimestamp);
    case TypeKind::kDuration:
      return kind_bit(Kind::kDuration);
    case TypeKind::kList:
      return kind_bit(Kind::kList);
    case TypeKind::kMap:
    case TypeKind::kRecord:
      return kind_bit(Kind::kMap);
    case TypeKind::kType:
      return kind_bit(Kind::kType);
    case TypeKind::kOptional:
      return kind_bit(Kind::kOptional);
    case TypeKind::kNullable:
      return kinds_of(type.element()) | kind_bit(Kind::kNull);
    case TypeKind::kAbstract:
      return type.name() == "net.CIDR" ? kind_bit(Kind::kCidr) : kind_bit(Kind::kIp);
    case TypeKind::kDyn:
    case TypeKind::kError:
    case TypeKind::kParam:
      return kAnyKind;
  }
  return kAnyKind;
}

Type type_named(std::string_view name, bool* found) {
  *found = true;
  if (name == "list") return Type::list(TypeKind::kDyn);
  if (name == "map") return Type::map(TypeKind::kDyn, TypeKind::kDyn);
  if (name == "type") return Type::type(TypeKind::kDyn);
  if (name == "optional_type") return Type::optional(TypeKind::kDyn);
  if (name == "null_type") return TypeKind::kNull;
  if (name == "google.protobuf.Timestamp") return TypeKind::kTimestamp;
  if (name == "google.protobuf.Duration") return TypeKind::kDuration;
  if (name == "net.IP" || name == "net.CIDR") return Type::abstract(std::string(name));
  for (const TypeKind kind : {TypeKind::kBool, TypeKind::kInt, TypeKind::kUint, TypeKind::kDouble,
                              TypeKind::kString, TypeKind::kBytes}) {
    if (Type(kind).to_string() == name) return kind;
  }
  *found = false;
  return TypeKind::kDyn;
}

}  // namespace penstock::cel
