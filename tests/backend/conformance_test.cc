// SPDX-License-Identifier: Apache-2.0
// One suite that every backend passes: the engine contract by use, and its results against plain
// arithmetic on the unfused graph.
#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "base/error.h"
#include "compile/compile.h"
#include "pixel/convert.h"
#include "support/networks.h"
#include "support/temporary_folder.h"

namespace upres {
namespace {

using test::Random;

struct Backend {
  std::string name;
  std::string variant;  ///< what the environment chooses of it: "avx2", "onednn"; empty: the usual
  const char* variable;
  Precision precision;
  float tolerance;  ///< largest difference to the reference on the unfused graph, of values about 1
  friend std::ostream& operator<<(std::ostream& out, const Backend& one) { return out << one.name; }
};

float tolerance(Precision precision) {
  return precision == Precision::fp32 ? 2e-5f : precision == Precision::fp16 ? 2e-2f : 1e-1f;
}

/// Those of this build that this machine can run, in every precision they have; of the processor's
/// every instruction set, and oneDNN's convolutions.
std::vector<Backend> runnable_backends() {
  std::vector<Backend> runnable;
  for (const BackendInfo& backend : backends()) {
    if (!backend.can_run()) continue;
    for (const Precision precision : open_device(backend.name, {})->precisions()) {
      const auto add = [&](const std::string& variant, const char* variable) {
        runnable.push_back({backend.name, variant, variable, precision, tolerance(precision)});
      };
      if (backend.name != "cpu") {
        add("", nullptr);
        continue;
      }
      for (const std::string& instructions : cpu_instruction_sets()) add(instructions, "UPRES_CPU");
      add("onednn", "UPRES_CPU_CONV");
    }
  }
  return runnable;
}

/// Sets a variable of the environment while it lives.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (name_) setenv(name_, value.c_str(), 1);
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;
  ~ScopedVariable() {
    if (name_) unsetenv(name_);
  }

 private:
  const char* name_;  ///< null: none
};

/// The network's raw result for a whole picture, from memory that held NaN before.
Frame run(const Graph& graph, Session& session, const Frame& picture) {
  const Size size = picture.size();
  Frame result({size.width * graph.scale(), size.height * graph.scale()}, SampleType::f32, 3);
  std::memset(result.data(), 0xff, result.total_bytes());
  session.submit({.src = picture.colour(),
                  .read = whole(size),
                  .dst = result.colour(),
                  .write = whole(result.size())});
  session.wait();
  return result;
}

/// The same by the reference, no pass run: every operator as the model file has it.
Frame expected(const Graph& graph, const Frame& picture) {
  const auto device = open_device("reference", {});
  const auto engine = device->load(graph);
  return run(graph, *engine->open(), picture);
}

std::span<const float> floats(const Frame& frame) {
  return {reinterpret_cast<const float*>(frame.data()), frame.total_bytes() / sizeof(float)};
}

/// The largest difference; infinite where one of the values is not a number.
float largest_difference(const Frame& a, const Frame& b) {
  float largest = 0;
  for (size_t i = 0; i < floats(a).size(); ++i) {
    const float difference = std::abs(floats(a)[i] - floats(b)[i]);
    if (!(difference <= largest)) largest = difference;
    if (std::isnan(difference)) return std::numeric_limits<float>::infinity();
  }
  return largest;
}

class Conformance : public testing::TestWithParam<Backend> {
 protected:
  ScopedVariable variant_{GetParam().variable, GetParam().variant};
  std::unique_ptr<Device> device_ = open_device(GetParam().name, {.threads = 2});
  Random random_{20261124};

