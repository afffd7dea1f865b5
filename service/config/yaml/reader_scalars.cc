// Reader: text, numbers, words and durations.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <utility>

#include "config/scalars.h"
#include "config/yaml/enum_names.h"
#include "config/yaml/reader.h"
#include "text/nearest_names.h"

namespace penstock::config {
namespace {

namespace pb = google::protobuf;
using Kind = YamlNode::Kind;

// What says where servers are and who we are there, and what they listen on.
bool is_for_servers(std::string_view path) {
  return path.starts_with("server.") || path.contains("].source.kafka[") ||
         path.ends_with("].source.group") || path.ends_with("].sink.postgres");
}

// Of what counts something that there has to be: a 0 must not quietly become another number.
bool zero_is_the_default(const pb::FieldDescriptor& field) {
  const std::string& name = field.name();
  return name.starts_with("max_") || name.starts_with("min_") || name == "lanes" ||
         name == "memory_bytes";
}

bool holds_text(const pb::FieldDescriptor& field) {
  return field.cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING;
}

}  // namespace

// Where text is wanted, the word is meant: an expression, a value to compare with.
bool Reader::is_word_null(const YamlNode& node) {
  return node.kind == Kind::null && !node.text.empty() && node.text != "~";
}

bool Reader::may_be_secret(const YamlNode& node) {
  return node.kind == Kind::mapping || (node.kind == Kind::scalar && may_be_secret(node.text)) ||
         std::ranges::any_of(node.items, [](const YamlNode* item) {
           return item->kind != Kind::scalar || may_be_secret(item->text);
         });
}

Reader::Text Reader::text_of(const YamlNode& node, const std::string& path,
                             std::string_view expected) {
  if (!count_value(node)) return {{}, false, {}};
  if (!node.tag.empty()) {
    complain(node.byte, path, "a YAML tag means nothing here",
             "text that begins with '!' must be quoted");
    return {{}, false, {}};
  }
  if (node.kind != Kind::scalar) {
    std::string hint;
    if (node.kind == Kind::null) {
      // {a: max(1, 2)} is a: "max(1" and "2)" with nothing behind it.
      hint = path.ends_with(")\"]") ? "text with a ',' must be quoted inside of { }"
             : node.text.empty()    ? "write \"\" for empty text"
                                    : "write null where that is meant, \"\" for empty text";
    }
    if (node.kind == Kind::sequence || node.kind == Kind::mapping) {
      hint = "text that begins with '[' or '{' must be quoted";
    }
    if (may_be_secret(node)) misplaced_.push_back(&node);
    complain(node.byte, path,
             std::string("expected ").append(expected).append(", found ").append(kind_name(node)),
             hint);
    return {{}, false, {}};
  }
  const std::vector<std::uint32_t> bytes = trace_scalar(places_.text(), node.byte, node.text);
  Expansion expansion = expand(node.text, environment_);
  if (servers_ == Servers::not_needed && !expansion.mistakes.empty() && is_for_servers(path)) {
    meant_.insert(path);
    return {{}, false, {}};
  }
  for (Expansion::Mistake& mistake : expansion.mistakes) {
    complain(bytes[mistake.offset], path, std::move(mistake.message), std::move(mistake.hint));
  }
  std::string variables;
  for (const std::string& name : expansion.variables) {
    variables += (variables.empty() ? "" : ", ") + name;
  }
  for (const std::string& name : expansion.cut) {
    notes_.push_back(
        {bytes.front(), path,
         "the environment variable '" + name + "' ends in a line end, which is left out",
         "write the secret without one: printf, not echo"});
  }
  if (const SourceMap::Entry* old = places_.find(path)) {
    SourceMap::Entry entry{old->key, bytes.front(), {}};
    entry.bytes.reserve(expansion.origin.size());
    for (const std::uint32_t origin : expansion.origin) entry.bytes.push_back(bytes[origin]);
    if (!variables.empty()) {
      entry.variables = variables;
      entry.expanded = expansion.text;
    }
    places_.add(path, std::move(entry));
  }
  return {std::move(expansion.text), expansion.mistakes.empty(), std::move(variables)};
}

void Reader::read_duration(const YamlNode& value, pb::Message& duration, const std::string& path) {
  const Text text = text_of(value, path, "a duration such as 30s");
  if (!text.ok) return;
  const auto parsed = parse_duration(text.value);
  if (!parsed) {
    if (may_be_secret(text.value)) misplaced_.push_back(&value);
    complain(value.byte, path, "expected a duration, found " + found_text(text),
             text.variables.empty() && parse_unsigned(text.value)
                 ? "give the unit: " + text.value + "s or " + text.value + "ms"
                 : "write it like 250ms, 30s or 5m");
    return;
  }
  set_duration(dynamic_cast<pb::Duration&>(duration), *parsed);
}

void Reader::read_scalar(const YamlNode& value, pb::Message& message,
                         const pb::FieldDescriptor& field, bool repeated, const std::string& path) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool is_size = field.name().ends_with("_bytes");
  std::string_view expected = "text";
  if (field.enum_type() != nullptr) {
    expected = "a word";
  } else if (!holds_text(field)) {
    expected = is_size ? "a size such as 64MiB" : "a number";
  }
  const Text text = text_of(value, path, expected);
  if (!text.ok) return;

