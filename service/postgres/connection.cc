#include "postgres/connection.h"

#include <libpq-fe.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace penstock::postgres {
namespace {

constexpr std::size_t kCopyPiece = std::size_t{64} << 10;  // what one kernel write takes well

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

// ---- Closing, and what it is

Connection::~Connection() { PQfinish(connection_); }

pg_conn* Connection::release(std::unique_ptr<Connection> connection) {
  PQsetnonblocking(connection->connection_, 0);
  PQsetNoticeReceiver(connection->connection_, [](void*, const PGresult*) {}, nullptr);
  return std::exchange(connection->connection_, nullptr);
}

void Connection::cancel() {
  PGcancelConn* const request = PQcancelCreate(connection_);
  if (request == nullptr) return;
  if (PQcancelStart(request) == 1) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED &&
           std::chrono::steady_clock::now() < deadline) {
      // Not by wakeup_: it has been stopped when we come here.
      pollfd fd{.fd = PQcancelSocket(request),
                .events = static_cast<short>(status == PGRES_POLLING_READING ? POLLIN : POLLOUT),
                .revents = 0};
      if (::poll(&fd, 1, 100) > 0) status = PQcancelPoll(request);
    }
  }
  PQcancelFinish(request);
}

bool Connection::found_dead() {
  const bool is_open = PQconsumeInput(connection_) == 1;
  std::ignore = PQisBusy(connection_);  // it has the server's last words read
  return !is_open || PQstatus(connection_) == CONNECTION_BAD;
}

std::uint64_t Connection::traffic() const {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_bytes_acked + info.tcpi_bytes_received;
}

bool Connection::found_read_only() const {
  return refused_a_write_ || parameter("in_hot_standby") == "on" ||
         parameter("default_transaction_read_only") == "on";
}

bool Connection::idle() const { return PQtransactionStatus(connection_) == PQTRANS_IDLE; }

int Connection::socket() const { return PQsocket(connection_); }
int Connection::server_version() const { return PQserverVersion(connection_); }
int Connection::backend_pid() const { return PQbackendPID(connection_); }
std::string Connection::host() const { return PQhost(connection_); }
std::string Connection::tls() const {
  const char* const version = PQsslAttribute(connection_, "protocol");
  return version != nullptr ? version : "off";
}
std::uint16_t Connection::port() const {
  return static_cast<std::uint16_t>(std::strtoul(PQport(connection_), nullptr, 10));
}
std::string Connection::parameter(const char* name) const {
  const char* const value = PQparameterStatus(connection_, name);
  return value != nullptr ? value : "";
}

// ---- Waiting

std::unexpected<Failure> Connection::lost() const {
  std::string message = first_line(PQerrorMessage(connection_));
  if (message.empty()) message = "the connection to PostgreSQL was lost";
  auto failure = failed(FailureClass::retry, ErrorKind::unavailable, std::move(message));
  failure.error().connection_lost = true;
  return failure;
}

SteadyTime Connection::reply_deadline() const {
  if (reply_timeout_.count() <= 0) return deadline_;
  return std::min(deadline_, std::chrono::steady_clock::now() + reply_timeout_);
}

Try<void> Connection::wait_io(bool for_write, SteadyTime deadline) {
  const auto events = static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN);
  std::optional<SteadyTime> since;
  if (silence_watch_ != nullptr) since = std::chrono::steady_clock::now();
  for (;;) {
    const short ready = wakeup_.wait(PQsocket(connection_), events, deadline);
    if (wakeup_.stopped()) return failed(FailureClass::cancelled, ErrorKind::cancelled, "stopped");
    if (ready != 0) {
      // A failed read leaves what the server said before in libpq's buffer: take() reports it.
      if ((ready & ~POLLOUT) != 0) PQconsumeInput(connection_);
      return {};
    }
    if (deadline != SteadyTime::max() && std::chrono::steady_clock::now() >= deadline) {
      auto failure = failed(FailureClass::retry, ErrorKind::unavailable,
                            "PostgreSQL has not answered in time");
      failure.error().connection_lost = true;
      failure.error().gave_up = true;
      return failure;
    }
    if (since && std::chrono::steady_clock::now() - *since >= silence_after_) {
      if (auto given_up = silence_watch_->silent(*since)) {
        given_up->connection_lost = true;
        given_up->gave_up = true;
        return std::unexpected(std::move(*given_up));
      }
    }
  }
}

Try<void> Connection::flush() {
  const SteadyTime deadline = reply_deadline();
  while (PQflush(connection_) == 1) {
    if (auto waited = wait_io(/*for_write=*/true, deadline); !waited) return waited;
  }
  return {};
}

