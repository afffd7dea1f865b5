#include "dead_letters/letter_batches.h"

#include <algorithm>
#include <string>
#include <utility>

namespace penstock::dead_letters {
namespace {

std::optional<std::string_view> view(const std::optional<std::string>& bytes) {
  return bytes ? std::optional<std::string_view>(*bytes) : std::nullopt;
}

bool is_large(const Letter& letter) {
  return letter.value && letter.value->size() > RecordBatch::kLargeBytes;
}

std::unique_ptr<RecordBatch> begin_batch(const Letter& letter, PartitionId partition,
                                         const std::shared_ptr<const Plan>& plan) {
  auto chain = std::make_shared<Chain>(partition, Epoch::none, letter.offset, plan);
  return std::make_unique<RecordBatch>(std::move(chain), letter.offset,
                                       letter.value ? letter.value->size() : 0);
}

}  // namespace

Result<std::vector<LetterBatch>> batches_of(std::span<const Letter> letters,
                                            const std::shared_ptr<const Plan>& plan) {
  std::vector<LetterBatch> batches;
  for (const Letter& letter : letters) {
    const PartitionId partition{.topic = plan->topics().find(letter.topic).value(),
                                .partition = letter.partition};
    const bool goes_on = !batches.empty() && batches.back().records->partition() == partition &&
                         batches.back().records->range().to <= letter.offset &&
                         !batches.back().records->is_large() && !is_large(letter);
    if (!goes_on) batches.push_back({.records = begin_batch(letter, partition, plan), .ids = {}});
    LetterBatch& batch = batches.back();
    batch.records->add_record(letter.offset, letter.timestamp_ms, view(letter.key),
                              view(letter.value));
    batch.ids.push_back(letter.id);
    const auto headers = headers_of(letter);
    if (!headers) return std::unexpected(unreadable_headers(letter));
    for (const auto& [name, value] : *headers) batch.records->add_header(name, view(value));
  }
  return batches;
}

}  // namespace penstock::dead_letters
