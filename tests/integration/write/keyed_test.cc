// Rows that are written by their key, by COPY and one by one: what is in the table is what writing
// record by record would leave, and a bad row is a dead letter and nobody else's harm.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

// Of a table k (id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> 'bad'), amount int, note
// text DEFAULT 'none').
class KeyedTest : public WriteTest {
 protected:
  KeyedTest() {
    database_.execute(
        "CREATE TABLE k (id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> 'bad'), "
        "amount int, note text DEFAULT 'none')");
  }

  // As "1 a 10 none, 2 b - none".
  std::string table() {
    return database_.value(
        "SELECT coalesce(string_agg(concat_ws(' ', id, name, coalesce(amount::text, '-'), "
        "coalesce(note, '-')), ', ' ORDER BY id), '') FROM k");
  }
  // Offsets of the dead letters, and why.
  std::string letters() {
    return database_.value(
        "SELECT coalesce(string_agg(concat_ws(' ', \"offset\", reason), ', ' ORDER BY "
        "\"offset\"), '') FROM penstock.dead_letters");
  }
  // Writes what `fill` puts into one batch, as one transaction.
  template <typename Fill>
  CommitStats write(const Options& chosen, Fill fill) {
    Record record;
    TestLane lane(chosen, record, in_flight_);
    claim(0);
    BatchBuilder batch = builder(0, 1, 0);
    fill(batch);
    const Offset end = batch.next_offset();
    lane.push(batch.build());
    lane.start();
    EXPECT_TRUE(lane.close(in_seconds(20)));
    EXPECT_EQ(position(0), end);
    EXPECT_EQ(record.commits().size(), 1U);
    return record.commits().empty() ? CommitStats{} : record.commits().front();
  }
  // Runs `test` with an empty table for both ways of writing.
  template <typename Test>
  void each_way(Test test) {
    for (const bool copy : {true, false}) {
      SCOPED_TRACE(copy ? "by COPY" : "one by one");
      begin_anew("k");
      test(copy);
    }
  }
};

// A text that PostgreSQL is to read: the version and the deletes around it are as ever.
TEST_F(KeyedTest, RowsWithATextAreStagedLikeOthers) {
  database_.execute("CREATE TABLE x (id pg_lsn PRIMARY KEY, at point, n int NOT NULL)");
  const auto lsn = [](int i) { return text("0/" + std::to_string(i) + '\0'); };
  for (const bool copy : {true, false}) {
    SCOPED_TRACE(copy);
    begin_anew("x");
    const CommitStats stats = write(keyed(WriteMode::upsert, copy, "x"), [&](BatchBuilder& batch) {
      for (int i = 0; i < 300; ++i) {
        if (i == 290) batch.shape({0}).removal({lsn(3)}).shape({0, 1, 2});
        const std::string at = i == 77 ? "nowhere" : "(1," + std::to_string(i) + ")";
        batch.row({lsn(i % 10), text(at + '\0'), int4(i)});
      }
    });
    EXPECT_EQ(stats.refused_records, 1U);
    EXPECT_EQ(letters(), "77 invalid_text_representation");
    EXPECT_EQ(database_.value("SELECT string_agg(concat_ws(' ', id, at, n), ', ' ORDER BY id) "
                              "FROM x WHERE id IN ('0/3', '0/7')"),
              "0/3 (1,293) 293, 0/7 (1,297) 297");
    EXPECT_EQ(database_.number("SELECT count(*) FROM x"), 10);
  }
}

TEST_F(KeyedTest, ARowOfTheSameKeyIsReplacedAndOthersAreNew) {
  each_way([&](bool copy) {
    database_.execute("INSERT INTO k VALUES (1, 'old', 1, 'kept'), (3, 'other', 3, 'none')");
    const CommitStats stats = write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      batch.row({int8(1), text("new"), int4(10)}).row({int8(2), text("two"), std::nullopt});
    });
    EXPECT_EQ(table(), "1 new 10 kept, 2 two - none, 3 other 3 none");
    EXPECT_EQ(stats.rows, 2U);
    EXPECT_EQ(stats.by_copy, copy);
  });
}

TEST_F(KeyedTest, SeveralVersionsOfARowEndAsTheLast) {
  each_way([&](bool copy) {
    write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      for (int i = 0; i < 300; ++i) {
        batch.row({int8(i % 3), text("v" + std::to_string(i)), int4(i)});
      }
    });
    EXPECT_EQ(table(), "0 v297 297 none, 1 v298 298 none, 2 v299 299 none");
  });
}

