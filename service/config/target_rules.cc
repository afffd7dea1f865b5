#include "config/target_rules.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/read_topics.h"
#include "config/source_map.h"
#include "config/table_name.h"
#include "core/plan.h"
#include "text/nearest_names.h"

namespace penstock::config {
namespace {

namespace v1 = penstock::v1;

class TargetRules {
 public:
  // `place`: of the target below the pipeline's path.
  TargetRules(const v1::PipelineSpec& spec, const v1::TargetSpec& target, const std::string& path,
              const std::string& place, std::vector<Violation>& found)
      : spec_(spec),
        target_(target),
        place_(place),
        path_(path + "." + place),
        tombstones_(path + ".parse.tombstones"),
        found_(found) {}

  void check() {
    if (target_.table().empty()) {
      fail(path_ + ".table", "'table' is required", "\"table\" or \"schema.table\"");
    } else {
      check_groups();
    }
    check_columns();
    check_list();
    check_key();
    check_deletes();
    check_mark();
    check_version();
    check_merges();
    check_declared();
  }

 private:
  void fail(std::string path, std::string message, std::string hint = {}, bool at_key = false) {
    found_.push_back({std::move(path), at_key, std::move(message), std::move(hint)});
  }

  // What the table is called by, where the topic says it.
  void check_groups() {
    const std::string place = path_ + ".table";
    const v1::SourceSpec& source = spec_.source();
    const auto name = TableName::parse(target_.table());
    if (!target_.table().contains('{')) {  // PostgreSQL's to read, as it is
      if (!name && !target_.table().contains('}')) {
        return fail(place, name.error().message,
                    R"(write table, schema.table or schema."Table With Capitals")");
      }
      const std::string quoted = name ? name->of({}).value_or("") : "";
      if (quoted.starts_with("\"penstock\".")) {
        fail(place, "is in the schema penstock, which holds positions and dead letters",
             "write to a table in a schema of your own");
      }
      if (quoted.starts_with("\"information_schema\".") ||
          (quoted.starts_with("\"pg_") && quoted.contains("\".\""))) {
        fail(place, "is in a schema of PostgreSQL's own",
             "write to a table in a schema of your own");
      }
      if (name && name->is_too_long()) {
        fail(place, "longer than the name of a table may be (63 bytes)",
             "PostgreSQL would cut it, and write another table perhaps");
      }
      return;
    }
    if (!name) return fail(place, name.error().message, name.error().hint);
    const std::vector<std::string> wanted = name->groups();
    if (wanted.empty()) return;
    if (source.topics_matching().empty()) {
      return fail(place, "'{" + wanted.front() + "}' is a group of a pattern, and there is none",
                  "source.topics_matching has one, such as shop\\.(?P<" + wanted.front() + ">.*)");
    }
    const auto pattern = topic_pattern(source);
    if (!pattern) return;  // that is said there
    const std::vector<std::string> groups = pattern->groups();
    const std::vector<std::string_view> names(groups.begin(), groups.end());
    for (const std::string& group : wanted) {
      if (std::ranges::contains(groups, group)) continue;
      fail(place, "source.topics_matching has no group '" + group + "'",
           groups.empty() ? "name one in it: (?P<" + group + ">.*)" : text::suggest(group, names));
    }
  }

  void check_columns() {
    const std::map<std::string, std::string> columns(target_.columns().begin(),
                                                     target_.columns().end());
    for (const auto& [column, expression] : columns) {
      const std::string child = child_path(path_ + ".columns", column);
      if (column.empty()) fail(child, "a column without a name", "", true);
      if (expression.empty()) {
        fail(child, "the expression is empty", "leave the column out to use its DEFAULT");
      }
    }
  }

  void check_list() {
    if (target_.for_each().empty() || !target_.columns().empty()) return;
    fail(path_ + ".for_each", "'columns' is required where a record has several rows",
         "say what each of them has, such as " + place_ +
             ".columns: {order_id: msg.id, sku: "
             "item.sku}",
         true);
  }

  [[nodiscard]] bool appends() const {
    return target_.mode() == v1::TargetSpec::APPEND ||
           target_.mode() == v1::TargetSpec::MODE_UNSPECIFIED;
  }

  [[nodiscard]] bool replaces() const {
    return target_.mode() == v1::TargetSpec::UPSERT || target_.mode() == v1::TargetSpec::UPDATE;
  }

  void check_key() {
    const std::string path = path_ + ".key";
    if (appends() && !target_.key().empty()) {
      fail(path, "a key has no meaning where every record is a new row",
           "say mode: upsert or mode: ignore, or leave it out", true);
    }
    std::set<std::string_view> seen;
    for (int i = 0; i < target_.key_size(); ++i) {
      const std::string& column = target_.key(i);
      const std::string place = item_path(path, static_cast<std::size_t>(i));
      if (column.empty()) {
        fail(place, "a column without a name");
      } else if (!seen.insert(column).second) {
        fail(place, "'" + column + "' is in the list already");
      } else if (!target_.columns().empty() && !target_.columns().contains(column)) {
        fail(place, "the key column '" + column + "' has no expression",
             "add it to " + place_ + ".columns");
      }
    }
  }

