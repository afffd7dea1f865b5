#include "control/pipeline_service.h"

#include <grpcpp/server_context.h>
#include <penstock/v1/pipeline_service.grpc.pb.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <format>
#include <functional>
#include <semaphore>
#include <string>
#include <string_view>
#include <vector>

#include "control/pipeline_messages.h"
#include "core/log.h"
#include "text/utf8.h"

namespace penstock::control {
namespace {

using grpc::ServerContext;
using grpc::Status;
using std::chrono::milliseconds;

constexpr std::size_t kMaxNameBytes = 63;
constexpr std::size_t kMaxReasonCharacters = 1000;
constexpr int kDefaultPageSize = 100;
constexpr int kMaxPageSize = 1000;
constexpr std::string_view kTokenPrefix = "after:";
constexpr milliseconds kDefaultDrainTimeout{30'000};
constexpr milliseconds kMaxDrainTimeout{600'000};
// PipelineControl cannot be told that a caller has gone away, so a drain is waited for in slices.
constexpr milliseconds kDrainSlice{100};

Status refuse(std::string_view reason, std::string message, std::string_view pipeline = {}) {
  return to_status({.kind = ErrorKind::invalid_argument,
                    .message = std::move(message),
                    .hint = {},
                    .sqlstate = {}},
                   reason, pipeline);
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

// Counts a drain while it waits; empty when there are too many.
class DrainSlot {
 public:
  explicit DrainSlot(std::counting_semaphore<>& slots)
      : slots_(slots), taken_(slots.try_acquire()) {}
  ~DrainSlot() {
    if (taken_) slots_.release();
  }
  DrainSlot(const DrainSlot&) = delete;
  DrainSlot& operator=(const DrainSlot&) = delete;
  explicit operator bool() const { return taken_; }

 private:
  std::counting_semaphore<>& slots_;
  bool taken_;
};

class PipelineCalls final : public v1::PipelineService::Service {
 public:
  PipelineCalls(PipelineControl& control, Introduce introduce, int max_concurrent_drains)
      : control_(control),
        introduce_(std::move(introduce)),
        drains_(max_concurrent_drains),
        max_drains_(max_concurrent_drains) {}

  Status ListPipelines(ServerContext* /*context*/, const v1::ListPipelinesRequest* request,
                       v1::ListPipelinesResponse* response) override {
    return guarded([&] { return list(*request, *response); });
  }

  Status GetPipeline(ServerContext* /*context*/, const v1::GetPipelineRequest* request,
                     v1::Pipeline* response) override {
    return for_pipeline(request->name(), *response,
                        [](std::string_view) -> Result<void> { return {}; });
  }

  Status PausePipeline(ServerContext* context, const v1::PausePipelineRequest* request,
                       v1::Pipeline* response) override {
    if (text::count_code_points(request->reason()) > kMaxReasonCharacters) {
      return refuse("REASON_TOO_LONG",
                    std::format("the reason has more than {} characters", kMaxReasonCharacters));
    }
    return audited("pause", *context, request->name(), [&] {
      return for_pipeline(request->name(), *response, [&](std::string_view name) {
        return control_.pause(name, request->reason());
      });
    });
  }

  Status ResumePipeline(ServerContext* context, const v1::ResumePipelineRequest* request,
                        v1::Pipeline* response) override {
    const bool accepts = request->accept_rejects();
    return audited(accepts ? "resume, accept rejects" : "resume", *context, request->name(), [&] {
      return for_pipeline(request->name(), *response,
                          [&](std::string_view name) { return control_.resume(name, accepts); });
    });
  }

  Status DrainPipeline(ServerContext* context, const v1::DrainPipelineRequest* request,
                       v1::Pipeline* response) override {
    milliseconds timeout = kDefaultDrainTimeout;
    if (request->has_timeout()) {
      const auto& given = request->timeout();
      // Compared before it is multiplied: a Duration may hold 10,000 years.
      const bool fits = given.seconds() >= 0 && given.seconds() <= 600 && given.nanos() >= 0 &&
                        given.nanos() < 1'000'000'000;
      timeout = fits ? milliseconds(given.seconds() * 1000 + given.nanos() / 1'000'000)
                     : milliseconds(-1);
      if (timeout <= milliseconds(0) || timeout > kMaxDrainTimeout) {
        return refuse("INVALID_TIMEOUT", "timeout must be positive and at most 10 minutes",
                      request->name());
      }
    }
    const DrainSlot slot(drains_);
    if (!slot) return too_many_drains(max_drains_, request->name());
    return audited("drain", *context, request->name(), [&] {
      return for_pipeline(request->name(), *response,
                          [&](std::string_view name) { return drain(*context, name, timeout); });
    });
  }

 private:
  Status list(const v1::ListPipelinesRequest& request, v1::ListPipelinesResponse& response) {
    if (request.page_size() < 0) return refuse("INVALID_PAGE_SIZE", "page_size is negative");
    const std::size_t page_size =
        request.page_size() == 0
            ? kDefaultPageSize
            : static_cast<std::size_t>(std::min(request.page_size(), kMaxPageSize));
    // The token names the last pipeline that was sent: pages stay right while pipelines come and
    // go.
    std::string_view after = request.page_token();
    if (!after.empty()) {
      if (!after.starts_with(kTokenPrefix) || !valid_name(after.substr(kTokenPrefix.size()))) {
        return refuse("INVALID_PAGE_TOKEN", "page_token is not one that ListPipelines gave out");
      }
      after.remove_prefix(kTokenPrefix.size());
    }
    std::vector<PipelineSnapshot> pipelines = control_.snapshots();
    std::ranges::sort(pipelines, {}, &PipelineSnapshot::name);
    auto next = std::ranges::find_if(pipelines, [&](const PipelineSnapshot& pipeline) {
      return after.empty() || pipeline.name > after;
    });
    std::size_t sent = 0;
    for (; next != pipelines.end() && sent < page_size; ++next, ++sent) {
      to_message(*next, *response.add_pipelines());
    }
    if (next != pipelines.end()) {
      response.set_next_page_token(std::string(kTokenPrefix) + std::prev(next)->name);
    }
    return Status::OK;
  }

  Result<void> drain(const ServerContext& context, std::string_view name, milliseconds timeout) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
    while (true) {
      const auto left =
          std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
      Result<void> result = control_.drain(name, std::clamp(left, milliseconds(1), kDrainSlice));
      if (result || result.error().kind != ErrorKind::deadline_exceeded) return result;
      if (context.IsCancelled()) {
        return fail(ErrorKind::cancelled, "the caller went away; draining goes on");
      }
      if (std::chrono::steady_clock::now() >= deadline) return result;
      // Somebody else may have resumed the pipeline: the next slice must not pause it again.
      const std::optional<PipelineSnapshot> snapshot = control_.snapshot(name);
      if (snapshot && snapshot->state == PipelineState::running) {
        return fail(ErrorKind::conflict, "the pipeline was resumed while it was being drained");
      }
    }
  }

  // A line for everything that changes what a pipeline does.
  Status audited(std::string_view call, const ServerContext& context, const std::string& name,
                 const std::function<Status()>& body) {
    const Status status = body();
    const Caller caller = introduce_(context.peer());
    log(LogLevel::info, "control_call",
        {{"call", call},
         {"pipeline", valid_name(name) ? name : ""},
         {"caller", caller.address},
         {"certificate", caller.certificate},
         {"answer", status.ok() ? "ok" : status.error_message()}});
    return status;
  }

  // Checks the name, runs `action`, and answers with the pipeline as it is then.
  Status for_pipeline(const std::string& name, v1::Pipeline& response,
                      const std::function<Result<void>(std::string_view name)>& action) {
    return guarded([&]() -> Status {
      if (!valid_name(name)) {
        return refuse("INVALID_PIPELINE_NAME",
                      std::format("a name has 1 to {} letters, digits, \"-\", \"_\" and \".\"",
                                  kMaxNameBytes));
      }
      const auto not_found = [&] {
        return to_status({.kind = ErrorKind::not_found,
                          .message = std::format("there is no pipeline \"{}\"", name),
                          .hint = {},
                          .sqlstate = {}},
                         reason_of(ErrorKind::not_found), name);
      };
      if (!control_.snapshot(name)) return not_found();
      if (const Result<void> result = action(name); !result) {
        const ErrorKind kind = result.error().kind;
        const bool late = kind == ErrorKind::deadline_exceeded;
        return to_status(result.error(), late ? "DRAIN_TIMED_OUT" : reason_of(kind), name);
      }
      const std::optional<PipelineSnapshot> snapshot = control_.snapshot(name);
      if (!snapshot) return not_found();
      to_message(*snapshot, response);
      return Status::OK;
    });
  }

  static Status guarded(const std::function<Status()>& body) {
    try {
      return body();
    } catch (const std::exception& error) {
      log(LogLevel::error, "grpc_request_failed", {{"error", error.what()}});
      return to_status({.kind = ErrorKind::internal,
                        .message = "internal error; see the log",
                        .hint = {},
                        .sqlstate = {}},
                       "INTERNAL", {});
    }
  }

  PipelineControl& control_;
  const Introduce introduce_;
  std::counting_semaphore<> drains_;
  const int max_drains_;
};

// Reads requests itself: gRPC answers what is none with a bare INTERNAL.
class PipelineService final : public grpc::Service {
 public:
  using Calls = v1::PipelineService::Service;

  explicit PipelineService(std::unique_ptr<Calls> calls) : calls_(std::move(calls)) {
    add("/penstock.v1.PipelineService/ListPipelines", &Calls::ListPipelines);
    add("/penstock.v1.PipelineService/GetPipeline", &Calls::GetPipeline);
    add("/penstock.v1.PipelineService/PausePipeline", &Calls::PausePipeline);
    add("/penstock.v1.PipelineService/ResumePipeline", &Calls::ResumePipeline);
    add("/penstock.v1.PipelineService/DrainPipeline", &Calls::DrainPipeline);
  }

 private:
  template <typename Request, typename Response>
  using Method = Status (Calls::*)(ServerContext*, const Request*, Response*);

  template <typename Request, typename Response>
  void add(const char* name, Method<Request, Response> method) {
    const auto call = [method](Calls* calls, ServerContext* context, const grpc::ByteBuffer* bytes,
                               grpc::ByteBuffer* answer) -> Status {
      Request request;
      grpc::ByteBuffer read = *bytes;
      if (!grpc::SerializationTraits<Request>::Deserialize(&read, &request).ok()) {
        return refuse("UNPARSABLE_REQUEST", "the request is no " + request.GetTypeName());
      }
      Response response;
      Status status = (calls->*method)(context, &request, &response);
      if (!status.ok()) return status;
      bool own_buffer = false;
      return grpc::SerializationTraits<Response>::Serialize(response, answer, &own_buffer);
    };
    using Handler = grpc::internal::RpcMethodHandler<Calls, grpc::ByteBuffer, grpc::ByteBuffer>;
    AddMethod(new grpc::internal::RpcServiceMethod(name, grpc::internal::RpcMethod::NORMAL_RPC,
                                                   new Handler(call, calls_.get())));
  }

  const std::unique_ptr<Calls> calls_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_pipeline_calls(PipelineControl& control, Introduce introduce,
                                                   int max_concurrent_drains) {
  return std::make_unique<PipelineCalls>(control, std::move(introduce), max_concurrent_drains);
}

std::unique_ptr<grpc::Service> make_pipeline_service(PipelineControl& control, Introduce introduce,
                                                     int max_concurrent_drains) {
  return std::make_unique<PipelineService>(
      std::make_unique<PipelineCalls>(control, std::move(introduce), max_concurrent_drains));
}

}  // namespace penstock::control
