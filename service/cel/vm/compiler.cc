#include "cel/vm/compiler.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <utility>

#include "cel/syntax/position.h"
#include "cel/vm/cost.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

constexpr std::uint32_t kNoLocal = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kMaxRegisters = 60'000;
// What all constant subexpressions of an expression may cost together.
constexpr std::uint64_t kFoldSteps = 100'000;

struct OperatorOp {
  std::string_view name;
  Op op;
};

constexpr std::array<OperatorOp, 17> kOperators = {{
    {op::kNot, Op::kNot},
    {op::kNegate, Op::kNegate},
    {op::kAdd, Op::kAdd},
    {op::kSubtract, Op::kSubtract},
    {op::kMultiply, Op::kMultiply},
    {op::kDivide, Op::kDivide},
    {op::kModulo, Op::kModulo},
    {op::kEqual, Op::kEqual},
    {op::kNotEqual, Op::kNotEqual},
    {op::kLess, Op::kLess},
    {op::kLessEqual, Op::kLessEqual},
    {op::kGreater, Op::kGreater},
    {op::kGreaterEqual, Op::kGreaterEqual},
    {op::kIn, Op::kIn},
    {op::kIndex, Op::kIndex},
    {op::kOptionalIndex, Op::kOptionalIndex},
    {"size", Op::kSize},
}};

}  // namespace

Program::Code::Code() = default;
Program::Code::~Code() = default;

struct Compiler::Mark {
  std::size_t instructions;
  std::uint64_t inputs_used;
  std::uint32_t next_register;
  std::uint32_t visible_locals;
};

Compiler::Compiler(const Ast& ast, const Node* root, const CheckResult& checked, Inputs& inputs,
                   const CompileOptions& options)
    : ast_(ast),
      root_(root),
      inputs_(inputs),
      code_(std::make_unique<Program::Code>()),
      locals_(checked.locals),
      lowest_local_used_(kNoLocal),
      fold_steps_(kFoldSteps) {
  code_->result_type = checked.type;
  code_->max_steps = options.max_steps;
  code_->cost = estimate_cost(root);
}

std::expected<Program, Diagnostic> Compiler::compile() {
  const Operand result = compile(root_);
  emit(root_, Op::kReturn, 0, result);
  if (error_) return std::unexpected(std::move(*error_));
  if (base_of(result) == Base::kConstant) {
    code_->constant = code_->constants[index_of(result)];
    code_->cost = {};
  } else if (base_of(result) == Base::kSlot) {
    code_->direct_input = index_of(result);
  }
  std::ranges::sort(code_->slots_read);
  const auto repeated = std::ranges::unique(code_->slots_read);
  code_->slots_read.erase(repeated.begin(), repeated.end());
  for (const std::uint32_t slot : code_->slots_read) {
    if (slot >= code_->slot_names.size()) code_->slot_names.resize(slot + 1);
    code_->slot_names[slot] = inputs_.paths()[slot].to_string();
  }
  shorten_ends();
  locate_all();
  return Program(std::move(code_));
}

// What only goes on to the end returns at once.
void Compiler::shorten_ends() {
  for (Instruction& in : code_->instructions) {
    if (in.op != Op::kSet && in.op != Op::kJump) continue;
    const Instruction& next = code_->instructions[in.c];
    if (next.op != Op::kReturn) continue;
    if (in.op == Op::kJump) {
      in = next;
    } else if (next.a == make_operand(Base::kRegister, in.dst)) {
      in = {Op::kReturn, 0, in.a, 0, 0};
    }
  }
}

// Byte offsets become lines and columns, in one pass over the source.
void Compiler::locate_all() {
  std::vector<std::uint32_t> order(code_->positions.size());
  std::ranges::iota(order, 0U);
  std::ranges::sort(order, {}, [&](std::uint32_t i) { return code_->positions[i].line; });
  Position now;
  std::size_t at = 0;
  for (const std::uint32_t i : order) {
    for (const std::size_t offset = code_->positions[i].line; at < offset; ++at) {
      if (ast_.source[at] == '\n') {
        now = {now.line + 1, 1};
      } else if (!text::is_continuation(ast_.source[at])) {
        ++now.column;
      }
    }
    code_->positions[i] = now;
  }
}