TEST_F(KeyedTest, ABadVersionIsADeadLetterAndTheOneBeforeItStands) {
  each_way([&](bool copy) {
    write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      for (int i = 0; i < 200; ++i) {
        // The last version of 0, one in the middle of 1, the only one of 1000.
        const bool is_bad = i == 198 || i == 51 || i == 70;
        batch.row({int8(i == 70 ? 1000 : i % 2), text(is_bad ? "bad" : "good"), int4(i)});
      }
    });
    EXPECT_EQ(table(), "0 good 196 none, 1 good 199 none");
    EXPECT_EQ(letters(), "51 check_violation, 70 check_violation, 198 check_violation");
  });
}

TEST_F(KeyedTest, ABadVersionThatALaterOneReplacesIsADeadLetterAllTheSame) {
  each_way([&](bool copy) {
    write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      for (int i = 0; i < 200; ++i) {
        batch.row({int8(i % 2), text(i == 51 ? "bad" : "good"), int4(i)});
      }
    });
    EXPECT_EQ(table(), "0 good 198 none, 1 good 199 none");
    EXPECT_EQ(letters(), "51 check_violation") << "where transactions are cut must not show";
  });
}

TEST_F(KeyedTest, WhatARowLeavesOutStaysAsItIs) {
  each_way([&](bool copy) {
    database_.execute("INSERT INTO k VALUES (1, 'one', 1, 'kept'), (2, 'two', 2, 'kept')");
    write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      batch.shape({0, 1, 3}).row({int8(1), text("uno"), std::nullopt});
      batch.shape({0, 1, 2}).row({int8(2), text("due"), std::nullopt});
      batch.shape({0, 1}).row({int8(3), text("tre")});
      batch.shape({0, 2}).row({int8(3), int4(33)});
    });
    EXPECT_EQ(table(), "1 uno 1 -, 2 due - kept, 3 tre 33 none");
  });
}

TEST_F(KeyedTest, ARowWithoutAColumnThatIsNotNullUpdatesTheOneThatIsThere) {
  each_way([&](bool copy) {
    database_.execute("INSERT INTO k VALUES (1, 'one', 1)");
    write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      batch.shape({0, 2});
      batch.row({int8(1), int4(11)}).row({int8(2), int4(22)}).row({int8(1), int4(12)});
    });
    EXPECT_EQ(table(), "1 one 12 none");
    EXPECT_EQ(letters(), "1 not_null_violation");
  });
}

TEST_F(KeyedTest, ARowThatSaysNothingNewIsNotWritten) {
  database_.execute("ALTER TABLE k ADD price numeric, ADD document json");
  each_way([&](bool copy) {
    const auto fill = [](BatchBuilder& batch) {
      batch.shape({0, 1, 2, 5});
      for (int i = 0; i < 100; ++i) {
        batch.row({int8(i), text("same"), std::nullopt, text("{\"a\": 1}")});
      }
    };
    write(keyed(WriteMode::upsert, copy, "k"), fill);
    const std::string before = database_.value("SELECT string_agg(ctid::text, ' ') FROM k");
    database_.execute("DELETE FROM penstock.offsets");
    const CommitStats stats = write(keyed(WriteMode::upsert, copy, "k"), fill);
    EXPECT_EQ(database_.value("SELECT string_agg(ctid::text, ' ') FROM k"), before);
    EXPECT_EQ(stats.rows, 0U);
    EXPECT_EQ(stats.unchanged_rows, 100U);
  });
}

