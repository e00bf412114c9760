// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/engine.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/error.h"

namespace upres::cpu {
namespace {

// Small enough that a band's values come from the third-level cache, large enough that the rows
// that neighbouring bands both make do not show.
constexpr size_t kBandLimitBytes = size_t(16) << 20;

/// One node at work on blocks.
struct Run {
  const std::vector<Blocks>& in;  ///< what the node reads: inputs, then addends
  const Blocks& out;
  const Convolution::Prepared* convolution;
  std::byte* scratch;

  void operator()(const Conv2d&) const {
    convolution->run(in[0], std::span(in).subspan(1), out, scratch);
  }
  void operator()(const Activate& op) const { activate(op.activation, in[0], out); }
  void operator()(const Add&) const { add(in[0], in[1], out); }
  void operator()(const Scale& op) const { scale(op.factor, in[0], out); }
  void operator()(const Concat&) const {
    clear_tail(out);
    int channel = 0;
    for (const Blocks& input : in) {
      copy_channels(input, out, channel);
      channel += input.channels;
    }
  }
  void operator()(const Upsample& op) const { upsample(op.factor, in[0], out); }
  void operator()(const PixelShuffle& op) const { pixel_shuffle(op.factor, in[0], out); }
  void operator()(const PixelUnshuffle& op) const { pixel_unshuffle(op.factor, in[0], out); }
  void operator()(const Resize& op) const { resize(op, in[0], out); }
};

class CpuProgram : public HostProgram {
 public:
  CpuProgram(const CpuEngine& engine, HostLayout layout,
             std::vector<std::unique_ptr<Convolution::Prepared>> convolutions)
      : engine_(engine), layout_(std::move(layout)), convolutions_(std::move(convolutions)) {}

  void run(size_t index, size_t band, std::byte* arena) override {
    const auto blocks = [&](ValueId id) { return engine_.blocks(layout_, band, id, arena); };
    const Node& node = engine_.graph().nodes()[index];
    std::vector<Blocks> in;
    for (const ValueId id : reads(node)) in.push_back(blocks(id));
    std::visit(
        Run{in, blocks(node.output), convolutions_[index].get(), arena + layout_.scratch_offset},
        node.op);
  }

 private:
  const CpuEngine& engine_;
  HostLayout layout_;
  std::vector<std::unique_ptr<Convolution::Prepared>> convolutions_;  ///< by node; null for others
};

}  // namespace

CpuEngine::CpuEngine(const Graph& graph, const DeviceOptions& options, const Family& family)
    : HostEngine(graph, options), lanes_(family.lanes), kernels_(family.kernels) {
  use_threads(options);
  for (Node& node : graph_.nodes()) {
    auto* conv = std::get_if<Conv2d>(&node.op);
    convolutions_.push_back(conv ? family.pack(*conv) : nullptr);
    if (!conv) continue;
    conv->weights.reset();  // the packed copy serves from here on
    conv->biases.reset();
  }
}

int CpuEngine::whole_vectors(ValueId storage) const {
  return (graph().value(storage).channels + lanes_ - 1) / lanes_ * lanes_;
}

size_t CpuEngine::storage_bytes(ValueId storage, Size padded, int rows) const {
  return size_t(whole_vectors(storage)) * size_t(graph().size_of(storage, padded).width) *
         size_t(rows) * sizeof(float);
}

size_t CpuEngine::band_limit_bytes() const {
  // oneDNN's primitives are made for whole pictures.
  return kernels_ ? kBandLimitBytes : HostEngine::band_limit_bytes();
}

size_t CpuEngine::scratch_bytes() const {
  size_t most = 0;
  for (const auto& convolution : convolutions_) {
    if (convolution) most = std::max(most, convolution->scratch_bytes(thread_count(options())));
  }
  return most;
}

Blocks CpuEngine::blocks(const HostLayout& layout, size_t band, ValueId id,
                         std::byte* arena) const {
  const Value& value = graph().value(id);
  const Size size = graph().size_of(id, layout.padded);
  const Interval rows = layout.bands[band][size_t(id)];
  Blocks result{.channels = value.channels,
                .height = size.height,
                .width = size.width,
                .lanes = lanes_,
                .first_row = rows.first,
                .rows = rows.last - rows.first + 1};
  result.pixel_stride = kernels_ ? whole_vectors(value.storage) : lanes_;
  result.row_stride = size.width * result.pixel_stride;
  result.group_stride = kernels_ ? lanes_ : result.rows * result.row_stride;
  // Slices begin at whole groups.
  result.data = reinterpret_cast<float*>(arena + layout.arena.offsets[size_t(id)]) +
                value.channel_offset / lanes_ * result.group_stride;
  return result;
}

Activations CpuEngine::activations(const HostLayout& layout, size_t band, ValueId value,
                                   std::byte* arena) const {
  const Blocks b = blocks(layout, band, value, arena);
  UPRES_ASSERT(kernels_ || b.groups() == 1, "pictures fit in one vector");
  return {b.data, int(b.pixel_stride), 1, b.row_stride, b.pixel_stride};
}

void CpuEngine::store(const Activations& src, const FrameView& dst, const Rect& write,
                      int first_row, int last_row) const {
  const ptrdiff_t step = dst.planes[0].step_bytes;
  const bool fits = kernels_ && dst.type == SampleType::u8 && dst.components == 3 &&
                    dst.planes[1].step_bytes == step && dst.planes[2].step_bytes == step;
  if (!fits) return HostEngine::store(src, dst, write, first_row, last_row);
  for (int y = first_row; y < last_row; ++y) {
    uint8_t* planes[3];
    for (size_t c = 0; c < 3; ++c) {
      const Plane& plane = dst.planes[c];
      planes[c] =
          reinterpret_cast<uint8_t*>(plane.data + (write.y + y) * plane.row_bytes + write.x * step);
    }
    kernels_->store_rgb8(src.pixel(0, y), src.pixel_stride, write.width, planes, step);
  }
}

std::unique_ptr<HostProgram> CpuEngine::prepare(const HostLayout& layout) const {
  std::vector<std::unique_ptr<Convolution::Prepared>> prepared;
  for (size_t i = 0; i < convolutions_.size(); ++i) {
    const Size size = graph().size_of(graph().nodes()[i].output, layout.padded);
    prepared.push_back(convolutions_[i] ? convolutions_[i]->prepare(size.height, size.width)
                                        : nullptr);
  }
  return std::make_unique<CpuProgram>(*this, layout, std::move(prepared));
}

}  // namespace upres::cpu
