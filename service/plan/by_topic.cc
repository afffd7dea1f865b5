#include "plan/by_topic.h"

#include <map>
#include <utility>
#include <vector>

#include "config/read_topics.h"
#include "config/table_name.h"

namespace penstock::plan {
namespace {

bool follows_from_topic(const v1::TargetSpec& target) {
  const auto name = config::TableName::parse(target.table());
  return name && !name->groups().empty();
}

Result<void> resolve(v1::TargetSpec& target, const std::map<std::string, std::string>& groups) {
  if (!follows_from_topic(target)) return {};
  const auto name = config::TableName::parse(target.table())->of(groups);
  if (!name) return std::unexpected(name.error());
  target.set_table(*name);
  return {};
}

}  // namespace

Result<v1::PipelineSpec> for_topic(v1::PipelineSpec spec, const std::string& topic) {
  const auto pattern = config::topic_pattern(spec.source());
  if (!pattern || !pattern->matches(topic)) {
    return fail(ErrorKind::invalid_argument, "the pipeline does not read topic '" + topic + "'");
  }
  const std::map<std::string, std::string> groups = pattern->groups_of(topic);
  v1::SinkSpec& sink = *spec.mutable_sink();
  if (sink.routes().empty()) {
    if (auto done = resolve(*sink.mutable_target(), groups); !done) {
      return std::unexpected(done.error());
    }
  }
  for (v1::TargetSpec& route : *sink.mutable_routes()) {
    if (auto done = resolve(route, groups); !done) return std::unexpected(done.error());
  }
  return spec;
}

}  // namespace penstock::plan
