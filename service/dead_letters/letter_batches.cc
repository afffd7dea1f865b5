#include "dead_letters/letter_batches.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "text/base64.h"

namespace penstock::dead_letters {
namespace {

std::optional<std::string_view> view(const std::optional<std::string>& bytes) {
  return bytes ? std::optional<std::string_view>(*bytes) : std::nullopt;
}

bool is_large(const Letter& letter) {
  return letter.value && letter.value->size() > RecordBatch::kLargeBytes;
}

// False: they are not as headers_json() of write/dead_letter.h writes them.
bool add_headers(RecordBatch& batch, const std::string& text) {
  const auto headers = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!headers.is_array()) return false;
  for (const auto& header : headers) {
    if (!header.is_object() || !header.contains("name") || !header.contains("value")) return false;
    const auto& name = header["name"];
    const auto& value = header["value"];
    if (!name.is_string() || (!value.is_string() && !value.is_null())) return false;
    std::string bytes;
    if (value.is_string() && !text::decode_base64(value.get_ref<const std::string&>(), bytes)) {
      return false;
    }
    batch.add_header(name.get_ref<const std::string&>(),
                     value.is_null() ? std::nullopt : std::optional<std::string_view>(bytes));
  }
  return true;
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
    if (!add_headers(*batch.records, letter.headers)) {
      return fail(ErrorKind::conflict,
                  "the headers of dead letter " + std::to_string(letter.id) +
                      " are not as Penstock writes them",
                  "penstock dead-letters show " + std::to_string(letter.id) +
                      " has them; purge it, or correct them");
    }
  }
  return batches;
}

}  // namespace penstock::dead_letters