  void check_deletes() {
    const bool by_tombstones = takes_tombstones(spec_, target_);
    if (target_.mode() != v1::TargetSpec::UPSERT && !target_.delete_when().empty()) {
      fail(path_ + ".delete_when", "only a pipeline with `mode: upsert` deletes rows",
           "say so in " + place_ + ", or leave it out");
    } else if (by_tombstones && target_.columns().empty()) {
      fail(tombstones_, "a record without a payload has no fields to take its key from",
           "say in " + place_ +
               ".columns how record.key gives it, such as id: "
               "int(string(record.key))");
    }
  }

  void check_mark() {
    const std::string& column = target_.deleted_at();
    if (column.empty()) return;
    const std::string path = path_ + ".deleted_at";
    if (target_.delete_when().empty() && !takes_tombstones(spec_, target_)) {
      fail(path, "no record deletes a row that could be marked",
           "say which do, by delete_when or by parse.tombstones: delete, or leave it out");
    }
    if (target_.columns().contains(column)) {
      fail(child_path(path_ + ".columns", column),
           "'" + column + "' has the time of the record that deletes the row, and no expression",
           "leave it out here, or name another column for deleted_at", true);
    }
    if (target_.newer_by() == column || target_.merge().contains(column) ||
        std::ranges::contains(target_.key(), column)) {
      fail(path, "'" + column + "' is named as a version, for the key, or in merge, too",
           "name a column that is there for this alone");
    }
  }

  void check_version() {
    if (target_.newer_by().empty()) return;
    const std::string path = path_ + ".newer_by";
    if (!replaces()) {
      fail(path, "only a pipeline with `mode: upsert` or `update` replaces rows",
           "say so in " + place_ + ", or leave it out");
    } else if (target_.deleted_at().empty() &&
               (!target_.delete_when().empty() || takes_tombstones(spec_, target_))) {
      fail(path,
           "a row that is deleted leaves no version behind, and an older record that comes "
           "later would bring it back",
           "have rows marked rather than deleted: deleted_at: <a column of a time>");
    } else if (!target_.columns().empty() && !target_.columns().contains(target_.newer_by())) {
      fail(path, "column '" + target_.newer_by() + "' has no expression",
           "add it to " + place_ + ".columns");
    }
  }

  void check_merges() {
    for (const auto& [column, word] :
         std::map<std::string, std::string>(target_.merge().begin(), target_.merge().end())) {
      const std::string path = child_path(path_ + ".merge", column);
      std::vector<std::string_view> words;
      for (const ColumnMerge merge : kColumnMerges) words.push_back(to_string(merge));
      if (!replaces()) {
        return fail(path_ + ".merge",
                    "only with `mode: upsert` or `update` does a value come to another",
                    "say so in " + place_ + ", or leave it out", true);
      }
      if (std::ranges::find(words, word) == words.end()) {
        fail(path, "'" + word + "' is no way to put two values together",
             text::suggest(word, words));
      } else if (!target_.columns().empty() && !target_.columns().contains(column)) {
        fail(path, "column '" + column + "' has no expression", "add it to " + place_ + ".columns",
             true);
      }
    }
  }

  // A table that the pipeline makes, or adds columns to.
  void check_declared() {
    const bool creates = target_.create_table();
    if (!creates && !target_.add_columns()) {
      if (target_.types().empty()) return;
      return fail(path_ + ".types", "types of columns are for a table that the pipeline makes",
                  "say create_table: true or add_columns: true, or leave them out", true);
    }
    if (names_tables_by_topic(spec_)) {
      return fail(path_ + (creates ? ".create_table" : ".add_columns"),
                  "a topic's name leads to tables as they are: whoever may create a topic is not "
                  "to make or change them",
                  "make the tables yourself, or name them here", true);
    }
    if (creates && !appends() && target_.key().empty()) {
      fail(path_ + ".create_table", "a table that is written by key needs one when it is made",
           "say which columns it is, such as " + place_ + ".key: [id]", true);
    }
    for (const auto& [column, type] :
         std::map<std::string, std::string>(target_.types().begin(), target_.types().end())) {
      const std::string path = child_path(path_ + ".types", column);
      if (column.empty()) fail(path, "a column without a name", "", true);
      if (type.empty()) fail(path, "the type is empty", "such as bigint or numeric(12,2)");
      if (target_.columns().empty() || target_.columns().contains(column) ||
          target_.deleted_at() == column) {
        continue;
      }
      fail(path, "column '" + column + "' has no expression", "add it to " + place_ + ".columns",
           true);
    }
  }

