#include "kafka/group.h"

#include <librdkafka/rdkafka.h>

#include <string_view>

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

}  // namespace penstock::kafka
