#include "harness/demo.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <format>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include "harness/demo_view.h"
#include "harness/kafka_admin.h"
#include "harness/latency.h"
#include "harness/local_kafka.h"
#include "harness/local_postgres.h"
#include "harness/order_producer.h"
#include "harness/serve_process.h"
#include "harness/sql.h"
#include "harness/text_file.h"

namespace penstock::harness {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr const char* kPipeline = "orders";
constexpr const char* kTopic = "orders";
constexpr int kInterrupted = 130;
// Without any progress for so long, what is missing counts as lost.
constexpr auto kPatience = 60s;
// How long a process takes to be as fast as it will be.
constexpr std::chrono::microseconds kWarmUp{5'000'000};
// The mock cluster drops what exceeds 5 MB or 100,000 records in a partition.
constexpr std::int64_t kMockRecordsPerPartition = 20'000;

std::atomic<bool> interrupted{false};

// SIGINT, SIGTERM and SIGHUP set `interrupted` while this lives.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted.store(false);
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted.store(true); };
    for (std::size_t i = 0; i < std::size(kSignals); ++i) {
      ::sigaction(kSignals[i], &action, &before_[i]);
    }
  }
  ~InterruptGuard() {
    for (std::size_t i = 0; i < std::size(kSignals); ++i) {
      ::sigaction(kSignals[i], &before_[i], nullptr);
    }
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction before_[3]{};
};

class Demo {
 public:
  Demo(const DemoOptions& options, std::ostream& out) : options_(options), view_(out), out_(out) {}

  Result<int> run() {
    auto done = start_servers()
                    .and_then([&] { return prepare(); })
                    .and_then([&] { return start_serve(); })
                    .and_then([&] { return wait_until_ready(); })
                    .and_then([&] { return produce_and_watch(); });
    if (interrupted) return interrupted_by_user();
    if (!done) return std::unexpected(done.error());
    const auto figures = conclude();
    if (!figures) return std::unexpected(figures.error());
    view_.table(*figures);
    if (options_.keep) keep();
    if (options_.json) out_ << to_json(*figures) << '\n' << std::flush;
    return figures->verdict.clean() ? 0 : 1;
  }

 private:
  // ---- the servers ----------------------------------------------------------------------------

  Result<void> start_servers() {
    view_.say("Penstock demo: pull the plug\n");
    view_.say("  starting Kafka and PostgreSQL");
    const auto started = Steady::now();
    auto starting_kafka = std::async(std::launch::async, [] { return LocalKafka::start(); });
    auto starting_postgres = std::async(std::launch::async, [] {
      return LocalPostgres::start({.settings = {{"track_commit_timestamp", "on"}}});
    });
    while (starting_kafka.wait_for(50ms) != std::future_status::ready ||
           starting_postgres.wait_for(0ms) != std::future_status::ready) {
      // Servers half way up: the kernel ends them with us, and the janitors remove their files.
      if (interrupted) ::_exit(interrupted_by_user());
    }
    auto postgres = starting_postgres.get();
    if (!postgres) return std::unexpected(postgres.error());
    postgres_ = *std::move(postgres);

    auto kafka = starting_kafka.get();
    if (kafka) {
      kafka_ = *std::move(kafka);
      brokers_ = kafka_->bootstrap_servers();
    } else if (auto mocked = start_mock(kafka.error()); !mocked) {
      return mocked;
    }
    const std::chrono::duration<double> took = Steady::now() - started;
    view_.say(std::format("  Kafka at {}, PostgreSQL at 127.0.0.1:{} ({:.1f} s)", brokers_,
                          postgres_->port(), took.count()));
    return {};
  }

  Result<void> start_mock(const Error& why) {
    view_.say("  no real Kafka: " + why.to_string());
    view_.say(
        "  using librdkafka's mock cluster inside this process instead: good for a look, "
        "not for a guarantee");
    const std::int64_t partitions = options_.records / kMockRecordsPerPartition + 1;
    stream_.partitions = static_cast<int>(std::clamp<std::int64_t>(partitions, 8, 200));
    if (partitions > stream_.partitions) {
      return fail(ErrorKind::invalid_argument, "the mock cluster cannot hold so many records",
                  "use ./dev demo, which brings a real broker, or fewer --records");
    }
    auto mock = MockKafka::start();
    if (!mock) return std::unexpected(mock.error());
    mock_ = *std::move(mock);
    brokers_ = mock_->bootstrap_servers();
    return {};
  }

