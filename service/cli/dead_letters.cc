#include <CLI/CLI.hpp>
#include <cstdint>
#include <format>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/start_up.h"
#include "cli/cli.h"
#include "cli/databases.h"
#include "cli/dead_letter_filter.h"
#include "cli/dead_letters_view.h"
#include "cli/options.h"
#include "config/load.h"
#include "config/mask.h"
#include "config/read_topics.h"
#include "dead_letters/redrive.h"
#include "dead_letters/store.h"
#include "kafka/probe.h"
#include "offsets/registry.h"
#include "penstock/v1/pipeline.pb.h"
#include "postgres/pool.h"
#include "text/nearest_names.h"

namespace penstock::cli {
namespace {

using dead_letters::Contents;
using dead_letters::Filter;
using dead_letters::Letter;

struct Options : FilterOptions {
  std::string config;
  std::string database;
  std::int64_t id = 0;
  std::uint64_t limit = 20;
  std::uint64_t rate = 0;
  bool causes = false;
  bool json = false;
  bool dry_run = false;
  bool drop = false;
};

std::string counted(std::uint64_t letters) {
  return grouped(letters) + (letters == 1 ? " dead letter" : " dead letters");
}

// A name that neither the file nor any letter has is a slip: nobody is to take it for "none".
Result<void> check_pipeline(const Options& options, const std::set<std::string>& databases) {
  const std::string& name = options.filter.pipeline;
  if (name.empty()) return {};
  std::set<std::string> known;
  config::Loaded loaded;
  if (!options.config.empty() && load_config(options.config, loaded)) {
    for (const v1::PipelineSpec& spec : loaded.config.pipelines()) known.insert(spec.name());
  }
  if (known.contains(name)) return {};
  Filter of_name;
  of_name.pipeline = name;
  for (const std::string& conninfo : databases) {
    postgres::Pool pool({.conninfo = conninfo, .application_name = "penstock/dead-letters"});
    const auto letters = dead_letters::count(pool, of_name);
    if (!letters) return std::unexpected(letters.error());
    if (*letters > 0) return {};
    const auto causes = dead_letters::causes(pool, {});
    if (!causes) return std::unexpected(causes.error());
    for (const dead_letters::Cause& cause : *causes) known.insert(cause.pipeline);
  }
  const std::vector<std::string_view> names(known.begin(), known.end());
  return fail(ErrorKind::invalid_argument,
              "there is no pipeline '" + name + "'" +
                  (options.config.empty() ? "" : " in " + options.config) +
                  ", and no dead letter of one",
              text::suggest(name, names));
}

// Runs `act` on each database that is meant, until one fails.
template <typename Act>
int in_databases(const Options& options, Act act) {
  const auto filter = filter_of(options);
  if (!filter) return report(filter.error());
  std::set<std::string> databases;
  if (!databases_of(options.config, options.database, filter->pipeline, databases)) return kUsage;
  if (const auto known = check_pipeline(options, databases); !known) return report(known.error());
  for (const std::string& conninfo : databases) {
    if (databases.size() > 1 && !options.json) {
      std::cout << config::mask_conninfo(conninfo) << "\n";
    }
    postgres::Pool pool({.conninfo = conninfo, .application_name = "penstock/dead-letters"});
    if (const int status = act(pool, *filter); status != kOk) return status;
  }
  return kOk;
}

// The same, where a mistake could not be taken back or an id would mean several.
template <typename Act>
int in_one_database(const Options& options, Act act) {
  std::set<std::string> databases;
  if (!databases_of(options.config, options.database, options.filter.pipeline, databases)) {
    return kUsage;
  }
  if (databases.size() > 1) {
    return report({ErrorKind::invalid_argument,
                   "the pipelines of " + options.config + " write to several databases",
                   "name the one that is meant with --database, or one of its pipelines with "
                   "--pipeline",
                   ""});
  }
  return in_databases(options, act);
}

int show_causes(const Options& options, postgres::Pool& pool, const Filter& filter) {
  const auto causes = dead_letters::causes(pool, filter);
  if (!causes) return report(causes.error());
  if (options.json) {
    for (const dead_letters::Cause& cause : *causes) std::cout << json_of(cause) << "\n";
  } else if (causes->empty()) {
    std::cout << "no dead letters\n";
  } else {
    print_causes(*causes);
  }
  return kOk;
}

int list(const Options& options, postgres::Pool& pool, const Filter& filter) {
  if (options.causes) return show_causes(options, pool, filter);
  const auto letters = dead_letters::newest(pool, filter, options.limit);
  if (!letters) return report(letters.error());
  if (options.json) {
    for (const Letter& letter : *letters) std::cout << json_of(letter, Contents::facts) << "\n";
    return kOk;
  }
  if (letters->empty()) {
    std::cout << "no dead letters\n";
    return kOk;
  }
  print_letters(*letters);
  if (options.limit == 0 || letters->size() < options.limit) return kOk;
  const auto all = dead_letters::count(pool, filter);
  if (!all) return report(all.error());
  if (*all > letters->size()) {
    std::cout << std::format("the newest {} of {}: --limit 0 shows all, --causes counts them\n",
                             letters->size(), grouped(*all));
  }
  return kOk;
}

int show(const Options& options, postgres::Pool& pool) {
  Filter filter;
  filter.ids = {options.id};
  bool is_there = false;
  const auto done = dead_letters::for_each(pool, filter, [&](const Letter& letter) {
    is_there = true;
    if (options.json) {
      std::cout << json_of(letter, Contents::whole) << "\n";
    } else {
      print_letter(letter);
    }
    return true;
  });
  if (!done) return report(done.error());
  if (is_there) return kOk;
  return report({ErrorKind::not_found, std::format("there is no dead letter {}", options.id),
                 "penstock dead-letters list shows those that there are", ""});
}

int export_all(postgres::Pool& pool, const Filter& filter) {
  const auto done = dead_letters::for_each(pool, filter, [](const Letter& letter) {
    std::cout << json_of(letter, Contents::whole) << "\n";
    return static_cast<bool>(std::cout);
  });
  if (!done) return report(done.error());
  if (std::cout.flush()) return kOk;
  return report({ErrorKind::unavailable, "the output cannot be written", "", ""});
}

int purge(const Options& options, postgres::Pool& pool, const Filter& filter) {
  if (filter.empty()) {
    return report({ErrorKind::invalid_argument,
                   "without a filter this would drop all dead letters of all pipelines",
                   "say which: --pipeline NAME, --until 30d, --reason NAME, ...", ""});
  }
  if (options.dry_run) {
    const auto all = dead_letters::count(pool, filter);
    if (!all) return report(all.error());
    std::cout << "would drop " << counted(*all) << "\n";
    return show_causes(options, pool, filter);
  }
  if (!options.drop) {
    const auto all = dead_letters::count(pool, filter);
    if (!all) return report(all.error());
    return report({ErrorKind::invalid_argument,
                   "this drops " + counted(*all) + " with their records for good",
                   "--dry-run shows what they are, `penstock dead-letters export` keeps them; if "
                   "that is meant to be, say --yes-drop-dead-letters",
                   ""});
  }
  ProgressLine progress;
  const auto gone = dead_letters::purge(
      pool, filter, [&](std::uint64_t so_far) { progress.show("dropped " + counted(so_far)); });
  if (!gone) return report(gone.error());
  std::cout << "dropped " << counted(*gone) << "\n";
  return kOk;
}

// The pipeline that was named, or the only one.
Result<int> pipeline_of(const Options& options, const config::Loaded& loaded) {
  const std::string& name = options.filter.pipeline;
  if (name.empty() && loaded.config.pipelines_size() == 1) return 0;
  if (const int index = index_of(loaded, name); index >= 0) return index;
  std::vector<std::string_view> names;
  for (const v1::PipelineSpec& spec : loaded.config.pipelines()) names.push_back(spec.name());
  if (name.empty()) {
    return fail(ErrorKind::invalid_argument, options.config + " has several pipelines",
                "name one with --pipeline: " + text::suggest("", names));
  }
  return fail(ErrorKind::invalid_argument,
              "there is no pipeline '" + name + "' in " + options.config,
              text::suggest(name, names));
}

using TopicsByPlan = std::map<std::shared_ptr<const Plan>, std::vector<std::string>>;

// Whose letters there may be, and by which plan they are redriven.
Result<TopicsByPlan> topics_by_plan(const v1::PipelineSpec& spec, flow::PlanBook& plans,
                                    postgres::Pool& pool) {
  Topics all = plans.topics();
  if (!spec.source().topics_matching().empty()) {
    const auto topics = dead_letters::topics(pool, spec.name());
    if (!topics) return std::unexpected(topics.error());
    for (const std::string& topic : *topics) {
      if (config::reads_topic(spec.source(), topic)) all.add(topic);
    }
  }
  TopicsByPlan by_plan;
  for (const std::string& topic : all.names()) {
    const auto plan = plans.plan_for(topic, {});
    if (plan) {
      by_plan[*plan].push_back(topic);
    } else {
      std::cerr << std::format("the dead letters of topic {} stay: {}\n", topic,
                               plan.error().to_string());
    }
  }
  return by_plan;
}

int redrive(const Options& options) {
  const auto filter = filter_of(options);
  if (!filter) return report(filter.error());
  config::Loaded loaded;
  if (!load_config(options.config, loaded)) return kUsage;
  const auto index = pipeline_of(options, loaded);
  if (!index) return report(index.error());
  const v1::PipelineSpec& spec = loaded.config.pipelines(*index);
  postgres::Pool pool(
      {.conninfo = spec.sink().postgres(), .application_name = "penstock/dead-letters"});
  const auto plans = app::make_plans(loaded, *index, pool);
  if (!plans) {
    print(plans.error().problems);
    return kUsage;
  }
  // Another pipeline under this name must not touch its letters, nor write them to its table.
  const auto entry =
      offsets::may_enter(pool, app::identity_of(spec, **plans, kafka::ClusterReport{}), {});
  if (!entry) return report(entry.error());
  const auto granted = dead_letters::check_grants(pool, {"SELECT", "UPDATE", "DELETE"});
  if (!granted) return report(granted.error());
  const auto by_plan = topics_by_plan(spec, **plans, pool);
  if (!by_plan) return report(by_plan.error());

  dead_letters::Tally tally;
  Result<void> done;
  {
    ProgressLine progress;
    for (const auto& [plan, topics] : *by_plan) {
      dead_letters::Redrive run(plan, *filter,
                                {.conninfo = spec.sink().postgres(),
                                 .dry_run = options.dry_run,
                                 .letters_per_second = options.rate,
                                 .topics = topics});
      done = run.run([&](const dead_letters::Tally& of_run) {
        if (!of_run.waits_for.empty()) return progress.say("waits: " + of_run.waits_for);
        progress.show(std::format("{} of {}, {} still refused", grouped(of_run.done()),
                                  counted(of_run.matched), grouped(of_run.refused)));
      });
      tally.add(run.tally());
      if (!done) break;
    }
  }
  const Redriven found{.pipeline = spec.name(), .tally = tally, .dry_run = options.dry_run};
  if (options.json) {
    std::cout << json_of(found) << "\n";
  } else {
    print_redriven(found);
  }
  if (!done) return report(done.error());
  return tally.refused > 0 ? kFailed : kOk;
}

}  // namespace

void add_dead_letters(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* letters = app.add_subcommand(
      "dead-letters", "Look at the records that could not become rows, and redrive them");
  letters->require_subcommand(1);
  constexpr const char* kWritesThere = "Configuration file whose pipelines write there";
  const auto add = [&](const char* name, const char* what) {
    CLI::App* command = letters->add_subcommand(name, what);
    add_database_by_name(*command, options->config, options->database, kWritesThere);
    return command;
  };
  const auto add_json = [&](CLI::App& command, const char* what) {
    command.add_flag("--json", options->json, what);
  };

  CLI::App* listing = add("list", "The newest ones, and what was said of them");
  add_filters(*listing, *options);
  listing->add_option("--limit", options->limit, "How many at most; 0: all")
      ->type_name("N")
      ->capture_default_str();
  listing->add_flag("--causes", options->causes,
                    "Count them by pipeline, table and reason instead");
  add_json(*listing, "Print an object to a line, without the records");
  set_example(*listing, "penstock dead-letters list --stage write --since 2h --config orders.yaml");
  listing->callback([options, &exit_status] {
    exit_status = in_databases(*options, [&](postgres::Pool& pool, const Filter& filter) {
      return list(*options, pool, filter);
    });
  });

  CLI::App* showing = add("show", "One of them, with its record");
  showing->add_option("id", options->id, "Its id")->required()->type_name("ID");
  add_json(*showing, "Print it as an object; key, value and headers in base64");
  set_example(*showing, "penstock dead-letters show 17 --config orders.yaml");
  showing->callback([options, &exit_status] {
    exit_status = in_one_database(
        *options, [&](postgres::Pool& pool, const Filter&) { return show(*options, pool); });
  });

  CLI::App* exporting =
      add("export", "All of them with their records, an object of JSON to a line");
  add_filters(*exporting, *options);
  exporting->footer(
      "Key, value and headers stand in base64, byte by byte as they came.\n\n"
      "Examples:\n"
      "  penstock dead-letters export --pipeline orders --config orders.yaml > letters.jsonl\n"
      "  penstock dead-letters export --id 17 --config orders.yaml | jq -r .value | base64 -d");
  exporting->callback([options, &exit_status] {
    exit_status = in_databases(*options, [&](postgres::Pool& pool, const Filter& filter) {
      return export_all(pool, filter);
    });
  });

  CLI::App* purging = add("purge", "Drop them, with their records");
  add_filters(*purging, *options);
  purging->add_flag("--dry-run", options->dry_run, "Say which, and drop nothing");
  purging->add_flag("--yes-drop-dead-letters", options->drop, "It is meant to be");
  set_example(*purging,
              "penstock dead-letters purge --pipeline orders --until 30d --dry-run "
              "--config orders.yaml");
  purging->callback([options, &exit_status] {
    exit_status = in_one_database(*options, [&](postgres::Pool& pool, const Filter& filter) {
      return purge(*options, pool, filter);
    });
  });

  CLI::App* redriving = letters->add_subcommand(
      "redrive", "Take them through today's pipeline; what it makes rows of are letters no more");
  redriving->add_option("-c,--config", options->config, "Configuration file with the pipeline")
      ->required()
      ->type_name("FILE");
  add_filters(*redriving, *options);
  redriving->add_flag("--dry-run", options->dry_run,
                      "Do all of it in transactions that are taken back, and say what would be");
  redriving->add_option("--rate", options->rate, "How many a second at most; 0: as many as go")
      ->type_name("N")
      ->capture_default_str();
  add_json(*redriving, "Print what became of them as an object");
  redriving->footer(
      R"(The original bytes go the way that they go in `penstock serve`: the reader, the schema, `where`,
lets, columns, the table. A row and the end of its letter commit in one transaction: wherever this is
killed, starting it again neither loses nor repeats a record. What fails again stays, with its new
reason and one more try. The pipeline may run meanwhile; Kafka is not asked. Rows come later than
those of the records beside them. A dry run calls triggers and takes values from sequences, too.

Examples:
  penstock dead-letters redrive --config orders.yaml --dry-run
  penstock dead-letters redrive --config orders.yaml --sqlstate 23503 --rate 500

Exit status: 0 all of them are done; 1 some are still refused, or it failed; 2 the command line or
the configuration is wrong.)");
  redriving->callback([options, &exit_status] { exit_status = redrive(*options); });
  // Not before: subcommands would take it over.
  letters->footer(
      "A record that cannot be read, computed, encoded or written becomes a dead letter, in the\n"
      "transaction of its neighbours, in the table penstock.dead_letters of the target "
      "database.\n\n"
      "Examples:\n"
      "  penstock dead-letters list --causes --config orders.yaml\n"
      "  penstock dead-letters list --reason unique_violation --since 2h --config orders.yaml\n"
      "  penstock dead-letters show 17 --config orders.yaml\n"
      "  penstock dead-letters redrive --config orders.yaml --dry-run\n"
      "  penstock dead-letters purge --until 30d --yes-drop-dead-letters --config orders.yaml");
}

}  // namespace penstock::cli
