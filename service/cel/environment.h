// What an expression may name: the declared variables and their types.
//
// Place in the flow: made once per pipeline from the spec, handed to every compile(). Every
// environment has the whole library of functions; a host may declare more.
//
// Threads: immutable while compile() runs. Ownership: compile() keeps no reference to it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/type.h"

namespace penstock::cel {

struct Function;

// One way to call a declared function.
struct FunctionOverload {
  bool is_method = false;        // the first parameter is the receiver
  std::vector<Type> parameters;  // Type::param("T") stands for any one type
  Type result;
};

class Environment {
 public:
  struct Variable {
    std::string name;
    Type type;
    // Selecting a constant part of it makes that part an input of its own (InputPath::segments).
    bool is_document = false;
    // Its fields are inputs, it is not a value itself.
    bool fields_only = false;
    // Of a document: what is declared of it, as a record; else dyn.
    Type declared;

    // What is declared of this part of a document; nullopt: nothing is.
    [[nodiscard]] std::optional<Type> declared_type(std::span<const std::string> path) const;
  };

  // A plain variable (a `let`): one slot, always read whole. Declaring a name again replaces it.
  // A name may be qualified ("a.b.c").
  void declare(std::string name, Type type);

  // A variable read piece by piece: `msg`. Constant select chains (msg.a.b, msg["a"].b) become
  // input paths; a use of the whole variable, or of an index that is not a constant string, is the
  // path of the longest constant prefix. Fields in `declared` have the type that is given there,
  // any other is dyn. A field of record type is an object of which parts are declared in turn; as
  // a whole it is a nullable(map(string, dyn)).
  void declare_document(std::string name, std::vector<Field> declared = {});

  // A document with fixed fields: `record` {topic: string, partition: int, headers: map(…) …}.
  // Each field is one input: {root: "record", segments: {"topic"}}. The variable as a whole is not
  // a value: using it so is an error that says so.
  void declare_record(std::string name, std::vector<Field> fields);

  // A function that the checker knows and nothing implements: what calls it compiles, and its
  // evaluation is an error. Hides a function of the library of that name.
  void declare_function(std::string name, std::vector<FunctionOverload> overloads);
  // Of the declared ones and the library's; nullptr: there is none.
  [[nodiscard]] const Function* find_function(std::string_view name) const;

  // Names are also looked up inside this namespace, the innermost first ("a.b": a.b.x, a.x, x).
  void set_container(std::string name) { container_ = std::move(name); }
  [[nodiscard]] const std::string& container() const noexcept { return container_; }

  // nullptr: not declared.
  [[nodiscard]] const Variable* find(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, Variable, std::less<>>& variables() const noexcept {
    return variables_;
  }

 private:
  std::map<std::string, Variable, std::less<>> variables_;
  std::map<std::string, std::shared_ptr<const Function>, std::less<>> functions_;
  std::string container_;
};

}  // namespace penstock::cel