// ---- Instructions -----------------------------------------------------------------------------

std::uint32_t Compiler::here() const {
  return static_cast<std::uint32_t>(code_->instructions.size());
}

std::uint32_t Compiler::emit(const Node* at, Op op, std::uint16_t dst, std::uint32_t a,
                             std::uint32_t b, std::uint32_t c) {
  code_->instructions.push_back({op, dst, a, b, c});
  code_->positions.push_back({at->offset, 0});  // see locate_all()
  code_->types.push_back(at->type);
  return here() - 1;
}

void Compiler::land(std::uint32_t jump) { code_->instructions[jump].c = here(); }

std::uint16_t Compiler::new_register(std::uint16_t count) {
  if (next_register_ + count > kMaxRegisters) {
    error(root_, "the expression is too large: it needs too many registers");
    next_register_ = 0;
  }
  const auto first = static_cast<std::uint16_t>(next_register_);
  next_register_ += count;
  code_->register_count = std::max(code_->register_count, next_register_);
  return first;
}

void Compiler::error(const Node* node, std::string message, std::string hint) {
  if (error_) return;
  error_ = diagnostic_at(ast_.source, node->offset, std::move(message), std::move(hint));
}

Operand Compiler::constant(const Value& value) {
  // Few and short: a search is cheaper than a table.
  constexpr std::size_t kSearched = 64;
  const std::size_t count = code_->constants.size();
  for (std::size_t i = count - std::min(count, kSearched); i < count; ++i) {
    const Value& other = code_->constants[i];
    if (other.kind() != value.kind() || value.is_list() || value.is_map() || value.is_double() ||
        value.is_optional()) {
      continue;
    }
    if (equal(other, value)) return make_operand(Base::kConstant, static_cast<std::uint32_t>(i));
  }
  Value kept = value;
  const auto copy = [&](std::string_view text) {
    const std::string_view copied = code_->text.copy(text);
    if (copied.data() == nullptr) error(root_, "the expression's constants are too large");
    return copied;
  };
  if (value.is_string()) kept = Value::of_string(copy(value.as_string()));
  if (value.is_bytes()) kept = Value::of_bytes(copy(value.as_bytes()));
  if (value.is_type()) kept = Value::of_type(copy(value.as_type()));
  code_->constants.push_back(kept);
  return make_operand(Base::kConstant, static_cast<std::uint32_t>(count));
}

Compiler::Mark Compiler::mark() const {
  return {code_->instructions.size(), inputs_used_, next_register_, visible_locals_};
}

Operand Compiler::fold(const Mark& mark, Operand result) {
  if (error_ || inputs_used_ != mark.inputs_used || lowest_local_used_ < mark.visible_locals ||
      base_of(result) != Base::kRegister || fold_steps_ == 0) {
    return result;
  }
  std::vector<Value> registers(code_->register_count);
  code_->instructions.push_back({Op::kReturn, 0, result, 0, 0});
  code_->positions.push_back({});
  EvalContext context{code_->folded, fold_steps_};
  const Value value = run(*code_, static_cast<std::uint32_t>(mark.instructions), nullptr,
                          registers.data(), context);
  fold_steps_ = context.steps_left - std::min<std::uint64_t>(context.steps_left, 1);
  code_->instructions.pop_back();
  code_->positions.pop_back();
  if (value.is_error()) return result;  // its time is when, and if, it is reached
  code_->instructions.resize(mark.instructions);
  code_->positions.resize(mark.instructions);
  code_->types.resize(mark.instructions);
  next_register_ = mark.next_register;
  code_->constants.push_back(value);
  return make_operand(Base::kConstant, static_cast<std::uint32_t>(code_->constants.size() - 1));
}