// No version, and no lock, which PostgreSQL logs as well. What it logs itself is the whole
// server's.
TEST_F(KeyedTest, AReplayTouchesNoRow) {
  const auto rows_after_a_run = [&] {
    database_.execute("DELETE FROM penstock.offsets");
    const Options chosen = keyed(WriteMode::upsert, /*copy=*/true, "k");
    TestLane lane(chosen, record_, in_flight_);
    claim(0);
    lane.start();
    for (Offset at = 0; at < 50'000; at += 5000) {
      BatchBuilder batch = builder(0, 1, at);
      for (Offset id = at; id < at + 5000; ++id) {
        batch.row({int8(id), text("a name of some length, as they are"), int4(1)});
      }
      lane.push(batch.build());
    }
    EXPECT_TRUE(lane.close(in_seconds(60)));
    return database_.value(
        "SELECT md5(string_agg(concat_ws(' ', ctid, xmin, xmax), ',' ORDER BY ctid)) FROM k");
  };
  const std::string first = rows_after_a_run();
  EXPECT_EQ(record_.committed_rows(), 50'000U);
  EXPECT_EQ(rows_after_a_run(), first);
}

TEST_F(KeyedTest, KeysAreOneThatAreEqualAndValuesAreWhatWasSaidLast) {
  database_.execute("CREATE TABLE n (id numeric PRIMARY KEY, price numeric)");
  // 1 and 1.0, in PostgreSQL's own bytes.
  const std::string one("\0\1\0\0\0\0\0\0\0\1", 10);
  const std::string one_point_zero("\0\1\0\0\0\0\0\1\0\1", 10);
  for (const bool copy : {true, false}) {
    begin_anew("n");
    write(keyed(WriteMode::upsert, copy, "n"), [&](BatchBuilder& batch) {
      batch.row({one, one}).row({one_point_zero, one_point_zero});
    });
    EXPECT_EQ(database_.value("SELECT string_agg((id = 1) || ' ' || price, ', ') FROM n"),
              "true 1.0");
  }
}

TEST_F(KeyedTest, IgnoreKeepsWhatIsThereAndCountsIt) {
  each_way([&](bool copy) {
    database_.execute("INSERT INTO k VALUES (1, 'old', 1, 'kept')");
    const CommitStats stats = write(keyed(WriteMode::ignore, copy, "k"), [](BatchBuilder& batch) {
      batch.row({int8(1), text("new"), int4(10)}).row({int8(2), text("first"), int4(2)});
      batch.row({int8(2), text("second"), int4(3)}).row({int8(3), text("bad"), int4(4)});
    });
    EXPECT_EQ(table(), "1 old 1 kept, 2 first 2 none");
    EXPECT_EQ(letters(), "3 check_violation");
    EXPECT_EQ(stats.rows, 1U);
    EXPECT_EQ(stats.unchanged_rows, 2U);
  });
}

TEST_F(KeyedTest, UpdateChangesOnlyWhatIsThere) {
  each_way([&](bool copy) {
    database_.execute("INSERT INTO k VALUES (1, 'old', 1, 'kept'), (2, 'same', 2, 'kept')");
    const CommitStats stats = write(keyed(WriteMode::update, copy, "k"), [](BatchBuilder& batch) {
      batch.shape({0, 2}).row({int8(1), int4(10)}).row({int8(3), int4(30)});
      batch.row({int8(1), int4(11)}).row({int8(2), int4(22)});
    });
    EXPECT_EQ(table(), "1 old 11 kept, 2 same 22 kept");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(stats.rows, copy ? 2U : 3U) << "by COPY the last version only";
    EXPECT_EQ(stats.rows + stats.unchanged_rows, 4U);
  });
}

TEST_F(KeyedTest, AnotherUniqueIndexIsStillARule) {
  database_.execute("CREATE UNIQUE INDEX ON k (name)");
  for (const WriteMode mode : {WriteMode::upsert, WriteMode::ignore}) {
    each_way([&](bool copy) {
      write(keyed(mode, copy, "k"), [](BatchBuilder& batch) {
        batch.row({int8(2), text("a"), int4(1)}).row({int8(1), text("a"), int4(2)});
        batch.row({int8(3), text("c"), int4(3)});
      });
      EXPECT_EQ(table(), "2 a 1 none, 3 c 3 none") << "who came first has the name";
      EXPECT_EQ(letters(), "1 unique_violation");
    });
  }
}

TEST_F(KeyedTest, UniqueValuesChangeHandsInTheOrderOfTheRecords) {
  database_.execute("CREATE UNIQUE INDEX ON k (name)");
  each_way([&](bool copy) {
    database_.execute("INSERT INTO k VALUES (1, 'a'), (2, 'b')");
    const CommitStats stats = write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      batch.row({int8(2), text("free"), int4(0)}).row({int8(1), text("b"), int4(1)});
      batch.row({int8(2), text("a"), int4(2)});
    });
    EXPECT_EQ(table(), "1 b 1 none, 2 a 2 none");
    EXPECT_EQ(letters(), "");
    EXPECT_FALSE(stats.by_copy) << "versions of a row must not be put together here";
  });
}

