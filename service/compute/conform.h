// Holds every record to what the pipeline declares of it.
//
// Place in the flow: after the reader has filled the slots of `msg`, before anything is evaluated.
// Of a field that is declared and that an expression reads, a value of the declared type passes;
// one that says the same in another type of number becomes the declared one; anything else is the
// reject `wrong_type`. A field that is not there stays so. JSON has one kind of number, so that
// 5.0 may be meant as an int, and 5 as a double.
//
// Threads: immutable; shared by all workers. Cost: one comparison per declared slot, more only for
// lists and maps whose elements are declared.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cel/arena.h"
#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/type.h"
#include "cel/value.h"

namespace penstock::compute {

class Conform {
 public:
  Conform() = default;
  // Takes the inputs whose root is the document.
  Conform(const cel::Environment::Variable& document, const cel::Inputs& inputs);

  // False: a value is not what is declared; `message` says which, and what it is.
  [[nodiscard]] bool apply(std::span<cel::Value> slots, cel::Arena& arena,
                           std::string& message) const {
    for (const Slot& slot : slots_) {
      cel::Value& value = slots[slot.number];
      if (value.kind() == slot.kind && !slot.is_deep) [[likely]]
        continue;
      if (!apply_to(slot, value, arena, message)) return false;
    }
    return true;
  }

 private:
  struct Slot {
    std::uint32_t number;
    cel::Kind kind;  // of most of its values
    bool is_deep;    // the elements are declared too
    cel::Type type;
    std::string name;
  };

  static bool apply_to(const Slot& slot, cel::Value& value, cel::Arena& arena,
                       std::string& message);

  std::vector<Slot> slots_;
};

}  // namespace penstock::compute
