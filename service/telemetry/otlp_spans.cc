#include "telemetry/otlp_spans.h"

#include <opentelemetry/proto/trace/v1/trace.pb.h>

#include <array>
#include <concepts>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::telemetry {
namespace {

using opentelemetry::proto::common::v1::AnyValue;
using opentelemetry::proto::common::v1::KeyValue;
using opentelemetry::proto::trace::v1::Span;
using opentelemetry::proto::trace::v1::Status;

template <std::size_t N>
std::string bytes_of(const std::array<std::uint8_t, N>& id) {
  return {reinterpret_cast<const char*>(id.data()), N};
}

std::string fresh_span_id() {
  const std::uint64_t id = random_id();
  return {reinterpret_cast<const char*>(&id), sizeof(id)};
}

// Flags of OTLP: whether the parent, or what is linked, is another process's.
constexpr std::uint32_t kRemoteIsKnown = 0x100;
constexpr std::uint32_t kRemote = 0x200;

bool happened(SteadyTime begin, SteadyTime end) {
  return begin != SteadyTime{} && end != SteadyTime{};
}

// A span that is being filled. Attributes that are empty are left out.
class Builder {
 public:
  Builder(Span& span, const PendingSpans& pending, std::string_view name, Span::SpanKind kind)
      : span_(span), pending_(pending) {
    span_.set_trace_id(bytes_of(pending.context.trace_id));
    span_.set_name(std::string(name));
    span_.set_kind(kind);
    span_.set_flags(pending.context.flags);
  }

  void set_root() { span_.set_span_id(bytes_of(pending_.context.span_id)); }
  void set_child() {
    span_.set_flags(pending_.context.flags | kRemoteIsKnown);  // its parent is this process's
    span_.set_span_id(fresh_span_id());
    span_.set_parent_span_id(bytes_of(pending_.context.span_id));
  }
  void set_times(SteadyTime begin, SteadyTime end) {
    span_.set_start_time_unix_nano(unix_nanoseconds(begin));
    span_.set_end_time_unix_nano(unix_nanoseconds(std::max(begin, end)));
  }
  void set_error(std::string_view message) {
    span_.mutable_status()->set_code(Status::STATUS_CODE_ERROR);
    span_.mutable_status()->set_message(std::string(message));
  }
  void add_link(const TraceLink& link) {
    Span::Link* added = span_.add_links();
    added->set_trace_id(bytes_of(link.trace_id));
    added->set_span_id(bytes_of(link.span_id));
    added->set_flags(link.flags | kRemoteIsKnown | kRemote);
  }

  void attribute(std::string_view key, std::string_view text) {
    if (!text.empty()) value(key).set_string_value(std::string(text));
  }
  void attribute(std::string_view key, std::integral auto number) {
    value(key).set_int_value(static_cast<std::int64_t>(number));
  }

 private:
  AnyValue& value(std::string_view key) {
    KeyValue* added = span_.add_attributes();
    added->set_key(std::string(key));
    return *added->mutable_value();
  }
  std::uint64_t unix_nanoseconds(SteadyTime time) const {
    const auto since_epoch = pending_.system_now.time_since_epoch() - (pending_.steady_now - time);
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count());
  }

  Span& span_;
  const PendingSpans& pending_;
};

// The convention counts from two on.
void add_count(Builder& span, std::string_view key, std::int64_t count) {
  if (count > 1) span.attribute(key, count);
}

// `type` is one of the convention's: receive, process, settle; `name` is our own word for it.
void add_messaging(Builder& span, const TraceTarget& target, std::int32_t partition,
                   std::string_view name, std::string_view type) {
  span.attribute("messaging.system", "kafka");
  span.attribute("messaging.operation.name", name);
  span.attribute("messaging.operation.type", type);
  span.attribute("messaging.destination.name", target.topic);
  span.attribute("messaging.destination.partition.id", std::to_string(partition));
  span.attribute("messaging.consumer.group.name", target.group);
  span.attribute("messaging.client.id", target.client_id);
}

std::string write_summary(const BatchSpans& batch) {
  return (batch.by_copy ? "COPY " : "INSERT ") + batch.target->table;
}

