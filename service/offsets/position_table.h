// The statements of a claim on penstock.offsets, each a function of one connection.
//
// Inside offsets/ only. All of them run in a transaction of begin(); one that fails leaves it open.
// Threads: free functions; a connection belongs to one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/claim.h"
#include "core/ids.h"
#include "postgres/connection.h"

namespace penstock::offsets {

// What PostgreSQL knows a pipeline's partition by.
using Key = std::pair<std::string, std::int32_t>;  // topic, partition

// A column of values as the text of an array: {"a","b"}.
class ArrayText {
 public:
  void add(std::string_view value);
  void add(std::int64_t value) { add(std::string_view(std::to_string(value))); }
  [[nodiscard]] std::string text() const { return "{" + elements_ + "}"; }

 private:
  std::string elements_;
};

struct KeyColumns {
  ArrayText topics;
  ArrayText partitions;

  void add(const std::string& topic, std::int32_t partition) {
    topics.add(topic);
    partitions.add(partition);
  }
};

struct Limits {
  std::string pipeline;
  std::chrono::milliseconds lock_timeout{};
};

// What a role's settings say about isolation, and what somebody put into a schema of its search
// path, must not change the protocol; no wait is without an end. SET LOCAL only, because the
// connection is not ours alone.
[[nodiscard]] postgres::Try<void> begin(postgres::Connection& connection, const Limits& limits);
[[nodiscard]] postgres::Try<void> commit(postgres::Connection& connection);
// After a failure of one of the others.
void roll_back(postgres::Connection& connection);
// Waited for a lock or a statement in vain.
[[nodiscard]] bool timed_out(const postgres::Failure& failure);

struct StoredRow {
  bool locked = false;  // by us; else the rest is not known
  Offset next_offset = 0;
  std::string cluster_id;
  std::string topic_id;
};

enum class Held { skip, wait_for };

// Locks the rows that are there, in the order in which penstock.advance() does: no deadlock with a
// lane.
[[nodiscard]] postgres::Try<std::map<Key, StoredRow>> lock_rows(postgres::Connection& connection,
                                                                const std::string& pipeline,
                                                                const KeyColumns& keys, Held held);

// How many partitions of each topic of the pipeline have begun: those below have a row. Nothing if
// the pipeline has no entry (any more).
[[nodiscard]] postgres::Try<std::optional<std::map<std::string, std::int32_t>>> begun_partitions(
    postgres::Connection& connection, const std::string& pipeline);

// Of each topic of `requests` the first row that belongs to another topic or cluster, with its
// partition.
[[nodiscard]] postgres::Try<std::map<std::string, std::pair<std::int32_t, StoredRow>>> foreign_rows(
    postgres::Connection& connection, const std::string& pipeline,
    const std::vector<const ClaimRequest*>& requests);

// Keeps that the first `begun` partitions of the topic have begun, and locks the pipeline's entry
// if that is news: before the rows, so that two who do it never wait for each other.
[[nodiscard]] postgres::Try<void> keep_begun(postgres::Connection& connection,
                                             const std::string& pipeline, const std::string& topic,
                                             std::int32_t begun);

// Makes the rows that are not there and have not been, without an owner, and keeps how many have
// begun without a gap.
[[nodiscard]] postgres::Try<void> make_rows(postgres::Connection& connection,
                                            const std::string& pipeline,
                                            const TopicBeginning& beginning);

struct Claim {
  const ClaimRequest* request = nullptr;
  Epoch least = Epoch::none;  // the epoch is not below it
};
struct Taken {
  Epoch epoch = Epoch::none;
  Offset next_offset = 0;
  std::int32_t leader_epoch = -1;
};

// Raises the epochs of rows that lock_rows() has locked.
[[nodiscard]] postgres::Try<std::map<Key, Taken>> take_rows(postgres::Connection& connection,
                                                            const std::string& pipeline,
                                                            const std::string& owner,
                                                            const std::vector<Claim>& claims);

// Clears the owner of those that still have their epoch. What somebody holds is about to have
// another one, and is left alone.
[[nodiscard]] postgres::Try<void> release_rows(postgres::Connection& connection,
                                               const std::string& pipeline, const KeyColumns& keys,
                                               const ArrayText& epochs);

}  // namespace penstock::offsets
