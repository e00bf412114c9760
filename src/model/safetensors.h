// SPDX-License-Identifier: Apache-2.0
// Weights in Hugging Face's safetensors format: a JSON header and raw tensors.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "base/file.h"
#include "model/state_dict.h"

namespace upres {

/// The tensors in the order of their bytes. Error{model} where the header does not describe the
/// file exactly: tensors lie in the data without overlaps and without gaps.
StateDict read_safetensors(std::span<const std::byte> file, const CheckOutline& check = accept_any);

/// Writes a file, whole or not at all, of all tensors as they are, with `metadata` in its header.
/// Tensors of larger elements come first, so that all are aligned. Error{output} on failure.
void write_safetensors(const std::filesystem::path& path, Existing existing,
                       const StateDict& weights,
                       const std::map<std::string, std::string>& metadata);

}  // namespace upres
