// Connection: libpq behind one RAII wrapper that never blocks for longer than it is told to.
//
// Place: a lane's session has one of its own, claims and catalog lease theirs from a Pool; the only
// place that knows libpq, and the one way in for everybody.
// Threads: one owner. Every wait ends when the Wakeup is stopped (FailureClass::cancelled).
// Failure: a Failure with PostgreSQL's SQLSTATE. After `connection_lost` only destruction is
// useful. Stop: the destructor closes at once; cancel() first ends a statement that is still
// running.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/failure_class.h"
#include "postgres/wakeup.h"

struct pg_conn;
struct pg_result;

namespace penstock::postgres {

enum class ReplyKind : std::uint8_t {
  done,  // a command without rows
  rows,
  copy_in,
  sync,     // the end of a pipeline segment
  skipped,  // not run, because an earlier command of the segment failed
  error,
};

class Reply {
 public:
  explicit Reply(pg_result* result) : result_(result) {}

  [[nodiscard]] ReplyKind kind() const;
  [[nodiscard]] std::string_view tag() const;        // "COMMIT", "INSERT 0 3"
  [[nodiscard]] std::uint64_t rows_written() const;  // as the tag says
  [[nodiscard]] int rows() const;
  // Of a column: of a domain those of its base type. -1: without a modifier.
  [[nodiscard]] std::uint32_t type_oid(int column) const;
  [[nodiscard]] int type_modifier(int column) const;
  [[nodiscard]] std::string_view text(int row, int column) const;  // empty when NULL
  [[nodiscard]] std::string string(int row, int column) const {
    return std::string(text(row, column));
  }
  [[nodiscard]] bool is_null(int row, int column) const;
  [[nodiscard]] bool is_true(int row, int column) const { return text(row, column) == "t"; }
  [[nodiscard]] Failure failure() const;  // of kind `error` only

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

// One parameter; null when `data` is.
struct Param {
  const char* data = nullptr;
  int size = 0;
  bool is_text = false;  // and not binary: it ends with a NUL, which does not count
};

// Told, on the thread that waits, while a server says nothing.
class SilenceWatch {
 public:
  virtual ~SilenceWatch() = default;
  // Twice a second, once a wait that began then has lasted for a while. A failure ends the wait
  // with it: the connection is given up.
  [[nodiscard]] virtual std::optional<Failure> silent(SteadyTime since) = 0;
};

class Connection {
 public:
  struct Setting {
    std::string name;
    std::string value;
  };

  // Tries every address of every host of the connection string in turn and takes the first that
  // can be written to, whatever the string says of target_session_attrs. `timeout` is for each
  // address; the string's own connect_timeout goes before it. `defaults` give way to what the
  // string says, `overrides` do not. Beyond this machine the server has to encrypt, and it gets no
  // password in clear, if nobody has said otherwise (conninfo.h). A file that holds the password
  // is read each time (password_file.h). UTF8, and keepalives that find a
  // vanished server within about 25 s, are there anyway. Failure: a wrong password or database ends
  // the search, as what the servers have in common. Of several hosts the first one's failure says
  // what it is, and all of them are told.
  [[nodiscard]] static Try<std::unique_ptr<Connection>> open(const std::string& conninfo,
                                                             std::span<const Setting> defaults,
                                                             std::span<const Setting> overrides,
                                                             std::chrono::milliseconds timeout,
                                                             Wakeup& wakeup);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Longest silence of the server while we wait for it; 0: no bound. A frozen server keeps its TCP
  // connections alive, so neither keepalives nor its own statement_timeout end that wait.
  void set_reply_timeout(std::chrono::milliseconds timeout) { reply_timeout_ = timeout; }
  // Who is told of a silence that has lasted for `after`; null: nobody. Outlives the connection.
  void set_silence_watch(SilenceWatch* watch, std::chrono::milliseconds after) {
    silence_watch_ = watch;
    silence_after_ = after;
  }
  // When every wait for the server ends, however much it says meanwhile.
  void set_deadline(SteadyTime deadline) { deadline_ = deadline; }

