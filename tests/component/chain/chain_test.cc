// Random interleavings of everything that may become of a claim, on two processes and one
// PostgreSQL: nothing is lost, doubled or out of order, and what is charged is given back.
//
// An episode is a list of actions, made of a seed; each does what it can where things stand, or
// nothing. One that breaks a rule is shrunk to the actions that it takes, and printed.
// PENSTOCK_EPISODES says how many, beginning with the one of PENSTOCK_SEED.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "component/chain/process.h"

namespace penstock::test {
namespace {

constexpr std::int32_t kPartitions = 3;

enum class Act : std::uint8_t {
  produce,
  assign,
  claim,
  poll,
  emit,
  compute,
  fail_to_compute,
  turn,
  begin_revoke,
  end_revoke,
  lose,         // the group no longer knows the owner,
  notice_loss,  // which hears of it later
  fate,
  narrow,  // so few records in a transaction from now on
  decide,  // how open transactions will be decided
  away,
  back,
  end_sessions,
  note_standby,
  fail_over,
  restart,
  count
};
constexpr std::array kNames{"produce",
                            "assign",
                            "claim",
                            "poll",
                            "emit",
                            "compute",
                            "fail_to_compute",
                            "turn",
                            "begin_revoke",
                            "end_revoke",
                            "lose",
                            "notice_loss",
                            "fate",
                            "narrow",
                            "decide",
                            "away",
                            "back",
                            "end_sessions",
                            "note_standby",
                            "fail_over",
                            "restart"};
// How often each is drawn.
constexpr std::array kWeights{10, 8, 24, 30, 8, 44, 1, 50, 3, 5, 2, 4, 16, 2, 4, 1, 6, 2, 3, 1, 1};
static_assert(kNames.size() == static_cast<std::size_t>(Act::count));
static_assert(kWeights.size() == kNames.size());

struct Action {
  Act act = Act::turn;
  std::uint8_t process = 0;
  std::int32_t partition = 0;
  std::uint32_t number = 0;
};
using Actions = std::vector<Action>;

std::string to_string(const Action& action) {
  return std::string(kNames[static_cast<std::size_t>(action.act)]) + " process " +
         std::to_string(action.process) + " partition " + std::to_string(action.partition) +
         " number " + std::to_string(action.number) + "\n";
}

Actions make_actions(std::uint64_t seed) {
  std::mt19937_64 random(seed);  // NOLINT: the same actions every time
  std::discrete_distribution<int> acts(kWeights.begin(), kWeights.end());
  Actions actions(100 + random() % 400);
  for (Action& action : actions) {
    action = {.act = static_cast<Act>(acts(random)),
              .process = static_cast<std::uint8_t>(random() % 2),
              .partition = static_cast<std::int32_t>(random() % kPartitions),
              .number = static_cast<std::uint32_t>(random() % 1000)};
  }
  return actions;
}

class World {
 public:
  World() {
    for (auto& process : processes_) process = std::make_unique<Process>(postgres_, clock_);
    for (std::int32_t partition = 0; partition < kPartitions; ++partition) {
      owner_[static_cast<std::size_t>(partition)] = partition % 2;
      processes_[static_cast<std::size_t>(partition % 2)]->assign(partition);
    }
  }