  static std::unique_ptr<Engine> load(const Graph& graph, const Device& device) {
    return compile(graph, device, GetParam().precision);
  }
  void expect_same(const Graph& graph, Session& session, Size size) {
    const Frame picture = test::random_frame(random_, size, SampleType::u8, 3);
    EXPECT_LE(largest_difference(run(graph, session, picture), expected(graph, picture)),
              GetParam().tolerance)
        << size.width << "x" << size.height;
  }
};

TEST_P(Conformance, EveryNetworkAtManySizesEqualsTheUnfusedReference) {
  struct Case {
    const char* name;
    Graph graph;
  };
  const Case cases[] = {
      {"srvgg 16x3 x4", test::srvgg(random_, 16, 3, 4)},
      {"srvgg 24x2 x2, channels no multiple of a vector", test::srvgg(random_, 24, 2, 2)},
      {"srvgg 5x1 x3", test::srvgg(random_, 5, 1, 3)},
      {"srvgg 16x1 x4 to x2", test::srvgg(random_, 16, 1, 4, Resize{1, 2})},
      {"srvgg 16x1 x4 to x3", test::srvgg(random_, 16, 1, 4, Resize{3, 4})},
      {"rrdbnet 32/16 x4", test::rrdbnet(random_, 32, 16, 1)},
      {"rrdbnet 8/4 x4, slices no multiple of a vector", test::rrdbnet(random_, 8, 4, 2)},
      {"rrdbnet 16/16 x2", test::rrdbnet(random_, 16, 16, 1, 2)},
      {"rrdbnet 8/8 x1", test::rrdbnet(random_, 8, 8, 1, 4)},
      {"rrdbnet 16/8 x4, ESRGAN+", test::rrdbnet(random_, 16, 8, 1, 1, true)},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto engine = load(c.graph, *device_);
    const auto session = engine->open();
    for (const Size size : {Size{1, 1}, Size{2, 1}, Size{3, 7}, Size{16, 16}, Size{33, 18}}) {
      expect_same(c.graph, *session, size);
    }
  }
}

TEST_P(Conformance, EveryEpilogueEqualsTheUnfusedReference) {
  const Activation activations[] = {{},
                                    {Activation::Kind::relu, {0}},
                                    test::leaky_relu(0.2f),
                                    test::leaky_relu(-0.3f),
                                    test::leaky_relu(1.5f),
                                    test::random_prelu(random_, 16)};
  for (const Activation& activation : activations) {
    for (const int addends : {0, 1, 2}) {
      for (const int kernel : {1, 3, 5}) {
        SCOPED_TRACE(testing::Message() << "activation " << int(activation.kind) << ", " << addends
                                        << " addends, kernel " << kernel);
        Graph graph;
        ValueId x = graph.add("first", test::random_conv(random_, 3, 16), {graph.add_input(3)});
        const ValueId first = x;
        const ValueId other = graph.add("other", test::random_conv(random_, 16, 16), {first});
        x = graph.add("conv", test::random_conv(random_, 16, 16, kernel), {first});
        if (activation.kind != Activation::Kind::none) {
          x = graph.add("act", Activate{activation}, {x});
        }
        if (addends > 0) x = graph.add("add1", Add{}, {x, other});
        if (addends > 1) {
          x = graph.add("add2", Add{}, {first, graph.add("scale", Scale{0.2f}, {x})});
        }
        graph.set_output(graph.add("last", test::random_conv(random_, 16, 3), {x}));
        const auto engine = load(graph, *device_);
        const auto session = engine->open();
        expect_same(graph, *session, {13, 9});
      }
    }
  }
}

TEST_P(Conformance, OperatorsOutsideOfConvolutionsEqualTheReference) {
  Graph graph;
  const ValueId in = graph.add_input(3);
  const ValueId a = graph.add("a", test::random_conv(random_, 3, 12), {in});
  const ValueId relu = graph.add("relu", Activate{test::leaky_relu(0.1f)}, {a});
  const ValueId scale = graph.add("scale", Scale{-0.5f}, {a});
  const ValueId stack = graph.add("stack", Concat{}, {relu, scale, relu, in});
  const ValueId b = graph.add("b", test::random_conv(random_, 39, 12), {stack});
  const ValueId up = graph.add("up", Upsample{3}, {graph.add("add", Add{}, {b, relu})});
  const ValueId wide = graph.add("wide", test::random_conv(random_, 12, 12), {up});
  graph.set_output(graph.add("shuffle", PixelShuffle{2}, {wide}));
  const auto engine = load(graph, *device_);
  const auto session = engine->open();
  expect_same(graph, *session, {7, 5});
}

TEST_P(Conformance, ASessionTakesSizesInAnyOrder) {
  const Graph graph = test::rrdbnet(random_, 16, 8, 1);
  const auto engine = load(graph, *device_);
  const auto session = engine->open();
  for (const int side : {20, 3, 20, 31, 1, 8, 9, 10, 11, 12, 13, 14, 20}) {
    expect_same(graph, *session, {side, 33 - side});
  }
}

TEST_P(Conformance, SessionsOfOneEngineDoNotDisturbEachOther) {
  const Graph graph = test::srvgg(random_, 16, 2, 2);
  const auto engine = load(graph, *device_);
  const auto one = engine->open();
  const auto other = engine->open();
  const Frame a = test::random_frame(random_, {17, 9}, SampleType::u8, 3);
  const Frame b = test::random_frame(random_, {17, 9}, SampleType::u8, 3);
  const Frame before = run(graph, *one, a);
  run(graph, *other, b);
  EXPECT_EQ(largest_difference(run(graph, *one, a), before), 0);
}

TEST_P(Conformance, TheSameJobGivesTheSameBytes) {
  const Graph graph = test::rrdbnet(random_, 16, 16, 1);
  const auto engine = load(graph, *device_);
  const Frame picture = test::random_frame(random_, {40, 30}, SampleType::u8, 3);
  const Frame once = run(graph, *engine->open(), picture);
  const Frame again = run(graph, *engine->open(), picture);
  EXPECT_EQ(std::memcmp(once.data(), again.data(), once.total_bytes()), 0);
}

TEST_P(Conformance, APlanThatDoesNotFitIsRefusedAndHarmsNothing) {
  const Graph graph = test::srvgg(random_, 16, 2, 2);
  const size_t enough = load(graph, *device_)->bytes_needed({20, 20});
  const auto small = open_device(GetParam().name, {.threads = 1, .memory_limit = enough});
  const auto engine = load(graph, *small);
  const auto session = engine->open();
  EXPECT_TRUE(session->plan({20, 20}));
  EXPECT_FALSE(session->plan({200, 200}));
  expect_same(graph, *session, {20, 20});
  const Frame large = test::random_frame(random_, {200, 200}, SampleType::u8, 3);
  try {
    run(graph, *session, large);
    FAIL() << "a job beyond the limit ran";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::memory);
  }
  expect_same(graph, *session, {10, 40});
}

