#include "harness/demo_view.h"

#include <unistd.h>

#include <format>
#include <iostream>

namespace penstock::harness {
namespace {

using namespace std::chrono_literals;

constexpr auto kLineInterval = 2s;  // without a terminal

std::string milliseconds(double ms) {
  if (ms <= 0) return "–";
  return ms < 1'000 ? std::format("{:.1f} ms", ms) : std::format("{:.1f} s", ms / 1'000);
}

// `text` right-aligned; "–" is three bytes and one column.
std::string right(const std::string& text, std::size_t width) {
  std::size_t columns = 0;
  for (const char c : text) columns += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return std::string(width > columns ? width - columns : 0, ' ') + text;
}

}  // namespace

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string to_json(const DemoFigures& figures) {
  const Verdict& v = figures.verdict;
  return std::format(
      R"({{"produced":{},"rows":{},"dead_letters":{},"lost":{},"duplicates":{},"out_of_order":{},)"
      R"("rows_per_second":{:.0f},"latency_ms":{{"p50":{:.2f},"p99":{:.2f}}},"restarts":{}}})",
      v.produced, v.rows, v.dead_letters, v.lost, v.duplicates, v.out_of_order,
      figures.rows_per_second, figures.p50_ms, figures.p99_ms, figures.restarts);
}

DemoView::DemoView(std::ostream& out)
    : out_(out), terminal_(&out == &std::cout && ::isatty(STDOUT_FILENO) == 1) {}

std::string DemoView::bold(const std::string& text) const {
  return terminal_ ? "\033[1m" + text + "\033[0m" : text;
}

std::string DemoView::stamp() const {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
  return started_ == SteadyTime{} ? "" : std::format("{:6.1f} s", elapsed.count());
}

void DemoView::say(const std::string& text) {
  end_progress();
  out_ << text << '\n' << std::flush;
}

void DemoView::shout(const std::string& text) { say("  " + stamp() + "   " + bold(text)); }

void DemoView::begin_progress() {
  started_ = std::chrono::steady_clock::now();
  say("");
  say(bold(std::format("  {:>8} {:>11} {:>11} {:>9} {:>10} {:>10} {:>9} {:>13}", "time", "sent",
                       "rows", "rows/s", "p50", "p99", "lag", "dead letters")));
}

void DemoView::progress(const Progress& now) {
  const SteadyTime at = std::chrono::steady_clock::now();
  if (!terminal_ && at - last_line_ < kLineInterval) return;
  last_line_ = at;
  const std::string line = "  " + right(stamp(), 8) + " " + right(grouped(now.sent), 11) + " " +
                           right(grouped(now.rows), 11) + " " +
                           right(grouped(static_cast<std::int64_t>(now.rows_per_second)), 9) + " " +
                           right(milliseconds(now.p50_ms), 10) + " " +
                           right(milliseconds(now.p99_ms), 10) + " " + right(grouped(now.lag), 9) +
                           " " + right(grouped(now.dead_letters), 13);
  if (terminal_) {
    out_ << "\r\033[K" << line << std::flush;
    live_ = true;
  } else {
    out_ << line << '\n' << std::flush;
  }
}

void DemoView::end_progress() {
  if (live_) out_ << '\n' << std::flush;
  live_ = false;
}

void DemoView::table(const DemoFigures& figures) {
  const Verdict& v = figures.verdict;
  const auto line = [&](const std::string& name, const std::string& value,
                        const std::string& note) {
    say(std::format("    {:<14}", name) + right(value, 12) + (note.empty() ? "" : "   " + note));
  };
  const auto must_be_zero = [&](const std::string& name, std::int64_t value) {
    line(name, grouped(value), value == 0 ? "" : "must be 0");
  };
  say("");
  line("produced", grouped(v.produced), "");
  line("rows", grouped(v.rows), "");
  line("dead letters", grouped(v.dead_letters), "with their original bytes, and why");
  must_be_zero("lost", v.lost);
  must_be_zero("duplicates", v.duplicates);
  must_be_zero("out of order", v.out_of_order);
  if (v.wrong != 0) must_be_zero("wrong", v.wrong);
  line("rows/s", grouped(static_cast<std::int64_t>(figures.rows_per_second)), "");
  const std::string where =
      figures.restarts > 0 ? "produce → visible, without the 5 s after each start, and the crash"
                           : "produce → visible, without the first 5 s";
  line("latency p50", milliseconds(figures.p50_ms), where);
  line("latency p99", milliseconds(figures.p99_ms), "");
  line("restarts", grouped(figures.restarts), "");
  say("");
  for (const std::string& finding : v.findings) say("    " + finding);
  if (!v.clean()) {
    say(bold("  NOT exactly once: this is a bug; please report it with the lines above."));
  } else if (figures.restarts > 0) {
    say(bold("  Every order is in PostgreSQL exactly once and in order, through a SIGKILL."));
  } else {
    say(bold("  Every order is in PostgreSQL exactly once and in order."));
  }
}

}  // namespace penstock::harness
