#include "harness/local_kafka.h"

#include <algorithm>
#include <cstdlib>
#include <random>

#include "harness/free_port.h"
#include "harness/kafka_admin.h"
#include "harness/text_file.h"

namespace penstock::harness {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kStartLimit = 90s;
constexpr const char* kHint =
    "run it through ./dev, which fetches the broker from Maven Central, or set PENSTOCK_KAFKA_KIT "
    "to a directory with lib/*.jar of Kafka";

Result<fs::path> find_kit(const fs::path& wanted) {
  fs::path kit = wanted;
  if (kit.empty()) {
    const char* variable = std::getenv("PENSTOCK_KAFKA_KIT");
    if (variable == nullptr || *variable == '\0') {
      return fail(ErrorKind::not_found, "there is no Kafka kit: PENSTOCK_KAFKA_KIT is not set",
                  kHint);
    }
    kit = variable;
  }
  std::error_code error;
  if (!fs::is_directory(kit / "lib", error)) {
    return fail(ErrorKind::not_found, "there is no Kafka kit in " + kit.string(), kHint);
  }
  return kit;
}

// 16 random bytes as Kafka writes its ids: base64url without padding. It must not begin with "-".
std::string random_cluster_id() {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::uniform_int_distribution<std::size_t> letters(0, kAlphabet.size() - 1);
  std::string id(22, 'A');
  std::ranges::generate(id, [&] { return kAlphabet[letters(random)]; });
  id.back() = 'A';  // the last character holds only two bits
  return id;
}

}  // namespace

Result<std::unique_ptr<LocalKafka>> LocalKafka::start(const LocalKafkaOptions& options) {
  auto kit = find_kit(options.kit);
  if (!kit) return std::unexpected(kit.error());
  // Somebody may take a port between our look and the broker's start: try other ones.
  for (int attempt = 0;; ++attempt) {
    auto directory = TemporaryDirectory::make("penstock-kafka");
    if (!directory) return std::unexpected(directory.error());
    std::unique_ptr<LocalKafka> kafka(new LocalKafka(options, *std::move(directory)));
    kafka->options_.kit = *kit;
    auto launched = kafka->initialize().and_then([&] { return kafka->launch(); });
    if (launched) return kafka;
    if (attempt == 1 || launched.error().kind == ErrorKind::not_found) {
      return std::unexpected(launched.error());
    }
  }
}

LocalKafka::~LocalKafka() { kill(); }

std::vector<std::string> LocalKafka::java(const std::string& heap, bool quick) const {
  std::vector<std::string> command = {"java", "-Xmx" + heap, "-XX:+UseSerialGC", "-Xshare:auto"};
  if (quick) {
    command.emplace_back("-XX:TieredStopAtLevel=1");
  } else {
    command[2] = "-XX:+UseG1GC";
  }
  const fs::path log_settings = options_.kit / "log4j2.properties";
  command.push_back("-Dlog4j2.configurationFile=" +
                    (fs::exists(log_settings) ? log_settings.string() : ""));
  // What a killed broker leaves, as its native libraries, goes with the directory.
  command.push_back("-Djava.io.tmpdir=" + directory_.path().string());
  command.emplace_back("-XX:-UsePerfData");
  command.emplace_back("-cp");
  command.push_back((options_.kit / "lib").string() + "/*");
  return command;
}

Result<void> LocalKafka::initialize() {
  const auto port = free_port();
  const auto controller_port = free_port();
  if (!port) return std::unexpected(port.error());
  if (!controller_port) return std::unexpected(controller_port.error());
  port_ = *port;
  controller_port_ = *controller_port;

  const std::string broker = "127.0.0.1:" + std::to_string(port_);
  const std::string controller = "127.0.0.1:" + std::to_string(controller_port_);
  const fs::path properties = directory_.path() / "server.properties";
  std::string text =
      "process.roles=broker,controller\n"
      "node.id=1\n"
      "controller.quorum.bootstrap.servers=" +
      controller +
      "\n"
      "listeners=PLAINTEXT://" +
      broker + ",CONTROLLER://" + controller +
      "\n"
      "advertised.listeners=PLAINTEXT://" +
      broker + ",CONTROLLER://" + controller +
      "\n"
      "inter.broker.listener.name=PLAINTEXT\n"
      "controller.listener.names=CONTROLLER\n"
      "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
      "log.dirs=" +
      (directory_.path() / "data").string() +
      "\n"
      "auto.create.topics.enable=false\n"
      "num.partitions=8\n"
      "message.max.bytes=20971520\n"
      "offsets.topic.num.partitions=4\n"
      "offsets.topic.replication.factor=1\n"
      "transaction.state.log.replication.factor=1\n"
      "transaction.state.log.min.isr=1\n"
      "share.coordinator.state.topic.replication.factor=1\n"
      "share.coordinator.state.topic.min.isr=1\n"
      "group.initial.rebalance.delay.ms=0\n";
  for (const auto& [name, value] : options_.settings) text += name + "=" + value + "\n";
  if (auto done = write_private_file(properties, text); !done) return done;

  std::vector<std::string> command = java("256m", true);
  for (const char* word : {"kafka.tools.StorageTool", "format", "--standalone", "-t"}) {
    command.emplace_back(word);
  }
  command.push_back(random_cluster_id());
  command.insert(command.end(), {"-c", properties});
  auto format = ChildProcess::spawn({.command = command,
                                     .environment = {},
                                     .log_file = directory_.path() / "log",
                                     .working_directory = directory_.path(),
                                     .run_as = {}});
  if (!format) {
    return fail(format.error().kind, format.error().message, "Kafka needs Java 17 or later");
  }
  const auto status = format->wait_for(kStartLimit);
  if (!status || !status->success()) {
    return fail(ErrorKind::unavailable, "could not format the broker's directory (" +
                                            (status ? status->to_string() : "too slow") + ")" +
                                            last_words());
  }
  return {};
}

Result<void> LocalKafka::launch() {
  std::vector<std::string> command = java(options_.heap, options_.quick_start);
  command.insert(command.end(), {"kafka.Kafka", directory_.path() / "server.properties"});
  auto broker = ChildProcess::spawn({.command = command,
                                     .environment = {},
                                     .log_file = directory_.path() / "log",
                                     .working_directory = directory_.path(),
                                     .run_as = {}});
  if (!broker) return std::unexpected(broker.error());
  broker_ = *std::move(broker);
  const auto deadline = std::chrono::steady_clock::now() + kStartLimit;
  while (!wait_for_broker(bootstrap_servers(), 500ms)) {
    if (const auto status = broker_->poll()) {
      return fail(ErrorKind::unavailable, "Kafka ended with " + status->to_string() + last_words());
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return fail(ErrorKind::deadline_exceeded, "Kafka did not start" + last_words());
    }
  }
  return {};
}

std::string LocalKafka::bootstrap_servers() const { return "127.0.0.1:" + std::to_string(port_); }

void LocalKafka::stop() {
  if (!broker_) return;
  broker_->terminate(SIGTERM, 30s);
  broker_.reset();
}

void LocalKafka::kill() { broker_.reset(); }

Result<void> LocalKafka::start_again() { return launch(); }

std::string LocalKafka::last_words() const {
  return ":\n" + tail_of_file(directory_.path() / "log", 8);
}

}  // namespace penstock::harness
