// One look at a cluster, for `penstock check` and for the start: are the properties right, do
// brokers answer, are the topics there?
//
// Threads: blocks its caller for up to the timeout, or for a second after a stop was requested;
// keeps nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/ids.h"
#include "kafka/topic_pattern.h"

namespace penstock::kafka {

struct TopicReport {
  std::string name;
  std::int32_t partitions = 0;
  std::string topic_id;  // empty when the broker does not say
};

struct ClusterReport {
  std::string cluster_id;  // empty when the broker does not say
  std::int32_t brokers = 0;
  std::vector<TopicReport> topics;   // in the order asked for
  std::vector<std::string> missing;  // those that are not there
};

// Checks names and values without a connection: invalid_argument names the property, and the hint
// the one that was probably meant.
[[nodiscard]] Result<void> check_properties(const std::map<std::string, std::string>& properties);

// Checks whether these go together, without a connection and without the files and accounts that
// they name: invalid_argument says which does not. `properties`: all of a consumer's.
[[nodiscard]] Result<void> check_combination(std::map<std::string, std::string> properties);

// unavailable: no broker answered, with the reason the brokers or the network gave; not_found: none
// of the topics is there; permission_denied: authentication or authorization failed;
// invalid_argument: see check_properties.
[[nodiscard]] Result<ClusterReport> probe(const std::map<std::string, std::string>& properties,
                                          const std::vector<std::string>& topics,
                                          std::chrono::milliseconds timeout,
                                          const std::stop_token& stop = {});

// The same for the topics that match, in the order of their names; that there is none is no
// failure.
[[nodiscard]] Result<ClusterReport> probe_matching(
    const std::map<std::string, std::string>& properties, const TopicPattern& pattern,
    std::chrono::milliseconds timeout, const std::stop_token& stop = {});

// Whether records may be written to the topic: not_found, permission_denied, or as probe(). Of what
// the brokers do not say, nothing is in the way.
[[nodiscard]] Result<void> probe_writable(const std::map<std::string, std::string>& properties,
                                          const std::string& topic,
                                          std::chrono::milliseconds timeout);

// What to say of topics that are not there.
[[nodiscard]] Error no_such_topics(const std::vector<std::string>& missing);

// Where the logs of a topic's first `partitions` begin and end.
struct LogRange {
  Offset begin = 0;
  Offset end = 0;
};
[[nodiscard]] Result<std::vector<LogRange>> probe_logs(
    const std::map<std::string, std::string>& properties, const std::string& topic,
    std::int32_t partitions, std::chrono::milliseconds timeout);

// Whether the group could take us in: `conflict` when it has members that assign partitions in
// another way than ours. Of what the brokers do not say, nothing is in the way.
[[nodiscard]] Result<void> probe_group(const std::map<std::string, std::string>& properties,
                                       const std::string& group, std::chrono::milliseconds timeout);

}  // namespace penstock::kafka
