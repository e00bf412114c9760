// SPDX-License-Identifier: Apache-2.0
#include "backend/tensorrt/build_progress.h"

#include <algorithm>

namespace upres::tensorrt {

void BuildProgress::start(const std::string& phase, const std::string& parent, int steps) {
  const std::lock_guard lock(mutex_);
  phases_.push_back({phase, parent, std::max(steps, 1), 0});
}

void BuildProgress::step(const std::string& phase, int step) {
  const std::lock_guard lock(mutex_);
  if (Phase* found = find(phase)) {
    found->done = std::max(found->done, std::min(step + 1, found->steps));
  }
}

void BuildProgress::finish(const std::string& phase) {
  const std::lock_guard lock(mutex_);
  if (const Phase* found = find(phase)) phases_.erase(phases_.begin() + (found - phases_.data()));
}

double BuildProgress::share() const {
  const std::lock_guard lock(mutex_);
  if (!phases_.empty()) told_ = std::max(told_, share_of(phases_.front()));
  return told_;
}

/// The last that has begun, where several have the same name.
BuildProgress::Phase* BuildProgress::find(const std::string& name) {
  const auto found = std::find_if(phases_.rbegin(), phases_.rend(),
                                  [&](const Phase& phase) { return phase.name == name; });
  return found == phases_.rend() ? nullptr : &*found;
}

double BuildProgress::share_of(const Phase& phase) const {
  double within = 0;
  for (const Phase* other = &phase + 1; other < phases_.data() + phases_.size(); ++other) {
    if (other->parent == phase.name) within = std::max(within, share_of(*other));
  }
  return std::min((phase.done + within) / phase.steps, 1.0);
}

}  // namespace upres::tensorrt
