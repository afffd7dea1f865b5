#include "harness/free_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

namespace penstock::harness {

Result<std::uint16_t> free_port() {
  std::random_device random;
  std::uniform_int_distribution<int> ports(15'000, 31'000);
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int port = ports(random);
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) break;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool free =
        ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(listener);
    if (free) return static_cast<std::uint16_t>(port);
  }
  return fail(ErrorKind::unavailable, "found no free TCP port between 15000 and 31000");
}

}  // namespace penstock::harness
