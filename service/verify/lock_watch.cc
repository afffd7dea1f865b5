#include "verify/lock_watch.h"

#include "write/lock_holder.h"

namespace penstock::verify {

void LockWatch::watch(postgres::Connection& connection) {
  pid_ = connection.backend_pid();
  connection.set_silence_watch(this, kPatience);
}

std::optional<postgres::Failure> LockWatch::silent(SteadyTime) {
  if (gave_up_) return {};
  if (!connection_) connection_ = open_();
  std::optional<std::string> holder;
  if (connection_) holder = write::blocker_of(*connection_, pid_);
  gave_up_ = !holder;
  if (!holder || holder->empty() || *holder == last_) return {};
  last_ = *std::move(holder);
  say_(last_);
  return {};
}

}  // namespace penstock::verify
