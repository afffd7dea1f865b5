// `./dev demo`: real servers, a generator, and the plug pulled half way; then the truth.
//
// Starts a private Kafka and PostgreSQL, runs `penstock serve` as a process of its own, kills it
// with SIGKILL when half of the orders are sent, starts it again, waits until everything has
// arrived and compares PostgreSQL with what was produced.
// Threads: call it from the main thread of a program; it handles SIGINT and SIGTERM while it runs.
// Stop: every process and file of the demo is gone when it returns, also after a Ctrl-C.
#pragma once

#include <cstdint>
#include <iosfwd>

namespace penstock::harness {

struct DemoOptions {
  std::int64_t records = 200'000;  // 20 s at the default rate
  std::int64_t rate = 10'000;      // per second
  bool json = false;               // the last line is one JSON object with the figures
  bool no_crash = false;           // do not pull the plug
  bool keep = false;               // stay up afterwards, with the addresses printed, until Ctrl-C
};

// The exit status: 0 only if every record arrived once, in order, with the right content.
// 130 when it was interrupted.
[[nodiscard]] int run_demo(const DemoOptions& options, std::ostream& out);

}  // namespace penstock::harness
