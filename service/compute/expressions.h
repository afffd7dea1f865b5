// Checks a pipeline's expressions among themselves: names, syntax, types, and the order of `let`s.
//
// Place in the flow: the half of Projection::compile() that needs no table.
// Threads: one thread, at start. Failure: problems are collected, so that all are seen at once.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/program.h"
#include "compute/projection.h"

namespace penstock::compute {

// `msg`, with what is declared of it, and `record`, as every expression of a pipeline sees them.
[[nodiscard]] cel::Environment base_environment(std::vector<cel::Field> declared = {});

// Compiles one expression; its diagnostics become problems at `place`.
[[nodiscard]] std::optional<cel::Program> compile_at(std::string_view place,
                                                     std::string_view source,
                                                     const cel::Environment& environment,
                                                     cel::Inputs& inputs, cel::Type expected,
                                                     Problems& problems);

// The pipeline's `let`s, checked.
class Lets {
 public:
  // The options must outlive it.
  Lets(const ComputeOptions& options, Problems& problems);

  // base_environment() with every let and its type.
  [[nodiscard]] const cel::Environment& environment() const { return environment_; }
  // Those that the paths in `inputs` mention, and those that they use in turn; each after what it
  // uses. A let in `done` is left out.
  [[nodiscard]] std::vector<std::string> used_by(const cel::Inputs& inputs,
                                                 const std::set<std::string>& done = {}) const;
  // These, each after what it uses.
  [[nodiscard]] std::vector<std::string> in_order(const std::set<std::string>& names) const;

 private:
  void find_uses(Problems& problems);
  void find_order(const std::string& name, std::vector<std::string>& path, Problems& problems);
  [[nodiscard]] std::set<std::string> lets_in(const cel::Inputs& inputs) const;

  const std::map<std::string, std::string>& sources_;
  cel::Environment environment_;
  std::map<std::string, std::set<std::string>> uses_;  // per let that compiles: the lets it uses
  std::vector<std::string> order_;                     // each after what it uses
  std::set<std::string> visited_;
};

}  // namespace penstock::compute
