#include "dead_letters/copier.h"

#include <algorithm>
#include <chrono>
#include <format>
#include <iterator>
#include <utility>

#include "core/log.h"
#include "dead_letters/letter_copy.h"
#include "postgres/pool.h"
#include "text/plural.h"

namespace penstock::dead_letters {
namespace {

using namespace std::chrono_literals;

// What comes within this time goes together.
constexpr std::chrono::milliseconds kGather = 50ms;
// For letters that nobody has told of, such as of a partition that was claimed at that moment, and
// for those that the brokers do not take.
constexpr std::chrono::seconds kLookAgain = 10s;
constexpr Backoff::Options kAway{.base = 1s, .cap = 10s, .floor = 500ms};

}  // namespace

Copier::Copier(Options options, postgres::Pool& pool,
               std::function<std::vector<SourcePartition>()> partitions)
    : options_(std::move(options)),
      partitions_(std::move(partitions)),
      queue_(pool, options_.pipeline, stopping_.get_token()),
      backoff_(kAway) {}

Copier::~Copier() { stop(); }

void Copier::start() {
  thread_.emplace(
      "copy", [this] { run(); },
      [this](const std::string& message) {
        set_error(Error{ErrorKind::internal, message, "start the process again", ""});
      });
}

void Copier::wake() {
  const MutexLock lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void Copier::stop() {
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  stopping_.request_stop();
  if (thread_) thread_->join();
}

Copier::Status Copier::status() const {
  Status status{.copied = copied_.load(), .waiting = waiting_.load(), .reason = {}};
  const MutexLock lock(mutex_);
  if (!error_) return status;
  status.reason = std::format(
      "{} to be copied to topic '{}': {}",
      text::counted(status.waiting, "dead letter") + (status.waiting == 1 ? " waits" : " wait"),
      options_.topic, error_->to_string());
  return status;
}

void Copier::run() {
  SteadyTime due = system_clock().steady_now();
  bool is_refused = false;
  while (wait_until_due(due, /*may_be_woken=*/!is_refused)) {
    const auto done = sweep();
    if (stopping_.stop_requested()) return;
    is_refused = !done;
    if (done) {
      set_error(of_a_letter_);
      backoff_.reset();
      due = system_clock().steady_now() + kLookAgain;
    } else {
      set_error(done.error());
      producer_.reset();  // of no use any more, after some failures
      due = system_clock().steady_now() + backoff_.next();
    }
  }
}

bool Copier::wait_until_due(SteadyTime due, bool may_be_woken) {
  const MutexLock lock(mutex_);
  while (!stopped_ && !(may_be_woken && woken_) && changed_.wait_until(mutex_, due)) {
  }
  const SteadyTime gathered = system_clock().steady_now() + kGather;
  while (!stopped_ && changed_.wait_until(mutex_, gathered)) {
  }
  woken_ = false;
  return !stopped_;
}

Result<void> Copier::sweep() {
  const std::vector<SourcePartition> partitions = partitions_();
  if (partitions.empty()) {
    waiting_ = 0;
    return {};
  }
  if (auto counted = count(partitions); !counted) return counted;
  const SteadyTime now = system_clock().steady_now();
  if (!of_a_letter_ || now >= all_again_) {
    of_a_letter_.reset();
    after_ = 0;
    all_again_ = now + kLookAgain;
  }
  while (waiting_ > 0) {
    const auto letters = queue_.page(partitions, after_);
    if (!letters) return std::unexpected(letters.error());
    if (letters->empty()) return {};
    if (auto copied = copy(*letters); !copied) {
      of_a_letter_.reset();  // from the beginning, the next time
      return copied;
    }
    after_ = letters->back().id;
    if (waiting_ > 0 && system_clock().steady_now() < count_again_) continue;
    if (auto counted = count(partitions); !counted) return counted;
  }
  return {};
}

Result<void> Copier::count(std::span<const SourcePartition> partitions) {
  const auto there = queue_.count(partitions);
  if (!there) return std::unexpected(there.error());
  waiting_ = *there;
  count_again_ = system_clock().steady_now() + kLookAgain;
  return {};
}

Result<void> Copier::copy(std::span<const Letter> letters) {
  if (!producer_) {
    auto made = kafka::Producer::make(options_.kafka, options_.topic);
    if (!made) return std::unexpected(made.error());
    producer_ = *std::move(made);
  }
  std::vector<kafka::OutgoingRecord> records;
  std::vector<const Letter*> sent;
  for (const Letter& letter : letters) {
    auto record = copy_of(letter);
    if (!record) {
      refused(letter, std::move(record.error()));
      continue;
    }
    records.push_back(*std::move(record));
    sent.push_back(&letter);
  }
  std::vector<kafka::Delivery> deliveries = producer_->send(records, stopping_.get_token());
  std::vector<std::int64_t> confirmed;
  std::optional<Error> of_all;
  for (std::size_t i = 0; i < deliveries.size(); ++i) {
    kafka::Delivery& delivery = deliveries[i];
    if (!delivery.error) {
      confirmed.push_back(sent[i]->id);
    } else if (delivery.is_records_fault) {
      refused(*sent[i], *std::move(delivery.error));
    } else if (!of_all) {
      of_all = std::move(delivery.error);
    }
  }
  if (!confirmed.empty()) {
    if (auto done = queue_.confirm(confirmed); !done) return done;
    copied_ += confirmed.size();
    waiting_ = std::max<std::int64_t>(waiting_ - std::ssize(confirmed), 0);
  }
  if (of_all) return std::unexpected(*std::move(of_all));
  return {};
}

void Copier::refused(const Letter& letter, Error error) {
  if (of_a_letter_) return;
  error.message = std::format("dead letter {}: {}", letter.id, error.message);
  of_a_letter_ = std::move(error);
}

// One line of the log for each reason, and one when it is over.
void Copier::set_error(std::optional<Error> error) {
  const std::string what = error ? error->to_string() : std::string();
  {
    const MutexLock lock(mutex_);
    const bool is_known = (error_ ? error_->to_string() : std::string()) == what;
    error_ = std::move(error);
    if (is_known) return;
  }
  if (what.empty()) {
    log(LogLevel::info, "dead_letters_copied_again",
        {{"pipeline", options_.pipeline}, {"topic", options_.topic}});
  } else {
    log(LogLevel::warning, "dead_letters_not_copied",
        {{"pipeline", options_.pipeline},
         {"topic", options_.topic},
         {"waiting", waiting_.load()},
         {"error", what}});
  }
}

}  // namespace penstock::dead_letters
