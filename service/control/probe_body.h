// What a probe answers, for people and for machines.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "control/readiness.h"

namespace penstock::control {

// "ok", or "failing" and one line per finding: "- orders: breaker_open: the circuit …".
[[nodiscard]] std::string probe_text(const Verdict& verdict);
// {"status":"ok"|"failing","checks":[{"pipeline":…,"reason":…,"message":…}]}
[[nodiscard]] std::string probe_json(const Verdict& verdict);

}  // namespace penstock::control
