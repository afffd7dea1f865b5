#include "config/kafka_properties.h"

#include <algorithm>
#include <array>
#include <utility>

namespace penstock::config {
namespace {

constexpr std::string_view kPosition =
    "positions are in PostgreSQL, in the transaction of the rows; remove it";
constexpr std::string_view kProtocol =
    "partitions are claimed and fenced under the classic protocol with cooperative rebalancing; "
    "remove it";
constexpr std::string_view kCallback = "it takes a pointer and cannot be configured; remove it";

constexpr std::array<std::pair<std::string_view, std::string_view>, 33> kReserved{{
    {"auto.commit.enable", kPosition},
    {"auto.commit.interval.ms", kPosition},
    {"auto.offset.reset", "use source.start_at; after a first claim the stored position decides"},
    {"background_event_cb", kCallback},
    {"closesocket_cb", kCallback},
    {"connect_cb", kCallback},
    {"consume_cb", kCallback},
    {"default_topic_conf", kCallback},
    {"enable.auto.commit", kPosition},
    {"enable.auto.offset.store", kPosition},
    {"enable.partition.eof", "remove it: the end of a log is not an event here"},
    {"enabled_events", kCallback},
    {"error_cb", kCallback},
    {"group.id", "use source.group"},
    {"group.protocol", kProtocol},
    {"group.protocol.type", kProtocol},
    {"group.remote.assignor", kProtocol},
    {"interceptors", kCallback},
    {"log.queue", "logs go through Penstock's own; remove it"},
    {"log_cb", kCallback},
    {"oauthbearer_token_refresh_cb", kCallback},
    {"offset.store.method", kPosition},
    {"offset.store.path", kPosition},
    {"offset.store.sync.interval.ms", kPosition},
    {"offset_commit_cb", kCallback},
    {"opaque", kCallback},
    {"open_cb", kCallback},
    {"partition.assignment.strategy", kProtocol},
    {"queued.max.messages.kbytes", "prefetch is part of resources.memory_bytes; use that"},
    {"rebalance_cb", kCallback},
    {"resolve_cb", kCallback},
    {"socket_cb", kCallback},
    {"stats_cb", kCallback},
}};
static_assert(std::ranges::is_sorted(kReserved));

}  // namespace

std::string_view reserved_kafka_property(std::string_view name) {
  const auto found =
      std::ranges::lower_bound(kReserved, name, {}, [](const auto& entry) { return entry.first; });
  return found != kReserved.end() && found->first == name ? found->second : std::string_view();
}

}  // namespace penstock::config