  // ---- table, configuration, migration ----------------------------------------------------------

  Result<void> prepare() {
    auto directory = TemporaryDirectory::make("penstock-demo");
    if (!directory) return std::unexpected(directory.error());
    directory_.emplace(*std::move(directory));
    if (auto done = postgres_->create_database("demo"); !done) return done;
    auto sql = Sql::connect(postgres_->conninfo("demo"));
    if (!sql) return std::unexpected(sql.error());
    sql_.emplace(*std::move(sql));
    if (auto done = sql_->execute(orders_schema(false)); !done) return done;
    if (auto done = mock_ ? mock_->create_topic(kTopic, stream_.partitions)
                          : create_topic(brokers_, kTopic, stream_.partitions);
        !done) {
      return done;
    }
    serve_options_ = {.program = program(),
                      .directory = directory_->path(),
                      .name = "penstock",
                      .config = config(),
                      .environment = {}};
    const std::filesystem::path file = directory_->path() / "penstock.yaml";
    if (auto done = write_private_file(file, serve_options_.config); !done) return done;
    const auto migrated =
        run_command({program(), "migrate", "up", "--config", file}, directory_->path());
    if (!migrated) return std::unexpected(migrated.error());
    if (!migrated->status.success()) {
      return fail(ErrorKind::internal, "penstock migrate up failed:\n" + migrated->text);
    }
    return {};
  }

  // The server's binary lies beside the directory of everything else that is built.
  [[nodiscard]] static std::filesystem::path program() {
    return this_executable().parent_path().parent_path() / "penstock";
  }

  [[nodiscard]] std::string config() const {
    // A process that comes back under its name gets its partitions back at once; the mock cluster
    // does not know names and has to miss the one that died first.
    const char* membership = mock_ ? "session.timeout.ms: \"2000\"" : "group.instance.id: demo";
    return std::format(
               "pipelines:\n"
               "  - name: {}\n"
               "    source:\n"
               "      topics: [{}]\n"
               "      group: orders-to-postgres\n"
               "      kafka:\n"
               "        bootstrap.servers: \"{}\"\n"
               "        {}\n"
               "    parse: {{json: {{}}}}\n"
               "    compute:\n",
               kPipeline, kTopic, brokers_, membership) +
           orders_compute_yaml(6) +
           std::format(
               "    sink:\n"
               "      postgres: \"{}\"\n"
               "      target:\n"
               "        table: orders\n"
               "        columns:\n",
               postgres_->conninfo("demo")) +
           orders_columns_yaml(10) +
           "server: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\n"
           "log: {format: json}\n";
  }

  Result<void> start_serve() {
    if (interrupted) return {};
    auto serve = ServeProcess::start(serve_options_);
    if (!serve) return std::unexpected(serve.error());
    serve_.emplace(*std::move(serve));
    return {};
  }

  // ---- the run --------------------------------------------------------------------------------

  // A member of its group, with its partitions: from here on latencies are worth looking at.
  Result<void> wait_until_ready() {
    const auto deadline = Steady::now() + kPatience;
    while (!interrupted) {
      const auto ready = serve_->get("/readyz");
      if (ready && ready->status == 200) return {};
      if (const auto ended = serve_->process().wait_for(20ms)) return serve_ended(*ended);
      if (Steady::now() > deadline) {
        return fail(ErrorKind::deadline_exceeded,
                    "penstock serve does not get ready: " + (ready ? ready->body : "no answer"));
      }
    }
    return {};
  }

  [[nodiscard]] std::unexpected<Error> serve_ended(const ExitStatus& status) const {
    return fail(ErrorKind::internal, "penstock serve ended with " + status.to_string() + ":\n" +
                                         tail_of_file(serve_log(), 12));
  }

