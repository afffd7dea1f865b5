// Topics: the names of a pipeline's topics, each with the number by which everything else calls it.
//
// Place in the flow: a plan, its consumer and its expressions share one. A pipeline that lists its
// topics has those and no more; where it goes by a pattern, ingest adds those that it finds, and
// nothing is ever taken away: what is in flight may be of a topic that has vanished.
// Threads: any. name() takes no lock. Ownership: a handle; copies share.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"

namespace penstock {

class Topics {
 public:
  // As many as a TopicIndex can tell apart.
  static constexpr std::size_t kMost = 65'536;

  Topics() : Topics(std::vector<std::string>()) {}
  Topics(const std::vector<std::string>& names);    // NOLINT: a list of names is one
  Topics(std::initializer_list<std::string> names)  // NOLINT
      : Topics(std::vector<std::string>(names)) {}

  // The number of the name, which is added if it is not there. Nothing: there is no room for it.
  std::optional<TopicIndex> add(std::string_view name);
  [[nodiscard]] std::optional<TopicIndex> find(std::string_view name) const;
  // Of one that is there; the reference holds as long as any handle.
  [[nodiscard]] const std::string& name(TopicIndex index) const;
  [[nodiscard]] std::size_t size() const;
  // In the order in which they were added.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace penstock
