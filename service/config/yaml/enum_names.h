// How a message shows in YAML, where that is not how protobuf has it: enum values as people write
// them ("earliest" for EARLIEST or START_AT_EARLIEST), a message that is nothing but a map as the
// map.
#pragma once

#include <string>
#include <vector>

namespace google::protobuf {
class Descriptor;
class EnumDescriptor;
class EnumValueDescriptor;
class FieldDescriptor;
}  // namespace google::protobuf

namespace penstock::config {

[[nodiscard]] std::string enum_word(const google::protobuf::EnumValueDescriptor& value);
// All but the "unspecified" one, in the order of the definition.
[[nodiscard]] std::vector<std::string> enum_words(const google::protobuf::EnumDescriptor& type);

// The map that is the only field of the message; nullptr: it has others.
[[nodiscard]] const google::protobuf::FieldDescriptor* only_map(
    const google::protobuf::Descriptor& message);

}  // namespace penstock::config
