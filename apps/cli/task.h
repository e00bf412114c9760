// SPDX-License-Identifier: Apache-2.0
// Which file each picture becomes, and what can be known to go wrong before any work is done.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "media/image_format.h"
#include "media/image_reader.h"

namespace upres {

/// One picture to be made.
struct Task {
  std::filesystem::path input;
  std::filesystem::path output;
  ImageFormat format;
  /// Goes into a folder that was named: which is made where it is missing, and where the file keeps
  /// the input's time of change.
  bool in_folder = false;
};

/// What is to be read and where it goes.
struct TaskOptions {
  std::vector<std::filesystem::path> inputs;  ///< pictures, and folders of them
  bool recursive = false;                     ///< folders in folders, too
  std::optional<std::filesystem::path> output = {};
  std::optional<std::string> suffix = {};  ///< none: "_upres" beside the input, "" in a folder
  std::optional<ImageFormat> format = {};  ///< none: by the output's name, or the input's
};

/// Gives each input its output: `output` itself, or a file in it where it is a folder, or
/// NAME_upres.EXT beside the input when nothing is given. Files in a folder keep their names, their
/// times and their places below it. Throws Error{output} or Error{usage} where that does not work
/// out: two inputs with one output, an output that is an input.
std::vector<Task> plan_tasks(const TaskOptions& options);

/// False, too, for what cannot be reached: check_output() says why.
bool output_exists(const Task& task);

/// Throws Error{output} where the output cannot be written.
void check_output(const Task& task, Existing existing);

/// Makes the folder that the output goes into. Error{output} on failure.
void make_folder(const Task& task);

}  // namespace upres
