#include "cel/library/library.h"

namespace penstock::cel {

std::span<const FunctionRow> encoder_rows() { return {}; }

}  // namespace penstock::cel
