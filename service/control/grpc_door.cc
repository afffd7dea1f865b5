#include "control/grpc_door.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <deque>
#include <future>
#include <map>
#include <utility>

#include "control/allowance.h"
#include "control/grpc_connection.h"
#include "control/guests.h"
#include "control/reception.h"
#include "control/tls_context.h"
#include "core/mutex.h"

namespace penstock::control {

struct GrpcDoor::Impl final : GrpcConnection::House {
  explicit Impl(Options door_options)
      : options(std::move(door_options)),
        strangers(room_for(options.strangers)),
        guests(room_for(options.guests)),
        allowance(options.frames_per_second, options.frames_per_second,
                  std::chrono::steady_clock::now()) {}

  void welcome(ListeningSocket::Newcomer newcomer);

  void when_allowed(Guests::Id stranger, double frames, std::function<void()> go) override;
  void serve_those_who_wait();
  bool let_in(Guests::Id stranger, int descriptor, Caller caller,
              std::function<void()> show_out) override;
  void gone(Guests::Id stranger, int descriptor) override;

  const Options options;
  HandOver hand_over;
  std::optional<TlsContext> tls;
  bool started = false;
  bool open = true;  // of the loop, as all that follows
  Guests strangers;
  Guests guests;
  std::map<Guests::Id, Guests::Id> let_in_as;  // stranger → guest
  Allowance allowance;
  struct Waiting {
    Guests::Id stranger;
    double frames;
    std::function<void()> go;
  };
  std::deque<Waiting> line;                       // each connection once at most
  std::optional<boost::asio::steady_timer> turn;  // while the loop runs
  Reception reception{"grpc"};

  struct Known {
    Guests::Id stranger;
    Caller caller;
  };
  Mutex callers_mutex;
  std::map<int, Known> callers GUARDED_BY(callers_mutex);  // by gRPC's descriptor
};

void GrpcDoor::Impl::welcome(ListeningSocket::Newcomer newcomer) {
  if (!open) return;
  if (!turn) turn.emplace(reception.loop());
  auto* const context = tls ? tls->acquire() : nullptr;
  if (tls && context == nullptr) return;
  std::string address = newcomer.address;
  const auto connection =
      GrpcConnection::make(reception.loop(), std::move(newcomer), context, *this,
                           {.greeting = options.greeting_limit, .stuck = options.stuck_limit});
  if (!connection) return;
  connection->begin(strangers.enter(std::move(address), [connection] { connection->close(); }));
}

void GrpcDoor::Impl::when_allowed(Guests::Id stranger, double frames, std::function<void()> go) {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (line.empty() && allowance.has_any(now)) {
    allowance.take(frames, now);
    return go();
  }
  line.push_back({.stranger = stranger, .frames = frames, .go = std::move(go)});
  if (line.size() == 1) serve_those_who_wait();
}

void GrpcDoor::Impl::serve_those_who_wait() {
  SteadyTime now = std::chrono::steady_clock::now();
  while (!line.empty() && allowance.has_any(now)) {
    const Waiting next = std::move(line.front());
    line.pop_front();
    allowance.take(next.frames, now);
    next.go();
    now = std::chrono::steady_clock::now();
  }
  if (line.empty() || !turn) return;
  turn->expires_at(allowance.next(now));
  turn->async_wait([this](const boost::system::error_code& error) {
    if (!error) serve_those_who_wait();
  });
}

bool GrpcDoor::Impl::let_in(Guests::Id stranger, int descriptor, Caller caller,
                            std::function<void()> show_out) {
  Descriptor theirs(descriptor);
  if (!open) return false;
  {
    const MutexLock lock(callers_mutex);
    callers.insert_or_assign(descriptor, Known{.stranger = stranger, .caller = caller});
  }
  // The port is another one every time: a crowd is of one host.
  std::string host = caller.address.substr(0, caller.address.rfind(':'));
  strangers.leave(stranger);
  let_in_as[stranger] = guests.enter(std::move(host), std::move(show_out));
  hand_over(theirs.release());
  return true;
}

void GrpcDoor::Impl::gone(Guests::Id stranger, int descriptor) {
  strangers.leave(stranger);
  std::erase_if(line, [&](const Waiting& one) { return one.stranger == stranger; });
  const auto guest = let_in_as.find(stranger);
  if (guest != let_in_as.end()) {
    guests.leave(guest->second);
    let_in_as.erase(guest);
  }
  const MutexLock lock(callers_mutex);
  const auto known = callers.find(descriptor);
  // gRPC may have closed it before, and somebody else may have its number.
  if (known != callers.end() && known->second.stranger == stranger) callers.erase(known);
}

GrpcDoor::GrpcDoor(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}

GrpcDoor::~GrpcDoor() { stop(); }

Result<std::uint16_t> GrpcDoor::start(HandOver hand_over) {
  Impl& impl = *impl_;
  if (impl.options.tls) {
    auto tls = TlsContext::make(*impl.options.tls);
    if (!tls) return std::unexpected(std::move(tls.error()));
    impl.tls.emplace(*std::move(tls));
  }
  impl.hand_over = std::move(hand_over);
  auto port = impl.reception.start(
      impl.options.address, impl.strangers,
      [&impl](ListeningSocket::Newcomer newcomer) { impl.welcome(std::move(newcomer)); });
  impl.started = port.has_value();
  return port;
}

void GrpcDoor::close_to_newcomers() {
  if (!impl_->started) return;
  std::promise<void> done;
  impl_->reception.post([this, &done] {
    impl_->open = false;
    impl_->strangers.show_all_out();
    done.set_value();
  });
  done.get_future().wait();
}

void GrpcDoor::stop() {
  if (!impl_->started) return;
  close_to_newcomers();
  impl_->started = false;
  impl_->reception.post([impl = impl_.get()] {
    impl->guests.show_all_out();
    impl->turn.reset();
  });
  impl_->reception.stop();
}

Caller GrpcDoor::caller(std::string_view peer) const {
  constexpr std::string_view kDescriptor = "fd:";
  if (!peer.starts_with(kDescriptor)) return {.address = std::string(peer), .certificate = {}};
  peer.remove_prefix(kDescriptor.size());
  int descriptor = -1;
  std::from_chars(peer.data(), peer.data() + peer.size(), descriptor);
  const MutexLock lock(impl_->callers_mutex);
  const auto known = impl_->callers.find(descriptor);
  return known == impl_->callers.end() ? Caller{} : known->second.caller;
}

}  // namespace penstock::control
