// SPDX-License-Identifier: Apache-2.0
#include "model/registry.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "base/file.h"
#include "base/hash.h"

namespace upres {
namespace {

constexpr const char* kHexadecimal = "0123456789abcdef";

TEST(KnownModels, AreStatedInFull) {
  std::set<std::string_view> names;
  std::set<std::string_view> hashes;
  for (const KnownModel& model : known_models()) {
    SCOPED_TRACE(model.name);
    EXPECT_TRUE(names.insert(model.name).second && names.insert(model.file).second);
    EXPECT_TRUE(model.file.starts_with(model.name));
    EXPECT_TRUE(hashes.insert(model.sha256).second);
    EXPECT_EQ(model.sha256.size(), 64u);
    EXPECT_EQ(model.sha256.find_first_not_of(kHexadecimal), std::string_view::npos);
    EXPECT_GT(model.size_bytes, 0u);
    EXPECT_GE(model.scale, 1);
    EXPECT_FALSE(model.about.empty() || model.licence.empty() || model.source.empty());
    if (model.url.empty()) continue;
    EXPECT_TRUE(model.url.starts_with("https://"));
    EXPECT_EQ(std::filesystem::path(model.url).filename(), model.file);
  }
}

TEST(KnownModels, HoldTheDefaultModelAsItIs) {
  const KnownModel* model = find_known_model("upres-general-x4");
  ASSERT_TRUE(model);
  const std::filesystem::path path =
      std::filesystem::path(UPRES_SOURCE_DIR) / "models" / model->file;
  const MappedFile file = MappedFile::open(path, ErrorCode::model);
  EXPECT_EQ(file.bytes().size(), model->size_bytes);
  EXPECT_EQ(sha256_hex(file.bytes()), model->sha256);
}

TEST(KnownModels, AreFoundByNameAndByFile) {
  const KnownModel* model = find_known_model("RealESRGAN_x4plus");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->file, "RealESRGAN_x4plus.pth");
  EXPECT_EQ(find_known_model("RealESRGAN_x4plus.pth"), model);
  EXPECT_EQ(find_known_model("RealESRGAN"), nullptr);
  EXPECT_EQ(find_known_model(""), nullptr);
}

TEST(KnownModels, AreSuggestedForNamesMuchLikeTheirs) {
  const auto suggested = [](std::string_view name) {
    const KnownModel* model = nearest_known_model(name);
    return model ? model->name : "";
  };
  EXPECT_EQ(suggested("realesrgan-x4plus"), "RealESRGAN_x4plus");
  EXPECT_EQ(suggested("RealESRGANx2plus"), "RealESRGAN_x2plus");
  EXPECT_EQ(suggested("realesrgan-x4plus-anime"), "RealESRGAN_x4plus_anime_6B");
  EXPECT_EQ(suggested("realesr-general-x4v3.pht"), "realesr-general-x4v3");
  EXPECT_EQ(suggested("nonesuch"), "");
  EXPECT_EQ(suggested(""), "");
  EXPECT_EQ(suggested(std::string(100'000, 'a')), "");
}

}  // namespace
}  // namespace upres
