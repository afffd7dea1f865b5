#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <format>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/start_up.h"
#include "cli/cli.h"
#include "cli/databases.h"
#include "cli/dead_letters_view.h"
#include "cli/verify_view.h"
#include "config/load.h"
#include "config/read_topics.h"
#include "dead_letters/filter.h"
#include "flow/stage_options.h"
#include "offsets/registry.h"
#include "penstock/v1/pipeline.pb.h"
#include "postgres/pool.h"
#include "text/nearest_names.h"
#include "verify/verification.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string config;
  std::string pipeline;
  std::string from;
  std::string to;
  std::int32_t partition = -1;
  std::vector<std::string> key;
  std::uint64_t limit = 20;
  bool json = false;
  bool repair = false;
  bool deletes = false;
};

// Nothing: `none`, which is where the range ends anyway.
Result<std::optional<verify::Place>> place_of(const std::string& option, const std::string& text,
                                              std::string_view none) {
  if (text.empty() || text == none) return std::nullopt;
  Offset offset = -1;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (read.ec == std::errc() && read.ptr == text.data() + text.size() && offset >= 0) {
    return verify::Place{.offset = offset};
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  auto time =
      dead_letters::read_time(text, std::chrono::duration_cast<std::chrono::seconds>(now).count());
  if (time) return verify::Place{.offset = {}, .time = *std::move(time)};
  return fail(ErrorKind::invalid_argument, std::format("{} '{}' is no place", option, text),
              std::format("it takes {}, an offset, or a time: {}", none, time.error().hint));
}

// What is compared, one after the other: a pipeline whose tables follow from its topics has a plan
// for each set of tables, and of each those of its topics that have positions.
Result<std::vector<flow::PlanPtr>> plans_of(const config::Loaded& loaded, int index,
                                            flow::PlanBook& book, postgres::Pool& pool) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  Topics all = book.topics();
  if (!spec.source().topics_matching().empty()) {
    const auto positions = offsets::positions(pool);
    if (!positions) return std::unexpected(positions.error());
    for (const offsets::Position& position : *positions) {
      const bool is_read =
          position.pipeline == spec.name() && config::reads_topic(spec.source(), position.topic);
      if (is_read) all.add(position.topic);
    }
  }
  std::map<std::shared_ptr<const Plan>, std::vector<std::string>> topics;
  for (const std::string& topic : all.names()) {
    const auto plan = book.plan_for(topic, {});
    if (!plan) return std::unexpected(plan.error());
    topics[*plan].push_back(topic);
  }
  if (topics.empty()) {
    return fail(ErrorKind::not_found,
                "pipeline '" + spec.name() + "' has no position in this database",
                "`penstock offsets list` shows those that there are");
  }
  std::vector<flow::PlanPtr> plans;
  for (const auto& [plan, names] : topics) {
    if (!book.is_by_topic()) {
      plans.push_back(book.find(plan));
      continue;
    }
    auto own = app::make_topic_plan(loaded, index, book.server(), names.front(), names, pool);
    if (!own) {
      const config::Problem& first = own.error().problems.front();
      return fail(ErrorKind::conflict, first.message, first.hint);
    }
    plans.push_back(*std::move(own));
  }
  // Rows of one would be extra to the other.
  std::set<std::string> tables;
  for (const flow::PlanPtr& plan : plans) {
    for (const std::string& table : plan->table_names()) {
      if (tables.insert(table).second) continue;
      return fail(ErrorKind::conflict,
                  table +
                      " gets rows of topics that have other tables besides, and cannot be "
                      "verified",
                  "compare it by hand");
    }
  }
  return plans;
}

