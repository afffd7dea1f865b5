#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "concurrency/thread.h"
#include "end_to_end/peers/delay_proxy.h"
#include "end_to_end/peers/figures.h"
#include "end_to_end/peers/process_tree.h"
#include "end_to_end/peers/workload.h"

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

// ---- figures ------------------------------------------------------------------------------------

Throughput rate(double records_per_second) {
  Throughput figure;
  figure.records_per_second = records_per_second;
  figure.program_cpu = 1e6 / records_per_second;
  return figure;
}

TEST(PeersFigures, WhatWasNotMeasuredIsNull) {
  const std::string json = json_of({});
  EXPECT_TRUE(json.starts_with(
      R"({"orders":{"rows_per_second":null,"vs_best_peer":null,"vs_ceiling":null},)"));
  EXPECT_TRUE(json.ends_with(R"("cpu_vs_best_peer":null,"peak_rss_mb":null,"aa_spread":null})"));
}

TEST(PeersFigures, RatiosAboveOneMeanThatPenstockIsBetter) {
  Figures figures;
  figures.peers = {"slow", "slower"};
  auto& orders = figures.throughput["orders"];
  orders["penstock"] = {rate(500), rate(900), rate(600)};
  orders["penstock again"] = {rate(540)};
  orders["ceiling"] = {rate(800)};
  orders["slow"] = {rate(100)};
  orders["slower"] = {rate(50)};
  figures.latency[10'000]["penstock"] = {.rows = 1, .p99_ms = 5};
  figures.latency[10'000]["slow"] = {.rows = 1, .p99_ms = 20};
  figures.latency[10'000]["slower"] = std::nullopt;  // it fell behind
  const std::string json = json_of(figures);
  EXPECT_TRUE(
      json.contains(R"("orders":{"rows_per_second":600,"vs_best_peer":6.00,"vs_ceiling":0.750})"))
      << json;
  EXPECT_TRUE(
      json.contains(R"("latency_10k":{"p99_ms":5.00,"bare_p99_ms":null,"vs_best_peer":4.00})"))
      << json;
  EXPECT_TRUE(json.contains(R"("cpu_vs_best_peer":6.00)")) << json;
  EXPECT_TRUE(json.contains(R"("aa_spread":0.100)")) << json;
  EXPECT_TRUE(tables_of(figures).contains("fell behind"));
}

// ---- processes and connections
// --------------------------------------------------------------------

TEST(PeersProcessTree, CountsThisProcessAndNothingForOneThatIsGone) {
  EXPECT_GT(peak_resident_mb_of_tree(::getpid()), 1);
  EXPECT_EQ(peak_resident_mb_of_tree(-1), 0);
  EXPECT_EQ(cpu_seconds_of_tree(-1), 0);
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
