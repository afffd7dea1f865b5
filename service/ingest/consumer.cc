#include "ingest/consumer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <exception>
#include <format>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include "core/log.h"
#include "ingest/consumer_impl.h"
#include "kafka/properties.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

// While brokers are away: one line for each reason, then one in so long.
constexpr std::chrono::minutes kSayEvery(1);

// When a Consumer is destroyed that nobody stopped.
constexpr milliseconds kLastLimit(5000);

Result<void> check_topics(const ConsumerOptions& options) {
  if (options.topics_matching) return {};
  const std::vector<std::string> topics = options.topics.names();
  if (topics.empty()) return fail(ErrorKind::invalid_argument, "there is no topic to read");
  for (const std::string& topic : topics) {
    // librdkafka takes "^…" for a pattern of its own; see subscription.h.
    if (topic.empty() || topic.starts_with('^')) {
      return fail(ErrorKind::invalid_argument, "'" + topic + "' is not the name of a topic",
                  "list every topic by its name");
    }
  }
  return {};
}

// Destroys librdkafka's client when the last who uses it (a job, maybe) lets go of it, and says so.
// On a thread of its own: it waits for librdkafka's threads, and these for a resolver, a handshake
// or the answer of a silent broker, up to socket.timeout.ms.
struct ClientDeleter {
  std::shared_ptr<std::promise<void>> destroyed;
  std::shared_ptr<void> opaque;  // librdkafka logs until it is gone
  void operator()(rd_kafka_t* kafka) const {
    const auto destroy = [kafka, said = destroyed, kept = opaque] {
      kafka::Client(kafka).reset();
      said->set_value();
    };
    try {
      std::thread(destroy).detach();
    } catch (const std::system_error&) {
      destroy();
    }
  }
};

}  // namespace

// ---- librdkafka's callbacks
// ----------------------------------------------------------------------

struct Consumer::Impl::Callbacks {
  // What librdkafka's client gives to its callbacks, for as long as that lives.
  struct Opaque {
    Impl& impl;
    std::shared_ptr<TopicIds> topic_ids;
    bool debug = false;  // the user wants to see its debug messages
  };
  static Impl& impl_of(void* opaque) { return static_cast<Opaque*>(opaque)->impl; }

  // Nothing passes through librdkafka.
  template <typename Call>
  static void guarded(Impl& self, const char* what, const Call& call) {
    std::string message;
    try {
      call();
      return;
    } catch (const std::exception& error) {
      message = error.what();
    } catch (...) {
      message = "unknown exception";
    }
    self.report({ErrorKind::internal, std::string(what) + " failed: " + message, {}, {}});
  }

  static void on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t* list, void* opaque) {
    Impl& self = impl_of(opaque);
    bool answered = false;
    guarded(self, "a rebalance", [&] {
      self.assignment.rebalance(code, list);
      answered = true;
    });
    if (answered) return;
    guarded(self, "a rebalance", [&] { self.assignment.answer_anyway(code, list); });
  }

  static void on_kafka_error(rd_kafka_t* kafka, int code, const char* reason, void* opaque) {
    Impl& self = impl_of(opaque);
    guarded(self, "an error's report", [&] {
      std::array<char, 512> text{};
      const bool fatal = code == RD_KAFKA_RESP_ERR__FATAL;
      if (fatal) {
        code = rd_kafka_fatal_error(kafka, text.data(), text.size());
        reason = text.data();
      }
      const Error error = kafka::to_error(code, reason == nullptr ? std::string() : reason);
      self.report(error, /*follows=*/code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
      if (!fatal) return;
      const MutexLock lock(self.mutex);
      self.fatal = error;
    });
  }

  static void on_commit(rd_kafka_t*, rd_kafka_resp_err_t code,
                        rd_kafka_topic_partition_list_t* list, void* opaque) {
    Impl& self = impl_of(opaque);
    guarded(self, "a mirror's report", [&] { self.mirror.answered(code, list); });
  }

  static void on_log(const rd_kafka_t* kafka, int level, const char* facility, const char* text) {
    constexpr int kSyslogWarning = 4;
    constexpr int kSyslogNotice = 5;
    constexpr int kSyslogDebug = 7;
    try {
      if (level == kSyslogDebug && kafka != nullptr) {
        Opaque& opaque = *static_cast<Opaque*>(rd_kafka_opaque(kafka));
        opaque.topic_ids->hear(text);
        if (!opaque.debug) return;
      }
      // on_kafka_error() is told of these, too.
      const bool is_told =
          std::string_view(facility) == "FAIL" || std::string_view(facility) == "ERROR";
      log(is_told                   ? LogLevel::debug
          : level <= kSyslogWarning ? LogLevel::warning
          : level <= kSyslogNotice  ? LogLevel::info
                                    : LogLevel::debug,
          "kafka_client", {{"facility", facility}, {"message", text}});
    } catch (const std::exception&) {
      return;  // there is no memory, nor anybody to tell
    }
  }

  static void on_queue_event(rd_kafka_t*, void* opaque) { static_cast<Impl*>(opaque)->wake(); }
};

