#include "write/brake.h"

#include <algorithm>
#include <cstdint>
#include <format>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/chain.h"
#include "core/reject_window.h"
#include "text/plural.h"
#include "write/bisect.h"
#include "write/refused_columns.h"

namespace penstock::write {
namespace {

// Walks the records of a group, part by part. `window(chain)` is where they are counted;
// `rejected(letter, part)` is told of each dead letter and says whether to go on.
template <typename Window, typename Rejected>
void walk(const Group& group, std::span<const DeadLetter> letters, Window window,
          Rejected rejected) {
  auto letter = letters.begin();
  for (std::uint32_t i = 0; i < group.parts.size(); ++i) {
    const Part& part = group.parts[i];
    RejectWindow& counted = window(*part.batch->chain());
    std::uint32_t at = part.first;
    for (; letter != letters.end() && letter->place.part == i; ++letter) {
      counted.pass(letter->place.record - at);
      counted.reject();
      at = letter->place.record + 1;
      if (!rejected(*letter, counted)) return;
    }
    counted.pass(part.end - at);
  }
}

std::string hint_of(const Chain& chain) {
  return "nothing of them is lost; correct the producer, the table or the pipeline, or let them "
         "become dead letters: penstock ctl resume " +
         std::string(chain.plan->pipeline()) + " --accept-rejects";
}

// `refusal`: of a letter that PostgreSQL has refused; else null.
Error error_of(const DeadLetter& letter, const Refusal* refusal, const RejectWindow& window,
               std::size_t limit) {
  const RecordBatch& source = *letter.source;
  const Chain& chain = *source.chain();
  // What PostgreSQL says of a row may hold what is in it: that is for the dead letter only.
  std::string why(letter.stage == Stage::write ? letter.sqlstate : letter.message);
  if (refusal != nullptr) why += place_of(*refusal);
  std::string message = std::format(
      "too many records are rejected: {} of the last {} up to offset {} of {}[{}], where {} are "
      "too "
      "many; this one by {} ({}{}{})",
      window.rejects(), RejectWindow::kRecords, source.record(letter.place.record).offset,
      chain.plan->topic(chain.partition.topic), chain.partition.partition, limit,
      to_string(letter.stage), letter.reason, why.empty() ? "" : ": ", why);
  return Error{ErrorKind::conflict, std::move(message), hint_of(chain), {}};
}

// What every record of a partition is rejected for when its rows are made is the table's doing, or
// that of a producer that has changed. That shows before any of them is a dead letter.
std::optional<TooMany> find_all_rejected(const Group& group, std::span<const DeadLetter> letters) {
  struct Count {
    const DeadLetter* first = nullptr;
    std::size_t letters = 0;
    bool is_one_cause = true;
  };
  std::map<const Chain*, Count> counts;
  for (const DeadLetter& letter : letters) {
    Count& count = counts[letter.source->chain().get()];
    if (count.letters++ == 0) count.first = &letter;
    count.is_one_cause =
        count.is_one_cause && letter.stage == Stage::encode && letter.reason == count.first->reason;
  }
  for (const Part& part : group.parts) {
    if (part.rows() > 0) counts.erase(part.batch->chain().get());
  }
  for (const Advance& advance : group.advances()) {
    const auto found = counts.find(advance.chain.get());
    if (found == counts.end() || advance.chain->rejects.accepts()) continue;
    const auto& [first, rejected, is_one_cause] = found->second;
    if (!is_one_cause || rejected < kTableFaultFrom) continue;
    const Chain& chain = *advance.chain;
    return TooMany{
        .place = first->place,
        .is_next = group.begins_chain(first->place),
        .error = Error{
            ErrorKind::conflict,
            std::format("too many records are rejected: each that came of {}[{}] from offset {} on "
                        "({}), by {} ({}: {})",
                        chain.plan->topic(chain.partition.topic), chain.partition.partition,
                        first->source->record(first->place.record).offset,
                        text::counted(static_cast<std::int64_t>(rejected), "record"),
                        to_string(first->stage), first->reason, first->message),
            hint_of(chain),
            {}}};
  }
  return std::nullopt;
}

}  // namespace

std::optional<TooMany> find_too_many(const Group& group, std::span<const Refusal> refusals,
                                     std::size_t limit) {
  for (const Advance& advance : group.advances()) {
    if (advance.chain->take_acceptance()) advance.chain->rejects.accept();
  }
  const std::vector<DeadLetter> letters = dead_letters_of(group, refusals);
  if (letters.empty()) return std::nullopt;
  if (limit < RejectWindow::kNever) {
    if (auto all = find_all_rejected(group, letters)) return all;
  }
  const auto refusal_of = [&](const DeadLetter& letter) -> const Refusal* {
    if (letter.stage != Stage::write) return nullptr;
    const auto found = std::ranges::find_if(refusals, [&](const Refusal& refusal) {
      return group.place(refusal.record) == letter.place;
    });
    return found != refusals.end() ? &*found : nullptr;
  };
  std::map<const Chain*, RejectWindow> windows;  // as they would be
  std::optional<TooMany> found;
  walk(
      group, letters,
      [&](const Chain& chain) -> RejectWindow& {
        return windows.try_emplace(&chain, chain.rejects).first->second;
      },
      [&](const DeadLetter& letter, const RejectWindow& window) {
        if (!window.is_too_many(limit)) return true;
        found = TooMany{.place = letter.place,
                        .is_next = group.begins_chain(letter.place),
                        .error = error_of(letter, refusal_of(letter), window, limit)};
        return false;
      });
  return found;
}

void count_rejects(const Group& group, std::span<const Refusal> refusals, std::size_t limit) {
  walk(
      group, dead_letters_of(group, refusals),
      [](Chain& chain) -> RejectWindow& { return chain.rejects; },
      [](const DeadLetter&, const RejectWindow&) { return true; });
  for (const Advance& advance : group.advances()) advance.chain->rejects.settle(limit);
}

bool decides(const Group& group, std::size_t limit) {
  return std::ranges::all_of(group.advances(), [limit](const Advance& advance) {
    const RejectWindow& rejects = advance.chain->rejects;
    return rejects.accepts() || rejects.rejects() + 1 >= limit;
  });
}

}  // namespace penstock::write
