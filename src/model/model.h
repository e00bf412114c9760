// SPDX-License-Identifier: Apache-2.0
// From a model file to a network.
#pragma once

#include <filesystem>
#include <string>

#include "model/architecture.h"
#include "model/format.h"

namespace upres {

/// A model file, read and understood.
struct Model {
  ModelFile file;  ///< its weights under the architecture's published names
  Network network;
};

/// Reads the file, recognises its architecture and builds the graph (verified). Error{model}, with
/// the file's path, where either fails; an unknown network is refused with the nearest
/// architectures' reasons.
Model load_model(const std::filesystem::path& path);

/// The network between those of two files: blend.h. Its format and hash are those of `path`, whose
/// share is 1 - `weight`. Error{model} too when the two are not of one architecture and shape.
Model load_blended_model(const std::filesystem::path& path, const std::filesystem::path& other,
                         double weight);

/// The file of the model that a user calls `name_or_path`: a path to an existing file is taken as
/// it is, a name is looked up in `folder` (NAME, NAME.safetensors, NAME.fp16.safetensors, NAME.pth,
/// NAME.param, NAME.param.bin). Error{model} that lists the folder's models when there is none.
std::filesystem::path find_model(const std::string& name_or_path,
                                 const std::filesystem::path& folder);

}  // namespace upres
