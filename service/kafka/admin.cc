#include "kafka/admin.h"

#include <librdkafka/rdkafka.h>

#include <array>

namespace penstock::kafka {

Result<Event> run_admin_operation(rd_kafka_s* kafka, std::chrono::milliseconds timeout,
                                  const StartOperation& start) {
  const int timeout_ms = static_cast<int>(timeout.count());
  const AdminOptions options(rd_kafka_AdminOptions_new(kafka, RD_KAFKA_ADMIN_OP_ANY));
  std::array<char, 256> text{};
  if (const rd_kafka_resp_err_t err = rd_kafka_AdminOptions_set_request_timeout(
          options.get(), timeout_ms, text.data(), text.size())) {
    return std::unexpected(to_error(err, text.data()));
  }
  const Queue answers(rd_kafka_queue_new(kafka));
  start(options.get(), answers.get());
  Event event(rd_kafka_queue_poll(answers.get(), timeout_ms));
  if (!event) return fail(ErrorKind::deadline_exceeded, "Kafka: no answer in time");
  if (const rd_kafka_resp_err_t err = rd_kafka_event_error(event.get())) {
    return std::unexpected(to_error(err, rd_kafka_event_error_string(event.get())));
  }
  return event;
}

}  // namespace penstock::kafka
