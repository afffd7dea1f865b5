// What the demo shows: headings, the live line, the table at the end.
//
// Threads: one. On a terminal the live line is drawn over itself; elsewhere it is a line now and
// then.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>

#include "core/clock.h"
#include "harness/verifier.h"

namespace penstock::harness {

// What the demo has found out at its end.
struct DemoFigures {
  Verdict verdict;
  double rows_per_second = 0;  // from the first order sent to the last row visible
  double p50_ms = 0;           // produce → visible, without starts and crash
  double p99_ms = 0;
  int restarts = 0;
};

struct Progress {
  std::int64_t sent = 0;
  std::int64_t rows = 0;
  double rows_per_second = 0;
  double p50_ms = 0;  // of the latest rows; 0: none yet
  double p99_ms = 0;
  std::int64_t lag = 0;  // acknowledged by the broker and not in PostgreSQL yet
  std::int64_t dead_letters = 0;
};

class DemoView {
 public:
  explicit DemoView(std::ostream& out);

  // A line of its own; the live line gives way.
  void say(const std::string& text);
  // The same, where something happens that one should not miss.
  void shout(const std::string& text);
  // Before the first progress().
  void begin_progress();
  void progress(const Progress& now);
  void end_progress();
  void table(const DemoFigures& figures);

  [[nodiscard]] bool terminal() const { return terminal_; }

 private:
  [[nodiscard]] std::string stamp() const;
  [[nodiscard]] std::string bold(const std::string& text) const;

  std::ostream& out_;
  const bool terminal_;
  SteadyTime started_{};
  SteadyTime last_line_{};
  bool live_ = false;  // a live line is on the screen
};

// The object of --json, in one line.
[[nodiscard]] std::string to_json(const DemoFigures& figures);

// 1234567 → "1,234,567".
[[nodiscard]] std::string grouped(std::int64_t number);

}  // namespace penstock::harness
