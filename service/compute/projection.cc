#include "compute/projection.h"

#include <algorithm>
#include <format>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "cel/expression_set.h"
#include "compute/expressions.h"
#include "compute/plan.h"
#include "compute/route_binding.h"
#include "text/json_string.h"

namespace penstock::compute {
namespace {

using cel::TypeKind;

// Expressions that are compiled together, in the order in which a record meets them.
class Parts {
 public:
  enum class Kind : std::uint8_t { let, where, when, for_each, delete_when, column };
  struct Part {
    Kind kind;
    std::string name;   // of a let or a column
    std::string place;  // in the pipeline's spec
    std::string source;
  };

  Parts(std::uint64_t max_steps, Problems& problems)
      : problems_(problems), set_({.max_steps = max_steps}) {}

  void add(Part part, const cel::Environment& environment, ExpressionPlan::Route* route) {
    const auto added = set_.add(part.source, environment);
    if (!added) return report(part, added.error());
    parts_.push_back(std::move(part));
    routes_.push_back(route);
  }

  // Into `plan` and the routes that they were added with; what they have in common, and the lets,
  // into `steps`. False: there are problems.
  bool compile(ExpressionPlan& plan, std::vector<ExpressionPlan::Step>& steps) {
    if (!problems_.empty()) return false;
    auto compiled = set_.compile(plan.inputs);
    if (!compiled) {
      report(parts_[compiled.error().expression], {compiled.error().diagnostic});
      return false;
    }
    for (cel::ExpressionSet::Step& step : *compiled) place(plan, steps, std::move(step));
    return true;
  }

 private:
  // Only for what compiles by itself, but not together with the others.
  void report(const Part& part, const std::vector<cel::Diagnostic>& diagnostics) {
    for (const cel::Diagnostic& diagnostic : diagnostics) {
      problems_.push_back(
          {part.place, diagnostic.line, diagnostic.column, diagnostic.message, diagnostic.hint});
    }
  }

  void place(ExpressionPlan& plan, std::vector<ExpressionPlan::Step>& steps,
             cel::ExpressionSet::Step step) const {
    const Part& part = parts_[step.expression];
    ExpressionPlan::Route* const route = routes_[step.expression];
    if (step.shared_slot) {
      steps.push_back({shown(part), *step.shared_slot, std::move(step.program)});
      return;
    }
    switch (part.kind) {
      case Kind::let:
        steps.push_back({shown(part), plan.inputs.add(part.name, {}), std::move(step.program)});
        return;
      case Kind::where:
        plan.where = std::move(step.program);
        plan.steps_for_where = steps.size();
        return;
      case Kind::when:
        route->when = std::move(step.program);
        return;
      case Kind::for_each:
        route->for_each = std::move(step.program);
        return;
      case Kind::delete_when:
        route->delete_when = std::move(step.program);
        return;
      case Kind::column:
        ExpressionPlan::Column& column =
            *std::ranges::find(route->columns, part.name, &ExpressionPlan::Column::name);
        column.input = step.program.direct_input().value_or(ExpressionPlan::kNoSlot);
        if (column.input == ExpressionPlan::kNoSlot) column.program = std::move(step.program);
        return;
    }
  }

  static std::string shown(const Part& part) {
    switch (part.kind) {
      case Kind::let:
        return std::format("let \"{}\"", part.name);
      case Kind::where:
        return "where";
      case Kind::when:
        return "when";
      case Kind::for_each:
        return "for_each";
      case Kind::delete_when:
        return "delete_when";
      case Kind::column:
        break;
    }
    return std::format("column \"{}\"", part.name);
  }

