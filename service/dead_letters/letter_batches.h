// Dead letters as the records that they were: what a pipeline's processor takes.
//
// Place: between store.h and the pipeline's plan, in a redrive. Threads: a pure function.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/plan.h"
#include "core/record_batch.h"
#include "dead_letters/letter.h"

namespace penstock::dead_letters {

// Records of one partition, and the letter that each of them comes from.
struct LetterBatch {
  std::unique_ptr<RecordBatch> records;
  std::vector<std::int64_t> ids;  // by record
};

// In the order of `letters`, whose topics are the plan's: neighbours of one partition whose offsets
// ascend share a batch, and a large record has one to itself. `conflict` for headers that are not
// as Penstock writes them.
[[nodiscard]] Result<std::vector<LetterBatch>> batches_of(std::span<const Letter> letters,
                                                          const std::shared_ptr<const Plan>& plan);

}  // namespace penstock::dead_letters