  // Runs one or more statements; the last reply, or the first failure.
  [[nodiscard]] Try<Reply> execute(const std::string& sql);
  // One statement with text parameters.
  [[nodiscard]] Try<Reply> execute(const std::string& sql,
                                   std::initializer_list<std::optional<std::string>> parameters);
  [[nodiscard]] Try<Reply> execute(const std::string& sql,
                                   std::span<const std::optional<std::string>> parameters);

  // COPY … FROM STDIN: `sql` may have statements before it. After a failure of any of the three the
  // COPY has ended and the failure is what PostgreSQL said. end_copy: how many rows it wrote.
  [[nodiscard]] Try<void> begin_copy(const std::string& sql);
  [[nodiscard]] Try<void> put_copy(std::string_view bytes);
  [[nodiscard]] Try<std::uint64_t> end_copy();

  // Pipeline: send anything, sync, then take one reply per command and one per sync. Sending also
  // reads, so that neither side blocks on a full socket.
  [[nodiscard]] Try<void> enter_pipeline();
  [[nodiscard]] Try<void> send_prepare(const char* name, const std::string& sql,
                                       std::span<const std::uint32_t> types);
  [[nodiscard]] Try<void> send_prepared(const char* name, std::span<const Param> parameters);
  [[nodiscard]] Try<void> send_sync();
  [[nodiscard]] Try<Reply> next();
  void leave_pipeline();

  // Asks PostgreSQL to end the running statement; waits a second at most for that to be taken.
  void cancel();

  // Whether the server has closed this connection while nothing was going on.
  [[nodiscard]] bool found_dead();
  // Whether that was because of `idle_session_timeout`.
  [[nodiscard]] bool ended_for_idleness() const { return ended_for_idleness_; }
  // What the other side of the connection has acknowledged and sent so far, in bytes: while either
  // grows the link is slow, not dead. 0 where the system does not say (a Unix socket).
  [[nodiscard]] std::uint64_t traffic() const;
  // Whether the server has said that it takes no writes any more, as one that is a standby now:
  // another one is to be asked.
  [[nodiscard]] bool found_read_only() const;
  // Connected, nothing is running and no transaction is open.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] int socket() const;
  [[nodiscard]] int server_version() const;
  // The process that the server named when we connected: a pooler names one that does not exist.
  [[nodiscard]] int backend_pid() const;
  // Of the server that answered, where the connection string names several. A path for a socket.
  [[nodiscard]] std::string host() const;
  [[nodiscard]] std::string tls() const;  // "TLSv1.3" or "off"
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string parameter(const char* name) const;

  // What ends its waits.
  [[nodiscard]] Wakeup& wakeup() const { return wakeup_; }
  // Gives the connection, which blocks from now on, away to whoever knows libpq, too.
  [[nodiscard]] static pg_conn* release(std::unique_ptr<Connection> connection);

 private:
  Connection(pg_conn* connection, Wakeup& wakeup) : connection_(connection), wakeup_(wakeup) {}

  [[nodiscard]] static Try<std::unique_ptr<Connection>> open_one(
      const std::vector<const char*>& names, const std::vector<const char*>& values,
      SteadyTime deadline, Wakeup& wakeup);
  [[nodiscard]] Try<void> finish_connecting(SteadyTime deadline);
  [[nodiscard]] Try<void> wait_io(bool for_write, SteadyTime deadline);
  [[nodiscard]] Try<void> flush();
  // The next result, null at the end of a command's results.
  [[nodiscard]] Try<pg_result*> take();
  [[nodiscard]] Try<Reply> collect();
  [[nodiscard]] std::unexpected<Failure> lost() const;
  [[nodiscard]] SteadyTime reply_deadline() const;

  pg_conn* connection_;
  Wakeup& wakeup_;
  std::chrono::milliseconds reply_timeout_{0};
  SteadyTime deadline_ = SteadyTime::max();
  bool refused_a_write_ = false;
  bool ended_for_idleness_ = false;
  SilenceWatch* silence_watch_ = nullptr;
  std::chrono::milliseconds silence_after_{0};
  std::vector<const char*> values_;  // scratch of send_prepared
  std::vector<int> sizes_;
  std::vector<int> formats_;
};

}  // namespace penstock::postgres
