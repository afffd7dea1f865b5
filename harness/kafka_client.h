// librdkafka's clients as the sources of this folder want them: they log nothing.
//
// Threads: any. Failure: values.
#pragma once

#include "core/error.h"
#include "kafka/handle.h"
#include "kafka/properties.h"

struct rd_kafka_message_s;

namespace penstock::harness {

// librdkafka's delivery report: every record that was acknowledged or given up, on the thread
// that polls or flushes.
using DeliveryReport = void (*)(rd_kafka_s* client, const rd_kafka_message_s* record, void* opaque);

// `opaque` is handed to `report`.
[[nodiscard]] Result<kafka::Client> make_producer(const kafka::Properties& properties,
                                                  DeliveryReport report = nullptr,
                                                  void* opaque = nullptr);
[[nodiscard]] Result<kafka::Client> make_consumer(const kafka::Properties& properties);

}  // namespace penstock::harness
