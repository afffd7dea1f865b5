// Options and suppressions of the sanitizer builds, linked into every program of such a build. The
// third-party libraries come from Debian and are not instrumented: what is reported from inside
// them, where we cannot have caused it, is named here, one line with one reason each.

#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <memory>

#define SYMBOLIZER ":external_symbolizer_path=/usr/lib/llvm-19/bin/llvm-symbolizer"

extern "C" {

const char* __asan_default_options() {
  return "strict_init_order=1:check_initialization_order=1" SYMBOLIZER;
}

const char* __ubsan_default_options() { return "print_stacktrace=1" SYMBOLIZER; }

const char* __tsan_default_options() {
  // Libraries without instrumentation synchronize by atomics that the tool cannot see.
  return "ignore_noninstrumented_modules=1:second_deadlock_stack=1" SYMBOLIZER;
}

const char* __tsan_default_suppressions() {
  // gRPC's own health service uses its callback API: templates that are compiled, and watched, in
  // our program, but handed from thread to thread inside the library, which is not. Our services
  // use the synchronous API, so that nothing of ours has these frames. It also ends its own threads
  // in the background when its last object has gone, which a program's end may overtake.
  return "race:grpc::internal::CallOpSet<\n"
         "race:grpc::internal::CallbackUnaryHandler\n"
         "race:grpc::internal::CallbackWithSuccessTag\n"
         "thread:grpc_core::Thread::Thread\n";
}

}  // extern "C"

// librdkafka uses C11's <threads.h>. glibc's thrd_create makes a thread that the sanitizers never
// hear of (ThreadSanitizer crashes in it), and its mtx_ and cnd_ functions hide who waited for
// whom. These go by the pthread functions, which the sanitizers watch; glibc's types are the same
// inside.

static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t));
static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t));

namespace {

struct Start {
  thrd_start_t body;
  void* argument;
};

void* run(void* opaque) {
  const std::unique_ptr<Start> start(static_cast<Start*>(opaque));
  return reinterpret_cast<void*>(static_cast<long>(start->body(start->argument)));
}

int to_thrd(int error) {
  if (error == 0) return thrd_success;
  return error == ETIMEDOUT ? thrd_timedout : thrd_error;
}

pthread_mutex_t* mutex_of(mtx_t* mutex) { return reinterpret_cast<pthread_mutex_t*>(mutex); }
pthread_cond_t* condition_of(cnd_t* condition) {
  return reinterpret_cast<pthread_cond_t*>(condition);
}

}  // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t body, void* argument) {
  auto start = std::make_unique<Start>(body, argument);
  const int error = pthread_create(thread, nullptr, run, start.get());
  if (error == 0) start.release();
  return to_thrd(error);
}
int thrd_join(thrd_t thread, int* result) {
  void* value = nullptr;
  const int error = pthread_join(thread, &value);
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<long>(value));
  return to_thrd(error);
}
int mtx_init(mtx_t* mutex, int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  if ((type & mtx_recursive) != 0) {
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  }
  const int error = pthread_mutex_init(mutex_of(mutex), &attributes);
  pthread_mutexattr_destroy(&attributes);
  return to_thrd(error);
}
int mtx_lock(mtx_t* mutex) { return to_thrd(pthread_mutex_lock(mutex_of(mutex))); }
int mtx_unlock(mtx_t* mutex) { return to_thrd(pthread_mutex_unlock(mutex_of(mutex))); }
void mtx_destroy(mtx_t* mutex) { pthread_mutex_destroy(mutex_of(mutex)); }
int cnd_init(cnd_t* condition) {
  return to_thrd(pthread_cond_init(condition_of(condition), nullptr));
}
int cnd_wait(cnd_t* condition, mtx_t* mutex) {
  return to_thrd(pthread_cond_wait(condition_of(condition), mutex_of(mutex)));
}
int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* deadline) {
  return to_thrd(pthread_cond_timedwait(condition_of(condition), mutex_of(mutex), deadline));
}
int cnd_signal(cnd_t* condition) { return to_thrd(pthread_cond_signal(condition_of(condition))); }
int cnd_broadcast(cnd_t* condition) {
  return to_thrd(pthread_cond_broadcast(condition_of(condition)));
}
void cnd_destroy(cnd_t* condition) { pthread_cond_destroy(condition_of(condition)); }

}  // extern "C"
