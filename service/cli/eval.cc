#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <format>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/environment.h"
#include "cel/program.h"
#include "cel/text.h"
#include "cli/cli.h"
#include "config/load.h"
#include "config/read_topics.h"
#include "core/record_batch.h"
#include "formats/field_tree.h"
#include "formats/json/json_reader.h"
#include "kafka/read_record.h"
#include "penstock/v1/pipeline.pb.h"
#include "spec_test/dry_run.h"
#include "text/nearest_names.h"
#include "text/printable.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string expression;
  std::string message;
  std::string config;
  std::string pipeline;
  std::string topic;
  std::string record;
  bool type = false;
  bool explain = false;
};

// More than any broker lets through.
constexpr std::size_t kMostOfAMessage = std::size_t{64} << 20;

// A JSON document given as such, as a file's name, or on standard input.
Result<std::string> read_message(const std::string& source) {
  if (source.starts_with("{") || source.starts_with("[")) return source;
  const auto slurp = [&source](std::istream& in) -> Result<std::string> {
    std::string text;
    std::array<char, 64 * 1024> piece{};
    do {
      in.read(piece.data(), piece.size());
      text.append(piece.data(), static_cast<std::size_t>(in.gcount()));
    } while (in && text.size() <= kMostOfAMessage);
    if (in.bad()) {
      return fail(ErrorKind::invalid_argument, "cannot read '" + source + "'",
                  "--msg takes a file, - for standard input, or a JSON object itself");
    }
    if (text.size() > kMostOfAMessage) {
      return fail(ErrorKind::invalid_argument, "'" + source + "' is larger than 64 MiB",
                  "--msg takes one message");
    }
    return text;
  };
  if (source == "-") return slurp(std::cin);
  std::ifstream file(source, std::ios::binary);
  if (!file) {
    return fail(ErrorKind::not_found, "cannot read the file '" + source + "'",
                "--msg takes a file, - for standard input, or a JSON object itself");
  }
  return slurp(file);
}

// ---- An expression alone
// -----------------------------------------------------------------------------------------

int evaluate_alone(const Options& options) {
  cel::Environment environment;
  environment.declare_document("msg");
  cel::Inputs inputs;
  const auto program = cel::compile(options.expression, environment, inputs);
  if (!program) {
    std::cerr << cel::render(options.expression, "expression", program.error());
    return kUsage;
  }
  if (options.type) {
    std::cout << program->result_type().to_string() << "\n";
    return kOk;
  }
  if (options.explain) {
    std::cout << program->explain();
    return kOk;
  }

  cel::Arena arena;
  std::vector<cel::Value> slots(inputs.size(), cel::Value::absent(0));
  std::string document;
  const formats::FieldTree tree(inputs.paths());
  formats::JsonReader reader({}, tree);
  if (!options.message.empty()) {
    auto message = read_message(options.message);
    if (!message) return report(message.error());
    document = std::move(*message);
    const std::size_t size = document.size();
    document.resize(size + RecordBatch::kPadding);  // the reader needs room behind the document
    const auto verdict = reader.read({document.data(), size}, arena, slots);
    if (!verdict.ok()) {
      return report({ErrorKind::data, "the message is not valid: " + verdict.message, "", ""});
    }
  } else if (inputs.size() > 0) {
    return report(
        {ErrorKind::invalid_argument,
         "the expression reads " + inputs.paths().front().to_string() + ", and there is no message",
         "give one with --msg FILE, --msg - or --msg '{...}'", ""});
  }

  cel::Frame frame;
  const cel::Value result = program->evaluate(slots, arena, frame);
  if (result.is_error()) {
    return report({ErrorKind::data, cel::to_text(result), "", ""});
  }
  std::cout << cel::to_text(result);
  if (result.is_absent()) std::cout << ": the message has no such field";
  std::cout << "\n";
  return kOk;
}

// ---- A record through a pipeline
// -----------------------------------------------------------------------------------------

struct RecordPlace {
  std::string topic;
  std::int32_t partition = 0;
  Offset offset = 0;
};

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0;
}

