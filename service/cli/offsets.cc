#include "offsets/registry.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <format>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "app/start_up.h"
#include "cli/cli.h"
#include "cli/databases.h"
#include "cli/options.h"
#include "config/load.h"
#include "config/mask.h"
#include "config/read_topics.h"
#include "flow/stage_options.h"
#include "kafka/probe.h"
#include "kafka/readable.h"
#include "postgres/pool.h"
#include "text/plural.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string config;
  std::string database;
  std::string pipeline;
  std::string new_name;
  std::string topic;
  std::string to;
  int partition = -1;  // all
  bool stopped = false;
  bool drop = false;

  [[nodiscard]] offsets::Claimed claimed() const {
    return stopped ? offsets::Claimed::ended : offsets::Claimed::refuse;
  }
};

Error no_such_pipeline(const Options& options) {
  return {ErrorKind::invalid_argument,
          "there is no pipeline '" + options.pipeline + "' in " + options.config, "", ""};
}

int list(const Options& options) {
  std::set<std::string> databases;
  if (!databases_of(options.config, options.database, "", databases)) return kUsage;
  for (const std::string& conninfo : databases) {
    if (databases.size() > 1) std::cout << config::mask_conninfo(conninfo) << "\n";
    postgres::Pool pool({.conninfo = conninfo});
    const auto positions = offsets::positions(pool);
    if (!positions) return report(positions.error());
    for (const offsets::Position& position : *positions) {
      std::cout << std::format("{:<24}  {}[{}]  {}  {}  {}\n", position.pipeline, position.topic,
                               position.partition, position.next_offset, position.updated_at,
                               position.owner.empty() ? "-" : position.owner);
    }
    if (positions->empty()) std::cout << "no positions\n";
  }
  return kOk;
}

// Runs `act` on the one database that is meant.
template <typename Act>
int in_database(const Options& options, const std::string& name, Act act) {
  std::set<std::string> databases;
  if (!databases_of(options.config, options.database, name, databases)) return kUsage;
  if (databases.size() > 1) {
    return report({ErrorKind::invalid_argument,
                   "the pipelines of " + options.config + " write to several databases",
                   "name the one that is meant with --database", ""});
  }
  postgres::Pool pool({.conninfo = *databases.begin()});
  return act(pool);
}

int rename(const Options& options) {
  return in_database(options, options.new_name, [&](postgres::Pool& pool) {
    const auto moved = offsets::rename(pool, options.pipeline, options.new_name, options.claimed());
    if (!moved) return report(moved.error());
    std::cout << std::format("moved {} of '{}' to '{}'\n", text::counted(*moved, "position"),
                             options.pipeline, options.new_name);
    return kOk;
  });
}

int forget(const Options& options) {
  if (!options.drop) {
    return report({ErrorKind::invalid_argument,
                   "this drops every position of '" + options.pipeline +
                       "': a pipeline of that name would read its topics anew",
                   "if that is meant to be, say --yes-drop-positions", ""});
  }
  return in_database(options, options.pipeline, [&](postgres::Pool& pool) {
    const auto dropped = offsets::forget(pool, options.pipeline, options.claimed());
    if (!dropped) return report(dropped.error());
    std::cout << std::format("dropped {} of '{}'\n", text::counted(*dropped, "position"),
                             options.pipeline);
    return kOk;
  });
}

int adopt(const Options& options) {
  config::Loaded loaded;
  if (!load_config(options.config, loaded)) return kUsage;
  const int index = index_of(loaded, options.pipeline);
  if (index < 0) return report(no_such_pipeline(options));
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  const auto cluster = flow::probe_kafka(spec, std::chrono::seconds(10));
  if (!cluster) return report(cluster.error());
  postgres::Pool pool({.conninfo = spec.sink().postgres()});
  const auto plans = app::make_plans(loaded, index, pool);
  if (!plans) {
    print(plans.error().problems);
    return kUsage;
  }
  const auto adopted =
      offsets::adopt(pool, app::identity_of(spec, **plans, *cluster), options.claimed());
  if (!adopted) return report(adopted.error());
  std::cout << std::format("the positions of '{}' belong to the pipeline as it is in {} now\n",
                           options.pipeline, options.config);
  return kOk;
}

constexpr std::chrono::seconds kPatience(10);

// Where `--to` leads to in a log; the error says what would do.
Result<std::int64_t> place_in(const std::string& to, const kafka::LogRange& log,
                              const std::string& place) {
  if (to == "beginning") return log.begin;
  if (to == "end") return log.end;
  std::int64_t offset = -1;
  const auto read = std::from_chars(to.data(), to.data() + to.size(), offset);
  if (read.ec != std::errc() || read.ptr != to.data() + to.size() || offset < log.begin ||
      offset > log.end) {
    return fail(ErrorKind::invalid_argument, std::format("'{}' is no place in {}", to, place),
                std::format("--to takes beginning, end, readable, or an offset from {} to {}",
                            log.begin, log.end));
  }
  return offset;
}

