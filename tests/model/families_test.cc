// SPDX-License-Identifier: Apache-2.0
#include "model/families.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "model/model.h"
#include "support.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

std::string refusal_of(const std::string& family, const std::string& article = "a") {
  return fmt::format(
      "this is {0} {1} model; upres does not run {1} yet (it runs RRDBNet and SRVGGNetCompact)",
      article, family);
}

// --- published files ---

struct Case {
  const char* file;  ///< below ../shared/data; PACKED.pth.xz is read as PACKED.pth
  const char* family;
  const char* article = "a";
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.file;
}

/// Unpacks with the program xz, which a machine may not have.
bool unpack(const fs::path& packed, const fs::path& unpacked) {
  const std::string command =
      fmt::format("xz -dc '{}' > '{}' 2> /dev/null", packed.string(), unpacked.string());
  return std::system(command.c_str()) == 0;
}

class FamilyOfFile : public testing::TestWithParam<Case> {};

TEST_P(FamilyOfFile, IsNamed) {
  fs::path path = published("..") / GetParam().file;
  REQUIRE_FILE(path);
  const TemporaryFolder folder;
  if (path.extension() == ".xz") {
    const fs::path unpacked = folder.path() / path.stem();
    if (!unpack(path, unpacked)) GTEST_SKIP() << "SKIPPED 1: no program xz for " << path;
    path = unpacked;
  }
  EXPECT_EQ(refusal([&] { load_model(path); }),
            path.string() + ": " + refusal_of(GetParam().family, GetParam().article));
}

INSTANTIATE_TEST_SUITE_P(
    Files, FamilyOfFile,
    testing::Values(
        Case{"weights/pth/IMDN_RTC.legacy.pth", "IMDN", "an"},
        Case{"weights/pth/IMDN_RTE.legacy-module-prefix.pth", "IMDN", "an"},
        Case{"weights/pth/carn_mdrn-e.legacy-rebuild_tensor_v1.pth", "CARN"},
        Case{"weights/pth/ntire22_bsrn.pth", "BSRN"},
        Case{"weights/pth/ntire22_mobilesr_checkpoint.pth", "MobileSR"},
        Case{"weights/pth/ntire24_advancedsr_offset.pth", "RLFN"},
        Case{"weights/pth/ntire24_span_ch28_torch2.pth", "SPAN"},
        Case{"weights/pth/ntire25_span_params_ema.pth", "SPAN"},
        Case{"more-weights/dat/DAT_light_x2.pth.xz", "DAT"},
        Case{"more-weights/ffdnet/ffdnet_weights_rgb.pth", "FFDNet"},
        Case{"more-weights/real-cugan/models-se/up2x-conservative.param", "Real-CUGAN"},
        Case{"more-weights/real-cugan/models-se/up2x-denoise3x.bin", "Real-CUGAN"},
        Case{"more-weights/real-cugan/models-se/up3x-no-denoise.param", "Real-CUGAN"},
        Case{"more-weights/real-cugan/models-se/up4x-conservative.param", "Real-CUGAN"},
        Case{"more-weights/safmn/NTIRE2023_team15_SAFMN_x4.pth", "SAFMN"},
        Case{"more-weights/smfanet/SMFANet_DF2K_100w_x4SR.pth", "SMFANet"},
        Case{"more-weights/span/4xNomos8k_span_otf_medium.param", "SPAN"},
        Case{"more-weights/span/NTIRE2026_team00_SPAN_ch28_x4.pth", "SPAN"},
        Case{"more-weights/span/spanx2_ch48.param", "SPAN"},
        Case{"more-weights/span/spanx4_ch48.bin", "SPAN"},
        Case{"more-weights/synthetic/hat_x2.random.pth.xz", "HAT"},
        Case{"more-weights/synthetic/mosr_x2.random.pth.xz", "MoSR"},
        Case{"more-weights/synthetic/nafnet_x1.random.pth.xz", "NAFNet"},
        Case{"more-weights/synthetic/omnisr_x2.random.pth.xz", "OmniSR", "an"},
        Case{"more-weights/synthetic/plksr_x2.random.pth.xz", "PLKSR"},
        Case{"more-weights/synthetic/realplksr-dysample_x2.random.pth.xz", "RealPLKSR"},
        Case{"more-weights/synthetic/realplksr-layernorm_x2.random.pth.xz", "RealPLKSR"},
        Case{"more-weights/synthetic/realplksr_x2.random.pth.xz", "RealPLKSR"},
        Case{"more-weights/synthetic/safmn_x2.random.pth.xz", "SAFMN"},
        Case{"more-weights/synthetic/span-training-form_x2.random.pth.xz", "SPAN"},
        Case{"more-weights/synthetic/swin2sr_x2.random.pth.xz", "Swin2SR"},
        Case{"more-weights/synthetic/swinir-light_x2.random.pth.xz", "SwinIR"},
        Case{"more-weights/synthetic/swinir-real_x4.random.pth.xz", "SwinIR"},
        Case{"more-weights/waifu2x/models-cunet/noise1_scale2.0x_model.bin", "waifu2x (cunet)"},
        Case{"more-weights/waifu2x/models-cunet/noise2_scale2.0x_model.param", "waifu2x (cunet)"},
        Case{"more-weights/waifu2x/models-cunet/scale2.0x_model.param", "waifu2x (cunet)"},
        Case{
            "more-weights/waifu2x/models-upconv_7_anime_style_art_rgb/noise1_scale2.0x_model.param",
            "waifu2x (upconv_7)"},
        Case{"more-weights/waifu2x/models-upconv_7_photo/noise1_scale2.0x_model.param",
             "waifu2x (upconv_7)"}));

