#include "write/lanes.h"

#include <utility>

#include "write/lane.h"

namespace penstock::write {

Lanes::Lanes(LanesOptions options) : set_(std::make_shared<LaneSet>(std::move(options))) {}

Lanes::~Lanes() { stop(); }

void Lanes::start() {
  for (const auto& lane : set_->lanes) lane->start();
}

void Lanes::stop() {
  for (const auto& lane : set_->lanes) lane->stop();
}

std::unique_ptr<Writer> Lanes::attach(WriterOptions options, ChainEvents& events) {
  return std::make_unique<Writer>(set_, std::move(options), events);
}

std::vector<LaneStatus> Lanes::status() const { return set_->status(); }

namespace {

std::vector<std::shared_ptr<WriterQueue>> make_queues(LaneSet& set,
                                                      const std::shared_ptr<WriterShared>& shared) {
  std::vector<std::shared_ptr<WriterQueue>> queues;
  for (const auto& lane : set.lanes) {
    queues.push_back(std::make_shared<WriterQueue>(shared, set.options));
    lane->attach(queues.back());
  }
  return queues;
}

}  // namespace

Writer::Writer(std::shared_ptr<LaneSet> lanes, WriterOptions options, ChainEvents& events)
    : lanes_(std::move(lanes)),
      shared_(std::make_shared<WriterShared>(std::move(options), events)),
      queues_(make_queues(*lanes_, shared_)) {}

Writer::~Writer() { detach(); }

void Writer::adopt(const std::shared_ptr<Chain>& chain) { lanes_->adopt(queues_, chain); }

void Writer::accept(std::unique_ptr<RowBatch> batch) {
  const std::uint16_t lane = batch->chain()->lane;
  lanes_->lanes[lane]->push(*queues_[lane], std::move(batch));
}

void Writer::wake() {
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    queues_[i]->look_again();
    lanes_->lanes[i]->wake();
  }
}

void Writer::retry_now(bool accept_rejects) {
  if (accept_rejects) shared_->suspects.accept_rejects();
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    queues_[i]->ask_retry();
    lanes_->lanes[i]->wake();
  }
}

void Writer::detach() {
  for (std::size_t i = 0; i < queues_.size(); ++i) lanes_->lanes[i]->detach(*queues_[i]);
}

const WriterCounters& Writer::counters() const { return shared_->counters; }

std::vector<LaneStatus> Writer::lanes() const { return lanes_->status(); }

}  // namespace penstock::write
