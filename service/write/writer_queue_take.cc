// What a queue gives to a transaction, and takes back.
#include <algorithm>
#include <utility>

#include "write/writer_queue.h"

namespace penstock::write {

// While a table refuses what some chains have: whose batches come first.
WriterQueue::Turns WriterQueue::sort_by_turn() {
  Turns turns;
  if (!left_out.empty()) return turns;  // they stand in front
  for (const Waiting& waiting : waiting_) {
    const Chain& chain = *waiting.part.batch->chain();
    const std::optional<Suspects::Turn> when = writer->suspects.turn_of(chain);
    if (!when) return {};
    turns.try_emplace(&chain, *when);
  }
  std::ranges::stable_sort(waiting_, {}, [&turns](const Waiting& waiting) {
    return turns.at(waiting.part.batch->chain().get());
  });
  return turns;
}

// ---- What is held

bool WriterQueue::hold(const std::shared_ptr<Chain>& chain, Offset at, SteadyTime until,
                       SteadyTime now) {
  const MutexLock lock(mutex_);
  return patience.hold(chain, at, until, now);
}

void WriterQueue::advanced(Chain& chain, Offset next) {
  if (!patience.advanced(chain, next)) return;
  chain.set_waiting({});
  const MutexLock lock(mutex_);
  const auto held = std::ranges::find_if(
      aside_, [&chain](const auto& entry) { return entry.first.get() == &chain; });
  if (held == aside_.end()) return;
  bring_back(std::move(held->second));
  aside_.erase(held);
}

std::vector<std::shared_ptr<Chain>> WriterQueue::held_up() {
  std::vector<std::shared_ptr<Chain>> found;
  const MutexLock lock(mutex_);
  for (const auto& [chain, batches] : aside_) {
    if (chain->hurried() && chain->running()) found.push_back(chain);
  }
  return found;
}

void WriterQueue::bring_back(std::deque<Waiting> aside) {
  for (; !aside.empty(); aside.pop_back()) push_front(std::move(aside.back()));
}

void WriterQueue::bring_back(SteadyTime now) {
  if (aside_.empty() || !left_out.empty()) return;  // they stand in front
  for (auto held = aside_.begin(); held != aside_.end();) {
    const Patience::Hold* const hold = patience.held(*held->first);
    if (hold != nullptr && now < hold->retry_at) {
      ++held;
      continue;
    }
    bring_back(std::move(held->second));
    held = aside_.erase(held);
  }
}

// Records that are tried again have a transaction of their own, so that they cost the others none.
WriterQueue::Place WriterQueue::place_of_next(Group& taken, SteadyTime now) {
  Part& part = waiting_.front().part;
  const std::shared_ptr<Chain>& chain = part.batch->chain();
  const Patience::Hold* const hold = patience.held(*chain);
  const bool is_retry = hold != nullptr && now < hold->until;
  if (!is_retry) return taken.is_retry ? Place::later : Place::here;
  const bool has_begun = std::ranges::any_of(
      taken.parts, [&chain](const Part& other) { return other.batch->chain() == chain; });
  if (now < hold->retry_at || has_begun) {
    // A part that was put back is older than what stands there.
    std::deque<Waiting>& aside = aside_[chain];
    const Offset begin = part.range().from;
    const auto behind = std::ranges::find_if(
        aside, [begin](const Waiting& other) { return other.part.range().from > begin; });
    part.end = static_cast<std::uint32_t>(part.batch->source->size());
    aside.insert(behind, pop_front());
    return Place::aside;
  }
  if (!taken.parts.empty() && !taken.is_retry) return Place::later;
  taken.is_retry = true;
  part.end = part.first + 1;
  return Place::here;
}

void WriterQueue::take_group(SteadyTime now) {
  std::vector<Waiting> dropped;
  Group taken;
  {
    const MutexLock lock(mutex_);
    bring_back(now);
    const Turns turns = sort_by_turn();
    const std::size_t limit = left_out.empty()   ? limit_
                              : neighbour_passed ? 1
                                                 : left_out.size() + 1;
    const bool cuts = is_limited() || !left_out.empty();
    std::size_t rows = 0;
    std::size_t bytes = 0;
    while (!waiting_.empty()) {
      Waiting& next = waiting_.front();
      if (!next.part.batch->chain()->running()) {
        dropped.push_back(pop_front());
        continue;
      }
      if (patience.is_on()) {
        const Place place = place_of_next(taken, now);
        if (place == Place::aside) continue;
        if (place == Place::later) break;
      }
      if (!turns.empty() && !taken.parts.empty() &&
          turns.at(next.part.batch->chain().get()) !=
              turns.at(taken.parts.front().batch->chain().get())) {
        break;
      }
      if (!stops_.empty() && !cut(next.part, taken)) break;
      if (!taken.parts.empty() && (bytes + next.bytes > writer->options.max_bytes ||
                                   !taken.accepts(next.part) || rows >= limit)) {
        break;
      }
      if (cuts) {
        const std::vector<std::uint32_t> records = next.part.records_with_rows();
        const std::size_t room = limit - std::min(rows, limit);
        if (records.size() > room) {
          if (room == 0) break;
          Part part = pop_front().part;
          part.end = records[room];
          taken.parts.push_back(std::move(part));
          break;
        }
        rows += records.size();
      } else {
        if (!taken.parts.empty() && rows + next.rows > limit) break;
        rows += next.rows;
      }
      bytes += next.bytes;
      taken.parts.push_back(std::move(pop_front().part));
    }
  }
  count_dropped(dropped.size());
  if (taken.parts.empty()) return;
  taken.others_pass =
      writer->suspects.turn_of(*taken.parts.front().batch->chain()) == Suspects::Turn::guilty;
  if (patience.is_on()) taken.patience = &patience;
  taken.careful = taken.is_retry;  // most of them will be refused once more
  taken.index(columns_);
  leave_out_of(taken);
  group = std::move(taken);
}

void WriterQueue::stop_before(RecordPlace place) {
  const RecordBatch& source = *group->parts[place.part].batch->source;
  std::erase_if(stops_, [&source](const auto& stop) { return stop.first == source.chain(); });
  stops_.emplace_back(source.chain(), source.record(place.record).offset);
}

bool WriterQueue::cut(Part& part, const Group& taken) {
  std::erase_if(stops_, [](const auto& stop) { return !stop.first->running(); });
  const RecordBatch& source = *part.batch->source;
  const auto stop =
      std::ranges::find(stops_, source.chain(), &std::pair<std::shared_ptr<Chain>, Offset>::first);
  if (stop == stops_.end()) return true;
  std::uint32_t end = part.first;
  while (end < part.end && source.record(end).offset < stop->second) ++end;
  if (end == part.end) return true;  // it ends before
  if (end > part.first) {
    part.end = end;
    return true;
  }
  const bool has_begun = std::ranges::any_of(
      taken.parts, [&source](const Part& other) { return other.batch->chain() == source.chain(); });
  if (!has_begun) stops_.erase(stop);
  return !has_begun;
}

void WriterQueue::leave_out_of(Group& taken) {
  const std::size_t records = taken.records();
  for (std::size_t i = 0; i < left_out.size() && i < records; ++i) {
    const RecordPlace place = taken.place(i);
    const RecordBatch& source = *taken.parts[place.part].batch->source;
    const bool is_there = source.chain() == left_out[i].chain &&
                          source.record(place.record).offset == left_out[i].offset;
    if (is_there) continue;
    clear_left_out();  // batches of an ended chain are gone
  }
  if (left_out.empty() || records == 0) return;
  taken.probes = !failed_once_more;
  const std::size_t count = failed_once_more   ? 1
                            : neighbour_passed ? 0
                                               : std::min(left_out.size(), records - 1);
  for (std::size_t i = 0; i < count; ++i) {
    Refusal& refusal = taken.left_out.emplace_back(left_out[i].why);
    refusal.record = i;
  }
}

void WriterQueue::clear_left_out() {
  left_out.clear();
  neighbour_passed = false;
  failed_again = 0;
  failed_once_more = false;
}

void WriterQueue::forget_spoiled() {
  spoiled_by.reset();
  if (std::exchange(spoiled, 0) == 0) return;
  clear_left_out();
  if (!unknown) put_back();
}

void WriterQueue::leave_out(RecordPlace place, const postgres::Failure& failure) {
  const RecordBatch& source = *group->parts[place.part].batch->source;
  left_out.push_back(
      {source.chain(), source.record(place.record).offset, refusal_of(place.record, failure, {})});
}

void WriterQueue::put_back() {
  if (!group) return;
  const MutexLock lock(mutex_);
  if (closed_) return;
  for (auto part = group->parts.rbegin(); part != group->parts.rend(); ++part) {
    part->end = static_cast<std::uint32_t>(part->batch->source->size());
    push_front(std::move(*part));
  }
  group.reset();
}

std::vector<std::unique_ptr<RowBatch>> WriterQueue::finish_group() {
  std::vector<std::unique_ptr<RowBatch>> done;
  for (Part& part : group->parts) {
    if (part.is_last()) {
      done.push_back(std::move(part.batch));
      continue;
    }
    part.first = part.end;
    part.end = static_cast<std::uint32_t>(part.batch->source->size());
    const MutexLock lock(mutex_);
    if (!closed_) push_front(std::move(part));
  }
  group.reset();
  return done;
}

}  // namespace penstock::write
