// Enum values as people write them: "earliest" for EARLIEST or START_AT_EARLIEST.
#pragma once

#include <string>
#include <vector>

namespace google::protobuf {
class EnumDescriptor;
class EnumValueDescriptor;
}  // namespace google::protobuf

namespace penstock::config {

[[nodiscard]] std::string enum_word(const google::protobuf::EnumValueDescriptor& value);
// All but the "unspecified" one, in the order of the definition.
[[nodiscard]] std::vector<std::string> enum_words(const google::protobuf::EnumDescriptor& type);

}  // namespace penstock::config
