#include "control/guests.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

namespace penstock::control {

std::size_t room_for(std::size_t wanted) {
  // Two ports, and up to three files for each of their connections: at most half of them all.
  constexpr std::size_t kShare = 12;
  constexpr std::size_t kLeast = 4;
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return wanted;
  return std::clamp<std::size_t>(files.rlim_cur / kShare, kLeast, std::max(kLeast, wanted));
}

Guests::Id Guests::enter(std::string address, std::function<void()> show_out) {
  if (guests_.size() >= limit_) show_one_out();
  ++of_address_[address];
  const Id id = next_++;
  guests_.emplace(id, Guest{std::move(address), std::move(show_out)});
  return id;
}

void Guests::leave(Id id) {
  const auto guest = guests_.find(id);
  if (guest == guests_.end()) return;
  const auto count = of_address_.find(guest->second.address);
  if (--count->second == 0) of_address_.erase(count);
  guests_.erase(guest);
}

void Guests::show_out(std::map<Id, Guest>::iterator guest) {
  const auto show_out = std::move(guest->second.show_out);
  leave(guest->first);
  show_out();
}

void Guests::show_one_out() {
  if (guests_.empty()) return;
  const std::string& crowd = std::ranges::max_element(of_address_, {}, [](const auto& entry) {
                               return entry.second;
                             })->first;
  show_out(
      std::ranges::find(guests_, crowd, [](const auto& entry) { return entry.second.address; }));
}

void Guests::show_all_out() {
  while (!guests_.empty()) show_out(guests_.begin());
}

}  // namespace penstock::control
