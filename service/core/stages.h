// How the stages of a flow meet: the whole seam.
//
//   ingest ─RecordSink─▶ compute ─RowSink─▶ sequence ─RowSink─▶ write ─▶ PostgreSQL
//
// Each stage is given the next one's sink; what it has to say otherwise it tells ChainEvents, which
// flow/ implements. flow/flow.cc builds, starts and stops them and is the one place that knows all.
// Threads: every call says on whose it is made. A sink takes the batch whatever happens, never
// blocks and never throws: bytes are budgeted before, and a batch that nobody wants any more is
// destroyed, which gives back its Charge.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/chain.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/record_batch.h"
#include "core/row_batch.h"

namespace penstock {

// Takes the batches of every chain, each chain's in offset order.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void accept(std::unique_ptr<RecordBatch> batch) = 0;
};

class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void accept(std::unique_ptr<RowBatch> batch) = 0;
};

// One committed transaction: batches of one pipeline.
struct CommitStats {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;            // of encoded rows
  std::uint64_t dead_letters = 0;     // all of them, refused_records among them
  std::uint64_t refused_records = 0;  // that PostgreSQL refused: rejects of Stage::write
  // Rows after which the table is as it was: a trigger made nothing of them; or, by key, it said so
  // already, or a later one of the same transaction says otherwise.
  std::uint64_t unchanged_rows = 0;
  bool by_copy = false;
  bool bisected = false;
  bool was_unknown = false;  // COMMIT's answer was lost and the table said yes
  std::uint32_t tries = 1;
  SteadyTime begin{};  // of the try that committed
  SteadyTime end{};
  std::chrono::microseconds fence{0};  // from the fence's sending to its answer; 0: not measured
};

// Why nothing of a pipeline can be committed for now. It passes by itself: everything is tried
// again, at least every minute.
struct Stall {
  enum class Kind : std::uint8_t {
    away,           // PostgreSQL does not answer, restarts, is full or read-only
    waits,          // it answers, and lets us wait: a lock, a statement's time
    configuration,  // schema, grants or credentials are wrong: a person will have to act
  };
  Kind kind = Kind::away;
  Error error;
};

// What stands in a position's place that is not the chain's any more.
struct FoundPosition {
  std::optional<Epoch> epoch;  // both null: there is no such row any more
  std::optional<Offset> offset;
  bool is_reset = false;  // still this process's: somebody has put it elsewhere
};

class ChainEvents {
 public:
  virtual ~ChainEvents() = default;

  // Ingest's thread: a new claim, before its first batch. The chain's lane is chosen here.
  virtual void claimed(const std::shared_ptr<Chain>& chain) = 0;
  // Ingest's thread: it was revoked, lost or is left behind at the end; chain->ended() says which.
  // What is still in flight of it is dropped.
  virtual void ended(const std::shared_ptr<Chain>& chain) = 0;
  // Ingest's thread: somebody waits for what is in flight of these.
  virtual void hurried(std::span<const std::shared_ptr<Chain>> chains) = 0;
  // Ingest's thread: Kafka took the mirrored offset, or said why not.
  virtual void mirrored(const Chain& chain, Offset offset, SteadyTime begin, SteadyTime end,
                        const std::string& error) = 0;

  // A worker's thread: a batch of it could not be worked on and is gone, so that nothing behind it
  // may be written. The chain has ended.
  virtual void broken(const std::shared_ptr<Chain>& chain, const Error& error) = 0;

  // The lane's thread: these are committed and visible. source->trace.write_begin and commit_end
  // are set; set_committed() was called. The lane destroys them afterwards.
  virtual void committed(std::span<const std::unique_ptr<RowBatch>> batches,
                         const CommitStats& stats) = 0;
  // The lane's thread: the position no longer belongs to this chain, which has ended.
  virtual void fenced(const std::shared_ptr<Chain>& chain, const FoundPosition& found) = 0;
  // The lane's thread: the chain has ended, because with its next record too many would be dead
  // letters; what comes before that is committed.
  virtual void too_many_rejects(const std::shared_ptr<Chain>& chain, const Error& error) = 0;
  // The lane's thread: the chain has ended, because a record of it waits to be tried again and
  // somebody waits for what is in flight. It is claimed and read again; nothing of it is lost.
  virtual void put_off(const std::shared_ptr<Chain>& chain) = 0;
  // The lane's thread: the tables of this plan may not be any more what they were when it was made.
  // If so, nothing of it can be committed.
  virtual void doubted(const std::shared_ptr<const Plan>& plan) = 0;
  // The lane's thread: what this pipeline waits for on that lane has changed; nothing: it flows.
  virtual void stalled(std::uint16_t lane, const std::optional<Stall>& stall) = 0;
};

}  // namespace penstock