// ---- Nodes ------------------------------------------------------------------------------------

void Compiler::compile_into(const Node* node, std::uint16_t dst) {
  const Operand result = compile(node, dst);
  if (result != make_operand(Base::kRegister, dst)) emit(node, Op::kMove, dst, result);
}

Operand Compiler::compile(const Node* node, Wanted wanted) {
  if (error_) return 0;
  if (node->resolution == Resolution::kInput) return compile_input(node, wanted);
  switch (node->kind) {
    case NodeKind::kLiteral:
      return constant(node->literal);
    case NodeKind::kIdent:
      if (node->resolution == Resolution::kTypeName) return constant(node->literal);
      if (node->resolution == Resolution::kLocal) {
        lowest_local_used_ = std::min(lowest_local_used_, node->local);
        return locals_[node->local];
      }
      return fail(node, wanted, ErrorCode::kUndeclared,
                  "undeclared name '" + std::string(node->name) + "'");
    default:
      break;
  }
  // The result's register first: it may not be one that the operands use and give back.
  const Mark start = mark();
  const std::uint32_t lowest_outside = std::exchange(lowest_local_used_, kNoLocal);
  Operand result = 0;
  switch (node->kind) {
    case NodeKind::kSelect:
      result = node->resolution == Resolution::kTypeName ? constant(node->literal)
                                                         : compile_select(node, wanted);
      break;
    case NodeKind::kCall:
      result = compile_call(node, wanted);
      break;
    case NodeKind::kList:
      result = compile_list(node, wanted);
      break;
    case NodeKind::kMap:
      result = compile_map(node, wanted);
      break;
    case NodeKind::kComprehension:
      result = compile_comprehension(node, wanted);
      break;
    default:
      result = compile_bind(node, wanted);
      break;
  }
  result = fold(start, result);
  lowest_local_used_ = std::min(lowest_local_used_, lowest_outside);
  return result;
}

Operand Compiler::compile_input(const Node* node, Wanted wanted) {
  ++inputs_used_;
  const std::uint32_t slot = inputs_.add(node->input.root, node->input.segments, node->test_only);
  code_->slots_read.push_back(slot);
  const Operand operand = make_operand(Base::kSlot, slot);
  const bool optional = node->kind == NodeKind::kSelect && node->is_optional;
  if (!node->test_only && !optional) return operand;
  const std::uint16_t dst = target(wanted);
  emit(node, optional ? Op::kOptionalInput : Op::kHasInput, dst, operand, 0,
       static_cast<std::uint32_t>(node->input.segments.size()));
  return make_operand(Base::kRegister, dst);
}

Operand Compiler::compile_select(const Node* node, Wanted wanted) {
  const std::uint16_t dst = target(wanted);
  const std::uint32_t kept = next_register_;
  const Operand object = compile(node->target);
  const Operand field = constant(Value::of_string(node->name));
  const Op op = node->test_only ? Op::kHas : node->is_optional ? Op::kOptionalSelect : Op::kSelect;
  emit(node, op, dst, object, field);
  next_register_ = kept;
  return make_operand(Base::kRegister, dst);
}

Operand Compiler::compile_call(const Node* node, Wanted wanted) {
  if (node->name == op::kAnd || node->name == op::kOr) return compile_logic(node, wanted);
  if (node->function == nullptr) {
    return fail(node, wanted, ErrorCode::kUndeclared,
                "there is no function '" + std::string(node->name) + "'");
  }
  if (node->function->is_declared) {
    return fail(node, wanted, ErrorCode::kUndeclared,
                "the function '" + node->function->name + "' has no implementation");
  }
  const std::string_view name = node->function->name;
  const std::size_t count = node->args.size() + (node->is_method ? 1 : 0);
  if (name == op::kConditional && count == 3) return compile_conditional(node, wanted);
  for (const OperatorOp& entry : kOperators) {
    if (entry.name == name && (name != "size" || count == 1)) {
      return compile_operator(node, entry.op, wanted);
    }
  }
  if (name == "matches" && count == 2) {
    bool done = false;
    const Operand result = compile_matches(node, wanted, &done);
    if (done) return result;
  }
  const bool or_method =
      node->is_method && node->args.size() == 1 && (name == "or" || name == "orValue");
  if (or_method && node->args[0]->kind != NodeKind::kLiteral)
    return compile_optional_or(node, wanted);
  return compile_function(node, wanted);
}

