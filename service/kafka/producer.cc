#include "kafka/producer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <utility>

#include "core/clock.h"

namespace penstock::kafka {
namespace {

using namespace std::chrono_literals;

// For what is on its way when we are to end: mostly the answer is there by then.
constexpr std::chrono::milliseconds kGrace = 1s;
constexpr int kPollMs = 50;

// Of a record, or of its batch because of a record in it.
bool may_be_records_fault(int code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD:
      return true;
    default:
      return false;
  }
}

// What librdkafka complained about last: the reason that a timeout hides.
struct Complaint {
  std::mutex mutex;
  std::optional<Error> error;
};

struct Pending {
  Delivery delivery;
  int code = RD_KAFKA_RESP_ERR_NO_ERROR;
};

}  // namespace

Properties producer_properties(const Properties& users) {
  Properties properties{
      // A broker may take what a topic's own settings allow.
      {"message.max.bytes", "1000000000"},
      // Keys find the partitions that Kafka's own clients would choose.
      {"partitioner", "murmur2_random"},
      {"reconnect.backoff.max.ms", "2000"},
      {"socket.keepalive.enable", "true"},
      {"enable.metrics.push", "false"},
      {"log.connection.close", "false"},
  };
  for (const auto& [name, value] : users) properties[name] = value;
  // What would take the guarantee away, or contradict it.
  for (const char* name :
       {"acks", "request.required.acks", "retries", "message.send.max.retries", "max.in.flight",
        "max.in.flight.requests.per.connection", "queuing.strategy", "enable.gapless.guarantee",
        "delivery.timeout.ms", "transactional.id", "transaction.timeout.ms",
        "produce.offset.report", "dr_cb", "dr_msg_cb", "delivery.report.only.error",
        "queue.buffering.max.messages", "queue.buffering.max.kbytes"}) {
    properties.erase(name);
  }
  properties["enable.idempotence"] = "true";
  properties["acks"] = "all";
  // The queue is the table: what is not confirmed in time is sent again from there.
  properties["message.timeout.ms"] = "10000";
  // That a topic is not there is said at once: whoever creates it sees it used soon enough.
  properties["topic.metadata.propagation.max.ms"] = "0";
  return properties;
}

struct Producer::Impl {
  std::string topic;
  Complaint complaint;
  Client client;

  static void on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
    auto& complaint = static_cast<Impl*>(opaque)->complaint;
    Error error = to_error(code, reason == nullptr ? std::string() : reason);
    const std::scoped_lock lock(complaint.mutex);
    // "All brokers are down" follows what brought them down, and says less.
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && complaint.error) return;
    complaint.error = std::move(error);
  }
  static void on_log(const rd_kafka_t*, int, const char*, const char*) {}
  static void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    auto* const pending = static_cast<Pending*>(message->_private);
    auto* const impl = static_cast<Impl*>(opaque);
    --impl->open;
    pending->code = message->err;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      pending->delivery.error = impl->error_of(message->err);
    }
  }

  [[nodiscard]] Error error_of(int code) {
    if (code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE) {
      const std::scoped_lock lock(complaint.mutex);
      if (complaint.error) return *complaint.error;
    }
    Error error = to_error(code);
    switch (code) {
      case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        error.message = "Kafka: no broker has confirmed it in time";
        break;
      case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
      case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        error = {ErrorKind::cancelled, "stopped", "", ""};
        break;
      case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        error.hint = "grant WRITE on topic '" + topic + "' to this user";
        break;
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        error.message = "the cluster has no topic '" + topic + "'";
        error.hint = "create it, or correct dead_letters.topic";
        break;
      case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        error.hint = "raise max.message.bytes of topic '" + topic + "'";
        break;
      default:
        break;
    }
    return error;
  }

  void produce(const OutgoingRecord& record, Pending& pending);
  void wait(const std::stop_token& stop);

  std::size_t open = 0;  // handed over, fate unknown
};

// ---- Handing over and waiting ----------------------------------------------------------------

