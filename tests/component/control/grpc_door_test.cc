// What a stranger can do to the gRPC API's port, and what it costs.
#include "control/grpc_door.h"

#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <penstock/v1/pipeline_service.grpc.pb.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/error.hpp>
#include <chrono>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "component/control/fake_control.h"
#include "control/grpc_server.h"
#include "core/log.h"
#include "harness/temporary_directory.h"
#include "support/certificates.h"

namespace penstock::control {
namespace {

using namespace std::chrono_literals;

// ---- HTTP/2 by hand

std::string frame(char type, char flags, std::uint32_t stream, const std::string& payload = {}) {
  const std::size_t size = payload.size();
  std::string text{static_cast<char>(size >> 16),
                   static_cast<char>(size >> 8),
                   static_cast<char>(size),
                   type,
                   flags,
                   static_cast<char>(stream >> 24),
                   static_cast<char>(stream >> 16),
                   static_cast<char>(stream >> 8),
                   static_cast<char>(stream)};
  return text + payload;
}
std::string header(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + static_cast<char>(name.size()) + std::string(name) +
         static_cast<char>(value.size()) + std::string(value);
}
std::string headers() {
  return header(":method", "POST") + header(":scheme", "http") +
         header(":path", "/penstock.v1.PipelineService/GetPipeline") + header(":authority", "x") +
         header("content-type", "application/grpc") + header("te", "trailers");
}
std::string greeting() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0); }

