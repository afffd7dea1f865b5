// Random records into a table that is written by key, and what is there afterwards beside what a
// model has that takes one record after the other: versions, partial rows, NULLs, merges, removals,
// marks, bad rows, cut into batches and transactions of any size and written in every way, by one
// process or two that take partitions from each other, with connections that are cut and processes
// that are gone in between. PENSTOCK_OPERATIONS says how many records, PENSTOCK_SEED where they
// begin:
// ./dev test model --operations N --seed S
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <format>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

constexpr int kPartitions = 4;
constexpr int kBad = 13;           // what the CHECK refuses
constexpr std::int64_t kGone = 7;  // when rows are marked: µs from PostgreSQL's epoch

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// A row of m (id int PRIMARY KEY, need int NOT NULL CHECK (need <> 13), name text DEFAULT 'none',
// code int [UNIQUE], apart int DEFAULT 7, gone timestamptz), where nothing writes `apart`.
struct Row {
  int need = 0;
  std::optional<std::string> name = "none";
  std::optional<int> code = std::nullopt;
  int apart = 7;
  bool is_gone = false;
  friend bool operator==(const Row&, const Row&) = default;
};
constexpr std::uint16_t kNeed = 1;
constexpr std::uint16_t kName = 2;
constexpr std::uint16_t kCode = 3;
constexpr std::uint16_t kMark = 5;

// How the table is written.
struct Rules {
  WriteMode mode = WriteMode::upsert;
  bool unique = false;    // no two rows have one code
  bool versions = false;  // `code` says which of two is the newer one
  bool marks = false;     // rows are not removed but marked
  std::map<std::uint16_t, ColumnMerge> merges = {};
};

// What one record says. A member that is not there is left out.
struct Change {
  int id = 0;
  bool removes = false;
  std::optional<std::optional<int>> need;
  std::optional<std::optional<std::string>> name;
  std::optional<std::optional<int>> code;
};

class Model {
 public:
  explicit Model(const Rules& rules) : rules_(rules) {}

  // False: it is a dead letter.
  bool apply(const Change& change) {
    const auto found = rows.find(change.id);
    const bool is_there = found != rows.end();
    if (change.removes && !(rules_.marks && rules_.versions)) {
      if (is_there && rules_.marks) found->second.is_gone = true;
      if (is_there && !rules_.marks) rows.erase(found);
      return true;
    }
    // An INSERT looks at what it would insert, also where a row is there.
    const bool inserts = rules_.mode != WriteMode::update;
    if (inserts && change.need && is_bad(*change.need)) return false;
    if (inserts && !change.need && (rules_.mode == WriteMode::ignore || !is_there)) return false;
    if (is_there ? rules_.mode == WriteMode::ignore : !inserts) return true;
    if (rules_.versions && is_there && !is_newer(change, found->second)) return true;
    Row row = is_there ? found->second : Row{};
    if (change.need) {
      const auto need =
          is_there ? merged(kNeed, std::optional(row.need), *change.need) : *change.need;
      if (is_bad(need)) return false;
      row.need = *need;
    }
    if (change.name) row.name = is_there ? merged(kName, row.name, *change.name) : *change.name;
    if (change.code) row.code = is_there ? merged(kCode, row.code, *change.code) : *change.code;
    row.is_gone = change.removes;
    if (rules_.unique && row.code) {
      for (const auto& [id, other] : rows) {
        if (id != change.id && other.code == row.code) return false;
      }
    }
    rows[change.id] = row;
    return true;
  }

  std::map<int, Row> rows;

 private:
  static bool is_bad(const std::optional<int>& need) { return !need || *need == kBad; }
  static bool is_newer(const Change& change, const Row& there) {
    return *change.code && (!there.code || **change.code > *there.code);
  }

