#include "compute/schema.h"

#include <algorithm>
#include <expected>
#include <format>
#include <iterator>
#include <optional>
#include <utility>

#include "cel/type_text.h"

namespace penstock::compute {
namespace {

using cel::Type;
using cel::TypeKind;

constexpr char kQuote = '`';

struct PathMistake {
  std::string message;
  std::string hint;
};

// "a.`b.c`" → a, b.c.
std::expected<std::vector<std::string>, PathMistake> segments_of(std::string_view text) {
  std::vector<std::string> segments;
  while (true) {
    std::string_view segment;
    const bool is_quoted = text.starts_with(kQuote);
    if (is_quoted) {
      const std::size_t end = text.find(kQuote, 1);
      if (end == std::string_view::npos) {
        return std::unexpected(PathMistake{"a backquote is not closed", "write `a.name`"});
      }
      segment = text.substr(1, end - 1);
      text.remove_prefix(end + 1);
      if (!text.empty() && !text.starts_with('.')) {
        return std::unexpected(PathMistake{"only a '.' can follow a name in backquotes", ""});
      }
    } else {
      segment = text.substr(0, text.find('.'));
      text.remove_prefix(segment.size());
      if (segment.contains(kQuote)) {
        return std::unexpected(
            PathMistake{"a backquote stands around a whole name", "write customer.`a.name`"});
      }
    }
    if (segment.empty() && !is_quoted) {  // `` is the name that has nothing in it
      return std::unexpected(PathMistake{"a name is missing", "write it like id or customer.name"});
    }
    segments.emplace_back(segment);
    if (text.empty()) return segments;
    text.remove_prefix(1);  // the '.'
  }
}

// Empty: a JSON document may hold a value of this type.
PathMistake objection_to(const Type& type) {
  const Type& certain = type.certain();
  switch (certain.kind()) {
    case TypeKind::kBytes:
      return {"JSON has no bytes", "declare it string, and write base64.decode(…) in expressions"};
    case TypeKind::kTimestamp:
    case TypeKind::kDuration:
      return {
          std::format("JSON has no {}", certain.to_string()),
          std::format("declare it string, and write {}(…) in expressions", certain.to_string())};
    case TypeKind::kMap:
      if (!certain.key().is_dyn() && !certain.key().is(TypeKind::kString)) {
        return {"the keys of a JSON object are strings",
                std::format("write map(string, {})", certain.element().to_string())};
      }
      return objection_to(certain.element());
    case TypeKind::kList:
      return objection_to(certain.element());
    default:
      return {};
  }
}

// The fields as they are declared one by one, before they are a type.
struct Node {
  std::string declared_as;  // the text that declares it, or its first part; for messages
  std::optional<Type> type;
  std::map<std::string, Node> fields;
};

std::vector<cel::Field> fields_of(const Node& node) {
  std::vector<cel::Field> fields;
  for (const auto& [name, child] : node.fields) {
    fields.push_back({name, child.type ? *child.type : Type::record(name, fields_of(child))});
  }
  return fields;
}

class SchemaReader {
 public:
  explicit SchemaReader(Problems& problems) : problems_(problems) {}

  void declare(const std::string& field, const std::string& text) {
    const std::string place = "parse.schema." + field;
    const auto path = segments_of(field);
    if (!path) {
      return fail(place, std::format("'{}': {}", field, path.error().message), path.error().hint);
    }
    auto type = cel::parse_type(text);
    if (!type) {
      const cel::Diagnostic& mistake = type.error();
      problems_.push_back({place, mistake.line, mistake.column, mistake.message, mistake.hint});
      return;
    }
    if (PathMistake objection = objection_to(*type); !objection.message.empty()) {
      problems_.push_back({place, 1, 1, std::move(objection.message), std::move(objection.hint)});
      return;
    }
    Node* node = &root_;
    for (const std::string& segment : *path) {
      node = &node->fields[segment];
      if (node->type) return clash(place, field, *node);
      if (node->declared_as.empty()) node->declared_as = field;
    }
    if (!node->fields.empty()) return clash(place, field, *node);
    node->type = std::move(*type);
  }

  [[nodiscard]] std::vector<cel::Field> fields() const { return fields_of(root_); }

 private:
  void clash(const std::string& place, const std::string& field, const Node& with) {
    fail(place, std::format("'{}' and '{}' exclude each other", with.declared_as, field),
         "declare a field once: by its type, or by the fields of the object it is");
  }

  void fail(std::string place, std::string message, std::string hint) {
    problems_.push_back({std::move(place), 0, 0, std::move(message), std::move(hint)});
  }

  Problems& problems_;
  Node root_;
};

}  // namespace

std::vector<cel::Field> parse_schema(const std::map<std::string, std::string>& schema,
                                     Problems& problems) {
  SchemaReader reader(problems);
  for (const auto& [field, type] : schema) reader.declare(field, type);
  return reader.fields();
}

}  // namespace penstock::compute
