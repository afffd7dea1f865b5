#include "kafka/probe.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <mutex>
#include <span>
#include <utility>

#include "core/owned.h"
#include "kafka/admin.h"
#include "kafka/cluster_facts.h"
#include "kafka/handle.h"
#include "kafka/properties.h"

namespace penstock::kafka {
namespace {

// What librdkafka complained about last while we waited: the reason that a timeout hides.
struct Complaint {
  std::mutex mutex;
  Error error;
  bool permission = false;
};

void on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  auto* complaint = static_cast<Complaint*>(opaque);
  Error error = to_error(code, reason == nullptr ? std::string() : reason);
  const std::scoped_lock lock(complaint->mutex);
  // "All brokers are down" follows what brought them down, and says less.
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !complaint->error.message.empty()) return;
  if (complaint->permission) return;
  complaint->permission = error.kind == ErrorKind::permission_denied;
  complaint->error = std::move(error);
}

void ignore_log(const rd_kafka_t*, int, const char*, const char*) {}

Error why_no_answer(rd_kafka_t* kafka, Complaint& complaint, int code) {
  rd_kafka_poll(kafka, 0);  // complaints that were not delivered yet
  const std::scoped_lock lock(complaint.mutex);
  if (!complaint.error.message.empty()) return complaint.error;
  Error error = to_error(code);
  if (error.kind == ErrorKind::deadline_exceeded) {
    error = to_error(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "no broker answered in time");
  }
  return error;
}

// rd_kafka_metadata() in slices, so that a stop is noticed. Of all topics, if none is named.
rd_kafka_resp_err_t ask_metadata(rd_kafka_t* kafka, rd_kafka_topic_t* topic,
                                 const rd_kafka_metadata_t** metadata,
                                 std::chrono::milliseconds timeout, const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kSlice{1000};
  std::chrono::milliseconds left = timeout;
  while (true) {
    const auto slice = std::min(left, kSlice);
    const rd_kafka_resp_err_t err = rd_kafka_metadata(kafka, topic == nullptr ? 1 : 0, topic,
                                                      metadata, static_cast<int>(slice.count()));
    left -= slice;
    const bool nobody_yet =
        err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TRANSPORT;
    if (!nobody_yet || left.count() <= 0 || stop.stop_requested()) return err;
  }
}

// What `ask` says of a cluster, which is given a client of it.
template <typename Ask>
Result<ClusterReport> with_client(const std::map<std::string, std::string>& properties, Ask ask) {
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  Complaint complaint;
  rd_kafka_conf_set_opaque(conf->get(), &complaint);
  rd_kafka_conf_set_error_cb(conf->get(), on_error);
  rd_kafka_conf_set_log_cb(conf->get(), ignore_log);
  const auto client = make_client(ClientKind::consumer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  return ask(client->get(), complaint);
}

// Adds what the cluster says of itself and of the ids of its topics.
ClusterReport complete(ClusterReport report, rd_kafka_t* kafka, std::chrono::milliseconds timeout) {
  std::vector<std::string> names;
  for (const TopicReport& topic : report.topics) names.push_back(topic.name);
  report.cluster_id = cluster_id(kafka, timeout);
  const auto ids = topic_ids(kafka, names, timeout);
  for (TopicReport& topic : report.topics) {
    if (const auto id = ids.find(topic.name); id != ids.end()) topic.topic_id = id->second;
  }
  return report;
}

}  // namespace

Result<void> check_properties(const std::map<std::string, std::string>& properties) {
  const auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  return {};
}

