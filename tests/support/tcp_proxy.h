// TcpProxy: stands between a PostgreSQL client and its server and breaks the connection at a chosen
// word of the client.
//
// Who uses it: fault tests of everything that talks to PostgreSQL (without TLS). Point a conninfo
// at 127.0.0.1:port(), arm() a fault, and the next client that says `trigger` meets it, once.
// Threads: all members may be called from any thread. It runs one thread of its own.
// Stop: the destructor cuts every connection and joins.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace penstock::test {

class TcpProxy {
 public:
  enum class Fault : std::uint8_t {
    none,
    cut_before,      // the server never sees the trigger
    cut_inside,      // the server sees the first half of it
    cut_after,       // the server sees it; both connections end at once
    swallow_answer,  // the server does it and answers; the client sees the connection end instead
    silence,         // as above, but the client's connection stays open without a word
    mute,            // the server never sees the trigger, and both connections stay open
  };
  // What a write lane says when it commits: a Bind of its prepared COMMIT.
  static constexpr std::string_view kLaneCommit{"\0penstock_commit\0", 17};
  // What libpqxx and psql say.
  static constexpr std::string_view kPlainCommit{"COMMIT"};

  explicit TcpProxy(std::uint16_t server_port, std::string server_host = "127.0.0.1");
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

  void arm(Fault fault, std::string_view trigger = kLaneCommit);
  // How many armed faults have happened.
  [[nodiscard]] int fired() const { return fired_; }

  // Cuts everything, and refuses new connections until told otherwise: the server is away.
  void refuse(bool refuse);
  void cut_all();
  // While frozen nothing passes and nobody is told: connections stay open, new ones too.
  void freeze(bool freeze);
  // The link is silent in both directions, and nobody is told. Swallowed, everything is taken and
  // acknowledged, and goes nowhere; connections of that time stay dead. Lost, no packet arrives,
  // new connections' first ones neither; what still lives afterwards goes on.
  enum class Silence : std::uint8_t { none, swallowed, lost };
  void silence(Silence silence);
  // Each piece of data waits this long, in both directions.
  void set_delay(std::chrono::milliseconds delay) { delay_ms_ = static_cast<int>(delay.count()); }

 private:
  struct Link;

  void run();
  void wake() const;
  void accept_one();
  void apply_silence();
  // False: the link has ended.
  [[nodiscard]] bool from_client(Link& link);
  [[nodiscard]] bool from_server(Link& link);

  const std::string server_host_;
  const std::uint16_t server_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  int wake_ = -1;
  std::atomic<bool> stop_{false};
  std::atomic<bool> refuse_{false};
  std::atomic<bool> cut_{false};
  std::atomic<bool> frozen_{false};
  std::atomic<Silence> silence_{Silence::none};
  Silence applied_ = Silence::none;  // the thread's only
  std::atomic<int> fired_{0};
  std::atomic<int> delay_ms_{0};
  std::mutex mutex_;
  Fault armed_ = Fault::none;                 // under mutex_
  std::string trigger_;                       // under mutex_
  std::vector<std::unique_ptr<Link>> links_;  // the thread's only
  std::thread thread_;
};

}  // namespace penstock::test
