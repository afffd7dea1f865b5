#include "end_to_end/peers/figures.h"

#include <algorithm>
#include <cmath>
#include <format>

#include "end_to_end/bench_support.h"
#include "end_to_end/peers/program.h"

namespace penstock::bench {
namespace {

using Value = std::optional<double>;

// The median over the rounds; nothing if the program did not do this workload.
Value median_of(const Figures& figures, const std::string& workload, std::string_view program,
                double Throughput::* field) {
  const auto programs = figures.throughput.find(workload);
  if (programs == figures.throughput.end()) return std::nullopt;
  const auto rounds = programs->second.find(std::string(program));
  if (rounds == programs->second.end()) return std::nullopt;
  std::vector<double> values;
  for (const Throughput& round : rounds->second) values.push_back(round.*field);
  return median(std::move(values));
}

// Of the peers' medians.
Value best_peer(const Figures& figures, const std::string& workload, double Throughput::* field,
                const double& (*better)(const double&, const double&)) {
  Value best;
  for (const std::string& peer : figures.peers) {
    const Value value = median_of(figures, workload, peer, field);
    if (value) best = best ? better(*best, *value) : *value;
  }
  return best;
}

Value ratio(Value a, Value b) {
  if (!a || !b || *b == 0) return std::nullopt;
  return *a / *b;
}

Value rate(const Figures& figures, const std::string& workload, std::string_view program) {
  return median_of(figures, workload, program, &Throughput::records_per_second);
}

Value rate_vs_best_peer(const Figures& figures, const std::string& workload) {
  return ratio(rate(figures, workload, kPenstock),
               best_peer(figures, workload, &Throughput::records_per_second, std::max<double>));
}

Value p99(const Figures& figures, std::int64_t pace, std::string_view program) {
  const auto programs = figures.latency.find(pace);
  if (programs == figures.latency.end()) return std::nullopt;
  const auto report = programs->second.find(std::string(program));
  if (report == programs->second.end() || !report->second) return std::nullopt;
  return report->second->p99_ms;
}

std::string latency_json(const Figures& figures, std::int64_t pace) {
  Value best;
  for (const std::string& peer : figures.peers) {
    if (const Value value = p99(figures, pace, peer))
      best = std::min(best.value_or(*value), *value);
  }
  const Value ours = p99(figures, pace, kPenstock);
  const auto text = [](Value value) { return value ? std::format("{:.2f}", *value) : "null"; };
  return std::format(R"({{"p99_ms":{},"bare_p99_ms":{},"vs_best_peer":{}}})", text(ours),
                     text(p99(figures, pace, kBare)), text(ratio(best, ours)));
}

std::string throughput_tables(const Figures& figures) {
  std::string out;
  for (const auto& [workload, programs] : figures.throughput) {
    out += std::format("\n{:<18} {:>12} {:>14} {:>14} {:>10} {:>9}   {}\n", workload, "records/s",
                       "CPU s/M alone", "CPU s/M servers", "peak MB", "seconds", "every round");
    for (const auto& [program, rounds] : programs) {
      const auto value = [&](double Throughput::* field) {
        return *median_of(figures, workload, program, field);
      };
      std::string all;
      for (const Throughput& round : rounds)
        all += std::format(" {:.0f}", round.records_per_second);
      out += std::format("{:<18} {:>12.0f} {:>14.2f} {:>15.2f} {:>10.0f} {:>9.1f}  {}\n", program,
                         value(&Throughput::records_per_second), value(&Throughput::program_cpu),
                         value(&Throughput::servers_cpu), value(&Throughput::peak_resident_mb),
                         value(&Throughput::seconds), all);
    }
  }
  return out;
}

std::string latency_tables(const Figures& figures) {
  std::string out;
  for (const auto& [pace, programs] : figures.latency) {
    out += std::format("\n{:<18} {:>9} {:>9} {:>9} {:>9}   milliseconds\n",
                       std::format("at {}/s", pace), "p50", "p99", "p99.9", "max");
    for (const auto& [program, report] : programs) {
      out += report ? std::format("{:<18} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f}\n", program,
                                  report->p50_ms, report->p99_ms, report->p999_ms, report->max_ms)
                    : std::format("{:<18} fell behind\n", program);
    }
  }
  return out;
}

std::string crash_table(const Figures& figures) {
  if (figures.crash.empty()) return "";
  std::string out = std::format("\n{:<18} {:>12} {:>12} {:>12}\n", "SIGKILL half way", "records",
                                "duplicates", "lost");
  for (const auto& [program, outcome] : figures.crash) {
    out += std::format("{:<18} {:>12} {:>12} {:>12}\n", program, outcome.records,
                       outcome.duplicates, outcome.lost);
  }
  return out;
}

}  // namespace

std::string tables_of(const Figures& figures) {
  return throughput_tables(figures) + latency_tables(figures) + crash_table(figures);
}

std::string json_of(const Figures& figures) {
  const auto text = [](Value value, int digits) {
    return value ? std::format("{:.{}f}", *value, digits) : "null";
  };
  const Value ours = rate(figures, "orders", kPenstock);
  const Value control = rate(figures, "orders", kControl);
  const Value cpu = ratio(best_peer(figures, "orders", &Throughput::program_cpu, std::min<double>),
                          median_of(figures, "orders", kPenstock, &Throughput::program_cpu));
  Value spread;
  if (ours && control) spread = std::abs(*ours - *control) / std::max(*ours, *control);
  return std::format(
      R"({{"orders":{{"rows_per_second":{},"vs_best_peer":{},"vs_ceiling":{}}},)"
      R"("wide":{{"vs_best_peer":{}}},"filter":{{"lines_per_second":{}}},)"
      R"("slow_database":{{"vs_best_peer":{}}},"latency_10k":{},"latency_50k":{},)"
      R"("cpu_vs_best_peer":{},"peak_rss_mb":{},"aa_spread":{}}})",
      text(ours, 0), text(rate_vs_best_peer(figures, "orders"), 2),
      text(ratio(ours, rate(figures, "orders", kCeiling)), 3),
      text(rate_vs_best_peer(figures, "wide"), 2), text(rate(figures, "filter", kPenstock), 0),
      text(rate_vs_best_peer(figures, "slow-database"), 2), latency_json(figures, 10'000),
      latency_json(figures, 50'000), text(cpu, 2),
      text(median_of(figures, "orders", kPenstock, &Throughput::peak_resident_mb), 0),
      text(spread, 3));
}

}  // namespace penstock::bench
