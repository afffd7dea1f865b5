// The message as YAML again, by reflection, with its secrets masked (mask.h).
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include <map>
#include <memory>

#include "config/mask.h"
#include "config/scalars.h"
#include "config/yaml/enum_names.h"

namespace penstock::config {
namespace {

namespace pb = google::protobuf;

// A dollar that expansion would take for its own is doubled, so that the text can be loaded again.
std::string escaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (text[i] == '$' && i + 1 < text.size() && (text[i + 1] == '$' || text[i + 1] == '{')) {
      out += '$';
    }
  }
  return out;
}

bool reads_as_null(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

std::string masked_text(const pb::FieldDescriptor& field, std::string_view text) {
  const std::string_view name = field.name();
  if (name == "postgres") return mask_conninfo(text);
  if (is_secret_property(name)) return std::string(kMask);
  return mask_uri(text);
}

class Writer {
 public:
  void write(const pb::Message& message) {
    const pb::Descriptor& descriptor = *message.GetDescriptor();
    if (const pb::FieldDescriptor* map = only_map(descriptor)) {
      write_map(message, *map, message.GetReflection()->FieldSize(message, map));
      return;
    }
    out_ << YAML::BeginMap;
    for (int i = 0; i < descriptor.field_count(); ++i) {
      write_field(message, *descriptor.field(i));
    }
    out_ << YAML::EndMap;
  }

  [[nodiscard]] std::string text() const { return std::string(out_.c_str()) + "\n"; }

 private:
  void write_field(const pb::Message& message, const pb::FieldDescriptor& field) {
    const pb::Reflection& reflection = *message.GetReflection();
    if (field.is_repeated()) {
      const int size = reflection.FieldSize(message, &field);
      if (size == 0) return;
      out_ << YAML::Key << std::string(field.name()) << YAML::Value;
      if (field.is_map()) {
        write_map(message, field, size);
        return;
      }
      out_ << YAML::BeginSeq;
      for (int i = 0; i < size; ++i) {
        if (field.message_type() != nullptr) {
          write(reflection.GetRepeatedMessage(message, &field, i));
        } else {
          write_scalar(message, field, i);
        }
      }
      out_ << YAML::EndSeq;
      return;
    }
    if (!reflection.HasField(message, &field)) return;
    out_ << YAML::Key << std::string(field.name()) << YAML::Value;
    if (field.message_type() == nullptr) {
      write_scalar(message, field, -1);
      return;
    }
    const pb::Message& child = reflection.GetMessage(message, &field);
    write_message(child);
  }

  void write_message(const pb::Message& message) {
    if (const auto* duration = dynamic_cast<const pb::Duration*>(&message)) {
      out_ << format_duration(to_chrono(*duration));
    } else {
      write(message);
    }
  }

  void write_map(const pb::Message& message, const pb::FieldDescriptor& field, int size) {
    const pb::FieldDescriptor& key = *field.message_type()->map_key();
    const pb::FieldDescriptor& value = *field.message_type()->map_value();
    const pb::Reflection& reflection = *message.GetReflection();
    std::map<std::string, const pb::Message*> sorted;  // the message keeps no order
    for (int i = 0; i < size; ++i) {
      const pb::Message& entry = reflection.GetRepeatedMessage(message, &field, i);
      sorted[entry.GetReflection()->GetString(entry, &key)] = &entry;
    }
    out_ << YAML::BeginMap;
    for (const auto& [name, entry] : sorted) {
      write_key(name);
      if (value.message_type() != nullptr) {
        write_message(entry->GetReflection()->GetMessage(*entry, &value));
      } else if (field.name() == "kafka" && is_secret_property(name)) {
        out_ << std::string(kMask);
      } else {
        write_scalar(*entry, value, -1);
      }
    }
    out_ << YAML::EndMap;
  }

  void write_key(const std::string& name) {
    out_ << YAML::Key;
    if (reads_as_null(name) || name == "<<") out_ << YAML::DoubleQuoted;
    out_ << name << YAML::Value;
  }

  void write_text(const std::string& text) {
    if (reads_as_null(text)) out_ << YAML::DoubleQuoted;
    out_ << text;
  }

  // Element `index` of a repeated field, or the field itself when it is -1.
  void write_scalar(const pb::Message& message, const pb::FieldDescriptor& field, int index) {
    const pb::Reflection& reflection = *message.GetReflection();
    using Type = pb::FieldDescriptor;
    const auto get = [&](auto single, auto repeated) {
      return index < 0 ? (reflection.*single)(message, &field)
                       : (reflection.*repeated)(message, &field, index);
    };
    const auto number = [&](std::uint64_t value) {
      out_ << (field.name().ends_with("_bytes") ? format_size_bytes(value) : std::to_string(value));
    };
    switch (field.cpp_type()) {
      case Type::CPPTYPE_STRING:
        write_text(escaped(masked_text(
            field, get(&pb::Reflection::GetString, &pb::Reflection::GetRepeatedString))));
        return;
      case Type::CPPTYPE_BOOL:
        out_ << get(&pb::Reflection::GetBool, &pb::Reflection::GetRepeatedBool);
        return;
      case Type::CPPTYPE_ENUM:
        out_ << enum_word(*get(&pb::Reflection::GetEnum, &pb::Reflection::GetRepeatedEnum));
        return;
      case Type::CPPTYPE_DOUBLE:
        out_ << get(&pb::Reflection::GetDouble, &pb::Reflection::GetRepeatedDouble);
        return;
      case Type::CPPTYPE_FLOAT:
        out_ << get(&pb::Reflection::GetFloat, &pb::Reflection::GetRepeatedFloat);
        return;
      case Type::CPPTYPE_UINT32:
        number(get(&pb::Reflection::GetUInt32, &pb::Reflection::GetRepeatedUInt32));
        return;
      case Type::CPPTYPE_UINT64:
        number(get(&pb::Reflection::GetUInt64, &pb::Reflection::GetRepeatedUInt64));
        return;
      case Type::CPPTYPE_INT32:
        out_ << get(&pb::Reflection::GetInt32, &pb::Reflection::GetRepeatedInt32);
        return;
      case Type::CPPTYPE_INT64:
        out_ << get(&pb::Reflection::GetInt64, &pb::Reflection::GetRepeatedInt64);
        return;
      case Type::CPPTYPE_MESSAGE:
        return;  // not a scalar
    }
  }

  YAML::Emitter out_;
};

std::string to_yaml(const pb::Message& message) {
  Writer writer;
  writer.write(message);
  return writer.text();
}

}  // namespace

std::string to_masked_yaml(const penstock::v1::Config& config) { return to_yaml(config); }

std::string to_masked_yaml(const penstock::v1::PipelineSpec& spec) { return to_yaml(spec); }

}  // namespace penstock::config
