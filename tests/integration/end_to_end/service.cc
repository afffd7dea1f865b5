#include "integration/end_to_end/service.h"

#include <format>
#include <stdexcept>

#include "harness/text_file.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

}  // namespace

Service::Service(ServiceOptions options)
    : options_(std::move(options)),
      directory_(must(harness::TemporaryDirectory::make("penstock-service"))),
      topic_(options_.partitions, options_.topic_settings, options_.brokers),
      conninfo_(database_.conninfo()) {
  database_.execute(options_.table);
}

std::string Service::config() const {
  std::string text = std::format(
      "pipelines:\n"
      "  - name: p\n"
      "    source:\n"
      "      topics: [{0}]\n"
      "      group: {0}\n"
      "      kafka: {{bootstrap.servers: \"{1}\"}}\n"
      "    parse: {2}\n",
      topic_.name(), options_.brokers, options_.parse);
  if (!options_.where.empty()) text += "    compute: {where: '" + options_.where + "'}\n";
  text += "    sink:\n      postgres: \"" + conninfo_ + "\"\n      target:\n        table: t\n";
  if (!options_.by_name) {
    text += "        columns:\n";
    for (const auto& [column, expression] : options_.columns) {
      text += "          " + column + ": " + expression + "\n";
    }
    text += "          source_offset: record.offset\n";
  }
  text += options_.pipeline_yaml +
          "server: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nlog: {format: json}\n";
  return text;
}

harness::CommandOutput Service::run(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {penstock_program()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return must(harness::run_command(command, directory_.path()));
}

harness::CommandOutput Service::run_with_config(std::vector<std::string> command,
                                                const std::string& text) {
  const auto file = directory_.path() / "penstock.yaml";
  must(harness::write_private_file(file, text));
  command.insert(command.end(), {"--config", file});
  return run(command);
}

void Service::migrate() {
  const auto output = run_with_config({"migrate", "up"}, config());
  if (!output.status.success()) throw std::runtime_error("migrate up: " + output.text);
}

harness::ServeProcess& Service::serve() {
  migrate();
  process_.emplace(must(harness::ServeProcess::start({.program = penstock_program(),
                                                      .directory = directory_.path(),
                                                      .name = "serve",
                                                      .config = config(),
                                                      .environment = {}})));
  return *process_;
}

harness::ServeProcess& Service::serve_while_waiting(const std::string& text) {
  process_.emplace(must(harness::ServeProcess::spawn({.program = penstock_program(),
                                                      .directory = directory_.path(),
                                                      .name = "serve",
                                                      .config = text,
                                                      .environment = {}})));
  must(process_->wait_until_listening(30s));
  return *process_;
}

void Service::feed(const std::vector<std::optional<std::string>>& values) {
  topic_.produce(values);
  fed_ += static_cast<std::int64_t>(values.size());
  if (!process_) serve();
  if (!wait_until([&] { return applied() >= fed_ || process_->process().poll(); }, 60s) ||
      process_->process().poll()) {
    throw std::runtime_error("the records did not arrive:\n" + process_->log());
  }
}

std::int64_t Service::applied() {
  return database_.number(
      "SELECT coalesce(sum(next_offset), 0)::bigint FROM penstock.offsets WHERE pipeline = 'p'");
}

harness::SqlRows Service::rows(const std::string& columns) {
  return database_.query("SELECT " + columns + " FROM t ORDER BY source_offset");
}

std::vector<DeadLetter> Service::dead_letters() {
  std::vector<DeadLetter> letters;
  for (auto& row :
       database_.query("SELECT \"offset\", stage, reason, coalesce(sqlstate, ''), message, "
                       "encode(value, 'hex') FROM penstock.dead_letters ORDER BY \"offset\"")) {
    letters.push_back({.offset = std::stoll(*row[0]),
                       .stage = *row[1],
                       .reason = *row[2],
                       .sqlstate = *row[3],
                       .message = *row[4],
                       .value = row[5] ? std::optional(from_hex(*row[5])) : std::nullopt});
  }
  return letters;
}

}  // namespace penstock::test
