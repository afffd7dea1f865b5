// Mutex, lock and condition variable with Clang's thread safety annotations.
//
// `GUARDED_BY(mutex_)` on a member makes every unlocked access a compile error
// (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html).
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define PENSTOCK_ANNOTATION(x) __attribute__((x))
#else
#define PENSTOCK_ANNOTATION(x)
#endif
#define CAPABILITY(x) PENSTOCK_ANNOTATION(capability(x))
#define SCOPED_CAPABILITY PENSTOCK_ANNOTATION(scoped_lockable)
#define GUARDED_BY(x) PENSTOCK_ANNOTATION(guarded_by(x))
#define REQUIRES(...) PENSTOCK_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) PENSTOCK_ANNOTATION(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) PENSTOCK_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...) PENSTOCK_ANNOTATION(release_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS PENSTOCK_ANNOTATION(no_thread_safety_analysis)

namespace penstock {

class CAPABILITY("mutex") Mutex {
 public:
  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits give the mutex up and take it back; the caller holds it before and after and re-checks its
// condition in a loop, because waits may end early.
class CondVar {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False when `deadline` passed first.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point deadline)
      REQUIRES(mutex) NO_THREAD_SAFETY_ANALYSIS {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool in_time = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace penstock
