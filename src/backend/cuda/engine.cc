// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/engine.h"

#include <algorithm>
#include <span>
#include <utility>

#include "backend/cuda/elementwise.h"
#include "backend/cuda/session.h"
#include "base/error.h"

namespace upres::cuda {
namespace {

// A band's values may take what the largest of the body's takes, or this.
constexpr size_t kLeastBandBytes = size_t(32) << 20;

// Below this the rows that neighbouring bands both make, and short launches, cost too much.
constexpr int kLeastBandRows = 64;

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

double side_of(const Graph& graph, const Node& node) {
  const Ratio scale = graph.value(node.output).scale;
  return double(scale.numerator) / scale.denominator;
}

/// The node from which on all results are larger than the body's; the number of nodes where that
/// tail cannot run in bands.
size_t find_tail(const Graph& graph) {
  const auto& nodes = graph.nodes();
  double smallest = 1e9;
  for (const Node& node : nodes) smallest = std::min(smallest, side_of(graph, node));
  size_t first = nodes.size();
  while (first > 0 && side_of(graph, nodes[first - 1]) > smallest) --first;
  for (size_t i = first; i < nodes.size(); ++i) {
    // Rows of a storage that several values share are not told apart.
    const ValueId output = nodes[i].output;
    const auto& values = graph.values();
    if (std::count_if(values.begin(), values.end(), [&](const Value& value) {
          return value.storage == graph.value(output).storage;
        }) > 1) {
      return nodes.size();
    }
  }
  return first;
}

/// Rows that a node makes when some of them are needed: an enlarged input's come in whole cells.
Interval whole_cells(const Node& node, Interval rows) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  const int cell = conv ? conv->enlarge * conv->shuffle : 1;
  return {rows.first / cell * cell, rows.last / cell * cell + cell - 1};
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
      alignment_(footprint(graph).alignment),
      first_banded_(find_tail(graph)) {
  use_gpu();
  const Family family = family_for(precision, options);
  for (const Node& node : graph_.nodes()) {
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
      const bool upwards = prepared_.size() % 2 == 1;
      prepared_.emplace_back(Convolution(*conv, family, sink_of(node), upwards));
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

const CudaEngine* CudaEngine::in_single_precision() const {
  if (precision_ == Precision::fp32) return nullptr;
  std::call_once(made_single_, [&] {
    single_ = std::make_unique<CudaEngine>(graph_, options_, Precision::fp32);
  });
  return single_.get();
}

/// Where a node's result goes. A convolution that makes the network's result stores samples.
Sink CudaEngine::sink_of(const Node& node) const {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  if (!conv || node.output != graph_.output()) return Sink::activations;
  if (conv->shuffle > 1) return Sink::shuffled_samples;
  const bool plain = conv->epilogue.activation.kind == Activation::Kind::none &&
                     conv->epilogue.addends.empty() && conv->out_channels == 3;
  return plain ? Sink::samples : Sink::activations;
}

Layout CudaEngine::plan(Size read) const {
  Layout layout{padded(read, alignment_), {}, first_banded_, {}};
  const size_t nodes = graph_.nodes().size();
  // What the body's largest value takes bounds the tail's.
  size_t most = kLeastBandBytes;
  layout.bands = cut(nodes, layout.padded, 1);
  for (size_t i = 0; i < first_banded_; ++i) {
    most = std::max(most, bytes_of(graph_.value(graph_.nodes()[i].output).storage, layout));
  }
  const int height = graph_.size_of(graph_.output(), layout.padded).height;
  for (int count = 1;; count = std::min(2 * count, height)) {
    layout.bands = cut(first_banded_, layout.padded, count);
    size_t largest = 0;
    for (size_t i = first_banded_; i < nodes; ++i) {
      largest = std::max(largest, bytes_of(graph_.nodes()[i].output, layout));
    }
    if (largest <= most || height / (2 * count) < kLeastBandRows) break;
  }
  layout.arena = plan_arena(
      graph_, [&](ValueId id) { return bytes_of(id, layout); }, first_banded_);
  return layout;
}

/// The rows of all values for so many bands; one band of all rows where nothing runs in bands.
std::vector<std::vector<Interval>> CudaEngine::cut(size_t first_banded, Size padded,
                                                   int count) const {
  const auto rows_of = [&](ValueId id) { return graph_.size_of(id, padded).height; };
  const auto& nodes = graph_.nodes();
  std::vector<std::vector<Interval>> bands;
  const int rows = rows_of(graph_.output());
  for (int band = 0; band < count; ++band) {
    std::vector<Interval> made;
    for (size_t id = 0; id < graph_.values().size(); ++id) {
      made.push_back({0, rows_of(ValueId(id)) - 1});
    }
    if (first_banded < nodes.size()) {
      for (size_t i = first_banded; i < nodes.size(); ++i) {
        made[size_t(nodes[i].output)] = {INT32_MAX, INT32_MIN};
      }
      made[size_t(graph_.output())] = {int(int64_t(rows) * band / count),
                                       int(int64_t(rows) * (band + 1) / count) - 1};
      for (size_t i = nodes.size(); i-- > first_banded;) {
        Interval& own = made[size_t(nodes[i].output)];
        if (own.first > own.last) own = {0, 0};  // nothing reads it
        own = whole_cells(nodes[i], own);
        const std::vector<ValueId> values = reads(nodes[i]);
        const std::vector<Interval> needed = needed_inputs(nodes[i], own);
        for (size_t k = 0; k < values.size(); ++k) {
          Interval& input = made[size_t(values[k])];
          const int last = rows_of(values[k]) - 1;
          input.first = std::min(input.first, std::clamp(needed[k].first, 0, last));
          input.last = std::max(input.last, std::clamp(needed[k].last, 0, last));
        }
      }
    }
    bands.push_back(std::move(made));
  }
  return bands;
}

size_t CudaEngine::bytes_of(ValueId storage, const Layout& layout) const {
  const bool stored_as_samples =
      storage == graph_.output() &&
      std::any_of(graph_.nodes().begin(), graph_.nodes().end(), [&](const Node& node) {
        return node.output == storage && sink_of(node) != Sink::activations;
      });
  if (stored_as_samples) return 0;
  int rows = 0;
  for (const auto& band : layout.bands) {
    rows = std::max(rows, band[size_t(storage)].last - band[size_t(storage)].first + 1);
  }
  const Value& value = graph_.value(storage);
  return size_t(graph_.size_of(storage, layout.padded).width) * size_t(rows) *
         size_t(whole_blocks(value.channels)) * size_bytes(element_);
}

size_t CudaEngine::bytes_needed(Size read) const {
  const Layout layout = plan(read);
  // Samples of the largest type, and a gray picture's floats.
  const Size result = graph_.size_of(graph_.output(), layout.padded);
  const size_t floats = size_t(read.width) * size_t(read.height) * 3 +
                        size_t(result.width) * size_t(result.height) * 4;
  return layout.arena.size_bytes + floats * sizeof(float);
}

Activations CudaEngine::activations(ValueId id, const Layout& layout, size_t band,
                                    std::byte* arena) const {
  const Value& value = graph_.value(id);
  const Size size = graph_.size_of(id, layout.padded);
  const int block = block_of(graph_.value(value.storage).channels);
  const Interval rows = layout.bands[band][size_t(id)];
  const int count = rows.last - rows.first + 1;
  const int64_t block_stride = int64_t(size.width) * count * block;
  const size_t first = size_t(value.channel_offset / block) * size_t(block_stride);
  return {arena + layout.arena.offsets[size_t(id)] + first * size_bytes(element_),
          element_,
          size.width,
          size.height,
          rows.first,
          count,
          value.channels,
          block,
          block_stride};
}

void CudaEngine::launch_node(size_t index, const Layout& layout, size_t band, const Work& work,
                             cudaStream_t stream) const {
  const Node& node = graph_.nodes()[index];
  std::vector<Activations> in;
  for (const ValueId id : reads(node)) in.push_back(activations(id, layout, band, work.arena));
  Target target{activations(node.output, layout, band, work.arena), work.dst, work.not_finite};
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
  gather(work.src, activations(graph_.input(), layout, 0, work.arena), stream);
  for (size_t i = 0; i < layout.first_banded; ++i) launch_node(i, layout, 0, work, stream);
  const bool stores_samples = bytes_of(graph_.output(), layout) == 0;
  Packed floats = {work.gray_floats, work.dst.size, SampleType::f32, 3};
  for (size_t band = 0; band < layout.bands.size(); ++band) {
    for (size_t i = layout.first_banded; i < graph_.nodes().size(); ++i) {
      launch_node(i, layout, band, work, stream);
    }
    if (!stores_samples) {
      store(activations(graph_.output(), layout, band, work.arena),
            work.dst.components == 1 ? floats : work.dst, work.not_finite, stream);
    }
  }
  if (work.dst.components == 1) store_luma(floats, work.dst, stream);
}

}  // namespace upres::cuda