// --- families of which no file is at hand, or none that can be read ---

TEST(Families, AreToldByTheirTensors) {
  const struct {
    std::vector<std::string> tensors;
    const char* family;
  } cases[] = {
      {{"fea_conv.0.weight", "block1.c1.weight", "LR_conv.weight"}, "IMDN"},
      {{"model.0.weight", "model.1.sub.0.c1.weight", "model.1.sub.5.weight"}, "IMDN"},
      {{"fea_conv.weight", "IMDB1.c1.weight"}, "IMDN"},
      {{"sub_mean.shifter.weight", "entry.weight", "stem.0.body.0.weight"}, "CARN"},
      {{"intermediate_dncnn.itermediate_dncnn.0.weight"}, "FFDNet"},
      {{"unet1.conv1.conv.0.weight", "unet2.conv_bottom.weight"}, "Real-CUGAN"},
      {{"model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight", "f_HR_conv1.0.weight"}, "SPSR"},
      {{"conv_first.weight", "body.0.rdb1.conv1.weight", "am_list.0.fc.0.weight"}, "MM-RealSR"},
      {{"conv_first.weight", "before_RG.1.weight", "layers.0.blocks.0.gamma"}, "RGT"},
      {{"model.0.weight", "model.2.weight", "model.14.weight"}, "DnCNN"},
      {{"m_head.weight", "m_down1.0.res.0.weight", "qf_pred.0.res.0.weight"}, "FBCNN"},
      {{"conv0.weight", "conv1.weight_orig", "conv9.weight"}, "Real-ESRGAN discriminator (netD)"},
  };
  for (const auto& [tensors, family] : cases) {
    StateDict weights;
    for (const std::string& name : tensors) weights.add(name, Tensor(DType::f32, {0}, Buffer(0)));
    EXPECT_EQ(foreign_family(weights), family);
    EXPECT_EQ(refusal([&] { recognise(weights); }),
              refusal_of(family, family[0] == 'I' ? "an" : "a"));
  }
}

TEST(Families, OfOtherNamesAreUnknown) {
  EXPECT_EQ(foreign_family(StateDict{}), std::nullopt);
  StateDict weights;
  weights.add("conv_first.weight", Tensor(DType::f32, {0}, Buffer(0)));
  EXPECT_EQ(foreign_family(weights), std::nullopt);
  EXPECT_EQ(foreign_family({"Input", "Convolution", "PReLU", "PixelShuffle"}), std::nullopt);
  EXPECT_EQ(foreign_family({"Input", "Convolution", "Swish"}), std::nullopt);
  // FSRCNN, which resembles waifu2x's upconv_7.
  EXPECT_EQ(foreign_family({"Input", "Convolution", "PReLU", "Deconvolution"}), std::nullopt);
}

TEST(Families, OfGraphsAreToldByTheirLayers) {
  // Real-CUGAN without its four pooled factors, of which only the graph is at hand.
  EXPECT_EQ(foreign_family({"Input", "Convolution", "Split", "Crop", "Deconvolution", "BinaryOp"}),
            "Real-CUGAN");
}

}  // namespace
}  // namespace upres
