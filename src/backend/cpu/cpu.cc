// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/cpu.h"

#include <dnnl.hpp>
#include <span>
#include <utility>
#include <vector>

#include "backend/cpu/blocks.h"
#include "backend/cpu/convolution.h"
#include "backend/host.h"
#include "base/error.h"
#include "base/system.h"

namespace upres {
namespace {

using cpu::Blocks;
using cpu::Convolution;

bool has_avx512() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  return (int(isa) & int(dnnl::cpu_isa::avx512_core)) == int(dnnl::cpu_isa::avx512_core);
}

std::string instruction_set() {
  if (has_avx512()) return "AVX-512";
  return int(dnnl::get_effective_cpu_isa()) >= int(dnnl::cpu_isa::avx2) ? "AVX2" : "SSE4.1 or AVX";
}

/// Channels of one vector: the block of oneDNN's layout.
int vector_lanes() {
  return has_avx512() ? 16 : 8;
}

class CpuEngine : public HostEngine {
 public:
  CpuEngine(const Graph& graph, const DeviceOptions& options);

  size_t storage_bytes(ValueId storage, Size padded) const override {
    return blocks(storage, padded, nullptr).total_floats() * sizeof(float);
  }
  Activations layout(ValueId value, Size padded, std::byte* memory) const override;
  std::unique_ptr<HostProgram> prepare(Size padded, const ArenaPlan& arena) const override;

  /// A value whose storage begins at `memory`.
  Blocks blocks(ValueId id, Size padded, std::byte* memory) const;

 private:
  int lanes_ = vector_lanes();
  std::vector<std::unique_ptr<const Convolution>> convolutions_;  ///< by node; null for others
};

/// One node at work on blocks.
struct Run {
  const std::vector<Blocks>& in;  ///< what the node reads: inputs, then addends
  const Blocks& out;
  const Convolution::Prepared* convolution;

  void operator()(const Conv2d&) const { convolution->run(in[0], std::span(in).subspan(1), out); }
  void operator()(const Activate& op) const { cpu::activate(op.activation, in[0], out); }
  void operator()(const Add&) const { cpu::add(in[0], in[1], out); }
  void operator()(const Scale& op) const { cpu::scale(op.factor, in[0], out); }
  void operator()(const Concat&) const {
    cpu::clear_tail(out);
    int channel = 0;
    for (const Blocks& input : in) {
      cpu::copy_channels(input, out, channel);
      channel += input.channels;
    }
  }
  void operator()(const Upsample& op) const { cpu::upsample(op.factor, in[0], out); }
  void operator()(const PixelShuffle& op) const { cpu::pixel_shuffle(op.factor, in[0], out); }
  void operator()(const PixelUnshuffle& op) const { cpu::pixel_unshuffle(op.factor, in[0], out); }
  void operator()(const Resize& op) const { cpu::resize(op, in[0], out); }
};

class CpuProgram : public HostProgram {
 public:
  CpuProgram(const CpuEngine& engine, Size padded, ArenaPlan arena,
             std::vector<std::unique_ptr<Convolution::Prepared>> convolutions)
      : engine_(engine),
        padded_(padded),
        arena_(std::move(arena)),
        convolutions_(std::move(convolutions)) {}

  void run(size_t index, std::byte* arena) override {
    const auto blocks = [&](ValueId id) {
      return engine_.blocks(id, padded_, arena + arena_.offsets[size_t(id)]);
    };
    const Node& node = engine_.graph().nodes()[index];
    std::vector<Blocks> in;
    for (const ValueId id : reads(node)) in.push_back(blocks(id));
    std::visit(Run{in, blocks(node.output), convolutions_[index].get()}, node.op);
  }

 private:
  const CpuEngine& engine_;
  Size padded_;
  ArenaPlan arena_;
  std::vector<std::unique_ptr<Convolution::Prepared>> convolutions_;  ///< by node; null for others
};

CpuEngine::CpuEngine(const Graph& graph, const DeviceOptions& options)
    : HostEngine(graph, options) {
  use_threads(options);
  for (Node& node : graph_.nodes()) {
    auto* conv = std::get_if<Conv2d>(&node.op);
    convolutions_.push_back(conv ? std::make_unique<Convolution>(*conv, lanes_) : nullptr);
    if (!conv) continue;
    conv->weights.reset();  // the packed copy serves from here on
    conv->biases.reset();
  }
}

Blocks CpuEngine::blocks(ValueId id, Size padded, std::byte* memory) const {
  const Value& value = graph().value(id);
  const Size size = graph().size_of(id, padded);
  auto* first = reinterpret_cast<float*>(memory);
  // Slices begin at whole groups, so the channels before take whole planes.
  return {first + ptrdiff_t(value.channel_offset) * size.width * size.height, value.channels,
          size.height, size.width, lanes_};
}

Activations CpuEngine::layout(ValueId value, Size padded, std::byte* memory) const {
  const Blocks b = blocks(value, padded, memory);
  UPRES_ASSERT(b.groups() == 1, "pictures fit in one vector");
  return {b.data, b.lanes, 1, b.row_floats(), b.lanes};
}

std::unique_ptr<HostProgram> CpuEngine::prepare(Size padded, const ArenaPlan& arena) const {
  std::vector<std::unique_ptr<Convolution::Prepared>> prepared;
  for (size_t i = 0; i < convolutions_.size(); ++i) {
    const Size size = graph().size_of(graph().nodes()[i].output, padded);
    prepared.push_back(convolutions_[i] ? std::make_unique<Convolution::Prepared>(
                                              convolutions_[i]->prepare(size.height, size.width))
                                        : nullptr);
  }
  return std::make_unique<CpuProgram>(*this, padded, arena, std::move(prepared));
}

class CpuDevice : public HostDevice {
 public:
  using HostDevice::HostDevice;

  std::string name() const override {
    return fmt::format("{} ({}, {} threads)", processor_name(), instruction_set(),
                       thread_count(options_));
  }
  Capabilities capabilities() const override {
    return {.fused_epilogue = true, .slice_alignment = vector_lanes()};
  }

 protected:
  std::unique_ptr<Engine> load_as(const Graph& graph, Precision) const override {
    return std::make_unique<CpuEngine>(graph, options_);
  }
};

}  // namespace

std::unique_ptr<Device> open_cpu_device(const DeviceOptions& options) {
  return std::make_unique<CpuDevice>(options);
}

std::string cpu_library() {
  const dnnl::version_t* version = dnnl::version();
  return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

}  // namespace upres