TEST_F(KeyedTest, OnlyANewerVersionReplacesARow) {
  each_way([&](bool copy) {
    database_.execute("INSERT INTO k VALUES (1, 'there', 5), (2, 'there', NULL), (3, 'there', 5)");
    Options chosen = keyed(WriteMode::upsert, copy, "k");
    newer_by(2);
    write(chosen, [](BatchBuilder& batch) {
      batch.row({int8(1), text("older"), int4(4)}).row({int8(1), text("newer"), int4(6)});
      batch.row({int8(1), text("equal"), int4(6)}).row({int8(1), text("between"), int4(5)});
      batch.row({int8(2), text("null"), std::nullopt}).row({int8(2), text("one"), int4(-1)});
      batch.row({int8(3), text("equal"), int4(5)}).row({int8(3), text("null"), std::nullopt});
      batch.row({int8(4), text("first"), std::nullopt}).row({int8(4), text("no"), std::nullopt});
    });
    EXPECT_EQ(table(), "1 newer 6 none, 2 one -1 none, 3 there 5 none, 4 first - none");
  });
}

TEST_F(KeyedTest, AnyShuffleOverPartitionsEndsInTheSameTable) {
  std::mt19937 random(7);
  std::string expected;
  for (int round = 0; round < 6; ++round) {
    begin_anew("k");
    Options chosen = keyed(WriteMode::upsert, round % 2 == 0, "k");
    chosen.lanes.lanes = 2;
    newer_by(2);
    TestLane lane(chosen, record_, in_flight_);
    claim(1);
    std::vector<int> versions(400);
    std::iota(versions.begin(), versions.end(), 0);
    std::ranges::shuffle(versions, random);
    lane.start();
    for (std::size_t i = 0; i < versions.size(); i += 20) {
      const auto partition = static_cast<std::int32_t>(i / 20 % 2);
      BatchBuilder batch = builder(partition, 1, static_cast<Offset>(i / 40 * 20));
      for (std::size_t at = i; at < i + 20; ++at) {
        const int version = versions[at];
        batch.row({int8(version % 9), text("v" + std::to_string(version)), int4(version)});
      }
      lane.push(batch.build());
    }
    ASSERT_TRUE(lane.close(in_seconds(20)));
    if (round == 0) expected = table();
    EXPECT_EQ(table(), expected);
  }
  EXPECT_TRUE(expected.contains("8 v395 395 none")) << expected;
}

TEST_F(KeyedTest, ValuesComeTogetherAsTheirColumnsSay) {
  database_.execute(
      "CREATE TABLE v (id int PRIMARY KEY, hits int, name text NOT NULL, tags text[], high "
      "numeric(6,2), low date, note text)");
  each_way([&](bool copy) {
    database_.execute("TRUNCATE v; INSERT INTO v VALUES (1, 10, 'first', '{a}', NULL, NULL, NULL)");
    Options chosen = keyed(WriteMode::upsert, copy, "v");
    merges({{1, ColumnMerge::sum},
            {2, ColumnMerge::keep},
            {3, ColumnMerge::concat},
            {4, ColumnMerge::greatest},
            {5, ColumnMerge::least},
            {6, ColumnMerge::fill_null}});
    // {b}, in PostgreSQL's own bytes; so are 1, 2 and days after 2000-01-01.
    const std::string list("\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\1b", 25);
    const auto number = [](char digit) { return std::string("\0\1\0\0\0\0\0\2\0", 9) + digit; };
    write(chosen, [&](BatchBuilder& batch) {
      batch.row({int4(1), int4(1), text("x"), list, number(2), int4(5), text("n")});
      batch.row({int4(1), std::nullopt, text("y"), list, number(1), int4(4), text("m")});
      batch.shape({0, 1}).row({int4(1), int4(5)}).row({int4(2), int4(5)});
      batch.shape({0, 1, 2}).row({int4(3), int4(7), text("z")}).row({int4(3), int4(1), text("")});
    });
    EXPECT_EQ(database_.value("SELECT string_agg(concat_ws(' ', id, hits, name, tags, high, low, "
                              "note), '; ' ORDER BY id) FROM v"),
              "1 16 first {a,b,b} 2.00 2000-01-05 n; 3 8 z");
    EXPECT_EQ(letters(), "3 not_null_violation");
  });
}

TEST_F(KeyedTest, RowsGoAndComeInTheOrderOfTheRecords) {
  each_way([&](bool copy) {
    database_.execute(
        "INSERT INTO k VALUES (1, 'one', 1, 'lost'), (2, 'two', 2, 'lost'), (3, 'three', 3, "
        "'kept')");
    const CommitStats stats = write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      batch.removal({int8(1)}).row({int8(1), text("again"), int4(10)});  // a new row: DEFAULT
      batch.row({int8(2), text("last words"), int4(20)}).removal({int8(2)});
      batch.row({int8(3), text("drei"), int4(30)});
      batch.row({int8(4), text("four"), int4(40)}).removal({int8(4)});
      batch.row({int8(4), text("vier"), int4(41)});
      batch.removal({int8(5)});  // of what never was
    });
    EXPECT_EQ(table(), "1 again 10 none, 3 drei 30 kept, 4 vier 41 none");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(stats.by_copy, copy);
  });
}