// ---- Set up and tear down
// ------------------------------------------------------------------------

Consumer::Impl::Impl(ConsumerOptions consumer_options, const Surroundings& surroundings,
                     Pollers& its_pollers, Executor& executor)
    : options(std::move(consumer_options)),
      around(surroundings),
      pollers(its_pollers),
      jobs(executor, [this] { wake(); }),
      mirror(options, around.events, stats, jobs),
      assignment(options, around, stats, jobs, mirror,
                 [this](const Error& error) { report(error); }),
      log_ends(assignment, jobs),
      subscription(options, jobs, [this](const Error& error) { report(error); }),
      topic_watch(options, subscription, assignment, jobs),
      membership(options, stats, jobs, assignment, subscription,
                 [this](const Error& error) { report(error); }) {}

void Consumer::Impl::report(const Error& error, bool follows) {
  {
    const MutexLock lock(mutex);
    if (!follows || !last_error) last_error = error;
    // librdkafka tells the same for every try, and how long it took.
    const SteadyTime now = options.clock->steady_now();
    std::erase_if(said, [now](const auto& entry) { return now - entry.second >= kSayEvery; });
    const bool is_new =
        said.try_emplace(error.message.substr(0, error.message.find(" (after ")), now).second;
    if (!is_new) return;
  }
  log(LogLevel::warning, "kafka_error",
      {{"pipeline", options.pipeline}, {"error", error.message}, {"hint", error.hint}});
}

Result<void> Consumer::Impl::start(const std::shared_ptr<Impl>& self) {
  const MutexLock lock(mutex);
  if (started || stopping) return {};
  if (auto checked = check_topics(options); !checked) return checked;
  kafka::Properties properties =
      kafka::consumer_properties(options.properties, options.group, options.prefetch_bytes);
  const auto opaque = std::make_shared<Callbacks::Opaque>(*this, assignment.topic_ids(),
                                                          properties.contains("debug"));
  std::string& debug = properties["debug"];  // see topic_ids.h
  debug += debug.empty() ? "metadata" : ",metadata";
  auto conf = kafka::make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_opaque(conf->get(), opaque.get());
  rd_kafka_conf_set_rebalance_cb(conf->get(), Callbacks::on_rebalance);
  rd_kafka_conf_set_error_cb(conf->get(), Callbacks::on_kafka_error);
  rd_kafka_conf_set_offset_commit_cb(conf->get(), Callbacks::on_commit);
  rd_kafka_conf_set_log_cb(conf->get(), Callbacks::on_log);
  // With the consumer protocol it is the broker's; librdkafka's default is the brokers'.
  const milliseconds session_timeout(
      std::atoll(kafka::conf_value(conf->get(), "session.timeout.ms").c_str()));

  std::array<char, 512> text{};
  rd_kafka_t* made = rd_kafka_new(RD_KAFKA_CONSUMER, conf->get(), text.data(), text.size());
  if (made == nullptr) {
    return fail(ErrorKind::invalid_argument, std::string("Kafka properties: ") + text.data());
  }
  std::ignore = conf->release();  // the client's now
  const auto promise = std::make_shared<std::promise<void>>();
  client.reset(made, ClientDeleter{promise, opaque});
  rd_kafka_poll_set_consumer(made);

  if (!subscription.topics().empty()) {
    if (const int err = subscription.apply(made)) {
      client.reset();
      return std::unexpected(kafka::to_error(err));
    }
  }
  records.reset(rd_kafka_queue_new(made));
  group.reset(rd_kafka_queue_get_consumer(made));
  watch(records.get());
  watch(group.get());
  assignment.attach(client, records.get(), session_timeout);
  kafka = client;
  destroyed = promise->get_future();
  started = true;
  polled = true;
  pollers.add(self);
  return {};
}

void Consumer::Impl::stop(milliseconds limit) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + limit;
  std::future<void> gone;
  {
    const MutexLock lock(mutex);
    if (!stopping.exchange(true)) give_up_at = deadline;
    if (polled) wake();
    // Its rounds are short, whatever the brokers do, and the last is at give_up_at.
    while (polled) changed.wait(mutex);
    gone = std::move(destroyed);
  }
  jobs.cancel(Jobs::Kind::asking);
  jobs.cancel(Jobs::Kind::saying);
  jobs.wait_outside();
  if (gone.valid()) gone.wait_until(deadline);
}

void Consumer::Impl::watch(rd_kafka_queue_s* queue) {
  rd_kafka_queue_cb_event_enable(queue, Callbacks::on_queue_event, this);
}

