#include "harness/order_producer.h"

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <optional>

#include "concurrency/thread.h"
#include "harness/kafka_client.h"
#include "harness/latency.h"

namespace penstock::harness {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

}  // namespace

class OrderProducer::Impl {
 public:
  explicit Impl(OrderProducerOptions wanted) : options(std::move(wanted)) {}

  static void report(rd_kafka_t*, const rd_kafka_message_t* record, void* opaque) {
    auto& self = *static_cast<Impl*>(opaque);
    if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      self.acknowledged.fetch_add(1, std::memory_order_relaxed);
    } else {
      self.failed.fetch_add(1, std::memory_order_relaxed);
      self.failure = rd_kafka_err2str(record->err);
    }
  }

  void run() {
    const auto started = Steady::now();
    std::int64_t next = 0;
    while (next < options.records && !stopping.load(std::memory_order_relaxed)) {
      std::int64_t due = next + 1'000;
      if (options.rate > 0) {
        const std::chrono::duration<double> elapsed = Steady::now() - started;
        due = static_cast<std::int64_t>(elapsed.count() * static_cast<double>(options.rate));
      }
      due = std::min(due, options.records);
      while (next < due && !stopping.load(std::memory_order_relaxed)) {
        if (!send(next)) break;
        ++next;
      }
      sent.store(next, std::memory_order_relaxed);
      // Serves delivery reports and is the pace: a millisecond's records at a time.
      rd_kafka_poll(client.get(), options.rate > 0 ? 1 : 0);
    }
    while (rd_kafka_outq_len(client.get()) > 0 && !abandoning.load(std::memory_order_relaxed)) {
      rd_kafka_flush(client.get(), 100);
    }
    finished.store(true);
  }

  // False when the client's queue is full: the broker is slower than we are, or away.
  bool send(std::int64_t index) {
    const Order order =
        order_at(options.stream, static_cast<std::int32_t>(index % options.stream.partitions),
                 index / options.stream.partitions);
    const std::string_view payload = writer.payload(order, system_now_us());
    const std::string_view key = writer.key(order);
    const bool taken = rd_kafka_produce(topic.get(), order.partition, RD_KAFKA_MSG_F_COPY,
                                        const_cast<char*>(payload.data()), payload.size(),
                                        key.data(), key.size(), nullptr) == 0;
    if (!taken) {
      if (const auto code = rd_kafka_last_error(); code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        failed.fetch_add(1, std::memory_order_relaxed);
        failure = rd_kafka_err2str(code);
        stopping.store(true);
      }
      rd_kafka_poll(client.get(), 10);
    }
    return taken;
  }

  const OrderProducerOptions options;
  std::atomic<bool> stopping{false};
  std::atomic<bool> abandoning{false};
  std::atomic<bool> finished{false};
  std::atomic<std::int64_t> sent{0};
  std::atomic<std::int64_t> acknowledged{0};
  std::atomic<std::int64_t> failed{0};
  std::string failure;  // written by the generator's thread, read after it was joined
  OrderWriter writer;
  kafka::Client client;
  kafka::Topic topic;
  std::optional<Thread> thread;  // last: joined before what it uses goes away
};

OrderProducer::OrderProducer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

OrderProducer::~OrderProducer() {
  impl_->stopping.store(true);
  impl_->abandoning.store(true);
}

Result<std::unique_ptr<OrderProducer>> OrderProducer::start(const OrderProducerOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  auto client = make_producer({{"bootstrap.servers", options.bootstrap_servers},
                               {"enable.idempotence", "true"},
                               {"compression.type", options.compression},
                               {"linger.ms", std::to_string(options.linger_ms)},
                               {"queue.buffering.max.messages", "500000"},
                               {"batch.num.messages", "10000"},
                               {"message.timeout.ms", "300000"},
                               // A broker that comes back is found again quickly.
                               {"reconnect.backoff.ms", "50"},
                               {"reconnect.backoff.max.ms", "500"}},
                              &Impl::report, impl.get());
  if (!client) return std::unexpected(client.error());
  impl->client = *std::move(client);
  impl->topic.reset(rd_kafka_topic_new(impl->client.get(), options.topic.c_str(), nullptr));
  if (impl->topic == nullptr) {
    return fail(ErrorKind::invalid_argument, rd_kafka_err2str(rd_kafka_last_error()));
  }
  impl->thread.emplace("generator", [&self = *impl] { self.run(); });
  return std::unique_ptr<OrderProducer>(new OrderProducer(std::move(impl)));
}

std::int64_t OrderProducer::sent() const { return impl_->sent.load(std::memory_order_relaxed); }

std::int64_t OrderProducer::acknowledged() const {
  return impl_->acknowledged.load(std::memory_order_relaxed);
}

bool OrderProducer::finished() const { return impl_->finished.load(); }

void OrderProducer::stop() { impl_->stopping.store(true); }

Result<void> OrderProducer::wait() {
  impl_->thread->join();
  const std::int64_t missing = impl_->sent.load() - impl_->acknowledged.load();
  if (impl_->failed.load() > 0 || missing > 0) {
    return fail(ErrorKind::unavailable,
                std::to_string(missing) + " records did not reach the broker: " + impl_->failure);
  }
  return {};
}

GroundTruth OrderProducer::truth() const { return truth_of(impl_->options.stream, sent()); }

}  // namespace penstock::harness