  Result<void> produce_and_watch() {
    view_.say(
        std::format("  penstock serve is process {}; {} orders at {}/s, one in a thousand bad",
                    serve_->process().pid(), grouped(options_.records), grouped(options_.rate)));
    auto producer = OrderProducer::start({.bootstrap_servers = brokers_,
                                          .topic = kTopic,
                                          .stream = stream_,
                                          .records = options_.records,
                                          .rate = options_.rate});
    if (!producer) return std::unexpected(producer.error());
    producer_ = *std::move(producer);
    started_us_ = system_now_us();
    view_.begin_progress();

    auto last_progress = Steady::now();
    std::int64_t applied = 0;
    while (!interrupted) {
      if (auto pulled = pull_the_plug(applied); !pulled) return pulled;
      if (const auto ended = serve_->process().wait_for(100ms)) return serve_ended(*ended);
      const auto now = sample();
      if (!now) return std::unexpected(now.error());
      if (*now > applied) last_progress = Steady::now();
      applied = *now;
      if (producer_->finished() && applied >= producer_->sent()) break;
      if (Steady::now() - last_progress > kPatience) {
        view_.shout("no progress for a minute: giving up on the rest");
        break;
      }
    }
    if (interrupted) producer_.reset();
    view_.end_progress();
    return {};
  }

  // Half way: SIGKILL, and a new process. Afterwards: notes when the new one has caught up.
  Result<void> pull_the_plug(std::int64_t applied) {
    if (options_.no_crash) return {};
    if (restarts_ == 0 && producer_->sent() >= options_.records / 2) {
      const pid_t before = serve_->process().pid();
      crash_.from_us = system_now_us() - 1'000'000;
      crash_.to_us = INT64_MAX;
      serve_->kill();
      view_.shout(std::format("SIGKILL to process {}", before));
      if (auto started = start_serve(); !started) return started;
      view_.shout(std::format("penstock serve again, as process {}", serve_->process().pid()));
      ++restarts_;
    } else if (crash_.to_us == INT64_MAX && producer_->acknowledged() - applied <
                                                std::max<std::int64_t>(options_.rate / 10, 100)) {
      crash_.to_us = system_now_us() + kWarmUp.count();
      view_.shout(std::format("caught up, {:.1f} s after the crash",
                              static_cast<double>(system_now_us() - crash_.from_us) / 1e6 - 1));
    }
    return {};
  }

  // Draws the live line. Returns how many records are in PostgreSQL.
  Result<std::int64_t> sample() {
    const auto at = Steady::now();
    const auto rows = sql_->query(
        "SELECT (SELECT coalesce(sum(next_offset), 0)::bigint FROM penstock.offsets), "
        "(SELECT count(*) FROM penstock.dead_letters), p[1], p[2] FROM "
        "(SELECT percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY us) AS p FROM "
        "(SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000 - sent_us AS us "
        "FROM orders ORDER BY commit_order DESC LIMIT 2000) latest) t");
    if (!rows) return std::unexpected(rows.error());
    const auto& row = rows->front();
    const auto number = [&](std::size_t column) {
      return row[column] ? std::atof(row[column]->c_str()) : 0.0;
    };
    const auto applied = static_cast<std::int64_t>(number(0));
    Progress now;
    now.sent = producer_->sent();
    now.dead_letters = static_cast<std::int64_t>(number(1));
    now.rows = applied - now.dead_letters;
    now.lag = std::max<std::int64_t>(producer_->acknowledged() - applied, 0);
    now.p50_ms = number(2) / 1'000;
    now.p99_ms = number(3) / 1'000;
    // Over about a second: shorter is noise.
    if (at - rate_since_ >= 1s) {
      const std::chrono::duration<double> seconds = at - rate_since_;
      if (rate_since_ != SteadyTime{}) {
        rate_ = static_cast<double>(now.rows - rate_rows_) / seconds.count();
      }
      rate_since_ = at;
      rate_rows_ = now.rows;
    }
    now.rows_per_second = rate_;
    view_.progress(now);
    return applied;
  }

