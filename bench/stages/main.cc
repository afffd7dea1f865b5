// The main() of every benchmark of a stage: Google Benchmark's, and --json.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

namespace {

// Prints the table, and remembers what each thing took.
class Collector : public benchmark::ConsoleReporter {
 public:
  Collector() : ConsoleReporter(OO_Tabular) {}

  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.skipped) {
        failed_ = true;
        continue;
      }
      for (const auto& [name, counter] : run.counters) {
        if (name.starts_with("s/")) {
          const double ns = std::round(counter.value * 1e12) / 1e3;
          figures_[run.benchmark_name()]["ns_per_" + name.substr(2)] = ns;
        }
      }
    }
  }
  [[nodiscard]] const nlohmann::json& figures() const { return figures_; }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  nlohmann::json figures_ = nlohmann::json::object();
  bool failed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  const bool json = std::erase_if(arguments, [](const char* argument) {
                      return std::string_view(argument) == "--json";
                    }) > 0;
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector);
  if (json) std::puts(collector.figures().dump().c_str());
  return collector.failed() ? 1 : 0;
}