void add_write(Builder& span, const BatchSpans& batch) {
  const TraceTarget& target = *batch.target;
  span.attribute("db.system.name", "postgresql");
  span.attribute("db.namespace", target.database);
  span.attribute("db.collection.name", target.table);
  span.attribute("db.operation.name", batch.by_copy ? "COPY" : "INSERT");
  span.attribute("db.query.summary", write_summary(batch));
  add_count(span, "db.operation.batch.size", batch.transaction_rows);
  span.attribute("server.address", target.server_address);
  if (target.server_port != 0) span.attribute("server.port", target.server_port);
}

void add_batch(const PendingSpans& pending, const BatchSpans& batch, ScopeSpans& scope) {
  const TraceTarget& target = *batch.target;
  const BatchTrace& trace = batch.trace;

  Builder root(*scope.add_spans(), pending, "batch " + target.topic, Span::SPAN_KIND_CONSUMER);
  root.set_root();
  root.set_times(trace.poll_begin, trace.commit_end);
  add_messaging(root, target, batch.partition, "batch", "process");
  add_count(root, "messaging.batch.message_count", batch.records);
  root.attribute("messaging.kafka.offset", batch.range.from);
  root.attribute("penstock.pipeline", target.pipeline);
  root.attribute("penstock.epoch", value_of(batch.epoch));
  root.attribute("penstock.offset.from", batch.range.from);
  root.attribute("penstock.offset.to", batch.range.to);
  root.attribute("penstock.bytes", batch.bytes);
  root.attribute("penstock.rows", batch.rows);
  root.attribute("penstock.dead_letters", batch.dead_letters);
  for (const TraceLink& link : trace.links) root.add_link(link);

  const auto child = [&](std::string_view name, Span::SpanKind kind, SteadyTime begin,
                         SteadyTime end) {
    Builder span(*scope.add_spans(), pending, name, kind);
    span.set_child();
    span.set_times(begin, end);
    return span;
  };
  if (happened(trace.poll_begin, trace.poll_end)) {
    Builder span =
        child("poll " + target.topic, Span::SPAN_KIND_CLIENT, trace.poll_begin, trace.poll_end);
    add_messaging(span, target, batch.partition, "poll", "receive");
    add_count(span, "messaging.batch.message_count", batch.records);
  }
  if (happened(trace.process_begin, trace.process_end)) {
    Builder span =
        child("process", Span::SPAN_KIND_INTERNAL, trace.process_begin, trace.process_end);
    span.attribute("penstock.pipeline", target.pipeline);
  }
  if (happened(trace.write_begin, trace.commit_end)) {
    Builder span =
        child(write_summary(batch), Span::SPAN_KIND_CLIENT, trace.write_begin, trace.commit_end);
    add_write(span, batch);
  }
}

void add_mirror(const PendingSpans& pending, const MirrorSpan& mirror, ScopeSpans& scope) {
  Builder span(*scope.add_spans(), pending, "commit " + mirror.target->topic,
               Span::SPAN_KIND_CLIENT);
  span.set_child();
  span.set_times(mirror.begin, mirror.end);
  add_messaging(span, *mirror.target, mirror.partition, "commit", "settle");
  span.attribute("messaging.kafka.offset", mirror.offset);
  span.attribute("penstock.pipeline", mirror.target->pipeline);
  if (!mirror.error.empty()) {
    span.attribute("error.type", "kafka_commit_failed");
    span.set_error(mirror.error);
  }
}

}  // namespace

std::int64_t count_spans(const PendingSpans& pending) {
  const auto* batch = std::get_if<BatchSpans>(&pending.what);
  if (batch == nullptr) return 1;
  const BatchTrace& trace = batch->trace;
  return 1 + (happened(trace.poll_begin, trace.poll_end) ? 1 : 0) +
         (happened(trace.process_begin, trace.process_end) ? 1 : 0) +
         (happened(trace.write_begin, trace.commit_end) ? 1 : 0);
}

std::int64_t add_spans(const PendingSpans& pending, ScopeSpans& scope) {
  const int before = scope.spans_size();
  if (const auto* batch = std::get_if<BatchSpans>(&pending.what)) {
    add_batch(pending, *batch, scope);
  } else {
    add_mirror(pending, std::get<MirrorSpan>(pending.what), scope);
  }
  return scope.spans_size() - before;
}

std::uint64_t random_id() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  std::uint64_t id = 0;
  while (id == 0) id = generator();
  return id;
}

}  // namespace penstock::telemetry
