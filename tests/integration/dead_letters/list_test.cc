// Looking at dead letters, keeping them, dropping them.
#include <nlohmann/json.hpp>
#include <ranges>

#include "harness/text_file.h"
#include "integration/dead_letters/letters.h"
#include "text/base64.h"

namespace penstock::test {
namespace {

using Json = nlohmann::json;

class DeadLetters : public Letters {
 protected:
  // The objects that it prints, one to a line.
  std::vector<Json> objects(std::vector<std::string> words) {
    const auto output = run(std::move(words));
    EXPECT_EQ(output.status.code, 0) << output.text;
    std::vector<Json> all;
    for (const auto line : std::views::split(output.text, '\n')) {
      const std::string text(line.begin(), line.end());
      if (!text.empty()) all.push_back(Json::parse(text));
    }
    return all;
  }
  // The offsets of those that fit.
  std::vector<int> listed(std::vector<std::string> words) {
    words.insert(words.begin(), {"list", "--json"});
    std::vector<int> offsets;
    for (const Json& one : objects(std::move(words))) offsets.push_back(one["offset"]);
    return offsets;
  }
  void expect_refusal(std::vector<std::string> words, int status, const std::string& said) {
    const auto output = run(std::move(words));
    EXPECT_EQ(output.status.code, status) << output.text;
    EXPECT_TRUE(output.text.contains(said)) << output.text;
  }
};

TEST_F(DeadLetters, AreListedNewestFirstWithWhatWasSaid) {
  EXPECT_EQ(run({"list"}).text, "no dead letters\n");
  add(1, 2);
  database().execute("UPDATE penstock.dead_letters SET first_seen_at = '2024-02-29 10:30Z'");
  const std::string topic = service.topic().name();
  const std::string wide(topic.size(), ' ');
  EXPECT_EQ(run({"list"}).text, "ID  FIRST SEEN            PIPELINE  RECORD" + wide.substr(2) +
                                    "  TABLE     TRIES  WHY\n"
                                    " 2  2024-02-29T10:30:00Z  p         " +
                                    topic +
                                    "/2/2  public.t      1  compute: no_such_field\n"
                                    "    no such field: msg.n\n"
                                    " 1  2024-02-29T10:30:00Z  p         " +
                                    topic +
                                    "/1/1  public.t      1  compute: no_such_field\n"
                                    "    no such field: msg.n\n");
}

TEST_F(DeadLetters, OfAPipelineThatNobodyKnowsAreASlip) {
  add(1, 2, "of_before");
  for (const std::string command : {"list", "export", "purge"}) {
    expect_refusal({command, "--pipeline", "of_befor"}, 2, "there is no pipeline 'of_befor' in ");
    expect_refusal({command, "--pipeline", "of_befor"}, 2, "did you mean 'of_before'?");
  }
  EXPECT_EQ(run({"list", "--pipeline", "p"}).text, "no dead letters\n") << "of the file";
  EXPECT_EQ(listed({"--pipeline", "of_before"}).size(), 2U) << "which is gone from the file";
}

TEST_F(DeadLetters, AreListedAsManyAsAreWanted) {
  add(1, 1234);
  const auto output = run({"list", "--limit", "3"});
  EXPECT_TRUE(output.text.contains("the newest 3 of 1,234: --limit 0 shows all")) << output.text;
  EXPECT_EQ(listed({"--limit", "2"}), (std::vector{1234, 1233}));
  EXPECT_EQ(listed({"--limit", "0"}).size(), 1234U);
}

TEST_F(DeadLetters, AreFoundByEachFilterAndAllOfThemTogether) {
  add(1, 6);
  add(7, 7, "other");
  database().execute(
      "UPDATE penstock.dead_letters SET stage = 'write', reason = 'unique_violation', "
      "sqlstate = '23505' WHERE \"offset\" = 2;"
      "UPDATE penstock.dead_letters SET stage = 'write', reason = 'check_violation', "
      "sqlstate = '23514' WHERE \"offset\" = 3;"
      "UPDATE penstock.dead_letters SET target = 'shop.t' WHERE \"offset\" = 4;"
      "UPDATE penstock.dead_letters SET first_seen_at = now() - interval '3 days' "
      "WHERE \"offset\" = 5;"
      "UPDATE penstock.dead_letters SET key = '\\x00ff' WHERE \"offset\" = 6");
  EXPECT_EQ(listed({"--pipeline", "other"}), (std::vector{7}));
  EXPECT_EQ(listed({"--table", "shop.t"}), (std::vector{4}));
  EXPECT_EQ(listed({"--table", "t"}).size(), 7U);
  EXPECT_EQ(listed({"--stage", "write"}), (std::vector{3, 2}));
  EXPECT_EQ(listed({"--reason", "unique_violation"}), (std::vector{2}));
  EXPECT_EQ(listed({"--sqlstate", "23514"}), (std::vector{3}));
  EXPECT_EQ(listed({"--sqlstate", "23"}), (std::vector{3, 2}));
  EXPECT_EQ(listed({"--until", "1d"}), (std::vector{5}));
  EXPECT_EQ(listed({"--since", "1d"}).size(), 6U);
  EXPECT_EQ(listed({"--since", "1d", "--until", "2024-01-01"}).size(), 0U);
  EXPECT_EQ(listed({"--key", "key 1"}), (std::vector{1}));
  EXPECT_EQ(listed({"--key", "\\x00ff"}), (std::vector{6}));
  EXPECT_EQ(listed({"--id", "1,3", "--id", "5"}), (std::vector{5, 3, 1}));
  EXPECT_EQ(listed({"--stage", "write", "--id", "1,3"}), (std::vector{3}));
}

TEST_F(DeadLetters, AreCountedByTheirCauses) {
  add(1, 3);
  add(4, 4, "other");
  const auto causes = objects({"list", "--causes", "--json"});
  ASSERT_EQ(causes.size(), 2U);
  EXPECT_EQ(causes[0]["pipeline"], "p");
  EXPECT_EQ(causes[0]["letters"], 3);
  EXPECT_EQ(causes[0]["reason"], "no_such_field");
  EXPECT_EQ(causes[0]["target"], "public.t");
  EXPECT_EQ(causes[0]["example_id"], 1);
  EXPECT_TRUE(run({"list", "--causes"}).text.starts_with("LETTERS  PIPELINE  TABLE"));
  EXPECT_EQ(database().query("SELECT pipeline, target, reason, dead_letters, most_attempts, "
                             "example_id FROM penstock.dead_letter_summary ORDER BY 1 DESC"),
            (harness::SqlRows{{"p", "public.t", "no_such_field", "3", "1", "1"},
                              {"other", "public.t", "no_such_field", "1", "1", "4"}}));
}

TEST_F(DeadLetters, AreShownWithTheirRecords) {
  add(7, 7);
  const auto output = run({"show", "1"});
  EXPECT_EQ(output.status.code, 0);
  for (const std::string& text :
       {std::string("dead letter 1 of pipeline p\n"),
        "  record   " + service.topic().name() + "/3/7, of 2024-05-01T12:00:00.123Z\n",
        std::string("  table    public.t\n"), std::string("  why      compute: no_such_field\n"),
        std::string("  message  no such field: msg.n\n"), std::string("  tries    1, first at "),
        std::string("  key      key 7\n"), std::string("  header   from: shop\n"),
        std::string("  value    18 bytes\n{\"n\": 7, \"s\": \"x\"}\n")}) {
    EXPECT_TRUE(output.text.contains(text)) << text << output.text;
  }
  expect_refusal({"show", "2"}, 1, "there is no dead letter 2");
}

// The plan is the running one's, and the trace that of the batch, whose record names none.
TEST_F(DeadLetters, SayWhichPlanHasRefusedThemAndInWhichTraceTheyCame) {
  service.topic().produce({R"({"n": "no number", "s": "x"})"});
  auto serve = must(harness::ServeProcess::start(
      {.program = penstock_program(),
       .directory = service.directory(),
       .name = "traced",
       .config = service.config(),
       .environment = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"}}}));
  ASSERT_TRUE(wait_until([&] { return letters() == 1; })) << serve.log();
  const Json listed = objects({"list", "--json"}).at(0);
  const std::string plan = listed["plan_version"];
  EXPECT_EQ(plan.size(), 12U);
  EXPECT_EQ(serve.logged("\"plan_version\":\"" + plan + "\""), 1) << serve.log();
  EXPECT_EQ(listed["trace_id"].get<std::string>().size(), 32U);
  EXPECT_EQ(objects({"export"}).at(0)["plan_version"], plan);
  const auto shown = run({"show", "1"});
  EXPECT_TRUE(shown.text.contains("  plan     " + plan + "\n")) << shown.text;
  EXPECT_TRUE(shown.text.contains("  trace    " + listed["trace_id"].get<std::string>() + "\n"))
      << shown.text;
  EXPECT_TRUE(serve.stop().success()) << serve.log();
}

TEST_F(DeadLetters, SteerNoTerminal) {
  database().execute(
      "INSERT INTO penstock.dead_letters (pipeline, topic, partition, \"offset\", key, value, "
      "headers, stage, reason, message) VALUES (E'p\\u009b', E't\\e[2J', 0, 0, '\\x1b5d', "
      "'\\x1b5b324a0d0ac29b', '[{\"name\": \"\\u001b[1m\", \"value\": \"G1sySg==\"}]', 'parse', "
      "E'r\\u202e', E'm\\e]0;x\\a\\r\\nforged')");
  for (const std::vector<std::string>& words : {std::vector<std::string>{"list"},
                                                {"list", "--json"},
                                                {"list", "--causes"},
                                                {"show", "1"},
                                                {"show", "1", "--json"},
                                                {"export"}}) {
    const auto output = run(words);
    EXPECT_EQ(output.status.code, 0) << output.text;
    for (const char* bytes : {"\x1b", "\r", "\x07", "\xc2\x9b", "\xe2\x80\xae"}) {
      EXPECT_FALSE(output.text.contains(bytes)) << words[0] << ": " << output.text;
    }
    EXPECT_FALSE(output.text.contains("\nforged")) << output.text;
  }
}

TEST_F(DeadLetters, AreExportedByteByByte) {
  add(1, 2500);
  database().execute(
      "UPDATE penstock.dead_letters SET value = NULL WHERE \"offset\" = 1;"
      "UPDATE penstock.dead_letters SET value = '\\x00ff0a' WHERE \"offset\" = 2");
  const auto letters = objects({"export"});
  ASSERT_EQ(letters.size(), 2500U);
  EXPECT_TRUE(letters[0]["value"].is_null());
  EXPECT_EQ(letters[1]["value"], "AP8K");
  std::string value;
  ASSERT_TRUE(text::decode_base64(letters[2499]["value"].get<std::string>(), value));
  EXPECT_EQ(value, R"({"n": 2500, "s": "x"})");
  EXPECT_EQ(letters[2499]["headers"], Json::parse(R"([{"name": "from", "value": "c2hvcA=="}])"));
  EXPECT_EQ(objects({"export", "--id", "2"}).size(), 1U);
}

TEST_F(DeadLetters, AreDroppedOnlyIfThatIsMeant) {
  add(1, 6000);
  add(6001, 6001, "other");
  expect_refusal({"purge", "--yes-drop-dead-letters"}, 2, "all pipelines");
  expect_refusal({"purge", "--pipeline", "p"}, 2, "this drops 6,000 dead letters");
  const auto dry = run({"purge", "--pipeline", "p", "--dry-run"});
  EXPECT_EQ(dry.status.code, 0);
  EXPECT_TRUE(dry.text.starts_with("would drop 6,000 dead letters\n")) << dry.text;
  EXPECT_EQ(letters(), 6001);
  EXPECT_EQ(run({"purge", "--id", "1", "--yes-drop-dead-letters"}).text, "dropped 1 dead letter\n");
  EXPECT_EQ(run({"purge", "--pipeline", "p", "--yes-drop-dead-letters"}).text,
            "dropped 5,999 dead letters\n");
  EXPECT_EQ(letters("pipeline = 'other'"), 1);
}

TEST_F(DeadLetters, NeedADatabaseThatHasThem) {
  database().execute("DROP VIEW penstock.dead_letter_summary; DROP TABLE penstock.dead_letters");
  expect_refusal({"list"}, 1, "penstock migrate up");
}

TEST_F(DeadLetters, OfAPipelineHaveTheTableAndTheTraceOfTheRecord) {
  const auto file = service.directory() / "value";
  must(harness::write_private_file(file, R"({"n":"no number","s":"x"})"));
  const auto produced = must(harness::run_command(
      {"kcat", "-P", "-b", shared_brokers(), "-t", service.topic().name(), "-H",
       "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", file},
      service.directory()));
  ASSERT_TRUE(produced.status.success()) << produced.text;
  service.serve();
  ASSERT_TRUE(wait_until([&] { return letters() == 1; })) << service.process().log();
  EXPECT_EQ(database().query("SELECT target, trace_id, attempts, last_seen_at = first_seen_at FROM "
                             "penstock.dead_letters"),
            (harness::SqlRows{{"public.t", "4bf92f3577b34da6a3ce929d0e0e4736", "1", "t"}}));
  EXPECT_TRUE(run({"show", "1"}).text.contains("trace    4bf92f3577b34da6a3ce929d0e0e4736"));
}

}  // namespace
}  // namespace penstock::test
