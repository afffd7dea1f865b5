#include "control/pipeline_messages.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/support/status.h>
#include <penstock/v1/pipeline_service.pb.h>

#include <chrono>
#include <format>
#include <string>
#include <utility>
#include <vector>

#include "text/printable.h"

namespace penstock::control {
namespace {

namespace pb = google::protobuf;

// Makes every text of a message valid UTF-8 that a terminal only shows: receivers refuse a whole
// message for one byte that is none, and reasons quote records, PostgreSQL and librdkafka.
void make_valid(pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->type() == pb::FieldDescriptor::TYPE_MESSAGE) {
        make_valid(field->is_repeated() ? *reflection.MutableRepeatedMessage(&message, field, i)
                                        : *reflection.MutableMessage(&message, field));
      } else if (field->type() == pb::FieldDescriptor::TYPE_STRING && field->is_repeated()) {
        reflection.SetRepeatedString(
            &message, field, i, text::printable(reflection.GetRepeatedString(message, field, i)));
      } else if (field->type() == pb::FieldDescriptor::TYPE_STRING) {
        reflection.SetString(&message, field,
                             text::printable(reflection.GetString(message, field)));
      }
    }
  }
}

v1::Pipeline::State state_of(PipelineState state) {
  switch (state) {
    case PipelineState::starting:
      return v1::Pipeline::STARTING;
    case PipelineState::running:
      return v1::Pipeline::RUNNING;
    case PipelineState::paused:
      return v1::Pipeline::PAUSED;
    case PipelineState::backoff:
      return v1::Pipeline::BACKOFF;
    case PipelineState::draining:
      return v1::Pipeline::DRAINING;
    case PipelineState::stopped:
      return v1::Pipeline::STOPPED;
    case PipelineState::failed:
      return v1::Pipeline::FAILED;
  }
  return v1::Pipeline::STATE_UNSPECIFIED;
}

grpc::StatusCode code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_argument:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case ErrorKind::not_found:
      return grpc::StatusCode::NOT_FOUND;
    case ErrorKind::permission_denied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case ErrorKind::unavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case ErrorKind::deadline_exceeded:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case ErrorKind::fenced:
      return grpc::StatusCode::ABORTED;
    case ErrorKind::data:
    case ErrorKind::conflict:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case ErrorKind::cancelled:
      return grpc::StatusCode::CANCELLED;
    case ErrorKind::internal:
      return grpc::StatusCode::INTERNAL;
  }
  return grpc::StatusCode::INTERNAL;
}

void to_message(const PartitionStatus& status, v1::Partition& message) {
  message.set_topic(status.topic);
  message.set_partition(status.partition);
  message.set_epoch(value_of(status.epoch));
  if (status.committed_offset >= 0) message.set_committed_offset(status.committed_offset);
  if (status.high_watermark >= 0) message.set_high_watermark(status.high_watermark);
  if (status.lag_records >= 0) message.set_lag_records(status.lag_records);
  message.set_in_flight_records(status.in_flight_records);
  message.set_blocked_reason(status.blocked_reason);
  message.set_waiting_reason(status.waiting_reason);
}

void to_message(const PipelineCounters& counters, v1::Counters& message) {
  message.set_records_polled(counters.records_polled);
  message.set_records_filtered(counters.records_filtered);
  message.set_rows_committed(counters.rows_committed);
  message.set_dead_letters_committed(counters.dead_letters_committed);
  message.set_transactions_committed(counters.transactions_committed);
  message.set_fenced(counters.fenced);
  message.set_rebalances(counters.rebalances);
}

grpc::Status with_info(grpc::StatusCode code, const std::string& message,
                       google::rpc::ErrorInfo info, std::string_view reason,
                       std::string_view pipeline) {
  info.set_domain("penstock");
  info.set_reason(std::string(reason));
  if (!pipeline.empty()) (*info.mutable_metadata())["pipeline"] = std::string(pipeline);
  google::rpc::Status details;
  details.set_code(static_cast<int>(code));
  details.set_message(message);
  make_valid(info);
  details.add_details()->PackFrom(info);
  make_valid(details);
  return {code, message, details.SerializeAsString()};
}

}  // namespace

void to_message(const PipelineSnapshot& snapshot, v1::Pipeline& message) {
  message.set_name(snapshot.name);
  message.set_state(state_of(snapshot.state));
  message.set_state_reason(snapshot.state_reason);
  message.set_group(snapshot.group);
  for (const std::string& table : snapshot.tables) message.add_tables(table);
  for (const PartitionStatus& status : snapshot.partitions) {
    to_message(status, *message.add_partitions());
  }
  if (!snapshot.last_error.empty()) {
    message.mutable_last_error()->set_message(snapshot.last_error);
    const auto since_epoch = snapshot.last_error_at.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
    google::protobuf::Timestamp* at = message.mutable_last_error()->mutable_at();
    at->set_seconds(seconds.count());
    at->set_nanos(static_cast<std::int32_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch - seconds).count()));
  }
  to_message(snapshot.counters, *message.mutable_counters());
  make_valid(message);
}

grpc::Status to_status(const Error& error, std::string_view reason, std::string_view pipeline) {
  google::rpc::ErrorInfo info;
  if (!error.hint.empty()) (*info.mutable_metadata())["hint"] = error.hint;
  if (!error.sqlstate.empty()) (*info.mutable_metadata())["sqlstate"] = error.sqlstate;
  const std::string message =
      error.hint.empty() ? error.message : error.message + " (" + error.hint + ")";
  return with_info(code_of(error.kind), message, std::move(info), reason, pipeline);
}

grpc::Status too_many_drains(int limit, std::string_view pipeline) {
  return with_info(grpc::StatusCode::RESOURCE_EXHAUSTED,
                   std::format("{} drains are waiting already", limit), {}, "TOO_MANY_DRAINS",
                   pipeline);
}

std::string_view reason_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_argument:
      return "INVALID_ARGUMENT";
    case ErrorKind::not_found:
      return "PIPELINE_NOT_FOUND";
    case ErrorKind::permission_denied:
      return "PERMISSION_DENIED";
    case ErrorKind::unavailable:
      return "DATABASE_UNAVAILABLE";
    case ErrorKind::deadline_exceeded:
      return "TIMED_OUT";
    case ErrorKind::fenced:
      return "FENCED";
    case ErrorKind::data:
    case ErrorKind::conflict:
      return "INVALID_STATE";
    case ErrorKind::cancelled:
      return "CANCELLED";
    case ErrorKind::internal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

}  // namespace penstock::control
