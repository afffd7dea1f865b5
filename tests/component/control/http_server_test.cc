#include "control/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "component/control/fake_control.h"

namespace penstock::control {
namespace {

using namespace std::chrono_literals;

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() : server_({.address = "127.0.0.1:0", .version = "1.2.3"}, control_) {
    const Result<void> started = server_.start();
    EXPECT_TRUE(started) << started.error().to_string();
  }

  httplib::Result get(const std::string& path, const httplib::Headers& headers = {}) const {
    return httplib::Client("127.0.0.1", server_.port()).Get(path, headers);
  }
  int status(const std::string& path) const {
    const auto result = get(path);
    return result ? result->status : -1;
  }
  std::string body(const std::string& path) const {
    const auto result = get(path);
    return result ? result->body : "(no answer)";
  }

  FakeControl control_;
  HttpServer server_;
};

TEST_F(HttpServerTest, ListsItsPaths) {
  EXPECT_EQ(status("/"), 200);
  for (const char* path : {"/metrics", "/livez", "/readyz"}) {
    EXPECT_NE(body("/").find(path), std::string::npos);
    EXPECT_EQ(status(path), 200) << path;
  }
}

TEST_F(HttpServerTest, ServesMetrics) {
  const auto result = get("/metrics");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(result->body.find("penstock_pipeline_state{pipeline=\"orders\",state=\"running\"} 1"),
            std::string::npos);
  EXPECT_NE(result->body.find("penstock_build_info{version=\"1.2.3\"} 1"), std::string::npos);
}

TEST_F(HttpServerTest, ADatabaseThatIsAwayIsNotReadyButAlive) {
  control_.edit([](auto& pipelines) { pipelines[0].database_reachable = false; });
  EXPECT_EQ(status("/readyz"), 503);
  EXPECT_NE(body("/readyz").find("orders: database_unreachable: "), std::string::npos);
  EXPECT_EQ(status("/livez"), 200);
  EXPECT_EQ(body("/livez"), "ok\n");
}

TEST_F(HttpServerTest, ALoopThatIsStuckIsNotAlive) {
  control_.edit([](auto& pipelines) { pipelines[0].heartbeats = {{"lane-1", 31s}}; });
  EXPECT_EQ(status("/livez"), 503);
  EXPECT_NE(body("/livez").find("lane-1"), std::string::npos);
}

TEST_F(HttpServerTest, APausedPipelineIsReady) {
  ASSERT_TRUE(control_.pause("orders", "lunch"));
  EXPECT_EQ(status("/readyz"), 200);
}

TEST_F(HttpServerTest, IsNotReadyWhileItShutsDownButServesOn) {
  server_.set_shutting_down();
  EXPECT_EQ(status("/readyz"), 503);
  EXPECT_NE(body("/readyz").find("shutting_down"), std::string::npos);
  EXPECT_EQ(status("/livez"), 200);
  EXPECT_EQ(status("/metrics"), 200);
}

TEST_F(HttpServerTest, AnswersInJsonWhenAsked) {
  control_.edit([](auto& pipelines) { pipelines[0].breaker_open = true; });
  const auto by_parameter = get("/readyz?format=json");
  const auto by_header = get("/readyz", {{"Accept", "application/json"}});
  ASSERT_TRUE(by_parameter && by_header);
  EXPECT_EQ(by_parameter->status, 503);
  EXPECT_EQ(by_parameter->get_header_value("Content-Type"), "application/json");
  EXPECT_TRUE(by_parameter->body.starts_with(
      R"({"status":"failing","checks":[{"pipeline":"orders","reason":"breaker_open",)"));
  EXPECT_EQ(by_header->body, by_parameter->body);
  const auto text = get("/readyz?format=text", {{"Accept", "application/json"}});
  ASSERT_TRUE(text);
  EXPECT_TRUE(text->body.starts_with("failing\n"));
}

TEST_F(HttpServerTest, AnswersInUtf8WhateverBytesAnErrorHas) {
  control_.edit([](auto& pipelines) {
    pipelines[0].state = PipelineState::failed;
    pipelines[0].state_reason = "caf\xE9";
  });
  for (const char* path : {"/readyz", "/readyz?format=json"}) {
    EXPECT_NE(body(path).find("caf\uFFFD"), std::string::npos) << body(path);
    EXPECT_EQ(body(path).find('\xE9'), std::string::npos) << body(path);
  }
}

TEST_F(HttpServerTest, SaysWhatItDoesNotHave) {
  EXPECT_EQ(status("/nothing"), 404);
  EXPECT_EQ(status("/metrics/"), 404);
  EXPECT_EQ(status("//"), 404);
}

TEST_F(HttpServerTest, TakesOnlyGetAndHead) {
  httplib::Client client("127.0.0.1", server_.port());
  const auto post = client.Post("/readyz", "x", "text/plain");
  ASSERT_TRUE(post);
  EXPECT_EQ(post->status, 405);
  EXPECT_EQ(post->get_header_value("Allow"), "GET, HEAD");
  const auto head = client.Head("/readyz");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
  const auto unknown = client.Post("/nothing", "x", "text/plain");
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->status, 404);
}