void Producer::Impl::produce(const OutgoingRecord& record, Pending& pending) {
  rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers.size());
  for (const auto& [name, value] : record.headers) {
    rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()),
                        value ? value->data() : nullptr,
                        value ? static_cast<ssize_t>(value->size()) : 0);
  }
  // librdkafka takes them as they are: it only reads.
  const auto bytes = [](std::optional<std::string_view> text) {
    return text ? const_cast<char*>(text->empty() ? "" : text->data()) : nullptr;
  };
  const auto size = [](std::optional<std::string_view> text) { return text ? text->size() : 0; };
  std::array<rd_kafka_vu_t, 6> arguments{};
  arguments[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  arguments[0].u.cstr = topic.c_str();
  arguments[1].vtype = RD_KAFKA_VTYPE_KEY;
  arguments[1].u.mem = {bytes(record.key), size(record.key)};
  arguments[2].vtype = RD_KAFKA_VTYPE_VALUE;
  arguments[2].u.mem = {bytes(record.value), size(record.value)};
  arguments[3].vtype = RD_KAFKA_VTYPE_HEADERS;
  arguments[3].u.headers = headers;
  arguments[4].vtype = RD_KAFKA_VTYPE_OPAQUE;
  arguments[4].u.ptr = &pending;
  arguments[5].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  arguments[5].u.i = RD_KAFKA_MSG_F_COPY;
  rd_kafka_error_t* error = rd_kafka_produceva(client.get(), arguments.data(), arguments.size());
  if (error == nullptr) {
    ++open;
    return;
  }
  rd_kafka_headers_destroy(headers);  // they have stayed ours
  pending.code = rd_kafka_error_code(error);
  pending.delivery.error = error_of(pending.code);
  rd_kafka_error_destroy(error);
}

void Producer::Impl::wait(const std::stop_token& stop) {
  std::optional<SteadyTime> last_moment;
  bool purged = false;
  while (open > 0) {
    rd_kafka_poll(client.get(), kPollMs);
    if (!stop.stop_requested() || purged) continue;
    const SteadyTime now = std::chrono::steady_clock::now();
    if (!last_moment) last_moment = now + kGrace;
    if (now < *last_moment) continue;
    rd_kafka_purge(client.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    purged = true;
  }
}

// ---- The class ---------------------------------------------------------------------------------

Result<std::unique_ptr<Producer>> Producer::make(const Properties& users, std::string topic) {
  auto conf = make_conf(producer_properties(users));
  if (!conf) return std::unexpected(conf.error());
  auto impl = std::make_unique<Impl>();
  impl->topic = std::move(topic);
  rd_kafka_conf_set_opaque(conf->get(), impl.get());
  rd_kafka_conf_set_error_cb(conf->get(), Impl::on_error);
  rd_kafka_conf_set_log_cb(conf->get(), Impl::on_log);
  rd_kafka_conf_set_dr_msg_cb(conf->get(), Impl::on_delivery);
  auto client = make_client(ClientKind::producer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  impl->client = *std::move(client);
  return std::unique_ptr<Producer>(new Producer(std::move(impl)));
}

Producer::Producer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Producer::~Producer() = default;

std::vector<Delivery> Producer::send(std::span<const OutgoingRecord> records,
                                     const std::stop_token& stop) {
  {
    const std::scoped_lock lock(impl_->complaint.mutex);
    impl_->complaint.error.reset();
  }
  std::vector<Pending> pending(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) impl_->produce(records[i], pending[i]);
  impl_->wait(stop);
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!may_be_records_fault(pending[i].code) || stop.stop_requested()) continue;
    if (records.size() > 1) {
      pending[i] = {};
      impl_->produce(records[i], pending[i]);
      impl_->wait(stop);
    }
    pending[i].delivery.is_records_fault = may_be_records_fault(pending[i].code);
  }
  std::vector<Delivery> deliveries;
  deliveries.reserve(pending.size());
  for (Pending& one : pending) deliveries.push_back(std::move(one.delivery));
  return deliveries;
}

}  // namespace penstock::kafka
