// Random records into a table that is written by key, and what is there afterwards beside what a
// model has that takes one record after the other: versions, partial rows, NULLs, removals, bad
// rows, cut into batches and transactions of any size and written in every way, with connections
// that are cut in between. PENSTOCK_OPERATIONS says how many records, PENSTOCK_SEED where they
// begin:
// ./dev test model --operations N --seed S
#include <gtest/gtest.h>

#include <cstdlib>
#include <format>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

constexpr int kPartitions = 4;
constexpr int kBad = 13;  // what the CHECK refuses

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// A row of m (id int PRIMARY KEY, need int NOT NULL CHECK (need <> 13), name text DEFAULT 'none',
// code int [UNIQUE], apart int DEFAULT 7), where nothing writes `apart`.
struct Row {
  int need = 0;
  std::optional<std::string> name = "none";
  std::optional<int> code;
  int apart = 7;
  friend bool operator==(const Row&, const Row&) = default;
};

// What one record says. A member that is not there is left out.
struct Change {
  int id = 0;
  bool removes = false;
  std::optional<std::optional<int>> need;
  std::optional<std::optional<std::string>> name;
  std::optional<std::optional<int>> code;
};

// What a column `code` is.
enum class Codes : std::uint8_t { any, unique, versions };

class Model {
 public:
  explicit Model(Codes codes) : codes_(codes) {}

  // False: it is a dead letter.
  bool apply(const Change& change) {
    const auto found = rows.find(change.id);
    if (change.removes) {
      if (found != rows.end()) rows.erase(found);
      return true;
    }
    if (!change.need && found == rows.end()) return false;
    Row row = found != rows.end() ? found->second : Row{};
    if (change.need) {
      if (!*change.need || **change.need == kBad) return false;
      row.need = **change.need;
    }
    if (codes_ == Codes::versions && found != rows.end() && !is_newer(change, found->second)) {
      return true;
    }
    if (change.name) row.name = *change.name;
    if (change.code) row.code = *change.code;
    if (codes_ == Codes::unique && row.code) {
      for (const auto& [id, other] : rows) {
        if (id != change.id && other.code == row.code) return false;
      }
    }
    rows[change.id] = row;
    return true;
  }

  std::map<int, Row> rows;

 private:
  static bool is_newer(const Change& change, const Row& there) {
    return *change.code && (!there.code || **change.code > *there.code);
  }

  const Codes codes_;
};

class ModelTest : public WriteTest {
 protected:
  void run(std::uint64_t operations, Codes codes) {
    codes_ = codes;
    const std::uint64_t seed = number_of("PENSTOCK_SEED", 1);
    std::cout << std::format("seed {}\n", seed);
    random_.seed(seed);
    database_.execute(
        "CREATE TABLE m (id int PRIMARY KEY, need int NOT NULL CHECK (need <> 13), name text "
        "DEFAULT 'none', code int" +
        std::string(codes == Codes::unique ? " UNIQUE" : "") + ", apart int DEFAULT 7)");
    for (int partition = 0; partition < kPartitions; ++partition) claim(partition);
    Model model(codes);
    std::set<std::pair<int, Offset>> refused;
    std::vector<Offset> next(kPartitions, 0);
    for (std::uint64_t done = 0; done < operations;) {
      done += episode(model, refused, next, operations - done);
      // What nothing writes is lost with a row that is removed, and only then.
      const int apart = number(1000);
      database_.execute(std::format("UPDATE m SET apart = {}", apart));
      for (auto& [id, row] : model.rows) row.apart = apart;
    }
    const std::size_t differences = compare(model, refused);
    std::cout << std::format("operations {}, differences {}\n", operations, differences);
    EXPECT_EQ(differences, 0U);
  }

