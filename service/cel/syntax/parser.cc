#include "cel/syntax/parser.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cel/syntax/habits.h"
#include "cel/syntax/lexer.h"
#include "cel/syntax/macros.h"
#include "cel/syntax/position.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

// Of parentheses, brackets and calls; each level costs about five stack frames.
constexpr std::uint32_t kMaxNesting = 250;

struct BinaryOperator {
  int precedence;
  std::string_view name;
};

BinaryOperator binary_operator(const Lexeme& token) {
  if (token.token == Token::kIn) return {3, op::kIn};
  if (token.token != Token::kPunctuation) return {0, {}};
  const std::string_view t = token.text;
  if (t == "||") return {1, op::kOr};
  if (t == "&&") return {2, op::kAnd};
  if (t == "==") return {3, op::kEqual};
  if (t == "!=") return {3, op::kNotEqual};
  if (t == "<") return {3, op::kLess};
  if (t == "<=") return {3, op::kLessEqual};
  if (t == ">") return {3, op::kGreater};
  if (t == ">=") return {3, op::kGreaterEqual};
  if (t == "+") return {4, op::kAdd};
  if (t == "-") return {4, op::kSubtract};
  if (t == "*") return {5, op::kMultiply};
  if (t == "/") return {5, op::kDivide};
  if (t == "%") return {5, op::kModulo};
  return {0, {}};
}

class Parser {
 public:
  Parser(Ast& ast, bool macros) : ast_(ast), lexer_(ast.source, ast.text), macros_(macros) {
    advance();
  }

  std::optional<Diagnostic> run() {
    Node* root = parse_expr();
    if (!failed() && token_.token != Token::kEnd) unexpected("after the end of the expression");
    if (failed()) return std::move(error_);
    ast_.root = root;
    return std::nullopt;
  }

 private:
  // Every parse_*() returns nullptr after a failure.
  [[nodiscard]] bool failed() const { return error_.has_value(); }

  Node* fail(std::uint32_t offset, std::string message, std::string hint = {}) {
    if (!failed()) {
      error_ = diagnostic_at(ast_.source, offset, std::move(message), std::move(hint));
    }
    return nullptr;
  }

  Node* unexpected(const char* where) {
    if (token_.token == Token::kError) return fail(lexer_.error_offset(), lexer_.error());
    if (token_.token == Token::kEnd) {
      return fail(token_.offset, std::string("the expression ends too early, ") + where);
    }
    if (token_.token == Token::kReserved) {
      return fail(token_.offset,
                  "'" + std::string(token_.text) + "' is a reserved word and cannot be a name",
                  habit());
    }
    return fail(token_.offset, "unexpected '" + std::string(token_.text) + "' " + where, habit());
  }

  // What the token that does not fit here, or the one before it, is in another language.
  [[nodiscard]] std::string habit() const {
    const std::string_view before = previous_.text;
    const bool is_text = token_.token == Token::kLiteral && !token_.literal.is_null();
    if (is_text && previous_.token == Token::kLiteral && !previous_.literal.is_null()) {
      return "a quote within a text is written \\', or the text stands between \"double quotes\"";
    }
    const bool is_word = token_.token == Token::kTrue || token_.token == Token::kFalse ||
                         token_.token == Token::kNull || token_.token == Token::kIn;
    if (before == "." && is_word) {
      return "a field of that name stands in backquotes: .`" + std::string(token_.text) + "`";
    }
    if (before == "<" && peek(">")) return std::string(habit_of_word("<>"));
    if (before == "-" && peek(">")) return std::string(habit_of_word("->"));
    if (peek(":") && ast_.source.substr(token_.offset).starts_with("::")) {
      return std::string(habit_of_word("::"));
    }
    if (peek(",") && in_parentheses_) return "a list is written [1, 2]";
    if (const auto written = habit_of_word(token_.text); !written.empty()) {
      return std::string(written);
    }
    return std::string(previous_.token == Token::kIdent ? habit_of_word(before)
                                                        : std::string_view());
  }

  void advance() {
    previous_ = token_;
    previous_end_ = lexer_.position();
    token_ = lexer_.next();
  }

  [[nodiscard]] bool peek(std::string_view punctuation) const {
    return token_.token == Token::kPunctuation && token_.text == punctuation;
  }

  bool accept(std::string_view punctuation) {
    if (!peek(punctuation)) return false;
    advance();
    return true;
  }

  bool expect(std::string_view punctuation, const char* where) {
    if (accept(punctuation)) return true;
    const std::string message =
        std::string(where) + ", expected '" + std::string(punctuation) + "'";
    unexpected(message.c_str());
    return false;
  }

  // The source of a node whose last token has been read.
  void locate(Node* node) const {
    node->begin = node->offset;
    if (node->target != nullptr) node->begin = std::min(node->begin, node->target->begin);
    if (!node->args.empty()) node->begin = std::min(node->begin, node->args[0]->begin);
    node->end = previous_end_;
  }

