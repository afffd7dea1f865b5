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
#include "cel/json/token.h"
#include "formats/json/key_order.h"

namespace penstock::formats {
namespace {

namespace ondemand = simdjson::ondemand;
using cel::Value;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// simdjson holds about six bytes per byte of its largest document; that of a rare huge record is
// given back with the next one.
constexpr std::size_t kKeepCapacityBytes = std::size_t{1} << 20;
constexpr std::size_t kFirstCapacityBytes = std::size_t{4} << 10;

}  // namespace

class JsonReader::Impl {
 public:
  Impl(const JsonOptions& options, const FieldTree& tree)
      : options_(options), tree_(&tree), orders_(tree.size()) {
    options_.max_depth = std::min(options_.max_depth, kMaxDepthLimit);
  }

  Verdict read(std::string_view payload, cel::Arena& arena, std::span<Value> slots) {
    assert(slots.size() >= tree_->slot_limit());
    if (payload.size() > options_.max_record_bytes) [[unlikely]] {
      return too_large(payload.size(), options_.max_record_bytes);
    }
    std::string_view text = payload;
    if (text.starts_with(kByteOrderMark)) [[unlikely]]
      text.remove_prefix(kByteOrderMark.size());
    arena_ = &arena;
    slots_ = slots.data();
    number_failure_ = nullptr;
    fit_capacity(text.size());
    if (!read_document(text)) [[unlikely]]
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

  bool read_document(std::string_view text) {
    ondemand::document document;
    error_ = parser_.iterate(text.data(), text.size(), text.size() + simdjson::SIMDJSON_PADDING)
                 .get(document);
    if (error_) [[unlikely]]
      return false;
    ondemand::value root;
    error_ = document.get_value().get(root);
    if (error_ == simdjson::SCALAR_DOCUMENT_AS_VALUE) [[unlikely]]
      return read_scalar(text);
    if (error_) [[unlikely]]
      return false;
    return extract(root, tree_->root(), 0) && document.at_end();
  }

  // A document that is a number, a string or a word. Rare: so it is read as the only item of a
  // list.
  bool read_scalar(std::string_view text) {
    if (!cel::diagnose_json(text, options_.max_depth, cel::JsonNumbers::kAny).ok()) return false;
    scalar_ = std::format("[{}]", text);
    const std::size_t size = scalar_.size();
    scalar_.append(simdjson::SIMDJSON_PADDING, ' ');
    ondemand::document document;
    ondemand::array items;
    error_ = parser_.iterate(scalar_.data(), size, scalar_.size()).get(document);
    if (!error_) error_ = document.get_array().get(items);
    if (error_) return false;
    for (simdjson::simdjson_result<ondemand::value> item : items) {
      ondemand::value value;
      error_ = item.get(value);
      if (error_ || !extract(value, tree_->root(), 0)) return false;
    }
    return true;
  }

  // ---- A value that expressions ask for, whole or in part. `depth`: brackets open around it.

  bool extract(ondemand::value& value, const Node& node, std::uint32_t depth) {
    const char first = *token_of(value);
    const bool wants_value = node.slot != FieldTree::kNone && !node.presence_only;
    if (first == '{' && !wants_value) {
      if (node.slot != FieldTree::kNone) slots_[node.slot] = Value::of_bool(true);
      mark_absent(node, false);
      return node.has_children() ? extract_fields(value, node, depth) : skip_object(value, depth);
    }
    if (!wants_value) {
      if (node.slot != FieldTree::kNone) slots_[node.slot] = Value::of_bool(true);
      mark_absent(node, true);
      return skip(value, depth);
    }
    Value& slot = slots_[node.slot];
    if (!build(value, node, depth, slot)) return false;
    if (node.has_children()) extract_from_built(slot, node);
    return true;
  }

  bool extract_fields(ondemand::value& value, const Node& node, std::uint32_t depth) {
    ondemand::object object;
    if (depth >= options_.max_depth || (error_ = value.get_object().get(object))) return false;
    KeyOrder& order = orders_[tree_->index_of(node)];
    std::size_t place = 0;
    for (simdjson::simdjson_result<ondemand::field> result : object) {
      ondemand::field field;
      if ((error_ = std::move(result).get(field))) return false;
      const Node* child = nullptr;
      if (!order.is_as_before(place, field.key().raw(), &child)) {
        if (!find_child(field, node, child, order, place)) return false;
      }
      ++place;
      if (child == nullptr ? !skip(field.value(), depth + 1)
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
    if (!read_key(field, key)) return false;
    child = tree_->find_child(node, key);
    if (key.data() == written.data()) order.remember(place, key, child);
    return true;
  }

  // Something wants all of `value`, so that it was built; something else wants parts of it.
  void extract_from_built(const Value& value, const Node& node) {
    mark_absent(node, !value.is_map());
    if (!value.is_map()) return;
    for (std::uint32_t i = node.first_child; i != FieldTree::kNone;
         i = tree_->node(i).next_sibling) {
      const Node& child = tree_->node(i);
      const Value* const found = value.as_map().find(child.key);
      if (found == nullptr) continue;
      if (child.slot != FieldTree::kNone) slots_[child.slot] = *found;
      extract_from_built(*found, child);
    }
  }

  // Everything below `node` is not there, so far: its fields follow, or it is not an object.
  void mark_absent(const Node& node, bool not_an_object) {
    for (const std::uint32_t slot : tree_->slots_below(node)) {
      slots_[slot] = Value::absent(node.depth, not_an_object);
    }
  }

  // ---- A value that is wanted whole

  // `node` is the one that wants it, for messages.
  bool build(ondemand::value& value, const Node& node, std::uint32_t depth, Value& out) {
    const char* const token = token_of(value);
    switch (*token) {
      case '"': {
        std::string_view text;
        if (!read_string(value, text)) return false;
        out = Value::of_string(text);
        return true;
      }
      case '{':
        return build_map(value, node, depth, out);
      case '[':
        return build_list(value, node, depth, out);
      case 't':
      case 'f': {
        bool flag = false;
        if ((error_ = value.get_bool().get(flag))) return false;
        out = Value::of_bool(flag);
        return true;
      }
      case 'n':
        out = Value::null();
        return read_null(value);
      default:
        return read_number(value, token, node, out);
    }
  }

  bool build_map(ondemand::value& value, const Node& node, std::uint32_t depth, Value& out) {
    ondemand::object object;
    if (depth >= options_.max_depth || (error_ = value.get_object().get(object))) return false;
    cel::MapBuilder map(*arena_);
    for (simdjson::simdjson_result<ondemand::field> result : object) {
      ondemand::field field;
      std::string_view key;
      Value item;
      if ((error_ = std::move(result).get(field)) || !read_key(field, key)) return false;
      if (!build(field.value(), node, depth + 1, item)) return false;
      map.add(Value::of_string(key), item);
    }
    out = map.finish();
    return true;
  }

  bool build_list(ondemand::value& value, const Node& node, std::uint32_t depth, Value& out) {
    ondemand::array array;
    if (depth >= options_.max_depth || (error_ = value.get_array().get(array))) return false;
    cel::ListBuilder list(*arena_);
    for (simdjson::simdjson_result<ondemand::value> result : array) {
      ondemand::value element;
      Value item;
      if ((error_ = result.get(element)) || !build(element, node, depth + 1, item)) return false;
      list.add(item);
    }
    out = list.finish();
    return true;
  }

  bool read_number(ondemand::value& value, const char* token, const Node& node, Value& out) {
    const char* at = token;
    const bool negative = *at == '-';
    if (negative) ++at;
    const char* const begin = at;
    std::uint64_t number = 0;
    while (cel::is_digit(*at)) number = number * 10 + static_cast<std::uint64_t>(*at++ - '0');
    const auto digits = static_cast<std::size_t>(at - begin);
    if (*at == '.' || *at == 'e' || *at == 'E') {
      double real = 0;
      if ((error_ = value.get_double().get(real))) return out_of_range(token, node);
      out = Value::of_double(real);
      return true;
    }
    if (digits == 0 || (*begin == '0' && digits > 1) || !cel::ends_scalar(*at)) return false;
    if (digits > 19) [[unlikely]] {
      // 20 digits may still be a uint64: then they begin with 1 and did not wrap around.
      if (digits > 20 || *begin != '1' || number < 10'000'000'000'000'000'000U) {
        return out_of_range(token, node);
      }
    }
    if (negative) {
      constexpr std::uint64_t kLargest = std::uint64_t{1} << 63;
      if (number > kLargest || digits > 19) return out_of_range(token, node);
      out = Value::of_int(static_cast<std::int64_t>(0 - number));
    } else if (number <= static_cast<std::uint64_t>(INT64_MAX)) {
      out = Value::of_int(static_cast<std::int64_t>(number));
    } else {
      out = Value::of_uint(number);
    }
    return true;
  }

  bool out_of_range(const char* token, const Node& node) {
    number_failure_ = cel::skip_number(token) != nullptr ? token : nullptr;
    number_path_ = node.path;
    return false;
  }

  // ---- A value that nobody asks for: only checked

  bool skip(ondemand::value& value, std::uint32_t depth) {
    const char* const token = token_of(value);
    switch (*token) {
      case '"': {
        std::string_view text;
        return read_string(value, text);
      }
      case '{':
        return skip_object(value, depth);
      case '[':
        return skip_array(value, depth);
      case 't':
      case 'f': {
        bool flag = false;
        return !(error_ = value.get_bool().get(flag));
      }
      case 'n':
        return read_null(value);
      default:
        return cel::skip_number(token) != nullptr;
    }
  }

  bool skip_object(ondemand::value& value, std::uint32_t depth) {
    ondemand::object object;
    if (depth >= options_.max_depth || (error_ = value.get_object().get(object))) return false;
    for (simdjson::simdjson_result<ondemand::field> result : object) {
      ondemand::field field;
      std::string_view key;
      if ((error_ = std::move(result).get(field)) || !read_key(field, key)) return false;
      if (!skip(field.value(), depth + 1)) return false;
    }
    return true;
  }

  bool skip_array(ondemand::value& value, std::uint32_t depth) {
    ondemand::array array;
    if (depth >= options_.max_depth || (error_ = value.get_array().get(array))) return false;
    for (simdjson::simdjson_result<ondemand::value> result : array) {
      ondemand::value element;
      if ((error_ = result.get(element)) || !skip(element, depth + 1)) return false;
    }
    return true;
  }

  // ---- Tokens

  static const char* token_of(ondemand::value& value) { return value.raw_json_token().data(); }

  // Numbers stay where they are: On-Demand steps over a scalar that was not consumed. Strings must
  // be consumed, because it would take one before a ':' for a key.
  bool read_string(ondemand::value& value, std::string_view& text) {
    const std::string_view token = value.raw_json_token();
    const std::size_t end = token.rfind('"');
    text = token.substr(1, end - 1);
    if (cel::has_backslash(text)) return !(error_ = value.get_string().get(text));
    ondemand::raw_json_string raw;
    return !(error_ = value.get_raw_json_string().get(raw));
  }

  bool read_key(ondemand::field& field, std::string_view& key) {
    key = field.escaped_key();
    if (!cel::has_backslash(key)) return true;
    if ((error_ = field.unescaped_key().get(key))) return false;
    // FieldTree::find_child() reads eight bytes; the text may end with its buffer.
    auto* const copy = static_cast<char*>(arena_->allocate(key.size() + 8, 1));
    if (copy == nullptr) return false;
    std::memcpy(copy, key.data(), key.size());
    std::memset(copy + key.size(), 0, 8);
    key = {copy, key.size()};
    return true;
  }

  bool read_null(ondemand::value& value) {
    bool is_null = false;
    error_ = value.is_null().get(is_null);
    return !error_ && is_null;
  }

  // ---- Failure

  Verdict explain(std::string_view payload) const {
    if (error_ == simdjson::MEMALLOC || arena_->exhausted())
      return takes_too_much_memory(arena_->limit_bytes());
    cel::JsonProblem problem =
        cel::diagnose_json(payload, options_.max_depth, cel::JsonNumbers::kAny);
    if (!problem.ok()) return {problem.reason, std::move(problem.message)};
    if (number_failure_ != nullptr) {
      return number_out_of_range({number_failure_, cel::skip_number(number_failure_)},
                                 number_path_);
    }
    return {"invalid_json",
            std::format("simdjson refuses it: {}", simdjson::error_message(error_))};
  }

  JsonOptions options_;
  const FieldTree* tree_;
  std::vector<KeyOrder> orders_;  // of the fields below each node of the tree
  ondemand::parser parser_;
  cel::Arena* arena_ = nullptr;
  Value* slots_ = nullptr;
  simdjson::error_code error_ = simdjson::SUCCESS;
  const char* number_failure_ = nullptr;  // a number in the payload, or nullptr
  std::string_view number_path_;
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

}  // namespace penstock::formats
