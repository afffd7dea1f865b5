#include "cel/vm/cost.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace penstock::cel {
namespace {

constexpr std::uint64_t kCall = 4;
constexpr std::uint64_t kRegularExpression = 20;
// Setting up a macro, and going from one element to the next.
constexpr std::uint64_t kLoop = 4;
constexpr std::uint64_t kRound = 1;

// Calls of these are one instruction each.
bool is_operator(std::string_view name) {
  return name.find('_') != std::string_view::npos || name == op::kIn || name == "size" ||
         name == "int" || name == "double";
}

class Estimation {
 public:
  void add(const Node* node) {
    if (node->resolution == Resolution::kInput) return count(node->test_only ? 1 : 0);
    switch (node->kind) {
      case NodeKind::kLiteral:
      case NodeKind::kIdent:
        return;
      case NodeKind::kComprehension:
        return add_loop(node);
      case NodeKind::kCall:
        count(cost_of_call(node));
        break;
      default:
        count(1);
        break;
    }
    if (node->target != nullptr) add(node->target);
    for (const Node* arg : node->args) add(arg);
    if (node->kind == NodeKind::kList || node->kind == NodeKind::kMap) count(node->args.size());
  }

  CostEstimate finish() && {
    CostEstimate cost;
    for (auto& [over, operations] : costs_) {
      if (over.empty()) {
        cost.operations = operations;
      } else {
        cost.loops.push_back({over, operations});
      }
    }
    return cost;
  }

 private:
  void count(std::uint64_t operations) { costs_[loops_] += operations; }

  static std::uint64_t cost_of_call(const Node* node) {
    if (node->name == "matches" || node->name.starts_with("regex.")) return kRegularExpression;
    return is_operator(node->name) ? 1 : kCall;
  }

  void add_loop(const Node* node) {
    add(node->target);
    count(kLoop);
    loops_.push_back(described(node->target));
    count(kRound);
    for (const Node* arg : node->args) add(arg);
    loops_.pop_back();
  }

  // What a macro goes over, as a person would say it.
  std::string described(const Node* node) const {
    if (node->resolution == Resolution::kInput) {
      return InputPath{.root = node->input.root, .segments = node->input.segments}.to_string();
    }
    switch (node->kind) {
      case NodeKind::kIdent:
        return std::string(node->name);
      case NodeKind::kSelect:
        return described(node->target) + "." + std::string(node->name);
      case NodeKind::kComprehension:
        return described(node->target);
      case NodeKind::kList:
        return "a list of " + std::to_string(node->args.size());
      default:
        return "what " + std::string(node->kind == NodeKind::kCall ? node->name : "that") +
               " gives";
    }
  }

  // By the loops around, the outermost first.
  std::map<std::vector<std::string>, std::uint64_t> costs_;
  std::vector<std::string> loops_;
};

}  // namespace

CostEstimate estimate_cost(const Node* node) {
  Estimation estimation;
  estimation.add(node);
  return std::move(estimation).finish();
}

}  // namespace penstock::cel
