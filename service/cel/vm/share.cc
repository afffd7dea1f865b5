#include "cel/vm/share.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "cel/library/library.h"
#include "cel/text.h"
#include "cel/vm/cost.h"

namespace penstock::cel {
namespace {

// Operations below which computing twice is as cheap as looking up.
constexpr std::uint64_t kWorthSharing = 4;

// Equal subtrees get equal numbers.
struct Numbered {
  std::uint32_t number = 0;
  std::uint32_t size = 1;  // nodes
  // Of the macro variables it uses, the outermost: an index into the scope.
  std::size_t outermost_local = std::numeric_limits<std::size_t>::max();
  bool reads_input = false;
};

struct Occurrence {
  std::size_t expression;
  Node* node;
  bool certain;
};

class Sharing {
 public:
  explicit Sharing(std::span<Ast* const> expressions) : expressions_(expressions) {
    for (std::size_t i = 0; i < expressions.size(); ++i) {
      expression_ = i;
      visit(expressions[i]->root, true);
    }
  }

  std::vector<SharedNode> take_out(std::size_t first) {
    std::vector<const Candidate*> largest_first;
    for (const auto& [number, candidate] : candidates_) {
      if (candidate.occurrences.size() > 1) largest_first.push_back(&candidate);
    }
    std::ranges::stable_sort(largest_first, std::greater<>(), &Candidate::size);
    std::vector<std::pair<std::uint32_t, SharedNode>> taken;
    for (const Candidate* candidate : largest_first) {
      if (auto shared = take_out(*candidate, first + taken.size())) {
        taken.emplace_back(candidate->size, std::move(*shared));
      }
    }
    // A part before the whole.
    std::ranges::stable_sort(
        taken, {}, [](const auto& entry) { return std::pair(entry.second.owner, entry.first); });
    std::vector<SharedNode> ordered;
    for (auto& [size, shared] : taken) ordered.push_back(std::move(shared));
    return ordered;
  }

 private:
  struct Candidate {
    std::uint32_t size = 0;
    std::vector<Occurrence> occurrences;  // in the order of evaluation
  };

  Numbered visit(Node* node, bool certain) {
    Numbered result;
    std::string key = key_of(node, result);
    if (node->resolution != Resolution::kInput && node->resolution != Resolution::kTypeName) {
      for (std::size_t i = 0; i < children(node); ++i) {
        const Numbered child = visit_child(node, i, certain);
        key += ' ' + std::to_string(child.number);
        result.size += child.size;
        result.reads_input = result.reads_input || child.reads_input;
        result.outermost_local = std::min(result.outermost_local, child.outermost_local);
      }
    }
    result.number = numbers_.try_emplace(std::move(key), numbers_.size()).first->second;
    const bool is_computed = node->resolution != Resolution::kInput &&
                             node->kind != NodeKind::kLiteral && node->kind != NodeKind::kIdent;
    if (is_computed && result.reads_input && result.outermost_local >= scope_.size()) {
      Candidate& candidate = candidates_[result.number];
      candidate.size = result.size;
      candidate.occurrences.push_back({expression_, node, certain});
    }
    return result;
  }

  // The target is child 0, if there is one.
  static std::size_t children(const Node* node) {
    return node->args.size() + (node->target != nullptr ? 1 : 0);
  }

  Numbered visit_child(Node* node, std::size_t i, bool certain) {
    const std::size_t targets = node->target != nullptr ? 1 : 0;
    if (i < targets) return visit(node->target, certain);
    Node* const child = node->args[i - targets];
    if (node->kind == NodeKind::kComprehension) {
      scope_.push_back(node->local);
      if (!node->variable2.empty()) scope_.push_back(node->local2);
      const Numbered body = visit(child, false);
      scope_.resize(scope_.size() - (node->variable2.empty() ? 1 : 2));
      return body;
    }
    if (node->kind == NodeKind::kBind && i - targets == 1) {
      scope_.push_back(node->local);
      const Numbered body = visit(child, certain);
      scope_.pop_back();
      return body;
    }
    return visit(child, certain && !(i > 0 && first_decides(node)));
  }

