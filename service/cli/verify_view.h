// How `penstock verify` shows what it has found: for people, on standard output. Nothing that a
// terminal obeys reaches it, whatever rows hold.
//
// Threads: the main one.
#pragma once

#include <string>

#include "verify/report.h"

namespace penstock::cli {

void print_verified(const verify::Report& report);
// In one line.
[[nodiscard]] std::string json_of(const verify::Report& report);

}  // namespace penstock::cli
