// SPDX-License-Identifier: Apache-2.0
//
// As text, one layer a line:
//
//   7767517
//   LAYERS BLOBS
//   Convolution  Conv_1  1 1  in_blob out_blob  0=32 1=3 4=1 5=1 6=18432 9=2 -23310=1,0.2
//   TYPE         NAME    inputs and outputs     key=value, arrays as -(23300+key)=count,values
//
// In binary (ncnn2mem's X.param.bin; Net::load_param_bin and ParamDict::load_param_bin in ncnn) the
// same in words of 4 bytes, without names:
//
//   7767517  LAYERS  BLOBS
//   TYPE  inputs  outputs  blobs...  { key value | -(23300+key) count values... }  -233
#include "model/ncnn_param.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "model/cursor.h"

namespace upres {
namespace {

// RealESRGAN_x4plus has 1000 layers in 0.1 MB of text. In memory a file takes up to twenty times
// its length.
constexpr uint32_t kMaxLayers = 1 << 14;
constexpr size_t kMaxBytes = 1 << 20;

// The types by their numbers in binary files: the order of ncnn_add_layer() in src/CMakeLists.txt.
// New ones are appended (those of the releases 20190320 and 20200727 are the first 64 and 74 of
// these, which are 20260526's).
// clang-format off
constexpr std::string_view kTypes[] = {
    "AbsVal", "ArgMax", "BatchNorm", "Bias", "BNLL", "Concat", "Convolution", "Crop",
    "Deconvolution", "Dropout", "Eltwise", "ELU", "Embed", "Exp", "Flatten", "InnerProduct",
    "Input", "Log", "LRN", "MemoryData", "MVN", "Pooling", "Power", "PReLU", "Proposal",
    "Reduction", "ReLU", "Reshape", "ROIPooling", "Scale", "Sigmoid", "Slice", "Softmax",
    "Split", "SPP", "TanH", "Threshold", "Tile", "RNN", "LSTM", "BinaryOp", "UnaryOp",
    "ConvolutionDepthWise", "Padding", "Squeeze", "ExpandDims", "Normalize", "Permute",
    "PriorBox", "DetectionOutput", "Interp", "DeconvolutionDepthWise", "ShuffleChannel",
    "InstanceNorm", "Clip", "Reorg", "YoloDetectionOutput", "Quantize", "Dequantize",
    "Yolov3DetectionOutput", "PSROIPooling", "ROIAlign", "Packing", "Requantize", "Cast",
    "HardSigmoid", "SELU", "HardSwish", "Noop", "PixelShuffle", "DeepCopy", "Mish",
    "StatisticsPooling", "Swish", "Gemm", "GroupNorm", "LayerNorm", "Softplus", "GRU",
    "MultiHeadAttention", "GELU", "Convolution1D", "Pooling1D", "ConvolutionDepthWise1D",
    "Convolution3D", "ConvolutionDepthWise3D", "Pooling3D", "MatMul", "Deconvolution1D",
    "DeconvolutionDepthWise1D", "Deconvolution3D", "DeconvolutionDepthWise3D", "Einsum",
    "DeformableConv2D", "GLU", "Fold", "Unfold", "GridSample", "CumulativeSum", "CopyTo", "Erf",
    "Diag", "CELU", "Shrink", "RMSNorm", "Spectrogram", "InverseSpectrogram", "Flip", "SDPA",
    "RotaryEmbed"
};
// clang-format on

// What ends the parameters of a layer in binary; arrays' keys begin at the next, strings' at the
// last.
constexpr int kEndOfParameters = -233;
constexpr int kFirstArray = -23300;
constexpr int kFirstString = -23400;

void check_count(uint32_t layers) {
  if (layers > kMaxLayers) {
    fail(ErrorCode::model, "the .param file has {} layers, far beyond any network", layers);
  }
}

// --- text ---

std::vector<std::string_view> split_words(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const size_t length = std::min(text.find_first_of(separators), text.size());
    words.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
}

template <typename T>
T parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
    fail(ErrorCode::model, "'{}' stands where a number belongs", text);
  }
  return value;
}

NcnnLayer read_line(std::string_view line) {
  const auto words = split_words(line, " \t\r");
  if (words.size() < 4) fail(ErrorCode::model, "'{}' does not describe a layer", line);
  NcnnLayer layer;
  layer.type = words[0];
  layer.name = words[1];
  size_t next = 4;
  for (auto [blobs, count] :
       {std::pair(&layer.inputs, words[2]), std::pair(&layer.outputs, words[3])}) {
    for (auto left = parse_number<uint32_t>(count); left > 0; --left) {
      if (next == words.size()) layer.refuse("has fewer blobs than it says");
      blobs->emplace_back(words[next++]);
    }
  }
  for (; next < words.size(); ++next) {
    const std::string_view word = words[next];
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos || equals + 1 == word.size()) {
      layer.refuse(fmt::format("has '{}' where key=value belongs", word));
    }
    layer.add_parameter(parse_number<int>(word.substr(0, equals)),
                        std::string(word.substr(equals + 1)));
  }
  return layer;
}

