#include "ingest/mirror.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>

#include "ingest/assignment.h"
#include "kafka/group.h"
#include "kafka/handle.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kEvery(500);
// librdkafka answers a commit; if it should not, we go on without the answer.
constexpr milliseconds kPatience(30'000);

}  // namespace

bool Mirror::note(const std::shared_ptr<Chain>& chain, Offset offset) {
  const MutexLock lock(mutex_);
  const bool first = noted_.empty();
  noted_[chain->partition] = {chain, offset};
  return first;
}

void Mirror::take_back(Positions positions) {
  const MutexLock lock(mutex_);
  noted_.merge(positions);  // what was noted since is newer
}

// Not during a rebalance: librdkafka before 2.10 may lose the assignment when a commit is answered
// with ILLEGAL_GENERATION (https://github.com/confluentinc/librdkafka/pull/4908).
std::optional<SteadyTime> Mirror::send(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka,
                                       Assignment& assignment) {
  if (!sent_.empty() && now < begin_ + kPatience) return std::nullopt;  // the answer wakes us
  sent_.clear();
  Positions positions;
  {
    const MutexLock lock(mutex_);
    if (noted_.empty()) return std::nullopt;
    if (now < next_) return next_;
    next_ = now + kEvery;
    if (assignment.rebalancing()) return next_;
    positions.swap(noted_);
  }
  std::erase_if(positions, [&](const auto& entry) {
    const Partition* partition = assignment.find(entry.first);
    return partition == nullptr || partition->chain != entry.second.chain;
  });
  if (positions.empty()) return std::nullopt;
  sent_ = positions;
  begin_ = now;
  std::vector<std::pair<std::string, std::pair<std::int32_t, Offset>>> entries;
  for (const auto& [id, position] : positions) {
    entries.emplace_back(options_.topics.name(id.topic), std::pair(id.partition, position.offset));
  }
  jobs_.start(Jobs::Kind::saying, [this, kafka, entries = std::move(entries),
                                   generation = assignment.generation(),
                                   post = jobs_.poster()](const std::stop_token&) {
    // The generation changes when the group has begun to form anew, before any callback says so.
    if (kafka::generation_of(kafka.get()) != generation) {
      post([this] { take_back(std::exchange(sent_, {})); });
      return;
    }
    const kafka::PartitionList list(
        rd_kafka_topic_partition_list_new(static_cast<int>(entries.size())));
    for (const auto& [topic, place] : entries) {
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), place.first)->offset =
          place.second;
    }
    if (rd_kafka_commit(kafka.get(), list.get(), 1) == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    post([this] {
      stats_.mirror_failures.add(sent_.size());
      sent_.clear();
    });
  });
  return std::nullopt;
}

void Mirror::answered(int code, const rd_kafka_topic_partition_list_s* list) {
  const Positions sent = std::exchange(sent_, {});
  if (list == nullptr) return;
  const SteadyTime end = options_.clock->steady_now();
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& entry = list->elems[i];
    const auto error =
        code != RD_KAFKA_RESP_ERR_NO_ERROR ? static_cast<rd_kafka_resp_err_t>(code) : entry.err;
    const bool failed = error != RD_KAFKA_RESP_ERR_NO_ERROR;
    (failed ? stats_.mirror_failures : stats_.mirrored).add();
    const auto topic = options_.topics.find(entry.topic);
    if (!topic) continue;
    const auto found = sent.find({*topic, entry.partition});
    if (found == sent.end()) continue;
    events_.mirrored(*found->second.chain, entry.offset, begin_, end,
                     failed ? rd_kafka_err2str(error) : "");
  }
}

}  // namespace penstock::ingest
