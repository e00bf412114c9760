// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share. Each reads one input as a model file; ./dev fuzz says how they run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "model/architecture.h"

namespace upres::fuzz {

/// Reads the input. It may be refused with an Error{model}; whatever else happens is a finding.
template <typename Read>
int run(const uint8_t* data, size_t size_bytes, Read read) {
  try {
    read(std::as_bytes(std::span(data, size_bytes)));
  } catch (const Error& error) {
    UPRES_ASSERT(error.code() == ErrorCode::model, "bad input is the model's fault only");
  }
  return 0;
}

/// What a program does with weights that it read: whatever names and shapes they have, a network is
/// recognised, and its graph in order, or refused.
template <typename... Graph>
void recognise_and_verify(const StateDict& weights, const Graph&... graph) {
  verify(recognise(weights, graph...).network.graph);
}

}  // namespace upres::fuzz
