// SPDX-License-Identifier: Apache-2.0
#include "model/registry.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace upres {
namespace {

constexpr const char* kUpres = "models/README.md";

// Each hash was found in two public places, which agree. The first, which names size, licence and
// URL too, is OpenModelDB: the file below in
// github.com/OpenModelDB/open-model-database at commit 782aac088bd83dd3fc438a42eb0c3868dc559110.
// The second is named beside each model: "AUR" is PKGBUILD of the package python-realesrgan 0.3.0-1
// (AUR 0.2.3: of 0.2.3.0-1) in Arch Linux' user repository, which takes the same URLs; "HF" is the
// Git LFS pointer of a copy on huggingface.co, which has the size too.
constexpr KnownModel kModels[] = {
    {"upres-general-x4", "upres-general-x4.fp16.safetensors",
     "pictures of every kind, small and damaged; fast; the default", 4, "Apache-2.0", 1247136,
     "68819705ac00867341274787573fcd177b913c8479706044e30bb02c39279f7a", "", kUpres},
    // AUR; HF: LykosAI/Upscalers, commit 28a279ec60b5
    {"RealESRGAN_x4plus", "RealESRGAN_x4plus.pth", "photographs; slow", 4, "BSD-3-Clause", 67040989,
     "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
     "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/RealESRGAN_x4plus.pth",
     "OpenModelDB: data/models/4x-realesrgan-x4plus.json"},
    // AUR; HF: LykosAI/Upscalers, commit 28a279ec60b5
    {"RealESRGAN_x2plus", "RealESRGAN_x2plus.pth", "photographs, twice as large; slow", 2,
     "BSD-3-Clause", 67061725, "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
     "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.1/RealESRGAN_x2plus.pth",
     "OpenModelDB: data/models/2x-realesrgan-x2plus.json"},
    // AUR; HF: LykosAI/Upscalers, commit 28a279ec60b5
    {"RealESRGAN_x4plus_anime_6B", "RealESRGAN_x4plus_anime_6B.pth", "drawings", 4, "BSD-3-Clause",
     17938799, "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
     "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.2.4/"
     "RealESRGAN_x4plus_anime_6B.pth",
     "OpenModelDB: data/models/4x-realesrgan-x4plus-anime-6b.json"},
    // AUR; HF: datasets/Kizi-Art/Upscale, commit 6b4b4361ab1e
    {"realesr-general-x4v3", "realesr-general-x4v3.pth",
     "pictures of every kind; fast; removes noise as --denoise says", 4, "BSD-3-Clause", 4885111,
     "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
     "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0/realesr-general-x4v3.pth",
     "OpenModelDB: data/models/4x-realesr-general-x4v3.json"},
    // AUR; HF: datasets/Kizi-Art/Upscale, commit 6b4b4361ab1e
    {"realesr-general-wdn-x4v3", "realesr-general-wdn-x4v3.pth",
     "partner of realesr-general-x4v3 that keeps noise; --denoise needs both", 4, "BSD-3-Clause",
     4885111, "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
     "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0/"
     "realesr-general-wdn-x4v3.pth",
     "OpenModelDB: data/models/4x-realesr-general-wdn-x4v3.json"},
    // AUR; HF: nateraw/real-esrgan, discussion 2
    {"realesr-animevideov3", "realesr-animevideov3.pth", "frames of animated films; fast", 4,
     "BSD-3-Clause", 2504012, "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
     "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0/realesr-animevideov3.pth",
     "OpenModelDB: data/models/4x-realesr-animevideo-v3.json"},
    // AUR 0.2.3
    {"RealESRGANv2-animevideo-xsx2", "RealESRGANv2-animevideo-xsx2.pth",
     "forerunner of realesr-animevideov3", 2, "BSD-3-Clause", 2419014,
     "27985aa2198711ecd72f9bb274ec7b164e018fc9ce2933daaa7c7ab36a2bd3fe",
     "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.3.0/"
     "RealESRGANv2-animevideo-xsx2.pth",
     "OpenModelDB: data/models/2x-realesrganv2-animevideo-xsx2.json"},
    // AUR 0.2.3
    {"RealESRGANv2-animevideo-xsx4", "RealESRGANv2-animevideo-xsx4.pth",
     "forerunner of realesr-animevideov3", 4, "BSD-3-Clause", 2502086,
     "5e04b111c16d5b40deb8f8062d09fdff72fa80281fb9607be23b62650c08daff",
     "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.3.0/"
     "RealESRGANv2-animevideo-xsx4.pth",
     "OpenModelDB: data/models/4x-realesrganv2-animevideo-xsx4.json"},
    // HF: arkrsr/zdy, commit 1a5055919cc8
    {"BSRGAN", "BSRGAN.pth", "photographs; slow", 4, "Apache-2.0", 67046751,
     "5d505a0766160921e0388d76e1ddf08cb114303990f9080432bf2b1c988b1c54",
     "https://github.com/cszn/KAIR/releases/download/v1.0/BSRGAN.pth",
     "OpenModelDB: data/models/4x-BSRGAN.json"},
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return result;
}

/// How many letters must be put in, left out or changed to make one of the other (Levenshtein).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);  // of the letters of a so far to each beginning of b
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::span<const KnownModel> known_models() {
  return kModels;
}

const KnownModel* find_known_model(std::string_view name) {
  const auto* found = std::find_if(std::begin(kModels), std::end(kModels), [&](const auto& model) {
    return model.name == name || model.file == name;
  });
  return found == std::end(kModels) ? nullptr : found;
}

const KnownModel* nearest_known_model(std::string_view name) {
  constexpr size_t kLongestName = 200;  // the work grows with the length
  if (name.size() > kLongestName) return nullptr;
  const std::string wanted = lower(name);
  const KnownModel* nearest = nullptr;
  size_t least = wanted.size() / 3 + 1;  // a third of the letters may be wrong
  for (const KnownModel& model : kModels) {
    for (const std::string_view candidate : {model.name, model.file}) {
      const size_t letters = distance(wanted, lower(candidate));
      if (letters >= least) continue;
      least = letters;
      nearest = &model;
    }
  }
  return nearest;
}

}  // namespace upres