TEST_P(Conformance, BytesNeededGrowsWithTheSizeAndIsNotZero) {
  const auto engine = load(test::srvgg(random_, 16, 2, 2), *device_);
  EXPECT_GT(engine->bytes_needed({1, 1}), 0u);
  EXPECT_GT(engine->bytes_needed({64, 64}), engine->bytes_needed({32, 32}));
}

TEST_P(Conformance, ATailInBandsIsTheSamePicture) {
  // The result of 4x is larger than what the processor makes in one piece.
  const Graph graph = test::rrdbnet(random_, 16, 8, 1);
  const auto engine = load(graph, *device_);
  const auto session = engine->open();
  expect_same(graph, *session, {260, 131});
  const Graph shuffled = test::srvgg(random_, 8, 1, 4);
  const auto other = load(shuffled, *device_);
  expect_same(shuffled, *other->open(), {350, 201});
}

TEST_P(Conformance, PlansForTheThreadsItIsGiven) {
  // oneDNN takes the number that holds when a primitive is made: while planning.
  if (!device_->uses_host_memory()) GTEST_SKIP() << "runs on no thread of the processor";
  const auto one = open_device(GetParam().name, {.threads = 1});
  const auto engine = load(test::srvgg(random_, 8, 1, 2), *one);
  const auto session = engine->open();
  omp_set_num_threads(2);
  EXPECT_TRUE(session->plan({8, 8}));
  EXPECT_EQ(omp_get_max_threads(), 1);
}