TEST_F(KeyedTest, ABadRowAmongRemovalsIsADeadLetter) {
  each_way([&](bool copy) {
    write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      for (int i = 0; i < 150; ++i) {
        if (i % 3 == 2) {
          batch.removal({int8(i / 3)});
        } else {
          batch.row({int8(i / 3), text(i % 3 == 1 && i > 100 ? "bad" : "good"), int4(i)});
        }
      }
      batch.row({int8(7), text("good"), int4(7)}).row({int8(7), text("bad"), int4(8)});
    });
    EXPECT_EQ(table(), "7 good 7 none");
    EXPECT_EQ(dead_letters(), 17);
  });
}

TEST_F(KeyedTest, ARemovalThatAForeignKeyForbidsIsADeadLetter) {
  each_way([&](bool copy) {
    database_.execute(
        "INSERT INTO k VALUES (1, 'one'), (2, 'two'); CREATE TABLE c (k bigint REFERENCES k); "
        "INSERT INTO c VALUES (1)");
    write(keyed(WriteMode::upsert, copy, "k"), [](BatchBuilder& batch) {
      batch.removal({int8(2)}).removal({int8(1)}).row({int8(1), text("uno"), int4(1)});
    });
    EXPECT_EQ(table(), "1 uno 1 none");
    EXPECT_EQ(letters(), "1 foreign_key_violation");
    database_.execute("DROP TABLE c");
  });
}

TEST_F(KeyedTest, ATriggerSeesEveryVersion) {
  database_.execute(
      "CREATE TABLE seen (name text); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ "
      "BEGIN INSERT INTO seen VALUES (NEW.name); RETURN NEW; END $$; CREATE TRIGGER see AFTER "
      "INSERT OR UPDATE ON k FOR EACH ROW EXECUTE FUNCTION see()");
  write(keyed(WriteMode::upsert, /*copy=*/true, "k"), [](BatchBuilder& batch) {
    for (const char* const name : {"a", "b", "c"}) batch.row({int8(1), text(name), int4(1)});
  });
  EXPECT_EQ(database_.value("SELECT string_agg(name, '' ORDER BY ctid) FROM seen"), "abc");
}

TEST_F(KeyedTest, ACheckThatIsAddedMeanwhileIsNotPassedOver) {
  const Options chosen = keyed(WriteMode::upsert, /*copy=*/true, "k");
  TestLane lane(chosen, record_, in_flight_);
  claim(0);
  lane.start();
  BatchBuilder first = builder(0, 1, 0);
  first.row({int8(1), text("a"), int4(1)});
  lane.push(first.build());
  ASSERT_TRUE(soon([&] { return position(0) == 1; }));
  database_.execute("ALTER TABLE k ADD CHECK (amount < 10)");
  BatchBuilder second = builder(0, 1, 1);
  second.row({int8(1), text("b"), int4(10)}).row({int8(1), text("c"), int4(3)});
  lane.push(second.build());
  ASSERT_TRUE(soon([&] { return record_.doubted_plan() == plan_; }))
      << "the first of the two would be replaced without being looked at";
  EXPECT_EQ(position(0), 1);
  lane.stop();
}

TEST_F(KeyedTest, OneTemporaryTableServesAllTransactionsOfALane) {
  const Options chosen = keyed(WriteMode::upsert, /*copy=*/true, "k");
  TestLane lane(chosen, record_, in_flight_);
  claim(0);
  lane.start();
  const auto write_batch = [&](Offset at) {
    BatchBuilder batch = builder(0, 1, at);
    batch.row({int8(at % 7), text("a"), int4(static_cast<std::int32_t>(at))});
    lane.push(batch.build());
    return soon([&] { return position(0) == at + 1; });
  };
  ASSERT_TRUE(write_batch(0));
  const std::string attributes = "SELECT count(*) FROM pg_attribute";
  const std::int64_t before = database_.number(attributes);
  for (Offset at = 1; at < 200; ++at) ASSERT_TRUE(write_batch(at));
  EXPECT_EQ(database_.number(attributes), before);
  EXPECT_EQ(database_.number("SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind "
                             "= 'r'"),
            1);
  ASSERT_TRUE(lane.close(in_seconds(20)));
}

