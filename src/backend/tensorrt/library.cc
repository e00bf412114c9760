// SPDX-License-Identifier: Apache-2.0
#include "backend/tensorrt/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <system_error>
#include <utility>

namespace upres::tensorrt {
namespace {

namespace fs = std::filesystem;

constexpr int kRtxMajor = 1;
constexpr int kRtxLayout = 11;  ///< whose headers' classes TensorRT-RTX 1 shares

/// The files of one TensorRT, and the folder of the Python package that has them.
struct Release {
  Family family;
  int major;
  std::string core, parser, package;
};

Release release(Family family, int major) {
  if (family == Family::rtx) {
    return {family, major, fmt::format("libtensorrt_rtx.so.{}", major),
            fmt::format("libtensorrt_onnxparser_rtx.so.{}", major), "tensorrt_rtx_libs"};
  }
  return {family, major, fmt::format("libnvinfer.so.{}", major),
          fmt::format("libnvonnxparser.so.{}", major), "tensorrt_libs"};
}

std::vector<Release> all_releases() {
  std::vector<Release> all;
  for (int major = kNewestMajor; major >= kOldestMajor; --major) {
    all.push_back(release(Family::classic, major));
  }
  all.push_back(release(Family::rtx, kRtxMajor));
  return all;
}

/// Whether an adapter with such headers can speak to it.
bool fits(const Release& release, int headers_major) {
  if (release.family == Family::rtx) {
    return headers_major == kRtxMajor || headers_major == kRtxLayout;
  }
  return release.major == headers_major;
}

LibraryFiles files_in(const fs::path& folder, const Release& release) {
  return {release.family, release.major, folder / release.core, folder / release.parser};
}

bool is_there(const fs::path& file) {
  std::error_code unknown;
  return fs::exists(file, unknown);
}

std::vector<LibraryFiles> files_of(const SearchPlaces& places, const Release& release) {
  std::vector<LibraryFiles> all;
  const auto add_if_there = [&](const LibraryFiles& files) {
    if (is_there(files.core)) all.push_back(files);
  };
  if (places.only) {
    add_if_there(files_in(*places.only, release));
    return all;
  }
  all.push_back(files_in("", release));
  for (const fs::path& packages : places.packages) {
    add_if_there(files_in(packages / release.package, release));
  }
  return all;
}

/// The folders of packages below a prefix such as /usr/local: lib/python3.11/site-packages, …
void add_packages(const fs::path& prefix, std::vector<fs::path>& all) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(prefix / "lib", none)) {
    if (!entry.path().filename().string().starts_with("python3")) continue;
    for (const char* name : {"site-packages", "dist-packages"}) {
      if (is_there(entry.path() / name)) found.push_back(entry.path() / name);
    }
  }
  std::ranges::sort(found);
  for (const fs::path& one : found) {
    if (std::ranges::count(all, one) == 0) all.push_back(one);
  }
}

/// The prefix of the python3 that a shell would start.
std::optional<fs::path> prefix_of_python() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::error_code unknown;
    const fs::path python = fs::canonical(fs::path(folder) / "python3", unknown);
    if (!unknown) return python.parent_path().parent_path();
  }
  return std::nullopt;
}

