// SPDX-License-Identifier: Apache-2.0
#include "model/legacy_tar.h"

#include <gtest/gtest.h>

#include <map>

#include "support.h"
#include "torch_file.h"

namespace upres {
namespace {

constexpr auto read_all = [](std::span<const std::byte> file) { read_legacy_tar(file); };

/// A tar archive, without checksums, which are not looked at.
std::string tar_of(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string archive;
  for (const auto& [name, content] : members) {
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(124, 11, fmt::format("{:011o}", content.size()));
    header[156] = '0';
    header.replace(257, 5, "ustar");
    archive += header + content + std::string((512 - content.size() % 512) % 512, '\0');
  }
  return archive + std::string(1024, '\0');
}

std::string pickled_number(int64_t number) {
  return PickleWriter().integer(number).stop();
}

/// Six floats under key 7, the view 8 of its last four, and a tensor 9 [2, 2] over a storage.
struct Parts {
  int64_t storages = 1;
  int64_t elements = 6;
  int64_t view_offset = 2;
  int64_t view_count = 4;
  int64_t storage = 8;
  uint32_t dimensions = 2;
  std::vector<int64_t> layout = {2, 2, 1, 2, 0};  ///< sizes, strides, offset
  std::string reference = "9";

  std::string file() const {
    std::string storages_member = pickled_number(storages);
    PickleWriter description;
    description.op('(').integer(7).text("cpu").global("torch", "FloatStorage").op('t');
    storages_member +=
        description.stop() + raw<int64_t>({elements}) + raw<float>({0, 1, 2, 3, 4, 5});
    PickleWriter views;
    views.op(']').op('(').integers({8, 7, view_offset, view_count}).op('e');
    storages_member += views.stop();

    PickleWriter tensor;
    tensor.op('(').integer(9).integer(storage).global("torch.cuda", "FloatTensor").op('t');
    std::string tensors = pickled_number(1) + tensor.stop() + raw<uint32_t>({dimensions, 0});
    for (const int64_t number : layout) tensors += raw<int64_t>({number});

    PickleWriter dict;
    dict.op('}').text("w").text(reference).op('Q').op('s');
    return tar_of({{"sys_info", "?"},
                   {"pickle", dict.stop()},
                   {"tensors", tensors},
                   {"storages", storages_member}});
  }
};

StateDict read(const Parts& parts) {
  return read_legacy_tar(bytes_of(parts.file()));
}

// tests/fuzz/make_seeds.py writes such a file with Python's tarfile and pickle; torch.load() of
// PyTorch 1.13 gives the same values for it.
TEST(LegacyTar, ReadsATensorOverAViewOfAStorage) {
  EXPECT_EQ(read({}).find("w")->to_floats(), (std::vector<float>{2, 4, 3, 5}));
  EXPECT_EQ(read({}).find("w")->shape(), (Shape{2, 2}));
}

TEST(LegacyTar, ReadsATensorOverAStorage) {
  EXPECT_EQ(read({.storage = 7}).find("w")->to_floats(), (std::vector<float>{0, 2, 1, 3}));
}

TEST(LegacyTar, AsksForConsentBeforeElementsAreRead) {
  const auto not_wanted = [](const StateDict& outline) {
    fail(ErrorCode::model, "not wanted: {}", outline.begin()->first);
  };
  EXPECT_REFUSED(read_legacy_tar(bytes_of(Parts().file()), not_wanted), "not wanted: w");
}

TEST(LegacyTar, RefusesWhatDoesNotLieInItsStorage) {
  EXPECT_REFUSED(read({.elements = 700}), "cut short: storage 7 of 700 x float32");
  EXPECT_REFUSED(read({.elements = -1}), "cut short: storage 7 of -1 x float32");
  EXPECT_REFUSED(read({.elements = INT64_MAX}), "cut short: storage 7");
  EXPECT_REFUSED(read({.view_offset = 3}), "a view of 4 elements from 3 on leaves its storage");
  EXPECT_REFUSED(read({.view_offset = -1}), "leaves its storage");
  EXPECT_REFUSED(read({.layout = {2, 2, 1, 3, 0}}), "leaves its storage of 4");
  EXPECT_REFUSED(read({.layout = {2, 2, -1, 2, 1}}), "leaves its storage of 4");
  EXPECT_REFUSED(read({.layout = {1 << 30, 1 << 30, 0, 0, 0}}), "does not fit into its storage");
  EXPECT_REFUSED(read({.layout = {-2, 2, 1, 2, 0}}), "does not fit into its storage");
}

TEST(LegacyTar, RefusesWhatIsNotThere) {
  EXPECT_REFUSED(read({.storage = 6}), "storage 6 is not among the tar archive's storages");
  EXPECT_REFUSED(read({.reference = "5"}), "tensor 5 is not among the tar archive's tensors");
  EXPECT_REFUSED(read({.reference = "9x"}), "tensor 9x is not among");
  EXPECT_REFUSED(read_legacy_tar(bytes_of(tar_of({{"holiday.jpg", "?"}}))),
                 "a tar archive without storages was not made by torch.save");
}

TEST(LegacyTar, RefusesImpossibleCounts) {
  EXPECT_REFUSED(read({.storages = 1 << 20}), "1048576 storages, far beyond any network");
  EXPECT_REFUSED(read({.storages = -1}), "-1 storages");
  EXPECT_REFUSED(read({.dimensions = UINT32_MAX}), "4294967295 dimensions, more than 8");
  std::string endless = Parts().file();
  endless.replace(124, 11, "77777777777");
  EXPECT_REFUSED(read_legacy_tar(bytes_of(endless)), "the tar archive is cut short");
  endless.replace(124, 11, "-0000000001");
  EXPECT_REFUSED(read_legacy_tar(bytes_of(endless)), "member sys_info has no size");
}

TEST(LegacyTar, IsRefusedCutAnywhere) {
  const std::string file = Parts().file();
  const size_t padding = 1024 + 512;  // what follows the last member's content is not needed
  expect_refused_at_every_length(file.substr(0, file.size() - padding), read_all);
}

TEST(LegacyTar, ComesToNoHarmFromDamagedBytes) {
  expect_no_harm_from_damaged_bytes(Parts().file(), read_all);
}

}  // namespace
}  // namespace upres