  // Whether the first operand decides if the others are looked at.
  static bool first_decides(const Node* node) {
    if (node->kind != NodeKind::kCall) return false;
    if (node->is_method) return node->name == "or" || node->name == "orValue";
    return node->name == op::kAnd || node->name == op::kOr || node->name == op::kConditional;
  }

  // What makes a node what it is, but for its children.
  std::string key_of(const Node* node, Numbered& result) const {
    std::string key = std::to_string(static_cast<int>(node->kind)) + '/' +
                      std::to_string(static_cast<int>(node->macro)) +
                      std::to_string(static_cast<int>(node->resolution)) +
                      (node->is_method ? 'm' : '-') + (node->test_only ? 't' : '-') +
                      (node->is_optional ? 'o' : '-') + (node->target != nullptr ? '.' : '-') +
                      (node->variable2.empty() ? '1' : '2') + std::to_string(node->overloads);
    for (const bool optional : node->optional_args) key += optional ? '?' : '!';
    const auto append = [&](std::string_view text) {
      key += std::to_string(text.size()) + ':';
      key += text;
    };
    switch (node->resolution) {
      case Resolution::kInput:
        result.reads_input = true;
        append(node->input.root);
        for (const std::string& segment : node->input.segments) append(segment);
        return key;
      case Resolution::kLocal: {
        const auto at = std::ranges::find(scope_, node->local) - scope_.begin();
        result.outermost_local = static_cast<std::size_t>(at);
        append(std::to_string(scope_.size() - result.outermost_local));
        return key;
      }
      default:
        append(node->function != nullptr ? std::string_view(node->function->name) : node->name);
        append(to_text(node->literal));
        return key;
    }
  }

  static bool costs_enough(const Node* node) {
    const CostEstimate cost = estimate_cost(node);
    return !cost.loops.empty() || cost.operations >= kWorthSharing;
  }

  std::optional<SharedNode> take_out(const Candidate& candidate, std::size_t number) {
    std::vector<Occurrence> places;
    for (const Occurrence& occurrence : candidate.occurrences) {
      if (gone_.contains(occurrence.node)) continue;
      // What stands before the first certain one is left as it is.
      if (places.empty() && !occurrence.certain) continue;
      places.push_back(occurrence);
    }
    if (places.size() < 2 || !costs_enough(places[0].node)) return std::nullopt;

    const InputUse input{std::string(kSharedRoot), {std::to_string(number)}, false};
    Node& kept = expressions_[places[0].expression]->nodes.emplace_back(*places[0].node);
    for (const Occurrence& place : places) {
      if (place.node != places[0].node) forget(place.node);
      *place.node = stand_in(*place.node, input);
    }
    return SharedNode{places[0].expression, &kept, input};
  }

  static Node stand_in(const Node& node, const InputUse& input) {
    Node ident;
    ident.kind = NodeKind::kIdent;
    ident.resolution = Resolution::kInput;
    ident.offset = node.offset;
    ident.type = node.type;
    ident.input = input;
    return ident;
  }

  // Nothing inside it will be computed.
  void forget(const Node* node) {
    gone_.insert(node);
    if (node->resolution == Resolution::kInput) return;
    if (node->target != nullptr) forget(node->target);
    for (const Node* arg : node->args) forget(arg);
  }

  std::span<Ast* const> expressions_;
  std::size_t expression_ = 0;
  std::vector<std::uint32_t> scope_;  // the locals around, the outermost first
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::map<std::uint32_t, Candidate> candidates_;
  std::unordered_set<const Node*> gone_;
};

}  // namespace

std::vector<SharedNode> share(std::span<Ast* const> expressions, std::size_t first) {
  return Sharing(expressions).take_out(first);
}

}  // namespace penstock::cel
