// A process as a test steers it: every stage that knows chains, real ones where it may be, without
// a thread. The test is the poller, the workers and the lanes' threads in whatever order it likes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "component/chain/fake_postgres.h"
#include "core/charge.h"
#include "core/stages.h"
#include "ingest/batch_builder.h"
#include "sequence/sequencer.h"
#include "write/lane.h"
#include "write/lanes.h"
#include "write/writer.h"

namespace penstock::test {

// Time that only the test lets pass.
class HeldClock final : public Clock {
 public:
  [[nodiscard]] SteadyTime steady_now() const override { return now_; }
  void pass(std::chrono::seconds time) { now_ += time; }

 private:
  SteadyTime now_{std::chrono::hours(1)};
};

class Process final : public ChainEvents {
 public:
  static constexpr std::size_t kLanes = 2;

  Process(FakePostgres& postgres, HeldClock& clock);
  // Stops, if nobody did.
  ~Process() override;

  // ---- As the group's coordinator and the poller
  // The group has given it the partition.
  void assign(std::int32_t partition);
  [[nodiscard]] bool holds(std::int32_t partition) const { return held_.contains(partition); }
  // `is_member`: the group has confirmed that the partition is ours.
  void claim(std::int32_t partition, bool is_member);
  // Takes in records up to `end` of the log, at most `records`.
  void poll(std::int32_t partition, Offset end, int records);
  void emit(std::int32_t partition);
  void begin_revoke(std::int32_t partition);
  // Whether nothing is in flight of it any more.
  [[nodiscard]] bool is_drained(std::int32_t partition) const;
  void end(std::int32_t partition, ChainEnd why);
  void stop();

  // ---- As a worker and as a lane's thread
  void compute(std::size_t which);
  void fail_to_compute(std::size_t which);
  void turn(std::size_t lane);

  [[nodiscard]] std::size_t computing() const { return computing_.size(); }
  // Everything up to `end` is committed, of what it holds.
  [[nodiscard]] bool is_done(std::int32_t partition, Offset end) const;
  // Tells `postgres` of every rule that does not hold.
  void check();

 private:
  struct Held {
    std::shared_ptr<Chain> chain;
    std::optional<ingest::BatchBuilder> builder;
    Offset handed_on = 0;
    bool leaving = false;
    bool foreign = false;    // somebody else took it: the group must confirm first
    RejectWindow rejects;    // of the next chain
    bool was_tried = false;  // and rejected again
  };

  void claimed(const std::shared_ptr<Chain>&) override {}
  void ended(const std::shared_ptr<Chain>& chain) override;
  void hurried(std::span<const std::shared_ptr<Chain>>) override {}
  void mirrored(const Chain&, Offset, SteadyTime, SteadyTime, const std::string&) override {}
  void broken(const std::shared_ptr<Chain>& chain, const Error& error) override;
  void committed(std::span<const std::unique_ptr<RowBatch>> batches,
                 const CommitStats& stats) override;
  void fenced(const std::shared_ptr<Chain>& chain, const FoundPosition& found) override;
  void too_many_rejects(const std::shared_ptr<Chain>& chain, const Error& error) override;
  void put_off(const std::shared_ptr<Chain>& chain) override;
  void doubted(const std::shared_ptr<const Plan>&) override {}
  void stalled(std::uint16_t, const std::optional<Stall>&) override {}

  void reclaim(const std::shared_ptr<Chain>& chain, bool foreign);
  [[nodiscard]] std::unique_ptr<RecordBatch> take_computing(std::size_t which);

  FakePostgres& postgres_;
  HeldClock& clock_;
  InFlight in_flight_{std::size_t{1} << 30, std::size_t{1} << 30};
  std::shared_ptr<const Plan> plan_;
  std::shared_ptr<write::LaneSet> lanes_;
  std::unique_ptr<write::Writer> writer_;
  sequence::Sequencer sequencer_;
  std::map<std::int32_t, Held> held_;
  std::map<std::int32_t, Epoch> highest_;
  std::vector<std::unique_ptr<RecordBatch>> computing_;
  std::vector<std::pair<std::shared_ptr<Chain>, Offset>> seen_;  // how far each chain had come
  bool stopped_ = false;
};

}  // namespace penstock::test