  template <typename Value>
  Value merged(std::uint16_t column, const Value& there, const Value& comes) const {
    const auto merge = rules_.merges.find(column);
    if (merge == rules_.merges.end()) return comes;
    if (merge->second == ColumnMerge::keep || !comes) return there;
    if (!there) return comes;
    switch (merge->second) {
      case ColumnMerge::greatest:
        return std::max(there, comes);
      case ColumnMerge::least:
        return std::min(there, comes);
      case ColumnMerge::sum:
      case ColumnMerge::concat:
        return *there + *comes;
      default:  // fill_null
        return there;
    }
  }

  const Rules rules_;
};

class ModelTest : public WriteTest {
 protected:
  void run(std::uint64_t operations, const Rules& rules) {
    rules_ = rules;
    const std::uint64_t seed = number_of("PENSTOCK_SEED", 1);
    std::cout << std::format("seed {}\n", seed);
    random_.seed(seed);
    database_.execute(
        "CREATE TABLE m (id int PRIMARY KEY, need int NOT NULL CHECK (need <> 13), name text "
        "DEFAULT 'none', code int" +
        std::string(rules.unique ? " UNIQUE" : "") + ", apart int DEFAULT 7, gone timestamptz)");
    for (int partition = 0; partition < kPartitions; ++partition) claim(partition);
    Model model(rules);
    std::set<std::pair<int, Offset>> refused;
    for (std::uint64_t done = 0; done < operations;) {
      done += episode(model, refused, operations - done);
      // What nothing writes is lost with a row that is removed, and only then.
      const int apart = number(1000);
      database_.execute(std::format("UPDATE m SET apart = {}", apart));
      for (auto& [id, row] : model.rows) row.apart = apart;
      if (rules.mode == WriteMode::update) plant(model);
    }
    const std::size_t differences = compare(model, refused);
    std::cout << std::format("operations {}, differences {}\n", operations, differences);
    EXPECT_EQ(differences, 0U);
  }

 private:
  // Of one partition: what its records say, from the first one that may have to be sent again.
  struct Log {
    Offset begin = 0;
    std::vector<Change> changes;
    std::int64_t epoch = 1;
    std::size_t process = 0;  // who writes it

    [[nodiscard]] Offset end() const { return begin + static_cast<Offset>(changes.size()); }
  };

