// SPDX-License-Identifier: Apache-2.0
// Which file each picture becomes, and what can be known to go wrong before any work is done.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "media/image.h"

namespace upres {

/// One picture to be made.
struct Task {
  std::filesystem::path input;
  std::filesystem::path output;
  ImageFormat format;
};

/// Gives each input its output: `output` itself, or a file in it where it is a folder, or
/// NAME_upres.EXT beside the input when nothing is given. Throws Error{output} or Error{usage}
/// where that does not work out: several inputs and no folder, two inputs with one output.
std::vector<Task> plan_tasks(const std::vector<std::filesystem::path>& inputs,
                             const std::optional<std::filesystem::path>& output);

/// False, too, for what cannot be reached: check() says why.
bool output_exists(const Task& task);

/// Reads the input's header, and looks whether the output can be written. Throws Error{input} or
/// Error{output}.
ImageInfo check(const Task& task, Existing existing);

}  // namespace upres