// Behind the batch that cannot be read at the stored position.
Result<std::int64_t> behind_unreadable(const Options& options, const v1::PipelineSpec& spec,
                                       postgres::Pool& pool) {
  if (options.partition < 0) {
    return fail(ErrorKind::invalid_argument, "--to readable is for one partition",
                "name it with --partition");
  }
  const auto positions = offsets::positions(pool);
  if (!positions) return std::unexpected(positions.error());
  const auto stored = std::ranges::find_if(*positions, [&](const offsets::Position& position) {
    return position.pipeline == options.pipeline && position.topic == options.topic &&
           position.partition == options.partition;
  });
  if (stored == positions->end()) {
    return fail(ErrorKind::not_found,
                std::format("{}[{}] has no position", options.topic, options.partition),
                "penstock offsets list shows those that there are");
  }
  return kafka::end_of_unreadable(flow::kafka_properties(spec), options.topic, options.partition,
                                  stored->next_offset, std::chrono::seconds(180));
}

// With a position, though the topic does not have them: it was made again with fewer.
Result<std::vector<std::int32_t>> gone_partitions(const Options& options,
                                                  const kafka::TopicReport& topic,
                                                  postgres::Pool& pool) {
  const auto stored = offsets::positions(pool);
  if (!stored) return std::unexpected(stored.error());
  std::vector<std::int32_t> gone;
  for (const offsets::Position& position : *stored) {
    if (position.pipeline != options.pipeline || position.topic != topic.name) continue;
    if (position.partition >= topic.partitions) gone.push_back(position.partition);
  }
  return gone;
}

int reset(const Options& options) {
  config::Loaded loaded;
  if (!load_config(options.config, loaded)) return kUsage;
  const int index = index_of(loaded, options.pipeline);
  if (index < 0) return report(no_such_pipeline(options));
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  if (!config::reads_topic(spec.source(), options.topic)) {
    return report(
        {ErrorKind::invalid_argument,
         "pipeline '" + options.pipeline + "' does not read topic '" + options.topic + "'", "",
         ""});
  }
  std::string to = options.to;
  const auto properties = flow::kafka_properties(spec);
  const auto cluster = kafka::probe(properties, {options.topic}, kPatience);
  if (!cluster) return report(cluster.error());
  const kafka::TopicReport& topic = cluster->topics.front();
  postgres::Pool pool({.conninfo = spec.sink().postgres()});
  const auto gone = gone_partitions(options, topic, pool);
  if (!gone) return report(gone.error());
  if (options.partition >= topic.partitions && !std::ranges::contains(*gone, options.partition)) {
    return report({ErrorKind::invalid_argument,
                   std::format("{} has no partition {}: it has {} of them", topic.name,
                               options.partition, topic.partitions),
                   "", ""});
  }
  const auto logs = kafka::probe_logs(properties, topic.name, topic.partitions, kPatience);
  if (!logs) return report(logs.error());
  if (options.to == "readable") {
    const auto behind = behind_unreadable(options, spec, pool);
    if (!behind) return report(behind.error());
    to = std::to_string(*behind);
  }
  std::vector<offsets::NewPosition> wanted;
  for (std::int32_t i = 0; i < topic.partitions; ++i) {
    if (options.partition >= 0 && i != options.partition) continue;
    const auto offset =
        place_in(to, (*logs)[static_cast<std::size_t>(i)], std::format("{}[{}]", topic.name, i));
    if (!offset) return report(offset.error());
    wanted.push_back({.partition = i, .next_offset = *offset});
  }
  for (const std::int32_t partition : *gone) {
    if (options.partition < 0 || partition == options.partition) {
      wanted.push_back({.partition = partition, .next_offset = 0});
    }
  }
  const auto done = offsets::reset(pool, options.pipeline, cluster->cluster_id, topic.name,
                                   topic.topic_id, std::move(wanted));
  if (!done) return report(done.error());
  std::int64_t letters = 0;
  for (const offsets::NewPosition& position : *done) {
    const bool is_gone = position.partition >= topic.partitions;
    std::cout << std::format(
        "{}  {}[{}]  {} -> {}{}\n", options.pipeline, topic.name, position.partition,
        position.was < 0 ? "none" : std::to_string(position.was), position.next_offset,
        is_gone ? " (the topic has no such partition; if it gets one, all of that is read)" : "");
    if (!is_gone) letters += position.letters;
  }
  if (letters > 0) {
    std::cout << std::format(
        "{} of records that are read again: what fails again gets another one, and a "
        "redrive of both makes two rows\n"
        "  to drop them: penstock dead-letters purge --pipeline {}\n",
        text::counted(letters, "dead letter") + (letters == 1 ? " is" : " are"), options.pipeline);
  }
  return kOk;
}

