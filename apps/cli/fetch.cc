// SPDX-License-Identifier: Apache-2.0
#include "fetch.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "fetch/download.h"
#include "fetch/part_file.h"
#include "fetch/url.h"
#include "model/model.h"
#include "model/registry.h"
#include "model_folders.h"
#include "progress.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

struct FetchOptions {
  std::string what;  ///< a known model's name, or a URL
  std::optional<fs::path> folder;
  std::string sha256;
  bool overwrite = false;
  int timeout_s = 30;
  bool quiet = false;
};

/// What is to be downloaded.
struct Wanted {
  std::string url;
  std::string file;
  std::optional<uint64_t> size_bytes;
  std::string sha256;  ///< empty: not known
};

std::string parse_sha256(std::string text) {
  const auto is_hexadecimal = [](unsigned char c) { return std::isxdigit(c) != 0; };
  if (text.size() != 64 || !std::all_of(text.begin(), text.end(), is_hexadecimal)) {
    throw CLI::ValidationError("--sha256", fmt::format("'{}' is not 64 hexadecimal digits", text));
  }
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return text;
}

Wanted wanted_url(const FetchOptions& options) {
  check_url(options.what);
  const std::string file = file_name_of(options.what);
  if (fs::path(file).extension() == ".param") {
    fail(ErrorCode::usage,
         "{} is one of an ncnn model's two files; download both into one folder by hand", file);
  }
  return {options.what, file, std::nullopt, options.sha256};
}

Wanted wanted_model(const FetchOptions& options) {
  const KnownModel* model = find_known_model(options.what);
  if (!model) {
    const KnownModel* nearest = nearest_known_model(options.what);
    fail(ErrorCode::model, "no model is called {}{}; upres models lists them, or give a URL",
         options.what, nearest ? fmt::format(" (did you mean {}?)", nearest->name) : "");
  }
  if (!options.sha256.empty()) {
    fail(ErrorCode::usage, "--sha256 is for URLs; what {} has is known", model->name);
  }
  return {std::string(model->url), std::string(model->file), model->size_bytes,
          std::string(model->sha256)};
}

Wanted wanted(const FetchOptions& options) {
  const bool is_url = options.what.find("://") != std::string::npos;
  return is_url ? wanted_url(options) : wanted_model(options);
}

/// The folder that takes the file; the user's own is made when it is missing.
fs::path target_folder(const std::optional<fs::path>& given) {
  if (given) {
    std::error_code unreachable;
    if (fs::is_directory(*given, unreachable)) return *given;
    fail(ErrorCode::output, "there is no folder {}; make it first", given->string());
  }
  const auto folder = user_models_folder();
  if (!folder) {
    fail(ErrorCode::output, "neither XDG_DATA_HOME nor HOME names a folder; give -m DIR");
  }
  std::error_code error;
  fs::create_directories(*folder, error);
  if (error) {
    fail(ErrorCode::output, "cannot make the folder {}: {}", folder->string(), error.message());
  }
  return *folder;
}

std::string sha256_of(const fs::path& path) {
  return sha256_hex(MappedFile::open(path, ErrorCode::model).bytes());
}

/// Error{model} unless the file has the hash, where one is known, and is a model that can be run.
void check_model(const fs::path& path, const Wanted& wanted) {
  const std::string hash = sha256_of(path);
  if (!wanted.sha256.empty() && hash != wanted.sha256) {
    fail(ErrorCode::model, "what came from {} has the sha256 {} instead of {}; it was thrown away",
         wanted.url, hash, wanted.sha256);
  }
  try {
    load_model(path);
  } catch (const Error& error) {
    std::string why = error.what();
    const std::string place = path.string() + ": ";  // soon gone
    if (why.starts_with(place)) why.erase(0, place.size());
    fail(error.code(), "what came from {} was thrown away: {}", wanted.url, why);
  }
}