std::vector<NcnnLayer> read_text(std::string_view text) {
  const auto lines = split_words(text, "\n");
  if (lines.size() < 2 || !lines[0].starts_with(kNcnnMagic)) {
    fail(ErrorCode::model, "the .param file does not begin with {}", kNcnnMagic);
  }
  const auto counts = split_words(lines[1], " \t\r");
  const auto count = counts.empty() ? 0 : parse_number<uint32_t>(counts[0]);
  check_count(count);
  if (count != lines.size() - 2) {
    fail(ErrorCode::model, "the .param file has {} of its {} layers", lines.size() - 2, count);
  }
  std::vector<NcnnLayer> layers;
  for (const std::string_view line : std::span(lines).subspan(2)) layers.push_back(read_line(line));
  return layers;
}

// --- binary ---

std::string type_name(uint32_t type) {
  return type < std::size(kTypes) ? std::string(kTypes[type]) : fmt::format("type {}", type);
}

std::vector<uint32_t> read_words(Cursor& in, uint32_t count) {
  Cursor bytes(in.take(uint64_t{count} * sizeof(uint32_t)), "the .param file");
  std::vector<uint32_t> words;
  while (bytes.remaining() > 0) words.push_back(bytes.read<uint32_t>());
  return words;
}

NcnnLayer read_binary_layer(Cursor& in, size_t number) {
  NcnnLayer layer;
  layer.type = type_name(in.read<uint32_t>());
  layer.name = fmt::format("{}", number);
  const auto inputs = in.read<uint32_t>();
  const auto outputs = in.read<uint32_t>();
  for (auto [blobs, count] :
       {std::pair(&layer.inputs, inputs), std::pair(&layer.outputs, outputs)}) {
    for (const uint32_t blob : read_words(in, count)) blobs->push_back(fmt::format("{}", blob));
  }
  for (int key = in.read<int>(); key != kEndOfParameters; key = in.read<int>()) {
    if (key <= kFirstString) layer.refuse("has a text as parameter, which upres does not know");
    layer.add_parameter(key, read_words(in, key <= kFirstArray ? in.read<uint32_t>() : 1));
  }
  return layer;
}

std::vector<NcnnLayer> read_binary(std::span<const std::byte> file) {
  Cursor in(file, "the .param file");
  in.take(kNcnnBinaryMagic.size());
  const auto count = in.read<uint32_t>();
  in.read<uint32_t>();  // blobs
  check_count(count);
  std::vector<NcnnLayer> layers;
  while (layers.size() < count) layers.push_back(read_binary_layer(in, layers.size()));
  if (in.remaining() > 0) {
    fail(ErrorCode::model, "{} bytes follow the last layer of the .param file", in.remaining());
  }
  return layers;
}

std::string to_text(const NcnnLayer::Parameter& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return fmt::format("0x{:x}", fmt::join(std::get<std::vector<uint32_t>>(value), ",0x"));
}

}  // namespace

void NcnnLayer::add_parameter(int key, Parameter value) {
  if (!parameters_.emplace(key, std::move(value)).second) {
    refuse(fmt::format("has the parameter {} twice", key));
  }
}

int NcnnLayer::integer(int key, int absent) {
  return number<int>(key, absent);
}

float NcnnLayer::real(int key, float absent) {
  const float value = number<float>(key, absent);
  if (!std::isfinite(value)) refuse(fmt::format("has the parameter {}={}", key, value));
  return value;
}

std::vector<float> NcnnLayer::reals(int key) {
  std::vector<float> values;
  const auto parameter = take(kFirstArray - key);
  if (!parameter) return values;
  if (const auto* numbers = std::get_if<std::vector<uint32_t>>(&*parameter)) {
    for (const uint32_t number : *numbers) values.push_back(std::bit_cast<float>(number));
    return values;
  }
  const auto words = split_words(std::get<std::string>(*parameter), ",");
  for (size_t i = 1; i < words.size(); ++i) values.push_back(parse_number<float>(words[i]));
  if (words.empty() || parse_number<uint32_t>(words[0]) != values.size()) {
    refuse("has an array of another size");
  }
  return values;
}

void NcnnLayer::expect(std::string_view what, int key, int only, int absent) {
  const int value = integer(key, absent);
  if (value != only) refuse(fmt::format("has {} {}, upres runs only {}", what, value, only));
}

void NcnnLayer::refuse_other_parameters() {
  take(kFirstArray - 30);  // the output's shape when the file was optimised
  if (parameters_.empty()) return;
  const auto& [key, value] = *parameters_.begin();
  refuse(fmt::format("has the parameter {}={}, which upres does not know", key, to_text(value)));
}

void NcnnLayer::refuse(std::string_view why) const {
  fail(ErrorCode::model, "layer {} ({}) {}", name, type, why);
}

std::optional<NcnnLayer::Parameter> NcnnLayer::take(int key) {
  const auto node = parameters_.extract(key);
  return node ? std::optional(node.mapped()) : std::nullopt;
}

template <typename T>
T NcnnLayer::number(int key, T absent) {
  const auto parameter = take(key);
  if (!parameter) return absent;
  if (const auto* text = std::get_if<std::string>(&*parameter)) return parse_number<T>(*text);
  return std::bit_cast<T>(std::get<std::vector<uint32_t>>(*parameter).at(0));
}

std::vector<NcnnLayer> read_ncnn_param(std::span<const std::byte> file) {
  if (file.size() > kMaxBytes) {
    fail(ErrorCode::model, "the .param file has {} bytes, far beyond any network", file.size());
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  return text.starts_with(kNcnnBinaryMagic) ? read_binary(file) : read_text(text);
}

}  // namespace upres
