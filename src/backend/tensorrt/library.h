// SPDX-License-Identifier: Apache-2.0
// TensorRT's libraries, looked for and opened when the program runs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace upres::tensorrt {

enum class Family { classic, rtx };

/// "TensorRT", "TensorRT-RTX".
std::string name(Family family);

struct Version {
  int major = 0, minor = 0, patch = 0;
  friend bool operator==(const Version&, const Version&) = default;
};

/// "10.13.0"
std::string text_of(const Version& version);

/// A pair of libraries: TensorRT, and its parser of ONNX.
struct LibraryFiles {
  Family family;
  int major;                     ///< as in the file's name: 10 of libnvinfer.so.10
  std::filesystem::path core;    ///< without a folder where the loader is to find it
  std::filesystem::path parser;  ///< likewise
};

/// An opened pair. It stays open until the program ends: TensorRT's threads and its pools do not
/// survive otherwise.
struct Library {
  LibraryFiles files;
  Version version;
  // TensorRT's entry points: createInferBuilder_INTERNAL, createInferRuntime_INTERNAL,
  // createNvOnnxParser_INTERNAL.
  void* (*create_builder)(void* logger, int version);
  void* (*create_runtime)(void* logger, int version);
  void* (*create_parser)(void* network, void* logger, int version);

  /// As getInferLibVersion() gives it: what the library's own headers would pass.
  int number() const;
};

/// Where libraries are looked for, from the environment.
struct SearchPlaces {
  /// The only folder that is looked into; from UPRES_TENSORRT.
  std::optional<std::filesystem::path> only;
  /// Folders in which Python has its packages, in the order of preference.
  std::vector<std::filesystem::path> packages;
};

/// UPRES_TENSORRT; the Python environment that is active ($VIRTUAL_ENV, $CONDA_PREFIX), that of the
/// python3 in $PATH, the user's own packages and the system's.
SearchPlaces search_places();

/// Those of TensorRT that there are headers for.
constexpr int kOldestMajor = 10;
constexpr int kNewestMajor = 11;

/// What there may be to open for an adapter whose headers are of version `headers_major` (10 or 11;
/// 1 for TensorRT-RTX's own), in the order of preference: TensorRT, then TensorRT-RTX; of each the
/// loader's first, then the files that are in the packages. The classes of TensorRT 11 and those of
/// TensorRT-RTX 1 have one layout, those of TensorRT 10 another.
std::vector<LibraryFiles> candidates(const SearchPlaces& places, int headers_major);

/// What was found out about one candidate that cannot be used.
struct Failure {
  LibraryFiles files;
  std::string reason;  ///< "libnvinfer.so.11: cannot open shared object file"
  bool missing;        ///< the loader knows no such file: nothing is wrong with it
};

/// The first candidate that can be opened. Nothing where there is none; `failures` says why.
std::optional<Library> open_library(const std::vector<LibraryFiles>& candidates,
                                    std::vector<Failure>& failures);

/// One sentence on why there is no TensorRT, and what to do.
std::string explain(const SearchPlaces& places, int headers_major,
                    const std::vector<Failure>& failures);

}  // namespace upres::tensorrt
