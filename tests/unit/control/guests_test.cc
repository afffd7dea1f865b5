#include "control/guests.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>
#include <vector>

namespace penstock::control {
namespace {

class GuestsTest : public testing::Test {
 protected:
  Guests::Id enter(const std::string& address, const std::string& name) {
    return guests_.enter(address, [this, name] { shown_out_.push_back(name); });
  }

  Guests guests_{3};
  std::vector<std::string> shown_out_;
};

TEST_F(GuestsTest, StayWhileThereIsRoom) {
  enter("a", "1");
  enter("a", "2");
  enter("a", "3");
  EXPECT_EQ(guests_.count(), 3);
  EXPECT_TRUE(shown_out_.empty());
}

TEST_F(GuestsTest, TheOldestOfTheAddressWithMostGoesFirst) {
  enter("quiet", "quiet");
  enter("crowd", "crowd 1");
  enter("crowd", "crowd 2");
  enter("crowd", "crowd 3");
  enter("other", "other");
  EXPECT_EQ(shown_out_, (std::vector<std::string>{"crowd 1", "crowd 2"}));
  EXPECT_EQ(guests_.count(), 3);
}

TEST_F(GuestsTest, WhoHasLeftIsNotShownOutAndMakesRoom) {
  const Guests::Id first = enter("a", "1");
  enter("a", "2");
  enter("a", "3");
  guests_.leave(first);
  guests_.leave(first);
  enter("a", "4");
  EXPECT_TRUE(shown_out_.empty());
  enter("a", "5");
  EXPECT_EQ(shown_out_, std::vector<std::string>{"2"});
}

TEST_F(GuestsTest, AllCanBeShownOut) {
  guests_.show_one_out();
  enter("a", "1");
  enter("b", "2");
  guests_.show_all_out();
  EXPECT_EQ(shown_out_, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(guests_.count(), 0);
}

TEST(RoomFor, LeavesMostFilesToThePipelines) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 300;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  EXPECT_EQ(room_for(256), 25);
  EXPECT_EQ(room_for(10), 10);
  few.rlim_cur = 30;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  EXPECT_EQ(room_for(256), 4);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace penstock::control
