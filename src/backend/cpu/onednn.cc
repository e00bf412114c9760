// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/onednn.h"

#include <fmt/format.h>

#include <algorithm>
#include <dnnl.hpp>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backend/cpu/blocks.h"
#include "backend/cpu/convolution.h"
#include "graph/op.h"

namespace upres::cpu {
namespace {

using dnnl::memory;

const dnnl::engine& processor() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::desc blocked(int channels, int height, int width, int lanes) {
  const auto tag = lanes == 16 ? memory::format_tag::nChw16c : memory::format_tag::nChw8c;
  return {{1, channels, height, width}, memory::data_type::f32, tag};
}

int round_up(int channels, int lanes) {
  return (channels + lanes - 1) / lanes * lanes;
}

/// The layer's weights times `factor` as [out][in][ky][kx] with padded channels, in oneDNN's plain
/// layout.
memory padded_weights(const Conv2d& conv, int out_channels, int in_channels, float factor) {
  const auto taps = size_t(conv.kernel) * size_t(conv.kernel);
  memory weights({{out_channels, in_channels, conv.kernel, conv.kernel},
                  memory::data_type::f32,
                  memory::format_tag::oihw},
                 processor());
  auto* to = static_cast<float*>(weights.get_data_handle());
  std::fill_n(to, size_t(out_channels) * size_t(in_channels) * taps, 0.0f);
  const float* from = conv.weights->data();
  const size_t row = size_t(conv.in_channels) * taps;
  for (int o = 0; o < conv.out_channels; ++o) {
    std::transform(from + size_t(o) * row, from + size_t(o + 1) * row,
                   to + size_t(o) * size_t(in_channels) * taps,
                   [&](float weight) { return weight * factor; });
  }
  return weights;
}

memory padded_biases(const Conv2d& conv, int out_channels, float factor) {
  memory biases({{out_channels}, memory::data_type::f32, memory::format_tag::a}, processor());
  auto* to = static_cast<float*>(biases.get_data_handle());
  std::fill_n(to, out_channels, 0.0f);
  std::transform(conv.biases->begin(), conv.biases->end(), to,
                 [&](float bias) { return bias * factor; });
  return biases;
}

/// oneDNN runs one factor, and only without an activation: that of the first addend.
bool fusable(const Epilogue& epilogue) {
  if (epilogue.activation.kind == Activation::Kind::prelu) return false;
  const auto& addends = epilogue.addends;
  if (addends.empty()) return true;
  const float first = addends[0].scale;
  return std::all_of(addends.begin() + 1, addends.end(),
                     [](const Addend& addend) { return addend.scale == 1; }) &&
         (first == 1 || (first != 0 && epilogue.activation.kind == Activation::Kind::none));
}

// Any size serves to choose the layout of packed weights: it depends on the kernel's instruction
// set and on the channels only.
constexpr int kNominalSide = 64;

/// A layer with its weights packed for oneDNN's kernel. Channels are padded to whole vectors with
/// weights of zero: oneDNN 2.6 has fast kernels for those only.
///
/// Bias, ReLU, LeakyReLU and addends run inside the kernel where oneDNN 2.6 has one for them. It
/// has none for PReLU (it falls back to a plain loop, far slower), and it gives every
/// factor of an epilogue the value of the first one. Such epilogues run as passes over the result.
class OneDnnConvolution : public Convolution {
 public:
  OneDnnConvolution(const Conv2d& conv, int lanes);

  std::unique_ptr<Prepared> prepare(int height, int width) const override;
  size_t scratch_bytes(int) const override { return 0; }

 private:
  class Primitive;

  /// The epilogue as oneDNN's post-operations for one size, and the arguments of its addends.
  struct PostOps {
    dnnl::primitive_attr attr;
    std::vector<int> addend_arguments;
  };
  PostOps post_ops(int height, int width) const;
  dnnl::convolution_forward::primitive_desc describe(int height, int width,
                                                     const dnnl::memory::desc& weights,
                                                     const dnnl::primitive_attr& attr) const;

