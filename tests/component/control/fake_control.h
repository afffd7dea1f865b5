// A PipelineControl whose answers a test decides.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/pipeline_status.h"

namespace penstock::control {

inline PipelineSnapshot healthy_pipeline(std::string name) {
  PipelineSnapshot p;
  p.name = std::move(name);
  p.group = "g";
  p.tables = {"public.orders", "public.order_lines"};
  p.state = PipelineState::running;
  p.group_joined = p.database_reachable = p.schema_current = true;
  return p;
}

class FakeControl final : public PipelineControl {
 public:
  std::vector<PipelineSnapshot> snapshots() const override {
    std::unique_lock lock(mutex_);
    if (throws_) throw std::runtime_error("a bug");
    if (metrics_are_held_ && renders_metrics()) {
      ++metrics_held_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return !metrics_are_held_; });
      --metrics_held_;
    }
    return pipelines_;
  }
  std::optional<PipelineSnapshot> snapshot(std::string_view name) const override {
    const std::scoped_lock lock(mutex_);
    const auto found = std::ranges::find(pipelines_, name, &PipelineSnapshot::name);
    if (found == pipelines_.end()) return std::nullopt;
    return *found;
  }

  Result<void> pause(std::string_view name, std::string_view reason) override {
    return change(name, [&](PipelineSnapshot& p) {
      p.state = PipelineState::paused;
      p.state_reason = reason;
      p.paused_by_user = true;
    });
  }
  Result<void> resume(std::string_view name, bool accept_rejects) override {
    return change(name, [&](PipelineSnapshot& p) {
      p.state = PipelineState::running;
      p.state_reason = accept_rejects ? "rejects are accepted" : "";
      p.paused_by_user = false;
    });
  }
  Result<void> drain(std::string_view name, std::chrono::milliseconds timeout) override {
    std::unique_lock lock(mutex_);
    const auto found = std::ranges::find(pipelines_, name, &PipelineSnapshot::name);
    if (refusal_) return std::unexpected(*refusal_);
    found->state = PipelineState::draining;
    ++drains_;
    ++drains_now_;
    changed_.notify_all();
    const bool in_time = changed_.wait_for(lock, timeout, [&] { return drained_; });
    --drains_now_;
    if (!in_time) {
      return fail(ErrorKind::deadline_exceeded, "12 records are still in flight");
    }
    found->state = PipelineState::paused;
    found->paused_by_user = true;
    return {};
  }

  // ---- what the test says ----

  template <typename Change>
  void edit(Change change) {
    const std::scoped_lock lock(mutex_);
    change(pipelines_);
    changed_.notify_all();
  }
  void refuse_with(Error error) {
    const std::scoped_lock lock(mutex_);
    refusal_ = std::move(error);
  }
  void throw_from_now_on() {
    const std::scoped_lock lock(mutex_);
    throws_ = true;
  }
  // While this is set, the thread that renders metrics waits.
  void hold_metrics(bool on) {
    const std::scoped_lock lock(mutex_);
    metrics_are_held_ = on;
    changed_.notify_all();
  }
  // False after thirty seconds.
  bool wait_for_held_metrics() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return metrics_held_ > 0; });
  }
  void finish_draining() {
    const std::scoped_lock lock(mutex_);
    drained_ = true;
    changed_.notify_all();
  }
  // False after ten seconds.
  bool wait_for_drains(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return drains_ >= count; });
  }
  bool wait_for_drains_at_once(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return drains_now_ >= count; });
  }
  int drains() const {
    const std::scoped_lock lock(mutex_);
    return drains_;
  }

 private:
  static bool renders_metrics() {
    std::array<char, 16> name{};
    return pthread_getname_np(pthread_self(), name.data(), name.size()) == 0 &&
           std::string_view(name.data()) == "http-metrics";
  }
  template <typename Change>
  Result<void> change(std::string_view name, Change change) {
    const std::scoped_lock lock(mutex_);
    if (refusal_) return std::unexpected(*refusal_);
    const auto found = std::ranges::find(pipelines_, name, &PipelineSnapshot::name);
    if (found == pipelines_.end()) return fail(ErrorKind::not_found, "gone");
    change(*found);
    changed_.notify_all();
    return {};
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<PipelineSnapshot> pipelines_{healthy_pipeline("orders")};
  std::optional<Error> refusal_;
  bool throws_ = false;
  bool metrics_are_held_ = false;
  mutable int metrics_held_ = 0;
  bool drained_ = false;
  int drains_ = 0;
  int drains_now_ = 0;
};

}  // namespace penstock::control
