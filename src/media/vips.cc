// SPDX-License-Identifier: Apache-2.0
#include "media/vips.h"

#include <filesystem>
#include <mutex>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/system.h"

namespace upres {
namespace {

std::mutex warning_mutex;
std::string last_warning;

/// Keeps libvips silent, and its last warning: libpng's errors come in no other way. "error in
/// tile" is what a reader adds to them.
void keep_warning(const char*, GLogLevelFlags, const char* message, void*) {
  if (std::string_view(message).starts_with("error in tile")) return;
  const std::lock_guard lock(warning_mutex);
  last_warning = message;
}

void keep_quiet(const char*, GLogLevelFlags, const char*, void*) {}

/// Libraries that came with the program (packaging/bundle.sh) have their modules beside it; left
/// alone they look where the system that they were built for has them.
void find_modules_beside_program() {
  const auto modules = program_path().parent_path().parent_path() / "lib/upres";
  std::error_code unknown;
  if (!std::filesystem::is_directory(modules, unknown)) return;
  g_setenv("VIPSHOME", modules.c_str(), TRUE);
  g_setenv("MAGICK_CODER_MODULE_PATH", (modules / "magick").c_str(), TRUE);
  g_setenv("MAGICK_CONFIGURE_PATH", (modules / "magick").c_str(), TRUE);
}

bool start() {
  find_modules_beside_program();
  g_log_set_handler("VIPS", GLogLevelFlags(G_LOG_LEVEL_MASK | G_LOG_FLAG_FATAL), keep_warning,
                    nullptr);
  // What it says of a picture without width or height, which libvips then refuses.
  g_log_set_handler("GLib-GObject", G_LOG_LEVEL_WARNING, keep_quiet, nullptr);
  if (VIPS_INIT("upres") != 0) return false;
  vips_block_untrusted_set(TRUE);
  // Untrusted only for want of fuzzing by libvips' makers; tests/fuzz does that here. ImageMagick
  // is given nothing but what has the signature of BMP.
  for (const char* name :
       {"VipsForeignLoadPpm", "VipsForeignLoadJp2k", "VipsForeignLoadJxl", "VipsForeignSaveJxl",
        "VipsForeignLoadMagick", "VipsForeignSaveMagick"}) {
    vips_operation_block_set(name, FALSE);
  }
  vips_cache_set_max(0);  // no picture is read twice
  return true;
}

}  // namespace

void start_vips() {
  static const bool started = start();
  if (!started) fail(ErrorCode::device, "cannot start libvips: {}", vips_error_buffer());
}

void forget_vips_errors() {
  vips_error_clear();
  const std::lock_guard lock(warning_mutex);
  last_warning.clear();
}

std::string vips_reason() {
  // The buffer holds lines of "domain: text", what failed first at the top; the reason of a failed
  // system call stands below it.
  const std::string_view buffer = vips_error_buffer();
  const size_t system = buffer.find("unix error: ");
  std::string_view line = buffer.substr(system == std::string_view::npos ? 0 : system);
  line = line.substr(0, line.find('\n'));
  const std::lock_guard lock(warning_mutex);
  if ((line.empty() || line == "vipspng: libpng read error") && !last_warning.empty()) {
    return last_warning;
  }
  if (line.empty()) return "it is damaged";
  // "magickload_buffer: libMagick error: text `name' @ error/bmp.c/ReadBMPImage/870"
  line = line.substr(0, line.find(" `"));
  for (const std::string_view prefix : {": ", "libMagick error: "}) {
    const size_t found = line.find(prefix);
    if (found != std::string_view::npos) line = line.substr(found + prefix.size());
  }
  return std::string(line);
}

}  // namespace upres
