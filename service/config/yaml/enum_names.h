// How a message shows in YAML, where that is not how protobuf has it: enum values as people write
// them ("earliest" for EARLIEST or START_AT_EARLIEST), a message that is nothing but a map as the
// map; and where in it a field stands.
#pragma once

#include <string>
#include <string_view>
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

// The path of the only field of this name in a file whose root is `root`, with "[]" for any item:
// "pipelines[].sink.target.table". Empty: there is none, or more than one. What is in a list within
// an item, such as a pipeline's tests, does not count.
[[nodiscard]] std::string path_of_field(const google::protobuf::Descriptor& root,
                                        std::string_view name);

}  // namespace penstock::config
