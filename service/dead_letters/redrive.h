// Redrive: dead letters through today's pipeline, exactly once.
//
// Place: `penstock dead-letters redrive` makes one from the pipeline's plan. It needs no Kafka, and
// the pipeline may run meanwhile.
// Exactly once: a transaction locks some letters, writes what their records have become, and
// settles the letters (settlement.h) before it commits. So a letter and its row are never both
// there, and never both missing, wherever it is killed. What another redrive has in hand is passed
// over. Writing is write/'s own: by COPY, bisected where PostgreSQL refuses, every record for
// itself. A letter whose row ends its session, or makes it useless, is found by halving, over new
// sessions. Threads: the caller's only, which run() blocks. Failure: run() ends with it; what is
// committed stays, and the same redrive may be run again.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "core/clock.h"
#include "core/error.h"
#include "core/plan.h"
#include "dead_letters/filter.h"
#include "dead_letters/letter.h"
#include "dead_letters/settlement.h"
#include "postgres/failure_class.h"
#include "postgres/wakeup.h"
#include "write/lanes.h"
#include "write/session.h"
#include "write/statement_columns.h"
#include "write/transaction.h"

namespace penstock::dead_letters {

struct RedriveOptions {
  std::string conninfo;  // never logged
  // Everything is done, and taken back.
  bool dry_run = false;
  std::uint64_t letters_per_second = 0;  // 0: as many as go
  std::vector<std::string> topics = {};  // of the plan's; empty: all of them
};

// What became of letters, so far.
struct Tally {
  // Why some stay what they are.
  struct Cause {
    std::uint64_t letters = 0;
    std::int64_t example_id = 0;
    std::string example_message;
  };

  std::uint64_t matched = 0;   // when it began
  std::uint64_t redriven = 0;  // rows now
  std::uint64_t left_out = 0;  // by `where`, or as tombstones: gone
  std::uint64_t refused = 0;   // letters still, with one more try
  std::map<std::tuple<std::string, std::string, std::string>, Cause>
      causes;             // by stage, reason, SQLSTATE
  std::string waits_for;  // while it waits for a lock: who holds it

  void add(const Tally& other);
  [[nodiscard]] std::uint64_t done() const { return redriven + left_out + refused; }
};

class Redrive {
 public:
  // Of the plan's pipeline and of topics that it reads, whatever the filter says of these.
  Redrive(std::shared_ptr<const Plan> plan, Filter filter, RedriveOptions options);

  // Tries every letter once that is there at the beginning. `progress` hears after every
  // transaction, and when it waits for a lock; the tally holds also when this fails.
  [[nodiscard]] Result<void> run(const std::function<void(const Tally&)>& progress);
  [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
  [[nodiscard]] postgres::Try<void> connect();
  [[nodiscard]] postgres::Try<void> count_letters();
  // False: there is nothing more.
  [[nodiscard]] Result<bool> step();
  [[nodiscard]] bool is_in_order() const;
  // Begins a transaction and locks the letters of the next page.
  [[nodiscard]] postgres::Try<std::vector<Letter>> take();
  [[nodiscard]] Result<write::Group> group_of(std::span<const Letter> letters,
                                              Settlement& settlement);
  void settled(std::span<const Letter> letters, const Settlement& settlement,
               std::uint64_t left_out);
  // What to do so that it gets through the next time; an error: nothing would help.
  [[nodiscard]] Result<void> learn(const write::Outcome& outcome, std::span<const Letter> letters,
                                   const Settlement& settlement);
  [[nodiscard]] Result<void> learn_from_taking(const postgres::Failure& failure);
  // A new session in place of one that may have been ended, or changed by what a row has done.
  [[nodiscard]] postgres::Try<void> reconnect(const postgres::Failure& failure);
  void note_wait(const Error& error);
  void roll_back();
  void pace() const;

  const std::shared_ptr<const Plan> plan_;
  const std::unique_ptr<Processor> processor_;
  Filter filter_;
  const RedriveOptions options_;
  write::LanesOptions session_options_;
  postgres::Wakeup wakeup_;
  std::unique_ptr<write::Session> session_;
  bool is_used_ = false;  // rows have been written over it
  write::StatementColumns columns_;
  Tally tally_;
  SteadyTime begin_{};

  std::int64_t last_id_ = 0;   // of those that were there at the beginning
  std::int64_t after_ = 0;     // letters up to this one are settled, or another redrive's
  std::int64_t page_end_ = 0;  // of the page in hand; 0: it is empty
  std::uint64_t most_ = 0;     // letters in the next transaction
  // What a transaction that failed has taught, until one passes.
  int tries_ = 0;
  int tries_alone_ = 0;  // of one letter, over as many sessions
  bool any_code_ = false;
  struct Blame {
    std::int64_t id = 0;
    postgres::Failure failure;
  };
  std::optional<Blame> blame_;  // a letter that alone raises this, so that it is refused for it
};

}  // namespace penstock::dead_letters