Operand Compiler::compile_operator(const Node* node, Op op, Wanted wanted) {
  const std::uint16_t dst = target(wanted);
  const std::uint32_t kept = next_register_;
  if (op == Op::kSize) {
    const Operand a = compile(node->is_method ? node->target : node->args[0]);
    emit(node, op, dst, a, 0, call_site(node->function, node->is_method, 1));
  } else {
    const Operand a = compile(node->args[0]);
    Operand b = node->args.size() > 1 ? compile(node->args[1]) : 0;
    if (op == Op::kIn) b = hashed(b);
    emit(node, op, dst, a, b);
  }
  next_register_ = kept;
  return make_operand(Base::kRegister, dst);
}

std::uint32_t Compiler::call_site(const Function* function, bool is_method, std::size_t arguments,
                                  std::uint64_t overloads) {
  CallSite& call = code_->call_sites.emplace_back();
  call.function = function;
  call.is_method = is_method;
  // Those that the checker expects, then the others: it guesses what has no type, as
  // dyn(x).value().
  for (const bool expected : {true, false}) {
    for (std::size_t i = 0; i < function->overloads.size(); ++i) {
      const Overload& overload = function->overloads[i];
      if ((overloads >> i & 1) == std::uint64_t{expected} && overload.is_method == is_method &&
          overload.parameters.size() == arguments) {
        call.overloads.push_back(&overload);
      }
    }
  }
  return static_cast<std::uint32_t>(code_->call_sites.size() - 1);
}

Operand Compiler::compile_function(const Node* node, Wanted wanted) {
  const std::uint16_t dst = target(wanted);
  const std::uint32_t kept = next_register_;
  std::vector<Operand> operands;
  if (node->is_method) operands.push_back(compile(node->target));
  for (const Node* arg : node->args) operands.push_back(compile(arg));

  const std::uint32_t site =
      call_site(node->function, node->is_method, operands.size(), node->overloads);
  if (operands.size() > kMaxParameters || operands.empty()) {
    // Without arguments there is nothing to dispatch by; too many fit no overload.
    if (code_->call_sites[site].overloads.empty()) {
      next_register_ = kept;
      return fail(node, dst, ErrorCode::kNoSuchOverload,
                  "no such overload: " + std::string(node->name) + "() with " +
                      std::to_string(operands.size()) + " arguments");
    }
  }
  const std::string_view name = node->function->name;
  if (operands.size() == 1) {
    const Op op = name == "double" ? Op::kToDouble : name == "int" ? Op::kToInt : Op::kCall1;
    emit(node, op, dst, operands[0], 0, site);
  } else if (operands.size() == 2) {
    emit(node, Op::kCall2, dst, operands[0], operands[1], site);
  } else {
    const auto first = static_cast<std::uint32_t>(code_->operands.size());
    code_->operands.insert(code_->operands.end(), operands.begin(), operands.end());
    emit(node, Op::kCall, dst, first, static_cast<std::uint32_t>(operands.size()), site);
  }
  next_register_ = kept;
  return make_operand(Base::kRegister, dst);
}

Operand Compiler::fail(const Node* node, Wanted wanted, ErrorCode code, std::string message) {
  // Not to be folded away: nothing to compute.
  ++inputs_used_;
  const std::uint16_t dst = target(wanted);
  emit(node, Op::kFail, dst, 0, 0, static_cast<std::uint32_t>(code_->failures.size()));
  code_->failures.push_back({code, std::move(message)});
  return make_operand(Base::kRegister, dst);
}

}  // namespace penstock::cel
