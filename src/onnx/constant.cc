// SPDX-License-Identifier: Apache-2.0
#include "onnx/constant.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <system_error>

#include "base/error.h"

namespace upres {
namespace {

namespace fs = std::filesystem;
using onnx::TensorProto;

std::optional<DType> float_type(int type) {
  switch (type) {
    case TensorProto::FLOAT:
      return DType::f32;
    case TensorProto::DOUBLE:
      return DType::f64;
    case TensorProto::FLOAT16:
      return DType::f16;
    case TensorProto::BFLOAT16:
      return DType::bf16;
    default:
      return std::nullopt;
  }
}

/// 0: not an integer that is read.
size_t integer_bytes(int type) {
  switch (type) {
    case TensorProto::BOOL:
    case TensorProto::INT8:
    case TensorProto::UINT8:
      return 1;
    case TensorProto::INT32:
      return 4;
    case TensorProto::INT64:
      return 8;
    default:
      return 0;
  }
}

[[noreturn]] void refuse_size(const TensorProto& tensor, const Shape& shape) {
  fail(ErrorCode::model, "tensor {} does not hold as many elements as its shape, {}", tensor.name(),
       to_string(shape));
}

/// Where raw bytes are, in the file or beside it.
std::optional<std::span<const std::byte>> raw_bytes(const TensorProto& tensor,
                                                    OnnxExternalData& external) {
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    std::string location;
    int64_t offset = 0;
    int64_t length = -1;
    for (const auto& entry : tensor.external_data()) {
      try {
        if (entry.key() == "location") location = entry.value();
        if (entry.key() == "offset") offset = std::stoll(entry.value());
        if (entry.key() == "length") length = std::stoll(entry.value());
      } catch (const std::logic_error&) {
        fail(ErrorCode::model, "tensor {}: its {} in another file is no number", tensor.name(),
             entry.key());
      }
    }
    return external.bytes(location, offset, length);
  }
  if (!tensor.has_raw_data()) return std::nullopt;
  return std::as_bytes(std::span(tensor.raw_data()));
}

template <typename Stored, typename Values>
void copy_numbers(const Values& values, std::span<std::byte> to) {
  auto* out = reinterpret_cast<Stored*>(to.data());
  std::transform(values.begin(), values.end(), out, [](auto value) { return Stored(value); });
}

/// Elements in a field of their own type; halves lie in the lower bits of int32.
size_t typed_count(const TensorProto& tensor, DType type) {
  if (type == DType::f32) return size_t(tensor.float_data_size());
  if (type == DType::f64) return size_t(tensor.double_data_size());
  return size_t(tensor.int32_data_size());
}
void copy_typed(const TensorProto& tensor, DType type, std::span<std::byte> to) {
  if (type == DType::f32) return copy_numbers<float>(tensor.float_data(), to);
  if (type == DType::f64) return copy_numbers<double>(tensor.double_data(), to);
  copy_numbers<uint16_t>(tensor.int32_data(), to);
}

Weights read_floats(const TensorProto& tensor, DType type, const Shape& shape, size_t count,
                    OnnxExternalData& external) {
  const auto raw = raw_bytes(tensor, external);
  const size_t bytes = count * size_bytes(type);
  if (raw ? raw->size() != bytes : typed_count(tensor, type) != count) refuse_size(tensor, shape);
  Buffer buffer(bytes);
  if (raw) {
    std::copy(raw->begin(), raw->end(), buffer.data());
  } else {
    copy_typed(tensor, type, {buffer.data(), bytes});
  }
  return std::make_shared<const std::vector<float>>(
      Tensor(type, shape, std::move(buffer)).to_floats());
}

template <typename Stored>
std::vector<int64_t> widened(std::span<const std::byte> raw) {
  std::vector<int64_t> values(raw.size() / sizeof(Stored));
  for (size_t i = 0; i < values.size(); ++i) {
    Stored value;
    std::memcpy(&value, raw.data() + i * sizeof(Stored), sizeof value);
    values[i] = int64_t(value);
  }
  return values;
}

std::vector<int64_t> read_integers(const TensorProto& tensor, size_t element_bytes,
                                   const Shape& shape, size_t count, OnnxExternalData& external) {
  const auto raw = raw_bytes(tensor, external);
  std::vector<int64_t> values;
  if (raw) {
    if (raw->size() != count * element_bytes) refuse_size(tensor, shape);
    if (element_bytes == 8) return widened<int64_t>(*raw);
    if (element_bytes == 4) return widened<int32_t>(*raw);
    return tensor.data_type() == TensorProto::INT8 ? widened<int8_t>(*raw) : widened<uint8_t>(*raw);
  }
  if (element_bytes == 8) {
    values.assign(tensor.int64_data().begin(), tensor.int64_data().end());
  } else {
    values.assign(tensor.int32_data().begin(), tensor.int32_data().end());
  }
  if (values.size() != count) refuse_size(tensor, shape);
  return values;
}

}  // namespace

OnnxConstant OnnxConstant::of_integers(std::vector<int64_t> values) {
  return {.shape = {int64_t(values.size())}, .integer = true, .integers = std::move(values)};
}

OnnxConstant OnnxConstant::of_floats(Shape shape, std::vector<float> values) {
  return {.shape = std::move(shape),
          .floats = std::make_shared<const std::vector<float>>(std::move(values)),
          .integers = {}};
}

std::span<const std::byte> OnnxExternalData::bytes(const std::string& location, int64_t offset,
                                                   int64_t length) {
  auto file = files_.find(location);
  if (file == files_.end()) {
    std::error_code error;
    const fs::path folder = fs::weakly_canonical(folder_.empty() ? "." : folder_, error);
    const fs::path path = fs::weakly_canonical(folder / location, error);
    const fs::path inside = path.lexically_relative(folder);
    if (error || location.empty() || inside.empty() || *inside.begin() == "..") {
      fail(ErrorCode::model, "weights are said to be in {}, which is not in the model's folder",
           location.empty() ? "a file without a name" : location);
    }
    file = files_.emplace(location, MappedFile::open(path, ErrorCode::model)).first;
  }
  const auto bytes = file->second.bytes();
  const auto size = int64_t(bytes.size());
  if (offset < 0 || offset > size || length > size - offset) {
    fail(ErrorCode::model,
         "{} is too short for the weights that are said to be in it; get it again", location);
  }
  return bytes.subspan(size_t(offset), size_t(length < 0 ? size - offset : length));
}

OnnxConstant read_constant(const TensorProto& tensor, OnnxExternalData& external) {
  OnnxConstant constant;
  constant.shape.assign(tensor.dims().begin(), tensor.dims().end());
  const auto count = element_count(constant.shape);
  if (!count) {
    fail(ErrorCode::model, "tensor {} has an impossible shape, {}", tensor.name(),
         to_string(constant.shape));
  }
  // No element takes less than a byte of the file, save those that it does not hold.
  constexpr int64_t kMost = int64_t(1) << 31;
  if (*count > kMost) refuse_size(tensor, constant.shape);
  if (const auto type = float_type(tensor.data_type())) {
    constant.half = *type == DType::f16 || *type == DType::bf16;
    constant.floats = read_floats(tensor, *type, constant.shape, size_t(*count), external);
    return constant;
  }
  const size_t bytes = integer_bytes(tensor.data_type());
  if (bytes == 0) {
    fail(ErrorCode::model, "tensor {} has elements of a type that upres does not read (ONNX's {})",
         tensor.name(), tensor.data_type());
  }
  constant.integer = true;
  constant.integers = read_integers(tensor, bytes, constant.shape, size_t(*count), external);
  return constant;
}

}  // namespace upres
