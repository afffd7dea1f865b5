// Chains as tests make them: of a partition that nobody claimed.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "core/chain.h"
#include "core/record_batch.h"

namespace penstock::test {

inline std::shared_ptr<Chain> chain(PartitionId partition = {}, Epoch epoch = Epoch{1},
                                    Offset next = 0, std::shared_ptr<const Plan> plan = nullptr) {
  return std::make_shared<Chain>(partition, epoch, next, std::move(plan));
}

// Of a chain, the records [from, to), each with the payload "x".
inline std::unique_ptr<RecordBatch> records(std::shared_ptr<Chain> of, Offset from, Offset to) {
  auto batch = std::make_unique<RecordBatch>(std::move(of), from, std::size_t{64});
  for (Offset offset = from; offset < to; ++offset) {
    batch->add_record(offset, -1, std::nullopt, "x");
  }
  return batch;
}

}  // namespace penstock::test
