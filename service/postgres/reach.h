// Reach: whether PostgreSQL answers this process at all, and what becomes of a statement that has
// had no answer for a while. Both are asked over a connection of its own: a link that is half open
// says nothing of either.
//
// Place: one for each database, beside its Pool and its lanes. They tell it when a server was
// silent; whoever hands on work because of that looks at silence().
// Threads: everything may be called from any thread, and nothing waits. It has a thread of its own,
// which sleeps while nobody suspects anything.
// Failure: a server that says no (a password, too many connections, starting up) has answered.
// Stop: the destructor ends the connection that is being made or used, and joins.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "core/claim.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "postgres/connection.h"

namespace penstock::postgres {

// Which backend of which server: a process id alone may be used again.
struct BackendIdentity {
  std::string pid;
  std::string start;
  std::string name;  // application_name
};

class Reach {
 public:
  struct Options {
    std::string conninfo;
    std::string application_name = "penstock/reach";
    // For each address, and for each statement; goes before the string's own connect_timeout.
    std::chrono::milliseconds timeout{4'000};
    // Between two tries while nothing answers.
    std::chrono::milliseconds pause{1'000};
    // A backend that waits for its client must still do so after this, since a word may just be on
    // its way.
    std::chrono::milliseconds second_look{1'000};
  };

  enum class Verdict : std::uint8_t {
    works,      // it runs a statement, or waits for a lock or for something of the server's
    waits,      // it waits for us, though we wait for it: the link between is half open
    gone,       // there is no such backend on the server that answers
    unclear,    // the server answers, but does not let us look
    no_answer,  // nobody answers
  };
  struct Answer {
    Verdict verdict = Verdict::unclear;
    std::string words;  // what the backend waits for, or why nobody could look
  };
  // One question; empty until it is answered.
  class Question {
   public:
    explicit Question(BackendIdentity backend) : backend_(std::move(backend)) {}
    [[nodiscard]] std::optional<Answer> answer() const EXCLUDES(mutex_);

   private:
    friend class Reach;
    void set(Answer answer) EXCLUDES(mutex_);
    const BackendIdentity backend_;
    mutable Mutex mutex_;
    std::optional<Answer> answer_ GUARDED_BY(mutex_);
  };

  explicit Reach(Options options);
  ~Reach();
  Reach(const Reach&) = delete;
  Reach& operator=(const Reach&) = delete;

  // Nothing was heard since then: it finds out, and goes on until somebody answers.
  void suspect(SteadyTime since) EXCLUDES(mutex_);
  // What this backend, which has been silent since then, is at. Without a process id: whether its
  // server answers.
  [[nodiscard]] std::shared_ptr<const Question> ask(BackendIdentity backend, SteadyTime since)
      EXCLUDES(mutex_);

  // A server has answered a lane just now.
  void heard(SteadyTime now);
  // Nothing: it answers, as far as anybody knows.
  [[nodiscard]] std::optional<Silence> silence() const;

 private:
  using Questions = std::vector<std::shared_ptr<Question>>;

  void run();
  enum class Found : std::uint8_t { answers, refuses, silent };
  [[nodiscard]] Found look(const Questions& questions);
  [[nodiscard]] Try<std::vector<Answer>> look_at(Connection& connection,
                                                 const Questions& questions);
  void found_silent(bool refused) EXCLUDES(mutex_);

  const Options options_;
  Wakeup wakeup_{system_clock()};
  std::atomic<SteadyTime::rep> silent_since_{0};  // 0: it is not
  std::atomic<bool> refused_{false};
  std::atomic<SteadyTime::rep> heard_{0};
  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<SteadyTime> suspected_since_ GUARDED_BY(mutex_);  // nobody has found out yet
  Questions questions_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  Thread thread_;  // last: it uses everything above
};

}  // namespace penstock::postgres