int verify_tables(const Options& options) {
  const auto from = place_of("--from", options.from, "beginning");
  if (!from) return report(from.error());
  const auto to = place_of("--to", options.to, "end");
  if (!to) return report(to.error());
  config::Loaded loaded;
  if (!load_config(options.config, loaded)) return kUsage;
  const int index = index_of(loaded, options.pipeline);
  if (index < 0) {
    std::vector<std::string_view> names;
    for (const v1::PipelineSpec& spec : loaded.config.pipelines()) names.push_back(spec.name());
    return report({ErrorKind::invalid_argument,
                   "there is no pipeline '" + options.pipeline + "' in " + options.config,
                   text::suggest(options.pipeline, names), ""});
  }
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  postgres::Pool pool({.conninfo = spec.sink().postgres(), .application_name = "penstock/verify"});
  const auto book = app::make_plans(loaded, index, pool);
  if (!book) {
    print(book.error().problems);
    return kUsage;
  }
  // Another pipeline's positions under this name say nothing of these tables.
  const auto entry =
      offsets::may_enter(pool, app::identity_of(spec, **book, kafka::ClusterReport{}), {});
  if (!entry) return report(entry.error());
  const auto plans = plans_of(loaded, index, **book, pool);
  if (!plans) return report(plans.error());

  std::uint64_t left = 0;
  for (const flow::PlanPtr& plan : *plans) {
    verify::Options wanted{.conninfo = spec.sink().postgres(),
                           .kafka = flow::kafka_properties(spec),
                           .columns = {},
                           .partition = {},
                           .from = *from,
                           .to = *to,
                           .key = options.key,
                           .limit = options.limit,
                           .repair = options.repair,
                           .deletes_extra = options.deletes};
    if (options.partition >= 0) wanted.partition = options.partition;
    for (std::size_t i = 0; i < plan->targets().size(); ++i) {
      const auto columns = plan->written_columns(i);
      wanted.columns.emplace_back(columns.begin(), columns.end());
    }
    verify::Verification verification(plan, std::move(wanted));
    Result<verify::Report> found;
    {
      ProgressLine progress;
      found = verification.run([&](const verify::Progress& so_far) {
        if (!so_far.waits_for.empty()) return progress.say("waits: " + so_far.waits_for);
        progress.show(so_far.compares ? "comparing"
                                      : std::format("read {} of {}", grouped(so_far.done),
                                                    grouped(so_far.all)));
      });
    }
    if (!found) return report(found.error());
    if (options.json) {
      std::cout << json_of(*found) << "\n";
    } else {
      print_verified(*found);
    }
    left += found->left();
  }
  return left > 0 ? kFailed : kOk;
}

}  // namespace

void add_verify(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* verify = app.add_subcommand(
      "verify", "Read a pipeline's records again, and compare what they say with its tables");
  verify->add_option("pipeline", options->pipeline, "Name of the pipeline")
      ->required()
      ->type_name("NAME");
  verify->add_option("-c,--config", options->config, "Configuration file with the pipeline")
      ->required()
      ->type_name("FILE");
  verify
      ->add_option("--from", options->from,
                   "The first records: beginning, an offset, an age such as 2h, or a time (UTC)")
      ->type_name("PLACE")
      ->default_str("beginning");
  verify
      ->add_option("--to", options->to,
                   "Before which they end: end (where the pipeline stands), or likewise")
      ->type_name("PLACE")
      ->default_str("end");
  verify->add_option("--partition", options->partition, "Which partition; left out: all of them")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  verify
      ->add_option("--key", options->key,
                   "Columns that tell rows of mode: append apart; left out: the primary key")
      ->delimiter(',')
      ->type_name("COLUMN");
  verify->add_option("--limit", options->limit, "How many differences of a table are shown")
      ->type_name("N")
      ->capture_default_str();
  verify->add_flag("--json", options->json, "Print an object instead");
  CLI::Option* repair = verify->add_flag(
      "--repair", options->repair,
      "Write the rows that are missing or different; the pipeline commits nothing meanwhile");
  verify->add_flag("--yes-delete-extra", options->deletes, "A repair deletes extra rows, too")
      ->needs(repair);
  verify->footer(
      R"(The records go through today's pipeline, and their rows into a temporary table of the database,
which compares. The pipeline may run meanwhile: tables, positions and dead letters are read in one
snapshot. Dead letters are no rows, and what the pipeline never read has none. Without --repair nothing is changed. Rows that no record makes
are looked for only when all of the log is read.

missing: a record makes this row, and the table does not have it. extra: the table has it, and no
record makes it. different: the table has other values.

Examples:
  penstock verify orders --config orders.yaml
  penstock verify orders --from 2h --config orders.yaml
  penstock verify orders --key partition,offset --config orders.yaml

Exit status: 0 no difference, or none any more; 1 there are some, or it failed; 2 the command line or the
configuration is wrong, or the tables cannot be verified.)");
  verify->callback([options, &exit_status] { exit_status = verify_tables(*options); });
}

}  // namespace penstock::cli
