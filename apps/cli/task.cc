// SPDX-License-Identifier: Apache-2.0
#include "task.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "base/error.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = "_upres";

/// A picture that was named, or found in a folder that was named.
struct Found {
  fs::path path;
  fs::path below;  ///< its folder, as seen from the one that was named
};

bool is_folder(const fs::path& path) {
  std::error_code unreachable;
  return fs::is_directory(path, unreachable);
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : ".";
}

/// Whether the name is that of a picture; what the file holds shows when it is read.
bool is_picture_name(const fs::path& path) {
  return find_format(path) || path.extension() == ".pbm";
}

/// The pictures in a folder, in the order of their names. Results that were put beside their inputs
/// are no inputs.
std::vector<Found> pictures_in(const fs::path& folder, const TaskOptions& options) {
  std::vector<Found> found;
  const auto take = [&](const fs::directory_entry& entry) {
    const fs::path& path = entry.path();
    std::error_code unreachable;
    if (!entry.is_regular_file(unreachable) || !is_picture_name(path)) return;
    const bool is_result =
        !options.output && path.stem().string().ends_with(options.suffix.value_or(kSuffix));
    if (!is_result) found.push_back({path, path.parent_path().lexically_relative(folder)});
  };
  try {
    if (options.recursive) {
      for (const auto& entry : fs::recursive_directory_iterator(folder)) take(entry);
    } else {
      for (const auto& entry : fs::directory_iterator(folder)) take(entry);
    }
  } catch (const fs::filesystem_error& error) {
    fail(ErrorCode::input, "cannot read the folder {}: {}", error.path1().string(),
         error.code().message());
  }
  std::ranges::sort(found, {}, &Found::path);
  return found;
}

std::vector<Found> find_pictures(const TaskOptions& options) {
  std::vector<Found> found;
  for (const fs::path& input : options.inputs) {
    if (!is_folder(input)) {
      found.push_back({input, {}});
      continue;
    }
    const std::vector<Found> inside = pictures_in(input, options);
    if (inside.empty()) {
      fail(ErrorCode::input, "there are no pictures in the folder {}{}", input.string(),
           options.recursive ? "" : "; -r looks into the folders in it, too");
    }
    found.insert(found.end(), inside.begin(), inside.end());
  }
  return found;
}

/// The format of a result that goes by its input's name, and its extension.
std::pair<ImageFormat, fs::path> format_like(const fs::path& input, const TaskOptions& options) {
  if (options.format) return {*options.format, std::string(traits(*options.format).suffixes[0])};
  const auto own = find_format(input);
  if (own && !traits(*own).has(kOnlyIfAsked)) return {*own, input.extension()};
  return {ImageFormat::png, ".png"};
}

/// The input's name in another folder.
Task task_in(const fs::path& folder, const fs::path& input, const char* suffix,
             const TaskOptions& options) {
  const auto [format, extension] = format_like(input, options);
  fs::path name = folder / input.stem();
  name += options.suffix.value_or(suffix);
  name += extension;
  return {input, name, format};
}

ImageFormat required_format(const fs::path& output) {
  const auto format = find_format(output);
  if (!format) {
    fail(ErrorCode::output,
         "cannot tell what to write from the name {}; end it in .png, .jpg, .webp or another "
         "extension that `upres doctor` lists, or give -f",
         output.string());
  }
  return *format;
}

/// Whether -o names a folder, be it there or not.
bool goes_into_folder(const TaskOptions& options) {
  if (!options.output) return false;
  const bool several = options.inputs.size() > 1 || is_folder(options.inputs.front());
  std::error_code unreachable;
  if (several && fs::exists(*options.output, unreachable) && !is_folder(*options.output)) {
    fail(ErrorCode::output, "{} is not a folder, and several pictures need one; choose another -o",
         options.output->string());
  }
  return several || is_folder(*options.output);
}

/// The same for all names of a file that is there or will be.
fs::path identity(const fs::path& path) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(path, error);
  return error ? path : canonical;
}

void check_places(const std::vector<Task>& tasks) {
  std::map<fs::path, fs::path> makers;  // an output's identity, and the input that becomes it
  for (const Task& task : tasks) {
    const auto [maker, fresh] = makers.emplace(identity(task.output), task.input);
    if (!fresh) {
      fail(ErrorCode::usage,
           "{} and {} would both become {}; upscale them one by one, or into two folders",
           maker->second.string(), task.input.string(), task.output.string());
    }
  }
  for (const Task& task : tasks) {
    const auto maker = makers.find(identity(task.input));
    if (maker != makers.end()) {
      fail(ErrorCode::output, "{} would be written over {}, which is an input; choose another -o",
           maker->second.string(), task.input.string());
    }
  }
}

}  // namespace

std::vector<Task> plan_tasks(const TaskOptions& options) {
  const bool into_folder = goes_into_folder(options);
  std::vector<Task> tasks;
  for (const auto& [input, below] : find_pictures(options)) {
    if (into_folder) {
      const fs::path folder = (*options.output / below).lexically_normal();
      tasks.push_back(task_in(folder, input, "", options));
      tasks.back().in_folder = true;
    } else if (!options.output) {
      tasks.push_back(task_in(input.parent_path(), input, kSuffix, options));
    } else if (!options.output->has_filename()) {
      fail(ErrorCode::output, "there is no folder {}; make it first", options.output->string());
    } else {
      const ImageFormat format =
          options.format ? *options.format : required_format(*options.output);
      tasks.push_back({input, *options.output, format});
    }
  }
  check_places(tasks);
  return tasks;
}

bool output_exists(const Task& task) {
  std::error_code unreachable;
  return fs::exists(task.output, unreachable);
}

void check_output(const Task& task, Existing existing) {
  if (is_folder(task.output)) {
    fail(ErrorCode::output, "{} is a folder; choose another -o", task.output.string());
  }
  if (existing == Existing::refuse && output_exists(task)) {
    fail(ErrorCode::output, "{} exists; give --overwrite or --skip, or choose another -o",
         task.output.string());
  }
  fs::path folder = folder_of(task.output);
  std::error_code unreachable;
  while (task.in_folder && !fs::exists(folder, unreachable))
    folder = folder_of(folder);  // to be made
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    fail(ErrorCode::output, "cannot write into the folder {}: {}", folder.string(),
         std::strerror(errno));
  }
}

void make_folder(const Task& task) {
  const fs::path folder = folder_of(task.output);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    fail(ErrorCode::output, "cannot make the folder {}: {}", folder.string(), error.message());
  }
}

}  // namespace upres
