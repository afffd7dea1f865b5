#include "app/launch.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "app/start_up.h"
#include "concurrency/backoff.h"
#include "core/log.h"
#include "flow/stage_options.h"

namespace penstock::app {
namespace {

using namespace std::chrono_literals;

// How long brokers may take to answer: at first less, so that it soon shows that they do not.
constexpr auto kFirstProbe = 3s;
constexpr auto kProbeLimit = 10s;
constexpr Backoff::Options kAway{.base = 250ms, .cap = 10s, .floor = 50ms};
// What a person has to cure: with what a try takes, at least one a minute.
constexpr Backoff::Options kRefused{.base = 1s, .cap = 30s, .floor = 500ms};

// "message (hint); message (hint)", for a line of the log and for readiness.
std::string in_one_line(const config::Problems& problems) {
  std::string text;
  for (const config::Problem& problem : problems) {
    if (!text.empty()) text += "; ";
    text += problem.message;
    if (!problem.hint.empty()) text += " (" + problem.hint + ")";
  }
  return text;
}

}  // namespace

Launch::Launch(const config::Loaded& loaded, int index, flow::Engine& engine,
               telemetry::Tracer& tracer, std::function<void()> on_running,
               config::Problems offline, Together together)
    : loaded_(loaded),
      index_(index),
      spec_(loaded.config.pipelines(index)),
      engine_(engine),
      tracer_(tracer),
      on_running_(std::move(on_running)),
      offline_(std::move(offline)),
      together_(together) {}

Launch::~Launch() { close(); }

void Launch::start() {
  if (!offline_.empty()) return fail_with(offline_, std::nullopt);
  thread_.emplace(
      "start", [this] { run(); },
      [this](const std::string& message) {
        fail_with({plan::problem_at(loaded_, index_, "", "cannot start: " + message, "")},
                  std::nullopt);
      });
}

void Launch::run() {
  Backoff away(kAway);
  Backoff refused(kRefused);
  std::chrono::milliseconds probe_limit = kFirstProbe;
  std::chrono::milliseconds delay{};
  do {
    Attempt tried = attempt(std::exchange(probe_limit, kProbeLimit));
    if (tried.pipeline) return adopt(std::move(tried));
    if (stop_.stop_requested()) return;
    if (tried.away.empty()) {
      fail_with(std::move(tried.problems), tried.database_answers);
      delay = refused.next();
    } else {
      wait_for(tried);
      delay = away.next();
    }
  } while (sleep(delay));
}

// Both are asked even if the first is away: what waiting cannot cure should show at once.
Launch::Attempt Launch::attempt(std::chrono::milliseconds probe_limit) {
  Attempt attempt;
  ask("PostgreSQL");
  const std::stop_token stop = stop_.get_token();
  postgres::Pool& database = engine_.database(spec_.sink().postgres()).pool;
  auto plans = make_plans(loaded_, index_, database, Lacking::is_made, stop);
  attempt.database_answers = plans.has_value() || plans.error().database_answers;
  if (!plans) {
    attempt.problems = std::move(plans.error().problems);
    if (!plans.error().is_away) return attempt;
    attempt.away = "PostgreSQL";
  }
  if (stop.stop_requested()) return attempt;
  ask("Kafka");
  const auto cluster = flow::probe_kafka(spec_, probe_limit, stop);
  if (!cluster) {
    const Error& error = cluster.error();
    attempt.problems.push_back(plan::problem_at(loaded_, index_, flow::place_of_probe_error(error),
                                                error.message, error.hint));
    attempt.away = !is_away(error)        ? ""
                   : attempt.away.empty() ? "Kafka"
                                          : attempt.away + " and Kafka";
  }
  if (!attempt.problems.empty()) return attempt;
  if (const auto entered = offsets::enter(database, identity_of(spec_, **plans, *cluster), stop);
      !entered) {
    const Error& error = entered.error();
    attempt.problems.push_back(
        plan::problem_at(loaded_, index_, "name", error.message, error.hint));
    if (is_away(error)) attempt.away = "PostgreSQL";
    return attempt;
  }

  flow::Destination destination = flow::postgres_destination(spec_, engine_);
  destination.make_plan = [&loaded = loaded_, index = index_,
                           &database = engine_.database(spec_.sink().postgres()).pool](
                              const plan::CompiledPlan& old, const std::stop_token& stopped) {
    return make_plan_again(loaded, index, database, old, stopped);
  };
  attempt.plan_version = (*plans)->version();
  auto pipeline = std::make_unique<flow::Flow>(spec_, std::move(*plans), engine_, tracer_,
                                               std::move(destination));
  if (const auto started = pipeline->start(); !started) {
    const Error& error = started.error();
    attempt.problems.push_back(
        plan::problem_at(loaded_, index_, "source", error.message, error.hint));
    return attempt;
  }
  attempt.pipeline = std::move(pipeline);
  return attempt;
}

void Launch::adopt(Attempt attempt) {
  {
    const MutexLock lock(mutex_);
    pipeline_ = std::move(attempt.pipeline);
  }
  log(LogLevel::info, "pipeline_started",
      {{"pipeline", spec_.name()}, {"plan_version", attempt.plan_version}});
  on_running_();
}

// As long as nothing is known yet.
void Launch::ask(const std::string& whom) {
  const MutexLock lock(mutex_);
  if (reason_at_ == SystemTime{}) reason_ = whom + " is being asked";
}

// One line for each change of whom it waits for, not for each try.
void Launch::wait_for(const Attempt& attempt) {
  const MutexLock lock(mutex_);
  reason_ = "waiting for " + attempt.away + ": " + in_one_line(attempt.problems);
  reason_at_ = system_clock().system_now();
  database_answers_ = attempt.database_answers;
  problems_.clear();
  if (std::exchange(away_, attempt.away) == attempt.away) return;
  log(LogLevel::warning, "waiting_to_start",
      {{"pipeline", spec_.name()},
       {"away", attempt.away},
       {"error", in_one_line(attempt.problems)}});
}

// The same: one line for each reason.
void Launch::fail_with(config::Problems problems, std::optional<bool> database_answers) {
  const MutexLock lock(mutex_);
  const std::string reason = in_one_line(problems);
  const bool is_new = problems_.empty() || reason_ != reason;
  reason_ = reason;
  reason_at_ = system_clock().system_now();
  database_answers_ = database_answers;
  problems_ = std::move(problems);
  away_.clear();
  if (!is_new) return;
  log(LogLevel::error, "cannot_start",
      {{"pipeline", spec_.name()},
       {"error", reason},
       {"next", !offline_.empty()            ? "correct the file, and start the process again"
                : together_ == Together::yes ? "the process ends"
                                             : "tried again, at least every minute"}});
}

// False: close() has been called.
bool Launch::sleep(std::chrono::milliseconds delay) {
  const SteadyTime due = system_clock().steady_now() + delay;
  const MutexLock lock(mutex_);
  while (!stop_.stop_requested() && stopping_.wait_until(mutex_, due)) {
  }
  return !stop_.stop_requested();
}

void Launch::close() {
  stop_.request_stop();
  {
    const MutexLock lock(mutex_);
    stopping_.notify_all();
  }
  if (thread_) thread_->join();
  if (const auto running = pipeline()) (*running)->close();
}

void Launch::abandon() {
  if (const auto running = pipeline()) (*running)->abandon();
}

Launch::State Launch::state() const {
  const MutexLock lock(mutex_);
  if (pipeline_) return State::running;
  return problems_.empty() ? State::waiting : State::failed;
}

config::Problems Launch::problems() const {
  const MutexLock lock(mutex_);
  return problems_;
}

Result<flow::Flow*> Launch::pipeline() const {
  const MutexLock lock(mutex_);
  if (pipeline_) return pipeline_.get();
  return fail(ErrorKind::conflict,
              "pipeline '" + spec_.name() + "' has not started yet: " + reason_,
              "ask again when it runs");
}

PipelineSnapshot Launch::snapshot() const {
  if (const auto running = pipeline()) return (*running)->snapshot();
  PipelineSnapshot snapshot;
  snapshot.name = spec_.name();
  snapshot.group = spec_.source().group();
  for (const plan::RouteSpec& route : plan::routes_of(spec_)) {
    const std::string& table = route.target.table();
    if (!std::ranges::contains(snapshot.tables, table)) snapshot.tables.push_back(table);
  }
  const MutexLock lock(mutex_);
  snapshot.state = problems_.empty() ? PipelineState::starting : PipelineState::failed;
  snapshot.state_reason = reason_;
  if (reason_at_ != SystemTime{}) {
    snapshot.last_error = reason_;
    snapshot.last_error_at = reason_at_;
  }
  snapshot.database_asked = database_answers_.has_value();
  snapshot.database_reachable = snapshot.schema_current = database_answers_.value_or(false);
  return snapshot;
}

}  // namespace penstock::app
