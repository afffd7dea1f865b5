#include "kafka/topic_pattern.h"

#include <re2/re2.h>

#include <utility>

namespace penstock::kafka {

struct TopicPattern::Compiled {
  explicit Compiled(std::string_view pattern)
      : regex(re2::StringPiece(pattern.data(), pattern.size()), quiet()) {}
  static re2::RE2::Options quiet() {
    re2::RE2::Options options;
    options.set_log_errors(false);
    return options;
  }
  const re2::RE2 regex;
};

TopicPattern::TopicPattern(std::shared_ptr<const Compiled> compiled)
    : compiled_(std::move(compiled)) {}

Result<TopicPattern> TopicPattern::make(std::string_view pattern) {
  auto compiled = std::make_shared<const Compiled>(pattern);
  if (!compiled->regex.ok()) {
    return fail(ErrorKind::invalid_argument, "not a regular expression: " + compiled->regex.error(),
                R"(RE2's syntax, such as shop\..* or shop\.(?P<table>.*))");
  }
  return TopicPattern(std::move(compiled));
}

const std::string& TopicPattern::text() const { return compiled_->regex.pattern(); }

bool TopicPattern::matches(std::string_view topic) const {
  return !topic.starts_with("__") &&
         re2::RE2::FullMatch(re2::StringPiece(topic.data(), topic.size()), compiled_->regex);
}

std::vector<std::string> TopicPattern::groups() const {
  std::vector<std::string> names;
  for (const auto& [name, number] : compiled_->regex.NamedCapturingGroups()) names.push_back(name);
  return names;
}

std::map<std::string, std::string> TopicPattern::groups_of(std::string_view topic) const {
  const re2::RE2& regex = compiled_->regex;
  std::vector<re2::StringPiece> parts(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) +
                                      1);
  std::map<std::string, std::string> groups;
  if (!regex.Match(re2::StringPiece(topic.data(), topic.size()), 0, topic.size(),
                   re2::RE2::ANCHOR_BOTH, parts.data(), static_cast<int>(parts.size()))) {
    return groups;
  }
  for (const auto& [name, number] : regex.NamedCapturingGroups()) {
    const re2::StringPiece part = parts[static_cast<std::size_t>(number)];
    groups.emplace(name, std::string(part.data(), part.size()));
  }
  return groups;
}

}  // namespace penstock::kafka
