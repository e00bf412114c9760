// SPDX-License-Identifier: Apache-2.0
// What an engine was built from and for: it serves where all of this is the same.
#pragma once

#include <string>

#include "backend/tensorrt/sealed_file.h"

namespace upres::tensorrt {

struct EngineKey {
  std::string graph;      ///< SHA-256 of its ONNX file: operators, attributes and weights
  std::string precision;  ///< "fp16"
  std::string profile;    ///< see profile.h
  std::string gpu;      ///< "NVIDIA GeForce RTX 4090, compute capability 8.9, 128 multiprocessors"
  std::string driver;   ///< "580.159.04"
  std::string library;  ///< "TensorRT" or "TensorRT-RTX"
  std::string version;  ///< of the library: "10.13.0"

  friend bool operator==(const EngineKey&, const EngineKey&) = default;
};

/// The name of an engine's file without its extension: a hash of all but what changes under an
/// engine with time (driver, version), so that the next engine takes the place of a stale one.
std::string file_name(const EngineKey& key);

/// The key as facts of a sealed file, and back; a fact that is missing becomes empty.
Facts facts_of(const EngineKey& key);
EngineKey key_of(const Facts& facts);

/// Why an engine of the key `found` does not serve where `wanted` is asked for, to be read after
/// "the engine": "is for driver 535.54, and this is 580.82". The keys differ.
std::string difference(const EngineKey& found, const EngineKey& wanted);

}  // namespace upres::tensorrt