  // Null when the tree has become too deep.
  Node* sealed(Node* node) {
    seal(node);
    locate(node);
    if (node->depth <= kMaxDepth) return node;
    return fail(node->offset, "the expression is nested too deeply",
                "at most " + std::to_string(kMaxDepth) + " operators may apply to each other");
  }

  Node* make_call(std::string_view name, std::uint32_t offset, std::vector<Node*> args) {
    Node* node = make_node(ast_, NodeKind::kCall, offset);
    node->name = name;
    node->args = std::move(args);
    return sealed(node);
  }

  Node* parse_expr() {
    if (++nesting_ > kMaxNesting) {
      return fail(token_.offset, "the expression is nested too deeply",
                  "at most " + std::to_string(kMaxNesting) + " levels of parentheses and calls");
    }
    Node* node = parse_conditional();
    --nesting_;
    return node;
  }

  // A loop, not recursion: chains of else-ifs are long in practice.
  Node* parse_conditional() {
    std::vector<std::pair<std::uint32_t, Node*>> parts;  // condition, value, condition, value …
    Node* last = nullptr;
    for (;;) {
      last = parse_binary(1);
      if (last == nullptr) return nullptr;
      const std::uint32_t offset = token_.offset;
      if (!accept("?")) break;
      parts.emplace_back(offset, last);
      Node* value = parse_binary(1);
      if (value == nullptr || !expect(":", "in a conditional")) return nullptr;
      parts.emplace_back(offset, value);
    }
    while (!parts.empty() && last != nullptr) {
      Node* value = parts.back().second;
      parts.pop_back();
      const auto [offset, condition] = parts.back();
      parts.pop_back();
      last = make_call(op::kConditional, offset, {condition, value, last});
    }
    return last;
  }

  Node* parse_binary(int least) {
    Node* left = parse_unary();
    Node* chain = nullptr;  // the && or || call that the next operand of the same kind joins
    while (left != nullptr) {
      const auto [precedence, name] = binary_operator(token_);
      if (precedence == 0 || precedence < least) break;
      const std::uint32_t offset = token_.offset;
      advance();
      Node* right = parse_binary(precedence + 1);
      if (right == nullptr) return nullptr;
      if (chain == left && left->name == name) {
        left->args.push_back(right);
        left->depth = std::max(left->depth, right->depth + 1);
        left->end = previous_end_;
        if (left->depth > kMaxDepth) return sealed(left);
        continue;
      }
      left = make_call(name, offset, {left, right});
      chain = precedence <= 2 ? left : nullptr;
    }
    return left;
  }

  Node* parse_unary() {
    const std::uint32_t offset = token_.offset;
    if (peek("!")) {
      bool odd = false;
      while (accept("!")) odd = !odd;
      Node* operand = parse_member(false);
      if (operand == nullptr || !odd) return operand;
      return make_call(op::kNot, offset, {operand});
    }
    if (peek("-")) {
      bool odd = false;
      while (accept("-")) odd = !odd;
      const bool number = token_.token == Token::kLiteral && token_.literal.is_null();
      Node* operand = parse_member(odd && number);
      if (operand == nullptr || !odd || number) return operand;
      return make_call(op::kNegate, offset, {operand});
    }
    return parse_member(false);
  }

  Node* parse_member(bool negative) {
    Node* node = parse_primary(negative);
    while (node != nullptr) {
      const std::uint32_t offset = token_.offset;
      if (accept(".")) {
        node = parse_field(node, offset);
      } else if (accept("[")) {
        const bool optional = accept("?");
        Node* index = parse_expr();
        if (index == nullptr || !expect("]", "in an index")) return nullptr;
        node = make_call(optional ? op::kOptionalIndex : op::kIndex, offset, {node, index});
      } else if (peek("{") && (node->kind == NodeKind::kIdent || node->kind == NodeKind::kSelect)) {
        return fail(offset, "messages cannot be constructed here",
                    "a map is written {\"field\": value}");
      } else {
        break;
      }
    }
    return node;
  }

  Node* parse_field(Node* target, std::uint32_t dot) {
    const bool optional = accept("?");
    const Lexeme field = token_;
    const bool plain = field.token == Token::kIdent || field.token == Token::kReserved;
    if (!plain && field.token != Token::kQuotedIdent) return unexpected("as a field name");
    advance();
    Node* node = nullptr;
    if (!optional && plain && peek("(")) {
      node = make_node(ast_, NodeKind::kCall, field.offset);
      node->name = field.text;
      node->target = target;
      node->is_method = true;
      return parse_call(node);
    }
    node = make_node(ast_, NodeKind::kSelect, optional ? dot : field.offset);
    node->name = field.text;
    node->target = target;
    node->is_optional = optional;
    return sealed(node);
  }