  const auto wrong = [&](std::string_view what, std::string hint = {}) {
    if (may_be_secret(text.value)) misplaced_.push_back(&value);
    complain(value.byte, path,
             std::string("expected ").append(what).append(", found ").append(found_text(text)),
             std::move(hint));
  };
  const auto set_number = [&](std::uint64_t number) {
    using Type = pb::FieldDescriptor;
    switch (field.cpp_type()) {
      case Type::CPPTYPE_UINT64:
        repeated ? reflection.AddUInt64(&message, &field, number)
                 : reflection.SetUInt64(&message, &field, number);
        return true;
      case Type::CPPTYPE_INT64:
        if (number > std::numeric_limits<std::int64_t>::max()) return false;
        repeated ? reflection.AddInt64(&message, &field, static_cast<std::int64_t>(number))
                 : reflection.SetInt64(&message, &field, static_cast<std::int64_t>(number));
        return true;
      case Type::CPPTYPE_UINT32:
        if (number > std::numeric_limits<std::uint32_t>::max()) return false;
        repeated ? reflection.AddUInt32(&message, &field, static_cast<std::uint32_t>(number))
                 : reflection.SetUInt32(&message, &field, static_cast<std::uint32_t>(number));
        return true;
      default:
        if (number > std::numeric_limits<std::int32_t>::max()) return false;
        repeated ? reflection.AddInt32(&message, &field, static_cast<std::int32_t>(number))
                 : reflection.SetInt32(&message, &field, static_cast<std::int32_t>(number));
        return true;
    }
  };

  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_STRING:
      repeated ? reflection.AddString(&message, &field, text.value)
               : reflection.SetString(&message, &field, text.value);
      return;
    case pb::FieldDescriptor::CPPTYPE_BOOL: {
      if (text.value != "true" && text.value != "false") return wrong("true or false");
      const bool flag = text.value == "true";
      repeated ? reflection.AddBool(&message, &field, flag)
               : reflection.SetBool(&message, &field, flag);
      return;
    }
    case pb::FieldDescriptor::CPPTYPE_ENUM: {
      const pb::EnumValueDescriptor* found = nullptr;
      const std::vector<std::string> words = enum_words(*field.enum_type());
      for (int i = 0; i < field.enum_type()->value_count(); ++i) {
        const pb::EnumValueDescriptor& candidate = *field.enum_type()->value(i);
        if (candidate.number() != 0 && enum_word(candidate) == text.value) found = &candidate;
      }
      if (found == nullptr) {
        const std::vector<std::string_view> views(words.begin(), words.end());
        return wrong("a known word",
                     text::suggest(text.variables.empty() ? text.value : std::string(), views));
      }
      repeated ? reflection.AddEnum(&message, &field, found)
               : reflection.SetEnum(&message, &field, found);
      return;
    }
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
    case pb::FieldDescriptor::CPPTYPE_FLOAT: {
      char* end = nullptr;
      const double number = std::strtod(text.value.c_str(), &end);
      if (text.value.empty() || *end != '\0' || !std::isfinite(number)) return wrong("a number");
      if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_FLOAT) {
        const auto single = static_cast<float>(number);
        repeated ? reflection.AddFloat(&message, &field, single)
                 : reflection.SetFloat(&message, &field, single);
      } else {
        repeated ? reflection.AddDouble(&message, &field, number)
                 : reflection.SetDouble(&message, &field, number);
      }
      return;
    }
    default: {
      const auto number = is_size ? parse_size_bytes(text.value) : parse_unsigned(text.value);
      if (!number) {
        if (is_size) return wrong("a size", "write a number of bytes, or like 64MiB");
        return wrong("a whole number that is not negative");
      }
      if (*number == 0 && zero_is_the_default(field)) {
        return wrong("a number from 1 on", "leave it out for the default");
      }
      if (!set_number(*number)) wrong("a smaller number");
    }
  }
}

}  // namespace penstock::config
