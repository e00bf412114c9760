// SPDX-License-Identifier: Apache-2.0
// What needs no other program; tests/acceptance/onnx_files.py compares with ONNX Runtime.
#include "model/onnx.h"

#include <gtest/gtest.h>

#include <fstream>

#include "graph/structure.h"
#include "model/model.h"
#include "model/onnx_convolution.h"
#include "onnx/write.h"
#include "support.h"
#include "support/networks.h"
#include "support/temporary_folder.h"

namespace upres {
namespace {

using test::Random;

std::span<const std::byte> bytes_of_file(const std::string& file) {
  return std::as_bytes(std::span(file));
}

OnnxNetwork read(const onnx::ModelProto& model, const std::filesystem::path& folder = ".") {
  return read_onnx(bytes_of_file(model.SerializeAsString()), folder);
}

/// A file of one node, "n", from "input" to "output".
onnx::ModelProto one_node(const std::string& type) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  auto& graph = *model.mutable_graph();
  graph.add_input()->set_name("input");
  graph.add_output()->set_name("output");
  auto& node = *graph.add_node();
  node.set_op_type(type);
  node.set_name("n");
  node.add_input("input");
  node.add_output("output");
  return model;
}

/// The same with a convolution's weights.
onnx::ModelProto one_convolution() {
  onnx::ModelProto model = one_node("Conv");
  auto& node = *model.mutable_graph()->mutable_node(0);
  node.add_input("w");
  auto& pads = *node.add_attribute();
  pads.set_name("pads");
  pads.set_type(onnx::AttributeProto::INTS);
  for (int i = 0; i < 4; ++i) pads.add_ints(1);
  auto& weights = *model.mutable_graph()->add_initializer();
  weights.set_name("w");
  weights.set_data_type(onnx::TensorProto::FLOAT);
  for (const int size : {3, 3, 3, 3}) weights.add_dims(size);
  weights.mutable_raw_data()->resize(81 * sizeof(float));
  return model;
}

std::string refusal_of(const onnx::ModelProto& model, const std::filesystem::path& folder = ".") {
  return refusal([&] { read(model, folder); });
}

/// Weights, biases and slopes in order.
std::vector<float> numbers_of(const Graph& graph) {
  std::vector<float> numbers;
  for (const Node& node : graph.nodes()) {
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
      numbers.insert(numbers.end(), conv->weights->begin(), conv->weights->end());
      numbers.insert(numbers.end(), conv->biases->begin(), conv->biases->end());
    }
    if (const auto* act = std::get_if<Activate>(&node.op)) {
      numbers.insert(numbers.end(), act->activation.slopes.begin(), act->activation.slopes.end());
    }
  }
  return numbers;
}

TEST(Onnx, WhatIsWrittenIsReadAsTheSameNetworkInEveryVersion) {
  Random random(20261125);
  const Graph graphs[] = {test::srvgg(random, 8, 2, 2), test::rrdbnet(random, 8, 4, 1),
                          test::rrdbnet(random, 8, 4, 1, 2)};
  for (const Graph& graph : graphs) {
    for (int opset = kOldestOnnxOpset; opset <= kNewestOnnxOpset; ++opset) {
      OnnxOptions options{.size = {}, .batch = 1};
      options.opset = opset;
      const std::string file = write_onnx(graph, options);
      const OnnxNetwork network = read_onnx(bytes_of_file(file), ".");
      EXPECT_EQ(structure_hashes(network.graph), structure_hashes(graph)) << opset;
      EXPECT_EQ(numbers_of(network.graph), numbers_of(graph)) << opset;
      verify(network.graph);
    }
  }
}

TEST(Onnx, AFixedSizeIsReadForThatSizeAlone) {
  Random random(1);
  const Graph graph = test::rrdbnet(random, 8, 4, 1, 2);
  const std::string file = write_onnx(graph, {.size = Size{34, 22}, .batch = {}});
  EXPECT_EQ(structure_hashes(read_onnx(bytes_of_file(file), ".").graph), structure_hashes(graph));
}

