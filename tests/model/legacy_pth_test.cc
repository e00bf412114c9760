// SPDX-License-Identifier: Apache-2.0
#include "model/legacy_pth.h"

#include <gtest/gtest.h>

#include "support.h"
#include "torch_file.h"

namespace upres {
namespace {

constexpr auto read_all = [](std::span<const std::byte> file) { read_legacy_pth(file); };

StateDict read(const std::string& file) {
  return read_legacy_pth(bytes_of(file));
}

const LegacyStorage kSix{"71", 6, raw<float>({0, 1, 2, 3, 4, 5})};

PickledTensor six_floats(const std::string& name) {
  return {.name = name, .shape = {2, 3}, .strides = {3, 1}, .key = "71", .storage_count = 6};
}

/// A file of one tensor over six floats.
std::string small_file() {
  return legacy_torch_file(pickled({six_floats("w")}), {kSix});
}

/// A dict of one float tensor over a view of storage "71", as PyTorch before 0.4 pickled it:
/// ("storage", type, "71", "cpu", 6, (view's key, view's offset, view's size)).
std::string pickled_view(int64_t view_offset, int64_t view_count, int64_t offset,
                         const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  PickleWriter pickle;
  pickle.op('}').text("w").global("torch._utils", "_rebuild_tensor").op('(');
  pickle.op('(').text("storage").global("torch", "FloatStorage").text("71").text("cpu").integer(6);
  pickle.op('(').text("72").integer(view_offset).integer(view_count).op('t').op('t').op('Q');
  pickle.integer(offset).integers(shape).integers(strides).op('t').op('R');
  return pickle.op('s').stop();
}

TEST(LegacyPth, ReadsATensor) {
  const StateDict weights = read(small_file());
  ASSERT_EQ(weights.size(), 1);
  EXPECT_EQ(weights.find("w")->shape(), (Shape{2, 3}));
  EXPECT_EQ(weights.find("w")->dtype(), DType::f32);
  EXPECT_EQ(weights.find("w")->to_floats(), (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST(LegacyPth, ReadsStoragesInTheOrderOfTheirList) {
  PickledTensor half = six_floats("h");
  half.storage_type = "HalfStorage";
  half.key = "8";
  half.shape = {2};
  half.strides = {1};
  half.storage_count = 2;
  const std::string file = legacy_torch_file(pickled({six_floats("w"), half}),
                                             {{"8", 2, raw<uint16_t>({0x3c00, 0xc000})}, kSix});
  const StateDict weights = read(file);
  EXPECT_EQ(weights.find("w")->to_floats(), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(weights.find("h")->to_floats(), (std::vector<float>{1, -2}));
}

TEST(LegacyPth, ReadsWhatPython2Pickled) {
  // An OrderedDict made of a list of lists, text of one byte a character, a tensor of the first
  // version. This is lpips_alex_v0.0's layout.
  PickleWriter pickle;
  pickle.global("collections", "OrderedDict").op(']').op('(');
  pickle.op(']').op('(').short_string("w").global("torch._utils", "_rebuild_tensor").op('(');
  pickle.op('(').short_string("storage").global("torch", "FloatStorage").short_string("71");
  pickle.short_string("cuda:0").integer(6).op('N').op('t').op('Q');
  pickle.integer(1).integers({2}).integers({3}).op('t').op('R');
  const std::string bytes = pickle.op('e').op('e').op(0x85).op('R').stop();
  EXPECT_EQ(read(legacy_torch_file(bytes, {kSix})).find("w")->to_floats(),
            (std::vector<float>{1, 4}));
}

TEST(LegacyPth, CountsAViewsTensorsFromTheViewsFirstElement) {
  const auto values = [](const std::string& pickle) {
    return read(legacy_torch_file(pickle, {kSix})).find("w")->to_floats();
  };
  EXPECT_EQ(values(pickled_view(2, 3, 0, {3}, {1})), (std::vector<float>{2, 3, 4}));
  EXPECT_EQ(values(pickled_view(2, 4, 1, {2}, {2})), (std::vector<float>{3, 5}));
  EXPECT_EQ(values(pickled_view(6, 0, 7, {0}, {1})), (std::vector<float>{}));
}

TEST(LegacyPth, RefusesATensorThatLeavesItsView) {
  const auto read_view = [](int64_t offset, int64_t count, int64_t tensor_offset, int64_t size) {
    return read(legacy_torch_file(pickled_view(offset, count, tensor_offset, {size}, {1}), {kSix}));
  };
  EXPECT_REFUSED(read_view(2, 3, 0, 4), "4 does not fit into its storage of 3");
  EXPECT_REFUSED(read_view(2, 3, 1, 3), "leaves its storage of 3");
  EXPECT_REFUSED(read_view(4, 3, 0, 1), "a view of 3 elements from 4 on leaves its storage of 6");
  EXPECT_REFUSED(read_view(-1, 3, 0, 1), "a view of 3 elements from -1 on leaves its storage");
  EXPECT_REFUSED(read_view(0, -3, 0, 1), "a view of -3 elements from 0 on leaves its storage");
  EXPECT_REFUSED(read_view(INT64_MAX, 1, 0, 1), "leaves its storage of 6");
  EXPECT_REFUSED(read_view(0, INT64_MAX, 0, 1), "leaves its storage of 6");
}

TEST(LegacyPth, LeavesAloneWhatFollowsTheLastStorage) {
  EXPECT_EQ(read(small_file() + "another object").size(), 1);
}

// --- refusals ---

TEST(LegacyPth, RefusesAnotherProtocol) {
  EXPECT_REFUSED(read(legacy_torch_file(pickled({six_floats("w")}), {kSix}, 1002)),
                 "another protocol than 1001");
}

TEST(LegacyPth, RefusesAStorageOfAnotherSizeThanItsTensorsSay) {
  const std::string pickle = pickled({six_floats("w")});
  EXPECT_REFUSED(read(legacy_torch_file(pickle, {{"71", 5, kSix.elements}})),
                 "storage 71 has 5 elements, its tensors expect 6");
  PickledTensor longer = six_floats("longer");
  longer.storage_count = 7;
  EXPECT_REFUSED(read(legacy_torch_file(pickled({six_floats("w"), longer}), {kSix})),
                 "storage 71 is 6 x float32 to one tensor and 7 x float32 to another");
  PickledTensor wider = six_floats("wider");
  wider.storage_type = "DoubleStorage";
  EXPECT_REFUSED(read(legacy_torch_file(pickled({six_floats("w"), wider}), {kSix})),
                 "storage 71 is 6 x float32 to one tensor and 6 x float64 to another");
}

TEST(LegacyPth, RefusesStoragesLargerThanTheFile) {
  for (const int64_t count : {int64_t{7}, int64_t{1} << 40, INT64_MAX, int64_t{-1}}) {
    PickledTensor claim{.name = "w", .shape = {0}, .strides = {1}, .key = "71"};
    claim.storage_count = count;
    const std::string pickle = count < 0 ? pickled_view(0, 0, 0, {0}, {1}) : pickled({claim});
    EXPECT_REFUSED(read(legacy_torch_file(pickle, {{"71", count, kSix.elements}})),
                   count < 0 ? "has -1 elements" : "the file is cut short: storage 71 of");
  }
}

TEST(LegacyPth, RefusesAListThatDoesNotFitItsTensors) {
  const std::string pickle = pickled({six_floats("w")});
  EXPECT_REFUSED(read(legacy_torch_file(pickle, {})), "storage 71 is not in the file's list");
  EXPECT_REFUSED(read(legacy_torch_file(pickle, {kSix, kSix})), "names 71, twice");
  EXPECT_REFUSED(read(legacy_torch_file(pickle, {{"5", 0, ""}})), "names 5, which no tensor is in");
  std::string no_list = small_file();
  const std::string keys = PickleWriter().op(']').op('(').text("71").op('e').stop();
  no_list.replace(no_list.rfind(keys), keys.size(), PickleWriter().op('N').stop());
  EXPECT_REFUSED(read(no_list), "no list of storages");
}

TEST(LegacyPth, RefusesManyTensorsOverOneStorage) {
  constexpr int64_t kCount = 1 << 18;
  std::vector<PickledTensor> tensors;
  for (int i = 0; i < 100; ++i) {
    tensors.push_back({.name = std::to_string(i),
                       .shape = {kCount},
                       .strides = {1},
                       .key = "71",
                       .storage_count = kCount});
  }
  EXPECT_REFUSED(read(legacy_torch_file(pickled(tensors),
                                        {{"71", kCount, std::string(size_t(kCount) * 4, '\0')}})),
                 "more than 32 times the file's size");
}

TEST(LegacyPth, RefusesAListOfMoreStoragesThanAnyFileHas) {
  std::string file(kLegacyMagic);
  file += PickleWriter().integer(1001).stop() + PickleWriter().op('}').stop();
  file += pickled({six_floats("w")}) + PickleWriter().op(']').stop();
  file.pop_back();
  for (int i = 0; i < 70'000; ++i) file += "Na";
  EXPECT_REFUSED(read(file + "."), "more than 65536 values");
}

TEST(LegacyPth, RunsNoCode) {
  const std::string call =
      PickleWriter().global("os", "system").text("echo harm").op(0x85).op('R').stop();
  EXPECT_REFUSED(read(legacy_torch_file(call, {})), "wants to call os.system");
  EXPECT_REFUSED(read(std::string(kLegacyMagic) + call), "wants to call os.system");
}

TEST(LegacyPth, IsRefusedCutAnywhere) {
  expect_refused_at_every_length(small_file(), read_all);
}

TEST(LegacyPth, ComesToNoHarmFromDamagedBytes) {
  expect_no_harm_from_damaged_bytes(small_file(), read_all);
  expect_no_harm_from_damaged_bytes(legacy_torch_file(pickled_view(2, 3, 0, {3}, {1}), {kSix}),
                                    read_all);
}

}  // namespace
}  // namespace upres
