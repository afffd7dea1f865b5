#include "end_to_end/peers/conditions.h"

#include <librdkafka/rdkafka.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <format>
#include <sstream>
#include <system_error>
#include <thread>

#include "harness/text_file.h"

namespace penstock::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnknown = "unknown";

std::string kafka_version(const fs::path& kit) {
  constexpr std::string_view kJar = "kafka-clients-";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kit / "lib", error)) {
    const std::string name = entry.path().stem();
    if (name.starts_with(kJar)) return name.substr(kJar.size());
  }
  return kUnknown;
}

}  // namespace

std::string date_now() {
  return std::format("{:%FT%TZ}",
                     std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

std::string cpu_model(std::string_view cpuinfo) {
  const std::size_t name = cpuinfo.find("model name");
  const std::size_t colon = name == cpuinfo.npos ? name : cpuinfo.find(": ", name);
  if (colon == cpuinfo.npos) return kUnknown;
  const std::string_view model = cpuinfo.substr(colon + 2);
  return std::string(model.substr(0, model.find('\n')));
}

std::map<std::string, std::string> machine() {
  utsname system{};
  const bool known = ::uname(&system) == 0;
  const double gigabytes = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                           static_cast<double>(::sysconf(_SC_PAGE_SIZE)) / (1U << 30U);
  return {{"CPUs", std::to_string(std::thread::hardware_concurrency())},
          {"CPU", cpu_model(harness::read_file("/proc/cpuinfo"))},
          {"memory", std::format("{:.0f} GiB", gigabytes)},
          {"kernel", known ? std::format("{} {}", system.sysname, system.release) : kUnknown}};
}

std::map<std::string, std::string> versions(const fs::path& kafka_kit, const fs::path& peers_kit) {
  std::map<std::string, std::string> all{{"kafka", kafka_version(kafka_kit)},
                                         {"librdkafka", rd_kafka_version_str()}};
  std::istringstream peers(harness::read_file(peers_kit / "versions"));
  std::string name;
  std::string version;
  while (peers >> name >> version) all[name] = version;
  return all;
}

}  // namespace penstock::bench