class Stranger {
 public:
  explicit Stranger(std::uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = socket_ >= 0 &&
                 connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  Stranger(Stranger&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_) {}
  Stranger& operator=(Stranger&&) = delete;
  ~Stranger() {
    if (socket_ >= 0) close(socket_);
  }

  [[nodiscard]] bool connected() const { return connected_; }
  // False: nobody takes it, for a second, or the connection is gone.
  [[nodiscard]] bool say(std::string_view words) const {
    while (!words.empty()) {
      pollfd ready{.fd = socket_, .events = POLLOUT, .revents = 0};
      if (poll(&ready, 1, 1000) <= 0) return false;
      const ssize_t sent = send(socket_, words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno != EAGAIN) return false;
      if (sent > 0) words.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // Everything until the end, or until nothing comes for `patience`.
  [[nodiscard]] std::string hear(std::chrono::milliseconds patience = 20s) const {
    std::string text;
    std::array<char, 4096> piece{};
    while (true) {
      pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
      if (poll(&ready, 1, static_cast<int>(patience.count())) <= 0) return text + "(it waits)";
      const ssize_t size = recv(socket_, piece.data(), piece.size(), 0);
      if (size <= 0) return text;
      text.append(piece.data(), static_cast<std::size_t>(size));
    }
  }
  [[nodiscard]] bool is_cut() const { return !hear().ends_with("(it waits)"); }

 private:
  int socket_;
  bool connected_ = false;
};

// A sanitizer keeps what is freed, and shadows all of it: then the program's own memory is not
// seen.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kMemoryIsOurs = false;
#else
constexpr bool kMemoryIsOurs = true;
#endif

std::size_t resident_mib() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

class GrpcDoorTest : public testing::Test {
 protected:
  GrpcDoorTest() {
    const Result<void> started = server_.start();
    EXPECT_TRUE(started) << started.error().to_string();
  }

  // A call over a connection of its own.
  [[nodiscard]] grpc::Status call() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::PipelineService::NewStub(
        grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_.port()),
                                  grpc::InsecureChannelCredentials(), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 30s);
    context.set_wait_for_ready(true);
    v1::ListPipelinesResponse response;
    return stub->ListPipelines(&context, {}, &response);
  }
  void expect_service() const {
    const grpc::Status status = call();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  [[nodiscard]] Stranger greeted() const {
    Stranger stranger(server_.port());
    EXPECT_TRUE(stranger.say(greeting()));
    return stranger;
  }

  FakeControl control_;
  GrpcServer server_{{.address = "127.0.0.1:0"}, control_};
};

TEST_F(GrpcDoorTest, StreamsThatAreResetAsFastAsTheyBeginCostLittle) {
  expect_service();
  const std::size_t before = resident_mib();
  std::vector<std::thread> attackers;
  for (int i = 0; i < 4; ++i) {
    attackers.emplace_back([this] {
      const auto end = std::chrono::steady_clock::now() + 2s;
      while (std::chrono::steady_clock::now() < end) {
        const Stranger attacker = greeted();
        if (!attacker.say(frame(4, 1, 0))) continue;
        for (std::uint32_t stream = 1; std::chrono::steady_clock::now() < end;) {
          std::string resets;
          for (int k = 0; k < 100; ++k, stream += 2) {
            resets += frame(1, 4, stream, headers()) + frame(3, 0, stream, {0, 0, 0, 8});
          }
          if (!attacker.say(resets)) break;
        }
      }
    });
  }
  for (std::thread& attacker : attackers) attacker.join();
  expect_service();
  if (kMemoryIsOurs) EXPECT_LT(resident_mib(), before + 64);
}

TEST_F(GrpcDoorTest, AHeaderBlockWithoutEndIsCut) {
  for (const std::string& piece : {std::string(16'000, '\x82'), std::string()}) {
    const Stranger attacker = greeted();
    bool taken = attacker.say(frame(1, 0, 1, headers()));
    for (int i = 0; taken && i < 10'000; ++i) taken = attacker.say(frame(9, 0, 1, piece));
    EXPECT_FALSE(taken) << "10,000 pieces were taken";
  }
  expect_service();
}

TEST_F(GrpcDoorTest, AHeaderThatIsAnnouncedToBeHugeIsCut) {
  const Stranger attacker = greeted();
  ASSERT_TRUE(attacker.say(frame(1, 0, 1, headers())));
  // A value of about 250 MB.
  bool taken = attacker.say(frame(9, 0, 1, std::string("\x00\x01x\x7f\xff\xff\xff\x7f", 8)));
  for (int i = 0; taken && i < 1'000; ++i)
    taken = attacker.say(frame(9, 0, 1, std::string(16'000, 'a')));
  EXPECT_FALSE(taken);
  expect_service();
}

TEST_F(GrpcDoorTest, WhoSpeaksNoHttp2HearsWhatThePortIs) {
  const Stranger browser(server_.port());
  ASSERT_TRUE(browser.say("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  EXPECT_TRUE(browser.hear().starts_with("HTTP/1.1 400 ")) << browser.hear();
  expect_service();
}

TEST_F(GrpcDoorTest, ACrowdThatSaysNothingKeepsNobodyOut) {
  std::vector<Stranger> idle;
  for (int i = 0; i < 300; ++i) idle.emplace_back(server_.port());
  expect_service();
}

TEST_F(GrpcDoorTest, ACrowdThatHasGreetedAndMakesNoCallKeepsNobodyOut) {
  std::vector<Stranger> guests;
  for (int i = 0; i < 150; ++i) guests.push_back(greeted());
  expect_service();
}

TEST_F(GrpcDoorTest, TakesCallsAgainWhenThereWasNoFileLeft) {
  expect_service();
  // UBSan asks by a pipe what an object is, once for each type: of these while there are pipes.
  ASSERT_TRUE(boost::system::error_code(boost::asio::error::eof).failed());
  ASSERT_TRUE(boost::system::error_code(boost::asio::error::host_not_found).failed());
  ASSERT_TRUE(boost::system::error_code(boost::asio::error::service_not_found).failed());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 150;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  {
    // Both ends are of this process: they take all files there are.
    std::vector<Stranger> strangers;
    while (strangers.size() < 200) {
      Stranger one(server_.port());
      if (!one.connected()) break;
      strangers.push_back(std::move(one));
    }
    EXPECT_LT(strangers.size(), 200U) << "there were files for all";
    std::this_thread::yield();
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  expect_service();
}

// ---- the door alone

class Door {
 public:
  explicit Door(GrpcDoor::Options options) : door_(std::move(options)) {
    const auto port = door_.start([this](int descriptor) {
      const std::scoped_lock lock(mutex_);
      handed_over_.push_back(descriptor);
    });
    EXPECT_TRUE(port);
    port_ = *port;
  }
  ~Door() {
    door_.stop();
    for (const int descriptor : handed_over_) close(descriptor);
  }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  [[nodiscard]] GrpcDoor& operator*() { return door_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::vector<int> handed_over() const {
    const std::scoped_lock lock(mutex_);
    return handed_over_;
  }
  [[nodiscard]] bool hands_over(std::size_t count) const {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (handed_over().size() < count) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(2ms);
    }
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<int> handed_over_;
  GrpcDoor door_;
  std::uint16_t port_ = 0;
};

TEST(GrpcDoorAlone, HandsOverOnlyWhoHasGreeted) {
  Door door({.address = {.host = "127.0.0.1"}, .greeting_limit = 200ms});
  const Stranger silent(door.port());
  const Stranger half(door.port());
  ASSERT_TRUE(half.say(greeting().substr(0, 30)));
  const Stranger tls(door.port());
  ASSERT_TRUE(tls.say("\x16\x03\x01\x02" + std::string(200, 'x')));
  EXPECT_TRUE(silent.is_cut());
  EXPECT_TRUE(half.is_cut());
  EXPECT_TRUE(tls.is_cut());
  EXPECT_TRUE(door.handed_over().empty());
  const Stranger guest(door.port());
  ASSERT_TRUE(guest.say(greeting()));
  EXPECT_TRUE(door.hands_over(1));
}

TEST(GrpcDoorAlone, CarriesWhatIsSaidInBothDirectionsAndKnowsWhoSaysIt) {
  Door door({.address = {.host = "127.0.0.1"}});
  const Stranger guest(door.port());
  const std::string said = greeting() + frame(4, 1, 0) + frame(0, 0, 1, std::string(10'000, 'x'));
  ASSERT_TRUE(guest.say(said));
  ASSERT_TRUE(door.hands_over(1));
  const int grpc = door.handed_over().front();
  std::string heard;
  std::array<char, 4096> piece{};
  while (heard.size() < said.size()) {
    pollfd ready{.fd = grpc, .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&ready, 1, 20'000), 1);
    const ssize_t size = recv(grpc, piece.data(), piece.size(), 0);
    ASSERT_GT(size, 0);
    heard.append(piece.data(), static_cast<std::size_t>(size));
  }
  EXPECT_EQ(heard, said);
  ASSERT_EQ(send(grpc, "answer", 6, MSG_NOSIGNAL), 6);
  ASSERT_EQ(shutdown(grpc, SHUT_RDWR), 0);
  EXPECT_EQ(guest.hear(), "answer");
  const Caller caller = (*door).caller("fd:" + std::to_string(grpc));
  EXPECT_TRUE(caller.address.starts_with("127.0.0.1:")) << caller.address;
}

TEST(GrpcDoorAlone, LetsEverybodySayAFewFramesInTurn) {
  Door door({.address = {.host = "127.0.0.1"}, .frames_per_second = 200});
  const Stranger loud(door.port());
  std::string flood = greeting();
  for (int i = 0; i < 2'000; ++i) flood += frame(8, 0, 0, {0, 0, 0, 1});
  ASSERT_TRUE(loud.say(flood));
  ASSERT_TRUE(door.hands_over(1));
  const Stranger quiet(door.port());
  ASSERT_TRUE(quiet.say(greeting()));
  EXPECT_TRUE(door.hands_over(2)) << "it would take 10 s to hear all of the flood first";
}

TEST(GrpcDoorAlone, CutsOffOneWhoDoesNotTakeWhatItIsTold) {
  Door door({.address = {.host = "127.0.0.1"}, .stuck_limit = 200ms});
  const Stranger deaf(door.port());
  ASSERT_TRUE(deaf.say(greeting()));
  ASSERT_TRUE(door.hands_over(1));
  const int grpc = door.handed_over().front();
  const std::string much(64 * 1024, 'x');
  bool cut = false;
  for (int i = 0; i < 10'000 && !cut; ++i) {
    pollfd ready{.fd = grpc, .events = POLLOUT, .revents = 0};
    ASSERT_EQ(poll(&ready, 1, 20'000), 1);
    cut = send(grpc, much.data(), much.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EPIPE;
  }
  EXPECT_TRUE(cut);
}

TEST(GrpcDoorAlone, HandsNobodyOverWhenItIsClosedToNewcomers) {
  Door door({.address = {.host = "127.0.0.1"}});
  (*door).close_to_newcomers();
  const Stranger late(door.port());
  static_cast<void>(late.say(greeting()));
  EXPECT_TRUE(late.is_cut());
  EXPECT_TRUE(door.handed_over().empty());
}

class SecureDoorTest : public testing::Test {
 protected:
  [[nodiscard]] TlsFiles files() const {
    const auto write = [&](const std::string& name, const std::string& text) {
      const std::string path = (directory_.path() / name).string();
      std::ofstream(path, std::ios::binary) << text;
      return path;
    };
    const test::Credentials server = authority_.issue();
    return {.certificate = write("tls.crt", server.certificate),
            .key = write("tls.key", server.key),
            .authority = write("ca.crt", authority_.certificate())};
  }

  const harness::TemporaryDirectory directory_ =
      *harness::TemporaryDirectory::make("penstock-door");
  const test::Authority authority_;
};

TEST_F(SecureDoorTest, AHandshakeThatIsNotFinishedCostsLittleAndEnds) {
  Door door({.address = {.host = "127.0.0.1"}, .tls = files(), .greeting_limit = 300ms});
  const std::size_t before = resident_mib();
  std::vector<Stranger> half_open;
  for (int i = 0; i < 800; ++i) {
    half_open.emplace_back(door.port());
    static_cast<void>(half_open.back().say(std::string("\x16\x03\x01\x02\x00\x01", 6)));
  }
  if (kMemoryIsOurs) EXPECT_LT(resident_mib(), before + 32);
  for (const Stranger& stranger : half_open) EXPECT_TRUE(stranger.is_cut());
  EXPECT_TRUE(door.handed_over().empty());
}

TEST_F(SecureDoorTest, NobodyWithoutACertificateIsHandedOver) {
  Door door({.address = {.host = "127.0.0.1"}, .tls = files()});
  const Stranger plain(door.port());
  ASSERT_TRUE(plain.say(greeting()));
  EXPECT_TRUE(plain.is_cut());
  EXPECT_TRUE(door.handed_over().empty());
}

}  // namespace
}  // namespace penstock::control