template <typename Function>
Function* symbol(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

std::string last_loader_error() {
  const char* error = dlerror();
  return error ? error : "unknown error";
}

/// Whether the loader's words say that there is no file of this name.
bool says_missing(const std::string& reason, const fs::path& file) {
  return !file.has_parent_path() && reason.starts_with(file.string()) &&
         reason.find("No such file") != std::string::npos;
}

/// Opens a pair, or says why not.
std::optional<Library> open(const LibraryFiles& files, std::string& reason) {
  void* core = dlopen(files.core.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!core) {
    reason = last_loader_error();
    return std::nullopt;
  }
  // After the core: that is what it is linked with, wherever it lies.
  void* parser = dlopen(files.parser.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!parser) {
    reason = last_loader_error();
    return std::nullopt;
  }
  auto* version = symbol<int()>(core, "getInferLibVersion");
  Library library{files, {}, nullptr, nullptr, nullptr};
  library.create_builder = symbol<void*(void*, int)>(core, "createInferBuilder_INTERNAL");
  library.create_runtime = symbol<void*(void*, int)>(core, "createInferRuntime_INTERNAL");
  library.create_parser = symbol<void*(void*, void*, int)>(parser, "createNvOnnxParser_INTERNAL");
  if (!version || !library.create_builder || !library.create_runtime || !library.create_parser) {
    reason = fmt::format("{} is not TensorRT: it lacks its functions", files.core.string());
    return std::nullopt;
  }
  const int number = version();
  library.version = {number / 10000, number / 100 % 100, number % 100};
  if (library.version.major != files.major) {
    reason =
        fmt::format("{} says that it is version {}", files.core.string(), text_of(library.version));
    return std::nullopt;
  }
  return library;
}

/// "TensorRT 11 or TensorRT-RTX 1"
std::string fitting_names(int headers_major) {
  std::string names;
  for (const Release& one : all_releases()) {
    if (!fits(one, headers_major)) continue;
    names += fmt::format("{}{} {}", names.empty() ? "" : " or ", name(one.family), one.major);
  }
  return names;
}

}  // namespace

std::string name(Family family) {
  return family == Family::rtx ? "TensorRT-RTX" : "TensorRT";
}

std::string text_of(const Version& version) {
  return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

int Library::number() const {
  return version.major * 10000 + version.minor * 100 + version.patch;
}

SearchPlaces search_places() {
  SearchPlaces places;
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return value && *value ? std::optional<fs::path>(value) : std::nullopt;
  };
  places.only = variable("UPRES_TENSORRT");
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const auto prefix = variable(name)) add_packages(*prefix, places.packages);
  }
  if (const auto prefix = prefix_of_python()) add_packages(*prefix, places.packages);
  if (const auto home = variable("HOME")) add_packages(*home / ".local", places.packages);
  add_packages("/usr/local", places.packages);
  add_packages("/usr", places.packages);
  if (is_there("/usr/lib/python3/dist-packages")) {
    places.packages.push_back("/usr/lib/python3/dist-packages");
  }
  return places;
}

std::vector<LibraryFiles> candidates(const SearchPlaces& places, int headers_major) {
  std::vector<LibraryFiles> all;
  for (const Release& one : all_releases()) {
    if (!fits(one, headers_major)) continue;
    for (const LibraryFiles& files : files_of(places, one)) all.push_back(files);
  }
  return all;
}

std::optional<Library> open_library(const std::vector<LibraryFiles>& candidates,
                                    std::vector<Failure>& failures) {
  for (const LibraryFiles& files : candidates) {
    std::string reason;
    if (auto library = open(files, reason)) return library;
    failures.push_back({files, reason, says_missing(reason, files.core)});
  }
  return std::nullopt;
}

std::string explain(const SearchPlaces& places, int headers_major,
                    const std::vector<Failure>& failures) {
  const auto broken = std::ranges::find(failures, false, &Failure::missing);
  if (broken != failures.end()) {
    return fmt::format(
        "{} {} cannot be used: {}; repair it, or name another one's folder in "
        "UPRES_TENSORRT",
        name(broken->files.family), broken->files.major, broken->reason);
  }
  const std::string wanted = fitting_names(headers_major);
  for (const Release& other : all_releases()) {
    if (fits(other, headers_major)) continue;
    for (const LibraryFiles& files : files_of(places, other)) {
      if (!is_there(files.core)) continue;
      return fmt::format(
          "{} is {} {}, and this build of upres is for {}: build it with the headers of {} "
          "(-DUPRES_TENSORRT_ROOT=), or install {}",
          files.core.string(), name(other.family), other.major, wanted, other.major, wanted);
    }
  }
  if (places.only) {
    return fmt::format("there is no {} in {}, which UPRES_TENSORRT names", wanted,
                       places.only->string());
  }
  return fmt::format(
      "{} is not found: install it (pip install tensorrt-cu13 or tensorrt-rtx-cu13), or name its "
      "folder in UPRES_TENSORRT",
      wanted);
}

}  // namespace upres::tensorrt