  int in_channels_, out_channels_, kernel_, lanes_;  ///< channels padded to whole vectors
  Epilogue epilogue_;
  bool fused_;  ///< the epilogue runs inside the kernel
  /// The factor of a fused epilogue's first addend. The kernel makes (sum / f + addend) * f of
  /// sum + f * addend: weights and biases are packed divided by f.
  float factor_;
  dnnl::memory weights_, biases_;
};

OneDnnConvolution::OneDnnConvolution(const Conv2d& conv, int lanes)
    : in_channels_(round_up(conv.in_channels, lanes)),
      out_channels_(round_up(conv.out_channels, lanes)),
      kernel_(conv.kernel),
      lanes_(lanes),
      epilogue_(conv.epilogue),
      fused_(fusable(conv.epilogue)),
      factor_(fused_ && !epilogue_.addends.empty() ? epilogue_.addends[0].scale : 1),
      biases_(padded_biases(conv, out_channels_, 1 / factor_)) {
  memory plain = padded_weights(conv, out_channels_, in_channels_, 1 / factor_);
  const memory::desc any(plain.get_desc().dims(), memory::data_type::f32, memory::format_tag::any);
  const PostOps steps = post_ops(kNominalSide, kNominalSide);
  weights_ =
      memory(describe(kNominalSide, kNominalSide, any, steps.attr).weights_desc(), processor());
  dnnl::stream stream(processor());
  dnnl::reorder(plain, weights_).execute(stream, plain, weights_);
  stream.wait();
}

OneDnnConvolution::PostOps OneDnnConvolution::post_ops(int height, int width) const {
  PostOps result;
  if (!fused_) return result;
  dnnl::post_ops steps;
  if (epilogue_.activation.kind != Activation::Kind::none) {
    steps.append_eltwise(1, dnnl::algorithm::eltwise_relu, epilogue_.activation.slopes[0], 0);
  }
  for (size_t i = 0; i < epilogue_.addends.size(); ++i) {
    result.addend_arguments.push_back(DNNL_ARG_ATTR_MULTIPLE_POST_OP(steps.len()) | DNNL_ARG_SRC_1);
    steps.append_binary(dnnl::algorithm::binary_add, blocked(out_channels_, height, width, lanes_));
    if (i == 0 && factor_ != 1) {
      steps.append_eltwise(1, dnnl::algorithm::eltwise_linear, factor_, 0);
    }
  }
  result.attr.set_post_ops(steps);
  return result;
}

dnnl::convolution_forward::primitive_desc OneDnnConvolution::describe(
    int height, int width, const memory::desc& weights, const dnnl::primitive_attr& attr) const {
  const memory::dims stride{1, 1};
  const memory::dims padding{kernel_ / 2, kernel_ / 2};
  const dnnl::convolution_forward::desc layer(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
      blocked(in_channels_, height, width, lanes_), weights, biases_.get_desc(),
      blocked(out_channels_, height, width, lanes_), stride, padding, padding);
  return {layer, attr, processor()};
}

/// The layer for one size.
class OneDnnConvolution::Primitive : public Convolution::Prepared {
 public:
  Primitive(const OneDnnConvolution& layer, const dnnl::convolution_forward::primitive_desc& made,
            std::vector<int> addend_arguments)
      : layer_(layer),
        primitive_(made),
        in_(made.src_desc()),
        out_(made.dst_desc()),
        addend_arguments_(std::move(addend_arguments)) {}

  void run(const Blocks& in, std::span<const Blocks> addends, const Blocks& out,
           std::byte*) const override {
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, memory(in_, processor(), in.data)},
        {DNNL_ARG_WEIGHTS, layer_.weights_},
        {DNNL_ARG_BIAS, layer_.biases_},
        {DNNL_ARG_DST, memory(out_, processor(), out.data)},
    };
    for (size_t i = 0; i < addend_arguments_.size(); ++i) {
      arguments.emplace(addend_arguments_[i], memory(out_, processor(), addends[i].data));
    }
    dnnl::stream stream(processor());
    primitive_.execute(stream, arguments);
    stream.wait();
    if (layer_.fused_) return;
    const Epilogue& epilogue = layer_.epilogue_;
    if (epilogue.activation.kind != Activation::Kind::none) activate(epilogue.activation, out, out);
    for (size_t i = 0; i < addends.size(); ++i)
      add_scaled(epilogue.addends[i].scale, addends[i], out);
  }

 private:
  const OneDnnConvolution& layer_;
  dnnl::convolution_forward primitive_;
  memory::desc in_, out_;
  std::vector<int> addend_arguments_;
};

std::unique_ptr<Convolution::Prepared> OneDnnConvolution::prepare(int height, int width) const {
  const PostOps steps = post_ops(height, width);
  return std::make_unique<Primitive>(
      *this, describe(height, width, weights_.get_desc(), steps.attr), steps.addend_arguments);
}

bool has_avx512() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  return (int(isa) & int(dnnl::cpu_isa::avx512_core)) == int(dnnl::cpu_isa::avx512_core);
}

}  // namespace

std::string onednn_title() {
  const dnnl::version_t* version = dnnl::version();
  return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

Family onednn_family() {
  const int lanes = has_avx512() ? 16 : 8;  // the block of its layout
  return {.lanes = lanes,
          .kernels = nullptr,
          .capabilities = {.fused_epilogue = true, .slice_alignment = lanes},
          .pack = [lanes](const Conv2d& conv) {
            return std::make_unique<OneDnnConvolution>(conv, lanes);
          }};
}

}  // namespace upres::cpu
