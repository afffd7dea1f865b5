#include "kafka/handle.h"

#include <librdkafka/rdkafka.h>

#include <array>
#include <string>
#include <tuple>
#include <utility>

namespace penstock::kafka {

void Deleter::operator()(rd_kafka_s* kafka) const {
  if (rd_kafka_type(kafka) == RD_KAFKA_PRODUCER) {
    rd_kafka_purge(kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  }
  // Whoever wants to leave the group has closed the consumer before.
  rd_kafka_destroy_flags(kafka, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}
void Deleter::operator()(rd_kafka_AdminOptions_s* options) const {
  rd_kafka_AdminOptions_destroy(options);
}
void Deleter::operator()(rd_kafka_conf_s* conf) const { rd_kafka_conf_destroy(conf); }
void Deleter::operator()(const rd_kafka_metadata_t* metadata) const {
  rd_kafka_metadata_destroy(metadata);
}
void Deleter::operator()(rd_kafka_op_s* event) const { rd_kafka_event_destroy(event); }
void Deleter::operator()(rd_kafka_queue_s* queue) const { rd_kafka_queue_destroy(queue); }
void Deleter::operator()(rd_kafka_topic_partition_list_s* list) const {
  rd_kafka_topic_partition_list_destroy(list);
}
void Deleter::operator()(rd_kafka_topic_s* topic) const { rd_kafka_topic_destroy(topic); }

Result<Client> make_client(ClientKind kind, Conf conf) {
  std::array<char, 512> text{};
  const rd_kafka_type_t type = kind == ClientKind::producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER;
  Client client(rd_kafka_new(type, conf.get(), text.data(), text.size()));
  if (!client) {
    return fail(ErrorKind::invalid_argument, std::string("Kafka properties: ") + text.data());
  }
  std::ignore = conf.release();  // the client's now
  return client;
}

bool is_unreadable(int code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return true;
    default:
      return false;
  }
}

Error to_error(int code, const std::string& detail) {
  const auto err = static_cast<rd_kafka_resp_err_t>(code);
  Error error{ErrorKind::unavailable,
              "Kafka: " + (detail.empty() ? std::string(rd_kafka_err2str(err)) : detail),
              {},
              {}};
  switch (err) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
      error.hint = "check bootstrap.servers, the network, and advertised.listeners of the brokers";
      break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
      error.kind = ErrorKind::permission_denied;
      // What librdkafka says where no token can be had, and the broker of one that is too old.
      error.hint =
          detail.contains("OAUTHBEARER") || detail.contains("invalid_token")
              ? "check the sasl.oauthbearer.* properties, and the server that gives the tokens: it "
                "is asked again every 10 s"
              : "check security.protocol, sasl.mechanism, sasl.username and sasl.password";
      break;
    case RD_KAFKA_RESP_ERR__SSL:
      error.kind = ErrorKind::permission_denied;
      error.hint = "check security.protocol and the ssl.* properties";
      break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      error.kind = ErrorKind::permission_denied;
      error.hint = "grant READ on the topic to this user";
      break;
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      error.kind = ErrorKind::permission_denied;
      error.hint = "grant READ on the consumer group to this user";
      break;
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      error.kind = ErrorKind::permission_denied;
      break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      error.kind = ErrorKind::not_found;
      error.hint = "create the topic, or correct source.topics";
      break;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
      error.kind = ErrorKind::conflict;
      error.hint = "is group.instance.id used by another process? Restart this one";
      break;
    case RD_KAFKA_RESP_ERR_UNRELEASED_INSTANCE_ID:
      error.kind = ErrorKind::conflict;
      error.hint =
          "is group.instance.id used by another process? One that ended without leaving the group "
          "keeps it for group.consumer.session.timeout.ms of the broker";
      break;
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
      error.kind = ErrorKind::conflict;
      error.hint =
          "the group has members that are no Penstock and assign partitions in another way (ours "
          "is "
          "cooperative-sticky): end them first, or give the pipeline a group of its own";
      break;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
      error.kind = ErrorKind::deadline_exceeded;
      break;
    default:
      break;
  }
  // librdkafka took the first bytes of another protocol for a size.
  if (detail.contains("increase receive.message.max.bytes")) {
    error.hint =
        "the address answers, but not as a Kafka broker does: another server's port, or one that "
        "wants TLS (security.protocol)";
  }
  return error;
}

}  // namespace penstock::kafka
