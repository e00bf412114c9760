// SPDX-License-Identifier: Apache-2.0
#include "blend.h"

#include <charconv>

#include "base/error.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

// The two models of Real-ESRGAN's -dn (inference_realesrgan.py): x4v3 removes noise, wdn ("weak
// denoise") keeps it. The strength is the share of the first.
constexpr const char* kDenoising = "realesr-general-x4v3";
constexpr const char* kKeepingNoise = "realesr-general-wdn-x4v3";

double parse_share(const std::string& option, const std::string& text) {
  double share = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, share);
  if (error == std::errc() && stop == end && share >= 0 && share <= 1) return share;
  throw CLI::ValidationError(option, fmt::format("'{}' is not a number from 0 to 1", text));
}

/// FILE:WEIGHT; a file's name may hold colons.
Share<std::string> parse_blend(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    throw CLI::ValidationError("--blend", fmt::format("'{}' is not FILE:WEIGHT", text));
  }
  return {text.substr(0, colon), parse_share("--blend", text.substr(colon + 1))};
}

std::optional<Share<fs::path>> keeping_noise(const fs::path& model, double denoise,
                                             const ModelFolders& folders) {
  if (!model.filename().string().starts_with(kDenoising)) {
    fail(ErrorCode::usage, "--denoise is for {}, not for {}; use --blend to mix other models",
         kDenoising, model.string());
  }
  if (denoise == 1) return std::nullopt;
  ModelFolders places{model.has_parent_path() ? model.parent_path() : "."};
  places.insert(places.end(), folders.begin(), folders.end());
  return Share<fs::path>{find_model(kKeepingNoise, places), 1 - denoise};
}

}  // namespace

void add_blend_options(CLI::App& command, BlendChoice& choice) {
  auto* blend = command.add_option_function<std::string>(
      "--blend", [&](const std::string& text) { choice.blend = parse_blend(text); },
      "Mix the weights of a model of the same shape in; WEIGHT is its share, 0 to 1");
  blend->option_text("FILE:WEIGHT")->group("Model");
  command
      .add_option_function<std::string>(
          "--denoise",
          [&](const std::string& text) { choice.denoise = parse_share("--denoise", text); },
          "How much noise realesr-general-x4v3 removes, 0 to 1 (default: 1)")
      ->option_text("X")
      ->excludes(blend)
      ->group("Model");
}

std::optional<Share<fs::path>> other_model(const BlendChoice& choice, const fs::path& model,
                                           const ModelFolders& folders) {
  if (choice.blend) {
    return Share<fs::path>{find_model(choice.blend->model, folders), choice.blend->weight};
  }
  return choice.denoise ? keeping_noise(model, *choice.denoise, folders) : std::nullopt;
}

}  // namespace upres
