// SPDX-License-Identifier: Apache-2.0
// upres doctor: what the machine and this build have, and what upres will use.
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "backend/backend.h"
#include "backend/tensorrt/tensorrt.h"
#include "base/error.h"
#include "base/system.h"
#include "command.h"
#include "frame/frame.h"
#include "media/film_encoder.h"
#include "media/image_reader.h"
#include "media/image_writer.h"
#include "model_folders.h"
#include "standard_output.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNvidiaDriver = "/proc/driver/nvidia";

struct DoctorOptions {
  std::optional<fs::path> models;
};

/// A folder for trying things out, removed at the end; empty where none can be made.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "upres-doctor-XXXXXX").string();
    if (!error && mkdtemp(name.data())) path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Which formats work: a small picture is written in each, and read again.
struct Formats {
  std::string written, read, missing;
};

Frame small_picture(SampleType type) {
  Frame picture({16, 16}, type, 3);
  for (size_t i = 0; i < picture.total_bytes(); ++i) picture.data()[i] = std::byte(i & 63);
  return picture;
}

Formats try_formats(const fs::path& folder) {
  Formats formats;
  const auto add = [](std::string& list, std::string_view name) {
    if (!list.empty()) list += ", ";
    list += name;
  };
  for (const FormatTraits& format : image_formats()) {
    const fs::path file = folder / (std::string("picture") + std::string(format.suffixes[0]));
    const SampleType type = format.has(kHoldsU8) ? SampleType::u8 : SampleType::f32;
    bool written = false;
    bool read = false;
    try {
      write_image({file, format.format}, small_picture(type), {});
      written = true;
      read = read_image(file).frame.size() == Size{16, 16};
    } catch (const Error&) {  // it is said which are missing
    }
    if (written) add(formats.written, format.name);
    if (read) add(formats.read, format.name);
    if (!written || !read) add(formats.missing, format.name);
  }
  return formats;
}

/// The models that the driver names.
std::vector<std::string> gpu_names() {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& gpu : fs::directory_iterator(fs::path(kNvidiaDriver) / "gpus", none)) {
    std::ifstream file(gpu.path() / "information");
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("Model:")) continue;
      names.push_back(line.substr(line.find_first_not_of(" \t", 6)));
    }
  }
  return names;
}

std::string gpus() {
  const std::string driver = nvidia_driver_version();
  if (driver.empty()) return "no NVIDIA driver";
  std::string text;
  for (const std::string& name : gpu_names()) text += name + ", ";
  return text + "driver " + driver;
}

/// Each folder in which models are looked up, and what is in it.
std::string models_and_places(const ModelFolders& folders) {
  std::string text;
  for (const fs::path& folder : folders) {
    if (!text.empty()) text += "; ";
    const size_t count = models_in({folder}).size();
    text +=
        fmt::format("{} in {}", count == 0 ? "none" : fmt::format("{}", count), folder.string());
  }
  return text;
}

int run(const DoctorOptions& options) {
  const auto device = open_device("auto", {});
  std::string backend_names;
  for (const BackendInfo& backend : backends()) {
    backend_names += fmt::format("{}{} ({}{})", backend_names.empty() ? "" : ", ", backend.name,
                                 backend.built, backend.can_run() ? "" : ": not on this machine");
  }
  const ScratchFolder scratch;
  const Formats formats = scratch.path().empty() ? Formats{} : try_formats(scratch.path());
  std::string text;
  const auto line = [&](const char* what, const std::string& fact) {
    text += fmt::format("{:<13} {}\n", what, fact.empty() ? "none" : fact);
  };
  line("upres", UPRES_VERSION);
  line("processor", fmt::format("{}, {} for upres", processor_name(), processor_count()));
  line("instructions", instruction_sets());
  line("memory", fmt::format("{:.1f} GiB, {:.1f} GiB free", double(total_memory()) / (1 << 30),
                             double(available_memory()) / (1 << 30)));
  line("gpu", gpus());
  line("backends", backend_names);
  line("tensorrt", tensorrt::findings());
  line("pictures by", image_library());
  line("writes", formats.written);
  line("reads", formats.read);
  if (!formats.missing.empty()) line("not here", formats.missing);
  line("films by", film_library());
  std::string encoders;
  for (const std::string& one : film_encoders()) encoders += (encoders.empty() ? "" : ", ") + one;
  line("encodes", encoders);
  line("models", models_and_places(model_folders(options.models)));
  line("will use", fmt::format("{}, {}: the first backend of this build that the machine can run",
                               device->name(), name(device->chosen(Precision::automatic))));
  write_to_stdout(text);
  return 0;
}

}  // namespace

Command add_doctor_command(CLI::App& program) {
  CLI::App* parser = program.add_subcommand(
      "doctor", "Tell what the machine and this build have, and what upres will use");
  const auto options = std::make_shared<DoctorOptions>();
  add_models_option(*parser, options->models);
  return {parser, [options](const std::stop_token&) { return run(*options); }};
}

}  // namespace upres