// librdkafka says so only when it makes a client.
Result<void> check_combination(std::map<std::string, std::string> properties) {
  std::erase_if(properties, [](const auto& property) {
    const std::string& name = property.first;
    return name == "bootstrap.servers" || name == "metadata.broker.list" || name == "debug" ||
           name == "plugin.library.paths" || name.starts_with("security.") ||
           name.starts_with("ssl.") || name.starts_with("sasl.") || name.starts_with("https.");
  });
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_log_cb(conf->get(), ignore_log);
  const auto client = make_client(ClientKind::consumer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  return {};
}

Result<ClusterReport> probe(const std::map<std::string, std::string>& properties,
                            const std::vector<std::string>& topics,
                            std::chrono::milliseconds timeout, const std::stop_token& stop) {
  return with_client(
      properties, [&](rd_kafka_t* kafka, Complaint& complaint) -> Result<ClusterReport> {
        ClusterReport report;
        for (const std::string& topic : topics) {
          const Topic handle(rd_kafka_topic_new(kafka, topic.c_str(), nullptr));
          const rd_kafka_metadata_t* answer = nullptr;
          const rd_kafka_resp_err_t err = ask_metadata(kafka, handle.get(), &answer, timeout, stop);
          const Metadata metadata(answer);
          if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return std::unexpected(why_no_answer(kafka, complaint, err));
          }
          report.brokers = metadata->broker_cnt;
          const rd_kafka_metadata_topic_t& found = metadata->topics[0];
          if (found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
            report.missing.push_back(topic);
          } else if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            Error error = to_error(found.err);
            error.message = "topic '" + topic + "': " + error.message;
            return std::unexpected(std::move(error));
          } else {
            report.topics.push_back({topic, found.partition_cnt, {}});
          }
        }
        if (report.topics.empty() && !topics.empty()) {
          return std::unexpected(no_such_topics(report.missing));
        }
        return complete(std::move(report), kafka, timeout);
      });
}

Result<ClusterReport> probe_matching(const std::map<std::string, std::string>& properties,
                                     const TopicPattern& pattern, std::chrono::milliseconds timeout,
                                     const std::stop_token& stop) {
  return with_client(
      properties, [&](rd_kafka_t* kafka, Complaint& complaint) -> Result<ClusterReport> {
        const rd_kafka_metadata_t* answer = nullptr;
        const rd_kafka_resp_err_t err = ask_metadata(kafka, nullptr, &answer, timeout, stop);
        const Metadata metadata(answer);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
          return std::unexpected(why_no_answer(kafka, complaint, err));
        }
        ClusterReport report;
        report.brokers = metadata->broker_cnt;
        for (int i = 0; i < metadata->topic_cnt; ++i) {
          const rd_kafka_metadata_topic_t& found = metadata->topics[i];
          const bool is_there = found.err == RD_KAFKA_RESP_ERR_NO_ERROR ||
                                found.err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
          if (!is_there || !pattern.matches(found.topic)) continue;
          report.topics.push_back({found.topic, found.partition_cnt, {}});
        }
        std::ranges::sort(report.topics, {}, &TopicReport::name);
        return complete(std::move(report), kafka, timeout);
      });
}

