// The syntax tree of one expression.
//
// Place in the flow: the parser makes it (macros already expanded), the checker writes types and
// resolutions into it, the compiler reads it. Ownership: an Ast owns its nodes and the text of its
// literals; the source must outlive it. Depth is bounded (kMaxDepth), so every pass may recurse.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/type.h"
#include "cel/value.h"

namespace penstock::cel {

// Deep enough for any text a person writes; shallow enough for a small stack, sanitizers included.
inline constexpr std::uint32_t kMaxDepth = 400;

enum class NodeKind : std::uint8_t {
  kLiteral,
  kIdent,
  kSelect,         // target.name; also has(target.name), target.?name
  kCall,           // name(args), target.name(args), operators under their CEL names ("_+_")
  kList,           // args
  kMap,            // args: key, value, key, value …
  kComprehension,  // a macro over `target` with `variable`, maybe `variable2`; args: see Macro
  kBind,           // args: the value of `variable`, the body
};

enum class Macro : std::uint8_t {
  kNone,
  kAll,           // args: predicate
  kExists,        // args: predicate
  kExistsOne,     // args: predicate
  kFilter,        // args: predicate
  kMap,           // args: transform, optionally the predicate before it: (predicate, transform)
  kTransformMap,  // the same, over maps: the key stays
  kTransformMapEntry,  // the transform gives a map whose entries are added
};

// What the checker found a name, select or call to be.
enum class Resolution : std::uint8_t {
  kNone,
  kLocal,     // a macro's variable: `local`
  kInput,     // an input: `input`
  kTypeName,  // a type as a value: `literal`
  kFunction,  // a function of the library: `function`, with `target` as first argument if is_method
};

struct Node;

struct InputUse {
  std::string root;
  std::vector<std::string> segments;
  bool extensible = false;  // a constant select on it is an input of its own
};

struct Node {
  NodeKind kind = NodeKind::kLiteral;
  Macro macro = Macro::kNone;
  Resolution resolution = Resolution::kNone;
  bool is_method = false;    // a call written target.name(…)
  bool test_only = false;    // has()
  bool is_optional = false;  // target.?name
  std::uint32_t offset = 0;  // in bytes; where a message points
  std::uint32_t begin = 0;   // the source from here to `end` says it; nothing: no such text
  std::uint32_t end = 0;
  std::uint32_t depth = 1;
  Value literal;
  std::string_view name;  // identifier, field or function
  std::string_view variable;
  std::string_view variable2;
  Node* target = nullptr;
  std::vector<Node*> args;
  std::vector<bool> optional_args;  // [?a], {?k: v}; empty: none

  // From the checker.
  Type type;
  std::uint32_t local = 0;
  std::uint32_t local2 = 0;
  const struct Function* function = nullptr;
  std::uint64_t overloads = ~std::uint64_t{0};  // which of the function's overloads can apply
  InputUse input;
};

struct Ast {
  std::string_view source;
  std::deque<Node> nodes;
  Arena text{std::size_t{64} << 20, 1024};  // unescaped literals, made-up names
  Node* root = nullptr;
};

// The names of the operators, as the library and cel-spec know them.
namespace op {
inline constexpr std::string_view kAnd = "_&&_";
inline constexpr std::string_view kOr = "_||_";
inline constexpr std::string_view kNot = "!_";
inline constexpr std::string_view kNegate = "-_";
inline constexpr std::string_view kAdd = "_+_";
inline constexpr std::string_view kSubtract = "_-_";
inline constexpr std::string_view kMultiply = "_*_";
inline constexpr std::string_view kDivide = "_/_";
inline constexpr std::string_view kModulo = "_%_";
inline constexpr std::string_view kEqual = "_==_";
inline constexpr std::string_view kNotEqual = "_!=_";
inline constexpr std::string_view kLess = "_<_";
inline constexpr std::string_view kLessEqual = "_<=_";
inline constexpr std::string_view kGreater = "_>_";
inline constexpr std::string_view kGreaterEqual = "_>=_";
inline constexpr std::string_view kIn = "@in";
inline constexpr std::string_view kIndex = "_[_]";
inline constexpr std::string_view kOptionalIndex = "_[?_]";
inline constexpr std::string_view kConditional = "_?_:_";
}  // namespace op

}  // namespace penstock::cel