TEST(Onnx, WhatHasNoPlaceInHalfPrecisionIsNotWritten) {
  Random random(1);
  Graph graph;
  Conv2d conv = test::random_conv(random, 3, 3);
  conv.biases = std::make_shared<const std::vector<float>>(std::vector<float>{1, 70000, 1});
  graph.set_output(graph.add("loud", conv, {graph.add_input(3)}));
  EXPECT_NE(refusal([&] {
              write_onnx(graph, {.half = true, .size = {}, .batch = 1});
            }).find("layer loud: the bias 70000"),
            std::string::npos);
}

TEST(Onnx, AFileThatEndsAnywhereIsRefused) {
  Random random(1);
  const std::string file = write_onnx(test::srvgg(random, 4, 1, 2), {.size = {}, .batch = 1});
  for (size_t length = 0; length < file.size(); length += 7) {
    EXPECT_THROW(read_onnx(bytes_of_file(file).first(length), "."), Error) << length;
  }
}

TEST(Onnx, MoreElementsThanAFileHoldsAreNotAllocated) {
  onnx::ModelProto model = one_convolution();
  auto& weights = *model.mutable_graph()->mutable_initializer(0);
  weights.set_dims(0, 1 << 20);
  weights.set_dims(1, 1 << 20);
  EXPECT_NE(refusal_of(model).find("tensor w does not hold as many elements"), std::string::npos);
  weights.set_dims(0, int64_t(1) << 62);
  EXPECT_NE(refusal_of(model).find("tensor w has an impossible shape"), std::string::npos);
}

TEST(Onnx, WeightsOutsideOfTheModelsFolderAreNotRead) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "model");
  std::ofstream(folder.path() / "secret") << std::string(324, '\0');
  std::ofstream(folder.path() / "model/weights") << std::string(324, '\0');
  std::filesystem::create_symlink("../secret", folder.path() / "model/link");
  onnx::ModelProto model = one_convolution();
  auto& weights = *model.mutable_graph()->mutable_initializer(0);
  weights.clear_raw_data();
  weights.set_data_location(onnx::TensorProto::EXTERNAL);
  auto& location = *weights.add_external_data();
  location.set_key("location");
  const auto said = [&](const std::string& name) {
    location.set_value(name);
    return refusal_of(model, folder.path() / "model");
  };
  const std::string elsewhere[] = {"../secret", "link", "", "a/../../secret",
                                   (folder.path() / "secret").string()};
  for (const std::string& name : elsewhere) {
    EXPECT_NE(said(name).find("which is not in the model's folder"), std::string::npos) << name;
  }
  EXPECT_NE(said("none").find("none"), std::string::npos);
  location.set_value("weights");
  EXPECT_EQ(read(model, folder.path() / "model").graph.nodes().size(), 1u);
  auto& offset = *weights.add_external_data();
  offset.set_key("offset");
  offset.set_value("400");
  EXPECT_NE(refusal_of(model, folder.path() / "model").find("too short"), std::string::npos);
}

TEST(Onnx, NodesAreRefusedByName) {
  EXPECT_NE(refusal_of(one_node("MaxPool")).find("node n (MaxPool) is an operator that upres does"),
            std::string::npos);
  onnx::ModelProto model = one_node("Relu");
  model.mutable_graph()->mutable_node(0)->set_input(0, "nothing");
  EXPECT_NE(refusal_of(model).find("reads nothing, which no node before it makes"),
            std::string::npos);
  for (const char* type : {"Concat", "Relu", "Conv", "Split"}) {
    model = one_node(type);
    model.mutable_graph()->mutable_node(0)->clear_input();
    EXPECT_NE(refusal_of(model).find("lacks an input"), std::string::npos) << type;
  }
  model = one_node("Relu");
  model.mutable_graph()->mutable_node(0)->clear_output();
  EXPECT_NE(refusal_of(model).find("makes nothing"), std::string::npos);
  model = one_node("Relu");
  *model.mutable_graph()->add_node() = model.graph().node(0);
  EXPECT_NE(refusal_of(model).find("makes output again"), std::string::npos);
}

