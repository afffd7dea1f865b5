// Brake: stops a partition before too large a share of its last records has become dead letters.
//
// Place: a transaction asks before it commits, of what its records' stages have rejected and of
// what PostgreSQL refuses; the lane then ends the chain, and counts what is committed. What is
// counted stands in the Chain. Threads: the lane's only.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "core/error.h"
#include "write/group.h"

namespace penstock::write {

// A record whose dead letter would be one too many.
struct TooMany {
  RecordPlace place;
  bool is_next = false;  // nothing of its chain is committed before it
  Error error;
};

// The first one of `group`, when `refusals` are left out of it.
[[nodiscard]] std::optional<TooMany> find_too_many(const Group& group,
                                                   std::span<const Refusal> refusals,
                                                   std::size_t limit);

// `group` is committed without `refusals`.
void count_rejects(const Group& group, std::span<const Refusal> refusals, std::size_t limit);

// Whether the brake alone decides for all of its chains: a person accepts what is rejected of them,
// or the next reject stops them.
[[nodiscard]] bool decides(const Group& group, std::size_t limit);

}  // namespace penstock::write
