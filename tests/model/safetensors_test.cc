// SPDX-License-Identifier: Apache-2.0
#include "model/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "support.h"

namespace upres {
namespace {

constexpr auto read_all = [](std::span<const std::byte> file) { read_safetensors(file); };

/// A file of this header and data.
std::string file_of(const std::string& header, const std::string& data) {
  return raw<uint64_t>({header.size()}) + header + data;
}

StateDict read(const std::string& header, const std::string& data) {
  return read_safetensors(bytes_of(file_of(header, data)));
}

const std::string kHeader = R"({"__metadata__":{"format":"pt"},)"
                            R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                            R"("a":{"dtype":"F16","shape":[2,1],"data_offsets":[8,12]}})";
const std::string kData = raw<float>({1, -2}) + raw<uint16_t>({0x3c00, 0xc000});

/// The refusal of one tensor of these fields over 8 bytes.
std::string refusal_of(const std::string& fields) {
  return refusal([&] { read("{\"w\":{" + fields + "}}", std::string(8, '\0')); });
}

TEST(Safetensors, ReadsTensorsInTheOrderOfTheirBytes) {
  const StateDict weights = read(kHeader, kData);
  ASSERT_EQ(weights.size(), 2);
  EXPECT_EQ(weights.begin()->first, "b");
  EXPECT_EQ(weights.find("b")->to_floats(), (std::vector<float>{1, -2}));
  EXPECT_EQ(weights.find("a")->dtype(), DType::f16);
  EXPECT_EQ(weights.find("a")->shape(), (Shape{2, 1}));
  EXPECT_EQ(weights.find("a")->to_floats(), (std::vector<float>{1, -2}));
}

TEST(Safetensors, AsksForConsentBeforeElementsAreRead) {
  const auto not_wanted = [](const StateDict& outline) {
    fail(ErrorCode::model, "not wanted: {}", outline.begin()->first);
  };
  EXPECT_REFUSED(read_safetensors(bytes_of(file_of(kHeader, "")), not_wanted), "not wanted: b");
}

TEST(Safetensors, ReadsEveryElementType) {
  for (const auto& [type, dtype] :
       std::initializer_list<std::pair<const char*, DType>>{{"F16", DType::f16},
                                                            {"BF16", DType::bf16},
                                                            {"F32", DType::f32},
                                                            {"F64", DType::f64},
                                                            {"U8", DType::u8},
                                                            {"I8", DType::i8},
                                                            {"I16", DType::i16},
                                                            {"I32", DType::i32},
                                                            {"I64", DType::i64},
                                                            {"BOOL", DType::boolean}}) {
    const size_t size = size_bytes(dtype);
    const StateDict weights = read(
        fmt::format(R"({{"w":{{"dtype":"{}","shape":[],"data_offsets":[0,{}]}}}})", type, size),
        std::string(size, '\0'));
    EXPECT_EQ(weights.find("w")->dtype(), dtype);
  }
}

TEST(Safetensors, RefusesHeadersThatDoNotDescribeTensors) {
  EXPECT_REFUSED(read("{", ""), "the header is not JSON");
  EXPECT_REFUSED(read("[]", ""), "unexpected value");
  EXPECT_REFUSED(read("{}", ""), "holds no tensors");
  EXPECT_REFUSED(read("7", ""), "unexpected value");
  EXPECT_REFUSED(read(R"({"w":7})", ""), "unexpected value at w");
  EXPECT_REFUSED(read(R"({"w":"F32"})", ""), "unexpected value at w");
  EXPECT_REFUSED(read(R"({"w":{"shape":{}}})", ""), "unexpected value at w shape");
  EXPECT_REFUSED(read(R"({"w":{"shape":[[]]}})", ""), "unexpected value at w shape");
  EXPECT_REFUSED(read(R"({"w":{"shape":["2"]}})", ""), "unexpected value at w shape");
  EXPECT_REFUSED(read(R"({"w":{"name":[2]}})", ""), "unexpected value at w name");
  EXPECT_REFUSED(read("{\"w\":" + std::string(100'000, '['), ""), "unexpected value at w");
  EXPECT_REFUSED(read(R"({"w":{"dtype":"U8","shape":[],"data_offsets":[0,1]},)"
                      R"("w":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})",
                      "1"),
                 "two tensors are called w");
}

TEST(Safetensors, ReadsManyTensorsInLinearTime) {
  std::string header = "{";
  for (int i = 0; i < 30'000; ++i) {
    header += fmt::format(R"("{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},)", i);
  }
  EXPECT_EQ(read(header + R"("w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "1").size(),
            30'001);
}

TEST(Safetensors, RefusesFieldsThatDoNotFit) {
  const auto expect = [](const std::string& fields, const char* part) {
    EXPECT_PRED_FORMAT2(testing::IsSubstring, part, refusal_of(fields));
  };
  EXPECT_EQ(refusal_of(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), "");
  expect(R"("dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8])", "of type F8_E4M3");
  expect(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])", "3 float32 does not fit its 8 bytes");
  expect(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])", "unexpected value at w shape");
  expect(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", "unexpected value at w shape");
  expect(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])", "does not fit");
  expect(R"("dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8])", "does not fit");
  expect(R"("shape":[2],"data_offsets":[0,8])", "lacks a dtype");
  expect(R"("dtype":"F64","data_offsets":[0,8])", "a shape");
  expect(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])", "first and last offsets");
  expect(R"("dtype":"F32","shape":[2],"data_offsets":[0])", "first and last offsets");
  expect(R"("dtype":"F32","shape":[4],"data_offsets":[0,16])", "cut short");
  expect(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])", "begins at offset 4");
  expect(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])", "4 bytes follow the last tensor");
  expect(R"("dtype":"U8","shape":[8],"data_offsets":[18446744073709551608,18446744073709551616])",
         "unexpected value at w data_offsets");
}

