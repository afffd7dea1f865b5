// Owners of what a C library made and wants back through a function of its own.
//
// Threads, failure: as the library's function.
#pragma once

#include <memory>

namespace penstock {

template <auto Free>
struct FreedBy {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

// Owned<BIO, BIO_free>
template <typename T, auto Free>
using Owned = std::unique_ptr<T, FreedBy<Free>>;

}  // namespace penstock
