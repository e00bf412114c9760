// SPDX-License-Identifier: Apache-2.0
#include "model/pickle.h"

#include <gtest/gtest.h>

#include "support.h"
#include "torch_file.h"

namespace upres {
namespace {

Pickle run(const std::string& pickle) {
  return unpickle(bytes_of(pickle));
}

void read(std::span<const std::byte> bytes) {
  unpickle(bytes);
}

/// One tensor, pickled as if its storage had `count` floats.
std::string tensor_over(int64_t count, const std::vector<int64_t>& shape,
                        const std::vector<int64_t>& strides, int64_t offset = 0) {
  PickleWriter pickle;
  return write_tensor(pickle, {.name = {},
                               .shape = shape,
                               .strides = strides,
                               .offset = offset,
                               .storage_count = count})
      .stop();
}

TEST(Pickle, ReadsPlainValues) {
  const std::string bytes = PickleWriter()
                                .op('(')
                                .op('N')   // None
                                .op(0x88)  // True
                                .op('J')
                                .u32(uint32_t(-7))  // a 32-bit integer
                                .op('K')
                                .byte(200)  // a byte
                                .op('M')
                                .byte(1)
                                .byte(2)  // 16 bits
                                .op(0x8a)
                                .byte(2)
                                .byte(0xfe)
                                .byte(0xff)  // -2 in two bytes
                                .op(0x8a)
                                .byte(0)  // 0 in none
                                .op('G')
                                .raw_text({"\x3f\xf8\0\0\0\0\0\0", 8})  // 1.5
                                .text("name")
                                .op('t')
                                .stop();
  const Pickle pickle = run(bytes);
  const auto* tuple = pickle.as<Pickle::Sequence>(pickle.root);
  ASSERT_TRUE(tuple && tuple->items.size() == 9);
  const auto& items = tuple->items;
  EXPECT_TRUE(pickle.as<Pickle::None>(items[0]));
  EXPECT_EQ(*pickle.as<bool>(items[1]), true);
  EXPECT_EQ(*pickle.as<int64_t>(items[2]), -7);
  EXPECT_EQ(*pickle.as<int64_t>(items[3]), 200);
  EXPECT_EQ(*pickle.as<int64_t>(items[4]), 513);
  EXPECT_EQ(*pickle.as<int64_t>(items[5]), -2);
  EXPECT_EQ(*pickle.as<int64_t>(items[6]), 0);
  EXPECT_EQ(*pickle.as<double>(items[7]), 1.5);
  EXPECT_EQ(*pickle.as<std::string_view>(items[8]), "name");
}

TEST(Pickle, ReadsATensorAsAReferenceToItsStorage) {
  const std::string bytes = tensor_over(24, {2, 3}, {6, 2}, 4);
  const Pickle pickle = run(bytes);
  const auto* tensor = pickle.as<Pickle::StridedTensor>(pickle.root);
  ASSERT_TRUE(tensor);
  const auto* storage = pickle.as<Pickle::Storage>(tensor->storage);
  ASSERT_TRUE(storage);
  EXPECT_EQ(storage->dtype, DType::f32);
  EXPECT_EQ(storage->key, "0");
  EXPECT_EQ(storage->count, 24);
  EXPECT_EQ(tensor->offset, 4);
  EXPECT_EQ(tensor->shape, (Shape{2, 3}));
  EXPECT_EQ(tensor->strides, (std::vector<int64_t>{6, 2}));
}

TEST(Pickle, ReadsTextOfPython2) {
  const std::string bytes =
      PickleWriter().short_string("short").op('T').u32(4).raw_text("long").op(0x86).stop();
  const Pickle pickle = run(bytes);
  const auto& items = pickle.as<Pickle::Sequence>(pickle.root)->items;
  ASSERT_EQ(items.size(), 2);
  EXPECT_EQ(*pickle.as<std::string_view>(items[0]), "short");
  EXPECT_EQ(*pickle.as<std::string_view>(items[1]), "long");
  EXPECT_REFUSED(run(PickleWriter().op('T').u32(uint32_t(-4)).raw_text("long").stop()),
                 "cut short: 4294967292 bytes wanted");
}

TEST(Pickle, TellsWhereItEnds) {
  const std::string bytes = PickleWriter().op('N').stop();
  EXPECT_EQ(run(bytes + PickleWriter().op(']').stop()).size_bytes, bytes.size());
}

TEST(Pickle, ReadsAnOrderedDictMadeOfAList) {
  const std::string bytes = PickleWriter()
                                .global("collections", "OrderedDict")
                                .op(']')
                                .op('(')
                                .op(']')
                                .op('(')
                                .text("key")
                                .integer(7)
                                .op('e')
                                .op('e')
                                .op(0x85)
                                .op('R')
                                .stop();
  const Pickle pickle = run(bytes);
  const auto* dict = pickle.as<Pickle::Dict>(pickle.root);
  ASSERT_TRUE(dict && dict->entries.size() == 1);
  EXPECT_EQ(*pickle.as<std::string_view>(dict->entries[0].first), "key");
  EXPECT_EQ(*pickle.as<int64_t>(dict->entries[0].second), 7);
}

TEST(Pickle, TakesCountersAndSizesForWhatTheyHold) {
  const std::string counter =
      PickleWriter().global("collections", "Counter").op('}').op(0x85).op('R').stop();
  const Pickle milestones = run(counter);
  EXPECT_TRUE(milestones.as<Pickle::Dict>(milestones.root));
  const std::string size =
      PickleWriter().global("torch", "Size").integers({2, 3}).op(0x85).op('R').stop();
  const Pickle shape = run(size);
  EXPECT_EQ(shape.as<Pickle::Sequence>(shape.root)->items.size(), 2);
}

TEST(Pickle, RecallsWhatItRemembered) {
  // Protocol 4: a frame, short text, numbers in the order of MEMOIZE.
  const std::string bytes = PickleWriter()
                                .op(0x95)
                                .u32(0)
                                .u32(0)
                                .op('(')
                                .op(0x8c)
                                .byte(1)
                                .raw_text("a")
                                .op(0x94)
                                .op(0x8c)
                                .byte(1)
                                .raw_text("b")
                                .op(0x94)
                                .op('h')
                                .byte(0)
                                .op('j')
                                .u32(1)
                                .op('t')
                                .stop();
  const Pickle pickle = run(bytes);
  const auto& items = pickle.as<Pickle::Sequence>(pickle.root)->items;
  ASSERT_EQ(items.size(), 4);
  EXPECT_EQ(items[0], items[2]);
  EXPECT_EQ(items[1], items[3]);
}

TEST(Pickle, TakesADictThatHoldsItself) {
  const std::string bytes =
      PickleWriter().op('}').op('q').byte(0).text("self").op('h').byte(0).op('s').stop();
  const Pickle pickle = run(bytes);
  const auto* dict = pickle.as<Pickle::Dict>(pickle.root);
  ASSERT_TRUE(dict && dict->entries.size() == 1);
  EXPECT_EQ(dict->entries[0].second, pickle.root);
}

TEST(Pickle, PassesOverAttributesOfADict) {
  const std::string bytes = PickleWriter()
                                .global("collections", "OrderedDict")
                                .op(')')
                                .op('R')
                                .op('}')
                                .text("_metadata")
                                .op('N')
                                .op('s')
                                .op('b')
                                .stop();
  const Pickle pickle = run(bytes);
  EXPECT_TRUE(pickle.as<Pickle::Dict>(pickle.root)->entries.empty());
}

TEST(Pickle, TakesAParameterForItsTensor) {
  PickleWriter pickle;
  pickle.global("torch._utils", "_rebuild_parameter").op('(');
  write_tensor(pickle, {.name = {}, .shape = {2}, .strides = {1}, .storage_count = 2});
  const std::string bytes = pickle.op(0x88).op('N').op('t').op('R').stop();
  const Pickle result = run(bytes);
  EXPECT_TRUE(result.as<Pickle::StridedTensor>(result.root));
}

// --- code ---

TEST(Pickle, RefusesAGlobalItDoesNotKnowByName) {
  const std::string call =
      PickleWriter().global("os", "system").text("echo harm").op(0x85).op('R').stop();
  EXPECT_REFUSED(run(call), "wants to call os.system");
  EXPECT_REFUSED(run(call), "upres never runs code from a model file");
}

TEST(Pickle, RefusesAGlobalWhoseNameLiesOnTheStack) {
  EXPECT_REFUSED(run(PickleWriter().text("posix").text("system").op(0x93).stop()),
                 "wants to call posix.system");
}

TEST(Pickle, RefusesAChainOfGetattr) {
  EXPECT_REFUSED(run(PickleWriter()
                         .global("builtins", "getattr")
                         .global("torch", "FloatStorage")
                         .text("__init__")
                         .op(0x86)
                         .op('R')
                         .stop()),
                 "wants to call builtins.getattr");
  EXPECT_REFUSED(run(PickleWriter().global("torch", "FloatStorage.__init__").stop()),
                 "wants to call torch.FloatStorage.__init__");
}

TEST(Pickle, RefusesKnownNamesOfOtherModules) {
  EXPECT_REFUSED(run(PickleWriter().global("evil", "OrderedDict").stop()),
                 "wants to call evil.OrderedDict");
}

TEST(Pickle, RefusesOpcodesThatMakeObjects) {
  for (const int code : {0x69, 0x6f, 0x81, 0x82, 0x92, 0x97}) {
    EXPECT_REFUSED(run(PickleWriter().op('(').op(code).stop()),
                   fmt::format("opcode 0x{:02x} at byte 3", code));
  }
}

TEST(Pickle, RefusesToCallWhatIsNoFunction) {
  EXPECT_REFUSED(run(PickleWriter().text("os.system").op(')').op('R').stop()),
                 "something else where a function belongs");
  EXPECT_REFUSED(run(PickleWriter().global("torch", "FloatStorage").op(')').op('R').stop()),
                 "something else where a function belongs");
}

TEST(Pickle, RefusesAttributesOfWhatIsNoDict) {
  EXPECT_REFUSED(run(PickleWriter().global("collections", "OrderedDict").op('}').op('b').stop()),
                 "something else where a dict belongs");
}

// --- damage and bombs ---

TEST(Pickle, RefusesATensorLargerThanItsStorage) {
  EXPECT_REFUSED(run(tensor_over(24, {5, 5}, {5, 1})), "5x5 does not fit into its storage of 24");
  EXPECT_REFUSED(run(tensor_over(24, {25}, {0})), "25 does not fit into its storage of 24");
  EXPECT_REFUSED(run(tensor_over(24, {int64_t{1} << 40, int64_t{1} << 40}, {0, 0})),
                 "does not fit into its storage");
  EXPECT_REFUSED(run(tensor_over(-1, {0}, {1})), "does not fit into its storage");
  EXPECT_REFUSED(run(tensor_over(24, {-1, -24}, {1, 1})), "does not fit into its storage");
}

TEST(Pickle, RefusesATensorThatLeavesItsStorage) {
  EXPECT_EQ(refusal([] { run(tensor_over(24, {2, 3}, {21, 1})); }), "");
  EXPECT_REFUSED(run(tensor_over(24, {2, 3}, {22, 1})), "leaves its storage of 24 elements");
  EXPECT_REFUSED(run(tensor_over(24, {2}, {1}, 23)), "leaves its storage");
  EXPECT_REFUSED(run(tensor_over(24, {2}, {1}, -1)), "leaves its storage");
  EXPECT_REFUSED(run(tensor_over(24, {2}, {-1}, 23)), "leaves its storage");
  EXPECT_REFUSED(run(tensor_over(24, {3}, {INT64_MAX})), "leaves its storage");
  EXPECT_REFUSED(run(tensor_over(24, {2}, {1}, INT64_MAX)), "leaves its storage");
  EXPECT_REFUSED(run(tensor_over(24, {1}, {1}, INT64_MAX)), "leaves its storage");
  EXPECT_REFUSED(run(tensor_over(24, {2, 3}, {1})), "1 strides to a tensor of 2 dimensions");
}

TEST(Pickle, RefusesMoreDimensionsThanNetworksHave) {
  EXPECT_REFUSED(run(tensor_over(1, std::vector<int64_t>(9, 1), std::vector<int64_t>(9, 1))),
                 "more than 8 dimensions");
}

std::string repeated(const std::string& text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i) result += text;
  return result;
}

TEST(Pickle, RefusesBombs) {
  EXPECT_REFUSED(run(repeated("(", 300)), "more than 256 nested marks");
  EXPECT_REFUSED(run(repeated("N", 100'000)), "more than 65536 values on its stack");
  EXPECT_REFUSED(run(repeated("]", 1) + repeated("Na", 600'000)), "more than 524288 values");
  std::string memo = "N";
  for (uint32_t i = 0; i < 600'000; ++i) memo.append("r").append(raw({i * 7919}));
  EXPECT_REFUSED(run(memo), "more than 524288 remembered values");
}

TEST(Pickle, RefusesManyOrderedDictsOfOneLongList) {
  // A list of 60,000 times the same pair, remembered as 1; then dict after dict of it.
  std::string bytes = PickleWriter().op('N').op('N').op(0x86).op('q').byte(0).stop();
  bytes.pop_back();
  bytes.append("](").append(repeated(std::string("h\0", 2), 60'000)).append("eq\x01");
  for (int i = 0; i < 9; ++i) bytes += "ccollections\nOrderedDict\nh\x01\x85R";
  EXPECT_REFUSED(run(bytes + "."), "more than 524288 entries in OrderedDicts");
}

TEST(Pickle, RefusesMoreTensorsThanAnyCheckpointHas) {
  // The arguments remembered as 0, the function as 1; then tensor after tensor into a list.
  PickleWriter pickle;
  pickle.op(']').op('(').op('(').text("storage").global("torch", "FloatStorage").text("0");
  pickle.text("cpu").integer(1).op('t').op('Q').integer(0).integers({1}).integers({1}).op('t');
  pickle.op('q').byte(0).op('a').global("torch._utils", "_rebuild_tensor").op('q').byte(1).op('a');
  std::string bytes = pickle.stop();
  bytes.pop_back();
  bytes += repeated(std::string("h\1h\0Ra", 6), 65'537);
  EXPECT_REFUSED(run(bytes.append(".")), "more than 65536 tensors");
}

TEST(Pickle, RefusesMoreBytesThanAnyNetworkHas) {
  const std::string bytes =
      repeated("N", 1).append(repeated(std::string("q\0", 2), kMaxPickleBytes / 2));
  EXPECT_REFUSED(run(bytes), "more than 8388608 bytes");
}

TEST(Pickle, NestsWithoutRecursion) {
  // A tuple in a tuple in a tuple ..., half a million deep.
  const std::string bytes = repeated(")", 1) + repeated("\x85", 500'000) + ".";
  EXPECT_EQ(refusal([&] { run(bytes); }), "");
}

TEST(Pickle, RefusesAMissingStack) {
  EXPECT_REFUSED(run("."), "empty stack");
  EXPECT_REFUSED(run("N(."), "empty stack");  // what lies below a mark is out of reach
  EXPECT_REFUSED(run("t."), "a mark that is not there");
  EXPECT_REFUSED(run("q\x01."), "empty stack");
  EXPECT_REFUSED(run(std::string("h\x05.")), "recalls value 5");
  EXPECT_REFUSED(run("}(Nu."), "a key without a value");
  EXPECT_REFUSED(run("NNa."), "something else where a list belongs");
}

TEST(Pickle, RefusesIntegersOfMoreThan8Bytes) {
  EXPECT_REFUSED(run("\x8a\x09"
                     "123456789."),
                 "an integer of 9 bytes");
}

TEST(Pickle, IsRefusedCutAnywhere) {
  expect_refused_at_every_length(
      pickled({{.name = "a", .shape = {2}, .strides = {1}, .storage_count = 2}}), read);
}

TEST(Pickle, ComesToNoHarmFromDamagedBytes) {
  expect_no_harm_from_damaged_bytes(
      pickled({{.name = "a", .shape = {2}, .strides = {1}, .storage_count = 2}}), read);
}

}  // namespace
}  // namespace upres
