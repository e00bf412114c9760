// SPDX-License-Identifier: Apache-2.0
#include "backend/tensorrt/tensorrt.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "backend/tensorrt/adapter.h"
#include "backend/tensorrt/library.h"
#include "backend/tensorrt/profile.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/system.h"
#include "graph/footprint.h"
#include "onnx/write.h"

namespace upres {

namespace tensorrt {
namespace {

// As that of the cuda backend.
constexpr size_t kTileBudget = size_t(3) << 30;

/// The library that this build can use. Error{device}.
Library find_library() {
  if (!adapter_headers()) {
    fail(ErrorCode::device,
         "this build of upres has no tensorrt backend: build it with -DUPRES_TENSORRT_ROOT=FOLDER, "
         "where FOLDER has TensorRT's headers (docs/tensorrt.md), or use another -b");
  }
  const SearchPlaces places = search_places();
  const int headers = adapter_headers()->major;
  std::vector<Failure> failures;
  auto library = open_library(candidates(places, headers), failures);
  if (!library) fail(ErrorCode::device, "{}", explain(places, headers, failures));
  return *library;
}

std::string described(const Library& library) {
  return fmt::format("{} {}", name(library.files.family), text_of(library.version));
}

/// What an engine is tied to. TensorRT-RTX compiles for a compute capability, and for the GPU and
/// the driver only when an engine is loaded.
std::string gpu_in_key(const Library& library, const std::optional<Gpu>& gpu) {
  if (!gpu) return "no GPU";
  const std::string capability = fmt::format("compute capability {}.{}", gpu->major, gpu->minor);
  if (library.files.family == Family::rtx) return capability;
  return fmt::format("{}, {}, {} multiprocessors", gpu->name, capability, gpu->multiprocessors);
}

/// Where engines come from: TensorRT as it is here, and what it built before.
class Source {
 public:
  Source(Library library, std::optional<Gpu> gpu, const DeviceOptions& options)
      : library_(std::move(library)), gpu_(std::move(gpu)), options_(options) {}

  const Library& library() const { return library_; }
  const std::optional<Gpu>& gpu() const { return gpu_; }
  const EngineCache& cache() const { return cache_; }

  struct Found {
    EngineKey key;
    Profile profile;
    EngineBytes bytes;
  };
  /// The engine of a graph that no pass has changed, from the cache or built.
  Found obtain(const Graph& graph, Precision precision, bool anew = false) const {
    const std::string onnx =
        write_onnx(graph, {.half = precision == Precision::fp16, .size = {}, .batch = 1});
    const Profile profile = choose_profile(graph, options_.size_hint);
    EngineKey key{.graph = sha256_hex(std::as_bytes(std::span(onnx))),
                  .precision = std::string(upres::name(precision)),
                  .profile = text_of(profile),
                  .gpu = gpu_in_key(library_, gpu_),
                  .driver = library_.files.family == Family::rtx ? "" : nvidia_driver_version(),
                  .library = name(library_.files.family),
                  .version = text_of(library_.version)};
    const std::string network =
        fmt::format("x{}, {:.2f} M weights", graph.scale(), double(parameter_count(graph)) / 1e6);
    const auto build = [&](TimingCache& timings) {
      options_.events.tell(
          fmt::format("{} builds an engine, once for this network and GPU", described(library_)));
      const std::stop_callback told(options_.events.stop, [&] {
        options_.events.tell(
            "stopping at the end of TensorRT's present step; Ctrl-C again ends it at once");
      });
      return build_engine(library_, gpu_ ? std::optional(gpu_->number) : std::nullopt, onnx,
                          precision, profile, timings, options_.events);
    };
    EngineBytes bytes = cache_.obtain(key, network, options_.events, build, anew);
    return {std::move(key), profile, std::move(bytes)};
  }

  /// The same, running.
  std::unique_ptr<Engine> load(const Graph& graph, Precision precision) const {
    Found found = obtain(graph, precision);
    std::string refusal;
    auto engine = load_engine(library_, found.bytes.get(), facts(graph, precision, found), refusal);
    if (!engine && !found.bytes.was_built()) {
      options_.events.tell(fmt::format("{} refuses the engine in the cache: it is built anew ({})",
                                       described(library_), refusal));
      found = obtain(graph, precision, true);
      engine = load_engine(library_, found.bytes.get(), facts(graph, precision, found), refusal);
    }
    if (!engine) {
      fail(ErrorCode::device, "{} does not load the engine that it built: {}; use -b cuda",
           described(library_), refusal);
    }
    return engine;
  }

 private:
  EngineFacts facts(const Graph& graph, Precision precision, const Found& found) const {
    EngineFacts facts{.graph = graph,
                      .precision = precision,
                      .profile = found.profile,
                      .gpu = gpu_->number,
                      .memory_limit = options_.memory_limit,
                      .in_single_precision = {}};
    if (precision == Precision::fp16) {
      facts.in_single_precision = [source = *this, graph] {
        return source.load(graph, Precision::fp32);
      };
    }
    return facts;
  }

