// SPDX-License-Identifier: Apache-2.0
// Every backend against PyTorch: tests/golden/README.md says what the files hold.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "backend/backend.h"
#include "base/file.h"
#include "compile/compile.h"
#include "frame/frame.h"
#include "model/model.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = UPRES_SOURCE_DIR;

// Largest difference of the network's float result from PyTorch's, where sums and activations are
// single precision, and where activations are half.
constexpr float kTolerance = 1e-4f;
constexpr float kHalfTolerance = 3e-2f;

struct Golden {
  std::string name;
  std::string backend;
};

void PrintTo(const Golden& golden, std::ostream* stream) {
  *stream << golden.name << " on " << golden.backend;
}

std::vector<Golden> all_goldens() {
  std::vector<Golden> goldens;
  std::error_code absent;  // no cases, which fails unless a filter asks for other tests alone
  for (const auto& entry : fs::directory_iterator(kSource / "tests/golden", absent)) {
    const fs::path& path = entry.path();
    const bool is_case =
        path.extension() == ".safetensors" && path.stem().extension() != ".weights";
    if (!is_case) continue;
    for (const BackendInfo& backend : backends()) {
      if (backend.can_run()) goldens.push_back({path.stem(), backend.name});
    }
  }
  return goldens;
}

/// The model file that a golden file's metadata names.
fs::path model_of(const fs::path& golden) {
  const MappedFile file = MappedFile::open(golden, ErrorCode::input);
  uint64_t length = 0;
  std::memcpy(&length, file.bytes().data(), sizeof(length));
  const auto* text = reinterpret_cast<const char*>(file.bytes().data()) + sizeof(length);
  const auto header = nlohmann::json::parse(text, text + length);
  const std::string model = header["__metadata__"]["model"];
  const bool is_data = model.starts_with("weights/");
  return is_data ? kSource / "../shared/data" / model : kSource / model;
}

/// A golden picture as a frame: [height, width, channels], integers.
Frame to_frame(const Tensor& tensor) {
  const Size size{int(tensor.shape()[1]), int(tensor.shape()[0])};
  const bool sixteen = tensor.dtype() == DType::i32;
  Frame frame(size, sixteen ? SampleType::u16 : SampleType::u8, int(tensor.shape()[2]));
  const std::vector<float> values = tensor.to_floats();
  for (size_t i = 0; i < values.size(); ++i) {
    if (sixteen) {
      reinterpret_cast<uint16_t*>(frame.data())[i] = uint16_t(values[i]);
    } else {
      frame.data()[i] = std::byte(uint8_t(values[i]));
    }
  }
  return frame;
}

class GoldenTest : public testing::TestWithParam<Golden> {
 protected:
  void SetUp() override {
    const fs::path golden = kSource / "tests/golden" / (GetParam().name + ".safetensors");
    const fs::path model = model_of(golden);
    if (!fs::exists(model)) {
      const char* ci = std::getenv("CI");
      if (ci && std::string_view(ci) == "true") FAIL() << model << " is missing";
      GTEST_SKIP() << "SKIPPED 1: " << model << " is missing";
    }
    tensors_ = read_model_file(golden).weights;
    device_ = open_device(GetParam().backend, {});
    graph_ = load_model(model).network.graph;
    engine_ = compile(graph_, *device_);
    picture_ = to_frame(*tensors_.find("input"));
  }

  void run(const FrameView& src, const FrameView& dst) {
    const auto session = engine_->open();
    session->submit({.src = src, .read = whole(src.size), .dst = dst, .write = whole(dst.size)});
    session->wait();
  }

  Size result_size() const {
    return {picture_.size().width * graph_.scale(), picture_.size().height * graph_.scale()};
  }

  void expect_raw(const FrameView& src, const char* name) {
    Frame result(result_size(), SampleType::f32, 3);
    run(src, result.colour());
    const auto* values = reinterpret_cast<const float*>(result.data());
    const std::vector<float> golden = tensors_.find(name)->to_floats();  // [3][height][width]
    const size_t plane = golden.size() / 3;
    float largest = 0;
    for (size_t i = 0; i < golden.size(); ++i) {
      largest = std::max(largest, std::abs(values[i % plane * 3 + i / plane] - golden[i]));
    }
    EXPECT_LE(largest, tolerance()) << name;
    RecordProperty(name, std::to_string(largest));
  }

  static float tolerance() {
    return GetParam().backend == "cuda" || GetParam().backend == "tensorrt" ? kHalfTolerance
                                                                            : kTolerance;
  }

  StateDict tensors_;
  std::unique_ptr<Device> device_;
  Graph graph_;
  std::unique_ptr<Engine> engine_;
  Frame picture_;
};

TEST_P(GoldenTest, EqualsPyTorch) {
  expect_raw(picture_.colour(), "output");
  if (picture_.has_alpha() && tensors_.find("output_alpha")) {
    expect_raw(picture_.alpha(), "output_alpha");
  }

  const Frame golden = to_frame(*tensors_.find("picture"));
  Frame result(result_size(), picture_.type(), picture_.channels());
  run(picture_.colour(), result.colour());
  if (picture_.has_alpha()) run(picture_.alpha(), result.alpha());
  ASSERT_EQ(result.total_bytes(), golden.total_bytes());
  const bool sixteen = picture_.type() == SampleType::u16;
  const int allowed = int(tolerance() * (sixteen ? 65535 : 255)) + 1;
  for (size_t i = 0; i < golden.total_bytes() / size_bytes(golden.type()); ++i) {
    const auto sample = [&](const Frame& frame) {
      return sixteen ? int(reinterpret_cast<const uint16_t*>(frame.data())[i])
                     : int(frame.data()[i]);
    };
    ASSERT_LE(std::abs(sample(result) - sample(golden)), allowed) << "sample " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, testing::ValuesIn(all_goldens()),
                         [](const auto& golden) {
                           return golden.param.name + "_" + golden.param.backend;
                         });

}  // namespace
}  // namespace upres