/// Whether the file that is wanted is there already. Error{output} when another one has its place.
bool is_here(const fs::path& target, const Wanted& wanted, bool overwrite) {
  std::error_code unreachable;
  if (!fs::exists(target, unreachable)) return false;
  if (!wanted.sha256.empty() && fs::is_regular_file(target, unreachable) &&
      sha256_of(target) == wanted.sha256) {
    return true;
  }
  if (!overwrite) {
    fail(ErrorCode::output, "{} exists{}; give --overwrite, or another -m", target.string(),
         wanted.sha256.empty() ? "" : " and is another file");
  }
  return false;
}

/// The same error, with what the part that is kept is good for.
Error with_rest(const Error& error, const PartFile& part) {
  const bool goes_on = error.code() == ErrorCode::network || error.code() == ErrorCode::interrupted;
  if (!goes_on || part.size() == 0) return error;
  return Error(error.code(),
               fmt::format("{}; {:.1f} MB are kept, and the same command goes on from there",
                           error.what(), double(part.size()) / 1e6));
}

void download_into(PartFile& part, const Wanted& wanted, const FetchOptions& options,
                   Console& console, const std::stop_token& stop) {
  ProgressMeter meter(console, wanted.file, ProgressMeter::Unit::bytes);
  DownloadOptions limits;
  limits.size_bytes = wanted.size_bytes;
  limits.connect_timeout = limits.stall_timeout = std::chrono::seconds(options.timeout_s);
  const DownloadEvents events{
      .progress =
          [&](const DownloadProgress& now) {
            meter.update(
                {int64_t(now.bytes_done), int64_t(now.bytes_total), int64_t(now.bytes_before)});
          },
      .notice = [&](const std::string& sentence) { console.notice(sentence); }};
  try {
    download(wanted.url, part, limits, events, stop);
  } catch (const Error& error) {
    throw with_rest(error, part);
  }
}

int run(const FetchOptions& options, const std::stop_token& stop) {
  Console console(options.quiet ? Verbosity::quiet : Verbosity::normal);
  const Wanted wanted = upres::wanted(options);
  if (wanted.url.empty()) {
    console.result(fmt::format("{} comes with upres", options.what));
    return 0;
  }
  const fs::path target = target_folder(options.folder) / wanted.file;
  if (is_here(target, wanted, options.overwrite)) {
    console.result(fmt::format("{} is here already", target.string()));
    return 0;
  }
  const auto began = std::chrono::steady_clock::now();
  PartFile part(target);
  download_into(part, wanted, options, console, stop);
  try {
    check_model(part.path(), wanted);
  } catch (const Error&) {
    part.discard();  // to go on with it would lead here again
    throw;
  }
  const uint64_t size = part.size();
  part.put_in_place(options.overwrite ? Existing::replace : Existing::refuse);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  console.result(fmt::format("{} -> {}  {:.1f} MB  {:.1f} s", options.what, target.string(),
                             double(size) / 1e6, took.count()));
  return 0;
}

}  // namespace

FetchCommand add_fetch_command(CLI::App& models) {
  CLI::App* parser = models.add_subcommand(
      "fetch", "Download a model: a NAME of the list, or an https:// URL of a model file");
  const auto options = std::make_shared<FetchOptions>();
  parser->add_option("WHAT", options->what, "Name or URL of the model")
      ->option_text("NAME|URL")
      ->required();
  parser
      ->add_option("-m,--models", options->folder,
                   "Folder to put it into (default: ~/.local/share/upres/models)")
      ->option_text("DIR");
  parser
      ->add_option_function<std::string>(
          "--sha256", [=](const std::string& text) { options->sha256 = parse_sha256(text); },
          "What the file at the URL must have")
      ->option_text("HEX");
  parser->add_flag("--overwrite", options->overwrite, "Replace another file of this name");
  parser
      ->add_option("--timeout", options->timeout_s,
                   "Seconds without a byte after which a server is given up (30)")
      ->option_text("N")
      ->check(CLI::Range(1, 3600));
  parser->add_flag("--quiet", options->quiet, "Tell errors only");
  return {parser, [options](const std::stop_token& stop) { return run(*options, stop); }};
}

}  // namespace upres
