#include "end_to_end/peers/results.h"

#include <format>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "harness/text_file.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 1;

// What is in the file, or an empty start if it is not there.
Result<json> read(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return json{{"format", kFormat}, {"workloads", json::object()}};
  const json all = json::parse(harness::read_file(file), nullptr, false);
  if (!all.is_object() || all.value("format", 0) != kFormat || !all.contains("workloads") ||
      !all["workloads"].is_object()) {
    return fail(ErrorKind::invalid_argument, file.string() + " holds no results of this benchmark",
                "give another file by --results, or remove this one");
  }
  return all;
}

json to_json(const Measured& measured) {
  json rounds = json::array();
  for (const auto& round : measured.rounds) rounds.push_back(round ? json(*round) : json(nullptr));
  return {{"is_peer", measured.is_peer},
          {"rounds", std::move(rounds)},
          {"configuration", measured.configuration}};
}

json to_json(const WorkloadResults& results) {
  const Conditions& conditions = results.conditions;
  json programs = json::object();
  for (const auto& [name, measured] : results.programs) programs[name] = to_json(measured);
  return {{"summary", results.summary},
          {"conditions",
           {{"date", conditions.date},
            {"amounts", conditions.amounts},
            {"machine", conditions.machine},
            {"versions", conditions.versions},
            {"postgresql_settings", conditions.postgresql_settings}}},
          {"programs", std::move(programs)},
          {"left_out", results.left_out}};
}

}  // namespace

Result<void> check_results(const fs::path& file) {
  if (auto all = read(file); !all) return std::unexpected(all.error());
  const fs::path folder = fs::absolute(file).parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder, error)) {
    return fail(ErrorKind::not_found, "the directory " + folder.string() + " cannot be made",
                "give another file by --results");
  }
  return {};
}

Result<void> keep_results(const fs::path& file, const std::string& workload,
                          const WorkloadResults& results) {
  auto all = read(file);
  if (!all) return std::unexpected(all.error());
  (*all)["workloads"][workload] = to_json(results);
  const fs::path partial = file.string() + ".partial";
  std::ofstream out(partial);
  out << all->dump(1) << "\n";
  out.close();
  std::error_code error;
  if (out) fs::rename(partial, file, error);
  if (!out || error) {
    return fail(ErrorKind::unavailable, "cannot write " + file.string(), "is the disk full?");
  }
  return {};
}

}  // namespace penstock::bench
