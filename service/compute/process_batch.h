// The whole task of a worker: one RecordBatch in, one RowBatch out.
//
// Place in the flow: plan/ makes one per worker with the reader of the pipeline's format; process()
// is called for every batch. A template, so that compute/ does not know the formats and no record
// pays for a virtual call.
// A Reader has `read(payload, arena, slots)` and returns a verdict with ok(), reason and message;
// and a static `field_names(payload, path)` (Evaluator::FieldNames).
//
// Threads: one thread at a time. The Projection and the targets must outlive it.
// Failure: a record that cannot become a row becomes a reject; an exception from inside a record
// becomes the reject `internal_error` of that record and does not touch its neighbours. Only
// running out of memory for the batch itself leaves process().
#pragma once

#include <exception>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "compute/row_builder.h"

namespace penstock::compute {

template <typename Reader>
class BatchProcessor {
 public:
  // `targets` are what the projection was compiled for, one for each route.
  BatchProcessor(const Projection& projection, std::span<const Target> targets, Reader reader)
      : builder_(projection, targets, &Reader::field_names), reader_(std::move(reader)) {}

  // As Processor::process().
  [[nodiscard]] std::unique_ptr<RowBatch> process(std::unique_ptr<RecordBatch> batch,
                                                  std::size_t most_bytes) {
    builder_.start(std::move(batch));
    const std::size_t count = builder_.source().size();
    for (std::size_t i = 0; i < count; ++i) {
      if (builder_.row_bytes() >= most_bytes && i > 0) [[unlikely]] {
        builder_.cut(i);
        break;
      }
      try {
        process_record(static_cast<std::uint32_t>(i));
      } catch (const std::exception& error) {
        builder_.reject(Stage::compute, "internal_error",
                        std::string("unexpected failure: ") + error.what());
      }
    }
    return builder_.finish();
  }
  [[nodiscard]] std::unique_ptr<RowBatch> process(std::unique_ptr<RecordBatch> batch) {
    return process(std::move(batch), std::numeric_limits<std::size_t>::max());
  }

 private:
  void process_record(std::uint32_t index) {
    const RecordView record = builder_.source().record(index);
    if (!builder_.begin_record(index, record)) return;
    auto verdict = reader_.read(*record.value, builder_.arena(), builder_.slots());
    if (!verdict.ok()) [[unlikely]] {
      builder_.reject(Stage::parse, verdict.reason, std::move(verdict.message));
      return;
    }
    builder_.finish_record();
  }

  RowBuilder builder_;
  Reader reader_;
};

}  // namespace penstock::compute
