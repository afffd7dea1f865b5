#include "control/reception.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include "concurrency/thread.h"
#include "core/log.h"

namespace penstock::control {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::chrono::milliseconds kPauseWithoutFiles{20};
// Then the loop serves those who are in before it looks at the door again.
constexpr int kNewcomersAtATime = 16;

}  // namespace

struct Reception::Impl {
  Impl(ListeningSocket listening_socket, Guests& all_guests, Welcome welcome_them)
      : port(std::move(listening_socket)),
        guests(all_guests),
        welcome(std::move(welcome_them)),
        door(loop, port.descriptor()),
        pause(loop) {}
  ~Impl() { door.release(); }  // `port` closes it

  void wait();
  void let_in();
  void run();
  void close();

  asio::io_context loop{1};
  ListeningSocket port;
  Guests& guests;
  const Welcome welcome;
  asio::posix::stream_descriptor door;
  asio::steady_timer pause;
  bool closed = false;
  std::optional<Thread> thread;
};

void Reception::Impl::wait() {
  if (closed) return;
  door.async_wait(asio::posix::stream_descriptor::wait_read, [this](const error_code& error) {
    if (!error) let_in();
  });
}

void Reception::Impl::let_in() {
  for (int i = 0; i < kNewcomersAtATime && !closed; ++i) {
    auto newcomer = port.accept();
    if (newcomer) {
      try {
        welcome(*std::move(newcomer));
      } catch (const std::exception& error) {  // of this one; the door stays open
        log(LogLevel::error, "connection_failed", {{"error", error.what()}});
      }
      continue;
    }
    if (newcomer.error() == ListeningSocket::Nobody::waits) break;
    log(LogLevel::warning, "no_files_left",
        {{"port", port.port()},
         {"hint", "the process may open more files if ulimit -n is larger"}});
    guests.show_one_out();
    pause.expires_after(kPauseWithoutFiles);
    return pause.async_wait([this](const error_code& error) {
      if (!error) wait();
    });
  }
  wait();
}

void Reception::Impl::run() {
  while (true) {
    try {
      loop.run();
      return;
    } catch (const std::exception& error) {
      log(LogLevel::error, "connection_failed", {{"error", error.what()}});
    }
  }
}

void Reception::Impl::close() {
  closed = true;
  door.cancel();
  pause.cancel();
  guests.show_all_out();
}

Reception::Reception(std::string thread_name) : thread_name_(std::move(thread_name)) {}

Reception::~Reception() { stop(); }

Result<std::uint16_t> Reception::start(const ListenAddress& address, Guests& guests,
                                       Welcome welcome) {
  Result<ListeningSocket> port = ListeningSocket::open(address);
  if (!port) return std::unexpected(std::move(port.error()));
  try {
    impl_ = std::make_unique<Impl>(*std::move(port), guests, std::move(welcome));
  } catch (const std::exception& error) {  // no file for the loop
    return fail(ErrorKind::unavailable, std::string("cannot serve a port: ") + error.what(),
                "the process may open more files if ulimit -n is larger");
  }
  Impl& impl = *impl_;
  asio::post(impl.loop, [&impl] { impl.wait(); });
  impl.thread.emplace(thread_name_, [&impl] { impl.run(); });
  return impl.port.port();
}

asio::io_context& Reception::loop() { return impl_->loop; }

void Reception::post(std::function<void()> task) { asio::post(impl_->loop, std::move(task)); }

void Reception::stop() {
  if (!impl_) return;
  // Ends the loop: when nothing waits any more, it has nothing to do.
  asio::post(impl_->loop, [impl = impl_.get()] { impl->close(); });
  impl_->thread->join();
  impl_.reset();
}

}  // namespace penstock::control
