#include "plan/compiled_plan.h"

#include <utility>

#include "compute/process_batch.h"

namespace penstock::plan {
namespace {

// The decoder is a template parameter, so that no record pays for a virtual call.
template <typename Reader>
class ProcessorOf final : public Processor {
 public:
  ProcessorOf(const compute::Projection& projection, std::span<const Target> targets, Reader reader)
      : batches_(projection, targets, std::move(reader)) {}

  using Processor::process;
  std::unique_ptr<RowBatch> process(std::unique_ptr<RecordBatch> batch,
                                    std::size_t most_bytes) override {
    return batches_.process(std::move(batch), most_bytes);
  }

 private:
  compute::BatchProcessor<Reader> batches_;
};

}  // namespace

CompiledPlan::CompiledPlan(std::string pipeline, Topics topics, postgres::ServerDescription server,
                           std::vector<Target> targets, compute::Projection projection,
                           formats::JsonOptions format, std::string version)
    : Plan(std::move(pipeline), std::move(topics), std::move(targets), std::move(version)),
      server_(std::move(server)),
      projection_(std::move(projection)),
      format_(format),
      fields_(projection_.inputs()) {}

std::unique_ptr<Processor> CompiledPlan::make_processor() const {
  return std::make_unique<ProcessorOf<formats::JsonReader>>(projection_, targets(),
                                                            formats::JsonReader(format_, fields_));
}

}  // namespace penstock::plan
