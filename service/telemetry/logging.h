// Turns core's log events into lines on stderr: JSON for machines, aligned text for people.
//
// Place in the flow: everything calls core's log(); app/ installs this sink before it starts
// threads. One event is one line: a time (RFC 3339, UTC, milliseconds), the level, the event's name
// and its fields with their types. Control characters are escaped, bytes that are not UTF-8 become
// U+FFFD, and a long value is cut, so that input can neither forge a line nor flood the log.
//
// Repetition: of one event with the same `pipeline`, `topic`, `partition` and `lane` fields, at
// most `burst` lines pass in `window`, whatever the level; later one line "log_suppressed" says how
// many more there were.
//
// Threads: log() formats on the caller and hands the line to a bounded queue whose one thread
// writes it. When stderr is slower than the events, the oldest waiting lines are dropped and a line
// "log_dropped" counts them: a stuck log collector never blocks the pipeline.
// Failure: lines that cannot be written are lost; logging never throws and never stops the process.
// Stop: the destructor takes the sink out of core, writes what is waiting (for at most
// `flush_timeout`) and joins its thread. Callers keep secrets and payloads out of fields.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/clock.h"
#include "core/log.h"

namespace penstock::telemetry {

enum class LogFormat : std::uint8_t {
  automatic,  // text on a terminal, else JSON
  text,
  json,
};

struct LogOptions {
  LogFormat format = LogFormat::automatic;
  LogLevel level = LogLevel::info;
  // Enough to see the start of a storm, few enough to keep the log readable during it.
  std::size_t burst = 10;
  std::chrono::milliseconds window{10'000};
  // Lines that may wait for stderr; about 1 MB when every line is long.
  std::size_t queue_lines = 4096;
  std::chrono::milliseconds flush_timeout{2'000};
  int fd = 2;  // stderr; tests pass a pipe
};

class Logging {
 public:
  ~Logging();
  Logging(const Logging&) = delete;
  Logging& operator=(const Logging&) = delete;

  // Returns when what was logged before is written, or after `limit`: for a process that will not
  // get to the destructor. From any thread.
  void flush(std::chrono::milliseconds limit);

 private:
  friend std::unique_ptr<Logging> install_logging(const LogOptions& options, const Clock& clock);
  struct Impl;
  explicit Logging(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// Sets core's log sink for as long as the returned object lives. `clock` must outlive it.
[[nodiscard]] std::unique_ptr<Logging> install_logging(const LogOptions& options,
                                                       const Clock& clock = system_clock());

}  // namespace penstock::telemetry
