// SPDX-License-Identifier: Apache-2.0
#include "task.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "base/error.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

ImageFormat required_format(const fs::path& output) {
  const auto format = find_format(output);
  if (!format) {
    fail(ErrorCode::output, "cannot tell what to write from the name {}; end it in .png or .jpg",
         output.string());
  }
  return *format;
}

/// `name` with the input's extension where that is written, else .png.
Task with_extension(const fs::path& input, fs::path name) {
  const auto own = find_format(input);
  name += own ? input.extension() : fs::path(".png");
  return {input, name, own.value_or(ImageFormat::png)};
}

bool is_folder(const fs::path& path) {
  std::error_code unreachable;
  return fs::is_directory(path, unreachable);
}

Task plan_task(const fs::path& input, const std::optional<fs::path>& output) {
  if (!output) {
    return with_extension(input, input.parent_path() / (input.stem().string() + "_upres"));
  }
  if (is_folder(*output)) return with_extension(input, *output / input.stem());
  if (!output->has_filename()) {
    fail(ErrorCode::output, "there is no folder {}; make it first", output->string());
  }
  return {input, *output, required_format(*output)};
}

/// The same for all names of a file that is there or will be.
fs::path identity(const fs::path& path) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(path, error);
  return error ? path : canonical;
}

void check_folder(const fs::path& folder) {
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    fail(ErrorCode::output, "cannot write into the folder {}: {}", folder.string(),
         std::strerror(errno));
  }
}

}  // namespace

std::vector<Task> plan_tasks(const std::vector<fs::path>& inputs,
                             const std::optional<fs::path>& output) {
  if (inputs.size() > 1 && output && !is_folder(*output)) {
    fail(ErrorCode::output, "{} is not a folder; several pictures need one, so make it first",
         output->string());
  }
  std::vector<Task> tasks;
  std::map<fs::path, fs::path> makers;  // an output's identity, and the input that becomes it
  for (const fs::path& input : inputs) {
    tasks.push_back(plan_task(input, output));
    const auto [maker, fresh] = makers.emplace(identity(tasks.back().output), input);
    if (!fresh) {
      fail(ErrorCode::usage, "{} and {} would both become {}; upscale them one by one",
           maker->second.string(), input.string(), tasks.back().output.string());
    }
  }
  for (const fs::path& input : inputs) {
    const auto maker = makers.find(identity(input));
    if (maker != makers.end()) {
      fail(ErrorCode::output, "{} would be written over {}, which is an input; choose another -o",
           maker->second.string(), input.string());
    }
  }
  return tasks;
}

bool output_exists(const Task& task) {
  std::error_code unreachable;
  return fs::exists(task.output, unreachable);
}

ImageInfo check(const Task& task, Existing existing) {
  const ImageInfo picture = read_image_info(task.input);
  check_holds(task.format, task.output, picture);
  if (is_folder(task.output)) {
    fail(ErrorCode::output, "{} is a folder; choose another -o", task.output.string());
  }
  if (existing == Existing::refuse && output_exists(task)) {
    fail(ErrorCode::output, "{} exists; give --overwrite or --skip, or choose another -o",
         task.output.string());
  }
  check_folder(task.output.has_parent_path() ? task.output.parent_path() : ".");
  return picture;
}

}  // namespace upres
