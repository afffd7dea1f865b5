// Conninfo: a connection string as libpq reads it: which servers it names, and what is secret.
//
// Place: Connection asks it whom to try; everybody who shows a connection string to people shows
// masked(). Threads: plain values; addresses() may wait for the name service.
// Failure: a string that libpq cannot read, without repeating any of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

struct _PQconninfoOption;

namespace penstock::postgres {

class Conninfo {
 public:
  struct Option {
    std::string keyword;
    std::string value;
    bool secret = false;
  };
  // One place to try. Empty: what libpq takes without it.
  struct Address {
    std::string host;      // a name, an address or, with a slash in front, a directory
    std::string hostaddr;  // numeric
    std::string port;
  };

  // What the string itself says; service file and environment are not looked at.
  [[nodiscard]] static Result<Conninfo> parse(const std::string& text);
  // From libpq's own array; null: nothing is set.
  explicit Conninfo(const _PQconninfoOption* options);

  // Those that are set, in libpq's order.
  [[nodiscard]] const std::vector<Option>& options() const { return options_; }
  // Empty when it is not set.
  [[nodiscard]] std::string_view value(std::string_view keyword) const;
  // "host=db port=5432 user=me password=****", for people. Values with spaces are quoted.
  [[nodiscard]] std::string masked() const;

  // What is asked of a server where nobody has said it; empty: nothing. Beyond this machine it has
  // to encrypt, and a server that need not show a certificate that is verified gets no password in
  // clear, nor an MD5 of it, wherever it is: whoever plays it could ask for one.
  struct Demands {
    std::string sslmode;
    std::string require_auth;
  };
  // Of options as they are in force, libpq's defaults among them. `sslmode_is_said`: what is in
  // force is somebody's choice, though it be the default.
  [[nodiscard]] Demands demands(const Address& address, bool sslmode_is_said) const;

  // Every host in the order in which libpq would try them (load_balance_hosts=random shuffles), a
  // name once for each of its addresses. `not_found`: no name could be resolved.
  [[nodiscard]] Result<std::vector<Address>> addresses() const;

 private:
  std::vector<Option> options_;
};

}  // namespace penstock::postgres
