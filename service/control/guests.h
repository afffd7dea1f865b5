// Who is connected to a port, and who leaves when one more comes than there is room for.
//
// Place in the flow: the servers of this folder write every connection down here. A newcomer is
// always let in: whoever fills a port must not be able to keep others out of it. When there is no
// room, the address that has the most connections loses its oldest, so that one host's flood
// displaces itself.
// Threads: one (the port's loop). Ownership: none; a guest is its way to be shown out.
// Failure: none. Stop: show_all_out().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace penstock::control {

// `wanted`, or less where the process may open few files: the pipelines need them more.
[[nodiscard]] std::size_t room_for(std::size_t wanted);

class Guests {
 public:
  using Id = std::uint64_t;

  explicit Guests(std::size_t limit) : limit_(limit) {}

  // `show_out` closes the connection, now or soon; it is called once at most, and never after
  // leave().
  Id enter(std::string address, std::function<void()> show_out);
  // It has gone. Of one who is not here: nothing.
  void leave(Id id);
  // The one whom a newcomer would displace.
  void show_one_out();
  void show_all_out();

  [[nodiscard]] std::size_t count() const { return guests_.size(); }

 private:
  struct Guest {
    std::string address;
    std::function<void()> show_out;
  };

  void show_out(std::map<Id, Guest>::iterator guest);

  const std::size_t limit_;
  Id next_ = 0;
  std::map<Id, Guest> guests_;  // in the order in which they came
  std::map<std::string, std::size_t, std::less<>> of_address_;
};

}  // namespace penstock::control
