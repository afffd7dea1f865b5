#include "config/yaml/enum_names.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <string_view>

namespace penstock::config {
namespace {

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

// "StartAt" → "start_at_".
std::string prefix_of(const google::protobuf::EnumDescriptor& type) {
  std::string prefix;
  for (const char c : std::string_view(type.name())) {
    if (is_upper(c) && !prefix.empty()) prefix += '_';
    prefix += lower(c);
  }
  return prefix + "_";
}

// Adds the paths of the fields of this name in `message`, which stands at `path`.
void find_fields(const google::protobuf::Descriptor& message, std::string_view name,
                 const std::string& path, std::vector<std::string>& found) {
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *message.field(i);
    std::string below = path.empty() ? "" : path + ".";
    below += field.name();
    if (field.name() == name) found.push_back(below);
    // Not into durations, nor into maps, whose keys are the user's, nor into the lists of a
    // pipeline, such as its tests: their fields have everyday names.
    if (field.message_type() == nullptr || field.message_type()->file() != message.file() ||
        field.is_map() || only_map(*field.message_type()) ||
        (field.is_repeated() && !path.empty())) {
      continue;
    }
    find_fields(*field.message_type(), name, field.is_repeated() ? below + "[]" : below, found);
  }
}

}  // namespace

std::string enum_word(const google::protobuf::EnumValueDescriptor& value) {
  std::string word(value.name());
  std::ranges::transform(word, word.begin(), lower);
  const std::string prefix = prefix_of(*value.type());
  if (word.starts_with(prefix)) word.erase(0, prefix.size());
  return word;
}

std::vector<std::string> enum_words(const google::protobuf::EnumDescriptor& type) {
  std::vector<std::string> words;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) words.push_back(enum_word(*type.value(i)));
  }
  return words;
}

const google::protobuf::FieldDescriptor* only_map(const google::protobuf::Descriptor& message) {
  return message.field_count() == 1 && message.field(0)->is_map() ? message.field(0) : nullptr;
}

std::string path_of_field(const google::protobuf::Descriptor& root, std::string_view name) {
  std::vector<std::string> found;
  find_fields(root, name, "", found);
  return found.size() == 1 ? found.front() : "";
}

}  // namespace penstock::config