  Problems& problems_;
  cel::ExpressionSet set_;
  std::vector<Part> parts_;                     // the expressions of set_
  std::vector<ExpressionPlan::Route*> routes_;  // likewise
};

void find_record_slots(ExpressionPlan& plan) {
  ExpressionPlan::RecordSlots& slots = plan.record;
  const std::span<const cel::InputPath> paths = plan.inputs.paths();
  for (std::uint32_t slot = 0; slot < paths.size(); ++slot) {
    if (paths[slot].root != "record") continue;
    slots.is_read = true;
    // All of `record` is not a value, so that a field is always named.
    const std::string_view field = paths[slot].segments.front();
    if (field == "topic") slots.topic = slot;
    if (field == "partition") slots.partition = slot;
    if (field == "offset") slots.offset = slot;
    if (field == "timestamp") slots.timestamp = slot;
    if (field == "key") slots.key = slot;
    if (field == "headers") slots.headers = slot;
    if (field == "value") (paths[slot].as_text ? slots.value_text : slots.value) = slot;
  }
}

void add_slots(const cel::Program& program, std::set<std::uint32_t>& slots) {
  slots.insert(program.slots_read().begin(), program.slots_read().end());
}

void add_slots(const std::vector<ExpressionPlan::Step>& steps, std::set<std::uint32_t>& slots) {
  for (const ExpressionPlan::Step& step : steps) add_slots(step.program, slots);
}

// What is read of a record that goes there.
std::set<std::uint32_t> slots_read(const ExpressionPlan& plan, const ExpressionPlan::Route& route) {
  std::set<std::uint32_t> slots;
  add_slots(plan.steps, slots);
  add_slots(route.steps_for_list, slots);
  add_slots(route.steps, slots);
  for (const auto* const program :
       {&plan.where, &route.when, &route.for_each, &route.delete_when}) {
    if (*program) add_slots(**program, slots);
  }
  for (const ExpressionPlan::Column& column : route.columns) {
    if (column.program) add_slots(*column.program, slots);
    if (column.input != ExpressionPlan::kNoSlot) slots.insert(column.input);
  }
  return slots;
}

void find_origins(ExpressionPlan& plan) {
  plan.origins.resize(plan.inputs.paths().size());
  std::iota(plan.origins.begin(), plan.origins.end(), 0);
  const auto follow = [&](const std::vector<ExpressionPlan::Step>& steps) {
    for (const ExpressionPlan::Step& step : steps) {  // each after those it uses
      if (const auto input = step.program.direct_input()) {
        plan.origins[step.slot] = plan.origins[*input];
      }
    }
  };
  follow(plan.steps);
  for (const ExpressionPlan::Route& route : plan.routes) {
    follow(route.steps_for_list);
    follow(route.steps);
  }
}

void find_fields(ExpressionPlan& plan) {
  const std::span<const cel::InputPath> paths = plan.inputs.paths();
  for (std::uint32_t slot = 0; slot < paths.size(); ++slot) {
    // All of the document is there, whatever it is.
    if (paths[slot].root == "msg") plan.fields.push_back(slot);
  }
  for (ExpressionPlan::Route& route : plan.routes) {
    const std::string_view root = route.for_each ? "item" : "msg";
    for (const std::uint32_t slot : slots_read(plan, route)) {
      if (paths[slot].root == root) route.fields.push_back(slot);
      if (paths[slot].root == "item") route.item_slots.push_back(slot);
      if (paths[slot].root == "index") route.index = slot;
    }
    for (const ExpressionPlan::Column& column : route.columns) {
      if (column.input == ExpressionPlan::kNoSlot) continue;
      const std::uint32_t field = plan.origins[column.input];
      if (paths[field].root == root && !paths[field].segments.empty()) {
        route.bare_fields.push_back(field);
      }
    }
  }
}

// Checks expressions, binds them to their tables, and puts them together; collects every problem.
class Compilation {
 public:
  Compilation(const ComputeOptions& options, Problems& problems)
      : options_(options), problems_(problems), lets_(options, problems) {
    if (!options.where.empty()) {
      std::ignore = compile_at("compute.where", options.where, lets_.environment(), where_inputs_,
                               TypeKind::kBool, problems);
    }
    routes_.reserve(options.routes.size());
    for (const RouteOptions& route : options.routes) routes_.emplace_back(route, lets_, problems);
  }

