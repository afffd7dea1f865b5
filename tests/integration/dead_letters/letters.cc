#include "integration/dead_letters/letters.h"

#include <format>

#include "harness/text_file.h"

namespace penstock::test {

Letters::Letters(ServiceOptions options) : service(std::move(options)) { service.migrate(); }

void Letters::add(std::int64_t from, std::int64_t to, const std::string& pipeline) {
  database().execute(std::format(
      "INSERT INTO penstock.dead_letters (pipeline, topic, partition, \"offset\", \"timestamp\", "
      "key, value, headers, stage, reason, message, target) SELECT '{}', '{}', n % 4, n, "
      "'2024-05-01T12:00:00.123Z', convert_to('key ' || n, 'UTF8'), "
      "convert_to('{{\"n\": ' || n || ', \"s\": \"x\"}}', 'UTF8'), "
      "'[{{\"name\": \"from\", \"value\": \"c2hvcA==\"}}]', 'compute', 'no_such_field', "
      "'no such field: msg.n', 'public.t' FROM generate_series({}::bigint, {}) n",
      pipeline, service.topic().name(), from, to));
}

void Letters::add_record(const std::string& value) {
  std::ignore = database().query(
      "INSERT INTO penstock.dead_letters (pipeline, topic, partition, \"offset\", value, headers, "
      "stage, reason, message) VALUES ('p', $1, 0, 0, convert_to($2, 'UTF8'), '[]', 'parse', "
      "'invalid_json', 'no JSON')",
      {service.topic().name(), value});
}

harness::CommandOutput Letters::run(std::vector<std::string> words) {
  return run(std::move(words), service.config());
}

harness::CommandOutput Letters::run(std::vector<std::string> words, const std::string& config) {
  words.insert(words.begin(), "dead-letters");
  return service.run_with_config(std::move(words), config);
}

harness::ChildProcess Letters::start(std::vector<std::string> words) {
  const auto file = service.directory() / "penstock.yaml";
  must(harness::write_private_file(file, service.config()));
  words.insert(words.begin(), {penstock_program(), "dead-letters"});
  words.insert(words.end(), {"--config", file});
  return must(harness::ChildProcess::spawn({.command = std::move(words),
                                            .environment = {},
                                            .log_file = service.directory() / "output",
                                            .working_directory = {},
                                            .run_as = {}}));
}

std::string Letters::output() const { return harness::read_file(service.directory() / "output"); }

std::int64_t Letters::letters(const std::string& condition) {
  return database().number("SELECT count(*) FROM penstock.dead_letters WHERE " + condition);
}

void Letters::expect_each_once(std::int64_t n) {
  EXPECT_EQ(database().query(
                "SELECT count(*), count(DISTINCT a.n), min(a.n), max(a.n) FROM (SELECT n FROM t "
                "UNION ALL SELECT \"offset\" FROM penstock.dead_letters) a"),
            (harness::SqlRows{{std::to_string(n), std::to_string(n), "1", std::to_string(n)}}));
}

}  // namespace penstock::test