TEST(Safetensors, RefusesOverlappingTensors) {
  EXPECT_REFUSED(read(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                      R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                      "123456"),
                 "tensor b begins at offset 2, the one before it ends at 4");
}

TEST(Safetensors, RefusesAHeaderLongerThanTheFile) {
  EXPECT_REFUSED(read_safetensors(bytes_of(raw<uint64_t>({1000}) + "{}")), "cut short");
  EXPECT_REFUSED(read_safetensors(bytes_of(raw<uint64_t>({UINT64_MAX}) + "{}")), "longer than");
}

TEST(Safetensors, IsRefusedCutAnywhere) {
  expect_refused_at_every_length(file_of(kHeader, kData), read_all);
}

TEST(Safetensors, ComesToNoHarmFromDamagedBytes) {
  expect_no_harm_from_damaged_bytes(file_of(kHeader, kData), read_all);
}

TEST(Safetensors, WritesWhatItReadsWithTensorsAligned) {
  StateDict weights;
  weights.add("half", *read(kHeader, kData).find("a"));
  weights.add("floats", Tensor::from_floats({3}, std::vector<float>{1, 2, 3}));
  weights.add("none", Tensor::from_floats({0, 4}, {}));
  const auto path = std::filesystem::path(testing::TempDir()) / "written.safetensors";
  write_safetensors(path, Existing::replace, weights, {{"source", "a \"test\""}});

  const MappedFile file = MappedFile::open(path, ErrorCode::model);
  const StateDict again = read_safetensors(file.bytes());
  ASSERT_EQ(again.size(), weights.size());
  for (const auto& [name, tensor] : weights) {
    const Tensor* read = again.find(name);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->dtype(), tensor.dtype());
    EXPECT_EQ(read->shape(), tensor.shape());
    EXPECT_EQ(read->to_floats(), tensor.to_floats());
  }
  EXPECT_EQ(again.begin()->first, "floats") << "larger elements come first";
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.bytes().data(), sizeof header_bytes);
  EXPECT_EQ(header_bytes % 8, 0);
  try {
    write_safetensors(path, Existing::refuse, weights, {});
    FAIL() << "an existing file was replaced";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::output);
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace upres