Result<void> probe_writable(const std::map<std::string, std::string>& properties,
                            const std::string& topic, std::chrono::milliseconds timeout) {
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_log_cb(conf->get(), ignore_log);
  const auto client = make_client(ClientKind::consumer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  const char* name = topic.c_str();
  const Owned<rd_kafka_TopicCollection_t, rd_kafka_TopicCollection_destroy> collection(
      rd_kafka_TopicCollection_of_topic_names(&name, 1));
  const auto answer = run_admin_operation(
      client->get(), timeout, [&](rd_kafka_AdminOptions_s* options, rd_kafka_queue_s* answers) {
        if (rd_kafka_error_t* error =
                rd_kafka_AdminOptions_set_include_authorized_operations(options, 1)) {
          rd_kafka_error_destroy(error);
        }
        rd_kafka_DescribeTopics(client->get(), collection.get(), options, answers);
      });
  if (!answer) return std::unexpected(answer.error());
  std::size_t count = 0;
  const rd_kafka_TopicDescription_t** topics = rd_kafka_DescribeTopics_result_topics(
      rd_kafka_event_DescribeTopics_result(answer->get()), &count);
  if (count == 0) return {};
  const std::string grant = "grant DESCRIBE and WRITE on topic '" + topic + "' to this user";
  const auto wrong = rd_kafka_error_code(rd_kafka_TopicDescription_error(topics[0]));
  if (wrong == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
    return fail(ErrorKind::not_found, "the cluster has no topic '" + topic + "'", "create it");
  }
  if (wrong != RD_KAFKA_RESP_ERR_NO_ERROR) {
    Error error = to_error(wrong);
    error.message = "topic '" + topic + "': " + error.message;
    if (wrong == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) error.hint = grant;
    return std::unexpected(std::move(error));
  }
  const rd_kafka_AclOperation_t* operations =
      rd_kafka_TopicDescription_authorized_operations(topics[0], &count);
  const std::span allowed(operations, operations == nullptr ? 0 : count);
  if (allowed.empty() || std::ranges::contains(allowed, RD_KAFKA_ACL_OPERATION_WRITE) ||
      std::ranges::contains(allowed, RD_KAFKA_ACL_OPERATION_ALL)) {
    return {};
  }
  return fail(ErrorKind::permission_denied, "topic '" + topic + "' may not be written", grant);
}

Error no_such_topics(const std::vector<std::string>& missing) {
  std::string names;
  for (const std::string& topic : missing) names += (names.empty() ? "'" : ", '") + topic + "'";
  return {ErrorKind::not_found, "the cluster has no topic " + names,
          "create it, or correct source.topics", ""};
}

Result<std::vector<LogRange>> probe_logs(const std::map<std::string, std::string>& properties,
                                         const std::string& topic, std::int32_t partitions,
                                         std::chrono::milliseconds timeout) {
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_log_cb(conf->get(), ignore_log);
  const auto client = make_client(ClientKind::consumer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  std::vector<TopicPartition> all;
  for (std::int32_t i = 0; i < partitions; ++i) all.push_back({topic, i});
  const auto begins = log_offsets(client->get(), all, LogPlace::begin, timeout);
  const auto ends = log_offsets(client->get(), all, LogPlace::end, timeout);
  std::vector<LogRange> ranges;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const Result<Offset>* offset : {&begins[i], &ends[i]}) {
      if (*offset) continue;
      Error error = offset->error();
      error.message = topic + "[" + std::to_string(i) + "]: " + error.message;
      return std::unexpected(std::move(error));
    }
    ranges.push_back({*begins[i], *ends[i]});
  }
  return ranges;
}

Result<void> probe_group(const std::map<std::string, std::string>& properties,
                         const std::string& group, std::chrono::milliseconds timeout) {
  // The broker takes members of both protocols into one group.
  if (group_protocol_of(properties) == GroupProtocol::consumer) return {};
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_log_cb(conf->get(), ignore_log);
  const auto client = make_client(ClientKind::consumer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  const char* name = group.c_str();
  const auto answer = run_admin_operation(
      client->get(), timeout, [&](rd_kafka_AdminOptions_s* options, rd_kafka_queue_s* answers) {
        rd_kafka_DescribeConsumerGroups(client->get(), &name, 1, options, answers);
      });
  if (!answer) return {};
  std::size_t count = 0;
  const rd_kafka_ConsumerGroupDescription_t** groups =
      rd_kafka_DescribeConsumerGroups_result_groups(
          rd_kafka_event_DescribeConsumerGroups_result(answer->get()), &count);
  if (count == 0 || rd_kafka_ConsumerGroupDescription_error(groups[0]) != nullptr) return {};
  if (rd_kafka_ConsumerGroupDescription_type(groups[0]) == RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER) {
    return {};
  }
  const char* text = rd_kafka_ConsumerGroupDescription_partition_assignor(groups[0]);
  const std::string assignor = text == nullptr ? "" : text;
  const std::size_t members = rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
  if (members == 0 || assignor.empty() || assignor == kAssignor) return {};
  const rd_kafka_MemberDescription_t* member =
      rd_kafka_ConsumerGroupDescription_member(groups[0], 0);
  Error error = to_error(RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL);
  error.message = "the group '" + group + "' has " + std::to_string(members) +
                  (members == 1 ? " member" : " members") + " with the assignor '" + assignor +
                  "', such as " + rd_kafka_MemberDescription_client_id(member) + " at " +
                  rd_kafka_MemberDescription_host(member);
  return std::unexpected(std::move(error));
}

}  // namespace penstock::kafka