  const v1::PipelineSpec& spec_;
  const v1::TargetSpec& target_;
  const std::string place_;
  const std::string path_;
  const std::string tombstones_;
  std::vector<Violation>& found_;
};

class RouteRules {
 public:
  RouteRules(const v1::PipelineSpec& spec, const std::string& path, std::vector<Violation>& found)
      : spec_(spec), sink_(spec.sink()), path_(path), found_(found) {}

  void check() {
    if (sink_.routes().empty()) {
      check_one();
    } else {
      check_tombstones();
      check_several();
    }
  }

 private:
  void fail(std::string path, std::string message, std::string hint, bool at_key = false) {
    found_.push_back({std::move(path), at_key, std::move(message), std::move(hint)});
  }

  [[nodiscard]] std::vector<const v1::TargetSpec*> targets() const {
    if (sink_.routes().empty()) return {&sink_.target()};
    std::vector<const v1::TargetSpec*> targets;
    for (const v1::TargetSpec& route : sink_.routes()) targets.push_back(&route);
    return targets;
  }

  void check_tombstones() {
    if (spec_.parse().tombstones() != v1::ParseSpec::DELETE) return;
    bool has_keys = false;
    for (const v1::TargetSpec* const target : targets()) {
      if (takes_tombstones(spec_, *target)) return;
      has_keys = has_keys || target->mode() == v1::TargetSpec::UPSERT;
    }
    fail(path_ + ".parse.tombstones",
         has_keys ? "a record without a payload has no list to go through with `for_each`"
                  : "only a pipeline with `mode: upsert` deletes rows",
         sink_.routes().empty() ? "say so in sink.target, or leave it out"
                                : "say so in one of sink.routes, or leave it out");
  }

  void check_one() {
    if (sink_.has_target()) {
      check_tombstones();
      TargetRules(spec_, sink_.target(), path_, "sink.target", found_).check();
    } else {
      fail(path_ + ".sink.target", "'target' is required, or 'routes' with a table at least",
           "target: {table: orders}");
    }
    if (!sink_.target().when().empty()) {
      fail(path_ + ".sink.target.when", "'when' says which of several tables a record goes to",
           "compute.where says which records are left out", true);
    }
    constexpr const char* kHint = "list the tables under sink.routes, or leave it out";
    if (sink_.match() != v1::SinkSpec::MATCH_UNSPECIFIED) {
      fail(path_ + ".sink.match", "there are no routes to choose from", kHint, true);
    }
    if (sink_.otherwise() != v1::SinkSpec::OTHERWISE_UNSPECIFIED) {
      fail(path_ + ".sink.otherwise", "there are no routes to choose from", kHint, true);
    }
  }

  void check_several() {
    if (sink_.has_target()) {
      fail(path_ + ".sink.routes", "there is 'target', too",
           "a pipeline has one table under 'target', or several under 'routes'", true);
    }
    if (sink_.routes_size() > kMostRoutes) {
      fail(path_ + ".sink.routes",
           std::to_string(sink_.routes_size()) + " routes, at most " + std::to_string(kMostRoutes),
           "make a second pipeline of some");
    }
    std::optional<std::string> catches_all;
    for (int i = 0; i < sink_.routes_size(); ++i) {
      const std::string place = item_path("sink.routes", static_cast<std::size_t>(i));
      TargetRules(spec_, sink_.routes(i), path_, place, found_).check();
      if (sink_.match() == v1::SinkSpec::ALL) continue;
      if (catches_all) {
        fail(path_ + "." + place,
             "no record comes here: " + *catches_all + " has no 'when' and takes them all",
             "say `match: all` in sink, and a record goes to every route that takes it");
        return;
      }
      if (sink_.routes(i).when().empty()) catches_all = place;
    }
  }

  // Each of them is a part of every transaction.
  static constexpr int kMostRoutes = 64;

  const v1::PipelineSpec& spec_;
  const v1::SinkSpec& sink_;
  const std::string& path_;
  std::vector<Violation>& found_;
};

}  // namespace

bool takes_tombstones(const v1::PipelineSpec& spec, const v1::TargetSpec& target) {
  return spec.parse().tombstones() == v1::ParseSpec::DELETE &&
         target.mode() == v1::TargetSpec::UPSERT && target.for_each().empty();
}

bool names_tables_by_topic(const v1::PipelineSpec& spec) {
  if (spec.source().topics_matching().empty()) return false;
  const auto follows = [](const v1::TargetSpec& target) {
    const auto name = TableName::parse(target.table());
    return name && !name->groups().empty();
  };
  const v1::SinkSpec& sink = spec.sink();
  return sink.routes().empty() ? follows(sink.target())
                               : std::ranges::any_of(sink.routes(), follows);
}

void check_targets(const v1::PipelineSpec& spec, const std::string& path,
                   std::vector<Violation>& found) {
  RouteRules(spec, path, found).check();
}

}  // namespace penstock::config
