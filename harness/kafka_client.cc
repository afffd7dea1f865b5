#include "harness/kafka_client.h"

#include <librdkafka/rdkafka.h>

#include <utility>

namespace penstock::harness {
namespace {

Result<kafka::Client> make_client(kafka::ClientKind kind, const kafka::Properties& properties,
                                  DeliveryReport report, void* opaque) {
  auto conf = kafka::make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_log_cb(conf->get(), [](const rd_kafka_t*, int, const char*, const char*) {});
  rd_kafka_conf_set_error_cb(conf->get(), [](rd_kafka_t*, int, const char*, void*) {});
  rd_kafka_conf_set_opaque(conf->get(), opaque);
  if (report != nullptr) rd_kafka_conf_set_dr_msg_cb(conf->get(), report);
  return kafka::make_client(kind, *std::move(conf));
}

}  // namespace

Result<kafka::Client> make_producer(const kafka::Properties& properties, DeliveryReport report,
                                    void* opaque) {
  return make_client(kafka::ClientKind::producer, properties, report, opaque);
}

Result<kafka::Client> make_consumer(const kafka::Properties& properties) {
  return make_client(kafka::ClientKind::consumer, properties, nullptr, nullptr);
}

}  // namespace penstock::harness
