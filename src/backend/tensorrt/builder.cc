// SPDX-License-Identifier: Apache-2.0
// From an ONNX file in memory to the bytes of an engine, by TensorRT.
#include <NvInfer.h>
#include <NvOnnxParser.h>
#include <cuda_runtime_api.h>

#include <cstring>
#include <memory>

#include "backend/tensorrt/adapter.h"
#include "backend/tensorrt/build_progress.h"
#include "backend/tensorrt/words.h"
#include "base/error.h"

namespace upres::tensorrt {
namespace {

using nvinfer1::BuilderFlag;
using nvinfer1::OptProfileSelector;

constexpr const char* kInput = "input";  // what onnx/write.h calls it

template <typename T>
std::unique_ptr<T> owned(T* made, const char* what, const Words& words) {
  if (!made) fail(ErrorCode::device, "TensorRT makes no {}: {}", what, words.error());
  return std::unique_ptr<T>(made);
}

/// Tells how far a build is, and ends it after a stop request.
class Monitor : public nvinfer1::IProgressMonitor {
 public:
  explicit Monitor(const LoadEvents& events) : events_(events) {}

  void phaseStart(const char* phase, const char* parent, int32_t steps) noexcept override {
    progress_.start(phase, parent ? parent : "", steps);
  }
  bool stepComplete(const char* phase, int32_t step) noexcept override {
    progress_.step(phase, step);
    if (events_.progress) events_.progress(progress_.share());
    return !events_.stop.stop_requested();
  }
  void phaseFinish(const char* phase) noexcept override { progress_.finish(phase); }

 private:
  const LoadEvents& events_;
  BuildProgress progress_;
};

nvinfer1::Dims4 dims(Size size) {
  return {1, 3, size.height, size.width};
}

/// All types are those of the ONNX file, so that half precision is where it says so.
std::unique_ptr<nvinfer1::INetworkDefinition> make_network(nvinfer1::IBuilder& builder,
                                                           const Words& words) {
  nvinfer1::NetworkDefinitionCreationFlags flags = 0;
#if NV_TENSORRT_MAJOR == 10  // later ones know no other networks
  flags |= 1U << int(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#endif
  return owned(builder.createNetworkV2(flags), "network", words);
}

std::string parser_errors(const nvonnxparser::IParser& parser) {
  if (parser.getNbErrors() == 0) return "no reason given";
  return parser.getError(0)->desc();
}

}  // namespace

std::optional<Version> adapter_headers() {
  return Version{NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR, NV_TENSORRT_PATCH};
}

std::vector<std::byte> build_engine(const Library& library, std::optional<int> gpu,
                                    std::string_view onnx, Precision precision,
                                    const Profile& profile, TimingCache& timings,
                                    const LoadEvents& events) {
  if (gpu) cudaSetDevice(*gpu);
  Words words;
  nvinfer1::ILogger* logger = &words;
  // The library's own number, as the layout of its classes was made sure of when it was chosen.
  const auto builder =
      owned(static_cast<nvinfer1::IBuilder*>(library.create_builder(logger, library.number())),
            "builder", words);
  const auto network = make_network(*builder, words);
  const auto parser = owned(static_cast<nvonnxparser::IParser*>(library.create_parser(
                                network.get(), logger, NV_ONNX_PARSER_VERSION)),
                            "parser", words);
  if (!parser->parse(onnx.data(), onnx.size())) {
    fail(ErrorCode::device, "TensorRT does not take the network: {}; use -b cuda",
         parser_errors(*parser));
  }
  const auto config = owned(builder->createBuilderConfig(), "configuration", words);
  auto* const sizes = builder->createOptimizationProfile();  // the builder's
  if (!sizes || !sizes->setDimensions(kInput, OptProfileSelector::kMIN, dims(profile.least)) ||
      !sizes->setDimensions(kInput, OptProfileSelector::kOPT, dims(profile.tuned)) ||
      !sizes->setDimensions(kInput, OptProfileSelector::kMAX, dims(profile.most)) ||
      config->addOptimizationProfile(sizes) < 0) {
    fail(ErrorCode::device, "TensorRT does not take sizes of {}: {}", text_of(profile),
         words.error());
  }
  // Single precision is meant: TF32 has the mantissa of half precision.
  if (precision == Precision::fp32) config->clearFlag(BuilderFlag::kTF32);
  Monitor monitor(events);
  config->setProgressMonitor(&monitor);
  const std::unique_ptr<nvinfer1::ITimingCache> learned(
      config->createTimingCache(timings.data(), timings.size()));
  if (learned) config->setTimingCache(*learned, false);

  words.clear();
  const std::unique_ptr<nvinfer1::IHostMemory> built(
      builder->buildSerializedNetwork(*network, *config));
  if (events.stop.stop_requested()) fail(ErrorCode::interrupted, "interrupted");
  if (!built || built->size() == 0) {
    fail(ErrorCode::device, "{} {} builds no engine: {}; use -b cuda", name(library.files.family),
         text_of(library.version), words.error());
  }
  if (events.progress) events.progress(1);
  if (learned) {
    const std::unique_ptr<nvinfer1::IHostMemory> bytes(learned->serialize());
    if (bytes) {
      timings.resize(bytes->size());
      std::memcpy(timings.data(), bytes->data(), bytes->size());
    }
  }
  std::vector<std::byte> engine(built->size());
  std::memcpy(engine.data(), built->data(), built->size());
  return engine;
}

}  // namespace upres::tensorrt
