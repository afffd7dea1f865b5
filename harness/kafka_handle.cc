#include "harness/kafka_handle.h"

#include <librdkafka/rdkafka.h>

namespace penstock::harness {
namespace {

Result<ClientHandle> make_client(rd_kafka_type_t type,
                                 const std::map<std::string, std::string>& properties,
                                 DeliveryReport report, void* opaque) {
  char message[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int, const char*, void*) {});
  rd_kafka_conf_set_opaque(conf, opaque);
  if (report != nullptr) rd_kafka_conf_set_dr_msg_cb(conf, report);
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), message, sizeof message) !=
        RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      return fail(ErrorKind::invalid_argument, message);
    }
  }
  rd_kafka_t* client = rd_kafka_new(type, conf, message, sizeof message);
  if (client == nullptr) {
    rd_kafka_conf_destroy(conf);
    return fail(ErrorKind::invalid_argument, message);
  }
  return ClientHandle(client);
}

}  // namespace

void DestroyKafka::operator()(rd_kafka_s* client) const {
  // What was not delivered when its owner lets go is not wanted any more: do not wait for it.
  if (rd_kafka_type(client) == RD_KAFKA_PRODUCER) {
    rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  }
  rd_kafka_destroy(client);
}

void DestroyKafka::operator()(rd_kafka_topic_s* topic) const { rd_kafka_topic_destroy(topic); }

Result<ClientHandle> make_producer(const std::map<std::string, std::string>& properties,
                                   DeliveryReport report, void* opaque) {
  return make_client(RD_KAFKA_PRODUCER, properties, report, opaque);
}

Result<ClientHandle> make_consumer(const std::map<std::string, std::string>& properties) {
  return make_client(RD_KAFKA_CONSUMER, properties, nullptr, nullptr);
}

}  // namespace penstock::harness
