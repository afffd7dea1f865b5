#include "config/yaml/reader.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <map>
#include <utility>

#include "config/yaml/enum_names.h"
#include "text/nearest_names.h"
#include "text/utf8.h"

namespace penstock::config {
namespace {

namespace pb = google::protobuf;
using Kind = YamlNode::Kind;

bool is_duration(const pb::FieldDescriptor& field) {
  return field.message_type() != nullptr &&
         field.message_type()->full_name() == "google.protobuf.Duration";
}

std::vector<std::string_view> field_names(const pb::Descriptor& descriptor) {
  std::vector<std::string_view> names;
  for (int i = 0; i < descriptor.field_count(); ++i) {
    names.emplace_back(descriptor.field(i)->name());
  }
  return names;
}

}  // namespace

std::string_view Reader::kind_name(const YamlNode& node) {
  switch (node.kind) {
    case Kind::null:
      return "nothing";
    case Kind::scalar:
      return "text";
    case Kind::sequence:
      return "a list";
    case Kind::mapping:
      return "a mapping";
  }
  return "nothing";
}

// It looks like a connection string.
bool Reader::may_be_secret(std::string_view text) {
  return text.find_first_of("=@/{") != std::string_view::npos;
}

// What came from a variable may be a secret in the wrong place, too.
std::string Reader::found_text(const Text& text) {
  if (!text.variables.empty()) return value_of(text.variables);
  if (may_be_secret(text.value)) return "other text";
  constexpr std::size_t kLongest = 40;
  if (text.value.size() <= kLongest) return "'" + text.value + "'";
  return "'" + std::string(text::cut_utf8(text.value, kLongest)) + "…'";
}

void Reader::read(const YamlNode& root, pb::Message& message) {
  root_ = message.GetDescriptor();
  places_.add("", {0, 0, {}});
  read_message(root, message, "");
}

void Reader::complain(std::size_t byte, std::string path, std::string message, std::string hint) {
  complaints_.push_back({byte, std::move(path), std::move(message), std::move(hint)});
}

bool Reader::count_value(const YamlNode& node) {
  if (++values_ == kMaxValues) {
    complain(node.byte, "", "more than " + std::to_string(kMaxValues) + " values",
             "aliases of aliases multiply; write less or use fewer aliases");
  }
  return values_ < kMaxValues;
}

void Reader::note_place(const std::string& path, std::size_t key_byte, const YamlNode& value) {
  places_.add(path, {key_byte, value.byte, {}});
}

void Reader::read_message(const YamlNode& node, pb::Message& message, const std::string& path) {
  if (const pb::FieldDescriptor* map = only_map(*message.GetDescriptor())) {
    return read_map(node, message, *map, path);
  }
  if (!count_value(node)) return;
  if (node.kind == Kind::null) return;
  if (node.kind != Kind::mapping) {
    std::string hint = "fields of it: ";
    for (const std::string_view name : field_names(*message.GetDescriptor())) {
      if (hint.size() > 14) hint += ", ";
      hint += name;
    }
    if (node.kind == Kind::scalar && node.plain && node.text.contains(':')) {
      hint = "a space is missing after ':'";
    }
    misplaced_.push_back(&node);
    complain(node.byte, path, std::string("expected a mapping, found ").append(kind_name(node)),
             hint);
    return;
  }
  std::map<std::string_view, const YamlNode*> seen;
  for (const YamlNode::Member& member : members_of(node, path)) {
    const auto [first, is_new] = seen.emplace(member.key->text, member.key);
    if (!is_new) {
      complain(member.key->byte, child_path(path, member.key->text),
               "'" + member.key->text + "' is here a second time",
               "the first is in line " +
                   std::to_string(places_.place_of_byte(first->second->byte).line));
      continue;
    }
    read_member(*member.key, *member.value, message, path);
  }
}

void Reader::read_member(const YamlNode& key, const YamlNode& value, pb::Message& message,
                         const std::string& path) {
  const pb::Descriptor& descriptor = *message.GetDescriptor();
  const std::string child = child_path(path, key.text);
  const pb::FieldDescriptor* field = descriptor.FindFieldByName(key.text);
  if (field == nullptr) {
    complain(key.byte, child, "unknown field '" + key.text + "'",
             hint_for(key.text, descriptor, path));
    return;
  }
  if (const pb::OneofDescriptor* oneof = field->real_containing_oneof()) {
    const auto* other = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
    if (other != nullptr && other != field) {
      complain(key.byte, child,
               "'" + key.text + "' and '" + std::string(other->name()) + "' exclude each other",
               "keep one of them");
      return;
    }
  }
  note_place(child, key.byte, value);
  read_field(value, message, *field, child);
}

std::string Reader::hint_for(std::string_view key, const pb::Descriptor& descriptor,
                             const std::string& path) {
  const std::vector<std::string_view> names = field_names(descriptor);
  if (const std::string_view name = text::nearest(key, names); !name.empty()) {
    meant_.insert(child_path(path, name));
  } else if (std::string place = path_of_field(*root_, key); !place.empty()) {
    // In the same pipeline, where there is one.
    const std::string_view any = "pipelines[]";
    if (place.starts_with(any) && path.starts_with("pipelines[")) {
      place.replace(0, any.size(), path, 0, path.find(']') + 1);
    }
    meant_.insert(place);
    return "its place is " + place;
  }
  std::string hint = text::suggest(key, names);
  if (path.empty() && key.starts_with("x-")) hint += " (there are no extension fields)";
  return hint;
}

void Reader::read_field(const YamlNode& value, pb::Message& message,
                        const pb::FieldDescriptor& field, const std::string& path) {
  if (!value.tag.empty() && value.kind != Kind::scalar) {
    complain(value.byte, path, "a YAML tag means nothing here",
             "remove it, or quote the whole value if it is meant as text");
    return;
  }
  if (field.is_map()) {
    read_map(value, message, field, path);
  } else if (field.is_repeated()) {
    read_list(value, message, field, path);
  } else {
    read_single(value, message, field, path);
  }
}

void Reader::read_single(const YamlNode& value, pb::Message& message,
                         const pb::FieldDescriptor& field, const std::string& path) {
  if (field.message_type() == nullptr) {
    if (value.kind == Kind::null) {
      if (!count_value(value)) return;
      return;  // "key:" with nothing behind it: left out
    }
    read_scalar(value, message, field, /*repeated=*/false, path);
    return;
  }
  if (is_duration(field)) {
    if (value.kind == Kind::null) return;
    read_duration(value, *message.GetReflection()->MutableMessage(&message, &field), path);
    return;
  }
  // Also when there is nothing in it: `json:` chooses the format.
  read_message(value, *message.GetReflection()->MutableMessage(&message, &field), path);
}

void Reader::read_list(const YamlNode& value, pb::Message& message,
                       const pb::FieldDescriptor& field, const std::string& path) {
  if (!count_value(value) || value.kind == Kind::null) return;
  if (value.kind != Kind::sequence) {
    const bool is_word = value.kind == Kind::scalar && value.plain && !may_be_secret(value.text);
    if (!is_word) misplaced_.push_back(&value);
    complain(value.byte, path, std::string("expected a list, found ").append(kind_name(value)),
             is_word ? "write [" + value.text + "]" : "write each item after '- '");
    return;
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const YamlNode& item = *value.items[i];
    const std::string child = item_path(path, i);
    note_place(child, item.byte, item);
    if (field.message_type() != nullptr) {
      read_message(item, *message.GetReflection()->AddMessage(&message, &field), child);
    } else {
      read_scalar(item, message, field, /*repeated=*/true, child);
    }
  }
}

void Reader::read_map(const YamlNode& value, pb::Message& message, const pb::FieldDescriptor& field,
                      const std::string& path) {
  if (!count_value(value) || value.kind == Kind::null) return;
  if (value.kind != Kind::mapping) {
    misplaced_.push_back(&value);
    complain(value.byte, path, std::string("expected a mapping, found ").append(kind_name(value)),
             "write 'name: value' lines");
    return;
  }
  const pb::FieldDescriptor& key_field = *field.message_type()->map_key();
  const pb::FieldDescriptor& value_field = *field.message_type()->map_value();
  std::map<std::string_view, const YamlNode*> seen;
  for (const YamlNode::Member& member : members_of(value, path)) {
    const std::string child = child_path(path, member.key->text);
    const auto [first, is_new] = seen.emplace(member.key->text, member.key);
    if (!is_new) {
      complain(member.key->byte, child, "'" + member.key->text + "' is here a second time",
               "the first is in line " +
                   std::to_string(places_.place_of_byte(first->second->byte).line));
      continue;
    }
    note_place(child, member.key->byte, *member.value);
    pb::Message* entry = message.GetReflection()->AddMessage(&message, &field);
    entry->GetReflection()->SetString(entry, &key_field, member.key->text);
    if (is_duration(value_field)) {
      if (member.value->kind == Kind::null) {
        complain(member.key->byte, child, "there is no duration", "write it like 250ms, 30s or 5m");
        continue;
      }
      read_duration(*member.value, *entry->GetReflection()->MutableMessage(entry, &value_field),
                    child);
    } else if (value_field.message_type() != nullptr) {
      read_message(*member.value, *entry->GetReflection()->MutableMessage(entry, &value_field),
                   child);
    } else if (is_word_null(*member.value) && field.name() == "kafka") {
      complain(member.value->byte, child, "null is no value", "leave the property out");
    } else if (is_word_null(*member.value)) {
      entry->GetReflection()->SetString(entry, &value_field, "null");
    } else {
      read_scalar(*member.value, *entry, value_field, /*repeated=*/false, child);
    }
  }
}

std::vector<YamlNode::Member> Reader::members_of(const YamlNode& mapping, const std::string& path) {
  std::vector<YamlNode::Member> members;
  std::vector<const YamlNode*> merged;
  for (const YamlNode::Member& member : mapping.members) {
    if (member.key->plain && member.key->text == "<<") {
      merged.push_back(member.value);
    } else {
      members.push_back(member);
    }
  }
  if (merged.empty()) return members;
  std::unordered_set<std::string_view> own;
  for (const YamlNode::Member& member : members) own.insert(member.key->text);
  for (const YamlNode* source : merged) add_merged(*source, members, own, path, 0);
  return members;
}

void Reader::add_merged(const YamlNode& source, std::vector<YamlNode::Member>& members,
                        std::unordered_set<std::string_view>& own, const std::string& path,
                        std::size_t depth) {
  if (!count_value(source)) return;
  if (source.kind == Kind::sequence && depth == 0) {
    for (const YamlNode* item : source.items) add_merged(*item, members, own, path, depth + 1);
    return;
  }
  if (source.kind != Kind::mapping) {
    complain(source.byte, path, "'<<' merges mappings only", "give it an alias: <<: *name");
    return;
  }
  for (const YamlNode::Member& member : members_of(source, path)) {
    if (!count_value(*member.value)) return;
    if (own.insert(member.key->text).second) members.push_back(member);
  }
}

}  // namespace penstock::config
