// Options and suppressions of the sanitizer builds, linked into every program of such a build. The
// third-party libraries come from Debian and are not instrumented: what is reported from inside
// them, where we cannot have caused it, is named here, one line with one reason each.

#define SYMBOLIZER ":external_symbolizer_path=/usr/lib/llvm-19/bin/llvm-symbolizer"

extern "C" {

const char* __asan_default_options() {
  return "detect_stack_use_after_return=1:strict_init_order=1:check_initialization_order="
         "1" SYMBOLIZER;
}

const char* __ubsan_default_options() { return "print_stacktrace=1" SYMBOLIZER; }

const char* __tsan_default_options() {
  // Libraries without instrumentation synchronize by atomics that the tool cannot see.
  return "ignore_noninstrumented_modules=1:second_deadlock_stack=1" SYMBOLIZER;
}

}  // extern "C"