  void act(const Action& action) {
    const std::int32_t partition = action.partition;
    int& owner = owner_[static_cast<std::size_t>(partition)];
    const int number = doer(action);
    Process& process = *processes_[static_cast<std::size_t>(number)];
    switch (action.act) {
      case Act::produce:
        end_[static_cast<std::size_t>(partition)] += 1 + action.number % 20;
        break;
      case Act::assign:
        if (owner >= 0) break;
        owner = number;
        process.assign(partition);
        break;
      case Act::claim:
        process.claim(partition, owner == number);
        break;
      case Act::poll:
        process.poll(partition, end_[static_cast<std::size_t>(partition)],
                     1 + static_cast<int>(action.number % 30));
        if (action.number % 3 != 0) process.emit(partition);  // nothing more is waiting
        break;
      case Act::emit:
        process.emit(partition);
        break;
      case Act::compute:
        process.compute(action.number);
        break;
      case Act::fail_to_compute:
        process.fail_to_compute(action.number);
        break;
      case Act::turn:
        for (std::uint32_t i = 0; i <= action.number % 5; ++i) {
          process.turn(action.number / 5 % Process::kLanes);
        }
        break;
      case Act::begin_revoke:
        if (owner == number) process.begin_revoke(partition);
        break;
      case Act::end_revoke:  // in a fifth of the cases because the time is over
        if (owner != number || !(process.is_drained(partition) || action.number % 5 == 0)) {
          break;
        }
        process.end(partition, ChainEnd::revoked);
        owner = -1;
        break;
      case Act::lose:
        if (owner == number) owner = -1;
        break;
      case Act::notice_loss:
        if (owner != number) process.end(partition, ChainEnd::lost);
        break;
      case Act::fate:
        postgres_.fate = static_cast<Fate>(action.number % 8);
        break;
      case Act::narrow:
        postgres_.capacity = action.number % 6;
        break;
      case Act::decide:
        postgres_.commits_open = action.number % 2 == 0;
        break;
      case Act::away:
        postgres_.away = true;
        postgres_.end_sessions();
        break;
      case Act::back:
        postgres_.away = false;
        break;
      case Act::end_sessions:
        postgres_.end_sessions();
        break;
      case Act::note_standby:
        postgres_.note_standby();
        break;
      case Act::fail_over:
        postgres_.fail_over();
        break;
      case Act::restart:
        process.stop();
        for (int& of : owner_) of = of == number ? -1 : of;
        processes_[static_cast<std::size_t>(number)] = std::make_unique<Process>(postgres_, clock_);
        break;
      case Act::count:
        break;
    }
    for (const auto& one : processes_) one->check();
  }

  // Everything is well from now on: all that was produced arrives. And it arrives again where a
  // standby takes over that did not have it, though no record comes that the fence could refuse.
  void come_to_rest() {
    settle();
    if (postgres_.violation().empty()) {
      postgres_.fail_over();
      wait_until_done();
    }
    for (const auto& process : processes_) process->stop();
  }

  [[nodiscard]] FakePostgres& postgres() { return postgres_; }

 private:
  // The other process where the one that was drawn has nothing to do.
  [[nodiscard]] int doer(const Action& action) const {
    const auto can = [&](const Process& process) {
      switch (action.act) {
        case Act::claim:
        case Act::poll:
        case Act::emit:
        case Act::begin_revoke:
        case Act::end_revoke:
        case Act::lose:
          return process.holds(action.partition);
        case Act::compute:
        case Act::fail_to_compute:
          return process.computing() > 0;
        default:
          return true;
      }
    };
    return can(*processes_[action.process]) ? action.process : 1 - action.process;
  }

  void settle() {
    postgres_.away = false;
    postgres_.fate = Fate::well;
    postgres_.capacity = 0;
    for (std::int32_t partition = 0; partition < kPartitions; ++partition) {
      int& owner = owner_[static_cast<std::size_t>(partition)];
      for (std::size_t i = 0; i < processes_.size(); ++i) {
        if (owner != static_cast<int>(i)) processes_[i]->end(partition, ChainEnd::lost);
      }
      // A revoke that was begun ends, and who comes next takes over.
      if (owner >= 0)
        processes_[static_cast<std::size_t>(owner)]->end(partition, ChainEnd::revoked);
      owner = partition % 2;
      processes_[static_cast<std::size_t>(owner)]->assign(partition);
      // Whatever takes a neighbour that passes gets one.
      Offset& end = end_[static_cast<std::size_t>(partition)];
      for (int good = 0; good < 2; ++end) good += kind_of(partition, end) == Kind::one_row ? 1 : 0;
    }
    wait_until_done();
  }

