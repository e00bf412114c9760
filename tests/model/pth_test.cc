// SPDX-License-Identifier: Apache-2.0
#include "model/pth.h"

#include <gtest/gtest.h>

#include "support.h"
#include "torch_file.h"

namespace upres {
namespace {

constexpr auto read_all = [](std::span<const std::byte> file) { read_pth(file); };

StateDict read(const std::string& file) {
  return read_pth(bytes_of(file));
}

std::vector<std::string> names(const StateDict& weights) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : weights) result.push_back(name);
  return result;
}

const std::string kSixFloats = raw<float>({0, 1, 2, 3, 4, 5});

PickledTensor six_floats(const std::string& name) {
  return {.name = name, .shape = {2, 3}, .strides = {3, 1}, .storage_count = 6};
}

/// A file of one tensor over six floats.
std::string small_file() {
  return torch_file(pickled({six_floats("w")}), kSixFloats);
}

std::vector<float> values_of(const PickledTensor& tensor) {
  return read(torch_file(pickled({tensor}), kSixFloats)).find(tensor.name)->to_floats();
}

TEST(Pth, ReadsATensor) {
  const StateDict weights = read(small_file());
  ASSERT_EQ(names(weights), std::vector<std::string>{"w"});
  EXPECT_EQ(weights.find("w")->shape(), (Shape{2, 3}));
  EXPECT_EQ(weights.find("w")->dtype(), DType::f32);
  EXPECT_EQ(weights.find("w")->to_floats(), (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST(Pth, ReadsEveryElementType) {
  const auto read_one = [](const std::string& type, const std::string& storage) {
    const std::string pickle = pickled(
        {{.name = "w", .shape = {2}, .strides = {1}, .storage_type = type, .storage_count = 2}});
    const StateDict weights = read(torch_file(pickle, storage));
    return std::pair(weights.find("w")->dtype(), weights.find("w")->to_floats());
  };
  const auto expect = [&](const std::string& type, const std::string& storage, DType dtype,
                          std::vector<float> values) {
    EXPECT_EQ(read_one(type, storage), std::pair(dtype, std::move(values))) << type;
  };
  expect("HalfStorage", raw<uint16_t>({0x3c00, 0xc000}), DType::f16, {1, -2});
  expect("BFloat16Storage", raw<uint16_t>({0x3f80, 0xc000}), DType::bf16, {1, -2});
  expect("FloatStorage", raw<float>({1, -2}), DType::f32, {1, -2});
  expect("DoubleStorage", raw<double>({1, -2}), DType::f64, {1, -2});
  expect("ByteStorage", raw<uint8_t>({1, 254}), DType::u8, {1, 254});
  expect("CharStorage", raw<int8_t>({1, -2}), DType::i8, {1, -2});
  expect("ShortStorage", raw<int16_t>({1, -2}), DType::i16, {1, -2});
  expect("IntStorage", raw<int32_t>({1, -2}), DType::i32, {1, -2});
  expect("LongStorage", raw<int64_t>({1, -2}), DType::i64, {1, -2});
  expect("BoolStorage", raw<uint8_t>({1, 0}), DType::boolean, {1, 0});
}

TEST(Pth, MakesStridedTensorsContiguous) {
  EXPECT_EQ(
      values_of({.name = "transposed", .shape = {3, 2}, .strides = {1, 3}, .storage_count = 6}),
      (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(
      values_of(
          {.name = "every other", .shape = {2}, .strides = {2}, .offset = 1, .storage_count = 6}),
      (std::vector<float>{1, 3}));
  EXPECT_EQ(values_of({.name = "repeated",
                       .shape = {2, 2},
                       .strides = {0, 1},
                       .offset = 2,
                       .storage_count = 6}),
            (std::vector<float>{2, 3, 2, 3}));
  EXPECT_EQ(
      values_of(
          {.name = "stride of one row", .shape = {1, 3}, .strides = {77, 1}, .storage_count = 6}),
      (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(
      values_of({.name = "scalar", .shape = {}, .strides = {}, .offset = 5, .storage_count = 6}),
      (std::vector<float>{5}));
  EXPECT_EQ(
      values_of(
          {.name = "empty", .shape = {0, 3}, .strides = {3, 1}, .offset = 9, .storage_count = 6}),
      (std::vector<float>{}));
}

TEST(Pth, ReadsTensorsThatShareAStorage) {
  PickledTensor head{.name = "head", .shape = {4}, .strides = {1}, .storage_count = 6};
  PickledTensor tail{.name = "tail", .shape = {4}, .strides = {1}, .offset = 2, .storage_count = 6};
  const StateDict weights = read(torch_file(pickled({head, tail}), kSixFloats));
  EXPECT_EQ(weights.find("head")->to_floats(), (std::vector<float>{0, 1, 2, 3}));
  EXPECT_EQ(weights.find("tail")->to_floats(), (std::vector<float>{2, 3, 4, 5}));
}

/// Wrappers in order of preference.
const std::vector<std::string> kWrappers = {
    "params_ema",       "g_ema",     "ema",  "model_ema", "params", "state_dict",
    "model_state_dict", "generator", "netG", "net_g",     "net",    "model"};

TEST(Pth, PrefersAveragedWeightsThenNamedOnesThenThoseOfOneNetwork) {
  for (size_t first = 0; first < kWrappers.size(); ++first) {
    PickleWriter pickle;
    pickle.op('}').op('(');
    for (size_t i = kWrappers.size(); i-- > first;) {
      write_dict(pickle.text(kWrappers[i]), {six_floats("in " + kWrappers[i])});
    }
    write_tensor(pickle.text("beside them"), six_floats("beside them"));
    EXPECT_EQ(names(read(torch_file(pickle.op('u').stop(), kSixFloats))),
              std::vector<std::string>{"in " + kWrappers[first]});
  }
}

TEST(Pth, UnwrapsAWrapperInAWrapper) {
  const auto nested = [](const std::vector<std::string>& wrappers) {
    PickleWriter pickle;
    for (const std::string& wrapper : wrappers) pickle.op('}').text(wrapper);
    write_dict(pickle, {six_floats("w")});
    for (size_t i = 0; i < wrappers.size(); ++i) pickle.op('s');
    return torch_file(pickle.stop(), kSixFloats);
  };
  EXPECT_EQ(names(read(nested({"net", "params"}))), std::vector<std::string>{"w"});
  EXPECT_EQ(names(read(nested({"generator", "state_dict"}))), std::vector<std::string>{"w"});
  EXPECT_REFUSED(read(nested({"net", "net", "params"})), "holds no weights");
  EXPECT_REFUSED(read(nested({"discriminator"})), "holds no weights");
}

TEST(Pth, PassesOverWrappersWithoutTensors) {
  // An average's bookkeeping, beside the weights.
  PickleWriter pickle;
  pickle.op('}').text("ema").op('}').text("decay").integer(1).op('s').op('s');
  pickle.text("net").op('}').op('s');
  write_dict(pickle.text("state_dict"), {six_floats("w")}).op('s');
  EXPECT_EQ(names(read(torch_file(pickle.stop(), kSixFloats))), std::vector<std::string>{"w"});
}

TEST(Pth, TakesADictThatWrapsItself) {
  PickleWriter pickle;
  pickle.op('}').op('q').byte(0).text("net").op('h').byte(0).op('s');
  write_tensor(pickle.text("w"), six_floats("w")).op('s');
  EXPECT_EQ(names(read(torch_file(pickle.stop(), kSixFloats))), std::vector<std::string>{"w"});
}

TEST(Pth, ReadsACheckpointOfPyTorchLightning) {
  // Its prefixes stay: which of the networks is meant is for the architectures to tell.
  PickleWriter pickle;
  pickle.op('}').text("epoch").integer(7).op('s');
  write_dict(pickle.text("state_dict"), {six_floats("generator.w"), six_floats("loss.w")}).op('s');
  pickle.text("optimizer_states").op(']').op('}').text("state").op('}').integer(0);
  write_dict(pickle, {six_floats("exp_avg")}).op('s').op('s').op('a').op('s');
  pickle.text("lr_schedulers").op(']').op('}').text("milestones");
  pickle.global("collections", "Counter").op('}').integer(100).integer(1).op('s').op(0x85).op('R');
  pickle.op('s').op('a').op('s');
  EXPECT_EQ(names(read(torch_file(pickle.stop(), kSixFloats))),
            (std::vector<std::string>{"generator.w", "loss.w"}));
}

TEST(Pth, PassesOverWhatIsNoTensor) {
  PickleWriter pickle;
  pickle.op('}').text("epoch").integer(7).op('s');
  pickle.text("optimizer").op('}').integer(0).op(']').op('s').op('s');
  write_tensor(pickle.text("w"), six_floats("w")).op('s');
  EXPECT_EQ(names(read(torch_file(pickle.stop(), kSixFloats))), std::vector<std::string>{"w"});
}

TEST(Pth, ReadsDeflatedEntriesFoldersAndAnyPrefix) {
  const std::vector<ZipEntry> entries = {{"my model.pth/", ""},
                                         {"my model.pth/data.pkl", pickled({six_floats("w")})},
                                         {"my model.pth/data/", ""},
                                         {"my model.pth/data/0", kSixFloats},
                                         {"my model.pth/byteorder", "little"}};
  for (const bool deflated : {false, true}) {
    EXPECT_EQ(read(zip_of(entries, deflated)).find("w")->count(), 6);
  }
}

TEST(Pth, ReadsNumbersOfEitherByteOrder) {
  const auto values = [](const std::string& type, const std::string& storage,
                         const std::string& order) {
    const std::string pickle = pickled(
        {{.name = "w", .shape = {2}, .strides = {1}, .storage_type = type, .storage_count = 2}});
    return read(zip_of({{"a/data.pkl", pickle}, {"a/data/0", storage}, {"a/byteorder", order}}))
        .find("w")
        ->to_floats();
  };
  const std::vector<float> expected{1, -2};
  EXPECT_EQ(values("FloatStorage", raw<float>({1, -2}), "little"), expected);
  EXPECT_EQ(values("FloatStorage", {"\x3f\x80\0\0\xc0\0\0\0", 8}, "big"), expected);
  EXPECT_EQ(values("HalfStorage", {"\x3c\0\xc0\0", 4}, "big"), expected);
  EXPECT_EQ(values("CharStorage", raw<int8_t>({1, -2}), "big"), expected);
  EXPECT_EQ(values("DoubleStorage", {"\x3f\xf0\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", 16}, "big"),
            expected);
}

TEST(Pth, SwapsTheBytesOfTensorsThatShareAStorageOnce) {
  const PickledTensor transposed{
      .name = "t", .shape = {1, 2}, .strides = {1, 1}, .storage_count = 2};
  const PickledTensor last{
      .name = "l", .shape = {1}, .strides = {7}, .offset = 1, .storage_count = 2};
  const StateDict weights = read(zip_of({{"a/data.pkl", pickled({transposed, last})},
                                         {"a/data/0", {"\x3f\x80\0\0\xc0\0\0\0", 8}},
                                         {"a/byteorder", "big"}}));
  EXPECT_EQ(weights.find("t")->to_floats(), (std::vector<float>{1, -2}));
  EXPECT_EQ(weights.find("l")->to_floats(), (std::vector<float>{-2}));
}

// --- refusals ---

TEST(Pth, RefusesOtherArchivesByWhatTheyAre) {
  EXPECT_REFUSED(read(zip_of({{"word/document.xml", "<w/>"}})), "was not made by torch.save");
  EXPECT_REFUSED(read(zip_of({{"a/data.pkl", "N."}, {"b/data.pkl", "N."}})), "two pickles");
  EXPECT_REFUSED(read(zip_of({{"a/data.pkl", "N."}, {"a/constants.pkl", "N."}})), "TorchScript");
  EXPECT_REFUSED(read(zip_of({{"a/data.pkl", "N."}, {"a/byteorder", "middle"}})),
                 "byte order 'middle', neither little nor big");
  EXPECT_REFUSED(read("PK\x03\x04 and nothing more"), "the zip archive is damaged");
}

TEST(Pth, RefusesFilesWithoutWeights) {
  EXPECT_REFUSED(read(zip_of({{"a/data.pkl", "N."}})), "holds no dict");
  EXPECT_REFUSED(read(zip_of({{"a/data.pkl", "}."}})), "holds no weights");
}

TEST(Pth, RefusesAStorageOfAnotherSizeThanItsEntry) {
  EXPECT_REFUSED(read(torch_file(pickled({six_floats("w")}), kSixFloats + "more")),
                 "entry archive/data/0 has 28 bytes, its storage 6 x float32");
  PickledTensor huge = six_floats("w");
  huge.storage_count = INT64_MAX;
  EXPECT_REFUSED(read(torch_file(pickled({huge}), kSixFloats)), "has 24 bytes");
}

TEST(Pth, LooksForStoragesInTheArchiveOnly) {
  PickledTensor outside = six_floats("w");
  outside.key = "../../../../../../etc/passwd";
  EXPECT_REFUSED(read(torch_file(pickled({outside}), kSixFloats)),
                 "has no entry archive/data/../../../../../../etc/passwd");
}

TEST(Pth, RefusesAChecksumThatDoesNotMatch) {
  std::string file = small_file();
  file[file.find(kSixFloats)] ^= 1;
  EXPECT_REFUSED(read(file), "entry archive/data/0 is damaged: CRC error");
}

TEST(Pth, RefusesBombsBeforeInflatingThem) {
  constexpr int64_t kCount = 8 << 20;
  PickledTensor zeros{.name = "w", .shape = {kCount}, .strides = {1}, .storage_count = kCount};
  const std::vector<ZipEntry> bomb = {{"a/data.pkl", pickled({zeros})},
                                      {"a/data/0", std::string(size_t(kCount) * 4, '\0')}};
  EXPECT_REFUSED(read(zip_of(bomb, true)), "more than 32 times the file's size");
  EXPECT_EQ(refusal([&] { read(zip_of(bomb)); }), "");
  EXPECT_REFUSED(read(zip_of({{"a/data.pkl", std::string(9 << 20, 'N')}}, true)),
                 "data.pkl has 9437184 bytes, more than 8388608");
}

TEST(Pth, RefusesManyTensorsOverOneStorage) {
  constexpr int64_t kCount = 1 << 20;
  std::vector<PickledTensor> tensors;
  for (int i = 0; i < 100; ++i) {
    tensors.push_back(
        {.name = std::to_string(i), .shape = {kCount}, .strides = {1}, .storage_count = kCount});
  }
  const std::string file = torch_file(pickled(tensors), std::string(size_t(kCount) * 4, '\0'));
  EXPECT_REFUSED(read(file), "more than 32 times the file's size");
}

TEST(Pth, RefusesAClaimOfGigabytes) {
  constexpr int64_t kCount = 3 << 28;
  PickledTensor claim{.name = "w", .shape = {kCount}, .strides = {1}, .storage_count = kCount};
  std::string file = zip_of({{"a/data.pkl", pickled({claim})}, {"a/data/0", kSixFloats}}, true);
  // The central directory's record of data/0 is the last; its uncompressed size is 24 bytes in.
  const size_t record = file.rfind("PK\x01\x02");
  const std::string size = raw<uint32_t>({uint32_t(kCount * 4)});
  file.replace(record + 24, size.size(), size);
  EXPECT_REFUSED(read(file), "more than 32 times the file's size");
}

TEST(Pth, RefusesTwoTensorsOfOneName) {
  EXPECT_REFUSED(read(torch_file(pickled({six_floats("w"), six_floats("w")}), kSixFloats)),
                 "two tensors are called w");
}

TEST(Pth, RefusesByNamesAndShapesBeforeStoragesAreRead) {
  const auto not_wanted = [](const StateDict& outline) {
    fail(ErrorCode::model, "{} of {} {}", outline.begin()->first,
         to_string(outline.begin()->second.shape()), name(outline.begin()->second.dtype()));
  };
  const std::string without_storage = zip_of({{"a/data.pkl", pickled({six_floats("w")})}}, false);
  EXPECT_REFUSED(read_pth(bytes_of(without_storage), not_wanted), "w of 2x3 float32");
}

TEST(Pth, AsksForConsentBeforeStoragesAreRead) {
  const auto not_wanted = [](const StateDict& outline) {
    const auto& [tensor_name, tensor] = *outline.begin();
    fail(ErrorCode::model, "{} of {} {}", tensor_name, to_string(tensor.shape()),
         name(tensor.dtype()));
  };
  const std::string without_storage = zip_of({{"a/data.pkl", pickled({six_floats("w")})}});
  EXPECT_REFUSED(read_pth(bytes_of(without_storage), not_wanted), "w of 2x3 float32");
}

TEST(Pth, IsRefusedCutAnywhere) {
  expect_refused_at_every_length(small_file(), read_all);
}

TEST(Pth, ComesToNoHarmFromDamagedBytes) {
  expect_no_harm_from_damaged_bytes(small_file(), read_all);
}

}  // namespace
}  // namespace upres
