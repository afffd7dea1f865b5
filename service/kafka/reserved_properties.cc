#include "kafka/reserved_properties.h"

#include <algorithm>
#include <array>

namespace penstock::kafka {
namespace {

constexpr std::string_view kPosition =
    "positions are in PostgreSQL, in the transaction of the rows; remove it";
constexpr std::string_view kProtocol =
    "members of the classic protocol assign partitions cooperatively, and no other way; remove it";
constexpr std::string_view kCallback = "it takes a pointer and cannot be configured; remove it";

struct Reserved {
  std::string_view name;
  std::string_view why;
  std::string_view value = {};  // empty: nothing is set here
};

constexpr std::array<Reserved, 32> kReserved{{
    {"auto.commit.enable", kPosition},
    {"auto.commit.interval.ms", kPosition},
    // Never jump over records silently.
    {"auto.offset.reset", "use source.start_at; after a first claim the stored position decides",
     "error"},
    {"background_event_cb", kCallback},
    {"closesocket_cb", kCallback},
    {"connect_cb", kCallback},
    {"consume_cb", kCallback},
    {"default_topic_conf", kCallback},
    {"enable.auto.commit", kPosition, "false"},
    {"enable.auto.offset.store", kPosition, "false"},
    // It moves positions: see follow_gaps() in ingest/.
    {"enable.partition.eof", "remove it: the end of a log is not an event here", "false"},
    {"enabled_events", kCallback},
    {"error_cb", kCallback},
    {"group.id", "use source.group"},
    {"group.protocol.type", kProtocol},
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
    {"topic.blacklist",
     "it hides topics as if they did not exist, and those that are read are named; remove it"},
}};
static_assert(std::ranges::is_sorted(kReserved, {}, &Reserved::name));

}  // namespace

std::string_view why_reserved(std::string_view property) {
  const auto found = std::ranges::lower_bound(kReserved, property, {}, &Reserved::name);
  return found != kReserved.end() && found->name == property ? found->why : std::string_view();
}

Properties required_properties(const std::string& group) {
  Properties required{{"group.id", group}};
  for (const Reserved& property : kReserved) {
    if (!property.value.empty()) required.emplace(property.name, property.value);
  }
  return required;
}

}  // namespace penstock::kafka
