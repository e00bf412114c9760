// SPDX-License-Identifier: Apache-2.0
//
// A row asks for what the family's files have and no other family's further down: it says which
// one a file holds, not that the file is whole. Names as published by the authors; most are those
// by which spandrel tells the families apart, too.
#include "model/families.h"

#include <algorithm>
#include <array>

namespace upres {
namespace {

struct Family {
  std::string_view name;
  std::array<std::string_view, 2> tensors;  ///< both; one may be left out
};

/// Tried in this order: variants stand before what they were made from.
constexpr Family kFamilies[] = {
    // transformers
    {"HAT", {"layers.0.residual_group.overlap_attn.qkv.weight"}},
    {"Swin2SR", {"layers.0.residual_group.blocks.0.attn.logit_scale"}},
    {"SRFormer", {"layers.0.residual_group.blocks.0.attn.aligned_relative_position_index"}},
    {"SwinIR", {"layers.0.residual_group.blocks.0.attn.relative_position_bias_table"}},
    {"ATD", {"layers.0.residual_group.layers.0.attn_atd.scale"}},
    {"CRAFT", {"layers.0.residual_group.hf_blocks.0.attn.temperature"}},
    {"DRCT", {"layers.0.swin1.attn.relative_position_bias_table"}},
    {"RGT", {"before_RG.1.weight", "layers.0.blocks.0.gamma"}},
    {"DAT", {"before_RG.1.weight", "layers.0.blocks.0.ffn.sg.conv.weight"}},
    {"GRL", {"layers.0.blocks.0.attn.window_attn.attn_transform.logit_scale"}},
    {"DITN", {"UFONE.0.ITLs.0.attn.temperature"}},
    {"OmniSR", {"residual_layer.0.residual_layer.0.layer.0.fn.0.weight"}},
    {"MobileSR", {"body.layers.0.0.pos_embed.weight", "fuse.weight"}},
    {"Restormer", {"encoder_level1.0.attn.qkv_dwconv.weight", "refinement.0.attn.temperature"}},
    {"SCUNet", {"m_head.0.weight", "m_tail.0.weight"}},
    // convolutions
    {"SPAN", {"block_1.c1_r.eval_conv.weight", "conv_cat.weight"}},
    {"RealPLKSR", {"feats.1.channel_mixer.0.weight", "feats.1.refine.weight"}},
    {"PLKSR", {"feats.1.channe_mixer.0.weight", "feats.1.refine.weight"}},  // as it is spelt there
    {"SAFMN", {"feats.0.safm.mfr.0.weight"}},
    {"SMFANet", {"feats.0.smfa.alpha"}},
    {"MoSR", {"gblocks.0.weight", "gblocks.1.fc1.weight"}},
    {"SeemoRe", {"body.0.local_block.block.moe_layer.experts.0.conv_1.weight"}},
    {"NAFNet", {"middle_blks.0.beta", "middle_blks.0.sca.1.weight"}},
    {"Real-CUGAN", {"unet1.conv1.conv.0.weight", "unet2.conv_bottom.weight"}},
    {"BSRN", {"B1.c1_r.pw.weight", "B1.c1_d.weight"}},
    {"RFDN", {"B1.c1_r.weight", "B1.c1_d.weight"}},
    {"RLFN", {"block_1.c1_r.weight", "block_1.esa.conv1.weight"}},
    {"IMDN", {"IMDB1.c1.weight"}},
    {"IMDN", {"block1.c1.weight", "LR_conv.weight"}},  // IMDN_RTE
    {"IMDN", {"model.1.sub.0.c1.weight"}},             // IMDN_RTC
    {"CARN", {"sub_mean.shifter.weight", "entry.weight"}},
    {"RCAN", {"body.0.body.0.body.0.weight", "body.0.body.0.body.3.conv_du.0.weight"}},
    {"EDSR", {"body.0.body.0.weight", "head.0.weight"}},
    {"SRResNet", {"model.1.sub.0.res.0.weight"}},
    {"SwiftSRGAN", {"initial.cnn.depthwise.weight"}},
    // RRDBNet inside of something larger
    {"SPSR", {"f_HR_conv1.0.weight"}},
    {"MM-RealSR", {"am_list.0.fc.0.weight"}},
    // restoration without enlarging, faces
    {"FFDNet", {"intermediate_dncnn.itermediate_dncnn.0.weight"}},
    {"FBCNN", {"qf_pred.0.res.0.weight"}},
    {"DRUNet", {"m_head.weight", "m_down1.0.res.0.weight"}},
    {"DnCNN", {"model.2.weight", "model.14.weight"}},
    {"GFPGAN", {"stylegan_decoder.style_mlp.1.weight"}},
    {"CodeFormer", {"idx_pred_layer.1.weight", "quantize.embedding.weight"}},
    {"RestoreFormer", {"quant_conv.weight", "quantize.embedding.weight"}},
    // what lies beside generators
    {"Real-ESRGAN discriminator (netD)", {"conv1.weight_orig", "conv9.weight"}},
};

struct NcnnFamily {
  std::string_view name;
  std::array<std::string_view, 4> has;
  std::array<std::string_view, 3> has_not;
};

/// waifu2x's cunet, from Caffe, and Real-CUGAN, from PyTorch, are one network but for the layer
/// that adds.
constexpr NcnnFamily kNcnnFamilies[] = {
    {"waifu2x (cunet)", {"Crop", "Deconvolution", "Eltwise", "Pooling"}, {"BinaryOp"}},
    {"Real-CUGAN", {"Crop", "Deconvolution", "BinaryOp"}, {"Eltwise"}},
    {"waifu2x (upconv_7)", {"Convolution", "Deconvolution"}, {"Crop", "BinaryOp", "PReLU"}},
    {"SPAN", {"Swish", "Sigmoid", "Concat", "PixelShuffle"}, {}},
};

}  // namespace

std::optional<std::string_view> foreign_family(const StateDict& weights) {
  const auto is_there = [&](std::string_view name) { return name.empty() || weights.find(name); };
  for (const Family& family : kFamilies) {
    if (std::ranges::all_of(family.tensors, is_there)) return family.name;
  }
  return std::nullopt;
}

std::optional<std::string_view> foreign_family(const std::set<std::string_view>& layer_types) {
  const auto is_there = [&](std::string_view type) {
    return type.empty() || layer_types.contains(type);
  };
  const auto is_absent = [&](std::string_view type) { return !layer_types.contains(type); };
  for (const NcnnFamily& family : kNcnnFamilies) {
    if (std::ranges::all_of(family.has, is_there) &&
        std::ranges::all_of(family.has_not, is_absent)) {
      return family.name;
    }
  }
  return std::nullopt;
}

}  // namespace upres
