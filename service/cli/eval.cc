#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cel/arena.h"
#include "cel/environment.h"
#include "cel/program.h"
#include "cel/text.h"
#include "cli/cli.h"
#include "core/record_batch.h"
#include "formats/field_tree.h"
#include "formats/json/json_reader.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string expression;
  std::string message;
  bool type = false;
  bool explain = false;
};

// A JSON document given as such, as a file's name, or on standard input.
std::optional<std::string> read_message(const std::string& source) {
  if (source.starts_with("{") || source.starts_with("[")) return source;
  const auto slurp = [](std::istream& in) {
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  if (source == "-") return slurp(std::cin);
  std::ifstream file(source, std::ios::binary);
  if (!file) return std::nullopt;
  return slurp(file);
}

int evaluate(const Options& options) {
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
    if (!message) {
      return report({ErrorKind::not_found, "cannot read the file '" + options.message + "'",
                     "--msg takes a file, - for standard input, or a JSON object itself", ""});
    }
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

}  // namespace

void add_eval(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* eval = app.add_subcommand("eval", "Evaluate a CEL expression: a playground");
  eval->add_option("expression", options->expression, "The expression")
      ->required()
      ->type_name("EXPR");
  eval->add_option("--msg", options->message,
                   "What `msg` is: a JSON file, - for standard input, or a JSON object itself")
      ->type_name("FILE|-|JSON");
  eval->add_flag("--type", options->type, "Print the type of the result instead of its value");
  eval->add_flag("--explain", options->explain,
                 "Print what the expression compiles to instead: its type, the fields it reads, "
                 "its estimated cost, and the typed program")
      ->excludes("--type");
  eval->footer(
      "Examples:\n"
      "  penstock eval '1 + 2 * 3'\n"
      "  penstock eval 'msg.items.filter(i, i.price > 10.0).size()' --msg order.json\n"
      "  penstock eval --type 'double(msg.quantity) * double(msg.unit_price)'\n"
      "  penstock eval --explain 'msg.items.exists(i, i.price > 10.0)'");
  eval->callback([options, &exit_status] { exit_status = evaluate(*options); });
}

}  // namespace penstock::cli
