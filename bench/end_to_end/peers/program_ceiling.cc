#include "end_to_end/peers/program.h"

namespace penstock::bench {
namespace {

constexpr const char* kWriters = "2";  // 3 are no faster on two CPUs

class Ceiling : public Program {
 public:
  explicit Ceiling(std::filesystem::path program) : program_(std::move(program)) {}

  [[nodiscard]] std::string name() const override { return std::string(kCeiling); }

  [[nodiscard]] std::filesystem::path missing() const override { return first_missing({program_}); }

  [[nodiscard]] std::string excuse(const Job& job) const override {
    if (!job.workload->has_ceiling) return "it knows nothing but orders";
    if (job.paced_per_second > 0) return "it waits until 50,000 rows are there";
    return job.has_key ? "" : "it keeps no positions";
  }

  [[nodiscard]] Result<harness::ChildProcess> start(const Job& job) const override {
    return run(job, {program_, job.brokers, job.topic, std::to_string(kPartitions),
                     std::to_string(job.records), conninfo_of(job.database), "bench", kWriters});
  }

 private:
  const std::filesystem::path program_;
};

}  // namespace

std::unique_ptr<Program> make_ceiling(const std::filesystem::path& program) {
  return std::make_unique<Ceiling>(program);
}

}  // namespace penstock::bench
