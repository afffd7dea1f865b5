// A chain without a flow around it, for what is given up.
#pragma once

#include <memory>

#include "core/chain.h"
#include "core/plan.h"

namespace penstock::test {

// Of pipeline "p", whose one topic is "t".
class BarePlan final : public Plan {
 public:
  BarePlan() : Plan("p", {"t"}, {}) {}
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

[[nodiscard]] inline std::shared_ptr<Chain> chain_of(std::int32_t partition, std::int64_t epoch) {
  return std::make_shared<Chain>(PartitionId{0, partition}, Epoch{epoch}, 0,
                                 std::make_shared<BarePlan>());
}

}  // namespace penstock::test
