#include <string>
#include <string_view>
#include <vector>

#include "cel/library/library.h"
#include "fuzz/seed_folder.h"

namespace penstock {
namespace {

constexpr std::string_view kWords[] = {"&&",
                                       "||",
                                       "==",
                                       "!=",
                                       "<=",
                                       ">=",
                                       "?",
                                       ":",
                                       "!",
                                       "in",
                                       "[?",
                                       ".?",
                                       "{?",
                                       "null",
                                       "true",
                                       "false",
                                       "u",
                                       "0x",
                                       "b'",
                                       "r\"",
                                       "'''",
                                       "\\u00e9",
                                       "\\x",
                                       "has(",
                                       "msg.a",
                                       "record",
                                       "groups",
                                       "any",
                                       "all(",
                                       "exists(",
                                       "map(",
                                       "filter(",
                                       "sortBy(",
                                       "exists_one(",
                                       "transformMap(",
                                       "transformMapEntry(",
                                       "transformList(",
                                       "optMap(",
                                       "optFlatMap(",
                                       "cel.bind(",
                                       "cel.block(",
                                       "cel.index(",
                                       "//",
                                       "google.protobuf.Timestamp"};

}  // namespace

// An option byte in front; behind an expression to evaluate, its end and some bytes of values.
void add_expression_seed(SeedFolder& folder, std::string_view expression) {
  folder.add("compile", std::string(1, '\0') + std::string(expression));
  const char option = "\1\5\3"[expression.size() % 3];
  const std::string values = std::to_string(expression.size() * 7919);
  folder.add("evaluate", option + std::string(expression) + std::string(1, '\0') + values + values);
}

void add_expression_seeds(SeedFolder& folder) {
  std::vector<std::string> words(std::begin(kWords), std::end(kWords));
  for (const cel::FunctionGroup& group : cel::function_groups()) {
    for (const cel::FunctionRow& row : group.rows) {
      if (!row.example.empty()) add_expression_seed(folder, row.example);
    }
  }
  for (const cel::Function& function : cel::all_functions()) {
    if (function.name.find_first_of("_@!") != 0) words.push_back(std::string(function.name) + "(");
  }
  for (const char* target : {"compile", "evaluate"}) folder.write_dictionary(target, words);
}

}  // namespace penstock
