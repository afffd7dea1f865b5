// Health: what holds a pipeline back, and what that makes of its state.
//
// Place: the flow tells it of pauses, of lanes that cannot commit, and of errors; it says whether
// intake may run, and names the state for people, metrics and probes.
// Threads: everything may be called from any thread; nothing here calls anybody.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/mutex.h"
#include "core/pipeline_status.h"
#include "core/stages.h"

namespace penstock::flow {

class Health {
 public:
  explicit Health(std::string pipeline) : pipeline_(std::move(pipeline)) {}

  // ---- A person's pause. False: it was so already, for that reason.
  bool pause(std::string_view reason) EXCLUDES(mutex_);
  void resume() EXCLUDES(mutex_);
  // One more drain waits; the state says so until as many have ended.
  void begin_drain() EXCLUDES(mutex_);
  void end_drain() EXCLUDES(mutex_);
  void begin_close() EXCLUDES(mutex_);
  void set_stopped() EXCLUDES(mutex_);

  // ---- What the lanes say: nothing flows on that one, and why; or it does again.
  void set_stall(std::uint16_t lane, const std::optional<Stall>& stall) EXCLUDES(mutex_);
  // Why the table, read again, does not fit the pipeline; nothing: it does. It explains a stall of
  // the kind `configuration`, and is forgotten with it.
  void set_misfit(std::optional<Error> why) EXCLUDES(mutex_);
  // Why nothing is committed on that lane; empty when something is.
  [[nodiscard]] std::string stall_reason(std::uint16_t lane) const EXCLUDES(mutex_);
  // PostgreSQL does not answer, or does not let us in: reading on would only fill memory.
  [[nodiscard]] bool database_unusable() const EXCLUDES(mutex_);

  // Schema, grants or credentials are wrong, or a table refuses everything: nothing is committed
  // until somebody has done something.
  [[nodiscard]] bool waits_for_a_person() const EXCLUDES(mutex_);

  // ---- Whatever went wrong last
  void set_error(std::string message) EXCLUDES(mutex_);

  // Decides the snapshot's state from its partitions, from why it stepped aside and from what is
  // known here. `kafka_error`: why the group is not joined, if that is known; `fatal`: why only a
  // restart helps.
  void fill(PipelineSnapshot& snapshot, const std::optional<Error>& kafka_error,
            const std::optional<Error>& fatal) const EXCLUDES(mutex_);

 private:
  [[nodiscard]] const Stall* worst_stall() const REQUIRES(mutex_);
  [[nodiscard]] std::string reason_of(const Stall& stall) const REQUIRES(mutex_);

  const std::string pipeline_;
  mutable Mutex mutex_;
  bool paused_by_user_ GUARDED_BY(mutex_) = false;
  std::string pause_reason_ GUARDED_BY(mutex_);
  int drains_ GUARDED_BY(mutex_) = 0;
  bool closing_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::map<std::uint16_t, Stall> stalls_ GUARDED_BY(mutex_);  // by lane
  std::optional<Error> misfit_ GUARDED_BY(mutex_);
  std::string last_error_ GUARDED_BY(mutex_);
  SystemTime last_error_at_ GUARDED_BY(mutex_){};
};

}  // namespace penstock::flow
