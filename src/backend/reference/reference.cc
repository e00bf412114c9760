// SPDX-License-Identifier: Apache-2.0
#include "backend/reference/reference.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "backend/host.h"
#include "graph/resize_taps.h"

namespace upres {
namespace {

/// A value: `channels` planes of height x width floats.
struct Planes {
  float* data;
  int channels;
  int height;
  int width;

  float* row(int c, int y) const { return data + (ptrdiff_t(c) * height + y) * ptrdiff_t(width); }
  float& at(int c, int y, int x) const { return row(c, y)[x]; }
  size_t count() const { return size_t(channels) * size_t(height) * size_t(width); }
};

float slope_of(const Activation& activation, int channel) {
  const auto& slopes = activation.slopes;
  return slopes.size() == 1 ? slopes[0] : slopes[size_t(channel)];
}

void activate_row(const Activation& activation, int channel, float* row, int width) {
  if (activation.kind == Activation::Kind::none) return;
  const float slope = slope_of(activation, channel);
  for (int x = 0; x < width; ++x) row[x] = row[x] > 0 ? row[x] : row[x] * slope;
}

/// out[x] += weight * in[(x + shift) / enlarge] where x + shift is inside the row of `width`.
void add_shifted(float* out, const float* in, int width, int shift, float weight, int enlarge = 1) {
  const int first = std::max(0, -shift);
  const int last = std::min(width, width - shift);
  if (enlarge == 1) {  // a loop that compilers turn into vectors
    for (int x = first; x < last; ++x) out[x] += weight * in[x + shift];
    return;
  }
  for (int x = first; x < last; ++x) out[x] += weight * in[(x + shift) / enlarge];
}

/// One node at work on planes.
struct Run {
  const std::vector<Planes>& in;  ///< what the node reads: inputs, then addends
  const Planes& out;

  void operator()(const Conv2d& conv) const {
    const int reach = conv.kernel / 2;
    const int height = out.height / conv.shuffle;
    std::vector<float> sums(size_t(out.width / conv.shuffle));
    for (int o = 0; o < conv.out_channels; ++o) {
      for (int y = 0; y < height; ++y) {
        float* row = sums.data();
        std::fill(sums.begin(), sums.end(), (*conv.biases)[size_t(o)]);
        const float* weight =
            conv.weights->data() + size_t(o) * size_t(in[0].channels * conv.kernel * conv.kernel);
        for (int c = 0; c < in[0].channels; ++c) {
          for (int dy = -reach; dy <= reach; ++dy) {
            for (int dx = -reach; dx <= reach; ++dx, ++weight) {
              if (y + dy < 0 || y + dy >= height) continue;
              add_shifted(row, in[0].row(c, (y + dy) / conv.enlarge), int(sums.size()), dx, *weight,
                          conv.enlarge);
            }
          }
        }
        activate_row(conv.epilogue.activation, o, row, int(sums.size()));
        store_shuffled(conv.shuffle, o, y, sums);
      }
    }
    for (size_t i = 0; i < conv.epilogue.addends.size(); ++i) {
      const Addend& addend = conv.epilogue.addends[i];
      for (int c = 0; c < out.channels; ++c) {
        for (int y = 0; y < out.height; ++y) {
          add_shifted(out.row(c, y), in[1 + i].row(c, y / addend.enlarge), out.width, 0,
                      addend.scale, addend.enlarge);
        }
      }
    }
  }
  void operator()(const Activate& op) const {
    std::copy_n(in[0].data, in[0].count(), out.data);
    for (int c = 0; c < out.channels; ++c) {
      for (int y = 0; y < out.height; ++y) activate_row(op.activation, c, out.row(c, y), out.width);
    }
  }
  void operator()(const Add&) const {
    std::transform(in[0].data, in[0].data + in[0].count(), in[1].data, out.data, std::plus<>());
  }
  void operator()(const Scale& op) const {
    std::transform(in[0].data, in[0].data + in[0].count(), out.data,
                   [&](float value) { return value * op.factor; });
  }
  void operator()(const Concat&) const {
    float* to = out.data;
    for (const Planes& input : in) to = std::copy_n(input.data, input.count(), to);
  }
  void operator()(const Upsample& op) const {
    for (int c = 0; c < out.channels; ++c) {
      for (int y = 0; y < out.height; ++y) {
        for (int x = 0; x < out.width; ++x) {
          out.at(c, y, x) = in[0].at(c, y / op.factor, x / op.factor);
        }
      }
    }
  }
  void operator()(const PixelShuffle& op) const { shuffle(op.factor, out, in[0], false); }
  void operator()(const PixelUnshuffle& op) const { shuffle(op.factor, in[0], out, true); }
  void operator()(const Resize& op) const {
    for (int y = 0; y < out.height; ++y) {
      const ResizeTaps rows = resize_taps(op, y);
      for (int x = 0; x < out.width; ++x) {
        const ResizeTaps columns = resize_taps(op, x);
        for (int c = 0; c < out.channels; ++c) out.at(c, y, x) = sample(c, rows, columns);
      }
    }
  }

