// penstock.dead_letters for people: how many, which, one whole, gone.
//
// Place: `penstock dead-letters` calls it; redrive.h turns letters into rows.
// Threads: free functions; each leases a connection of the pool and blocks its caller, which a
// large table can do for minutes. Failure: as the database says it, with what to do about a schema
// or a grant that is missing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "dead_letters/filter.h"
#include "dead_letters/letter.h"

namespace penstock::postgres {
class Pool;
struct Failure;
}  // namespace penstock::postgres

namespace penstock::dead_letters {

[[nodiscard]] Result<std::uint64_t> count(postgres::Pool& pool, const Filter& filter);

// Of which topics the pipeline has some.
[[nodiscard]] Result<std::vector<std::string>> topics(postgres::Pool& pool,
                                                      const std::string& pipeline);

// The facts of the newest `most`, newest first; 0: all of them.
[[nodiscard]] Result<std::vector<Letter>> newest(postgres::Pool& pool, const Filter& filter,
                                                 std::uint64_t most);

// Calls `take` for each, whole, in the order of their ids, until it says false. They are read in
// pages, so that few are in memory at a time.
[[nodiscard]] Result<void> for_each(postgres::Pool& pool, const Filter& filter,
                                    const std::function<bool(const Letter&)>& take);

// Those of one cause.
struct Cause {
  std::string pipeline;
  std::string target;
  std::string stage;
  std::string reason;
  std::string sqlstate;
  std::uint64_t letters = 0;
  std::int64_t most_attempts = 0;
  std::string first_seen_at;
  std::string last_seen_at;
  std::int64_t example_id = 0;
};
// Most first.
[[nodiscard]] Result<std::vector<Cause>> causes(postgres::Pool& pool, const Filter& filter);

// Drops them, in transactions of some thousand; what comes meanwhile stays. `progress` hears how
// many are gone. A letter that a redrive has in hand is waited for, and then there or not.
[[nodiscard]] Result<std::uint64_t> purge(postgres::Pool& pool, const Filter& filter,
                                          const std::function<void(std::uint64_t)>& progress);

// `permission_denied` when this role lacks one of these privileges on penstock.dead_letters, with
// the GRANT.
[[nodiscard]] Result<void> check_grants(postgres::Pool& pool,
                                        const std::vector<std::string>& privileges);

// The ids of the letters that fit and come after `after`, at most `most` and about kPageBytes of
// them, as a statement; `condition` gets two parameters more.
inline constexpr std::int64_t kPageBytes = std::int64_t{16} << 20;
[[nodiscard]] std::string page_sql(Condition& condition, std::int64_t after, std::uint64_t most);

// A failure, and what to do about it.
[[nodiscard]] Error error_of(const postgres::Failure& failure);
// Letters are there as they were after they were changed or deleted: whose doing it may be.
[[nodiscard]] Error letters_stay(postgres::Pool& pool);

}  // namespace penstock::dead_letters
