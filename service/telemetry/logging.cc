#include "telemetry/logging.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "core/mutex.h"
#include "telemetry/log_line.h"
#include "telemetry/repetition.h"

namespace penstock::telemetry {
namespace {

// How often a writer that waits for a slow reader looks whether it shall stop.
constexpr std::chrono::milliseconds kPollInterval{50};
// How often counts of suppressed events are looked at while nothing is logged.
constexpr std::chrono::seconds kIdleInterval{1};

bool wants_text(const LogOptions& options) {
  if (options.format == LogFormat::automatic) return isatty(options.fd) == 1;
  return options.format == LogFormat::text;
}

bool wants_colours(const LogOptions& options) {
  const char* refused = std::getenv("NO_COLOR");  // https://no-color.org
  return isatty(options.fd) == 1 && (refused == nullptr || *refused == '\0');
}

}  // namespace

struct Logging::Impl {
  Impl(const LogOptions& log_options, const Clock& log_clock)
      : options(log_options),
        clock(log_clock),
        text(wants_text(log_options)),
        colours(wants_colours(log_options)),
        limiter(log_options.burst, log_options.window) {}

  const LogOptions options;
  const Clock& clock;
  const bool text;
  const bool colours;

  Mutex limiter_mutex;
  RepetitionLimiter limiter GUARDED_BY(limiter_mutex);

  Mutex queue_mutex;
  CondVar queue_changed;
  std::deque<std::string> queue GUARDED_BY(queue_mutex);
  std::uint64_t dropped GUARDED_BY(queue_mutex) = 0;
  bool writing GUARDED_BY(queue_mutex) = false;
  CondVar line_is_out;
  bool stopping GUARDED_BY(queue_mutex) = false;

  // Set before `stopping`: when the last line must be out.
  std::atomic<SteadyTime> flush_deadline{SteadyTime::max()};
  std::optional<Thread> writer;

  void on_event(LogLevel level, std::string_view event, std::span<const LogField> fields);
  void write_loop();
  void flush(std::chrono::milliseconds limit);
  void stop();

 private:
  std::string line(LogLevel level, std::string_view event, std::span<const LogField> fields) const;
  void push(std::string line);
  void push_suppressed(const std::vector<RepetitionLimiter::Suppressed>& ended);
  void collect_suppressed();
  void write_line(std::string_view line) const;
};

std::string Logging::Impl::line(LogLevel level, std::string_view event,
                                std::span<const LogField> fields) const {
  const SystemTime now = clock.system_now();
  return text ? text_line(now, level, event, fields, colours)
              : json_line(now, level, event, fields);
}

void Logging::Impl::push(std::string text_of_line) {
  const MutexLock lock(queue_mutex);
  if (queue.size() >= options.queue_lines) {
    queue.pop_front();
    ++dropped;
  }
  queue.push_back(std::move(text_of_line));
  queue_changed.notify_one();
}

void Logging::Impl::push_suppressed(const std::vector<RepetitionLimiter::Suppressed>& ended) {
  for (const RepetitionLimiter::Suppressed& suppressed : ended) {
    std::vector<LogField> fields = {{"suppressed_event", suppressed.event},
                                    {"count", suppressed.count}};
    fields.insert(fields.end(), suppressed.scope.begin(), suppressed.scope.end());
    push(line(LogLevel::warning, "log_suppressed", fields));
  }
}

void Logging::Impl::on_event(LogLevel level, std::string_view event,
                             std::span<const LogField> fields) {
  std::vector<RepetitionLimiter::Suppressed> ended;
  bool admitted = false;
  {
    const MutexLock lock(limiter_mutex);
    admitted = limiter.admit(event, fields, clock.steady_now(), ended);
  }
  push_suppressed(ended);
  if (admitted) push(line(level, event, fields));
}

void Logging::Impl::collect_suppressed() {
  std::vector<RepetitionLimiter::Suppressed> ended;
  {
    const MutexLock lock(limiter_mutex);
    limiter.collect(clock.steady_now(), ended);
  }
  push_suppressed(ended);
}

// A pipe that polls writable takes PIPE_BUF bytes without blocking, so lines go in such pieces and
// the descriptor, which other processes may share, need not be made non-blocking.
void Logging::Impl::write_line(std::string_view rest) const {
  while (!rest.empty()) {
    pollfd ready{.fd = options.fd, .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, 0) <= 0) {
      if (std::chrono::steady_clock::now() >= flush_deadline.load()) return;
      if (::poll(&ready, 1, static_cast<int>(kPollInterval.count())) <= 0) continue;
    }
    const ssize_t written =
        ::write(options.fd, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
    if (written < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return;  // nobody reads any more
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void Logging::Impl::write_loop() {
  // A log reader that goes away must not take the process with it: this thread gets EPIPE instead.
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
  while (true) {
    std::string next;
    std::uint64_t lost = 0;
    {
      const MutexLock lock(queue_mutex);
      if (std::exchange(writing, false)) line_is_out.notify_all();
      const SteadyTime deadline = std::chrono::steady_clock::now() + kIdleInterval;
      while (queue.empty() && !stopping && queue_changed.wait_until(queue_mutex, deadline)) {
      }
      if (queue.empty() && stopping) return;
      // One at a time: what waits stays where the newest can push out the oldest.
      if (!queue.empty()) {
        next = std::move(queue.front());
        queue.pop_front();
        writing = true;
      }
      lost = std::exchange(dropped, 0);
    }
    if (next.empty()) {
      collect_suppressed();
      continue;
    }
    if (lost > 0) {
      const LogField fields[] = {{"lines", lost}};
      write_line(line(LogLevel::warning, "log_dropped", fields));
    }
    write_line(next);
  }
}

void Logging::Impl::flush(std::chrono::milliseconds limit) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + limit;
  const MutexLock lock(queue_mutex);
  while ((writing || !queue.empty()) && line_is_out.wait_until(queue_mutex, deadline)) {
  }
}

void Logging::Impl::stop() {
  std::vector<RepetitionLimiter::Suppressed> ended;
  {
    const MutexLock lock(limiter_mutex);
    limiter.collect_all(ended);
  }
  push_suppressed(ended);
  flush_deadline = std::chrono::steady_clock::now() + options.flush_timeout;
  {
    const MutexLock lock(queue_mutex);
    stopping = true;
    queue_changed.notify_one();
  }
  writer->join();
}

Logging::Logging(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Logging::~Logging() {
  set_log_sink({});
  impl_->stop();
}

void Logging::flush(std::chrono::milliseconds limit) { impl_->flush(limit); }

std::unique_ptr<Logging> install_logging(const LogOptions& options, const Clock& clock) {
  auto impl = std::make_shared<Logging::Impl>(options, clock);
  impl->writer.emplace("log", [raw = impl.get()] { raw->write_loop(); });
  // The sink shares the state: a thread that is inside log() while the destructor runs still has
  // it.
  set_log_sink(
      [impl](LogLevel level, std::string_view event, std::span<const LogField> fields) {
        try {
          impl->on_event(level, event, fields);
        } catch (...) {  // NOLINT(bugprone-empty-catch): no memory for the line; the caller goes on
        }
      },
      options.level);
  return std::unique_ptr<Logging>(new Logging(std::move(impl)));
}

}  // namespace penstock::telemetry
