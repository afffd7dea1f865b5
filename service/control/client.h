// A client of the gRPC API of a process that runs, here or elsewhere.
//
// Place in the flow: `penstock ctl` makes one. Threads: one at a time. Every call blocks, until the
// server answers or its time is up.
// Failure: a value whose hint says what to look at: nobody listens there, one side speaks TLS and
// the other does not, a certificate that the other side does not accept; or what the server
// refuses.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/tls_files.h"
#include "core/error.h"
#include "penstock/v1/pipeline_service.pb.h"

namespace penstock::control {

struct ClientOptions {
  std::string address = "127.0.0.1:7070";  // "host:port"
  // With the authority of the server's certificate; and the client's own certificate and key, if
  // the server asks for them. Without: plaintext.
  std::optional<TlsFiles> tls = {};
  std::string server_name = {};  // in the server's certificate; empty: the host of the address
  std::chrono::milliseconds timeout{10'000};
};

class Client {
 public:
  // Reads the certificates; nobody is called yet.
  [[nodiscard]] static Result<Client> make(ClientOptions options);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  [[nodiscard]] Result<std::vector<v1::Pipeline>> list();
  [[nodiscard]] Result<v1::Pipeline> get(const std::string& name);
  [[nodiscard]] Result<v1::Pipeline> pause(const std::string& name, const std::string& reason);
  [[nodiscard]] Result<v1::Pipeline> resume(const std::string& name, bool accept_rejects);
  // Returns when everything that was polled is committed; `limit` comes to the client's timeout.
  [[nodiscard]] Result<v1::Pipeline> drain(const std::string& name, std::chrono::seconds limit);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::control
