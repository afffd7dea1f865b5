// Where everything in a configuration file stands, so that an error found later (in an expression,
// in the database, at the broker) can point at its place.
//
// A path is what a person would write: "pipelines[0].compute.let.total". Keys of maps that are not
// plain identifiers are quoted: `pipelines[0].source.kafka["bootstrap.servers"]` (see child_path).
// Threads: immutable once load has returned it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/mask.h"
#include "config/problem.h"

namespace penstock::config {

struct Place {
  std::uint32_t line = 1;    // 1-based
  std::uint32_t column = 1;  // 1-based, in code points

  friend auto operator<=>(const Place&, const Place&) = default;
};

class SourceMap {
 public:
  struct Entry {
    std::size_t key = 0;  // byte in the file where the key begins (the "-" item's value in a list)
    std::size_t value = 0;  // byte where the value's text begins, after a quote or a block's "|"
    // For scalars: byte in the file of every byte of the value (environment variables replaced,
    // escapes resolved), and one for its end.
    std::vector<std::uint32_t> bytes;
    // For scalars with environment variables: their names, as "A, B", and what became of the value.
    std::string variables = {};
    std::string expanded = {};
  };

  SourceMap() = default;
  SourceMap(std::string file, std::string text);

  [[nodiscard]] const std::string& file() const { return file_; }
  // Null when nothing was written there.
  [[nodiscard]] const Entry* find(std::string_view path) const;
  // The place of the nearest thing that was written: the path itself or what would contain it.
  [[nodiscard]] Place key_place(std::string_view path) const;
  [[nodiscard]] Place value_place(std::string_view path) const;
  [[nodiscard]] std::size_t key_byte(std::string_view path) const;
  [[nodiscard]] std::size_t value_byte(std::string_view path) const;
  // The place of the byte at `offset` of a scalar's value.
  [[nodiscard]] Place place_at(std::string_view path, std::size_t offset) const;
  // The same for a position inside the value, as expression diagnostics have it: 1-based line and
  // column in code points. `value` is the scalar as the message holds it.
  [[nodiscard]] Place place_at(std::string_view path, std::string_view value, std::uint32_t line,
                               std::uint32_t column) const;

  // A problem at that place, with its source line, without secrets.
  [[nodiscard]] Problem problem(Place place, std::string path, std::string message,
                                std::string hint = {}) const;

  // For the loader.
  void add(std::string path, Entry entry);
  // What no problem may show; ascending and apart.
  void set_secrets(std::vector<Secret> secrets) { secrets_ = std::move(secrets); }
  [[nodiscard]] Place place_of_byte(std::size_t byte) const;
  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  [[nodiscard]] const Entry* find_nearest(std::string_view path) const;
  // The secrets of the bytes from `begin` to `end`, as seen from `begin`.
  [[nodiscard]] std::vector<Secret> secrets_between(std::size_t begin, std::size_t end) const;

  std::string file_;
  std::string text_;
  std::vector<std::uint32_t> line_begins_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<Secret> secrets_;
};

// "parent.key", or `parent["a key"]` when the key is not a plain identifier.
[[nodiscard]] std::string child_path(std::string_view parent, std::string_view key);
// "parent[3]".
[[nodiscard]] std::string item_path(std::string_view parent, std::size_t index);

}  // namespace penstock::config