// "topic/partition/offset"; the name of a topic has no slash.
Result<RecordPlace> read_place(const std::string& text) {
  const std::size_t first = text.find('/');
  const std::size_t second = text.find('/', first == std::string::npos ? first : first + 1);
  RecordPlace place;
  if (second == std::string::npos ||
      !read_number(std::string_view(text).substr(first + 1, second - first - 1), place.partition) ||
      !read_number(std::string_view(text).substr(second + 1), place.offset)) {
    return fail(ErrorKind::invalid_argument, "--offset '" + text + "' names no record",
                "TOPIC/PARTITION/OFFSET, such as orders/3/4711");
  }
  place.topic = text.substr(0, first);
  return place;
}

bool reads(const v1::PipelineSpec& spec, const std::string& topic) {
  return topic.empty() || config::reads_topic(spec.source(), topic);
}

// The pipeline that was named, or the only one that reads the topic.
Result<int> find_pipeline(const Options& options, const config::Loaded& loaded,
                          const std::string& topic) {
  std::vector<int> found;
  std::vector<std::string_view> names;
  std::vector<std::string_view> topics;
  for (int i = 0; i < loaded.config.pipelines_size(); ++i) {
    const v1::PipelineSpec& spec = loaded.config.pipelines(i);
    names.push_back(spec.name());
    if (!options.pipeline.empty() && spec.name() != options.pipeline) continue;
    topics.insert(topics.end(), spec.source().topics().begin(), spec.source().topics().end());
    if (!spec.source().topics_matching().empty()) {
      topics.emplace_back(spec.source().topics_matching());
    }
    if (reads(spec, topic)) found.push_back(i);
  }
  if (found.size() == 1) return found.front();
  if (!found.empty()) {
    return fail(
        ErrorKind::invalid_argument,
        topic.empty() ? "the file has several pipelines" : "several pipelines read '" + topic + "'",
        "name one with --pipeline: " + text::suggest("", names));
  }
  if (topics.empty()) {
    return fail(ErrorKind::invalid_argument, "there is no pipeline '" + options.pipeline + "'",
                text::suggest(options.pipeline, names));
  }
  return fail(ErrorKind::invalid_argument,
              options.pipeline.empty() ? "no pipeline reads the topic '" + topic + "'"
                                       : "the pipeline does not read the topic '" + topic + "'",
              text::suggest(topic, topics));
}

Result<kafka::Record> find_record(const Options& options, const v1::PipelineSpec& spec,
                                  const std::optional<RecordPlace>& place) {
  constexpr std::chrono::seconds kTimeout(10);
  if (place) {
    return kafka::read_record({spec.source().kafka().begin(), spec.source().kafka().end()},
                              place->topic, place->partition, place->offset, kTimeout);
  }
  auto message = read_message(options.message);
  if (!message) return std::unexpected(message.error());
  kafka::Record record;
  record.topic = options.topic.empty() && !spec.source().topics().empty() ? spec.source().topics(0)
                                                                          : options.topic;
  record.value = *std::move(message);
  return record;
}

void show(const spec_test::DryRun& run) {
  const auto shown = [](const std::string& text) {
    return text::printable(text, text::Lines::keep);
  };
  std::size_t width = 0;
  for (const auto& step : run.steps) width = std::max(width, shown(step.name).size());
  for (const auto& step : run.steps) {
    std::cout << std::format("{:{}}  {}\n", shown(step.name), width, shown(step.value));
  }
  std::cout << shown(run.outcome) << "\n";
}

