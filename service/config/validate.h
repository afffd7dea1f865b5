// What a configuration must satisfy beyond its structure, and the defaults of what it leaves out.
//
// The loader calls both; a spec that arrives by gRPC goes through the same two functions.
// Expressions, kafka properties' own rules and the table are checked by those who know them
// (compute/, ingest/, write/).
// Threads: free functions, callable from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "penstock/v1/pipeline.pb.h"

namespace penstock::config {

struct Violation {
  std::string path;     // as in SourceMap
  bool at_key = false;  // the key itself is wrong, not its value
  std::string message;
  std::string hint;
};

// All rules, in the order of the message. Empty: the configuration may be used.
[[nodiscard]] std::vector<Violation> validate(const penstock::v1::Config& config);
// The rules of one pipeline; `path` leads the paths, such as "pipelines[2]".
[[nodiscard]] std::vector<Violation> validate(const penstock::v1::PipelineSpec& spec,
                                              std::string_view path);

// The same configuration with every default written out: the only place where defaults are.
// `server.max_workers` stays 0 when it was left out: that is the number of CPUs that the cgroup
// allows on whatever machine runs it.
[[nodiscard]] penstock::v1::Config with_defaults(penstock::v1::Config config);
[[nodiscard]] penstock::v1::PipelineSpec with_defaults(penstock::v1::PipelineSpec spec);

}  // namespace penstock::config