// The last that its poller does with it.
void Consumer::Impl::let_go() {
  for (const kafka::Queue* queue : {&records, &group, &closing}) {
    if (*queue) rd_kafka_queue_cb_event_enable(queue->get(), nullptr, nullptr);
  }
  assignment.detach();
  records.reset();
  group.reset();
  closing.reset();
  joined = false;
  {
    const MutexLock lock(mutex);
    published.clear();
    kafka.reset();
  }
  client.reset();
  const MutexLock lock(mutex);
  polled = false;
  changed.notify_all();
}

// ---- The public face
// -----------------------------------------------------------------------------

Consumer::Consumer(ConsumerOptions options, PlanSource& plans, Pollers& pollers, Executor& executor,
                   ClaimStore& claims, InFlight& in_flight, RecordSink& next, ChainEvents& events)
    : impl_(std::make_shared<Impl>(std::move(options),
                                   Surroundings{plans, claims, in_flight, next, events}, pollers,
                                   executor)) {}

Consumer::~Consumer() { stop(kLastLimit); }

Result<void> Consumer::start() { return impl_->start(impl_); }

void Consumer::close() {
  impl_->closed = true;
  impl_->wake();
}

void Consumer::stop(milliseconds limit) { impl_->stop(limit); }

void Consumer::pause(PauseReason reason) {
  impl_->pauses |= static_cast<std::uint32_t>(reason);
  impl_->wake();
}

void Consumer::resume(PauseReason reason) {
  impl_->pauses &= ~static_cast<std::uint32_t>(reason);
  impl_->wake();
}

std::uint64_t Consumer::flush() {
  const std::uint64_t ticket = ++impl_->flush_asked;
  impl_->wake();
  return ticket;
}

bool Consumer::flushed(std::uint64_t ticket) const { return impl_->flush_done >= ticket; }

void Consumer::reclaim(const std::shared_ptr<Chain>& chain, bool foreign_owner) {
  impl_->jobs.post([&assignment = impl_->assignment, chain, foreign_owner] {
    assignment.reclaim(chain, foreign_owner);
  });
}

void Consumer::block_for_rejects(const std::shared_ptr<Chain>& chain, const Error& why) {
  impl_->jobs.post([&assignment = impl_->assignment, chain, reason = why.to_string()] {
    assignment.block_for_rejects(chain, reason);
  });
}

void Consumer::retry_rejects(bool accept) {
  impl_->jobs.post([&assignment = impl_->assignment, accept] { assignment.retry_rejects(accept); });
}

void Consumer::replan(std::shared_ptr<const Plan> outdated) {
  impl_->jobs.post([&assignment = impl_->assignment, outdated = std::move(outdated)] {
    assignment.replan(outdated);
  });
}

void Consumer::mirror(const std::shared_ptr<Chain>& chain, Offset offset) {
  if (impl_->mirror.note(chain, offset)) impl_->wake();
}

std::vector<AssignedPartition> Consumer::partitions() const {
  const MutexLock lock(impl_->mutex);
  std::vector<AssignedPartition> copy = impl_->published;
  if (impl_->kafka) {
    for (AssignedPartition& partition : copy) {
      std::int64_t low = -1;
      std::int64_t high = -1;
      // From librdkafka's memory; -1001 before it knows.
      if (rd_kafka_get_watermark_offsets(impl_->kafka.get(), partition.topic.c_str(),
                                         partition.id.partition, &low,
                                         &high) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        partition.high_watermark = std::max<Offset>(high, partition.high_watermark);
      }
      const bool is_gone = std::ranges::contains(impl_->missing_topics, partition.topic);
      if (partition.log_is_another || is_gone) partition.high_watermark = -1;
    }
  }
  return copy;
}

const ConsumerStats& Consumer::stats() const { return impl_->stats; }

SteadyTime Consumer::heartbeat() const { return Pollers::heartbeat(*impl_); }

bool Consumer::joined() const { return impl_->joined; }

std::string Consumer::aside_reason() const {
  const MutexLock lock(impl_->mutex);
  return impl_->aside_reason;
}

std::vector<std::string> Consumer::missing_topics() const {
  const MutexLock lock(impl_->mutex);
  return impl_->missing_topics;
}

std::string Consumer::search_reason() const {
  const MutexLock lock(impl_->mutex);
  return impl_->search_reason;
}

std::optional<Error> Consumer::last_error() const {
  const MutexLock lock(impl_->mutex);
  if (!impl_->silent_since) return impl_->last_error;
  Error error = impl_->last_error.value_or(
      Error{ErrorKind::unavailable,
            {},
            "do they run, and does the network let their answers through?",
            {}});
  const auto silence = std::chrono::duration_cast<std::chrono::seconds>(
      impl_->options.clock->steady_now() - *impl_->silent_since);
  error.message = std::format("the brokers have not answered for {} s{}{}", silence.count(),
                              error.message.empty() ? "" : ": ", error.message);
  return error;
}

std::optional<Error> Consumer::fatal() const {
  const MutexLock lock(impl_->mutex);
  return impl_->fatal;
}

}  // namespace penstock::ingest
