#include "postgres/reach.h"

#include <algorithm>
#include <array>
#include <utility>

namespace penstock::postgres {
namespace {

// Of a backend that waits for its client the event is of type Client, whatever it is in the middle
// of: idle, in a transaction, hungry for the rest of a COPY, or with an answer that nobody takes.
constexpr const char* kLook =
    "SELECT coalesce(wait_event_type = 'Client', false),"
    " coalesce(state, 'unknown') || coalesce(', waits for ' || wait_event_type || '/' || "
    "wait_event,"
    " ', works')"
    " FROM pg_stat_activity"
    " WHERE pid = $1::int AND backend_start = $2::timestamptz AND application_name = $3";

}  // namespace

std::optional<Reach::Answer> Reach::Question::answer() const {
  const MutexLock lock(mutex_);
  return answer_;
}

void Reach::Question::set(Answer answer) {
  const MutexLock lock(mutex_);
  answer_ = std::move(answer);
}

Reach::Reach(Options options) : options_(std::move(options)), thread_("reach", [this] { run(); }) {}

Reach::~Reach() {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  wakeup_.stop();
  changed_.notify_all();
  thread_.join();
}

void Reach::suspect(SteadyTime since) {
  const MutexLock lock(mutex_);
  if (suspected_since_) return;
  suspected_since_ = since;
  changed_.notify_all();
}

std::shared_ptr<const Reach::Question> Reach::ask(BackendIdentity backend, SteadyTime since) {
  auto question = std::make_shared<Question>(std::move(backend));
  const MutexLock lock(mutex_);
  questions_.push_back(question);
  if (!suspected_since_) suspected_since_ = since;
  changed_.notify_all();
  return question;
}

void Reach::heard(SteadyTime now) {
  heard_.store(now.time_since_epoch().count(), std::memory_order_release);
}

std::optional<Silence> Reach::silence() const {
  const SteadyTime::rep since = silent_since_.load(std::memory_order_acquire);
  if (since == 0 || heard_.load(std::memory_order_acquire) > since) return std::nullopt;
  return Silence{.since = SteadyTime(SteadyTime::duration(since)), .refused = refused_};
}

void Reach::run() {
  for (;;) {
    Questions questions;
    {
      const MutexLock lock(mutex_);
      while (!closed_ && !suspected_since_) changed_.wait(mutex_);
      if (closed_) return;
      questions.swap(questions_);
    }
    const Found found = look(questions);
    if (found == Found::answers) {
      const MutexLock lock(mutex_);
      if (questions_.empty()) suspected_since_.reset();
      silent_since_ = 0;
      heard(std::chrono::steady_clock::now());
      continue;
    }
    found_silent(found == Found::refuses);
    for (const auto& question : questions) {
      question->set({.verdict = Verdict::no_answer, .words = {}});
    }
    const SteadyTime next = std::chrono::steady_clock::now() + options_.pause;
    const MutexLock lock(mutex_);
    while (!closed_ && changed_.wait_until(mutex_, next)) {
    }
  }
}

void Reach::found_silent(bool refused) {
  const MutexLock lock(mutex_);
  refused_ = refused;
  // Also after a lane was answered: it is silent since then.
  const SteadyTime::rep since =
      std::max(suspected_since_->time_since_epoch().count(), heard_.load() + 1);
  if (silent_since_ < since) silent_since_ = since;
}

Reach::Found Reach::look(const Questions& questions) {
  const auto timeout =
      std::to_string(std::chrono::ceil<std::chrono::seconds>(options_.timeout).count());
  const std::array overrides{Connection::Setting{"application_name", options_.application_name},
                             Connection::Setting{"connect_timeout", timeout}};
  const auto answer_all = [&questions](const Failure& failure) {
    for (const auto& question : questions) {
      question->set({.verdict = Verdict::unclear, .words = failure.error.to_string()});
    }
  };
  const SteadyTime deadline = std::chrono::steady_clock::now() + options_.timeout;
  auto opened = Connection::open(options_.conninfo, {}, overrides, options_.timeout, wakeup_);
  if (!opened) {
    const Failure& failure = opened.error();
    // Said by a server, or by our own configuration: no silence.
    const bool answered = !failure.error.sqlstate.empty() || failure.failure != FailureClass::retry;
    if (answered) {
      answer_all(failure);
      return Found::answers;
    }
    return std::chrono::steady_clock::now() < deadline ? Found::refuses : Found::silent;
  }
  if (questions.empty()) return Found::answers;
  (*opened)->set_deadline(std::chrono::steady_clock::now() + options_.timeout +
                          options_.second_look);
  auto answers = look_at(**opened, questions);
  if (!answers) {
    // Who let us in has answered: a pooler may let the rest wait.
    answer_all(answers.error());
    return Found::answers;
  }
  for (std::size_t i = 0; i < questions.size(); ++i) questions[i]->set((*answers)[i]);
  return Found::answers;
}

Try<std::vector<Reach::Answer>> Reach::look_at(Connection& connection, const Questions& questions) {
  // What others create in a schema of the role's search_path must not take part.
  if (auto set = connection.execute("SET search_path = pg_catalog, pg_temp"); !set) {
    return std::unexpected(std::move(set.error()));
  }
  std::vector<Answer> answers(questions.size());
  bool again = false;
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < questions.size(); ++i) {
      const BackendIdentity& backend = questions[i]->backend_;
      Answer& answer = answers[i];
      if (backend.pid.empty() || (round > 0 && answer.verdict != Verdict::waits)) continue;
      auto found = connection.execute(kLook, {backend.pid, backend.start, backend.name});
      if (!found) return std::unexpected(std::move(found.error()));
      if (found->rows() == 0) {
        answer.verdict = Verdict::gone;
        continue;
      }
      answer.verdict = found->is_true(0, 0) ? Verdict::waits : Verdict::works;
      answer.words = found->string(0, 1);
      again |= answer.verdict == Verdict::waits;
    }
    if (!again || round > 0) break;
    const SteadyTime until = std::chrono::steady_clock::now() + options_.second_look;
    while (std::chrono::steady_clock::now() < until && !wakeup_.stopped()) {
      wakeup_.wait(-1, 0, until);
    }
  }
  return answers;
}

}  // namespace penstock::postgres