TEST_P(Conformance, AJobReadsAndWritesOnlyItsRectangles) {
  const Graph graph = test::srvgg(random_, 8, 1, 2);
  const auto engine = load(graph, *device_);
  const auto session = engine->open();
  const Frame picture = test::random_frame(random_, {30, 20}, SampleType::u8, 3);
  Frame cut({9, 8}, SampleType::u8, 3);
  for (int y = 0; y < 8; ++y) {
    std::memcpy(cut.data() + size_t(y) * cut.row_bytes(),
                picture.data() + size_t(y + 7) * picture.row_bytes() + 5 * 3, cut.row_bytes());
  }
  const Frame whole_cut = run(graph, *session, cut);

  Frame canvas({40, 40}, SampleType::f32, 3);
  std::fill_n(reinterpret_cast<float*>(canvas.data()), 40 * 40 * 3, -7.0f);
  const Rect write{11, 13, 10, 9};
  const Point skip{3, 4};
  session->submit({.src = picture.colour(),
                   .read = {5, 7, 9, 8},
                   .dst = canvas.colour(),
                   .write = write,
                   .skip = skip});
  session->wait();
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 40; ++x) {
      const bool inside = x >= write.x && x < write.right() && y >= write.y && y < write.bottom();
      const float value = floats(canvas)[size_t((y * 40 + x) * 3)];
      const int from = (y - write.y + skip.y) * 18 + x - write.x + skip.x;
      ASSERT_EQ(value, inside ? floats(whole_cut)[size_t(from * 3)] : -7.0f) << x << "," << y;
    }
  }
}

TEST_P(Conformance, GrayEntersAsThreeChannelsAndReturnsAsLuma) {
  const Graph graph = test::srvgg(random_, 8, 1, 2);
  const auto engine = load(graph, *device_);
  const auto session = engine->open();
  const Frame gray = test::random_frame(random_, {12, 10}, SampleType::u16, 1);
  Frame rgb({12, 10}, SampleType::u16, 3);
  for (size_t i = 0; i < 12 * 10 * 3; ++i) {
    reinterpret_cast<uint16_t*>(rgb.data())[i] =
        reinterpret_cast<const uint16_t*>(gray.data())[i / 3];
  }
  const Frame colour = run(graph, *session, rgb);
  Frame result({24, 20}, SampleType::u8, 1);
  session->submit({.src = gray.colour(),
                   .read = whole(gray.size()),
                   .dst = result.colour(),
                   .write = whole(result.size())});
  session->wait();
  for (size_t i = 0; i < 24 * 20; ++i) {
    const float* p = floats(colour).data() + i * 3;
    const float y = luma(p[0], p[1], p[2]) * 255;
    EXPECT_NEAR(float(result.data()[i]), y, 0.51f);
  }
}

TEST_P(Conformance, TheHeartbeatRisesToOneAndCanEndTheJob) {
  const Graph graph = test::srvgg(random_, 8, 2, 2);
  const auto engine = load(graph, *device_);
  const auto session = engine->open();
  const Frame picture = test::random_frame(random_, {12, 10}, SampleType::u8, 3);
  Frame result({24, 20}, SampleType::u8, 3);
  double share = 0;
  Job job{.src = picture.colour(),
          .read = whole(picture.size()),
          .dst = result.colour(),
          .write = whole(result.size())};
  job.heartbeat = [&](double done) {
    EXPECT_GE(done, share);
    share = done;
  };
  session->submit(job);
  session->wait();
  EXPECT_DOUBLE_EQ(share, 1);
  job.heartbeat = [](double) { throw Error(ErrorCode::interrupted, "enough"); };
  const auto run_to_the_end = [&] {
    session->submit(job);
    session->wait();
  };
  EXPECT_THROW(run_to_the_end(), Error);
  expect_same(graph, *session, {12, 10});
}

