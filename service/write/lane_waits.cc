// What a lane does with records that PostgreSQL refuses now and may take a little later
// (`dead_letters.retry_for`): their partitions stand still, each at its first one, and the others
// go on.
#include <chrono>
#include <format>
#include <set>
#include <string>
#include <utility>

#include "core/log.h"
#include "write/lane.h"
#include "write/refused_columns.h"

namespace penstock::write {
namespace {

// So many records are enough of a transaction while some wait: each of them may stop it.
constexpr std::size_t kRecordsWhileOneWaits = 256;

// Without PostgreSQL's message, which may hold what is in the row.
std::string describe(const Chain& chain, Offset offset, const Refusal& why, SystemTime until) {
  return std::format(
      "offset {} of {}[{}] is refused by PostgreSQL ({} {}{}) and tried again until {:%FT%TZ}, by "
      "dead_letters.retry_for; what comes after it waits",
      offset, chain.plan->topic(chain.partition.topic), chain.partition.partition, why.sqlstate,
      why.reason, place_of(why), std::chrono::ceil<std::chrono::seconds>(until));
}

}  // namespace

void Lane::wait(WriterQueue& queue, std::span<const WaitingRecord> waiting) {
  const Group& group = *queue.group;
  const SteadyTime at = now();
  std::set<const Chain*> seen;
  for (const WaitingRecord& one : waiting) {
    const RecordPlace place = group.place(one.why.record);
    const RecordBatch& source = *group.parts[place.part].batch->source;
    const std::shared_ptr<Chain>& chain = source.chain();
    const Offset offset = source.record(place.record).offset;
    queue.patience.note(chain, offset, group.tried_at);
    if (!seen.insert(chain.get()).second) continue;
    if (!group.begins_chain(place)) {  // what comes before is committed by itself
      queue.stop_before(place);
      continue;
    }
    const bool is_news = queue.hold(chain, offset, one.until, at);
    const SystemTime until =
        clock_.system_now() + std::chrono::duration_cast<SystemTime::duration>(one.until - at);
    std::string reason = describe(*chain, offset, one.why, until);
    if (is_news) {
      log(LogLevel::warning, "record_waits",
          {{"pipeline", group.plan().pipeline()},
           {"topic", group.plan().topic(chain->partition.topic)},
           {"partition", chain->partition.partition},
           {"offset", offset},
           {"reason", one.why.reason},
           {"sqlstate", one.why.sqlstate},
           {"constraint", one.why.constraint},
           {"what", reason}});
    }
    chain->set_waiting(std::move(reason));
  }
  if (group.records() > kRecordsWhileOneWaits) queue.probe(kRecordsWhileOneWaits);
  queue.put_back();
}

// A drain, a shutdown or a revocation waits for what is in flight: what is held is given up, and
// whoever claims the partition next reads it again.
void Lane::put_off(WriterQueue& queue) {
  for (const std::shared_ptr<Chain>& chain : queue.held_up()) {
    if (!chain->end(ChainEnd::put_off)) continue;
    log(LogLevel::info, "waiting_records_put_off",
        {{"pipeline", chain->plan->pipeline()},
         {"topic", chain->plan->topic(chain->partition.topic)},
         {"partition", chain->partition.partition},
         {"from", chain->committed()}});
    queue.look_again();
    queue.writer->events.put_off(chain);
  }
}

}  // namespace penstock::write
