#include "control/grpc_log.h"

#include <grpc/support/log.h>

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

}  // namespace

void take_over_grpc_log() {
  static const bool once = [] {
    gpr_set_log_function(&log_for_grpc);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace penstock::control