void add_stopped(CLI::App& command, Options& options) {
  command.add_flag("--yes-it-is-stopped", options.stopped,
                   "No process of the pipeline runs, although one has claims: it crashed");
}

void add_pipeline(CLI::App& command, std::string& name, const char* type, const char* what) {
  command.add_option(type, name, what)->required()->type_name("NAME");
}

}  // namespace

void add_offsets(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* offsets =
      app.add_subcommand("offsets", "Look at and settle whose the stored positions are");
  offsets->require_subcommand(1);
  constexpr const char* kWritesThere = "Configuration file whose pipelines write there";
  CLI::App* listing = offsets->add_subcommand("list", "Every position, with who has claimed it");
  add_database(*listing, options->config, options->database,
               "The same: every database that its pipelines write to");
  set_example(*listing, "penstock offsets list orders.yaml");
  listing->callback([options, &exit_status] { exit_status = list(*options); });

  CLI::App* renaming =
      offsets->add_subcommand("rename", "Let a pipeline go on under a new name where it stood");
  add_database_by_name(*renaming, options->config, options->database, kWritesThere);
  set_example(*renaming, "penstock offsets rename orders orders-v2 --config orders.yaml");
  add_pipeline(*renaming, options->pipeline, "from", "Its name until now");
  add_pipeline(*renaming, options->new_name, "to", "Its name from now on");
  add_stopped(*renaming, *options);
  renaming->callback([options, &exit_status] { exit_status = rename(*options); });

  CLI::App* adopting = offsets->add_subcommand(
      "adopt", "Let a pipeline go on where it stood, with another group, cluster or table");
  adopting->add_option("-c,--config", options->config, "Configuration file, with what is new")
      ->required()
      ->type_name("FILE");
  add_pipeline(*adopting, options->pipeline, "pipeline", "Name of the pipeline");
  add_stopped(*adopting, *options);
  set_example(*adopting, "penstock offsets adopt orders --config orders.yaml");
  adopting->callback([options, &exit_status] { exit_status = adopt(*options); });

  CLI::App* resetting = offsets->add_subcommand(
      "reset",
      "Read a topic from another place on, or a topic or log that is not the one it was. What is "
      "running goes on there by itself");
  resetting->add_option("-c,--config", options->config, "Configuration file")
      ->required()
      ->type_name("FILE");
  add_pipeline(*resetting, options->pipeline, "pipeline", "Name of the pipeline");
  resetting->add_option("--topic", options->topic, "Which topic")->required()->type_name("NAME");
  resetting
      ->add_option(
          "--partition", options->partition,
          "Which partition; left out: all of them, also those with a position that a topic "
          "which was made again does not have any more")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  resetting
      ->add_option("--to", options->to,
                   "beginning or end of its log, or the offset of the record to begin with. What "
                   "was written before is written again, what lies between is left out. readable: "
                   "behind the batch at its position, which cannot be read")
      ->required()
      ->type_name("PLACE");
  set_example(*resetting,
              "penstock offsets reset orders --topic orders --to beginning --config orders.yaml");
  resetting->callback([options, &exit_status] { exit_status = reset(*options); });

  CLI::App* forgetting =
      offsets->add_subcommand("forget", "Drop a pipeline that is gone for good, and its positions");
  add_database_by_name(*forgetting, options->config, options->database, kWritesThere);
  set_example(*forgetting,
              "penstock offsets forget orders --yes-drop-positions --config orders.yaml");
  add_pipeline(*forgetting, options->pipeline, "pipeline", "Name of the pipeline");
  forgetting->add_flag("--yes-drop-positions", options->drop, "It is meant to be");
  add_stopped(*forgetting, *options);
  forgetting->callback([options, &exit_status] { exit_status = forget(*options); });
  // Not before: subcommands would take it over.
  offsets->footer(
      "Positions go by the name of the pipeline. Stop every process of it before you change whose "
      "they are.\n\n"
      "Examples:\n"
      "  penstock offsets list orders.yaml\n"
      "  penstock offsets rename orders orders-v2 --config orders.yaml\n"
      "  penstock offsets adopt orders --config orders.yaml\n"
      "  penstock offsets reset orders --topic orders --to beginning --config orders.yaml");
}

}  // namespace penstock::cli