int run_dry(const Options& options) {
  std::optional<RecordPlace> place;
  if (!options.record.empty()) {
    auto read = read_place(options.record);
    if (!read) return report(read.error());
    place = *std::move(read);
  }
  config::Loaded loaded;
  const bool asks_kafka = !options.record.empty();
  if (!load_config(options.config, loaded,
                   asks_kafka ? config::Servers::needed : config::Servers::not_needed)) {
    return kUsage;
  }
  const auto index = find_pipeline(options, loaded, place ? place->topic : options.topic);
  if (!index) return report(index.error());
  if (options.record.empty() && options.message.empty()) {
    return report({ErrorKind::invalid_argument, "there is no record",
                   "--offset TOPIC/PARTITION/OFFSET takes one from Kafka; --msg FILE, --msg - or "
                   "--msg '{...}' gives a payload",
                   ""});
  }
  const v1::SourceSpec& source = loaded.config.pipelines(*index).source();
  if (!place && options.topic.empty() && !source.topics_matching().empty()) {
    return report({ErrorKind::invalid_argument,
                   "the pipeline's topics are those that match a pattern",
                   "say which one the record is of: --topic NAME", ""});
  }
  const auto record = find_record(options, loaded.config.pipelines(*index), place);
  if (!record) return report(record.error());
  const auto run = options.expression.empty()
                       ? spec_test::dry_run(loaded, *index, *record)
                       : spec_test::dry_run(loaded, *index, *record, options.expression);
  if (!run) {
    print(run.error());
    return kUsage;
  }
  show(*run);
  return run->fate == spec_test::RecordRun::Fate::reject ? kFailed : kOk;
}

int evaluate(const Options& options) {
  if (!options.config.empty()) return run_dry(options);
  if (!options.expression.empty()) return evaluate_alone(options);
  return report({ErrorKind::invalid_argument, "there is no expression",
                 "penstock eval EXPRESSION, or --config FILE for all of a pipeline's", ""});
}

}  // namespace

void add_eval(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* eval = app.add_subcommand(
      "eval", "Evaluate a CEL expression, or see what a pipeline makes of a record");
  eval->add_option("expression", options->expression, "The expression")->type_name("EXPR");
  CLI::Option* message =
      eval->add_option("--msg", options->message,
                       "What `msg` is: a JSON file, - for standard input, or a JSON object itself")
          ->type_name("FILE|-|JSON");
  CLI::Option* config =
      eval->add_option("-c,--config", options->config,
                       "Configuration file: its pipeline's schema, lets and `record` are known")
          ->type_name("FILE");
  eval->add_option("-p,--pipeline", options->pipeline, "The pipeline, where several would do")
      ->type_name("NAME")
      ->needs(config);
  eval->add_option("--topic", options->topic,
                   "The topic that a payload is of (default: the first of source.topics)")
      ->type_name("NAME")
      ->needs(config);
  eval->add_option("--offset", options->record,
                   "A record in Kafka, which is read without the consumer group")
      ->type_name("TOPIC/PARTITION/OFFSET")
      ->needs(config)
      ->excludes(message);
  CLI::Option* type =
      eval->add_flag("--type", options->type, "Print the type of the result instead of its value")
          ->excludes(config);
  eval->add_flag("--explain", options->explain,
                 "Print what the expression compiles to instead: its type, the fields it reads, "
                 "its estimated cost, and the typed program")
      ->excludes(type)
      ->excludes(config);
  eval->footer(
      R"(An expression alone knows `msg`. With --config it knows all that the pipeline's own know; and
without an expression, each of the pipeline's is evaluated: its lets, `where`, its columns, and then
what the record would become. Nothing is written, and no offset is committed. What only the table
can say is not asked: column types, constraints, triggers.

Examples:
  penstock eval '1 + 2 * 3'
  penstock eval 'msg.items.filter(i, i.price > 10.0).size()' --msg order.json
  penstock eval --type 'double(msg.quantity) * double(msg.unit_price)'
  penstock eval --explain 'msg.items.exists(i, i.price > 10.0)'
  penstock eval --config orders.yaml --msg order.json
  penstock eval --config orders.yaml --offset orders/3/4711
  penstock eval --config orders.yaml --offset orders/3/4711 'record.headers'

Exit status: 0 done; 1 the expression failed, or the record would be a dead letter; 2 the command
line, the configuration or the expression is wrong.)");
  eval->callback([options, &exit_status] { exit_status = evaluate(*options); });
}

}  // namespace penstock::cli
