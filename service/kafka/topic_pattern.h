// A pattern of topics' names: which topics a pipeline reads that does not list them.
//
// RE2's syntax, the same as `matches` has in expressions, and not librdkafka's own, which takes
// what begins with '^' for a POSIX pattern. A topic's whole name has to match. Kafka's internal
// topics, and all others that begin with "__", match no pattern.
// Threads: immutable; any. Failure: make() says what is wrong with the pattern.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace penstock::kafka {

class TopicPattern {
 public:
  [[nodiscard]] static Result<TopicPattern> make(std::string_view pattern);

  [[nodiscard]] const std::string& text() const;
  [[nodiscard]] bool matches(std::string_view topic) const;
  // The names of its groups: "table" of (?P<table>.*).
  [[nodiscard]] std::vector<std::string> groups() const;
  // Of a topic that matches, what each group has of its name; "" for one that takes no part.
  [[nodiscard]] std::map<std::string, std::string> groups_of(std::string_view topic) const;

 private:
  struct Compiled;
  explicit TopicPattern(std::shared_ptr<const Compiled> compiled);
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace penstock::kafka
