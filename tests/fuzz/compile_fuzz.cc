// Parser, checker and compiler on any bytes: the first chooses the options, the rest is the source.
#include <string>
#include <string_view>

#include "cel/diagnostic.h"
#include "cel/program.h"
#include "fuzz/inputs.h"

namespace penstock::cel {
namespace {

constexpr double kMostSeconds = 1;

void compile_one(FuzzBytes& bytes) {
  const std::uint8_t choice = bytes.next();
  CompileOptions options;
  options.type_check = (choice & 1) == 0;
  options.max_steps = 10'000;  // constants are computed while compiling
  if ((choice & 2) != 0) options.expected_type = TypeKind::kString;
  if ((choice & 4) != 0) options.max_source_bytes = 100;
  Environment environment = fuzz_environment();
  if ((choice & 8) != 0) environment.set_container("a.b");
  if ((choice & 16) != 0) {
    const Type any = Type::param("T");
    environment.declare_function("declared", {{true, {any, any}, Type::list(any)}});
  }
  const std::string_view source = bytes.rest();

  const CpuLimit limit(kMostSeconds);
  Inputs inputs;
  const auto program = compile(source, environment, inputs, options);
  if (program) {
    if (program->explain().empty()) finding("explain() says nothing", source);
    if (program->result_type().to_string().empty()) finding("a result without a type", source);
    for (const std::uint32_t slot : program->slots_read()) {
      if (slot >= inputs.size()) finding("a slot that is no input", source);
    }
  } else {
    if (program.error().empty()) finding("refused without a diagnostic", source);
    for (const Diagnostic& diagnostic : program.error()) {
      if (diagnostic.message.empty()) finding("a diagnostic without a message", source);
      if (diagnostic.line == 0 || diagnostic.column == 0)
        finding("a place before the first", source);
    }
    if (render(source, "file", program.error()).empty()) finding("render() says nothing", source);
  }
  limit.check("compiling");
}

}  // namespace
}  // namespace penstock::cel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  penstock::FuzzBytes bytes(data, size);
  penstock::cel::compile_one(bytes);
  return 0;
}
