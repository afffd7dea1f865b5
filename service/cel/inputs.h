// The inputs that the expressions of one pipeline read, each with a slot number.
//
// Place in the flow: compile() adds the paths an expression reads; the extractor reads paths() once
// at start and then fills a span of Values, one per path, for every record.
//
// Threads: one thread while compiling; immutable afterwards.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace penstock::cel {

struct InputPath {
  // The declared variable: "msg", "record", or the name of a `let`.
  std::string root;
  // Empty: the whole variable. {"a", "b"}: msg.a.b or msg["a"].b.
  std::vector<std::string> segments;
  // Only has() asks for it: any value that is not absent will do, the extractor need not read it.
  bool presence_only = false;
  // The value is wanted as the document has it, Value::of_json(), or null: no expression reads it.
  bool as_text = false;
  // What messages show in place of the path: the source of an expression, where it is one's value.
  std::string shown{};

  // "msg.a.b", as messages show it.
  [[nodiscard]] std::string to_string() const;
};

class Inputs {
 public:
  // The slot of this path; a new one when it is not there yet. Slots are 0, 1, 2 … and never
  // change. `presence_only` turns false once any expression wants the value.
  std::uint32_t add(std::string_view root, std::span<const std::string> segments,
                    bool presence_only = false);
  // The slot of its text, which is another one than that of its value.
  std::uint32_t add_text(std::string_view root, std::span<const std::string> segments);
  // What messages show of this slot.
  void show_as(std::uint32_t slot, std::string text) { paths_[slot].shown = std::move(text); }
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view root,
                                                  std::span<const std::string> segments) const;

  // Index = slot. Valid until the next add().
  [[nodiscard]] std::span<const InputPath> paths() const noexcept { return paths_; }
  [[nodiscard]] std::uint32_t size() const noexcept {
    return static_cast<std::uint32_t>(paths_.size());
  }

 private:
  std::vector<InputPath> paths_;
  std::unordered_map<std::string, std::uint32_t> slots_;  // by a key that no two paths share
};

}  // namespace penstock::cel