  int number(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
  bool chance(int percent) { return number(100) < percent; }

  // Somebody else's rows, which an update finds.
  void plant(Model& model) {
    for (int id = 0; id < 40; ++id) {
      database_.execute(
          std::format("INSERT INTO m (id, need) VALUES ({}, 1) ON CONFLICT DO NOTHING", id));
      model.rows.try_emplace(id, Row{.need = 1});
    }
  }

  // Some records by one process or two, in one way. Returns how many.
  std::uint64_t episode(Model& model, std::set<std::pair<int, Offset>>& refused,
                        std::uint64_t most) {
    options_ = keyed(rules_.mode, true, "m");
    if (rules_.versions) newer_by(kCode);
    if (!rules_.merges.empty()) merges(rules_.merges);
    if (rules_.marks) change_target([](Target& target) { target.deleted_at = kMark; });
    const std::vector<std::size_t> from{1, 40, 1'000'000};
    options_.writer.copy_from_rows = from[static_cast<std::size_t>(number(3))];
    options_.writer.max_rows = static_cast<std::size_t>(1 + number(3000));
    whole_rows_ = chance(60);
    keys_ = chance(50) ? 10 : 300;
    bad_ = chance(50) ? 0 : 1 + number(10);
    for (auto& process : processes_)
      process = std::make_unique<TestLane>(options_, record_, in_flight_);
    // Without it all is sent before the first transaction.
    const bool starts_first = chance(70);
    if (starts_first) start();
    const std::size_t processes = chance(40) ? 2 : 1;
    for (Log& log : logs_) log.process = static_cast<std::size_t>(number(2)) % processes;
    std::uint64_t count = 0;
    const int batches = 1 + number(12);
    for (int i = 0; i < batches && count < most; ++i) {
      const int partition = number(kPartitions);
      Log& log = logs_[static_cast<std::size_t>(partition)];
      const Offset begin = log.end();
      for (int size = 1 + number(700); size > 0 && count < most; --size, ++count) {
        const Change change = random_change(partition);
        if (!model.apply(change)) refused.emplace(partition, log.end());
        log.changes.push_back(change);
      }
      send(partition, begin);
      if (chance(10)) cut_connections();
      if (starts_first && chance(8)) crash(log.process);
      if (processes == 2 && chance(15)) take_over(partition, 1 - log.process);
    }
    start();
    for (auto& process : processes_) EXPECT_TRUE(process->close(in_seconds(120)));
    for (auto& process : processes_) process.reset();
    for (int partition = 0; partition < kPartitions; ++partition) {
      Log& log = logs_[static_cast<std::size_t>(partition)];
      EXPECT_EQ(position(partition), log.end());
      chain(partition, log.epoch)->end(ChainEnd::stopped);
      log.begin = log.end();
      log.changes.clear();
    }
    return count;
  }

  void start() {
    for (auto& process : processes_) process->start();
  }

  // Its partition's records from `offset` on, in batches.
  void send(int partition, Offset offset) {
    const Log& log = logs_[static_cast<std::size_t>(partition)];
    while (offset < log.end()) {
      BatchBuilder batch = builder(partition, log.epoch, offset);
      for (int size = 1 + number(700); size > 0 && offset < log.end(); --size, ++offset) {
        add(batch, log.changes[static_cast<std::size_t>(offset - log.begin)]);
      }
      processes_[log.process]->push(batch.build());
    }
  }

  // A process takes the partition, as a claim does it: whose it was may not know that yet.
  void take_over(int partition, std::size_t process) {
    Log& log = logs_[static_cast<std::size_t>(partition)];
    const auto claimed = database_.query(std::format(
        "UPDATE penstock.offsets SET epoch = epoch + 1 WHERE partition = {} RETURNING epoch, "
        "next_offset",
        partition));
    log.epoch = std::stoll(*claimed[0][0]);
    log.process = process;
    const Offset next = std::stoll(*claimed[0][1]);
    std::ignore = chain(partition, log.epoch, next);
    send(partition, next);
  }

  // A process is gone with all that it has not committed, and another one takes its place.
  void crash(std::size_t process) {
    processes_[process]->stop();
    processes_[process] = std::make_unique<TestLane>(options_, record_, in_flight_);
    processes_[process]->start();
    for (int partition = 0; partition < kPartitions; ++partition) {
      if (logs_[static_cast<std::size_t>(partition)].process == process) {
        take_over(partition, process);
      }
    }
  }

  Change random_change(int partition) {
    // Each key has its partition, and so has each code: between partitions there is no order.
    Change change;
    change.id = number(keys_) * kPartitions + partition;
    const bool may_remove = rules_.mode != WriteMode::ignore && (!rules_.versions || rules_.marks);
    if (may_remove && chance(15)) {
      change.removes = true;
      if (rules_.versions) change.code = number(500);
      return change;
    }
    if (whole_rows_ || chance(70)) {
      change.need = chance(bad_) ? (chance(50) ? std::optional(kBad) : std::nullopt)
                                 : std::optional(number(9));
    }
    if (whole_rows_ || chance(50)) {
      change.name = chance(20) ? std::nullopt : std::optional("n" + std::to_string(number(5)));
    }
    if (whole_rows_ || rules_.versions || chance(50)) {
      change.code =
          chance(20) ? std::nullopt : std::optional(number(500) * kPartitions + partition);
    }
    return change;
  }

  void add(BatchBuilder& batch, const Change& change) const {
    std::vector<std::uint16_t> shape{0};
    std::vector<Field> fields{int4(change.id)};
    const auto put = [&](std::uint16_t column, Field field) {
      shape.push_back(column);
      fields.push_back(std::move(field));
    };
    if (change.need) put(kNeed, *change.need ? int4(**change.need) : std::nullopt);
    if (change.name) put(kName, *change.name ? text(**change.name) : std::nullopt);
    if (change.code) put(kCode, *change.code ? int4(**change.code) : std::nullopt);
    if (rules_.marks) put(kMark, change.removes ? int8(kGone) : std::nullopt);
    batch.shape(shape);
    if (change.removes && !(rules_.marks && rules_.versions)) {
      batch.removal(fields);
    } else {
      batch.row(fields);
    }
  }

  void cut_connections() {
    static_cast<void>(
        database_.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                        "current_database() AND application_name LIKE 'penstock/lane%'"));
  }