  // At the parenthesis.
  Node* parse_call(Node* call) {
    advance();
    if (!parse_elements(call->args, nullptr, ")", "in the arguments")) return nullptr;
    if (!macros_) return sealed(call);
    locate(call);
    MacroError error;
    Node* expanded = expand_macro(ast_, call, error);
    if (!error.message.empty()) return fail(error.offset, std::move(error.message));
    const std::uint32_t begin = call->begin;
    expanded = sealed(expanded);
    if (expanded != nullptr) expanded->begin = begin;
    return expanded;
  }

  // Up to and with `close`; a trailing comma only where there may be optional elements.
  bool parse_elements(std::vector<Node*>& out, std::vector<bool>* optional, std::string_view close,
                      const char* where) {
    if (accept(close)) return true;
    for (;;) {
      const bool is_optional = optional != nullptr && accept("?");
      Node* element = parse_expr();
      if (element == nullptr) return false;
      out.push_back(element);
      if (optional != nullptr) optional->push_back(is_optional);
      if (!accept(",")) return expect(close, where);
      if (optional != nullptr && accept(close)) return true;
    }
  }

  Node* parse_map(std::uint32_t offset) {
    Node* node = make_node(ast_, NodeKind::kMap, offset);
    for (;;) {
      if (accept("}")) break;
      const bool optional = accept("?");
      Node* key = parse_expr();
      if (key == nullptr || !expect(":", "after a map key")) return nullptr;
      Node* value = parse_expr();
      if (value == nullptr) return nullptr;
      node->args.push_back(key);
      node->args.push_back(value);
      node->optional_args.push_back(optional);
      if (accept(",")) continue;
      if (!expect("}", "in a map")) return nullptr;
      break;
    }
    return sealed(node);
  }

  Node* parse_primary(bool negative) {
    const Lexeme first = token_;
    switch (first.token) {
      case Token::kIdent:
        return parse_ident({});
      case Token::kLiteral:
      case Token::kTrue:
      case Token::kFalse:
      case Token::kNull:
        return parse_literal(negative);
      case Token::kPunctuation:
        break;
      default:
        return unexpected("where a value should stand");
    }
    if (accept("(")) {
      Node* inner = parse_expr();
      if (inner == nullptr) return nullptr;
      in_parentheses_ = true;
      if (!expect(")", "after an expression in parentheses")) return nullptr;
      in_parentheses_ = false;
      inner->begin = first.offset;
      inner->end = previous_end_;
      return inner;
    }
    if (accept("[")) {
      Node* node = make_node(ast_, NodeKind::kList, first.offset);
      if (!parse_elements(node->args, &node->optional_args, "]", "in a list")) return nullptr;
      return sealed(node);
    }
    if (accept("{")) return parse_map(first.offset);
    if (accept(".")) {
      if (token_.token != Token::kIdent) return unexpected("as a name");
      return parse_ident(".");
    }
    return unexpected("where a value should stand");
  }

  Node* parse_ident(std::string_view prefix) {
    const Lexeme name = token_;
    advance();
    // A leading dot stands right before the name in the text, blanks apart.
    std::string_view text = name.text;
    if (!prefix.empty()) text = ast_.text.copy(std::string(prefix) + std::string(text));
    if (peek("(")) {
      Node* call = make_node(ast_, NodeKind::kCall, name.offset);
      call->name = text;
      return parse_call(call);
    }
    Node* node = make_node(ast_, NodeKind::kIdent, name.offset);
    node->name = text;
    return sealed(node);
  }

  Node* parse_literal(bool negative) {
    Node* node = make_node(ast_, NodeKind::kLiteral, token_.offset);
    node->literal = token_.literal;
    if (token_.token == Token::kTrue) node->literal = Value::of_bool(true);
    if (token_.token == Token::kFalse) node->literal = Value::of_bool(false);
    if (token_.token == Token::kLiteral && token_.literal.is_null()) {
      const char* error = nullptr;
      node->literal = Lexer::parse_number(token_.text, negative, &error);
      if (error != nullptr) return fail(token_.offset, error);
    }
    advance();
    return sealed(node);
  }

  Ast& ast_;
  Lexer lexer_;
  const bool macros_;
  Lexeme token_;
  Lexeme previous_;
  std::uint32_t previous_end_ = 0;
  bool in_parentheses_ = false;  // the expression in them has been read
  std::uint32_t nesting_ = 0;
  std::optional<Diagnostic> error_;
};

}  // namespace

std::optional<Diagnostic> parse(Ast& ast, bool macros) {
  if (!text::is_valid_utf8(ast.source))
    return Diagnostic{1, 1, "the expression is not valid UTF-8", {}};
  return Parser(ast, macros).run();
}

}  // namespace penstock::cel