  Library library_;
  std::optional<Gpu> gpu_;
  DeviceOptions options_;
  EngineCache cache_{cache_folder()};
};

/// The GPU that the options name. Error{device}.
Gpu wanted_gpu(const DeviceOptions& options) {
  const int count = gpu_count();
  if (count == 0) {
    fail(ErrorCode::device, "TensorRT needs an NVIDIA GPU and its driver; use -b cpu");
  }
  if (options.gpu >= count) {
    fail(ErrorCode::device, "there is no GPU {}; there {} {}, counted from 0", options.gpu,
         count == 1 ? "is" : "are", count);
  }
  return find_gpu(options.gpu);
}

class TensorrtDevice : public Device {
 public:
  TensorrtDevice(Library library, Gpu gpu, const DeviceOptions& options)
      : source_(std::move(library), std::move(gpu), options), options_(options) {}

  std::string name() const override {
    const Gpu& gpu = *source_.gpu();
    return fmt::format("{} (GPU {}, compute capability {}.{}) by {}", gpu.name, gpu.number,
                       gpu.major, gpu.minor, described(source_.library()));
  }
  Capabilities capabilities() const override { return {}; }
  std::vector<Precision> precisions() const override { return {Precision::fp16, Precision::fp32}; }
  bool uses_host_memory() const override { return false; }
  size_t tile_budget() const override { return kTileBudget; }
  size_t memory_available(size_t) const override {
    const size_t free = free_memory(source_.gpu()->number);
    return options_.memory_limit > 0 ? std::min(options_.memory_limit, free) : free;
  }

 protected:
  std::unique_ptr<Engine> load_as(const Graph& graph, Precision precision) const override {
    return source_.load(graph, precision);
  }

 private:
  Source source_;
  DeviceOptions options_;
};

/// One that a build with some headers could use.
std::optional<Library> any_library() {
  const SearchPlaces places = search_places();
  std::vector<Failure> failures;
  for (const int headers : {kNewestMajor, kOldestMajor}) {
    if (auto library = open_library(candidates(places, headers), failures)) return library;
  }
  return std::nullopt;
}

/// "TensorRT 10.13.0, libnvinfer.so.10 of the system"
std::string found(const Library& library) {
  const std::filesystem::path& file = library.files.core;
  return fmt::format("{}, {}{}", described(library), file.string(),
                     file.has_parent_path() ? "" : " of the system");
}

/// A convolution: the smallest network.
Graph small_network() {
  constexpr int kChannels = 3;
  constexpr int kKernel = 3;
  Conv2d conv;
  conv.in_channels = conv.out_channels = kChannels;
  conv.kernel = kKernel;
  conv.weights =
      std::make_shared<std::vector<float>>(size_t(kChannels * kChannels * kKernel * kKernel), 0.1f);
  conv.biases = std::make_shared<std::vector<float>>(size_t(kChannels), 0.0f);
  Graph graph;
  graph.set_output(graph.add("convolution", std::move(conv), {graph.add_input(kChannels)}));
  return graph;
}

/// Whether networks run on a GPU: tried, without the cache.
std::string try_out(const Library& library, const Gpu& gpu) {
  const Graph graph = small_network();
  const std::string onnx = write_onnx(graph, {.half = true, .size = {}, .batch = 1});
  const Profile profile{{1, 1}, {16, 16}, {16, 16}};
  try {
    TimingCache none;
    const auto bytes =
        build_engine(library, gpu.number, onnx, Precision::fp16, profile, none, LoadEvents{});
    std::string refusal;
    const auto engine =
        load_engine(library, bytes, {graph, Precision::fp16, profile, gpu.number, 0, {}}, refusal);
    if (!engine) return fmt::format("not on {}: {}", gpu.name, refusal);
    return fmt::format("works on {}", gpu.name);
  } catch (const Error& error) {
    return fmt::format("not on {}: {}", gpu.name, error.what());
  }
}

}  // namespace

Prepared prepare_engine(const Graph& graph, Precision precision, const DeviceOptions& options,
                        bool anew) {
  Library library = find_library();
  std::optional<Gpu> gpu;
  if (gpu_count() > 0 || options.gpu > 0 || library.files.family != Family::rtx) {
    gpu = wanted_gpu(options);
  } else {
    options.events.tell(
        "no GPU is here: this engine is for none in particular, and a run on a GPU builds its own");
  }
  const Source source(std::move(library), std::move(gpu), options);
  if (precision == Precision::automatic) precision = Precision::fp16;
  const Source::Found found = source.obtain(graph, precision, anew);
  return {source.cache().file_of(found.key), found.bytes.was_built(), found.bytes.get().size()};
}

std::string findings() {
  try {
    if (!adapter_headers()) {
      const auto library = any_library();
      return library ? found(*library) + "; not in this build" : "not in this build";
    }
    const Library library = find_library();
    if (gpu_count() == 0) return found(library) + "; no GPU to run it on";
    return fmt::format("{}; {}", found(library), try_out(library, find_gpu(0)));
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace tensorrt

std::unique_ptr<Device> open_tensorrt_device(const DeviceOptions& options) {
  auto library = tensorrt::find_library();
  auto gpu = tensorrt::wanted_gpu(options);
  return std::make_unique<tensorrt::TensorrtDevice>(std::move(library), std::move(gpu), options);
}

bool has_tensorrt_device() {
  using namespace tensorrt;
  if (gpu_count() == 0) return false;
  std::vector<Failure> failures;
  return open_library(candidates(search_places(), adapter_headers()->major), failures).has_value();
}

std::string tensorrt_library() {
  const auto headers = tensorrt::adapter_headers();
  return headers ? "headers of TensorRT " + text_of(*headers) : "not in this build";
}

}  // namespace upres