TEST_F(KeyedTest, TwoLanesThatMeetInTheSameRowsDoNotDeadlock) {
  Options chosen = keyed(WriteMode::upsert, /*copy=*/true, "k");
  chosen.lanes.lanes = 2;
  TestLane lane(chosen, record_, in_flight_);
  claim(0);
  claim(1);
  lane.start();
  for (Offset at = 0; at < 20'000; at += 1000) {
    for (const std::int32_t partition : {0, 1}) {
      BatchBuilder batch = builder(partition, 1, at);
      for (int i = 0; i < 1000; ++i) {
        const int id = partition == 0 ? i : 999 - i;
        batch.row({int8(id), text("a"), int4(static_cast<std::int32_t>(at) + i)});
      }
      lane.push(batch.build());
    }
  }
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(database_.number("SELECT count(*) FROM k"), 1000);
  EXPECT_EQ(lane.counters().transactions_failed.value(), 0U);
}

// MERGE fails then, and the rows are written by what waits: afterwards a replay goes on to be
// cheap.
TEST_F(KeyedTest, ARowThatSomebodyElseInsertsMeanwhileIsNobodysFault) {
  const Options chosen = keyed(WriteMode::upsert, /*copy=*/true, "k");
  TestLane lane(chosen, record_, in_flight_);
  claim(0);
  lane.start();
  const auto push = [&](Offset at) {
    BatchBuilder batch = builder(0, 1, at);
    for (int id = 0; id < 100; ++id) batch.row({int8(id), text("a"), int4(1)});
    lane.push(batch.build());
  };
  harness::Sql other = harness::Sql::connect(database_.conninfo()).value();
  ASSERT_TRUE(other.execute("BEGIN; INSERT INTO k VALUES (50, 'theirs', 2)"));
  push(0);
  ASSERT_TRUE(soon([&] {
    return database_.number(
               "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid "
               "FROM pg_stat_activity WHERE datname = current_database())") > 0;
  }));
  ASSERT_TRUE(other.execute("COMMIT"));
  ASSERT_TRUE(soon([&] { return position(0) == 100; }));
  EXPECT_EQ(database_.value("SELECT count(*) || ' ' || min(name) || ' ' || max(name) FROM k"),
            "100 a a");
  EXPECT_EQ(letters(), "");
  EXPECT_EQ(lane.counters().transactions_failed.value(), 0U);
  EXPECT_FALSE(record_.commits().front().bisected);

  const std::string rows =
      "SELECT md5(string_agg(concat_ws(' ', ctid, xmin, xmax), ',' ORDER BY ctid)) FROM k";
  push(100);  // finds out that it is one
  ASSERT_TRUE(soon([&] { return position(0) == 200; }));
  const std::string before = database_.value(rows);
  push(200);
  ASSERT_TRUE(lane.close(in_seconds(20)));
  EXPECT_EQ(position(0), 300);
  EXPECT_EQ(database_.value(rows), before);
}

TEST_F(KeyedTest, TwoLanesThatDeadlockTakeTurnsFromThenOn) {
  database_.execute(
      "DO $$BEGIN EXECUTE pg_catalog.format('ALTER DATABASE %I SET deadlock_timeout = 100', "
      "pg_catalog.current_database()); END$$");
  Options chosen = keyed(WriteMode::upsert, /*copy=*/false, "k");
  chosen.lanes.lanes = 2;
  chosen.writer.max_rows = 200;
  TestLane lane(chosen, record_, in_flight_);
  claim(0);
  claim(1);
  for (Offset at = 0; at < 6'000; at += 200) {
    for (const std::int32_t partition : {0, 1}) {
      BatchBuilder batch = builder(partition, 1, at);
      for (int i = 0; i < 200; ++i) {
        const int id = partition == 0 ? i : 199 - i;
        batch.row({int8(id), text("a"), int4(static_cast<std::int32_t>(at) + i)});
      }
      lane.push(batch.build());
    }
  }
  lane.start();
  ASSERT_TRUE(lane.close(in_seconds(60)));
  EXPECT_EQ(database_.number("SELECT count(*) FROM k"), 200);
  // The first, and one of a transaction that was under way then.
  EXPECT_LE(lane.counters().transactions_failed.value(), 2U);
}

}  // namespace
}  // namespace penstock::write
