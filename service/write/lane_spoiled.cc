// What a lane does when its session ends in the middle of the same rows again and again, or is of
// no use after them, although new sessions work: it looks for the one record of which that comes.
// So it is with a trigger that ends its own backend, throws away prepared statements, makes the
// transaction read-only or takes another role.
//
// Transactions are halved as if they were too much, until one record is alone, and that is a dead
// letter if it fails, a neighbour passes, it fails, a neighbour passes, and it fails again. A
// server that cannot be reached in between, or was started anew, ends every suspicion: it was an
// outage.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "core/log.h"
#include "write/lane.h"

namespace penstock::write {
namespace {

// So often in a row may it be anything: somebody ends our sessions, a link breaks.
constexpr int kAnybodysTries = 3;

// Who is ended without a word after a longer time than this has a link that fell silent.
constexpr std::chrono::seconds kPrompt(5);

}  // namespace

bool Lane::suspects_a_record(const WriterQueue& queue) { return queue.spoiled >= kAnybodysTries; }

// A transaction failed as it does when one of its records has ended or spoiled its session. False:
// as yet it is a failure like any other.
bool Lane::spoiled(WriterQueue& queue, const postgres::Failure& failure) {
  if (failure.error.sqlstate.empty() && now() - queue.last_begin > kPrompt) return false;
  queue.spoiled_by = failure;
  if (queue.spoiled + 1 < kAnybodysTries || !queue.group) return false;
  log(LogLevel::warning, "write_failed",
      {{"pipeline", queue.writer->options.pipeline},
       {"lane", number_},
       {"error", failure.error.to_string()},
       {"constraint", failure.constraint}});
  lose_session();  // whatever the record did to it
  ++queue.failures;
  queue.resume_at = now() + queue.breaker.delay();
  const bool is_configuration = failure.failure == postgres::FailureClass::configuration;
  tell(queue, Stall{.kind = is_configuration ? Stall::Kind::configuration : Stall::Kind::waits,
                    .error = describe_spoiled(*queue.group, failure)});
  return true;
}

// A new session works.
void Lane::judge_spoiled(WriterQueue& queue) {
  const postgres::Failure failure = *std::exchange(queue.spoiled_by, std::nullopt);
  if (!queue.group) return;
  const bool is_known = suspects_a_record(queue);
  ++queue.spoiled;
  if (is_known) too_much(queue, failure);
}

Error Lane::describe_spoiled(const Group& group, const postgres::Failure& failure) {
  Error error = failure.error;
  // A grant that somebody has revoked looks the same, and is more likely.
  if (failure.failure == postgres::FailureClass::configuration) return error;
  error.kind = ErrorKind::unavailable;
  error.message =
      failure.connection_lost
          ? "the connection ends each time that the same records are written, and a new "
            "one works"
          : "the session cannot be used each time that the same records are written, "
            "and a new one can";
  if (group.records() > group.left_out.size()) {
    const RecordPlace place = group.place(group.left_out.size());
    const RecordBatch& source = *group.parts[place.part].batch->source;
    const Chain& chain = *source.chain();
    error.message += " (from " + chain.plan->topic(chain.partition.topic) + ", partition " +
                     std::to_string(chain.partition.partition) + ", offset " +
                     std::to_string(source.record(place.record).offset) + " on)";
  }
  error.message += ": " + failure.error.message;
  if (const std::string context = postgres::inner_context(failure); !context.empty()) {
    error.message += " [" + context + "]";
  }
  error.hint =
      "it is looked for the one record of which it comes, which becomes a dead letter as soon as "
      "others are written";
  return error;
}

void Lane::forget_spoiled() {
  for (const auto& queue : queues()) {
    const MutexLock turn(queue->turn);
    queue->forget_spoiled();
  }
}

}  // namespace penstock::write