  void wait_until_done() {
    constexpr int kRounds = 1000;
    for (int round = 0; round < kRounds && postgres_.violation().empty(); ++round) {
      bool done = true;
      for (std::int32_t partition = 0; partition < kPartitions; ++partition) {
        const Offset end = end_[static_cast<std::size_t>(partition)];
        Process& process = *processes_[static_cast<std::size_t>(partition % 2)];
        process.claim(partition, /*is_member=*/true);
        process.poll(partition, end, 100);
        process.emit(partition);
        done = done && postgres_.position(partition) == end && process.is_done(partition, end);
      }
      if (done) return check_contents();
      for (const auto& process : processes_) {
        while (process->computing() > 0) process->compute(static_cast<std::size_t>(round));
        for (std::size_t lane = 0; lane < Process::kLanes; ++lane) process->turn(lane);
        process->check();
      }
    }
    postgres_.violated("it does not come to rest");
  }

  void check_contents() {
    for (std::int32_t partition = 0; partition < kPartitions; ++partition) {
      const Offset end = end_[static_cast<std::size_t>(partition)];
      for (Offset offset = 0; offset < end; ++offset) {
        if (postgres_.tables_with(partition, offset) == expected(kind_of(partition, offset))) {
          continue;
        }
        postgres_.violated("record " + std::to_string(partition) + ":" + std::to_string(offset) +
                           " is not where it belongs");
      }
    }
  }

  static std::set<int> expected(Kind kind) {
    switch (kind) {
      case Kind::none:
      case Kind::filtered:
        return {};
      case Kind::one_row:
        return {0};
      case Kind::two_rows:
        return {0, 1};
      case Kind::rejected:
      case Kind::refused:
      case Kind::odd:
      case Kind::slow:
      case Kind::fatal:
        return {FakePostgres::kDeadLetter};
    }
    return {};
  }

  HeldClock clock_;
  FakePostgres postgres_;
  std::array<std::unique_ptr<Process>, 2> processes_;
  std::array<int, kPartitions> owner_{};   // as the group has it; -1: nobody
  std::array<Offset, kPartitions> end_{};  // of the logs
};

struct Episode {
  std::string violation;  // empty: every rule was kept
  std::uint64_t transactions = 0;
};

Episode run(const Actions& actions) {
  World world;
  for (const Action& action : actions) {
    world.act(action);
    if (!world.postgres().violation().empty()) break;
  }
  if (world.postgres().violation().empty()) world.come_to_rest();
  return {world.postgres().violation(), world.postgres().transactions()};
}

// Leaves out what it does not take to break a rule, as far as so many runs bring it.
Actions shrink(Actions actions) {
  int runs = 500;
  for (std::size_t piece = std::max<std::size_t>(actions.size() / 2, 1);; piece /= 2) {
    for (std::size_t at = 0; at < actions.size() && runs > 0; --runs) {
      Actions fewer = actions;
      const auto begin = fewer.begin() + static_cast<std::ptrdiff_t>(at);
      fewer.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(piece, fewer.size() - at)));
      if (run(fewer).violation.empty()) {
        at += piece;
      } else {
        actions = std::move(fewer);
      }
    }
    if (piece <= 1 || runs == 0) return actions;
  }
}

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Chains, KeepEveryRecordOnceAndInOrderWhateverHappens) {
  const std::uint64_t first = number_of("PENSTOCK_SEED", 1);
  const std::uint64_t episodes = number_of("PENSTOCK_EPISODES", 1000);
  std::uint64_t transactions = 0;
  for (std::uint64_t seed = first; seed < first + episodes; ++seed) {
    const Actions actions = make_actions(seed);
    const Episode done = run(actions);
    transactions += done.transactions;
    if (done.violation.empty()) continue;
    const Actions fewer = shrink(actions);
    std::string list;
    for (const Action& action : fewer) list += to_string(action);
    FAIL() << "seed " << seed << ": " << done.violation << "\n"
           << run(fewer).violation << ", with " << fewer.size() << " of " << actions.size()
           << " actions:\n"
           << list;
  }
  EXPECT_GT(transactions, episodes * 5) << "hardly anything was written";
}

TEST(Chains, DoTheSameForTheSameSeed) {
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    EXPECT_EQ(run(make_actions(seed)).transactions, run(make_actions(seed)).transactions);
  }
}

}  // namespace
}  // namespace penstock::test
