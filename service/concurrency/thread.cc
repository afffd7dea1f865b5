#include "concurrency/thread.h"

#include <pthread.h>

#include <exception>
#include <utility>

#include "core/log.h"

namespace penstock {

Thread::Thread(std::string name, std::function<void()> body,
               std::function<void(const std::string& message)> on_failure)
    : thread_([name = std::move(name), body = std::move(body), on_failure = std::move(on_failure)] {
        pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
        std::string message;
        try {
          body();
          return;
        } catch (const std::exception& error) {
          message = error.what();
        } catch (...) {
          message = "unknown exception";
        }
        log(LogLevel::error, "thread_failed", {{"thread", name}, {"error", message}});
        if (on_failure) on_failure(message);
      }) {}

Thread::~Thread() { join(); }

void Thread::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace penstock
