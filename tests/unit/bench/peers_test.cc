#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <format>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "concurrency/thread.h"
#include "end_to_end/peers/benchmark.h"
#include "end_to_end/peers/conditions.h"
#include "end_to_end/peers/delay_proxy.h"
#include "end_to_end/peers/process_tree.h"
#include "end_to_end/peers/program.h"
#include "end_to_end/peers/results.h"
#include "end_to_end/peers/stage.h"
#include "end_to_end/peers/workload.h"
#include "harness/temporary_directory.h"
#include "harness/text_file.h"

namespace penstock::bench {
namespace {

using namespace std::chrono_literals;

const Workload& workload(const std::string& name) {
  return *std::ranges::find(workloads(), name, &Workload::name);
}

// ---- records ------------------------------------------------------------------------------------

TEST(PeersWorkload, WideRecordsHaveAboutAKilobyteAndAHalf) {
  std::string buffer;
  const std::string_view payload = workload("wide").payload(12'345, buffer);
  EXPECT_GT(payload.size(), 1'350U);
  EXPECT_LT(payload.size(), 1'650U);
  EXPECT_EQ(workload("wide").columns.size(), 20U);
}

TEST(PeersWorkload, UpsertsHaveEveryKeyOnceAndSoManyOfRowsThatAreThere) {
  for (const auto& [name, updates] : {std::pair{"upsert", 10'000}, {"upsert-all", 100'000}}) {
    const Upserts& upserts = *workload(name).upserts;
    std::set<std::int64_t> keys;
    int there = 0;
    for (std::int64_t index = 0; index < 100'000; ++index) {
      const std::int64_t key = upserts.key(index);
      keys.insert(key);
      if (key < upserts.rows) ++there;
    }
    EXPECT_EQ(keys.size(), 100'000U) << name;
    EXPECT_EQ(there, updates) << name;
    std::string buffer;
    EXPECT_TRUE(
        workload(name).payload(70, buffer).contains(std::format(R"("id":{},)", upserts.key(70))))
        << buffer;
  }
}

TEST(PeersWorkload, EveryPartitionOfFilterKeepsTwoPercent) {
  const Workload& filter = workload("filter");
  std::array<int, kPartitions> kept{};
  std::string buffer;
  for (std::int64_t index = 0; index < 8'000; ++index) {
    if (filter.payload(index, buffer).contains(R"("level":"error")")) {
      ++kept[static_cast<std::size_t>(filter.partition_of(index))];
    }
  }
  for (const int lines : kept) EXPECT_EQ(lines, 1'000 / filter.keep_one_in);
}

TEST(PeersWorkload, SkewPutsFourFifthsIntoOnePartition) {
  const Workload& skew = workload("skew");
  std::array<int, kPartitions> records{};
  for (std::int64_t index = 0; index < 10'000; ++index) {
    ++records[static_cast<std::size_t>(skew.partition_of(index))];
  }
  EXPECT_EQ(records[0], 8'000);
  EXPECT_TRUE(std::ranges::all_of(records, [](int count) { return count > 150; }));
}

TEST(PeersWorkload, TheTableOfACrashHasNoKeyThatHidesWhatComesTwice) {
  EXPECT_TRUE(create_table(workload("orders"), true).contains("PRIMARY KEY (id)"));
  EXPECT_FALSE(create_table(workload("orders"), false).contains("KEY"));
}

// ---- results ------------------------------------------------------------------------------------

class PeersResults : public ::testing::Test {
 protected:
  [[nodiscard]] std::string text() const { return harness::read_file(file()); }
  [[nodiscard]] std::filesystem::path file() const {
    return directory_.path() / "peers" / "r.json";
  }
  void write(const std::string& text) const {
    std::filesystem::create_directories(file().parent_path());
    ASSERT_TRUE(harness::write_private_file(file(), text));
  }
  static WorkloadResults with(const std::string& program, std::optional<Round> round) {
    WorkloadResults results;
    results.conditions.date = "2026-01-02T03:04:05Z";
    results.programs[program].rounds = {std::move(round)};
    return results;
  }

 private:
  const harness::TemporaryDirectory directory_ =
      *harness::TemporaryDirectory::make("penstock-results");
};

TEST_F(PeersResults, AWorkloadThatIsMeasuredAgainIsReplacedAndTheOthersStay) {
  ASSERT_TRUE(check_results(file()));
  ASSERT_TRUE(keep_results(file(), "orders", with("old", Round{{"records_per_second", 1}})));
  ASSERT_TRUE(keep_results(file(), "wide", with("other", Round{{"records_per_second", 2}})));
  ASSERT_TRUE(keep_results(file(), "orders", with("new", Round{{"records_per_second", 3}})));
  EXPECT_FALSE(text().contains(R"("old")")) << text();
  EXPECT_TRUE(text().contains(R"("new")")) << text();
  EXPECT_TRUE(text().contains(R"("other")")) << text();
  EXPECT_FALSE(std::filesystem::exists(file().string() + ".partial"));
}

TEST_F(PeersResults, ARoundInWhichAProgramFellBehindIsNull) {
  ASSERT_TRUE(check_results(file()));
  ASSERT_TRUE(keep_results(file(), "latency-10000", with("slow", std::nullopt)));
  EXPECT_TRUE(text().contains("null")) << text();
}

TEST_F(PeersResults, AFileOfSomethingElseIsRefusedAndStaysAsItIs) {
  for (const std::string other : {"", "hello", "[]", R"({"format":2,"workloads":{}})"}) {
    write(other);
    const auto checked = check_results(file());
    ASSERT_FALSE(checked);
    EXPECT_TRUE(checked.error().message.contains("r.json holds no results"));
    EXPECT_FALSE(keep_results(file(), "orders", {}));
    EXPECT_EQ(text(), other);
  }
}

TEST_F(PeersResults, ADirectoryThatCannotBeMadeIsSaidBeforeAnythingIsMeasured) {
  write("a file where a directory is wanted");
  const auto checked = check_results(file() / "below" / "r.json");
  ASSERT_FALSE(checked);
  EXPECT_TRUE(checked.error().message.contains("cannot be made")) << checked.error().message;
}

// ---- conditions ---------------------------------------------------------------------------------

TEST(PeersConditions, SayTheMachineAndTheVersions) {
  EXPECT_EQ(cpu_model("processor\t: 0\nmodel name\t: Fast (R) 2 GHz\nflags\t: a\n"),
            "Fast (R) 2 GHz");
  EXPECT_EQ(cpu_model("processor\t: 0\n"), "unknown");
  EXPECT_TRUE(machine().at("memory").ends_with(" GiB"));
  const auto directory = *harness::TemporaryDirectory::make("penstock-kit");
  std::filesystem::create_directory(directory.path() / "lib");
  ASSERT_TRUE(
      harness::write_private_file(directory.path() / "lib" / "kafka-clients-4.3.0.jar", ""));
  ASSERT_TRUE(harness::write_private_file(directory.path() / "versions", "a-peer v4.85.0\nb 3\n"));
  const auto known = versions(directory.path(), directory.path());
  EXPECT_EQ(known.at("kafka"), "4.3.0");
  EXPECT_EQ(known.at("a-peer"), "v4.85.0");
  EXPECT_EQ(versions("/nowhere", "/nowhere").at("kafka"), "unknown");
}

// ---- what is missing ----------------------------------------------------------------------------

TEST(PeersPrograms, AMissingKitIsSaidBeforeServersStart) {
  BenchmarkOptions options;
  options.penstock = options.ceiling = "/proc/self/exe";
  options.peers_kit = "/no/kit";
  const auto programs = make_programs(options);
  ASSERT_FALSE(programs);
  EXPECT_EQ(programs.error().to_string(),
            "flink-sql cannot take part: /no/kit/flink-sql/lib is not there (./dev bench peers "
            "makes it, once, over the network; or leave it out: --programs penstock,ceiling)");
  options.programs = {"ceiling", "penstock"};
  const auto ours = make_programs(options);
  ASSERT_TRUE(ours) << ours.error().to_string();
  EXPECT_EQ(ours->size(), 2U);
}

TEST(PeersPrograms, FlinkIsToldTheFieldsAndTheKeyAndComputesAsTheOthersDo) {
  const auto directory = *harness::TemporaryDirectory::make("penstock-peers");
  const auto flink = make_flink_sql("/no/kit");
  Job job;
  job.workload = &workload("filter");
  job.directory = directory.path();
  job.name = "flink-sql-1";
  ASSERT_TRUE(flink->start(job));  // ends at once: there is no such kit
  const auto text = harness::read_file(directory.path() / "flink-sql-1.sql");
  EXPECT_TRUE(text.contains("`level` STRING")) << text;
  EXPECT_TRUE(text.contains("`time` TIMESTAMP_LTZ(6)")) << text;
  EXPECT_TRUE(text.contains("PRIMARY KEY (`id`) NOT ENFORCED")) << text;
  EXPECT_TRUE(text.contains("CAST(`time` AS TIMESTAMP(6))")) << text;
  EXPECT_TRUE(text.contains("FROM records WHERE level = 'error';")) << text;
  job.workload = &workload("orders");
  job.has_key = false;
  ASSERT_TRUE(flink->start(job));
  const auto crash = harness::read_file(directory.path() / "flink-sql-1.sql");
  EXPECT_FALSE(crash.contains("KEY")) << crash;
  EXPECT_TRUE(crash.contains("quantity * unit_price")) << crash;
}

TEST(PeersPrograms, OneThatEndsAtItsStartIsQuoted) {
  const auto directory = *harness::TemporaryDirectory::make("penstock-peers");
  Job job;
  job.name = "dies";
  job.directory = directory.path();
  const auto program = make_penstock("/nowhere");
  auto process = run(job, {"sh", "-c", "echo the port is in use; exit 3"});
  ASSERT_TRUE(process) << process.error().to_string();
  ASSERT_TRUE(process->wait_for(30s));
  const auto lives = Stage::lives(*program, job, *process);
  ASSERT_FALSE(lives);
  EXPECT_EQ(lives.error().message, "penstock ended with exit status 3:\n  the port is in use\n");
}

TEST(PeersStage, WhatIsHiddenIsHiddenEverywhere) {
  std::string text = "a: secret, b: secretsecret";
  replace_all(text, "secret", "***");
  EXPECT_EQ(text, "a: ***, b: ******");
  replace_all(text, "***", "******");  // longer than what it replaces, and holding it
  EXPECT_EQ(text, "a: ******, b: ************");
  replace_all(text, "", "x");
  EXPECT_EQ(text, "a: ******, b: ************");
}

TEST(PeersStage, RecordsThatDoNotFitAreNotProduced) {
  const Workload& orders = workload("orders");
  EXPECT_EQ(no_room_for(orders, 1'000, "/data", 1'000'000), "");
  const std::string why = no_room_for(orders, 100'000'000, "/data", 1'000'000'000);
  EXPECT_TRUE(why.starts_with("100000000 records of orders and their rows need up to ")) << why;
  EXPECT_TRUE(why.contains("in /data, and 1 GB are free")) << why;
}

// ---- processes and connections
// --------------------------------------------------------------------

TEST(PeersProcessTree, CountsThisProcessAndNothingForOneThatIsGone) {
  EXPECT_GT(peak_resident_mb_of_tree(::getpid()), 1);
  EXPECT_EQ(peak_resident_mb_of_tree(-1), 0);
  EXPECT_EQ(cpu_seconds_of_tree(-1), 0);
  EXPECT_GT(cpu_seconds_of_machine(), cpu_seconds_of_tree(::getpid()));
}

class Echo {  // sends back what comes, to one client
 public:
  Echo() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listener_, 1);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::make_unique<Thread>("echo", [this] {
      const int client = ::accept(listener_, nullptr, nullptr);
      char byte = 0;
      while (::recv(client, &byte, 1, 0) == 1) ::send(client, &byte, 1, MSG_NOSIGNAL);
      ::close(client);
    });
  }
  ~Echo() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.reset();
    ::close(listener_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  const int listener_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Thread> thread_;
};

TEST(PeersDelayProxy, AddsTheRoundTripAndPassesTheEndOn) {
  const Echo echo;
  const auto proxy = DelayProxy::start(echo.port(), 40ms);
  ASSERT_TRUE(proxy) << proxy.error().to_string();
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons((*proxy)->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const auto started = std::chrono::steady_clock::now();
  ASSERT_EQ(::send(client, "x", 1, MSG_NOSIGNAL), 1);
  char byte = 0;
  EXPECT_EQ(::recv(client, &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_GE(std::chrono::steady_clock::now() - started, 40ms);
  ::shutdown(client, SHUT_WR);
  EXPECT_EQ(::recv(client, &byte, 1, 0), 0);  // the echo closed its side
  ::close(client);
}

TEST(PeersDelayProxy, ClosesTheConnectionWhenNobodyIsBehindIt) {
  std::uint16_t nobody = 0;
  {
    const Echo gone;
    nobody = gone.port();
  }
  const auto proxy = DelayProxy::start(nobody, 2ms);
  ASSERT_TRUE(proxy) << proxy.error().to_string();
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons((*proxy)->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  char byte = 0;
  EXPECT_LE(::recv(client, &byte, 1, 0), 0);
  ::close(client);
}

}  // namespace
}  // namespace penstock::bench
