// Turns a YAML tree into a message, driven by the message's own description.
//
// Between document.h and load.cc. Collects what is wrong and goes on; notes the place of everything
// it reads. Not thread-safe: one reader per load.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "config/environment.h"
#include "config/source_map.h"
#include "config/yaml/document.h"

namespace google::protobuf {
class Descriptor;
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

namespace penstock::config {

class Reader {
 public:
  // Aliases may multiply what is written; this bounds what is read.
  static constexpr std::size_t kMaxValues = 100'000;

  // All must outlive the reader.
  Reader(SourceMap& places, const Environment& environment, Servers servers)
      : places_(places), environment_(environment), servers_(servers) {}

  void read(const YamlNode& root, google::protobuf::Message& message);

  // In the order in which they were found.
  struct Complaint {
    std::size_t byte = 0;
    std::string path;
    std::string message;
    std::string hint;
  };
  [[nodiscard]] std::vector<Complaint> take_complaints() { return std::move(complaints_); }
  // What works and is worth a word.
  [[nodiscard]] std::vector<Complaint> take_notes() { return std::move(notes_); }
  // Values that are not what their places are for, and may be anything.
  [[nodiscard]] const std::vector<const YamlNode*>& misplaced() const { return misplaced_; }
  // Paths of fields that are missing for a reason, such as an unknown key by which they were
  // probably meant: not worth a second complaint.
  [[nodiscard]] const std::set<std::string, std::less<>>& meant() const { return meant_; }

 private:
  using Field = google::protobuf::FieldDescriptor;
  using Message = google::protobuf::Message;

  // A scalar with its variables replaced.
  struct Text {
    std::string value;
    bool ok = true;
    std::string variables;  // those that it was made of, as "A, B"
  };

  static std::string_view kind_name(const YamlNode& node);
  static bool may_be_secret(std::string_view text);
  static bool may_be_secret(const YamlNode& node);
  // As it may be shown.
  static std::string found_text(const Text& text);
  void read_message(const YamlNode& node, Message& message, const std::string& path);
  void read_member(const YamlNode& key, const YamlNode& value, Message& message,
                   const std::string& path);
  // What to write instead of an unknown key of the message at `path`.
  std::string hint_for(std::string_view key, const google::protobuf::Descriptor& descriptor,
                       const std::string& path);
  void read_field(const YamlNode& value, Message& message, const Field& field,
                  const std::string& path);
  void read_single(const YamlNode& value, Message& message, const Field& field,
                   const std::string& path);
  void read_list(const YamlNode& value, Message& message, const Field& field,
                 const std::string& path);
  void read_map(const YamlNode& value, Message& message, const Field& field,
                const std::string& path);
  void read_scalar(const YamlNode& value, Message& message, const Field& field, bool repeated,
                   const std::string& path);
  void read_duration(const YamlNode& value, Message& duration, const std::string& path);

  // The members with merge keys followed: what the mapping says itself wins.
  std::vector<YamlNode::Member> members_of(const YamlNode& mapping, const std::string& path);
  void add_merged(const YamlNode& source, std::vector<YamlNode::Member>& members,
                  std::unordered_set<std::string_view>& own, const std::string& path,
                  std::size_t depth);
  static bool is_word_null(const YamlNode& node);
  // The text of a scalar; reports anything else as "expected …".
  Text text_of(const YamlNode& node, const std::string& path, std::string_view expected);
  bool count_value(const YamlNode& node);
  void note_place(const std::string& path, std::size_t key_byte, const YamlNode& value);
  void complain(std::size_t byte, std::string path, std::string message, std::string hint = {});

  SourceMap& places_;
  const Environment& environment_;
  const Servers servers_;
  const google::protobuf::Descriptor* root_ = nullptr;  // of what read() fills
  std::vector<Complaint> complaints_;
  std::vector<Complaint> notes_;
  std::vector<const YamlNode*> misplaced_;
  std::set<std::string, std::less<>> meant_;
  std::size_t values_ = 0;
};

}  // namespace penstock::config