TEST_F(HttpServerTest, RefusesRequestsThatAreTooLarge) {
  const auto path = get("/" + std::string(100'000, 'x'));
  EXPECT_TRUE(!path || path->status >= 400);
  const auto header = get("/readyz", {{"X-Large", std::string(100'000, 'x')}});
  EXPECT_TRUE(!header || header->status >= 400);
  EXPECT_EQ(status("/readyz"), 200);
}

TEST_F(HttpServerTest, ABugBecomesAnAnswerThatTellsNothing) {
  control_.throw_from_now_on();
  EXPECT_EQ(status("/readyz"), 500);
  EXPECT_EQ(body("/metrics").find("a bug"), std::string::npos);
}

TEST_F(HttpServerTest, MayBeForTheProbesAlone) {
  HttpServer server({.paths = HttpPaths::probes, .address = "127.0.0.1:0", .version = "x"},
                    control_);
  ASSERT_TRUE(server.start());
  httplib::Client client("127.0.0.1", server.port());
  const auto status = [&](const char* path) {
    const auto answer = client.Get(path);
    return answer ? answer->status : 0;
  };
  EXPECT_EQ(status("/livez"), 200);
  EXPECT_EQ(status("/readyz"), 200);
  EXPECT_EQ(status("/metrics"), 404);
  const auto index = client.Get("/");
  ASSERT_TRUE(index);
  EXPECT_FALSE(index->body.contains("metrics")) << index->body;
  server.set_shutting_down();
  EXPECT_EQ(status("/readyz"), 503);
  server.stop();
  HttpServer taken({.paths = HttpPaths::probes, .address = "nowhere", .version = "x"}, control_);
  EXPECT_FALSE(taken.start());
}

// A client that has come, has said a part of its request at most, and waits.
class SlowClient {
 public:
  SlowClient(std::uint16_t port, std::string_view said)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_TRUE(say(said));
  }
  SlowClient(SlowClient&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  SlowClient& operator=(SlowClient&&) = delete;
  ~SlowClient() {
    if (socket_ >= 0) close(socket_);
  }

  // False: it has been cut off.
  [[nodiscard]] bool say(std::string_view words) const {
    return send(socket_, words.data(), words.size(), MSG_NOSIGNAL) == std::ssize(words);
  }
  // The server has closed it, with or without a word.
  [[nodiscard]] bool is_closed() const { return has_news(); }
  [[nodiscard]] bool has_news() const {
    pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
    return poll(&ready, 1, 0) > 0;
  }

 private:
  int socket_;
};

template <typename Condition>
bool becomes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

// Nobody's time runs out on the server's side.
HttpServerOptions patient(std::size_t connections) {
  return {.address = "127.0.0.1:0",
          .version = "x",
          .connections = connections,
          .request_limit = 60s,
          .answer_limit = 60s};
}

// As a kubelet asks, over a connection of its own; long before anybody's time runs out on the
// server's side, so that it was not waited for. A kubelet has a second: tests/abuse measures that.
bool is_alive(std::uint16_t port) {
  httplib::Client client("127.0.0.1", port);
  client.set_connection_timeout(20s);
  client.set_read_timeout(20s);
  const auto live = client.Get("/livez");
  return live && live->status == 200;
}

TEST_F(HttpServerTest, HearsAProbeAmongAnyNumberOfSlowConnections) {
  HttpServer server(patient(20), control_);
  ASSERT_TRUE(server.start());
  std::vector<SlowClient> slow;
  for (const char* said : {"", "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ", "GET /metrics"}) {
    for (int i = 0; i < 100; ++i) slow.emplace_back(server.port(), said);
    EXPECT_TRUE(is_alive(server.port())) << slow.size() << " that say \"" << said << '"';
    for (const SlowClient& client : slow) static_cast<void>(client.say("a"));
    EXPECT_TRUE(is_alive(server.port()));
  }
}

TEST_F(HttpServerTest, LetsTheOldestGoWhenThereIsNoRoom) {
  HttpServer server(patient(10), control_);
  ASSERT_TRUE(server.start());
  std::vector<SlowClient> slow;
  for (int i = 0; i < 15; ++i) slow.emplace_back(server.port(), "");
  const auto closed = [&] { return std::ranges::count_if(slow, &SlowClient::is_closed); };
  EXPECT_TRUE(becomes_true([&] { return closed() == 5; })) << closed();
  EXPECT_TRUE(std::ranges::none_of(slow.begin() + 5, slow.end(), &SlowClient::is_closed));
}

TEST_F(HttpServerTest, CutsOffWhoDripsInARequestForever) {
  HttpServer server({.address = "127.0.0.1:0", .version = "x", .request_limit = 200ms}, control_);
  ASSERT_TRUE(server.start());
  const SlowClient dripping(server.port(), "GET /livez HTTP/1.1\r\nX-A: ");
  EXPECT_TRUE(becomes_true([&] { return !dripping.say("a") || dripping.is_closed(); }));
}

TEST_F(HttpServerTest, CutsOffWhoDoesNotTakeItsAnswer) {
  // Far more than the buffers of a connection hold.
  control_.edit([](auto& pipelines) {
    for (int i = 0; i < 20'000; ++i) {
      pipelines.push_back(healthy_pipeline("orders-" + std::to_string(i)));
    }
  });
  HttpServer server({.address = "127.0.0.1:0", .version = "x", .answer_limit = 200ms}, control_);
  ASSERT_TRUE(server.start());
  const SlowClient deaf(server.port(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(becomes_true([&] { return deaf.has_news(); })) << "no answer has begun";
  EXPECT_TRUE(becomes_true([&] { return !deaf.say("a"); }));
}

TEST_F(HttpServerTest, AnswersItsProbesWhileMetricsAreRenderedForMany) {
  HttpServer server(patient(200), control_);
  ASSERT_TRUE(server.start());
  control_.hold_metrics(true);
  std::vector<SlowClient> scrapers;
  for (int i = 0; i < 100; ++i) {
    scrapers.emplace_back(server.port(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  EXPECT_TRUE(control_.wait_for_held_metrics());
  EXPECT_TRUE(is_alive(server.port()));
  control_.hold_metrics(false);
  httplib::Client client("127.0.0.1", server.port());
  client.set_read_timeout(60s);
  // The newest displaces the oldest, but among them there is no order.
  EXPECT_TRUE(becomes_true([&] {
    const auto metrics = client.Get("/metrics");
    return metrics && metrics->status == 200;
  }));
}

TEST_F(HttpServerTest, HearsItsProbesAgainWhenThereWasNoFileLeft) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  HttpServer server(patient(1000), control_);
  ASSERT_TRUE(server.start());
  ASSERT_TRUE(is_alive(server.port()));
  rlimit few = before;
  few.rlim_cur = 120;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  {
    // Both ends are of this process: the connections take all files there are.
    std::vector<int> sockets;
    for (int i = 0; i < 200; ++i) {
      const int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (one < 0) break;
      sockets.push_back(one);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(server.port());
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      EXPECT_EQ(connect(one, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    }
    EXPECT_GT(sockets.size(), 40U);
    EXPECT_LT(sockets.size(), 200U) << "there were files for all";
    for (const int one : sockets) close(one);
  }
  EXPECT_TRUE(becomes_true([&] { return is_alive(server.port()); }));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(HttpServerTest, StopsAtOnceWhateverItsClientsDo) {
  HttpServer server(patient(200), control_);
  ASSERT_TRUE(server.start());
  std::vector<SlowClient> slow;
  for (int i = 0; i < 50; ++i) slow.emplace_back(server.port(), "GET /livez HTTP/1.1\r\nX-A: ");
  ASSERT_TRUE(is_alive(server.port()));
  const auto begin = std::chrono::steady_clock::now();
  server.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  EXPECT_TRUE(std::ranges::all_of(slow, &SlowClient::is_closed));
}

TEST_F(HttpServerTest, RefusesInWordsWhatIsNoRequest) {
  const SlowClient strange(server_.port(), "\x16\x03\x01\r\n\r\n");
  EXPECT_TRUE(becomes_true([&] { return strange.is_closed(); }));
  httplib::Client client("127.0.0.1", server_.port());
  const auto large = client.Get("/readyz", {{"X-Large", std::string(20'000, 'x')}});
  ASSERT_TRUE(large);
  EXPECT_EQ(large->status, 431);
}

TEST_F(HttpServerTest, CompressesNothing) {
  const auto result = get("/metrics", {{"Accept-Encoding", "br, gzip"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("Content-Encoding"), "");
}

TEST_F(HttpServerTest, CannotBeStartedTwice) {
  const Result<void> again = server_.start();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::conflict);
  EXPECT_EQ(status("/"), 200);
}

TEST_F(HttpServerTest, StopsTwiceAndStartsAgain) {
  server_.stop();
  server_.stop();
  EXPECT_EQ(status("/"), -1);
  EXPECT_TRUE(server_.start());
  EXPECT_EQ(status("/"), 200);
}

TEST_F(HttpServerTest, RefusesAPortThatIsTaken) {
  HttpServer second({.address = "127.0.0.1:" + std::to_string(server_.port()), .version = "x"},
                    control_);
  const Result<void> started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::unavailable);
  EXPECT_NE(started.error().message.find(std::to_string(server_.port())), std::string::npos);
  EXPECT_EQ(second.port(), 0);
  server_.stop();
  EXPECT_TRUE(second.start()) << "it can be tried again";
}

TEST(HttpServerStart, RefusesAnAddressThatIsNone) {
  FakeControl control;
  HttpServer server({.address = "here", .version = "x"}, control);
  const Result<void> started = server.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::invalid_argument);
}

}  // namespace
}  // namespace penstock::control
