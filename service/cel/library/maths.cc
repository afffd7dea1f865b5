#include "cel/library/library.h"

namespace penstock::cel {

std::span<const FunctionRow> math_rows() { return {}; }

}  // namespace penstock::cel
