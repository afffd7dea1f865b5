#include "kafka/group.h"

#include <librdkafka/rdkafka.h>

#include <string_view>

#include "kafka/admin.h"

namespace penstock::kafka {

std::int32_t generation_of(rd_kafka_s* kafka) {
  rd_kafka_consumer_group_metadata_t* metadata = rd_kafka_consumer_group_metadata(kafka);
  if (metadata == nullptr) return -1;
  const std::int32_t generation = rd_kafka_consumer_group_metadata_generation_id(metadata);
  rd_kafka_consumer_group_metadata_destroy(metadata);
  return generation;
}

bool is_cooperative(rd_kafka_s* kafka) {
  const char* protocol = rd_kafka_rebalance_protocol(kafka);
  return protocol != nullptr && std::string_view(protocol) == "COOPERATIVE";
}

Result<int> member_count(rd_kafka_s* kafka, const std::string& group,
                         std::chrono::milliseconds timeout) {
  const auto answer = run_admin_operation(
      kafka, timeout, [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* answers) {
        const char* name = group.c_str();
        rd_kafka_DescribeConsumerGroups(kafka, &name, 1, options, answers);
      });
  if (!answer) return std::unexpected(answer.error());
  std::size_t count = 0;
  const rd_kafka_ConsumerGroupDescription_t** groups =
      rd_kafka_DescribeConsumerGroups_result_groups(
          rd_kafka_event_DescribeConsumerGroups_result(answer->get()), &count);
  if (count == 0) return fail(ErrorKind::not_found, "Kafka: nothing is known of group " + group);
  if (const rd_kafka_error_t* error = rd_kafka_ConsumerGroupDescription_error(groups[0])) {
    return std::unexpected(to_error(rd_kafka_error_code(error), rd_kafka_error_string(error)));
  }
  return static_cast<int>(rd_kafka_ConsumerGroupDescription_member_count(groups[0]));
}

}  // namespace penstock::kafka
