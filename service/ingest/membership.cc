#include "ingest/membership.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <format>
#include <utility>

#include "core/log.h"
#include "kafka/group.h"

namespace penstock::ingest {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// How long it may be silent: longer than a hiccup of the network. Where connections are refused the
// server is restarting or failing over, for everybody.
constexpr milliseconds kPatience = 12s;
constexpr milliseconds kPatienceIfRefused = 30s;
constexpr milliseconds kMostJitter = 2s;
constexpr milliseconds kAskAgain = 3s;
constexpr milliseconds kQuestionTimeout = 2s;
constexpr milliseconds kLook = 500ms;

// How long the database must have answered before we come back; longer for who left again within
// kSettled of the last time.
constexpr milliseconds kFirstReturn = 1s;
constexpr milliseconds kLongestReturn = 60s;
constexpr std::chrono::seconds kSettled = 300s;

}  // namespace

Membership::Membership(const ConsumerOptions& options, ConsumerStats& stats, Jobs& jobs,
                       Assignment& assignment, Subscription& subscription,
                       std::function<void(const Error&)> report)
    : options_(options),
      stats_(stats),
      jobs_(jobs),
      assignment_(assignment),
      subscription_(subscription),
      report_(std::move(report)) {}

milliseconds Membership::jitter(milliseconds most) {
  return milliseconds(std::uniform_int_distribution<milliseconds::rep>(0, most.count())(random_));
}

SteadyTime Membership::look(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka,
                            const std::optional<Silence>& silence) {
  return aside_ ? look_outside(now, kafka.get(), silence) : look_inside(now, kafka, silence);
}

SteadyTime Membership::look_inside(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka,
                                   const std::optional<Silence>& silence) {
  if (!silence) {
    leave_at_.reset();
    others_.reset();
    return now + kLook;
  }
  if (!leave_at_) {
    leave_at_ =
        silence->since + (silence->refused ? kPatienceIfRefused : kPatience) + jitter(kMostJitter);
  }
  if (now < *leave_at_) return std::min(*leave_at_, now + kLook);
  if (others_) {
    const int others = *std::exchange(others_, std::nullopt);
    if (others > 0) {
      step_aside(kafka.get(), now, *silence);
      return now;
    }
    leave_at_ = now + kAskAgain + jitter(kMostJitter);
    return now + kLook;
  }
  if (!std::exchange(asking_, true)) ask(kafka);
  return now + kLook;
}

void Membership::ask(const std::shared_ptr<rd_kafka_s>& kafka) {
  jobs_.start(Jobs::Kind::asking, [this, kafka, group = options_.group,
                                   post = jobs_.poster()](const std::stop_token&) {
    const Result<int> members = kafka::member_count(kafka.get(), group, kQuestionTimeout);
    post([this, members] {
      asking_ = false;
      // Without an answer we stay: the last one must not go.
      others_ = members ? *members - 1 : 0;
      if (!members) report_(members.error());
    });
  });
}

void Membership::step_aside(rd_kafka_s* kafka, SteadyTime now, const Silence& silence) {
  if (const auto err = rd_kafka_unsubscribe(kafka)) {
    report_(kafka::to_error(err));
    leave_at_ = now + kAskAgain;
    return;
  }
  const auto silent_for = std::chrono::duration_cast<std::chrono::seconds>(now - silence.since);
  reason_ = std::format(
      "left consumer group \"{}\" so that its other members can go on: PostgreSQL {} this process "
      "for {} s; joins again when it answers",
      options_.group, silence.refused ? "had refused" : "had not answered", silent_for.count());
  aside_ = true;
  leave_at_.reset();
  back_at_.reset();
  back_after_ = now - came_back_ > kSettled
                    ? kFirstReturn
                    : std::clamp(back_after_ * 4, 4 * kFirstReturn, kLongestReturn);
  stats_.steps_aside.add();
  assignment_.set_aside();
  log(LogLevel::warning, "stepped_aside", {{"pipeline", options_.pipeline}, {"reason", reason_}});
}

SteadyTime Membership::look_outside(SteadyTime now, rd_kafka_s* kafka,
                                    const std::optional<Silence>& silence) {
  if (silence) {
    back_at_.reset();
  } else if (!back_at_) {
    back_at_ = now + back_after_ / 2 + jitter(back_after_);
  } else if (now >= *back_at_) {
    come_back(kafka, now);
  }
  return now + kLook;
}

void Membership::come_back(rd_kafka_s* kafka, SteadyTime now) {
  back_at_.reset();
  assignment_.set_aside();
  if (const int err = subscription_.apply(kafka)) {
    report_(kafka::to_error(err));
    return;
  }
  aside_ = false;
  came_back_ = now;
  reason_.clear();
  log(LogLevel::info, "joins_again", {{"pipeline", options_.pipeline}});
}

}  // namespace penstock::ingest