  std::unique_ptr<Projection::Plan> bind(std::span<const TableDescription> tables) {
    auto bound = std::make_unique<Projection::Plan>();
    for (std::size_t i = 0; i < routes_.size(); ++i) {
      routes_[i].bind(tables[i]);
      Projection::Plan::Table& table = bound->tables.emplace_back(tables[i]);
      for (const RouteBinding::Column& column : routes_[i].columns()) {
        table.column_indexes.push_back(column.index);
      }
    }
    if (!put_together(bound->expressions)) return nullptr;
    return bound;
  }

  std::vector<std::map<std::string, cel::Type>> column_types() {
    std::vector<std::map<std::string, cel::Type>> types;
    for (RouteBinding& route : routes_) {
      route.bind_without_table();
      std::map<std::string, cel::Type>& of_route = types.emplace_back();
      for (const RouteBinding::Column& column : route.columns()) {
        of_route.emplace(column.name, column.type);
      }
    }
    return types;
  }

  std::optional<ExpressionPlan> without_table() {
    for (RouteBinding& route : routes_) route.bind_without_table();
    ExpressionPlan plan;
    if (!put_together(plan)) return std::nullopt;
    return plan;
  }

 private:
  using Kind = Parts::Kind;
  using Names = std::set<std::string>;

  // Compiles all expressions once more, now together. False: there are problems.
  bool put_together(ExpressionPlan& plan) {
    if (!problems_.empty()) return false;
    for (const RouteBinding& route : routes_) prepare(plan, route);
    const bool is_plain = routes_.size() == 1 && options_.routes.front().when.empty() &&
                          options_.routes.front().for_each.empty();
    const Names early = names(lets_.used_by(where_inputs_));
    const Names shared = shared_lets(early, is_plain);
    Parts parts(options_.max_steps, problems_);
    add_lets(parts, early);
    if (!options_.where.empty()) {
      parts.add({Kind::where, "", "compute.where", options_.where}, lets_.environment(), nullptr);
    }
    add_lets(parts, shared);
    for (std::size_t i = 0; i < routes_.size(); ++i) {
      add(parts, Kind::when, "when", routes_[i].options().when, routes_[i].environment(), plan, i);
    }
    if (is_plain) add_row(parts, plan, 0);
    if (!parts.compile(plan, plan.steps)) return false;
    Names done = early;
    done.insert(shared.begin(), shared.end());
    for (std::size_t i = 0; i < routes_.size() && !is_plain; ++i) {
      if (!put_together(plan, i, done)) return false;
    }
    plan.tombstones = options_.tombstones;
    plan.topics = options_.topics;
    plan.memory_bytes = options_.memory_bytes;
    plan.first_route_only = options_.first_route_only;
    plan.drops_unrouted = options_.drops_unrouted;
    find_record_slots(plan);
    find_origins(plan);
    find_fields(plan);
    plan.conform = Conform(*lets_.environment().find("msg"), plan.inputs);
    return true;
  }

  // What is evaluated of the records only that go to one route.
  bool put_together(ExpressionPlan& plan, std::size_t i, const Names& done) {
    const RouteBinding& route = routes_[i];
    Parts parts(options_.max_steps, problems_);
    add_lets(parts, names(lets_.used_by(route.inputs(), done)));
    if (route.options().for_each.empty()) {
      add_row(parts, plan, i);
      return parts.compile(plan, plan.routes[i].steps);
    }
    add(parts, Kind::for_each, "for_each", route.options().for_each, route.environment(), plan, i);
    if (!parts.compile(plan, plan.routes[i].steps_for_list)) return false;
    Parts rows(options_.max_steps, problems_);
    add_row(rows, plan, i);
    return rows.compile(plan, plan.routes[i].steps);
  }

  static void prepare(ExpressionPlan& plan, const RouteBinding& binding) {
    ExpressionPlan::Route& route = plan.routes.emplace_back();
    route.name = binding.options().name;
    route.takes_tombstones = binding.options().takes_tombstones;
    for (const RouteBinding::Column& column : binding.columns()) {
      if (std::ranges::contains(binding.options().key, column.name)) {
        route.key.push_back(route.columns.size());
      }
      route.columns.push_back({column.name, ExpressionPlan::kNoSlot, std::nullopt});
      if (!column.text_of) continue;
      route.columns.back().input =
          plan.inputs.add_text(column.text_of->root, column.text_of->segments);
    }
  }

