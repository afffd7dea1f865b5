// Whose the stored positions are: penstock.pipelines has a row for each pipeline of the database.
//
// Place in the flow: app/ enters a pipeline before it starts, `penstock check --online` asks what
// that would say, and `penstock offsets` changes it for people.
// Why: positions go by the pipeline's name alone. Two processes that mean different things by one
// name would take the partitions from each other in turn and scatter the rows, and a pipeline under
// a new name would read everything again.
// Threads: free functions; each leases a connection of the pool and blocks its caller, for about
// 10 s at most. A stop that is requested ends the wait with `cancelled`.
// Failure: `conflict` when the positions belong to somebody else, with the command that settles it;
// otherwise as Claims.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "core/error.h"

namespace penstock::postgres {
class Pool;
}

namespace penstock::offsets {

// What a pipeline is, beside its name.
struct Identity {
  std::string pipeline;
  std::string group;
  std::string cluster_id;  // empty when the brokers do not say
  std::vector<std::string> topics;
  std::vector<std::string> tables;                    // "schema.table"
  std::map<std::string, std::string> topic_ids = {};  // by name, as far as the brokers say
};

// Enters the pipeline, or brings what is entered up to date. `conflict` when it was entered with
// another group or cluster or with none of these tables, or when another pipeline reads one of the
// topics with the same group.
[[nodiscard]] Result<void> enter(postgres::Pool& pool, const Identity& identity,
                                 const std::stop_token& stop);
// The same judgement, and nothing is changed. Here also `conflict` when stored positions belong to
// an earlier topic of the same name: when the pipeline runs, that stops the topic's partitions
// only.
[[nodiscard]] Result<void> may_enter(postgres::Pool& pool, const Identity& identity,
                                     const std::stop_token& stop);

// What of schema penstock this role cannot work with (postgres/own_schema.h): a right that it
// lacks, with the GRANT, a table that is gone, row-level security, a rule.
[[nodiscard]] Result<void> check_schema(postgres::Pool& pool, const std::stop_token& stop);

// ---- For people ---------------------------------------------------------------------------------

struct Position {
  std::string pipeline;
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t next_offset = 0;
  std::string owner;       // empty: nobody
  std::string updated_at;  // RFC 3339, UTC
};
// In the order of their keys.
[[nodiscard]] Result<std::vector<Position>> positions(postgres::Pool& pool);

// Whether the processes of the pipeline are known to have ended; a claim that somebody still has is
// a reason to refuse, unless a person says so.
enum class Claimed : std::uint8_t { refuse, ended };

// Gives the positions of `from` to `to`, which has none: a pipeline under a new name goes on where
// it stood. Dead letters keep the name that they were written under.
[[nodiscard]] Result<std::size_t> rename(postgres::Pool& pool, const std::string& from,
                                         const std::string& to, Claimed claimed);
// Enters the pipeline whatever is entered under its name. Positions stay.
[[nodiscard]] Result<void> adopt(postgres::Pool& pool, const Identity& identity, Claimed claimed);
// Where a partition is to be read from now on, and of which log that is.
struct NewPosition {
  std::int32_t partition = 0;
  std::int64_t next_offset = 0;
  std::int64_t was = -1;     // filled in; -1: there was none
  std::int64_t letters = 0;  // filled in: dead letters of records that will be read again
};
// Puts them there. Whoever has claimed the partitions is fenced: what it has in flight is dropped,
// and it goes on at the new positions by itself.
[[nodiscard]] Result<std::vector<NewPosition>> reset(
    postgres::Pool& pool, const std::string& pipeline, const std::string& cluster_id,
    const std::string& topic, const std::string& topic_id, std::vector<NewPosition> positions);
// Drops the pipeline and its positions. Returns how many there were.
[[nodiscard]] Result<std::size_t> forget(postgres::Pool& pool, const std::string& pipeline,
                                         Claimed claimed);

}  // namespace penstock::offsets
