#include "control/library_logs.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <string>

#include "core/log.h"

namespace penstock::control {
namespace {

void log_for_grpc(gpr_log_func_args* message) noexcept {
  if (message->severity < GPR_LOG_SEVERITY_ERROR) return;
  try {
    log(LogLevel::warning, "grpc_error", {{"message", message->message}, {"line", message->line}});
  } catch (...) {  // NOLINT(bugprone-empty-catch): no exception may reach C code
  }
}

void log_for_protobuf(google::protobuf::LogLevel level, const char* /*file*/, int line,
                      const std::string& message) {
  if (level < google::protobuf::LOGLEVEL_WARNING) return;
  log(LogLevel::warning, "protobuf_error", {{"message", message}, {"line", line}});
}

}  // namespace

void take_over_library_logs() {
  static const bool once = [] {
    gpr_set_log_function(&log_for_grpc);
    google::protobuf::SetLogHandler(&log_for_protobuf);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace penstock::control
