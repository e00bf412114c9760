// SPDX-License-Identifier: Apache-2.0
// How far a build is, from phases that lie in each other.
#pragma once

#include <mutex>
#include <string>
#include <vector>

namespace upres::tensorrt {

/// TensorRT tells of phases: each has a name, a number of steps, and may lie in the present step of
/// another. Thread-safe.
class BuildProgress {
 public:
  /// `parent` is empty for the outermost phase.
  void start(const std::string& phase, const std::string& parent, int steps);
  /// Step `step` of a phase, counted from 0, is done.
  void step(const std::string& phase, int step);
  void finish(const std::string& phase);

  /// 0 to 1, never less than before: the steps of the outermost phase that are done, and of the
  /// present one what is done of the phases in it.
  double share() const;

 private:
  struct Phase {
    std::string name, parent;
    int steps;
    int done;
  };

  Phase* find(const std::string& name);
  double share_of(const Phase& phase) const;

  mutable std::mutex mutex_;
  std::vector<Phase> phases_;  ///< that have begun and not ended, in the order of their beginning
  mutable double told_ = 0;
};

}  // namespace upres::tensorrt
