#include "postgres/pool.h"

#include <algorithm>
#include <array>
#include <utility>

namespace penstock::postgres {

struct Pool::Pooled {
  Wakeup wakeup{system_clock()};
  std::unique_ptr<Connection> connection;  // null until it is connected
  bool reused = false;
  SteadyTime idle_since{};
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
};

// ---- Lease

Pool::Lease::Lease(Pool& pool, std::unique_ptr<Pooled> pooled)
    : pool_(&pool), pooled_(std::move(pooled)) {}
Pool::Lease::Lease(Lease&& other) noexcept = default;
Pool::Lease::~Lease() {
  if (pooled_ != nullptr) pool_->give_back(std::move(pooled_));
}
Connection& Pool::Lease::operator*() const { return *pooled_->connection; }
bool Pool::Lease::reused() const { return pooled_->reused; }

// ---- Pool

Pool::Pool(Options options)
    : options_(std::move(options)), thread_("pool", [this] { close_idle(); }) {}

Pool::~Pool() {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Pool::Counters Pool::counters() const {
  const MutexLock lock(mutex_);
  return {.open = leased_ + idle_.size(), .waiting = waiting_.size(), .connects = connects_};
}

Try<Pool::Lease> Pool::lease(const std::stop_token& stop, SteadyTime deadline) {
  auto pooled = wait_for_turn(stop, deadline);
  if (!pooled) return std::unexpected(std::move(pooled.error()));
  (*pooled)->on_stop.emplace(stop, [wakeup = &(*pooled)->wakeup] { wakeup->stop(); });
  if ((*pooled)->connection != nullptr &&
      ((*pooled)->connection->found_dead() || (*pooled)->connection->found_read_only())) {
    (*pooled)->connection.reset();
  }
  (*pooled)->reused = (*pooled)->connection != nullptr;
  if (!(*pooled)->reused) {
    if (auto connected = connect(**pooled); !connected) {
      give_back(std::move(*pooled));
      return std::unexpected(std::move(connected.error()));
    }
  }
  return Lease(*this, std::move(*pooled));
}

Try<std::unique_ptr<Pool::Pooled>> Pool::wait_for_turn(const std::stop_token& stop,
                                                       SteadyTime deadline) {
  const std::stop_callback on_stop(stop, [this] {
    const MutexLock lock(mutex_);
    changed_.notify_all();
  });
  const MutexLock lock(mutex_);
  const std::uint64_t ticket = next_ticket_++;
  waiting_.push_back(ticket);
  bool in_time = true;
  while (!stop.stop_requested() && in_time &&
         (waiting_.front() != ticket || leased_ == options_.max_connections)) {
    in_time = changed_.wait_until(mutex_, deadline);
  }
  waiting_.erase(std::ranges::find(waiting_, ticket));
  changed_.notify_all();  // whoever comes next may be the first now
  if (stop.stop_requested()) {
    return failed(FailureClass::cancelled, ErrorKind::cancelled, "stopped");
  }
  if (!in_time) {
    return failed(FailureClass::retry, ErrorKind::deadline_exceeded,
                  "all " + std::to_string(options_.max_connections) +
                      " connections that claims share were in use for too long");
  }
  ++leased_;
  if (idle_.empty()) return std::make_unique<Pooled>();
  auto pooled = std::move(idle_.back());
  idle_.pop_back();
  return pooled;
}

Try<void> Pool::connect(Pooled& pooled) {
  const std::array defaults{Connection::Setting{"tcp_user_timeout", "15000"}};
  const std::array overrides{Connection::Setting{"application_name", options_.application_name}};
  const SteadyTime begin = std::chrono::steady_clock::now();
  auto opened = Connection::open(options_.conninfo, defaults, overrides, options_.connect_timeout,
                                 pooled.wakeup);
  if (!opened) {
    tell_reach(opened.error(), begin);
    return std::unexpected(std::move(opened.error()));
  }
  // What others create in a schema of the role's search_path must not take part in our statements.
  (*opened)->set_deadline(std::chrono::steady_clock::now() + options_.connect_timeout);
  if (auto set = (*opened)->execute("SET search_path = pg_catalog, pg_temp"); !set) {
    tell_reach(set.error(), begin);
    return std::unexpected(std::move(set.error()));
  }
  (*opened)->set_deadline(SteadyTime::max());
  pooled.connection = std::move(*opened);
  const MutexLock lock(mutex_);
  ++connects_;
  return {};
}

void Pool::tell_reach(const Failure& failure, SteadyTime begin) const {
  if (options_.reach == nullptr || failure.failure != FailureClass::retry ||
      !failure.error.sqlstate.empty() || !failure.connection_lost) {
    return;
  }
  options_.reach->suspect(begin);
}

void Pool::give_back(std::unique_ptr<Pooled> pooled) {
  pooled->on_stop.reset();
  const bool good = pooled->connection != nullptr && pooled->connection->idle() &&
                    !pooled->connection->found_read_only() && !pooled->wakeup.stopped();
  if (!good) {
    pooled.reset();  // closed before anybody else may open one
  } else {
    pooled->connection->set_deadline(SteadyTime::max());
    pooled->connection->set_reply_timeout(std::chrono::milliseconds(0));
    pooled->idle_since = std::chrono::steady_clock::now();
  }
  const MutexLock lock(mutex_);
  --leased_;
  if (good) idle_.push_back(std::move(pooled));
  changed_.notify_all();
}

void Pool::close_idle() {
  for (;;) {
    std::vector<std::unique_ptr<Pooled>> old;
    {
      const MutexLock lock(mutex_);
      if (closed_) return;
      const SteadyTime now = std::chrono::steady_clock::now();
      while (!idle_.empty() && idle_.front()->idle_since + options_.idle_limit <= now) {
        old.push_back(std::move(idle_.front()));
        idle_.erase(idle_.begin());
      }
      if (!old.empty()) {
        leased_ += old.size();  // they count until they are closed
      } else if (idle_.empty()) {
        changed_.wait(mutex_);
      } else {
        changed_.wait_until(mutex_, idle_.front()->idle_since + options_.idle_limit);
      }
    }
    if (old.empty()) continue;
    const std::size_t closing = old.size();
    old.clear();
    const MutexLock lock(mutex_);
    leased_ -= closing;
    changed_.notify_all();
  }
}

}  // namespace penstock::postgres
