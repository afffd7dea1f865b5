// What of penstock.dead_letters waits to be copied: the table is the queue.
//
// Place: copier.h takes letters from it, and says which of them are copied.
// Threads: any; each call leases a connection of the pool and blocks its caller for up to half a
// minute. Failure: as the database says it, with what to do; a stop ends the waiting (`cancelled`).
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "dead_letters/letter.h"

namespace penstock::postgres {
class Pool;
}

namespace penstock::dead_letters {

struct SourcePartition {
  std::string topic;
  std::int32_t partition = 0;
};

class CopyQueue {
 public:
  // Letters of this pipeline.
  CopyQueue(postgres::Pool& pool, std::string pipeline, std::stop_token stop)
      : pool_(pool), pipeline_(std::move(pipeline)), stop_(std::move(stop)) {}

  // How many wait, of records of these partitions; of very many the first ones only are counted.
  static constexpr std::int64_t kMostCounted = 100'000;
  [[nodiscard]] Result<std::int64_t> count(std::span<const SourcePartition> partitions);
  // Some of them, whole, in the order of their ids, from the first that comes after `after`: a few
  // hundred and about a megabyte, but at least one. None: there are no more.
  [[nodiscard]] Result<std::vector<Letter>> page(std::span<const SourcePartition> partitions,
                                                 std::int64_t after);
  // These wait no longer. One that is not there any more has become a row meanwhile.
  [[nodiscard]] Result<void> confirm(std::span<const std::int64_t> ids);

 private:
  postgres::Pool& pool_;
  const std::string pipeline_;
  const std::stop_token stop_;
};

}  // namespace penstock::dead_letters