 private:
  int number(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
  bool chance(int percent) { return number(100) < percent; }

  // Some records by one session of lanes, in one way. Returns how many.
  std::uint64_t episode(Model& model, std::set<std::pair<int, Offset>>& refused,
                        std::vector<Offset>& next, std::uint64_t most) {
    Options chosen = keyed(WriteMode::upsert, true, "m");
    if (codes_ == Codes::versions) newer_by(3);
    const std::vector<std::size_t> from{1, 40, 1'000'000};
    chosen.writer.copy_from_rows = from[static_cast<std::size_t>(number(3))];
    chosen.writer.max_rows = static_cast<std::size_t>(1 + number(3000));
    whole_rows_ = chance(60);
    keys_ = chance(50) ? 10 : 300;
    bad_ = chance(50) ? 0 : 1 + number(10);
    Record record;
    TestLane lane(chosen, record, in_flight_);
    if (chance(50)) lane.start();
    std::uint64_t count = 0;
    const int batches = 1 + number(12);
    for (int i = 0; i < batches && count < most; ++i) {
      const int partition = number(kPartitions);
      Offset& at = next[static_cast<std::size_t>(partition)];
      BatchBuilder batch = builder(partition, 1, at);
      for (int size = 1 + number(700); size > 0 && count < most; --size, ++count) {
        const Change change = random_change(partition);
        add(batch, change);
        if (!model.apply(change)) refused.emplace(partition, at);
        ++at;
      }
      lane.push(batch.build());
      if (chance(10)) cut_connections();
    }
    lane.start();
    EXPECT_TRUE(lane.close(in_seconds(120)));
    for (int partition = 0; partition < kPartitions; ++partition) {
      chain(partition)->end(ChainEnd::stopped);
    }
    return count;
  }

  Change random_change(int partition) {
    // Each key has its partition: between partitions there is no order.
    Change change;
    change.id = number(keys_) * kPartitions + partition;
    if (codes_ != Codes::versions && chance(15)) {
      change.removes = true;
      return change;
    }
    if (whole_rows_ || chance(70)) {
      change.need = chance(bad_) ? (chance(50) ? std::optional(kBad) : std::nullopt)
                                 : std::optional(number(9));
    }
    if (whole_rows_ || chance(50)) {
      change.name = chance(20) ? std::nullopt : std::optional("n" + std::to_string(number(5)));
    }
    if (whole_rows_ || codes_ == Codes::versions || chance(50)) {
      change.code = chance(20) ? std::nullopt : std::optional(number(500));
    }
    return change;
  }

  static void add(BatchBuilder& batch, const Change& change) {
    if (change.removes) {
      batch.shape({0}).removal({int4(change.id)});
      return;
    }
    std::vector<std::uint16_t> shape{0};
    std::vector<Field> fields{int4(change.id)};
    const auto put = [&](std::uint16_t column, Field field) {
      shape.push_back(column);
      fields.push_back(std::move(field));
    };
    if (change.need) put(1, *change.need ? int4(**change.need) : std::nullopt);
    if (change.name) put(2, *change.name ? text(**change.name) : std::nullopt);
    if (change.code) put(3, *change.code ? int4(**change.code) : std::nullopt);
    batch.shape(shape).row(fields);
  }

  void cut_connections() {
    static_cast<void>(
        database_.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                        "current_database() AND application_name LIKE 'penstock/lane%'"));
  }

  // How many rows and dead letters are not as they should be; the first ones are shown.
  std::size_t compare(const Model& model, const std::set<std::pair<int, Offset>>& refused) {
    std::size_t differences = 0;
    const auto differ = [&](const std::string& what) {
      if (++differences <= 10) ADD_FAILURE() << what;
    };
    std::map<int, Row> rows = model.rows;
    for (const auto& found :
         database_.query("SELECT id, need, name, code, apart FROM m ORDER BY id")) {
      const int id = std::stoi(*found[0]);
      const Row row{.need = std::stoi(*found[1]),
                    .name = found[2],
                    .code = found[3] ? std::optional(std::stoi(*found[3])) : std::nullopt,
                    .apart = std::stoi(*found[4])};
      const auto expected = rows.find(id);
      if (expected == rows.end()) {
        differ(std::format("row {} is too much", id));
        continue;
      }
      if (expected->second != row) {
        differ(std::format("row {}: need {}, name {}, code {}, apart {}", id, row.need,
                           row.name.value_or("NULL"), row.code.value_or(-1), row.apart));
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

  Codes codes_ = Codes::any;
  std::mt19937_64 random_;
  bool whole_rows_ = false;
  int keys_ = 10;
  int bad_ = 0;  // percent
};

TEST_F(ModelTest, TheTableIsWhatOneRecordAfterTheOtherLeaves) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000), Codes::any);
}

TEST_F(ModelTest, SoItIsWhereRowsLookAtEachOther) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000) / 10, Codes::unique);
}

TEST_F(ModelTest, SoItIsWhereOnlyNewerVersionsReplaceARow) {
  run(number_of("PENSTOCK_OPERATIONS", 30'000) / 2, Codes::versions);
}

}  // namespace
}  // namespace penstock::write
