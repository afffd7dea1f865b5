#include "concurrency/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <stdexcept>
#include <string>

namespace penstock {
namespace {

TEST(Thread, CarriesTheFirstFifteenCharactersOfItsName) {
  std::string name;
  Thread thread("a-rather-long-thread-name", [&] {
    std::array<char, 32> text{};
    pthread_getname_np(pthread_self(), text.data(), text.size());
    name = text.data();
  });
  thread.join();
  thread.join();
  EXPECT_EQ(name, "a-rather-long-t");
}

TEST(Thread, ReportsWhatItsBodyThrows) {
  std::string failure;
  {
    const Thread thread(
        "t", [] { throw std::runtime_error("broken"); },
        [&](const std::string& message) { failure = message; });
  }
  EXPECT_EQ(failure, "broken");
}

TEST(Thread, ReportsWhatIsNoExceptionToo) {
  std::string failure;
  {
    const Thread thread(
        "t", [] { throw 1; }, [&](const std::string& message) { failure = message; });
  }
  EXPECT_EQ(failure, "unknown exception");
}

}  // namespace
}  // namespace penstock
