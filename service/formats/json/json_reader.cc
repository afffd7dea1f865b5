#include "formats/json/json_reader.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <format>
#include <string>
#include <tuple>

#include "cel/containers.h"
#include "cel/json/diagnosis.h"
#include "cel/json/on_demand.h"
#include "cel/json/token.h"
#include "formats/json/key_order.h"

namespace penstock::formats {
namespace {

namespace ondemand = simdjson::ondemand;
using cel::Kind;
using cel::Value;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// simdjson holds about six bytes per byte of its largest document; that of a rare huge record is
// given back with the next one.
constexpr std::size_t kKeepCapacityBytes = std::size_t{1} << 20;
constexpr std::size_t kFirstCapacityBytes = std::size_t{4} << 10;

struct Api {
  using value = ondemand::value;
  using object = ondemand::object;
  using array = ondemand::array;
  using field = ondemand::field;
  using raw_json_string = ondemand::raw_json_string;
  using error_code = simdjson::error_code;
  static constexpr bool kKeepsStrings = true;  // until the next document
};

// Of the value that begins with this character.
Kind kind_of(char first) {
  switch (first) {
    case '{':
      return Kind::kMap;
    case '[':
      return Kind::kList;
    case '"':
      return Kind::kString;
    case 't':
    case 'f':
      return Kind::kBool;
    case 'n':
      return Kind::kNull;
    default:
      return Kind::kDouble;
  }
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

class JsonReader::Impl {
 public:
  Impl(const JsonOptions& options, const FieldTree& tree)
      : options_(options),
        tree_(&tree),
        orders_(tree.size()),
        values_(std::min(options.max_depth, kMaxDepthLimit)) {
    options_.max_depth = std::min(options_.max_depth, kMaxDepthLimit);
  }

  Verdict read(std::string_view payload, cel::Arena& arena, std::span<Value> slots) {
    assert(slots.size() >= tree_->slot_limit());
    if (payload.size() > options_.max_record_bytes) [[unlikely]] {
      return too_large(payload.size(), options_.max_record_bytes);
    }
    arena_ = &arena;
    slots_ = slots.data();
    values_.start(arena);
    text_ = payload;
    if (text_.starts_with(kByteOrderMark)) [[unlikely]] {
      text_.remove_prefix(kByteOrderMark.size());
      if (text_.starts_with(kByteOrderMark))
        return explain(payload);  // simdjson would skip it, too
    }
    fit_capacity(text_.size());
    if (!read_document()) [[unlikely]]
      return explain(payload);
    if (arena.exhausted()) [[unlikely]]
      return takes_too_much_memory(arena_->limit_bytes());
    return {};
  }

 private:
  using Node = FieldTree::Node;

  void fit_capacity(std::size_t bytes) {
    if (bytes <= parser_.capacity() && parser_.capacity() <= kKeepCapacityBytes) [[likely]]
      return;
    if (bytes <= kKeepCapacityBytes) {
      if (parser_.capacity() > kKeepCapacityBytes) parser_ = ondemand::parser();
      // In steps, not with every document that is a little longer than all before. Should there be
      // no memory, iterate() says so.
      std::ignore = parser_.allocate(std::bit_ceil(std::max(bytes, kFirstCapacityBytes)),
                                     simdjson::DEFAULT_MAX_DEPTH);
    }
  }

  bool read_document() {
    ondemand::document document;
    document_ = &document;
    if (values_.fails(
            parser_.iterate(text_.data(), text_.size(), text_.size() + simdjson::SIMDJSON_PADDING)
                .get(document))) [[unlikely]] {
      return false;
    }
    ondemand::value root;
    const simdjson::error_code error = document.get_value().get(root);
    if (error == simdjson::SCALAR_DOCUMENT_AS_VALUE) [[unlikely]]
      return read_scalar();
    if (values_.fails(error)) [[unlikely]]
      return false;
    return extract(root, tree_->root(), 0) && document.at_end();
  }

  // A document that is a number, a string or a word. Rare: so it is read as the only item of a
  // list.
  bool read_scalar() {
    if (!cel::diagnose_json(text_, options_.max_depth).ok()) return false;
    scalar_ = std::format("[{}]", text_);
    const std::size_t size = scalar_.size();
    scalar_.append(simdjson::SIMDJSON_PADDING, ' ');
    text_ = {scalar_.data(), size};
    ondemand::document document;
    document_ = &document;
    ondemand::array items;
    if (values_.fails(parser_.iterate(scalar_.data(), size, scalar_.size()).get(document)) ||
        values_.fails(document.get_array().get(items))) {
      return false;
    }
    for (simdjson::simdjson_result<ondemand::value> item : items) {
      ondemand::value value;
      if (values_.fails(item.get(value)) || !extract(value, tree_->root(), 0)) return false;
    }
    return true;
  }

  // ---- A value that expressions ask for, whole or in part. `depth`: brackets open around it.

  bool extract(ondemand::value& value, const Node& node, std::uint32_t depth) {
    if (node.text_slot == FieldTree::kNone) [[likely]]
      return extract_values(value, node, depth);
    const std::string_view token = value.raw_json_token();
    if (!extract_values(value, node, depth)) return false;
    const bool is_scalar = token.front() != '{' && token.front() != '[';
    slots_[node.text_slot] = token.front() == 'n' ? Value::null()
                             : is_scalar          ? Value::of_json(trimmed(token))
                                                  : Value::of_json(text_from(token.data()));
    return true;
  }

  bool extract_values(ondemand::value& value, const Node& node, std::uint32_t depth) {
    const char first = *cel::OnDemandValues<Api>::token_of(value);
    const bool wants_value = node.slot != FieldTree::kNone && !node.presence_only;
    if (first == '{' && !wants_value) {
      if (node.slot != FieldTree::kNone) slots_[node.slot] = Value::of_bool(true);
      mark_absent(node, Kind::kMap);
      return node.has_children() ? extract_fields(value, node, depth)
                                 : values_.skip_object(value, depth);
    }
    if (!wants_value) {
      if (node.slot != FieldTree::kNone) slots_[node.slot] = Value::of_bool(true);
      mark_absent(node, kind_of(first));
      return values_.skip(value, depth);
    }
    Value& slot = slots_[node.slot];
    if (!values_.build(value, depth, slot)) return false;
    if (node.has_children()) extract_from_built(slot, node);
    return true;
  }

  bool extract_fields(ondemand::value& value, const Node& node, std::uint32_t depth) {
    ondemand::object object;
    if (!values_.open_object(value, depth, object)) return false;
    KeyOrder& order = orders_[tree_->index_of(node)];
    std::size_t place = 0;
    for (simdjson::simdjson_result<ondemand::field> result : object) {
      ondemand::field field;
      if (values_.fails(std::move(result).get(field))) return false;
      const Node* child = nullptr;
      if (!order.is_as_before(place, field.key().raw(), &child)) {
        if (!find_child(field, node, child, order, place)) return false;
      }
      ++place;
      if (child == nullptr ? !values_.skip(field.value(), depth + 1)
                           : !extract(field.value(), *child, depth + 1)) {
        return false;
      }
    }
    return true;
  }

  bool find_child(ondemand::field& field, const Node& node, const Node*& child, KeyOrder& order,
                  std::size_t place) {
    const std::string_view written = field.escaped_key();
    std::string_view key;
    bool is_text = true;
    if (!values_.read_key(field, key, is_text)) return false;
    if (!is_text) return true;  // no expression can name it
    child = tree_->find_child(node, key);
    if (key.data() == written.data()) order.remember(place, key, child);
    return true;
  }

  // Something wants all of `value`, so that it was built; something else wants parts of it.
  void extract_from_built(const Value& value, const Node& node) {
    mark_absent(node, value.kind());
    if (!value.is_map()) return;
    for (std::uint32_t i = node.first_child; i != FieldTree::kNone;
         i = tree_->node(i).next_sibling) {
      const Node& child = tree_->node(i);
      const Value* const found = value.as_map().find(child.key);
      if (found == nullptr) continue;
      if (child.slot != FieldTree::kNone) slots_[child.slot] = *found;
      // Its text is not at hand; printed again it says the same.
      if (child.text_slot != FieldTree::kNone) slots_[child.text_slot] = *found;
      extract_from_built(*found, child);
    }
  }

  // Everything below `node` is not there, so far: its fields follow, or it is not an object.
  void mark_absent(const Node& node, Kind found) {
    for (const std::uint32_t slot : tree_->slots_below(node)) {
      slots_[slot] = Value::absent(node.depth, found);
    }
  }

  // The text of the object or list that began there and has just been read.
  std::string_view text_from(const char* begin) {
    const char* next = nullptr;  // the token behind it
    if (document_->current_location().get(next)) next = text_.data() + text_.size();
    return trimmed({begin, next});
  }

  // ---- Failure

  Verdict explain(std::string_view payload) const {
    if (values_.error() == simdjson::MEMALLOC || arena_->exhausted())
      return takes_too_much_memory(arena_->limit_bytes());
    cel::JsonProblem problem = cel::diagnose_json(payload, options_.max_depth);
    if (!problem.ok()) return {problem.reason, std::move(problem.message)};
    return {"invalid_json",
            std::format("simdjson refuses it: {}", simdjson::error_message(values_.error()))};
  }

  JsonOptions options_;
  const FieldTree* tree_;
  std::vector<KeyOrder> orders_;  // of the fields below each node of the tree
  ondemand::parser parser_;
  cel::OnDemandValues<Api> values_;
  cel::Arena* arena_ = nullptr;
  ondemand::document* document_ = nullptr;  // while it is read
  std::string_view text_;                   // its text
  Value* slots_ = nullptr;
  std::string scalar_;
};

JsonReader::JsonReader(const JsonOptions& options, const FieldTree& tree)
    : impl_(std::make_unique<Impl>(options, tree)) {}
JsonReader::~JsonReader() = default;
JsonReader::JsonReader(JsonReader&&) noexcept = default;
JsonReader& JsonReader::operator=(JsonReader&&) noexcept = default;

Verdict JsonReader::read(std::string_view payload, cel::Arena& arena, std::span<Value> slots) {
  return impl_->read(payload, arena, slots);
}

std::vector<std::string> JsonReader::field_names(std::string_view payload,
                                                 std::span<const std::string> path) {
  constexpr std::size_t kMost = 20;
  std::vector<std::string> names;
  if (payload.starts_with(kByteOrderMark)) payload.remove_prefix(kByteOrderMark.size());
  ondemand::parser parser;
  ondemand::document document;
  ondemand::object object;
  if (parser.iterate(payload.data(), payload.size(), payload.size() + simdjson::SIMDJSON_PADDING)
          .get(document) ||
      document.get_object().get(object)) {
    return names;
  }
  for (const std::string& name : path) {
    if (object.find_field_unordered(name).get_object().get(object)) return names;
  }
  for (simdjson::simdjson_result<ondemand::field> result : object) {
    ondemand::field field;
    if (std::move(result).get(field) || names.size() == kMost) break;
    const std::string_view written = field.escaped_key();
    std::string_view name;
    if (field.unescaped_key().get(name)) name = written;
    names.emplace_back(name);
  }
  return names;
}

}  // namespace penstock::formats