Try<pg_result*> Connection::take() {
  const SteadyTime deadline = reply_deadline();
  while (PQisBusy(connection_) != 0) {
    const bool unsent = PQflush(connection_) == 1;
    if (auto waited = wait_io(unsent, deadline); !waited) {
      return std::unexpected(std::move(waited.error()));
    }
  }
  pg_result* const result = PQgetResult(connection_);
  const char* const state =
      result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (state != nullptr && std::string_view(state) == "25006") refused_a_write_ = true;
  return result;
}

// ---- One statement after another

Try<Reply> Connection::collect() {
  std::optional<Reply> last;
  std::optional<Failure> failure;
  for (;;) {
    auto taken = take();
    if (!taken) return std::unexpected(std::move(taken.error()));
    if (*taken == nullptr) break;
    Reply reply(*taken);
    if (reply.kind() == ReplyKind::error) {
      if (!failure) failure = reply.failure();
    } else {
      last.emplace(std::move(reply));
      if (last->kind() == ReplyKind::copy_in) return std::move(*last);
    }
  }
  if (failure) return std::unexpected(std::move(*failure));
  if (!last || PQstatus(connection_) == CONNECTION_BAD) return lost();
  return std::move(*last);
}

Try<Reply> Connection::execute(const std::string& sql) {
  if (PQsendQuery(connection_, sql.c_str()) == 0) return lost();
  return collect();
}

Try<Reply> Connection::execute(const std::string& sql,
                               std::initializer_list<std::optional<std::string>> parameters) {
  return execute(sql, std::span(parameters.begin(), parameters.size()));
}

Try<Reply> Connection::execute(const std::string& sql,
                               std::span<const std::optional<std::string>> parameters) {
  std::vector<const char*> values;
  for (const auto& value : parameters) values.push_back(value ? value->c_str() : nullptr);
  if (PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr,
                        values.data(), nullptr, nullptr, /*resultFormat=*/0) == 0) {
    return lost();
  }
  return collect();
}

// ---- COPY

Try<void> Connection::begin_copy(const std::string& sql) {
  auto reply = execute(sql);
  if (!reply) return std::unexpected(std::move(reply.error()));
  if (reply->kind() != ReplyKind::copy_in) {
    return failed(FailureClass::configuration, ErrorKind::internal, "COPY did not begin");
  }
  return {};
}

Try<void> Connection::put_copy(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kCopyPiece);
    const int put = PQputCopyData(connection_, piece.data(), static_cast<int>(piece.size()));
    if (put < 0) {  // the server has ended the COPY, or the connection is gone
      auto reply = collect();
      if (reply) return lost();
      return std::unexpected(std::move(reply.error()));
    }
    if (put == 1) bytes.remove_prefix(piece.size());
    if (auto flushed = flush(); !flushed) return flushed;
  }
  return {};
}

Try<std::uint64_t> Connection::end_copy() {
  const SteadyTime deadline = reply_deadline();
  int ended = 0;
  while ((ended = PQputCopyEnd(connection_, nullptr)) == 0) {
    if (auto waited = wait_io(/*for_write=*/true, deadline); !waited) {
      return std::unexpected(std::move(waited.error()));
    }
  }
  auto reply = collect();  // also when PQputCopyEnd failed: it holds the reason
  if (!reply) return std::unexpected(std::move(reply.error()));
  if (ended < 0) return lost();
  return reply->rows_written();
}

// ---- Pipeline

Try<void> Connection::enter_pipeline() {
  if (PQenterPipelineMode(connection_) == 0) return lost();
  return {};
}

Try<void> Connection::send_prepare(const char* name, const std::string& sql,
                                   std::span<const std::uint32_t> types) {
  if (PQsendPrepare(connection_, name, sql.c_str(), static_cast<int>(types.size()), types.data()) ==
      0) {
    return lost();
  }
  return {};
}

Try<void> Connection::send_prepared(const char* name, std::span<const Param> parameters) {
  values_.clear();
  sizes_.clear();
  formats_.clear();
  for (const Param& parameter : parameters) {
    values_.push_back(parameter.data);
    sizes_.push_back(parameter.size);
    formats_.push_back(parameter.is_text ? 0 : 1);
  }
  if (PQsendQueryPrepared(connection_, name, static_cast<int>(parameters.size()), values_.data(),
                          sizes_.data(), formats_.data(), /*resultFormat=*/0) == 0) {
    return lost();
  }
  return {};
}

Try<void> Connection::send_sync() {
  if (PQpipelineSync(connection_) == 0) return lost();
  return {};
}

Try<Reply> Connection::next() {
  for (int ends = 0; ends < 2; ++ends) {  // each command's results end with a null
    auto taken = take();
    if (!taken) return std::unexpected(std::move(taken.error()));
    if (*taken != nullptr) return Reply(*taken);
  }
  return lost();
}

void Connection::leave_pipeline() { PQexitPipelineMode(connection_); }

}  // namespace penstock::postgres
