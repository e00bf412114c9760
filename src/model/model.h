// SPDX-License-Identifier: Apache-2.0
// From a model file to a network.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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

/// Folders in which models are looked up by name, the first that has one wins.
using ModelFolders = std::vector<std::filesystem::path>;

/// The file of the model that a user calls `name_or_path`: a path to an existing file is taken as
/// it is, a name is looked up in the folders (NAME, NAME.safetensors, NAME.fp16.safetensors,
/// NAME.pth, NAME.param, NAME.param.bin). When there is none: Error{model} that says how to get it
/// where it is a known one (registry.h), else lists the folders' models.
std::filesystem::path find_model(const std::string& name_or_path, const ModelFolders& folders);

/// A file that find_model() finds under a name.
struct FoundModel {
  std::string name;
  std::filesystem::path path;
};

/// The models of the folders, each name once, in alphabetical order of each folder.
std::vector<FoundModel> models_in(const ModelFolders& folders);

}  // namespace upres