  static std::string shown(const Row& row) {
    return std::format("(need {}, name {}, code {}, apart {}{})", row.need,
                       row.name.value_or("NULL"), row.code.value_or(-1), row.apart,
                       row.is_gone ? ", gone" : "");
  }

  // How many rows and dead letters are not as they should be; the first ones are shown.
  std::size_t compare(const Model& model, const std::set<std::pair<int, Offset>>& refused) {
    std::size_t differences = 0;
    const auto differ = [&](const std::string& what) {
      if (++differences <= 10) ADD_FAILURE() << what;
    };
    std::map<int, Row> rows = model.rows;
    for (const auto& found :
         database_.query("SELECT id, need, name, code, apart, gone FROM m ORDER BY id")) {
      const int id = std::stoi(*found[0]);
      const Row row{.need = std::stoi(*found[1]),
                    .name = found[2],
                    .code = found[3] ? std::optional(std::stoi(*found[3])) : std::nullopt,
                    .apart = std::stoi(*found[4]),
                    .is_gone = found[5].has_value()};
      const auto expected = rows.find(id);
      if (expected == rows.end()) {
        differ(std::format("row {} is too much", id));
        continue;
      }
      if (expected->second != row) {
        differ(std::format("row {}: {} instead of {}", id, shown(row), shown(expected->second)));
      }
      rows.erase(expected);
    }
    for (const auto& [id, row] : rows) differ(std::format("row {} is missing", id));
    std::set<std::pair<int, Offset>> letters = refused;
    for (const auto& found :
         database_.query("SELECT partition, \"offset\" FROM penstock.dead_letters")) {
      const std::pair<int, Offset> place(std::stoi(*found[0]), std::stoll(*found[1]));
      if (letters.erase(place) == 0) {
        differ(std::format("{}/{} is a dead letter", place.first, place.second));
      }
    }
    for (const auto& [partition, offset] : letters) {
      differ(std::format("{}/{} is no dead letter", partition, offset));
    }
    return differences;
  }

  Rules rules_;
  std::mt19937_64 random_;
  std::array<Log, kPartitions> logs_;
  std::array<std::unique_ptr<TestLane>, 2> processes_;
  Options options_;
  bool whole_rows_ = false;
  int keys_ = 10;
  int bad_ = 0;  // percent
};

TEST_F(ModelTest, TheTableIsWhatOneRecordAfterTheOtherLeaves) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000), {});
}

TEST_F(ModelTest, SoItIsWhereRowsLookAtEachOther) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000) / 10, {.unique = true});
}

TEST_F(ModelTest, SoItIsWhereOnlyNewerVersionsReplaceARow) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000) / 2, {.versions = true});
}

TEST_F(ModelTest, SoItIsWhereRowsAreMarkedRatherThanRemoved) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000) / 2, {.marks = true});
}

TEST_F(ModelTest, SoItIsWhereANewerVersionMayBeAMark) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000) / 2, {.versions = true, .marks = true});
}

TEST_F(ModelTest, SoItIsWhereValuesAreMergedWithWhatIsThere) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000) / 10, {.merges = {{kNeed, ColumnMerge::sum},
                                                                 {kName, ColumnMerge::fill_null},
                                                                 {kCode, ColumnMerge::greatest}}});
}

TEST_F(ModelTest, SoItIsWhereRowsThatAreThereStayAsTheyAre) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000) / 2, {.mode = WriteMode::ignore});
}

TEST_F(ModelTest, SoItIsWhereOnlyRowsThatAreThereAreUpdated) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000) / 2, {.mode = WriteMode::update});
}

}  // namespace
}  // namespace penstock::write