  // Lets that every record needs: those of each `when`, and those of several routes. Of a plain
  // pipeline all that are used.
  [[nodiscard]] Names shared_lets(const Names& early, bool is_plain) const {
    Names shared;
    std::map<std::string, std::size_t> uses;
    for (const RouteBinding& route : routes_) {
      for (std::string& name : lets_.used_by(route.inputs_of_when(), early)) {
        shared.insert(std::move(name));
      }
      for (const std::string& name : lets_.used_by(route.inputs(), early)) ++uses[name];
    }
    for (const auto& [name, count] : uses) {
      if (is_plain || count > 1) shared.insert(name);
    }
    return shared;
  }

  static Names names(std::vector<std::string> list) { return {list.begin(), list.end()}; }

  void add_lets(Parts& parts, const Names& names) const {
    for (const std::string& name : lets_.in_order(names)) {
      parts.add({Kind::let, name, "compute.let." + name, options_.let.at(name)},
                lets_.environment(), nullptr);
    }
  }

  void add(Parts& parts, Kind kind, const char* place, const std::string& source,
           const cel::Environment& environment, ExpressionPlan& plan, std::size_t i) const {
    if (source.empty()) return;
    parts.add({kind, "", routes_[i].place(place), source}, environment, &plan.routes[i]);
  }

  void add_row(Parts& parts, ExpressionPlan& plan, std::size_t i) const {
    const RouteBinding& route = routes_[i];
    add(parts, Kind::delete_when, "delete_when", route.options().delete_when,
        route.row_environment(), plan, i);
    for (const RouteBinding::Column& column : route.columns()) {
      if (column.text_of) continue;
      const bool is_mark = column.name == route.options().deleted_at;
      const std::string place =
          is_mark ? route.place("deleted_at") : route.place("columns.") + column.name;
      parts.add({Kind::column, column.name, place, column.source}, route.row_environment(),
                &plan.routes[i]);
    }
  }

  const ComputeOptions& options_;
  Problems& problems_;
  Lets lets_;
  cel::Inputs where_inputs_;
  std::vector<RouteBinding> routes_;
};

}  // namespace

std::string field_expression(std::string_view name) {
  std::string quoted = "msg[";
  text::append_json_string(quoted, name);  // as CEL writes it, too
  return quoted + "]";
}

Problems check_expressions(const ComputeOptions& options) {
  const auto plan = compile_expressions(options);
  return plan ? Problems() : plan.error();
}

std::expected<std::vector<std::map<std::string, cel::Type>>, Problems> column_types(
    const ComputeOptions& options) {
  Problems problems;
  auto types = Compilation(options, problems).column_types();
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return types;
}

std::expected<ExpressionPlan, Problems> compile_expressions(const ComputeOptions& options) {
  Problems problems;
  auto plan = Compilation(options, problems).without_table();
  if (!plan) return std::unexpected(std::move(problems));
  return std::move(*plan);
}

std::expected<Projection, Problems> Projection::compile(const ComputeOptions& options,
                                                        std::span<const TableDescription> tables) {
  Problems problems;
  std::unique_ptr<const Plan> plan = Compilation(options, problems).bind(tables);
  if (plan == nullptr) return std::unexpected(std::move(problems));
  return Projection(std::move(plan));
}

Projection::Projection(std::unique_ptr<const Plan> plan) : plan_(std::move(plan)) {}
Projection::Projection(Projection&&) noexcept = default;
Projection& Projection::operator=(Projection&&) noexcept = default;
Projection::~Projection() = default;

std::span<const cel::InputPath> Projection::inputs() const {
  return plan_->expressions.inputs.paths();
}
std::span<const std::uint16_t> Projection::columns(std::size_t route) const {
  return plan_->tables[route].column_indexes;
}

}  // namespace penstock::compute