INSTANTIATE_TEST_SUITE_P(AllBackends, Conformance, testing::ValuesIn(runnable_backends()),
                         [](const auto& backend) {
                           std::string words = backend.param.name + "_" + backend.param.variant +
                                               (backend.param.variant.empty() ? "" : "_");
                           words += name(backend.param.precision);
                           std::ranges::replace(words, '-', '_');
                           return words;
                         });

TEST(Precision, OnTheProcessorIsFp32AndAnotherIsAUsageError) {
  Random random(20261124);
  const Graph graph = test::srvgg(random, 4, 1, 2);
  for (const char* backend : {"cpu", "reference"}) {
    const auto device = open_device(backend, {});
    EXPECT_EQ(device->chosen(Precision::automatic), Precision::fp32);
    EXPECT_NE(compile(graph, *device, Precision::fp32), nullptr);
    for (const Precision other : {Precision::fp16, Precision::fp16_fast}) {
      const std::string words = fmt::format("computes in fp32, not in {}", name(other));
      EXPECT_TRUE(test::fails(ErrorCode::usage, words, [&] { compile(graph, *device, other); }));
    }
  }
}

TEST(FoldUpsample, ChangesNoBitOfTheResult) {
  Random random(20261124);
  const Graph graph = test::rrdbnet(random, 8, 4, 1);
  const Graph folded = optimise(graph, {.enlarged_inputs = true});
  ASSERT_LT(folded.nodes().size(), graph.nodes().size());
  const Frame picture = test::random_frame(random, {13, 9}, SampleType::u8, 3);
  const auto engine = open_device("reference", {})->load(folded);
  EXPECT_EQ(largest_difference(run(folded, *engine->open(), picture), expected(graph, picture)), 0);
}

TEST(FuseShuffle, ChangesNoBitOfTheResult) {
  Random random(20261124);
  const Graph graph = test::srvgg(random, 8, 2, 4);
  const Graph fused = optimise(graph, {.shuffled_result = 4});
  ASSERT_LT(fused.nodes().size(), graph.nodes().size());
  const Frame picture = test::random_frame(random, {13, 9}, SampleType::u8, 3);
  const auto engine = open_device("reference", {})->load(fused);
  EXPECT_EQ(largest_difference(run(fused, *engine->open(), picture), expected(graph, picture)), 0);
}

TEST(OpenDevice, TakesWhatTheEnvironmentNamesAndTellsIt) {
  for (const std::string& instructions : cpu_instruction_sets()) {
    const ScopedVariable variable("UPRES_CPU", instructions);
    EXPECT_NE(open_device("cpu", {})->name(), "");
  }
  const ScopedVariable variable("UPRES_CPU_CONV", "onednn");
  EXPECT_NE(open_device("cpu", {})->name().find("oneDNN"), std::string::npos);
}

TEST(OpenDevice, RefusesWhatTheEnvironmentNamesInVain) {
  const auto refused = [](const std::string& words) {
    return test::fails(ErrorCode::usage, words, [] { open_device("cpu", {}); });
  };
  {
    const ScopedVariable variable("UPRES_CPU", "mmx");
    std::string known;
    for (const std::string& one : cpu_instruction_sets())
      known += (known.empty() ? "" : ", ") + one;
    EXPECT_TRUE(refused("UPRES_CPU is mmx; this processor has " + known));
  }
  {
    const ScopedVariable variable("UPRES_CPU_CONV", "fft");
    EXPECT_TRUE(refused("UPRES_CPU_CONV is fft; it takes winograd or onednn"));
  }
  const ScopedVariable family("UPRES_CPU_CONV", "onednn");
  const ScopedVariable instructions("UPRES_CPU", cpu_instruction_sets().front());
  EXPECT_TRUE(refused("oneDNN heeds ONEDNN_MAX_CPU_ISA"));
}

TEST(OpenDevice, RefusesAnUnknownBackendAndListsThoseThereAre) {
  try {
    open_device("vulkan", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    std::string known = "auto";
    for (const BackendInfo& backend : backends()) known += ", " + backend.name;
    EXPECT_EQ(error.what(), "there is no backend vulkan; this build has " + known);
  }
}

}  // namespace
}  // namespace upres
