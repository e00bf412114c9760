// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/engine.h"

#include <algorithm>
#include <span>
#include <utility>

#include "backend/cuda/elementwise.h"
#include "backend/cuda/film_session.h"
#include "backend/cuda/session.h"
#include "base/error.h"

namespace upres::cuda {
namespace {

Family family_for(Precision precision, const DeviceOptions& options) {
  if (precision == Precision::fp32) return Family::fp32;
#ifdef UPRES_WITH_SM90
  constexpr int kHopper = 9;
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, options.gpu),
        "asking for the GPU");
  if (major == kHopper && !options.portable_kernels) return Family::row_stream;
#endif
  return precision == Precision::fp16_fast ? Family::portable_fast : Family::portable;
}

/// The convolution whose result only the network's last one reads, where one kernel makes both.
std::optional<size_t> find_pair([[maybe_unused]] const Graph& graph, Family family) {
#ifdef UPRES_WITH_SM90
  const auto& nodes = graph.nodes();
  if (family != Family::row_stream || nodes.size() < 2) return {};
  const Node& node = nodes[nodes.size() - 2];
  const auto reads_it = [&](const Node& other) {
    return std::ranges::count(reads(other), node.output) > 0;
  };
  const auto* conv = std::get_if<Conv2d>(&node.op);
  const auto* last = std::get_if<Conv2d>(&nodes.back().op);
  if (conv && last && sink_of(graph, nodes.back()) == Sink::samples && reads_it(nodes.back()) &&
      std::ranges::count_if(nodes, reads_it) == 1 && makes_row_stream_pair(*conv, *last)) {
    return nodes.size() - 2;
  }
#endif
  return {};
}

/// One operator goes into a stream.
struct Launch {
  std::span<const Activations> in;  ///< what the node reads: inputs, then addends
  const Target& target;
  const Convolution* convolution;
  const DeviceBuffer* table;
  cudaStream_t stream;

  void operator()(const Conv2d&) const {
    convolution->launch(in[0], in.subspan(1), target, stream);
  }
  void operator()(const Activate&) const { activate(in[0], *table, target.out, stream); }
  void operator()(const Add&) const { add(in[0], in[1], target.out, stream); }
  void operator()(const Scale& op) const { scale(in[0], op.factor, target.out, stream); }
  void operator()(const Concat&) const { concat(in, target.out, stream); }
  void operator()(const Upsample& op) const { upsample(in[0], op.factor, target.out, stream); }
  void operator()(const PixelShuffle& op) const {
    pixel_shuffle(in[0], op.factor, target.out, stream);
  }
  void operator()(const PixelUnshuffle& op) const {
    pixel_unshuffle(in[0], op.factor, target.out, stream);
  }
  void operator()(const Resize& op) const { resize(in[0], op, *table, target.out, stream); }
};

}  // namespace

CudaEngine::CudaEngine(const Graph& graph, const DeviceOptions& options, Precision precision)
    : graph_(graph),
      options_(options),
      precision_(precision),
      element_(precision == Precision::fp32 ? Element::f32 : Element::f16),
      alignment_(footprint(graph).alignment) {
  use_gpu();
  const Family family = family_for(precision, options);
  paired_ = find_pair(graph_, family);
  for (const Node& node : graph_.nodes()) {
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
      const bool upwards = prepared_.size() % 2 == 1;
      const bool paired = prepared_.size() == paired_;
      const Sink sink = paired ? Sink::convolved_samples : sink_of(graph_, node);
      const auto* last = paired ? std::get_if<Conv2d>(&graph_.nodes().back().op) : nullptr;
      prepared_.emplace_back(Convolution(*conv, family, sink, upwards, last));
    } else if (const auto* op = std::get_if<Activate>(&node.op)) {
      const std::vector<float>& slopes = op->activation.slopes;
      prepared_.emplace_back(DeviceBuffer::of<float>(slopes.empty() ? std::vector{1.0f} : slopes));
    } else if (const auto* resize = std::get_if<Resize>(&node.op)) {
      prepared_.emplace_back(resize_table(*resize));
    } else {
      prepared_.emplace_back();
    }
  }
}

void CudaEngine::use_gpu() const {
  check(cudaSetDevice(options_.gpu), "choosing the GPU");
}

std::unique_ptr<Session> CudaEngine::open() const {
  return open_cuda_session(*this);
}

std::unique_ptr<FilmSession> CudaEngine::open_film(const FilmRoute& route) const {
  return open_cuda_film(*this, route);
}

const CudaEngine* CudaEngine::in_single_precision() const {
  if (precision_ == Precision::fp32) return nullptr;
  std::call_once(made_single_, [&] {
    single_ = std::make_unique<CudaEngine>(graph_, options_, Precision::fp32);
  });
  return single_.get();
}

Layout CudaEngine::plan(Size read) const {
  std::optional<ValueId> unstored;
  if (paired_) unstored = graph_.nodes()[*paired_].output;
  return plan_layout(graph_, padded(read, alignment_), element_, unstored);
}

size_t CudaEngine::bytes_needed(Size read) const {
  const Layout layout = plan(read);
  // Samples of the largest type, and a gray picture's floats.
  const Size result = graph_.size_of(graph_.output(), layout.padded);
  const size_t floats = size_t(read.width) * size_t(read.height) * 3 +
                        size_t(result.width) * size_t(result.height) * 4;
  return layout.arena.size_bytes + floats * sizeof(float);
}

void CudaEngine::launch_node(size_t index, const Layout& layout, size_t band, const Work& work,
                             cudaStream_t stream) const {
  if (index == paired_) return;
  const ValueId output = graph_.nodes()[index].output;
  if (paired_ && index == *paired_ + 1) index = *paired_;
  const Node& node = graph_.nodes()[index];
  std::vector<Activations> in;
  for (const ValueId id : reads(node)) in.push_back(place(graph_, layout, band, id, work.arena));
  Target target{place(graph_, layout, band, output, work.arena), work.dst, work.not_finite};
  if (work.dst.components == 1) {
    target.samples = {work.gray_floats, work.dst.size, SampleType::f32, 3};
  }
  if (const auto* conv = std::get_if<Conv2d>(&node.op); conv && conv->shuffle > 1) {
    // Counted in pixels before the shuffle.
    target.out.first_row /= conv->shuffle;
    target.out.rows /= conv->shuffle;
  }
  std::visit(Launch{in, target, std::get_if<Convolution>(&prepared_[index]),
                    std::get_if<DeviceBuffer>(&prepared_[index]), stream},
             node.op);
}

void CudaEngine::launch(const Layout& layout, const Work& work, cudaStream_t stream) const {
  gather(work.src, place(graph_, layout, 0, graph_.input(), work.arena), stream);
  for (size_t i = 0; i < layout.first_banded; ++i) launch_node(i, layout, 0, work, stream);
  const Packed floats = {work.gray_floats, work.dst.size, SampleType::f32, 3};
  for (size_t band = 0; band < layout.bands.size(); ++band) {
    for (size_t i = layout.first_banded; i < graph_.nodes().size(); ++i) {
      launch_node(i, layout, band, work, stream);
    }
    if (!stores_samples(graph_)) {
      store(place(graph_, layout, band, graph_.output(), work.arena),
            work.dst.components == 1 ? floats : work.dst, work.not_finite, stream);
    }
  }
  if (work.dst.components == 1) store_luma(floats, work.dst, stream);
}

}  // namespace upres::cuda