 private:
  /// Puts a row of a convolution's output `o` where PixelShuffle would.
  void store_shuffled(int factor, int o, int y, const std::vector<float>& row) const {
    const int phase = o % (factor * factor);
    float* to = out.row(o / (factor * factor), y * factor + phase / factor) + phase % factor;
    for (const float value : row) {
      *to = value;
      to += factor;
    }
  }

  /// What Resize makes of in[0]'s pixels at `rows` and `columns`.
  float sample(int channel, const ResizeTaps& rows, const ResizeTaps& columns) const {
    float sum = 0;
    for (int i = 0; i < int(rows.weights.size()); ++i) {
      const int y = std::clamp(rows.first + i, 0, in[0].height - 1);
      float of_row = 0;
      for (int j = 0; j < int(columns.weights.size()); ++j) {
        const int x = std::clamp(columns.first + j, 0, in[0].width - 1);
        of_row += in[0].at(channel, y, x) * columns.weights[size_t(j)];
      }
      sum += of_row * rows.weights[size_t(i)];
    }
    return sum;
  }

  /// Moves values between `fine`, and `coarse` with factor^2 as many channels.
  static void shuffle(int factor, const Planes& fine, const Planes& coarse, bool to_coarse) {
    for (int c = 0; c < fine.channels; ++c) {
      for (int y = 0; y < fine.height; ++y) {
        for (int x = 0; x < fine.width; ++x) {
          const int channel = (c * factor + y % factor) * factor + x % factor;
          float& one = coarse.at(channel, y / factor, x / factor);
          float& other = fine.at(c, y, x);
          (to_coarse ? one : other) = to_coarse ? other : one;
        }
      }
    }
  }
};

class ReferenceEngine;

class ReferenceProgram : public HostProgram {
 public:
  ReferenceProgram(const ReferenceEngine& engine, HostLayout layout)
      : engine_(engine), layout_(std::move(layout)) {}
  void run(size_t node, size_t band, std::byte* arena) override;

 private:
  const ReferenceEngine& engine_;
  HostLayout layout_;
};

class ReferenceEngine : public HostEngine {
 public:
  ReferenceEngine(const Graph& graph, const DeviceOptions& options) : HostEngine(graph, options) {}

  Activations activations(const HostLayout& layout, size_t, ValueId value,
                          std::byte* arena) const override {
    const Planes p = planes(layout, value, arena);
    return {p.data, p.channels, ptrdiff_t(p.height) * p.width, p.width, 1};
  }
  std::unique_ptr<HostProgram> prepare(const HostLayout& layout) const override {
    return std::make_unique<ReferenceProgram>(*this, layout);
  }

  Planes planes(const HostLayout& layout, ValueId id, std::byte* arena) const {
    const Value& value = graph().value(id);
    const Size size = graph().size_of(id, layout.padded);
    auto* first = reinterpret_cast<float*>(arena + layout.arena.offsets[size_t(id)]);
    return {first + ptrdiff_t(value.channel_offset) * size.width * size.height, value.channels,
            size.height, size.width};
  }

 protected:
  size_t storage_bytes(ValueId storage, Size padded, int rows) const override {
    return size_t(graph().value(storage).channels) * size_t(rows) *
           size_t(graph().size_of(storage, padded).width) * sizeof(float);
  }
};

void ReferenceProgram::run(size_t index, size_t, std::byte* arena) {
  const auto planes = [&](ValueId id) { return engine_.planes(layout_, id, arena); };
  const Node& node = engine_.graph().nodes()[index];
  std::vector<Planes> in;
  for (const ValueId id : reads(node)) in.push_back(planes(id));
  std::visit(Run{in, planes(node.output)}, node.op);
}

class ReferenceDevice : public HostDevice {
 public:
  explicit ReferenceDevice(const DeviceOptions& options) : HostDevice(options) {
    options_.threads = 1;
  }

  std::string name() const override { return "reference (plain loops, 1 thread)"; }
  Capabilities capabilities() const override {
    return {.fused_epilogue = true, .slice_alignment = 1};
  }

 protected:
  std::unique_ptr<Engine> load_as(const Graph& graph, Precision) const override {
    return std::make_unique<ReferenceEngine>(graph, options_);
  }
};

}  // namespace

std::unique_ptr<Device> open_reference_device(const DeviceOptions& options) {
  return std::make_unique<ReferenceDevice>(options);
}

}  // namespace upres