  // ---- the truth --------------------------------------------------------------------------------

  Result<DemoFigures> conclude() {
    if (auto delivered = producer_->wait(); !delivered) return std::unexpected(delivered.error());
    view_.say("\n  comparing every row and dead letter with what was produced");
    const std::string conninfo = postgres_->conninfo("demo");
    auto verdict = verify({.conninfo = conninfo,
                           .pipeline = kPipeline,
                           .stream = stream_,
                           .truth = producer_->truth()});
    if (!verdict) return std::unexpected(verdict.error());

    // Left out, and said so: the seconds of the start, of the crash and of the start after it.
    // There connections, caches and the broker's code are still warming up.
    const std::int64_t planned_us = options_.records * 1'000'000 / options_.rate;
    LatencyOptions away{
        .conninfo = conninfo,
        .table = "orders",
        .from_us = started_us_ + std::min<std::int64_t>(planned_us / 4, kWarmUp.count()),
        .excluded = {}};
    if (restarts_ > 0) away.excluded.push_back(crash_);
    const auto latency = produce_to_visible(away);
    if (!latency) return std::unexpected(latency.error());
    const auto ended = sql_->value(
        "SELECT coalesce(extract(epoch FROM max(pg_xact_commit_timestamp(x))) * 1000000, "
        "0)::bigint "
        "FROM (SELECT DISTINCT xmin AS x FROM orders) t");
    if (!ended) return std::unexpected(ended.error());
    const std::int64_t rows = verdict->rows;
    const double seconds = static_cast<double>(std::atoll(ended->c_str()) - started_us_) / 1e6;
    return DemoFigures{.verdict = *std::move(verdict),
                       .rows_per_second = seconds > 0 ? static_cast<double>(rows) / seconds : 0,
                       .p50_ms = latency->p50_ms,
                       .p99_ms = latency->p99_ms,
                       .restarts = restarts_};
  }

  void keep() {
    view_.say(std::format(
        "\n  still running, until Ctrl-C:\n"
        "    Kafka       {}\n"
        "    PostgreSQL  psql '{}'\n"
        "    gRPC        127.0.0.1:{}\n"
        "    HTTP        http://127.0.0.1:{}/metrics",
        brokers_, postgres_->conninfo("demo"), serve_->grpc_port(), serve_->http_port()));
    while (!interrupted && !serve_->process().wait_for(200ms)) {
    }
    if (!interrupted) view_.say("  penstock serve ended:\n" + tail_of_file(serve_log(), 12));
    view_.say("");
  }

  int interrupted_by_user() {
    view_.end_progress();
    view_.say("\n  interrupted; cleaning up");
    return kInterrupted;
  }

  [[nodiscard]] std::filesystem::path serve_log() const {
    return directory_->path() / (serve_options_.name + ".log");
  }

  const DemoOptions options_;
  DemoView view_;
  std::ostream& out_;
  OrderStream stream_;
  std::string brokers_;
  // In the order in which they start; destroyed in reverse.
  std::unique_ptr<LocalKafka> kafka_;
  std::unique_ptr<MockKafka> mock_;
  std::unique_ptr<LocalPostgres> postgres_;
  std::optional<TemporaryDirectory> directory_;
  std::optional<Sql> sql_;
  ServeOptions serve_options_;
  std::optional<ServeProcess> serve_;
  std::unique_ptr<OrderProducer> producer_;

  std::int64_t started_us_ = 0;
  int restarts_ = 0;
  TimeWindow crash_;  // records sent in it do not count for the latency
  SteadyTime rate_since_{};
  std::int64_t rate_rows_ = 0;
  double rate_ = 0;
};

}  // namespace

int run_demo(const DemoOptions& options, std::ostream& out) {
  const InterruptGuard guard;
  Demo demo(options, out);
  const auto status = demo.run();
  if (status) return *status;
  out << "\n./dev demo: " << status.error().to_string() << '\n' << std::flush;
  return interrupted ? kInterrupted : 1;
}

}  // namespace penstock::harness
