#include <unistd.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <format>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "config/load.h"
#include "penstock/v1/pipeline.pb.h"
#include "spec_test/run.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string config;
  std::string pipeline;
  std::string filter;
};

int nothing_to_run(const Options& options, const config::Loaded& loaded) {
  std::string tests;
  std::string pipelines;
  for (const v1::PipelineSpec& spec : loaded.config.pipelines()) {
    pipelines += (pipelines.empty() ? "" : ", ") + spec.name();
    if (!options.pipeline.empty() && spec.name() != options.pipeline) continue;
    for (const v1::TestSpec& test : spec.tests())
      tests += "\n  " + spec.name() + ": " + test.name();
  }
  if (!tests.empty()) {
    return report({ErrorKind::invalid_argument,
                   "the name of no test contains '" + options.filter + "'", "there is:" + tests,
                   ""});
  }
  const bool known = std::ranges::any_of(loaded.config.pipelines(), [&](const auto& spec) {
    return options.pipeline.empty() || spec.name() == options.pipeline;
  });
  if (!known) {
    return report({ErrorKind::invalid_argument, "there is no pipeline '" + options.pipeline + "'",
                   "there is: " + pipelines, ""});
  }
  return report({ErrorKind::invalid_argument, "there are no tests in " + options.config,
                 "write them under 'tests:' of a pipeline: penstock test --help shows how", ""});
}

// `penstock test orders.yaml` means that file.
Options with_file(Options options) {
  const std::string_view word = options.filter;
  if (options.config.empty() && (word.ends_with(".yaml") || word.ends_with(".yml"))) {
    std::swap(options.config, options.filter);
  }
  return options;
}

int test(const Options& options) {
  if (options.config.empty()) {
    return report({ErrorKind::invalid_argument, "no configuration file was named",
                   "penstock test FILE, or penstock test FILTER --config FILE", ""});
  }
  config::Loaded loaded;
  if (!load_config(options.config, loaded, config::Servers::not_needed)) return kUsage;
  config::Problems problems;
  std::vector<spec_test::TestResult> results;
  for (int index = 0; index < loaded.config.pipelines_size(); ++index) {
    const std::string& name = loaded.config.pipelines(index).name();
    if (!options.pipeline.empty() && name != options.pipeline) continue;
    auto ran = spec_test::run_tests(loaded, index, options.filter);
    if (ran) {
      std::ranges::move(*ran, std::back_inserter(results));
    } else {
      std::ranges::move(ran.error(), std::back_inserter(problems));
    }
  }
  if (!problems.empty()) {
    print(problems);
    return kUsage;
  }
  if (results.empty()) return nothing_to_run(options, loaded);

  const bool with_colour = wants_colour(STDOUT_FILENO);
  std::size_t failed = 0;
  for (const spec_test::TestResult& result : results) {
    std::cout << spec_test::render(result, with_colour);
    if (!result.passed()) ++failed;
  }
  const auto count = [with_colour](std::size_t number, std::string_view what, int colour) {
    const std::string text = std::format("{} {}", number, what);
    return with_colour && number > 0 ? std::format("\033[{}m{}\033[0m", colour, text) : text;
  };
  std::cout << count(results.size() - failed, "passed", 32) << ", " << count(failed, "failed", 31)
            << "\n";
  return failed == 0 ? kOk : kFailed;
}

}  // namespace

void add_test(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("test", "Run the tests beside a pipeline, without Kafka and PostgreSQL");
  command->add_option("filter", options->filter, "Only tests whose name contains this")
      ->type_name("FILTER");
  command->add_option("-c,--config", options->config, "Configuration file")->type_name("FILE");
  command->add_option("-p,--pipeline", options->pipeline, "Only the tests of this pipeline")
      ->type_name("NAME");
  command->footer(R"(Tests stand in the configuration, under the pipeline that they are about:

  pipelines:
    - name: orders
      ...
      tests:
        - name: multiplies what was ordered by its price
          records:
            - value: '{"id": 7, "quantity": 3, "unit_price": 2.5}'
            - value: '{"id": 8, "quantity": 0, "unit_price": 2.5}'
            - value: '{"id": 9, "quantity": 1}'
          expect:
            rows:
              - {id: 7, total: 7.5}
            filtered: 1
            rejects:
              - {reason: no_such_field, message: unit_price}

A pipeline with routes has tables: [{table: orders, rows: …}, …] in place of rows.

Each record goes the way it goes in penstock serve: it is read, held to the schema, and where, let,
routes and columns are evaluated. Everything that becomes of the records must be listed, in their order;
of a row only the columns that matter. A record may also have a key, headers, a topic, a partition,
an offset and a timestamp. What only the table can say is not tested: column types, NOT NULL.

Exit status: 0 all passed, 1 some failed, 2 the command line, the configuration or a test is wrong.)");
  command->callback([options, &exit_status] { exit_status = test(with_file(*options)); });
}

}  // namespace penstock::cli
