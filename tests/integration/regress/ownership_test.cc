// A person's slips that would double or scatter rows: refused, with the command that does it right.
#include <gtest/gtest.h>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

std::string with(std::string config, const std::string& text, const std::string& other) {
  const std::size_t at = config.find(text);
  if (at == std::string::npos) throw std::runtime_error("no such text: " + text);
  return config.replace(at, text.size(), other);
}

std::vector<std::optional<std::string>> records(int count) {
  std::vector<std::optional<std::string>> values;
  for (int i = 0; i < count; ++i) values.emplace_back(R"({"n":1,"s":"x"})");
  return values;
}

void expect_refused(Service& service, const std::string& config, const std::string& words,
                    const std::string& command) {
  const auto checked = service.run_with_config({"check", "--online"}, config);
  EXPECT_EQ(checked.status.code, 2) << checked.text;
  const auto served = service.run_with_config({"serve", "--all-or-nothing"}, config);
  EXPECT_EQ(served.status.code, 1) << served.text;
  for (const auto* output : {&checked, &served}) {
    EXPECT_TRUE(output->text.contains(words)) << output->text;
    EXPECT_TRUE(output->text.contains(command)) << output->text;
  }
}

TEST(Ownership, OfANameIsNotTakenByAnotherGroup) {
  Service service;
  service.feed(records(20));
  expect_refused(service, with(service.config(), "group: ", "group: other-"),
                 "the positions of pipeline 'p' belong to consumer group '",
                 "penstock offsets adopt p");
  service.feed(records(20));
  EXPECT_EQ(service.rows("n").size(), 40U);
}

TEST(Ownership, OfANameIsNotTakenByAnotherTable) {
  Service service;
  service.feed(records(20));
  service.database().execute("CREATE TABLE t2 (LIKE t)");
  const std::string config = with(service.config(), "table: t\n", "table: t2\n");
  expect_refused(service, config, "belong to a pipeline that writes public.t",
                 "penstock offsets adopt p");
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  const auto adopted = service.run_with_config({"offsets", "adopt", "p"}, config);
  EXPECT_TRUE(adopted.status.success()) << adopted.text;
  const auto checked = service.run_with_config({"check", "--online"}, config);
  EXPECT_TRUE(checked.status.success()) << checked.text;
}

TEST(Ownership, OfPositionsGoesToANewNameByCommandAndNothingIsReadAgain) {
  Service service;
  service.feed(records(20));
  const std::string renamed = with(service.config(), "name: p\n", "name: p-v2\n");
  expect_refused(service, renamed, "pipeline 'p' reads topic", "penstock offsets rename p p-v2");
  const auto early = service.run_with_config({"offsets", "rename", "p", "p-v2"}, renamed);
  EXPECT_EQ(early.status.code, 1) << early.text;
  EXPECT_TRUE(early.text.contains("are claimed by")) << early.text;

  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  const auto done = service.run_with_config({"offsets", "rename", "p", "p-v2"}, renamed);
  EXPECT_TRUE(done.status.success()) << done.text;
  auto& process = service.serve_while_waiting(renamed);
  service.topic().produce(records(10));
  EXPECT_TRUE(wait_until([&] { return service.rows("n").size() >= 30; })) << process.log();
  EXPECT_TRUE(process.stop().success()) << process.log();
  EXPECT_EQ(service.rows("n").size(), 30U);
}

void expect_end(Service& service) {
  const auto status = service.process().process().wait_for(std::chrono::seconds(60));
  ASSERT_TRUE(status) << "it stays up, and reads nothing\n" << service.process().log();
  EXPECT_EQ(status->code, 4) << service.process().log();
  EXPECT_EQ(service.process().logged("\"cannot_go_on\""), 1) << service.process().log();
  EXPECT_TRUE(service.process().log().contains("This process ends")) << service.process().log();
}

TEST(Ownership, OfPositionsThatGetAnotherNameEndsWhoRunsUnderTheOldOne) {
  Service service;
  service.feed(records(20));
  const std::string renamed = with(service.config(), "name: p\n", "name: p-v2\n");
  const auto done =
      service.run_with_config({"offsets", "rename", "p", "p-v2", "--yes-it-is-stopped"}, renamed);
  ASSERT_TRUE(done.status.success()) << done.text;
  service.topic().produce(records(10));
  expect_end(service);
  auto& process = service.serve_while_waiting(renamed);
  EXPECT_TRUE(wait_until([&] { return service.rows("n").size() >= 30; })) << process.log();
  EXPECT_TRUE(process.stop().success()) << process.log();
  EXPECT_EQ(service.rows("n").size(), 30U);
}

TEST(Ownership, OfPositionsThatWentWithTheirDatabaseEndsWhoRunsAndTheNextOneReadsAllAgain) {
  Service service;
  service.feed(records(20));
  // As a database of that name that was made anew, and migrated.
  service.database().execute(
      "DROP SCHEMA penstock CASCADE; DROP TABLE t; "
      "CREATE TABLE t (n bigint, s text, source_offset bigint)");
  service.migrate();
  service.topic().produce(records(10));
  expect_end(service);
  auto& process = service.serve_while_waiting(service.config());
  EXPECT_TRUE(wait_until([&] { return service.rows("n").size() >= 30; })) << process.log();
  EXPECT_TRUE(process.stop().success()) << process.log();
  EXPECT_EQ(service.rows("n").size(), 30U);
}

TEST(Ownership, OfPositionsStaysWithWhoRunsWhenTheyAreSetAnewAndTheyAreReadFromThere) {
  Service service;
  service.feed(records(20));
  const auto reset = service.run_with_config(
      {"offsets", "reset", "p", "--topic", service.topic().name(), "--to", "15"}, service.config());
  EXPECT_TRUE(reset.status.success()) << reset.text;
  const auto renamed = service.run_with_config({"offsets", "rename", "p", "q"}, service.config());
  EXPECT_EQ(renamed.status.code, 1) << renamed.text;
  EXPECT_TRUE(renamed.text.contains("are claimed by")) << renamed.text;
  // Nothing comes; it is noticed all the same.
  EXPECT_TRUE(wait_until([&] { return service.rows("n").size() == 25; }))
      << service.process().log();
  service.feed(records(5));
  EXPECT_EQ(service.rows("n").size(), 30U);
}

TEST(Ownership, OfATopicIsNotSharedByTwoPipelinesOfOneFile) {
  Service service;
  const std::string text = service.config();
  const std::size_t begin = text.find("  - name: p\n");
  const std::size_t end = text.find("server:");
  const std::string other = with(text.substr(begin, end - begin), "name: p\n", "name: q\n");
  const auto checked =
      service.run_with_config({"check"}, text.substr(0, end) + other + text.substr(end));
  EXPECT_EQ(checked.status.code, 2) << checked.text;
  EXPECT_TRUE(checked.text.contains("each would get some of its partitions")) << checked.text;
}

TEST(Ownership, OfTheSchemaIsKeptWhileItHoldsPositions) {
  Service service;
  service.feed(records(20));
  const auto down = service.run_with_config({"migrate", "down"}, service.config());
  EXPECT_EQ(down.status.code, 1) << down.text;
  EXPECT_TRUE(down.text.contains("1 position of p (claimed by ")) << down.text;
  EXPECT_TRUE(down.text.contains("--yes-drop-positions")) << down.text;
  service.feed(records(20));
  EXPECT_EQ(service.rows("n").size(), 40U);
}

}  // namespace
}  // namespace penstock::test