/// A convolution of one row of pixels by its definition, zeros beyond the ends.
std::vector<float> convolved(const GeneralConvolution& c, const std::vector<float>& in) {
  const int stride = c.strides[1];
  const auto length = int(in.size());
  std::vector<float> out(size_t(c.transposed ? length * stride : length / stride));
  for (int k = 0; k < c.kernel[1]; ++k) {
    for (int i = 0; i < (c.transposed ? length : int(out.size())); ++i) {
      const int other = i * stride + k * c.dilations[1] - c.pads[1];
      if (other < 0 || other >= (c.transposed ? int(out.size()) : length)) continue;
      if (c.transposed) {
        out[size_t(other)] += (*c.weights)[size_t(k)] * in[size_t(i)];
      } else {
        out[size_t(i)] += (*c.weights)[size_t(k)] * in[size_t(other)];
      }
    }
  }
  return out;
}

/// The middle row of what the plain one computes, of one channel.
std::vector<float> convolved(const PlainConvolution& plain, const std::vector<float>& in) {
  const Conv2d& conv = plain.conv;
  const int in_phases = plain.unshuffle;
  const int out_phases = plain.shuffle;
  const int length = int(in.size()) / in_phases;
  std::vector<float> out(size_t(length * out_phases));
  for (int x = 0; x < length; ++x) {
    for (int o = 0; o < out_phases; ++o) {
      for (int i = 0; i < in_phases; ++i) {
        for (int k = 0; k < conv.kernel; ++k) {
          const int at = x + k - conv.kernel / 2;
          if (at < 0 || at >= length) continue;
          // The first row of phases, the middle row of the kernel.
          const size_t plane = size_t(o) * size_t(conv.in_channels) + size_t(i);
          const size_t weight =
              (plane * size_t(conv.kernel) + size_t(conv.kernel / 2)) * size_t(conv.kernel) +
              size_t(k);
          out[size_t(x * out_phases + o)] +=
              (*conv.weights)[weight] * in[size_t(at * in_phases + i)];
        }
      }
    }
  }
  return out;
}

TEST(PlainConvolution, ComputesWhatTheGeneralOneDoes) {
  Random random(7);
  onnx::NodeProto node;
  int tried = 0;
  for (const bool transposed : {false, true}) {
    for (const int stride : {1, 2, 3}) {
      for (const int kernel : {1, 2, 3, 4, 7}) {
        for (const int dilation : {1, 2}) {
          for (int before = 0; before <= 4; ++before) {
            for (int after = 0; after <= 4; ++after) {
              GeneralConvolution c;
              c.transposed = transposed;
              c.in_channels = c.out_channels = 1;
              c.kernel = {stride, kernel};  // one row a stride: its middle, and sizes, hold
              c.strides = {stride, stride};
              c.dilations = {1, dilation};
              c.pads = {0, before, 0, after};
              c.weights = random.weights(stride * kernel, 1);
              const std::vector<float> row(c.weights->begin(), c.weights->begin() + kernel);
              PlainConvolution plain;
              try {
                plain = plain_convolution(node, c);
              } catch (const Error&) {
                continue;  // a size that does not fit
              }
              ++tried;
              c.weights = std::make_shared<const std::vector<float>>(row);
              const std::vector<float> in = *random.weights(12, 1);
              const auto wanted = convolved(c, in);
              const auto made = convolved(plain, in);
              ASSERT_EQ(made.size(), wanted.size());
              for (size_t i = 0; i < made.size(); ++i) EXPECT_NEAR(made[i], wanted[i], 1e-6);
            }
          }
        }
      }
    }
  }
  EXPECT_GT(tried, 50);
}

}  // namespace
}  // namespace upres
